// All devices' ServingSums -> ServingResult: rows by role, model and phase. Ranks that work on the
// same tokens (tensor, pipeline, sequence or context parallel) are one replica: its tokens count
// once, its FLOPs, bytes and times are sums.
#include <algorithm>
#include <numeric>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "report/analyze/serving.h"
#include "report/analyze/summary.h"

namespace mfutrace::report {
namespace {

bool SharesTokens(const std::string& strategy) {
  return strategy == "TP" || strategy == "SP" || strategy == "PP" || strategy == "CP";
}

// The first device of each device's replica.
std::vector<size_t> ReplicasOf(std::span<const DeviceSummary> devices) {
  std::vector<size_t> parent(devices.size());
  std::iota(parent.begin(), parent.end(), size_t{0});
  const auto root = [&](size_t i) {
    while (parent[i] != i) i = parent[i];
    return i;
  };
  std::map<std::string, size_t> first_of;
  for (size_t i = 0; i < devices.size(); ++i) {
    for (size_t c = 0; c < devices[i].communicators.size(); ++c) {
      if (c >= devices[i].strategies.size() || !SharesTokens(devices[i].strategies[c])) continue;
      const auto [found, is_new] = first_of.try_emplace(devices[i].communicators[c].id, i);
      if (is_new) continue;
      const size_t a = root(found->second);
      const size_t b = root(i);
      parent[std::max(a, b)] = std::min(a, b);
    }
  }
  for (size_t i = 0; i < parent.size(); ++i) parent[i] = root(i);
  return parent;
}

std::string ModelName(const ServingSums& sums, uint32_t model) {
  if (model == sums.target) return "target";
  if (model == sums.draft) return "draft";
  if (sums.models.size() < 2) return "";
  const Model& known = sums.models[model];
  std::string name;
  for (const ModelKey& key : known.keys) {
    absl::StrAppend(&name, name.empty() ? "h" : "+h", key.heads_q, "/", key.heads_kv, " d",
                    key.head_dim_qk);
  }
  if (known.layers != 0) absl::StrAppend(&name, " l", known.layers);
  return name;
}

// One row while it is put together.
struct Row {
  PhaseResult result;
  std::vector<FlopSums> flops;  // by device
  std::vector<std::string> gpus;
  std::vector<int64_t> busy_ns, span_ns;
  std::vector<double> sequences, pass_ns;
  FlopSums flop;
  Flop rejected = 0;
  bool rejected_is_known = true;
  bool has_times = true;
  double at_bandwidth_ns = 0;
  bool has_bandwidth = true;
  double tokens_per_s = 0;
  bool has_rate = true;
};

constexpr size_t kMostValues = 1 << 16;  // of a distribution

void Append(std::vector<double>& to, const std::vector<double>& from) {
  const size_t room = kMostValues - std::min(kMostValues, to.size());
  to.insert(to.end(), from.begin(),
            from.begin() + static_cast<std::ptrdiff_t>(std::min(room, from.size())));
}

void Add(const DeviceSummary& device, const PhaseSums& sums, bool is_first_of_replica,
         const PeakTable& peaks, Row& row) {
  PhaseResult& result = row.result;
  result.attention_calls += sums.attention_calls;
  result.calls += sums.calls;
  if (row.flops.empty()) {
    row.flop = sums.flop;
    result.bytes_least = 0;
    result.passes = result.new_tokens = result.context_tokens = 0;
    result.kv_bytes_read = 0;
    result.busy_ns = result.span_ns = 0;
  } else {
    AddSums(row.flop, sums.flop);
  }
  row.flops.push_back(sums.flop);
  row.gpus.push_back(device.gpu);
  row.rejected += sums.rejected;
  row.rejected_is_known = row.rejected_is_known && sums.rejected_is_known;
  if (!sums.bytes_least.has_value()) result.bytes_least.reset();
  if (result.bytes_least.has_value()) *result.bytes_least += *sums.bytes_least;
  if (!sums.kv_is_known || !sums.passes_are_known) result.kv_bytes_read.reset();
  if (result.kv_bytes_read.has_value()) *result.kv_bytes_read += sums.kv_bytes;
  result.kv_is_bound = result.kv_is_bound || sums.kv_is_bound;

  row.has_times = row.has_times && device.serving.has_times;
  row.busy_ns.push_back(sums.busy_ns);
  row.span_ns.push_back(sums.span_ns);
  const std::optional<uint64_t> bandwidth = peaks.MemoryBytesPerSecond(device.gpu);
  if (bandwidth.has_value() && *bandwidth != 0 && sums.bytes_least.has_value()) {
    row.at_bandwidth_ns +=
        static_cast<double>(*sums.bytes_least) * 1e9 / static_cast<double>(*bandwidth);
  } else {
    row.has_bandwidth = false;
  }
  if (!is_first_of_replica) return;
  if (!sums.passes_are_known) {
    result.passes.reset();
    result.new_tokens.reset();
    result.context_tokens.reset();
  }
  if (!sums.context_is_known) result.context_tokens.reset();
  if (result.passes.has_value()) *result.passes += sums.passes;
  if (result.new_tokens.has_value()) *result.new_tokens += sums.new_tokens;
  if (result.context_tokens.has_value()) *result.context_tokens += sums.context_tokens;
  result.tokens_are_bounds = result.tokens_are_bounds || sums.tokens_are_bounds;
  if (sums.span_ns > 0 && sums.passes_are_known) {
    row.tokens_per_s +=
        static_cast<double>(sums.new_tokens) * 1e9 / static_cast<double>(sums.span_ns);
  } else {
    row.has_rate = false;
  }
  Append(row.sequences, sums.sequences);
  Append(row.pass_ns, sums.pass_ns);
}

std::optional<double> MfuOver(const Row& row, const std::vector<int64_t>& windows_ns,
                              const PeakTable& peaks) {
  std::vector<DeviceWindow> windows;
  for (size_t i = 0; i < row.flops.size(); ++i) {
    windows.push_back({row.gpus[i], windows_ns[i], &row.flops[i]});
  }
  WindowSummary summary;
  std::vector<std::string> unused;
  Utilize(windows, peaks, summary, unused);
  return summary.mfu;
}

int64_t SumOf(const std::vector<int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), int64_t{0});
}

