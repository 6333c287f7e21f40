// ncclGroupStart/End of the calling thread: what a group collects and how it is launched.
#pragma once

#include <nccl.h>

#include <functional>
#include <string>

#include "nccl/communicator.h"

namespace simgpu {

// A communicator being made, in two steps that a group runs for all of its communicators one after
// the other: first what lets the others go on, then what waits for them.
struct Construction {
  CommunicatorRef owner;  // the one that is made, or the parent: in progress meanwhile
  std::function<ncclResult_t()> prepare;
  std::function<ncclResult_t()> finish;
};

ncclResult_t BeginGroup();
ncclResult_t EndGroup();
// Ends the group, and forgets what the outermost one holds.
ncclResult_t DropGroup();
// Inside a group: kept until its end. Outside: done now. Where a communicator is not blocking the
// work is done on another thread, and the answer is that it is in progress.
ncclResult_t AddCall(const CommunicatorRef& communicator, const Element& element);
ncclResult_t AddConstruction(Construction construction);
// A wrong argument also spoils the group the call is in. Returns `result`.
ncclResult_t Fail(ncclResult_t result, const std::string& why);
const char* LastError();

}  // namespace simgpu
