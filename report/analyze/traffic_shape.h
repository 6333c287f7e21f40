// What a device's calls on one communicator look like: the evidence from which a strategy is told.
// Mergeable sums, over the members of a communicator and over communicators of one kind.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "report/analyze/steps.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

inline constexpr size_t kCollectiveKinds = 11;  // shapes::CollectiveKind
inline constexpr size_t kStepBins = 10;

struct TrafficShape {
  std::array<uint64_t, kCollectiveKinds> calls = {};
  std::array<uint64_t, kCollectiveKinds> bytes = {};               // saturating
  std::map<std::pair<uint8_t, uint64_t>, uint64_t> calls_by_size;  // (kind, bytes); bounded
  std::array<std::array<uint64_t, kStepBins>, kCollectiveKinds> calls_by_position =
      {};  // in a step
  uint64_t calls_in_steps = 0;
  uint64_t steps = 0;  // of the devices together
  uint64_t devices = 0;
  uint64_t message_intervals = 0;  // with sends or receives
  uint64_t two_way_intervals = 0;  // of them, with both
  uint64_t on_compute_stream = 0;  // calls on a stream that also computes
  uint64_t timed_calls = 0;
  std::set<std::pair<int32_t, int32_t>> messages;  // (from, to) in ranks of the communicator
  int64_t busy_ns = 0;
  int64_t exposed_ns = 0;
  uint64_t order = UINT64_MAX;  // of first use among the device's communicators

  TrafficShape& operator+=(const TrafficShape& other);
  uint64_t total_calls() const;
  uint64_t messages_sent() const;
  uint64_t largest_bytes() const;
  // Share of all calls that have the most frequent operation and size.
  double SameSizeShare() const;
  // Share of the calls in steps of one kind that begin in the first quarter or so of their step.
  double EarlyShare(shapes::CollectiveKind kind) const;
};

// By communicator. Times of exposure are filled by the caller.
std::vector<TrafficShape> TrafficShapesOf(const Timeline& timeline, const StepWindows& steps);

}  // namespace mfutrace::report
