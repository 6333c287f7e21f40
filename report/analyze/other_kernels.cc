// See other_kernels.h.
#include "report/analyze/other_kernels.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "report/analyze/rates.h"

namespace mfutrace::report {

std::vector<OtherKernel> MergeOtherKernels(const std::vector<DeviceSummary>& devices) {
  std::map<std::string, OtherKernel> by_name;
  for (const DeviceSummary& device : devices) {
    for (const OtherKernel& kernel : device.other_kernels) {
      AddTo(by_name[kernel.name], kernel);
    }
  }
  std::vector<OtherKernel> merged;
  for (auto& [name, kernel] : by_name) {
    merged.push_back(std::move(kernel));
    merged.back().name = name;
  }
  std::stable_sort(merged.begin(), merged.end(), [](const OtherKernel& a, const OtherKernel& b) {
    return std::tuple(a.time_ns.value_or(-1), a.launches.value_or(0)) >
           std::tuple(b.time_ns.value_or(-1), b.launches.value_or(0));
  });
  return merged;
}

}  // namespace mfutrace::report
