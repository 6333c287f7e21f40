// NCCL groups of one thread. Between ncclGroupStart and the outermost ncclGroupEnd nothing is
// launched: calls are held, and recorded together when the group has ended well, all calls on one
// stream with one bracket around the real ncclGroupEnd.
//
// State is per thread, as NCCL's own. Memory for held calls comes from the kernel at a thread's
// first grouped call and goes back to a free list when the group ends.
#pragma once

#include <cstdint>

#include "interpose/recorder.h"
#include "interpose/shadow.h"

namespace mfutrace::interpose::group {

bool IsOpen();
void Start();
// True if this end closes the outermost group: brackets are opened on all streams seen.
bool OpensBrackets();
// After the real ncclGroupEnd. `was_launched`: it succeeded and the work has been enqueued, so the
// brackets mean something; `has_succeeded` without it: recorded, not timed.
void End(bool has_succeeded, bool was_launched, const VendorLibrary& library);

// The outermost or an inner end at which nothing is launched: what is held has not run.
void Forget();

// False if there is no room (the caller records the call at once, without a bracket).
bool Hold(const OpenCall& call, void* stream);
// The call that was held last; until the group ends.
OpenCall& Last();
// A communicator whose handle NCCL writes to `*handle` when the group ends.
bool HoldCreation(void** handle, const CommunicatorIdentity& identity);

}  // namespace mfutrace::interpose::group
