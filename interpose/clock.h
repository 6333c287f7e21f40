// The host's clocks, as the trace has them.
#pragma once

#include <cstdint>
#include <ctime>

namespace mfutrace::interpose {

inline int64_t NanosecondsOf(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

inline int64_t MonotonicNs() { return NanosecondsOf(CLOCK_MONOTONIC); }
inline int64_t RealtimeNs() { return NanosecondsOf(CLOCK_REALTIME); }

}  // namespace mfutrace::interpose
