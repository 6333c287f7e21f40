// See attention_recompute.h.
#include "report/analyze/attention_recompute.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

namespace mfutrace::report {
namespace {

// Everything that a forward and its backward have in common.
using Key = std::tuple<uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                       shapes::Dtype, std::vector<std::pair<uint64_t, uint32_t>>>;

Key KeyOf(const OpDetail& detail) {
  const shapes::Attention& shape = *detail.attention;
  std::vector<std::pair<uint64_t, uint32_t>> lengths;
  for (const shapes::SequenceRun& run : detail.lengths) {
    lengths.emplace_back(uint64_t{run.seq_q} << 32 | run.seq_k, run.count);
  }
  return {shape.batch,       shape.heads_q,    shape.heads_kv, shape.seq_q,       shape.seq_k,
          shape.head_dim_qk, shape.head_dim_v, shape.dtype,    std::move(lengths)};
}

struct Tally {
  uint64_t forward = 0;
  uint64_t backward = 0;
  uint64_t flop_model = 0;  // of a forward
  std::optional<shapes::PeakRate> rate;
};

}  // namespace

void SubtractAttentionRecompute(const Timeline& timeline, const StepWindows& steps,
                                DeviceSummary& summary) {
  if (steps.windows.empty()) return;
  const auto is_attention = [](const Op& op) {
    return op.detail != nullptr && op.detail->attention.has_value() && op.flop_model.has_value();
  };
  if (std::none_of(timeline.ops.begin(), timeline.ops.end(), [&](const Op& op) {
        return is_attention(op) && op.detail->attention->pass == shapes::Pass::kBackward;
      })) {
    return;
  }
  std::vector<std::map<Key, Tally>> by_step(steps.windows.size());
  for (const OpCall& call : timeline.calls) {
    if (call.is_captured || call.op >= timeline.ops.size()) continue;
    const Op& op = timeline.ops[call.op];
    if (!is_attention(op)) continue;
    int64_t time_ns = call.host_begin_ns;
    if (time_ns == 0 && call.work < timeline.works.size()) {
      time_ns = timeline.works[call.work].time.begin_ns;
    }
    const auto after = std::upper_bound(
        steps.windows.begin(), steps.windows.end(), time_ns,
        [](int64_t time, const StepWindow& step) { return time < step.launch.begin_ns; });
    if (after == steps.windows.begin() || time_ns >= (after - 1)->launch.end_ns) continue;
    Tally& tally =
        by_step[static_cast<size_t>(after - 1 - steps.windows.begin())][KeyOf(*op.detail)];
    if (op.detail->attention->pass == shapes::Pass::kBackward) {
      ++tally.backward;
    } else {
      ++tally.forward;
      tally.flop_model = *op.flop_model;
      tally.rate = op.rate;
    }
  }
  AttentionRecompute& sums = summary.attention_recompute.emplace();
  const auto subtract = [](const Tally& tally, Flop flop, FlopSums& from) {
    if (!from.model.has_value()) return;
    *from.model -= std::min(*from.model, flop);
    if (!tally.rate.has_value()) return;
    Flop& of_rate = from.model_by_rate[*tally.rate];
    of_rate -= std::min(of_rate, flop);
  };
  for (size_t k = 0; k < by_step.size(); ++k) {
    for (const auto& [key, tally] : by_step[k]) {
      sums.forward_calls += tally.forward;
      sums.backward_calls += tally.backward;
      // Forwards without any backward are an evaluation's.
      if (tally.backward == 0 || tally.forward <= tally.backward) continue;
      const uint64_t again = tally.forward - tally.backward;
      const Flop flop = Flop(tally.flop_model) * again;
      sums.recomputed_calls += again;
      sums.flop += flop;
      if (summary.steps[k].has_straddling_calls) continue;
      subtract(tally, flop, summary.steps[k].flop);
      subtract(tally, flop, summary.flop);
    }
  }
}

}  // namespace mfutrace::report
