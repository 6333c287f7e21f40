// The door between libmfutrace.so and libmfutrace_nccl.so, a profiler plugin of NCCL.
//
// NCCL loads the plugin itself (NCCL_PROFILER_PLUGIN), also where it is linked statically and no
// call of it can be intercepted; the plugin then says here what NCCL tells it. It is a library of
// its own, so that a job without NCCL never maps it. Both sides are built together; the version
// says whether they were installed together too.
//
// Everything but `is_hooked` and `is_inside_call` is the function of the same name in recorder.h,
// counters.h or group.h, with its rules.
#pragma once

#include <cstdint>

#include "interpose/group.h"
#include "interpose/recorder.h"

namespace mfutrace::interpose {

inline constexpr uint32_t kNcclDoorVersion = 2;

struct NcclDoor {
  uint32_t version;
  // Calls into the copy of NCCL that has this address are intercepted already.
  bool (*is_hooked)(const void* address);
  // The calling thread, whose frame this is, is inside an intercepted call.
  bool (*is_inside_call)(const void* frame);
  bool (*observing)();
  bool (*is_wanted)(Entry entry);
  uint32_t (*record_communicator)(const CommunicatorFacts& facts);
  void (*record_communicator_end)(uint32_t index, uint8_t event);
  uint32_t (*intern_collective)(const shapes::Collective& collective, uint32_t communicator,
                                Entry entry);
  OpenCall (*hold_call)(uint32_t signature, void* stream, uint32_t sequence);
  void (*record_held)(const OpenCall& call, Bracket bracket);
  void (*count)(Counter counter, uint64_t by);
  bool (*group_is_open)();
  void (*group_start)();
  bool (*group_opens_brackets)();
  bool (*group_hold)(const OpenCall& call, void* stream);
  OpenCall& (*group_last)();
  void (*group_end)(bool has_succeeded, bool was_launched, const VendorLibrary& library);
};

}  // namespace mfutrace::interpose

// nullptr if the plugin is of another version. Weak in the plugin: absent without the preload.
extern "C" const mfutrace::interpose::NcclDoor* mfutrace_nccl_door(uint32_t version);
