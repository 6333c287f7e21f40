// See nccl_door.h.
#include "interpose/nccl_door.h"

#include "interpose/hook.h"

namespace mfutrace::interpose {
namespace {

constexpr NcclDoor kDoor = {kNcclDoorVersion,
                            IsHookedNccl,
                            IsInsideCall,
                            Observing,
                            IsWanted,
                            RecordCommunicator,
                            RecordCommunicatorEnd,
                            InternCollective,
                            HoldCall,
                            RecordHeld,
                            Count,
                            group::IsOpen,
                            group::Start,
                            group::OpensBrackets,
                            group::Hold,
                            group::Last,
                            group::End};

}  // namespace
}  // namespace mfutrace::interpose

extern "C" __attribute__((visibility("default"))) const mfutrace::interpose::NcclDoor*
mfutrace_nccl_door(uint32_t version) {
  return version == mfutrace::interpose::kNcclDoorVersion ? &mfutrace::interpose::kDoor : nullptr;
}
