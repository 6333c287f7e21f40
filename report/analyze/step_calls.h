// Calls of each operation by step, without times that vary: what gates compare exactly and diffs
// compare per step. One pass over a timeline; rows of all devices are merged in Finish.
//
// A call belongs to the step in whose launch window it begins, or to the step before it where steps
// have gaps between them. Calls that were counted without a record belong to a step only if all of
// them do; otherwise the steps they may be part of are unclear and no gate uses them.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "report/analyze/results.h"
#include "report/analyze/steps.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

struct DeviceSummary;

// Of one device. `StepCalls::communicator` is the key of match.h.
struct DeviceStepCalls {
  std::vector<StepCalls> rows;
  std::vector<uint32_t> unclear_steps;  // ascending
};

DeviceStepCalls StepCallsOf(const Timeline& timeline, const StepWindows& steps);

// Sums over devices, in order of label, communicator and what else a row is told by.
void FillStepCalls(std::span<const DeviceSummary> devices, RunResult& result);

}  // namespace mfutrace::report
