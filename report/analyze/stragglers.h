// Who is slow, and what of it: products (the same work takes longer), the clock (all products
// longer by one factor), the host (the device has nothing to do), or a link (transfers of one size
// take longer than in other communicators of the same axis).
//
// A rank that comes last to a collective made the others wait; what it had done more of than its
// peers since they were together last is the cause. If that was waiting in another communicator,
// the blame goes on to whoever it waited for there, until it ends in compute or host. A verdict
// needs persistence: ten steps at least, and the cause in four fifths of them; and it needs effect:
// waiting of others that is worth telling.
#pragma once

#include <span>
#include <vector>

#include "report/analyze/match.h"
#include "report/analyze/results.h"
#include "report/analyze/strategy.h"
#include "report/analyze/summary.h"
#include "report/analyze/waits.h"

namespace mfutrace::report {

std::vector<StragglerResult> FindStragglers(std::span<const DeviceSummary> devices,
                                            const MatchResult& match, const WaitResult& waits,
                                            std::span<const Verdict> verdicts);

}  // namespace mfutrace::report
