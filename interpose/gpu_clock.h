// Brackets one piece of GPU work with two timing events on the caller's stream.
//
// (Essay to be completed by its author: what an event pair measures and what not, pools, epochs,
// captures, contexts, CUDA_DEVICE_MAX_CONNECTIONS=1.)
//
// Runs on the job's own threads, between its API calls, so: no allocation on the steady path, no
// locks held across vendor calls, and never a synchronising CUDA call. When the pool is empty the call
// goes untimed and is counted; an untimed call is worth more than a late one. CUDA is reached only
// through the driver library already in the process (never linked, never loaded by us).
#pragma once

#include <cstdint>

namespace mfutrace::interpose {

// An event pair in flight; shared by the calls of one NCCL group on one stream. 0 = untimed.
struct Bracket {
  uint32_t pair = 0;
};

// Records the first event on `stream` of the calling thread's current context. An empty bracket where
// timing is off, the stream is capturing, the pool is empty or CUDA says no; the reason is counted.
Bracket OpenBracket(void* stream);
// Records the second event. A bracket whose second event fails becomes untimed.
void CloseBracket(Bracket bracket, void* stream);
// One more call refers to this bracket. It starts with one share, every RecordHeld takes one over, and
// the flusher may read and recycle the pair as soon as all are recorded: whoever records several calls
// takes a share before each, and gives back the first at last (DiscardBracket).
void ShareBracket(Bracket bracket);
// Gives one share back: the bracketed call failed, or the holder has no more calls to record.
void DiscardBracket(Bracket bracket);

// True while `stream` is being captured: the call runs zero times now. False where that cannot be told.
bool IsCapturing(void* stream);

}  // namespace mfutrace::interpose
