// Kernels of no operation, put together over the devices of a run: by name, with what each source
// could tell of them.
#pragma once

#include <vector>

#include "report/analyze/results.h"
#include "report/analyze/summary.h"

namespace mfutrace::report {

// Most time first, then most launches, then by name.
std::vector<OtherKernel> MergeOtherKernels(const std::vector<DeviceSummary>& devices);

}  // namespace mfutrace::report
