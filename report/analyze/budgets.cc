// Which windows have a budget.
#include "report/analyze/budgets.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "report/analyze/budget.h"
#include "report/analyze/match.h"

namespace mfutrace::report {
namespace {

// Of all waiting that somebody's coming last caused, the part of whoever caused most.
double ShareOfSlowest(const WaitResult& waits) {
  std::map<int32_t, int64_t> caused_ns;
  int64_t sum_ns = 0;
  for (const GroupWaits& group : waits.groups) {
    for (size_t i = 0; i < group.caused_ns.size(); ++i) {
      caused_ns[group.world_ranks[i]] += group.caused_ns[i];
      sum_ns += group.caused_ns[i];
    }
  }
  int64_t most_ns = 0;
  for (const auto& [rank, ns] : caused_ns) most_ns = std::max(most_ns, ns);
  return sum_ns == 0 ? 0 : static_cast<double>(most_ns) / static_cast<double>(sum_ns);
}

absl::Status Add(const BudgetInput& input, const PeakTable& peaks, const std::string& path,
                 const std::string& window, BudgetSum& sum) {
  const BudgetSum budget = BudgetOf(input, peaks);
  if (budget.sum_ns() != input.window_ns) return NotWhole(path, window);
  sum.Add(budget);
  return absl::OkStatus();
}

void NoteNegative(const BudgetSum& budget, std::vector<std::string>& notes) {
  if (budget.Of("below_peak") >= 0) return;
  notes.push_back(
      absl::StrCat("kernels took ", -budget.Of("below_peak") / 1000,
                   " us less than their FLOPs and least bytes need at the peaks: the peaks are too "
                   "low for this GPU, operands stayed in its cache, or kernels overlapped"));
}

}  // namespace

void FillWaits(const DeviceSummary& device, const std::vector<GroupWaits>& groups,
               RankResult& row) {
  std::set<std::string> own;
  int64_t wait_ns = 0;
  int64_t transfer_ns = 0;
  bool is_known = false;
  for (size_t i = 0; i < device.communicators.size(); ++i) {
    own.insert(KeyOf(device.communicators[i]));
    if (!device.communicator_ops[i].empty() && !device.waits[i].is_known) return;
    is_known = is_known || device.waits[i].is_known;
    wait_ns += device.waits[i].wait_ns;
    transfer_ns += device.waits[i].transfer_ns;
  }
  if (!is_known) return;
  row.wait_ns = wait_ns;
  row.transfer_ns = transfer_ns;
  row.times_last = 0;
  row.caused_wait_ns = 0;
  for (const GroupWaits& group : groups) {
    if (!own.contains(group.key)) continue;
    for (size_t i = 0; i < group.world_ranks.size(); ++i) {
      if (group.world_ranks[i] != device.rank) continue;
      *row.times_last += group.times_last[i];
      *row.caused_wait_ns += group.caused_ns[i];
    }
  }
}

absl::Status FillBudgets(const std::vector<DeviceSummary>& devices, const PeakTable& peaks,
                         const WaitResult& waits, RunResult& result) {
  const double slowest = ShareOfSlowest(waits);
  BudgetSum run;
  BudgetSum steady;
  size_t step_row = 0;
  for (size_t d = 0; d < devices.size(); ++d) {
    const DeviceSummary& device = devices[d];
    const size_t pieces = 2 * device.steps.size() + 1;
    BudgetInput whole = InputOf(device, 0, pieces - 1);
    whole.window_ns = device.timed_ns;
    whole.times = device.times;
    whole.flop = &device.timed_flop;
    BudgetSum rank;
    if (absl::Status status = Add(whole, peaks, device.path, "the run's budget", rank);
        !status.ok()) {
      return status;
    }
    result.ranks[d].budget = rank.Lines();
    run.Add(rank);
    for (size_t k = 0; k < device.steps.size(); ++k) {
      const StepSums& step = device.steps[k];
      BudgetInput input = InputOf(device, 2 * k + 1, 2 * k + 1);
      input.window_ns = step.window.end_ns - step.window.begin_ns;
      input.times = step.times;
      input.flop = step.has_straddling_calls ? nullptr : &step.flop;
      BudgetSum sum;
      if (absl::Status status =
              Add(input, peaks, device.path, absl::StrCat("the budget of step ", k), sum);
          !status.ok()) {
        return status;
      }
      result.steps[step_row++].budget = sum.Lines();
    }
    if (!result.steady.has_value()) continue;
    const size_t first = result.steady_first_step;
    const size_t last = result.steady_last_step;
    const StepRange range = RangeOf(device, first, last);
    BudgetInput input = InputOf(device, 2 * first + 1, 2 * last + 1, true);
    input.window_ns = range.window_ns;
    input.times = range.times;
    input.flop = &range.flop;
    if (absl::Status status = Add(input, peaks, device.path, "the steady budget", steady);
        !status.ok()) {
      return status;
    }
  }
  const auto fill = [&](const BudgetSum& budget, WindowSummary& window) {
    window.budget = budget.Lines();
    window.budget_ns = budget.sum_ns();
    if (window.mfu.has_value()) {
      window.what_if = WhatIfs(budget, devices.size(), *window.mfu, slowest);
    }
  };
  fill(run, result.run);
  if (result.steady.has_value()) fill(steady, *result.steady);
  NoteNegative(run, result.quality.notes);
  return absl::OkStatus();
}

}  // namespace mfutrace::report