PhaseResult Finished(Row& row, const PeakTable& peaks) {
  PhaseResult& result = row.result;
  result.flop_executed = row.flop.executed;
  result.flop_model = row.flop.model;
  result.flop_bound = row.flop.executed_bound;
  if (row.rejected_is_known && row.flop.model.has_value() && row.flop.executed_bound == 0) {
    result.flop_useful = *row.flop.model - row.rejected;
  }
  if (row.has_times) {
    result.busy_ns = SumOf(row.busy_ns);
    result.span_ns = SumOf(row.span_ns);
    result.mfu_busy = MfuOver(row, row.busy_ns, peaks);
    result.mfu_span = MfuOver(row, row.span_ns, peaks);
    if (row.has_bandwidth && *result.busy_ns > 0) {
      result.mbu_busy = row.at_bandwidth_ns / static_cast<double>(*result.busy_ns);
    }
    if (row.has_rate && result.new_tokens.has_value()) result.tokens_per_s = row.tokens_per_s;
    if (!row.pass_ns.empty()) result.pass_ns = DistributionOf(row.pass_ns);
  } else {
    result.busy_ns = result.span_ns = std::nullopt;
  }
  if (!row.sequences.empty() && result.passes.has_value()) {
    result.sequences = DistributionOf(row.sequences);
  }
  return result;
}

void AddLoad(const DeviceSummary& device, bool is_first_of_replica, Slices& load,
             uint32_t& devices) {
  Slices slices = device.serving.slices;
  if (slices.slice_ns == 0) return;
  ++devices;
  if (load.slice_ns == 0) load.slice_ns = slices.slice_ns;
  slices.CoarsenTo(load.slice_ns);
  load.CoarsenTo(slices.slice_ns);
  const size_t count = std::max(load.busy_ns.size(), slices.busy_ns.size());
  load.busy_ns.resize(count, 0);
  load.at_peak_ps_1000.resize(count, 0);
  load.new_tokens.resize(count, 0);
  for (size_t i = 0; i < slices.busy_ns.size(); ++i) {
    load.busy_ns[i] += slices.busy_ns[i];
    load.at_peak_ps_1000[i] += slices.at_peak_ps_1000[i];
    if (is_first_of_replica) load.new_tokens[i] += slices.new_tokens[i];
  }
}

