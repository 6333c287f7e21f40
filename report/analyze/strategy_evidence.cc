// Names and traffic as evidence.
//
// Patterns: PyTorch's DeviceMesh names a dimension's group mesh_<dim>; Megatron's names are in
// megatron/core/parallel_state.py. Data parallelism reduces gradients once a step, in the backward
// half (DDP: all-reduce of buckets; ZeRO and distributed optimizers: reduce-scatter, and one
// all-gather of parameters; FSDP: all-gathers in forward and backward). Tensor parallelism reduces
// activations of one size between products, forward and backward, which nothing can hide; with
// sequence parallelism each all-reduce is an all-gather and a reduce-scatter. Pipeline stages send
// forward and backward to their neighbours; context parallelism passes keys and values round a ring
// or exchanges them; experts exchange tokens, all with all.
#include "report/analyze/strategy_evidence.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace mfutrace::report {
namespace {

using shapes::CollectiveKind;

constexpr uint64_t kControlBytes = 4096;

uint64_t CallsOf(const TrafficShape& shape, CollectiveKind kind) {
  return shape.calls[static_cast<size_t>(kind)];
}
uint64_t BytesOf(const TrafficShape& shape, CollectiveKind kind) {
  return shape.bytes[static_cast<size_t>(kind)];
}

std::string PerCent(double share) {
  return absl::StrCat(static_cast<int>(share * 100 + 0.5), " %");
}

// Share of its time that compute hides; negative if it has no times.
double HiddenShare(const TrafficShape& shape) {
  if (shape.busy_ns <= 0) return -1;
  return 1 - static_cast<double>(shape.exposed_ns) / static_cast<double>(shape.busy_ns);
}

void JudgeHiding(const TrafficShape& shape, const char* blocking,
                 const std::vector<const char*>& hideable, Evidence& evidence) {
  const auto add_hideable = [&](double points, const std::string& why) {
    for (const char* strategy : hideable) evidence.Add(strategy, points, why);
  };
  const double hidden = HiddenShare(shape);
  if (hidden < 0) return;
  if (hidden > 0.3) {
    add_hideable(2, absl::StrCat(PerCent(hidden), " of it is hidden by compute"));
  } else if (hidden < 0.05) {
    evidence.Add(blocking, 1, "none of it is hidden by compute");
  }
  if (shape.timed_calls == 0) return;
  if (shape.on_compute_stream == shape.timed_calls) {
    evidence.Add(blocking, 1.5, "on the stream that computes");
  } else if (shape.on_compute_stream == 0) {
    add_hideable(0.5, "on a stream of its own");
  }
}

void JudgeAllReduce(const TrafficShape& shape, Evidence& evidence) {
  const double calls_a_step =
      shape.steps == 0 ? 0
                       : static_cast<double>(CallsOf(shape, CollectiveKind::kAllReduce)) /
                             static_cast<double>(shape.steps);
  evidence.Add("TP", 1, "all-reduces");
  evidence.Add("DP", 1, "all-reduces");
  if (shape.calls_in_steps > 0) {
    const double early = shape.EarlyShare(CollectiveKind::kAllReduce);
    if (early > 0.02) {
      evidence.Add("TP", 3,
                   absl::StrCat("all-reduces from the beginning of the step on (", PerCent(early),
                                " in its first 30 %)"));
    } else {
      evidence.Add("DP", 3, "no all-reduce in the first 30 % of a step");
    }
  }
  if (calls_a_step >= 8 && shape.SameSizeShare() > 0.7) {
    evidence.Add("TP", 1, absl::StrCat(PerCent(shape.SameSizeShare()), " of one size"));
  }
  JudgeHiding(shape, "TP", {"DP"}, evidence);
}

void JudgeGatherScatter(const TrafficShape& shape, Evidence& evidence) {
  const uint64_t gathers = CallsOf(shape, CollectiveKind::kAllGather);
  const uint64_t scatters = CallsOf(shape, CollectiveKind::kReduceScatter);
  if (scatters == 0) {
    evidence.Add("CP", 1.5, "all-gathers alone");
    evidence.Add("ZeRO", 1, "all-gathers alone");
    JudgeHiding(shape, "CP", {"ZeRO"}, evidence);
    return;
  }
  if (gathers == 0) {
    evidence.Add("ZeRO", 2, "reduce-scatters alone");
    evidence.Add("FSDP", 1, "reduce-scatters alone");
    return;
  }
  const std::string mix = absl::StrCat(gathers, " all-gathers, ", scatters, " reduce-scatters");
  for (const char* strategy : {"FSDP", "ZeRO", "SP"}) evidence.Add(strategy, 1, mix);
  const double ratio = static_cast<double>(gathers) / static_cast<double>(scatters);
  if (ratio > 1.6) {
    evidence.Add("FSDP", 2, "about two all-gathers to a reduce-scatter");
  } else if (ratio > 0.9 && ratio < 1.1) {
    evidence.Add("SP", 0.5, "as many all-gathers as reduce-scatters");
    evidence.Add("ZeRO", 0.5, "as many all-gathers as reduce-scatters");
  }
  if (shape.calls_in_steps > 0) {
    const double early_scatter = shape.EarlyShare(CollectiveKind::kReduceScatter);
    const double early_gather = shape.EarlyShare(CollectiveKind::kAllGather);
    const auto& gather_bins =
        shape.calls_by_position[static_cast<size_t>(CollectiveKind::kAllGather)];
    // Gathered at one end of the step only: after or before the optimizer, not layer by layer.
    uint64_t inner = 0;
    uint64_t all = 0;
    for (size_t bin = 0; bin < kStepBins; ++bin) {
      all += gather_bins[bin];
      if (bin > 0 && bin + 1 < kStepBins) inner += gather_bins[bin];
    }
    if (early_scatter > 0.02) {
      evidence.Add("SP", 3, "reduce-scatters in the forward pass too");
    } else {
      evidence.Add("FSDP", 1.5, "reduce-scatters in the backward pass alone");
      evidence.Add("ZeRO", 1.5, "reduce-scatters in the backward pass alone");
      const bool is_clustered = inner * 5 < all;
      if (is_clustered) {
        evidence.Add("ZeRO", 2, "all-gathers at the border of a step alone");
      } else if (early_gather > 0.05) {
        evidence.Add("FSDP", 2, "all-gathers all through the step");
      }
    }
  }
  const double bytes_ratio =
      static_cast<double>(BytesOf(shape, CollectiveKind::kAllGather)) /
      std::max(1.0, static_cast<double>(BytesOf(shape, CollectiveKind::kReduceScatter)));
  if (shape.SameSizeShare() >= 0.49 && bytes_ratio > 0.9 && bytes_ratio < 1.1 &&
      shape.on_compute_stream == shape.timed_calls && shape.timed_calls > 0) {
    evidence.Add("SP", 1, "one size");
  }
  JudgeHiding(shape, "SP", {"FSDP", "ZeRO"}, evidence);
}

void JudgeMessages(const TrafficShape& shape, uint32_t size, Evidence& evidence) {
  const auto count = static_cast<int32_t>(size);
  uint64_t neighbours = 0;
  uint64_t backwards = 0;
  uint64_t wraps = 0;
  for (const auto& [from, to] : shape.messages) {
    if (to == from + 1) ++neighbours;
    if (to == from - 1) ++backwards;
    if (count > 2 && std::abs(to - from) == count - 1) ++wraps;
  }
  const uint64_t all_pairs = static_cast<uint64_t>(size) * (size - 1);
  if (size > 2 && shape.messages.size() == all_pairs) {
    evidence.Add("EP", 4, "messages between all pairs");
    evidence.Add("CP", 1, "messages between all pairs");
    return;
  }
  evidence.Add("PP", 2, "sends and receives alone");
  evidence.Add("CP", 1.5, "sends and receives alone");
  const double two_way = shape.message_intervals == 0
                             ? 0
                             : static_cast<double>(shape.two_way_intervals) /
                                   static_cast<double>(shape.message_intervals);
  if (shape.message_intervals > 0 && two_way < 0.95) {
    evidence.Add("PP", 3, absl::StrCat(PerCent(1 - two_way), " of the exchanges go one way"));
  } else if (shape.message_intervals > 0) {
    evidence.Add("CP", 2, "every member sends and receives at once");
  }
  if (size > 2 && wraps > 0 && backwards == 0) {
    evidence.Add("CP", 2, "round a ring");
  } else if (size > 2 && wraps == 0 && neighbours > 0 && backwards > 0) {
    evidence.Add("PP", 2, "there and back between neighbours, first and last apart");
  }
}

void JudgeExchange(const TrafficShape& shape, Evidence& evidence) {
  evidence.Add("EP", 3, "all-to-alls");
  evidence.Add("CP", 1.5, "all-to-alls");
  std::vector<uint64_t> sizes;
  for (const auto& [size, calls] : shape.calls_by_size) {
    if (size.first == static_cast<uint8_t>(CollectiveKind::kAllToAll)) sizes.push_back(size.second);
  }
  if (sizes.size() > 2) evidence.Add("EP", 1.5, absl::StrCat("of ", sizes.size(), " sizes"));
}

}  // namespace

