// Why two runs differ: a change of MFU as a sum of the budget's parts, and what grew.
//
// MFU is U / W: the time U that the model's FLOPs take at the peak, over the step's W, which is the
// sum of the budget's parts. From run 0 to run 1
//
//   U1/W1 - U0/W0 = dU (1/W0 + 1/W1) / 2 - Um / (W0 W1) sum over parts of dw,   Um = (U0 + U1) / 2
//
// so a part that takes as long as before explains nothing, and the terms add up to the change. The
// term of U itself, as work and as time, is one part: "work".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gate/observation.h"

namespace mfutrace::gate {

struct Term {
  std::string part;   // of the budget; "work" for the model's FLOPs
  double old_ns = 0;  // of a step of a device
  double new_ns = 0;
  double mfu_change = 0;
};

struct Explanation {
  double old_mfu = 0;  // of the budgets' steps
  double new_mfu = 0;
  double old_step_ns = 0;
  double new_step_ns = 0;
  std::vector<Term> terms;  // in the budget's order; their mfu_change sum to the change
};

// nullopt where one of them has no budget with an MFU in it.
std::optional<Explanation> Explain(const Observation& before, const Observation& after);

// How a part of the budget is called on pages.
std::string PartName(const std::string& part);

struct Growth {
  std::string name;
  double ns_per_step = 0;
  double calls_per_step = 0;
};

// Operations whose time (or, without times, whose calls) changed, most first; at most `count`.
std::vector<Growth> Changes(const Observation& before, const Observation& after, size_t count,
                            bool by_calls);

// "step 412.6 -> 432.0 ms: exposed communication +9.6 ms (allreduce ... +8.9)"; empty if nothing is
// known.
std::string Cause(const Observation& before, const Observation& after, const Metric& metric);

}  // namespace mfutrace::gate