RoleResult RoleOf(const std::string& role, std::span<const DeviceSummary> devices,
                  const std::vector<size_t>& replicas, const PeakTable& peaks) {
  RoleResult result;
  result.role = role;
  Row row;
  std::vector<int64_t> windows_ns;
  int64_t longest_ns = 0;
  bool has_times = true;
  bool are_steps_known = true;
  int64_t busy_ns = 0, idle_ns = 0, waiting_ns = 0;
  std::optional<uint64_t> tokens = 0;
  Slices load;
  uint32_t devices_with_load = 0;
  for (size_t i = 0; i < devices.size(); ++i) {
    const ServingSums& sums = devices[i].serving;
    if (!sums.is_serving || sums.role != role) continue;
    ++result.devices;
    result.window_ns += devices[i].window_ns;
    longest_ns = std::max(longest_ns, devices[i].window_ns);
    windows_ns.push_back(devices[i].window_ns);
    has_times = has_times && sums.has_times;
    are_steps_known = are_steps_known && sums.are_steps_known;
    busy_ns += sums.busy_ns;
    idle_ns += sums.idle_in_step_ns;
    waiting_ns += sums.waiting_ns;
    row.flops.push_back(devices[i].flop);
    row.gpus.push_back(devices[i].gpu);
    row.busy_ns.push_back(sums.busy_ns);
    const std::optional<uint64_t> bandwidth = peaks.MemoryBytesPerSecond(devices[i].gpu);
    row.has_bandwidth = row.has_bandwidth && bandwidth.value_or(0) != 0;
    for (const auto& [key, phase] : sums.phases) {
      if (!phase.bytes_least.has_value()) row.has_bandwidth = false;
      if (!row.has_bandwidth) break;
      row.at_bandwidth_ns +=
          static_cast<double>(*phase.bytes_least) * 1e9 / static_cast<double>(*bandwidth);
    }
    AddLoad(devices[i], replicas[i] == i, load, devices_with_load);
    if (replicas[i] != i) continue;
    for (const auto& [key, phase] : sums.phases) {
      if (key.first == sums.draft || key.second == Phase::kPrefill) continue;
      if (key.second == Phase::kVerify) continue;  // by growth, below
      const bool is_known = key.second != Phase::kUnknown || phase.attention_calls == 0;
      if (!is_known || !phase.passes_are_known || phase.tokens_are_bounds) tokens.reset();
      if (tokens.has_value()) *tokens += phase.generated;
    }
    if (sums.speculation.has_value() && tokens.has_value()) {
      const SpeculationResult& speculation = *sums.speculation;
      if (speculation.sequence_steps != speculation.sequence_steps_known) {
        tokens.reset();
      } else {
        *tokens += speculation.tokens;
      }
    }
  }
  result.tokens_out = tokens;
  if (!has_times) return result;
  result.busy_ns = busy_ns;
  if (are_steps_known) {
    result.idle_in_step_ns = idle_ns;
    result.waiting_ns = waiting_ns;
  }
  result.mfu_busy = MfuOver(row, row.busy_ns, peaks);
  result.mfu_wall = MfuOver(row, windows_ns, peaks);
  if (row.has_bandwidth && busy_ns > 0 && result.window_ns > 0) {
    result.mbu_busy = row.at_bandwidth_ns / static_cast<double>(busy_ns);
    result.mbu_wall = row.at_bandwidth_ns / static_cast<double>(result.window_ns);
  }
  if (tokens.has_value() && longest_ns > 0) {
    result.tokens_out_per_s = static_cast<double>(*tokens) * 1e9 / static_cast<double>(longest_ns);
  }
  if (load.slice_ns == 0 || devices_with_load == 0) return result;
  result.slice_ns = load.slice_ns;
  std::vector<double> shares;
  for (size_t i = 0; i < load.busy_ns.size(); ++i) {
    LoadSlice slice;
    slice.begin_ns = static_cast<int64_t>(i) * load.slice_ns;
    // The last slice may be cut off by the window.
    const int64_t length_ns = std::min(load.slice_ns, longest_ns - slice.begin_ns);
    if (length_ns <= 0) break;
    const double whole_ns = static_cast<double>(length_ns) * devices_with_load;
    slice.busy = static_cast<double>(load.busy_ns[i]) / whole_ns;
    if (result.mfu_wall.has_value()) {
      slice.mfu = static_cast<double>(load.at_peak_ps_1000[i]) / whole_ns;
    }
    if (are_steps_known) slice.new_tokens = load.new_tokens[i];
    shares.push_back(*slice.busy);
    result.load.push_back(slice);
  }
  result.busy = DistributionOf(shares);
  return result;
}