void Evidence::Add(const std::string& strategy, double points, const std::string& why) {
  Place& place = places_[strategy];
  place.strategy = strategy;
  place.points += points;
  place.reasons.emplace_back(points, why);
}

double Evidence::PointsOf(const std::string& strategy) const {
  const auto found = places_.find(strategy);
  return found == places_.end() ? 0 : found->second.points;
}

std::vector<Evidence::Place> Evidence::Ranking() const {
  std::vector<Place> ranking;
  for (const auto& [strategy, place] : places_) ranking.push_back(place);
  for (Place& place : ranking) {
    std::stable_sort(place.reasons.begin(), place.reasons.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
  }
  std::stable_sort(ranking.begin(), ranking.end(),
                   [](const Place& a, const Place& b) { return a.points > b.points; });
  return ranking;
}

std::string StrategyOfName(const std::string& name) {
  const std::string lower = absl::AsciiStrToLower(name);
  // Megatron: DATA_PARALLEL_GROUP_WITH_CP reduces gradients; names of compounds say nothing.
  static constexpr std::pair<const char*, const char*> kPhrases[] = {
      {"data_parallel_group_with_cp", "DP"},
      {"tensor_and_", ""},
      {"expert_model_parallel", "EP"},
      {"expert_parallel", "EP"},
      {"expert_data_parallel", "DP"},
      {"pipeline", "PP"},
      {"tensor_model_parallel", "TP"},
      {"tensor_parallel", "TP"},
      {"tensor", "TP"},
      {"context_parallel", "CP"},
      {"sequence_parallel", "SP"},
      {"dp_shard", "FSDP"},
      {"dp_replicate", "DP"},
      {"fsdp", "FSDP"},
      {"zero", "ZeRO"},
      {"data_parallel", "DP"},
      {"embedding", "PP"},
      {"ulysses", "CP"},
  };
  for (const auto& [phrase, strategy] : kPhrases) {
    if (absl::StrContains(lower, phrase)) return strategy;
  }
  static const std::map<std::string, std::string> kWords = {
      {"tp", "TP"}, {"dp", "DP"}, {"ddp", "DP"}, {"pp", "PP"},     {"ep", "EP"},
      {"cp", "CP"}, {"sp", "SP"}, {"moe", "EP"}, {"hsdp", "FSDP"},
  };
  for (absl::string_view word : absl::StrSplit(lower, absl::ByAnyChar("_-. :/"))) {
    // "dp0", "tp_1": a number behind the word is the group's, not the strategy's.
    while (!word.empty() && absl::ascii_isdigit(static_cast<unsigned char>(word.back()))) {
      word.remove_suffix(1);
    }
    const auto found = kWords.find(std::string(word));
    if (found != kWords.end()) return found->second;
  }
  return "";
}

bool IsControl(const TrafficShape& shape) {
  return shape.messages_sent() == 0 && shape.total_calls() > 0 && !shape.calls_by_size.empty() &&
         shape.largest_bytes() <= kControlBytes;
}

bool MovesShards(const TrafficShape& shape) {
  const uint64_t shards =
      CallsOf(shape, CollectiveKind::kAllGather) + CallsOf(shape, CollectiveKind::kReduceScatter);
  return shards > 0 && BytesOf(shape, CollectiveKind::kAllReduce) <=
                           BytesOf(shape, CollectiveKind::kAllGather) +
                               BytesOf(shape, CollectiveKind::kReduceScatter);
}

void JudgeTraffic(const TrafficShape& shape, uint32_t size, Evidence& evidence) {
  const uint64_t total = shape.total_calls();
  if (total == 0) return;
  const uint64_t messages = shape.messages_sent();
  const uint64_t reduces = CallsOf(shape, CollectiveKind::kAllReduce);
  const uint64_t exchanges = CallsOf(shape, CollectiveKind::kAllToAll);
  if (messages * 2 > total) {
    JudgeMessages(shape, size, evidence);
  } else if (exchanges * 2 > total) {
    JudgeExchange(shape, evidence);
  } else if (MovesShards(shape)) {
    JudgeGatherScatter(shape, evidence);
  } else if (reduces > 0) {
    JudgeAllReduce(shape, evidence);
  } else {
    evidence.Add("DP", 1, "broadcasts");
  }
}

}  // namespace mfutrace::report
