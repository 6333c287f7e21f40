// Who comes late to collectives, step by step: the matrix of rank and time behind the heat map.
//
// Lateness is a rank's aligned begin minus that of the first member, in collectives that everybody
// must join and that all members recorded. It says nothing below the clocks' residual. Rank order
// and merging by host are settled once world ranks are known.
#pragma once

#include <span>
#include <vector>

#include "report/analyze/clocks.h"
#include "report/analyze/match.h"
#include "report/analyze/results.h"
#include "report/analyze/summary.h"

namespace mfutrace::report {

// By device, then step.
struct LatenessSums {
  struct Cell {
    int64_t sum_ns = 0;
    uint64_t collectives = 0;
  };
  std::vector<std::vector<Cell>> cells;
};

LatenessSums MeasureLateness(std::span<const DeviceSummary> devices, const MatchResult& match,
                             const Clocks& clocks);

// At most `columns` buckets and `rows` rows; ranks of a host share one beyond that.
LatenessMap LatenessMapOf(const LatenessSums& sums, std::span<const DeviceSummary> devices,
                          size_t columns, size_t rows);

}  // namespace mfutrace::report