template <typename T>
void AddKnown(std::optional<T>& sum, const std::optional<T>& value) {
  if (!sum.has_value()) return;
  if (value.has_value()) {
    *sum += *value;
  } else {
    sum.reset();
  }
}

void AddSpeculation(const SpeculationResult& from, bool is_first_of_replica,
                    SpeculationResult& into) {
  AddKnown(into.verify_flop, from.verify_flop);
  AddKnown(into.verify_flop_known, from.verify_flop_known);
  AddKnown(into.verify_flop_useful, from.verify_flop_useful);
  AddKnown(into.draft_flop, from.draft_flop);
  if (!is_first_of_replica) return;
  into.steps += from.steps;
  into.draft_passes += from.draft_passes;
  into.drafted += from.drafted;
  into.sequence_steps += from.sequence_steps;
  into.sequence_steps_known += from.sequence_steps_known;
  into.drafted_known += from.drafted_known;
  into.accepted += from.accepted;
  into.tokens += from.tokens;
}

void AddNotes(const ServingResult& serving, std::span<const DeviceSummary> devices,
              std::vector<std::string>& notes) {
  const auto add = [&notes](std::string note) {
    if (std::find(notes.begin(), notes.end(), note) == notes.end())
      notes.push_back(std::move(note));
  };
  bool has_unknown = false;
  bool has_bounds = false;
  bool has_unsplit = false;
  for (const PhaseResult& phase : serving.phases) {
    has_unknown = has_unknown || (phase.phase == "unknown" && phase.attention_calls > 0);
    has_bounds = has_bounds || phase.tokens_are_bounds;
    has_unsplit = has_unsplit || !phase.passes.has_value();
  }
  if (has_unknown) {
    add("phase unknown: these calls' lengths lie on the device (mfutrace run --device-lengths)");
  }
  if (has_bounds) {
    add("≤: what the calls allow, since lengths were not read");
  }
  if (has_unsplit) {
    add("without lengths some passes cannot be told apart: no number of them, tokens or waiting");
  }
  bool has_marks = false;
  for (const DeviceSummary& device : devices) {
    has_marks = has_marks || device.serving.from_marks;
    for (const std::string& note : device.serving.notes) add(note);
  }
  if (has_marks) {
    add("phases and tokens by the server's own marks; the width of its KV cache is not in them");
  }
}

}  // namespace

std::optional<ServingResult> MergeServing(std::span<const DeviceSummary> devices,
                                          const PeakTable& peaks) {
  const std::vector<size_t> replicas = ReplicasOf(devices);
  std::map<std::tuple<std::string, std::string, Phase>, Row> rows;
  std::map<std::string, SpeculationResult> speculation;
  std::set<std::string> roles;
  for (size_t i = 0; i < devices.size(); ++i) {
    const ServingSums& sums = devices[i].serving;
    if (!sums.is_serving) continue;
    roles.insert(sums.role);
    const bool is_first = replicas[i] == i;
    for (const auto& [key, phase] : sums.phases) {
      const std::string model = ModelName(sums, key.first);
      Row& row = rows[{sums.role, model, key.second}];
      row.result.role = sums.role;
      row.result.model = model;
      row.result.phase = std::string(NameOf(key.second));
      Add(devices[i], phase, is_first, peaks, row);
    }
    if (!sums.speculation.has_value()) continue;
    const auto [found, is_new] = speculation.try_emplace(sums.role, *sums.speculation);
    if (is_new) {
      found->second.role = sums.role;
    } else {
      AddSpeculation(*sums.speculation, is_first, found->second);
    }
  }
  if (roles.empty()) return std::nullopt;
  ServingResult result;
  for (const std::string& role : roles) {
    result.roles.push_back(RoleOf(role, devices, replicas, peaks));
  }
  for (auto& [key, row] : rows) result.phases.push_back(Finished(row, peaks));
  for (auto& [role, sums] : speculation) result.speculation.push_back(std::move(sums));
  AddNotes(result, devices, result.notes);
  return result;
}

}  // namespace mfutrace::report
