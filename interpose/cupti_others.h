// Other clients of CUPTI in this process (Kineto, most of all), and the way out of theirs.
//
// CUPTI has one place for a subscriber and one pair of functions that hand out buffers: who comes
// last has them. So the calls by which somebody begins to use it are intercepted, and before such a
// call reaches CUPTI we have left: calls are timed by events from then on (YieldCupti). When they
// have unsubscribed and disabled what they enabled, or finalized CUPTI, the flusher comes back.
//
// Kept for the process, not the session: a profiler may be there before the first call of ours.
// Our own calls never come here (cupti_door.h, Settings::find). Clients with a CUPTI linked into
// them, and Nsight's, are met when the place is found taken.
#pragma once

#include "interpose/graph_hooks.h"

namespace mfutrace::interpose {

void BeforeCuptiCall(const GraphCall& call);
void AfterCuptiCall(const GraphCall& call, int status);

// True while somebody else uses CUPTI, as far as its calls tell.
bool OthersUseCupti();

}  // namespace mfutrace::interpose
