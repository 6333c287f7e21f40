// FLOP sums, peaks and utilization. METHOD, "Utilization": the denominator is the sum over devices
// of window x peak; several formats add their utilizations; without a peak there is no MFU.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "report/analyze/results.h"
#include "report/model/user_peaks.h"
#include "shapes/peaks.h"

namespace mfutrace::report {

// Sums of nothing: all zero, or unknown for a source without shapes.
FlopSums NoFlop(bool has_shapes);
// Adds `calls` calls of an operation; collectives and what is not understood add nothing.
void AddCalls(FlopSums& sums, const Op& op, uint64_t calls);
// The sum of a known and an unknown is unknown.
void AddSums(FlopSums& sums, const FlopSums& other);

struct Peak {
  uint64_t flop_per_s = 0;
  std::string source;
};

class PeakTable {
 public:
  PeakTable(std::map<shapes::PeakRate, uint64_t> overrides, UserPeaks user_peaks);

  // --peak, then the user's file, then the built-in table. An f64 tensor rate that a GPU does not
  // have is its plain f64 rate.
  std::optional<Peak> Find(const std::string& gpu, shapes::PeakRate rate) const;
  // What `mfutrace peaks --measure` found on such a chip.
  std::optional<Peak> FindMeasured(const std::string& gpu, shapes::PeakRate rate) const;
  // The user's file, then the built-in table.
  std::optional<uint64_t> MemoryBytesPerSecond(const std::string& gpu) const;
  // True if the user's file or the built-in table has the GPU.
  bool Knows(const std::string& gpu) const;

 private:
  std::optional<Peak> FindExactly(const std::string& gpu, shapes::PeakRate rate) const;

  std::map<shapes::PeakRate, uint64_t> overrides_;
  UserPeaks user_peaks_;
};

// One device's part of a window.
struct DeviceWindow {
  std::string gpu;
  int64_t window_ns = 0;
  const FlopSums* flop = nullptr;
};

// Fills window_ns, flop, mfu, hfu, the single-peak figure and the peak of `summary`. Where there is
// no MFU, a sentence in `notes` says why.
void Utilize(std::span<const DeviceWindow> devices, const PeakTable& peaks, WindowSummary& summary,
             std::vector<std::string>& notes);

}  // namespace mfutrace::report
