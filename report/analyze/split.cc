// Splits and their sums.
#include "report/analyze/split.h"

#include <optional>

namespace mfutrace::report {
namespace {

void AddTo(std::optional<int64_t>& sum, std::optional<int64_t> value) {
  if (value.has_value()) sum = sum.value_or(0) + *value;
}

// Idle time and copies of one device next to a device where they are part of the unattributed rest:
// only the rest is known of both.
void ForgetIdle(TimeSplit& split) {
  const int64_t rest_ns = split.idle_ns.value_or(0) + split.mem_only_ns.value_or(0);
  if (split.idle_ns.has_value() || split.mem_only_ns.has_value()) {
    split.unattributed_ns = split.unattributed_ns.value_or(0) + rest_ns;
  }
  split.idle_ns.reset();
  split.mem_only_ns.reset();
}

}  // namespace

TimeSplit SplitOf(const StateTimes& times, TimeKnowledge knowledge) {
  if (knowledge == TimeKnowledge::kNothing) return SplitOfWindow(times.window_ns());
  TimeSplit split;
  split.window_ns = times.window_ns();
  split.compute_ns = times.compute_ns();
  split.comm_ns = times.communication_ns();
  split.compute_only_ns = times.compute_only_ns();
  split.overlapped_ns = times.overlapped_ns();
  split.exposed_ns = times.exposed_ns();
  if (knowledge == TimeKnowledge::kAllKernels) {
    split.mem_only_ns = times.mem_only_ns();
    split.idle_ns = times.idle_ns();
  } else {
    split.unattributed_ns = times.idle_ns() + times.mem_only_ns();
  }
  return split;
}

TimeSplit SplitOfWindow(int64_t window_ns) {
  TimeSplit split;
  split.window_ns = window_ns;
  return split;
}

void SplitSum::Add(const TimeSplit& split) {
  if (!split.compute_ns.has_value()) {
    untimed_window_ns_ += split.window_ns;
    ++devices_without_times_;
    return;
  }
  TimeSplit added = split;
  if (devices_with_times_ > 0 && added.idle_ns.has_value() != timed_.idle_ns.has_value()) {
    ForgetIdle(added);
    ForgetIdle(timed_);
  }
  ++devices_with_times_;
  timed_.window_ns += added.window_ns;
  AddTo(timed_.compute_ns, added.compute_ns);
  AddTo(timed_.comm_ns, added.comm_ns);
  AddTo(timed_.compute_only_ns, added.compute_only_ns);
  AddTo(timed_.overlapped_ns, added.overlapped_ns);
  AddTo(timed_.exposed_ns, added.exposed_ns);
  AddTo(timed_.mem_only_ns, added.mem_only_ns);
  AddTo(timed_.idle_ns, added.idle_ns);
  AddTo(timed_.unattributed_ns, added.unattributed_ns);
}

TimeSplit SplitSum::total() const {
  return devices_with_times_ > 0 ? timed_ : SplitOfWindow(untimed_window_ns_);
}

}  // namespace mfutrace::report
