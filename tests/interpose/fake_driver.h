// A CUDA driver of a few lines, for tests of the event back end: one device, contexts and streams
// that are numbers, events that complete when the test says so, and device time that the test sets.
// The device's memory is the program's own; a copy from it happens when the event behind it is seen
// complete, not before.
//
// Elapsed times are what the real driver returns: a float of milliseconds. The exact times are kept
// beside, for the test to compare with.
#pragma once

#include <cstdint>
#include <functional>

#include "interpose/driver.h"

namespace mfutrace::interpose {

class FakeDriver {
 public:
  // One at a time. `now` gives the device time at which an event recorded now completes.
  explicit FakeDriver(std::function<int64_t()> now);
  ~FakeDriver();
  FakeDriver(const FakeDriver&) = delete;
  FakeDriver& operator=(const FakeDriver&) = delete;

  // Exact device time of the n-th event recorded on this stream, from 0; the flusher's own stream
  // is kOwnStream.
  int64_t RecordedAt(uintptr_t stream, size_t n) const;
  size_t RecordedOn(uintptr_t stream) const;

  // Switches of the test; safe while calls run.
  void HoldCompletion(bool is_held);  // queries say "not ready"
  void Capture(uintptr_t stream);     // 0 = none; queries then count as broken captures
  void DestroyContext();              // everything on it fails from now on
  void FailCopies(bool fails);        // copies are refused
  uint64_t copies() const;            // that were asked for
  uint64_t copies_into_capture() const;
  uint64_t queries_outside_relaxed_mode() const;
  uint64_t records_into_capture() const;
  uint64_t live_events() const;

  static constexpr uintptr_t kContext = 0x1000;
  static constexpr uintptr_t kOwnStream = 0x2000;
};

}  // namespace mfutrace::interpose
