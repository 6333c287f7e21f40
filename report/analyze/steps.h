// Steps: where they begin and end, and which of them are warm-up. Marks of the source if it has
// any, else the period of the call sequence (native traces); no convincing period, no steps.
//
// The period. Each call is a token (its operation, which holds shape, formats and communicator).
// The true period makes *every* token recur, the once-a-step ones too; inner repeats (layers,
// micro- batches) only the frequent ones. Candidates are the distances between occurrences of the
// rarest tokens; each is scored over all positions and over kinds of token, each kind weighing the
// same; the smallest candidate close to the best of both wins.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "report/model/timeline.h"

namespace mfutrace::report {

struct Period {
  size_t lag = 0;
  double match = 0;  // share of positions whose token recurs one period later
};

// nullopt if nothing repeats convincingly at least twice.
std::optional<Period> FindPeriod(std::span<const uint32_t> tokens);

struct StepWindow {
  std::string name;  // empty for steps found by period
  Interval device;   // on the device's clock; on the host's where the source has no device times
  Interval launch;   // on the host's clock: calls that begin in it belong to the step
  bool has_gap_after = false;  // a timed window ends between it and the next step
};

struct StepWindows {
  std::vector<StepWindow> windows;  // disjoint, ascending on both clocks
  bool are_marks = false;
};

StepWindows FindSteps(const Timeline& timeline);

// Index of the first step that is no warm-up, from the durations of the steps of one timeline: the
// first after the leading ones that take longer than steps take once settled.
uint32_t FirstSteadyStep(std::span<const int64_t> durations_ns);

}  // namespace mfutrace::report
