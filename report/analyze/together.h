// Everything that needs several ranks at once: clocks, waiting, who came last. Called once, when
// all timelines are in; it uses up the records of collectives.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/analyze/clocks.h"
#include "report/analyze/lateness.h"
#include "report/analyze/match.h"
#include "report/analyze/results.h"
#include "report/analyze/stragglers.h"
#include "report/analyze/strategy.h"
#include "report/analyze/summary.h"
#include "report/analyze/waits.h"

namespace mfutrace::report {

struct Together {
  MatchResult match;
  Clocks clocks;
  WaitResult waits;
  std::vector<Verdict> verdicts;  // as MatchResult::groups
  std::vector<StragglerResult> stragglers;
  LatenessSums lateness;
};

// Fills DeviceSummary::waits, ::strategies and the waiting in ::exposed. What could not be put
// together is a sentence in `notes`.
Together PutTogether(std::vector<DeviceSummary>& devices, uint32_t world_size, const Layout& layout,
                     std::vector<std::string>& notes);

// nullopt for one device, or where nothing connects any two.
std::optional<ClockResult> ClockOf(const std::vector<DeviceSummary>& devices, const Clocks& clocks);

}  // namespace mfutrace::report
