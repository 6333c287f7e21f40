// Rates and summaries read off results: quotients of two figures of results.h, nothing else.
// Renderers and gates call these instead of dividing on their own, so that one word has one value
// everywhere.
//
// nullopt where a part is unknown or the divisor is zero. No I/O, no text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "report/analyze/results.h"

namespace mfutrace::report {

inline std::optional<double> Ratio(std::optional<int64_t> part, int64_t whole) {
  if (!part.has_value() || whole <= 0) return std::nullopt;
  return static_cast<double>(*part) / static_cast<double>(whole);
}

// What a window's times are shares of: itself, or its timed parts.
inline int64_t TimedNs(const WindowSummary& window) {
  return window.budget_ns > 0 ? window.budget_ns : window.window_ns;
}

// What a rank's FLOPs are of.
inline int64_t RunNs(const RankResult& rank) {
  return rank.run_ns > 0 ? rank.run_ns : rank.split.window_ns;
}

// Per second of `time_ns`. For a window summed over devices this is the mean of one device.
inline std::optional<double> PerSecond(std::optional<absl::uint128> amount,
                                       std::optional<int64_t> time_ns) {
  if (!amount.has_value() || !time_ns.has_value() || *time_ns <= 0) return std::nullopt;
  return static_cast<double>(*amount) / static_cast<double>(*time_ns) * 1e9;
}

// MFU of the window that a budget is of; nullopt where the budget does not know it.
inline std::optional<double> MfuOf(const std::vector<BudgetLine>& budget, int64_t window_ns) {
  for (const BudgetLine& line : budget) {
    if (line.name == "mfu") return Ratio(line.ns, window_ns);
  }
  return std::nullopt;
}

// FLOP/s while the operation ran: over its timed calls alone, since untimed ones have no time.
inline std::optional<double> FlopPerSecond(const OpResult& op) {
  if (op.calls == 0 || op.timed_calls == 0) return std::nullopt;
  const std::optional<double> rate = PerSecond(op.flop_executed, op.time_ns);
  if (!rate.has_value()) return std::nullopt;
  return *rate * static_cast<double>(op.timed_calls) / static_cast<double>(op.calls);
}

// Share of the roofline reached: the time its timed calls would take there over the time they took.
// Over 1 where operands stay in the cache, or for the reasons an MFU is; never clamped.
inline std::optional<double> OfRoofline(const OpResult& op) {
  if (!op.roofline_ns_per_call.has_value() || !op.time_ns.has_value() || *op.time_ns <= 0) {
    return std::nullopt;
  }
  return *op.roofline_ns_per_call * static_cast<double>(op.timed_calls) /
         static_cast<double>(*op.time_ns);
}

inline std::optional<double> OfPeak(const OpResult& op) {
  const std::optional<double> rate = FlopPerSecond(op);
  if (!rate.has_value() || !op.peak_flop_per_s.has_value() || *op.peak_flop_per_s == 0) {
    return std::nullopt;
  }
  return *rate / static_cast<double>(*op.peak_flop_per_s);
}

// Arithmetic intensity: executed FLOPs a least byte.
inline std::optional<double> FlopPerByte(const OpResult& op) {
  if (!op.flop_executed.has_value() || op.bytes_least.value_or(0) == 0) return std::nullopt;
  return static_cast<double>(*op.flop_executed) / static_cast<double>(*op.bytes_least);
}

// True where the operation's FLOPs are no more than an upper bound, and all that comes from them.
inline bool IsUpperBound(const OpResult& op) { return op.provenance == "bound"; }

// Share of the executed FLOPs that are known as an upper bound alone.
inline std::optional<double> BoundShare(const FlopSums& flop) {
  if (!flop.executed.has_value() || *flop.executed == 0) return std::nullopt;
  return static_cast<double>(flop.executed_bound) / static_cast<double>(*flop.executed);
}

// True where kernels outside the intercepted libraries go unseen: compute is then a lower bound,
// exposed communication an upper bound, and so is every MFU a lower bound.
inline bool HidesKernels(const WindowSummary& window) {
  return !window.coverage.has_value() && !window.split.idle_ns.has_value();
}

// Sums; a part that one side does not know is what the other knows. The name stays.
inline void AddTo(OtherKernel& to, const OtherKernel& more) {
  const auto add = [](auto& sum, const auto& part) {
    if (part.has_value()) sum = sum.value_or(0) + *part;
  };
  add(to.kernels, more.kernels);
  add(to.time_ns, more.time_ns);
  add(to.launches, more.launches);
  to.is_communication = to.is_communication || more.is_communication;
}

// Share of kernel time whose FLOPs are counted, whichever way.
inline double CoveredShare(const std::map<std::string, double>& coverage) {
  double share = 0;
  for (const auto& [provenance, part] : coverage) {
    if (provenance != "none") share += part;
  }
  return share;
}

struct StepSummary {
  uint32_t step_count = 0;    // distinct step indices
  uint64_t window_count = 0;  // steps x ranks
  int64_t median_ns = 0;
  int64_t min_ns = 0;
  int64_t max_ns = 0;
  std::optional<Flop> flop_model;  // of the median window; the mean where steps differ
  bool is_flop_equal = false;      // the same in every step of every rank
};

// Of the steps in [first, last]; nullopt if there are none.
inline std::optional<StepSummary> SummarizeSteps(const std::vector<StepResult>& steps,
                                                 uint32_t first, uint32_t last) {
  std::vector<int64_t> windows_ns;
  std::map<uint32_t, bool> indices;
  StepSummary summary;
  summary.is_flop_equal = true;
  bool is_flop_known = true;
  Flop flop_sum = 0;
  std::optional<Flop> flop_first;
  for (const StepResult& step : steps) {
    if (step.index < first || step.index > last) continue;
    windows_ns.push_back(step.split.window_ns);
    indices[step.index] = true;
    if (!step.flop_model.has_value()) {
      is_flop_known = false;
      continue;
    }
    if (!flop_first.has_value()) flop_first = step.flop_model;
    if (*step.flop_model != *flop_first) summary.is_flop_equal = false;
    flop_sum += *step.flop_model;
  }
  if (windows_ns.empty()) return std::nullopt;
  std::sort(windows_ns.begin(), windows_ns.end());
  const size_t count = windows_ns.size();
  summary.step_count = static_cast<uint32_t>(indices.size());
  summary.window_count = count;
  summary.min_ns = windows_ns.front();
  summary.max_ns = windows_ns.back();
  summary.median_ns = count % 2 == 1 ? windows_ns[count / 2]
                                     : windows_ns[count / 2 - 1] +
                                           (windows_ns[count / 2] - windows_ns[count / 2 - 1]) / 2;
  if (is_flop_known) summary.flop_model = flop_sum / count;
  summary.is_flop_equal = summary.is_flop_equal && is_flop_known;
  return summary;
}

// Share of calls of the operations that do arithmetic, by how their FLOPs are known.
inline std::map<std::string, double> CallShareByProvenance(const std::vector<OpResult>& ops) {
  std::map<std::string, uint64_t> calls;
  uint64_t total = 0;
  for (const OpResult& op : ops) {
    if (op.kind == "collective") continue;
    calls[op.provenance] += op.calls;
    total += op.calls;
  }
  std::map<std::string, double> shares;
  for (const auto& [provenance, count] : calls) {
    if (total > 0) shares[provenance] = static_cast<double>(count) / static_cast<double>(total);
  }
  return shares;
}

// Of the drafted tokens whose fate is known.
inline std::optional<double> AcceptanceRate(const SpeculationResult& sums) {
  if (sums.drafted_known == 0) return std::nullopt;
  return static_cast<double>(sums.accepted) / static_cast<double>(sums.drafted_known);
}

// Tokens that a sequence gets from a pass of the target, rejected ones left out. A figure made of
// tokens per second that charges each of them a pass of its own is so many times too high.
inline std::optional<double> TokensPerPass(const SpeculationResult& sums) {
  if (sums.sequence_steps_known == 0) return std::nullopt;
  return static_cast<double>(sums.tokens) / static_cast<double>(sums.sequence_steps_known);
}

// FLOPs of verifying over those of the tokens that were kept.
inline std::optional<double> ExecutedOverUseful(const SpeculationResult& sums) {
  if (!sums.verify_flop_known.has_value() || sums.verify_flop_useful.value_or(0) == 0) {
    return std::nullopt;
  }
  return static_cast<double>(*sums.verify_flop_known) /
         static_cast<double>(*sums.verify_flop_useful);
}

// Communication of one strategy over all communicators and ranks.
struct StrategyTimes {
  std::string strategy;  // empty = unknown
  size_t communicators = 0;
  int64_t time_ns = 0;
  int64_t exposed_ns = 0;
  std::optional<int64_t> exposed_wait_ns;  // unknown unless it is known of all of them
};

// Most time first; communicators without times are left out.
inline std::vector<StrategyTimes> TimesByStrategy(
    const std::vector<CommunicatorResult>& communicators) {
  std::map<std::string, StrategyTimes> by_name;
  for (const CommunicatorResult& communicator : communicators) {
    if (!communicator.time_ns.has_value()) continue;
    StrategyTimes& times = by_name[communicator.strategy];
    times.strategy = communicator.strategy;
    if (times.communicators++ == 0) times.exposed_wait_ns = 0;
    times.time_ns += *communicator.time_ns;
    times.exposed_ns += communicator.exposed_ns.value_or(0);
    if (times.exposed_wait_ns.has_value() && communicator.exposed_wait_ns.has_value()) {
      *times.exposed_wait_ns += *communicator.exposed_wait_ns;
    } else {
      times.exposed_wait_ns.reset();
    }
  }
  std::vector<StrategyTimes> order;
  for (auto& [name, times] : by_name) order.push_back(times);
  std::stable_sort(order.begin(), order.end(), [](const StrategyTimes& a, const StrategyTimes& b) {
    return a.time_ns > b.time_ns;
  });
  return order;
}

// Largest share of the collectives of a communicator that one rank was last in.
inline std::optional<std::pair<int32_t, double>> MostOftenLast(
    const CommunicatorResult& communicator) {
  if (communicator.contested == 0) return std::nullopt;
  std::pair<int32_t, uint64_t> most = {-1, 0};
  for (const auto& [rank, times] : communicator.times_last) {
    if (times > most.second) most = {rank, times};
  }
  if (most.second == 0) return std::nullopt;
  return std::pair(most.first,
                   static_cast<double>(most.second) / static_cast<double>(communicator.contested));
}

// The steps behind the one of index `after` over all ranks, or the whole run where there are
// none.
struct StepsSince {
  int64_t last_step = -1;  // -1 = no steps at all
  int64_t window_ns = 0;
  std::optional<int64_t> step_median_ns;
  std::optional<Flop> flop_model;
  std::optional<double> mfu;
  std::optional<double> exposed;
};

inline StepsSince StepsAfter(const RunResult& result, int64_t after) {
  StepsSince since;
  for (const StepResult& step : result.steps) {
    since.last_step = std::max(since.last_step, int64_t{step.index});
  }
  // No step since: the last one again.
  const int64_t from = std::min(after, since.last_step - 1);
  if (since.last_step < 0) {
    since.window_ns = result.run.window_ns;
    since.flop_model = result.run.flop.model;
    since.mfu = result.run.mfu;
    since.exposed = Ratio(result.run.split.exposed_ns, result.run.window_ns);
    return since;
  }
  std::vector<int64_t> durations_ns;
  std::optional<Flop> flop = Flop(0);
  std::optional<int64_t> exposed_ns = 0;
  double at_peak_ns = 0;
  bool is_mfu_known = true;
  for (const StepResult& step : result.steps) {
    if (int64_t{step.index} <= from) continue;
    durations_ns.push_back(step.split.window_ns);
    since.window_ns += step.split.window_ns;
    const std::optional<double> mfu = MfuOf(step.budget, step.split.window_ns);
    if (!step.flop_model.has_value()) flop.reset();
    if (flop.has_value()) *flop += *step.flop_model;
    if (!step.split.exposed_ns.has_value()) exposed_ns.reset();
    if (exposed_ns.has_value()) *exposed_ns += *step.split.exposed_ns;
    is_mfu_known = is_mfu_known && mfu.has_value();
    at_peak_ns += mfu.value_or(0) * static_cast<double>(step.split.window_ns);
  }
  std::nth_element(durations_ns.begin(),
                   durations_ns.begin() + static_cast<std::ptrdiff_t>(durations_ns.size() / 2),
                   durations_ns.end());
  since.step_median_ns = durations_ns[durations_ns.size() / 2];
  since.flop_model = flop;
  since.exposed = Ratio(exposed_ns, since.window_ns);
  if (is_mfu_known && since.window_ns > 0) {
    since.mfu = at_peak_ns / static_cast<double>(since.window_ns);
  }
  return since;
}

// Who came latest to collectives in the last bucket, and by how much in the mean.
inline std::optional<std::pair<std::string, int64_t>> LatestRank(const LatenessMap& map) {
  std::optional<std::pair<std::string, int64_t>> latest;
  for (const LatenessRow& row : map.rows) {
    if (row.mean_ns.empty() || !row.mean_ns.back().has_value()) continue;
    if (!latest.has_value() || *row.mean_ns.back() > latest->second) {
      latest = std::pair(row.name, *row.mean_ns.back());
    }
  }
  return latest;
}

}  // namespace mfutrace::report
