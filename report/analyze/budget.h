// From 100 % of the peak down to MFU, in nanoseconds that sum exactly to the window.
//
//   W = MFU + recompute + roofline + below_peak + other_compute + exposed + memory + idle
//
// MFU is what the model's FLOPs take at the peaks of their formats; recompute what the executed
// ones take beyond that; roofline what their least bytes take beyond the FLOPs; below_peak the rest
// of the time in kernels whose FLOPs are counted (|K|); other_compute the rest of C. Exposed time
// is told by strategy, and as waiting and transfer where ranks could be put together.
//
// What is not known merges with its neighbour: without GPU times the window but for MFU and
// recompute is `unattributed`, without a peak |K| is `counted_kernels`, where kernels can be unseen
// idle time is `unattributed`. Calls without GPU times take their share of that from
// `unattributed`, so nothing is counted twice. A part may come out negative (a wrong peak); it is
// shown as it is.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "report/analyze/mfu.h"
#include "report/analyze/results.h"
#include "report/analyze/summary.h"

namespace mfutrace::report {

// Mergeable: sums of lines over devices.
class BudgetSum {
 public:
  void Add(const std::string& name, const std::string& strategy, int64_t ns);
  void Add(const BudgetSum& other);
  // In the order in which a page tells them. Lines of 0 ns are left out, MFU excepted.
  std::vector<BudgetLine> Lines() const;
  int64_t sum_ns() const;
  int64_t Of(const std::string& name) const;  // over strategies

 private:
  std::map<std::pair<std::string, std::string>, int64_t> lines_;  // (name, strategy)
};

// One device and window of it.
struct BudgetInput {
  std::string gpu;
  int64_t window_ns = 0;
  TimeKnowledge knowledge = TimeKnowledge::kNothing;
  StateTimes times;
  const FlopSums* flop = nullptr;  // nullptr: unknown in this window
  // Exposed time by communicator, the last without one.
  std::vector<int64_t> shared_ns;
  std::vector<int64_t> matched_ns;
  std::vector<int64_t> wait_ns;
  std::vector<std::string> strategies;  // by communicator; empty text: unknown
};

BudgetSum BudgetOf(const BudgetInput& input, const PeakTable& peaks);

// Of pieces [first, last] of a device (summary.h tells what a piece is).
// Without gaps: pieces outside the timed windows are left out.
BudgetInput InputOf(const DeviceSummary& device, size_t first_piece, size_t last_piece,
                    bool is_without_gaps = false);

// MFU if one thing were different and all else took as long as it did.
std::vector<WhatIf> WhatIfs(const BudgetSum& budget, size_t devices, double mfu,
                            double share_of_slowest);

}  // namespace mfutrace::report
