// Time splits from state times, and their sums over devices. What a source cannot know becomes
// nullopt here, in one place.
#pragma once

#include <cstdint>

#include "report/analyze/intervals.h"
#include "report/analyze/results.h"

namespace mfutrace::report {

// What a timeline's works tell.
enum class TimeKnowledge : uint8_t {
  kNothing,     // no device times: the window alone
  kBrackets,    // intercepted calls only: the rest of the window is unattributed, copies are unseen
  kAllKernels,  // every kernel: the rest of the window is idle
};

TimeSplit SplitOf(const StateTimes& times, TimeKnowledge knowledge);
TimeSplit SplitOfWindow(int64_t window_ns);

// Adds splits of several devices. Devices without device times are left out where others have them
// (then window_ns is the sum over those that do), so that the parts still sum to the window.
class SplitSum {
 public:
  void Add(const TimeSplit& split);
  TimeSplit total() const;
  uint32_t devices_without_times() const { return devices_without_times_; }

 private:
  TimeSplit timed_;
  int64_t untimed_window_ns_ = 0;
  uint32_t devices_with_times_ = 0;
  uint32_t devices_without_times_ = 0;
};

}  // namespace mfutrace::report
