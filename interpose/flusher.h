// The one thread of the library: takes records off the rings, reads their GPU times, writes blocks.
//
// Runs with all signals blocked (so that a file size limit's SIGXFSZ stays pending here instead of
// ending the job), wakes every MFUTRACE_FLUSH_MS or when a ring or an event pool runs low, and does
// the last round itself when the exit handler asks for it. Nothing else writes to the trace, and no
// other thread reads GPU events.
#pragma once

#include <cstdint>

namespace mfutrace::interpose {

struct Session;
struct Flusher;

// Maps the flusher's data and starts its thread. False if either fails.
bool StartFlusher(Session& session);

// In a child of fork: closes the descriptor it inherited, and nothing else.
void CloseInherited(Flusher& flusher);

}  // namespace mfutrace::interpose
