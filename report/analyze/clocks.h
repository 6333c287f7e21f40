// One time axis for all ranks, from what they have in common: a collective that everybody must
// join ends for everybody at about the same moment.
//
// Of every communicator, the offset between two members is the median difference of their ends,
// with a slope where the drift over the run is more than the noise (Theil and Sen's estimator:
// stragglers and outliers do not move it). Communicators share members, which gives a graph;
// offsets follow its spanning tree of least noise and, where it has loops, are refined against the
// median of all the others. No collective over all ranks is needed. Pairs of messages, and a host
// that two devices share, connect what collectives leave apart.
//
// What is left over (the interquartile range of a device's residuals) is the error bar: no skew
// below it means anything.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "report/analyze/match.h"
#include "report/analyze/summary.h"

namespace mfutrace::report {

// aligned = t + offset_ns + drift x (t - at_ns)
struct DeviceClock {
  int64_t at_ns = 0;
  int64_t offset_ns = 0;
  double drift = 0;  // ns per ns; drift_ppm is 1e6 times that
  std::optional<int64_t> residual_ns;
  uint32_t component = 0;  // only devices of one component have comparable times
  uint32_t observations = 0;

  int64_t Aligned(int64_t time_ns) const {
    return time_ns + offset_ns + static_cast<int64_t>(drift * static_cast<double>(time_ns - at_ns));
  }
};

struct EndSpread {
  int64_t median_ns = 0;
  int64_t p95_ns = 0;
  int64_t max_ns = 0;
};

struct Clocks {
  std::vector<DeviceClock> devices;
  std::optional<int64_t> residual_ns;   // the largest of the devices'
  std::optional<EndSpread> end_spread;  // over collectives, after alignment
  uint64_t collectives = 0;             // that were looked at
  uint64_t impossible = 0;              // of them: somebody began after somebody else had ended
};

Clocks AlignClocks(std::span<const DeviceSummary> devices, const MatchResult& match);

// Median line through (time, difference) points, robust against a minority of any values. Exposed
// for tests.
struct RobustLine {
  int64_t at_ns = 0;
  int64_t offset_ns = 0;
  double slope = 0;
  int64_t spread_ns = 0;  // interquartile range of the residuals
};
struct ClockPoint {
  int64_t time_ns;
  int64_t difference_ns;
};
RobustLine FitRobustLine(std::span<const ClockPoint> points);

}  // namespace mfutrace::report
