// Kernels of no intercepted call in a native file: by name, in time, and as launches; and when a
// back end that sees them was at work.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "report/model/timeline.h"
#include "trace/format.h"

namespace mfutrace::report {

// One stretch of one back end, up to the next.
struct TimingPeriod {
  int64_t begin_ns = 0;  // host
  std::string backend;
  std::string reason;
};

// True if CUPTI was at work but for a hundredth of the window: only then is what it did not see
// idle time.
bool SeesAllKernels(const std::vector<TimingPeriod>& periods, const Interval& host_window);

// Says so where the back end changed after CUPTI had been at work.
void NoteTimingChanges(const std::vector<TimingPeriod>& periods, int64_t start_ns,
                       const std::string& file, Quality& quality);

// `family` as in trace::ForeignKernels.
Work ForeignWork(Interval time, uint32_t stream, uint8_t family);

class OtherKernels {
 public:
  void AddSum(const trace::ForeignKernels& sum, const std::string& name);
  void AddLaunches(const trace::KernelLaunches& launches, const std::string& name);
  // The name's index in the timeline.
  uint32_t NameIn(Timeline& timeline, const trace::ForeignEach& each, const std::string& name);

  void Fill(Timeline& timeline) const;
  // Launches are the process's, whatever the device.
  void FillLaunches(Timeline& timeline) const;

 private:
  std::map<std::pair<int32_t, std::string>, OtherKernel> sums_;    // by device and name
  std::map<uint32_t, std::pair<std::string, uint64_t>> launches_;  // by string
  std::map<std::pair<int32_t, uint32_t>, uint32_t> names_;         // by device and string
};

}  // namespace mfutrace::report
