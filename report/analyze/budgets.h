// Budgets of the run, its steady part, every rank and every step, and the waiting of ranks.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "report/analyze/mfu.h"
#include "report/analyze/results.h"
#include "report/analyze/summary.h"
#include "report/analyze/waits.h"

namespace mfutrace::report {

// Of one rank, over its communicators.
void FillWaits(const DeviceSummary& device, const std::vector<GroupWaits>& groups, RankResult& row);

// Needs everything else of `result` that is told by window. kInternal if a budget does not sum to
// its window.
absl::Status FillBudgets(const std::vector<DeviceSummary>& devices, const PeakTable& peaks,
                         const WaitResult& waits, RunResult& result);

}  // namespace mfutrace::report
