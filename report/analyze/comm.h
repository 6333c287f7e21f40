// Communication: what each timeline did on each communicator, joined over timelines by id.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "report/analyze/results.h"
#include "report/analyze/strategy.h"
#include "report/analyze/summary.h"
#include "report/analyze/waits.h"

namespace mfutrace::report {

// Fills the communicator_* members of the summary but the times, which come from the sweep.
void SummarizeCommunicators(const Timeline& timeline, const std::vector<uint64_t>& calls_by_op,
                            DeviceSummary& summary);

// One row a communicator, most time first. World ranks of members come from the members themselves.
// Communication outside any known communicator is a row with an empty id, if there is any.
// Waiting and strategy are those of the groups, as far as they know the communicator.
std::vector<CommunicatorResult> MergeCommunicators(std::span<const DeviceSummary> devices,
                                                   std::span<const GroupWaits> groups,
                                                   std::span<const Verdict> verdicts);

}  // namespace mfutrace::report
