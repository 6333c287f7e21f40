// The run step by step, over all ranks: what a chart of MFU over time draws.
#pragma once

#include <vector>

#include "report/analyze/results.h"

namespace mfutrace::report {

// Neighbouring steps share a point where there are more than `limit`, their extremes kept: a spike
// survives.
std::vector<CoursePoint> CourseOf(const std::vector<StepResult>& steps, size_t limit);

}  // namespace mfutrace::report
