// What we know about the communicators of this process, by their handles: NCCL has no way to ask a
// communicator which one it is, so identity is noted where it is made.
//
// Find is lock-free (every collective calls it); adding and removing take a lock. A handle may be
// reused by NCCL after ncclCommDestroy, so a communicator is removed before the call that frees it.
#pragma once

#include <atomic>
#include <cstdint>

#include "interpose/resolve.h"

namespace mfutrace::interpose {

// Identity of a communicator that exists or is being made.
struct CommunicatorIdentity {
  uint64_t id = 0;  // equal on all members; 0 = not known to us
  uint64_t parent_id = 0;
  int32_t rank = -1;
  int32_t size = 0;
  int32_t device = -1;
  int32_t split_color = -1;
  uint32_t split_index = 0;
  char name[64] = {};
};

struct Communicator {
  std::atomic<const void*> handle;
  CommunicatorIdentity identity;
  std::atomic<uint32_t> index;     // in the trace; 0 = not recorded yet
  std::atomic<uint32_t> sequence;  // collectives so far
  std::atomic<uint32_t> splits;    // children so far
};

// FNV-1a with a final mix. Equal bytes give equal ids on every rank; never 0.
uint64_t HashBytes(const void* bytes, uint64_t count, uint64_t seed = 0);
// The child that members of `parent_id` make by its n-th split with this colour.
uint64_t SplitId(uint64_t parent_id, uint32_t split_index, int32_t color);
// An id that no other process and no other call gives.
uint64_t PrivateId();

Communicator* FindCommunicator(const void* handle);
// Replaces what was known about the handle. nullptr if the table is full.
Communicator* AddCommunicator(const void* handle, const CommunicatorIdentity& identity);
void RemoveCommunicator(const void* handle);

// Its index in the trace, recorded at the first call. `library` (or nullptr) is asked for what the
// identity lacks; the communicator must be ready then, or NCCL prints a warning.
uint32_t IndexOf(Communicator& communicator, const VendorLibrary* library);

// windows.h declares it too: what the runtime asks when a window opens.
void ForEachSequence(void (*sink)(void* context, uint32_t communicator, uint32_t sequence),
                     void* context);

// Children whose handles are not known yet: non-blocking splits fill them in later. The first
// unknown handle that is used belongs to the only one waiting; where several wait, nothing is
// guessed.
void AddOrphan(const CommunicatorIdentity& identity);
bool TakeOnlyOrphan(CommunicatorIdentity* identity);

}  // namespace mfutrace::interpose
