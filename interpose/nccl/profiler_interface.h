// The part of NCCL's profiler plugin interface that the plugin reads: versions 4 (NCCL 2.27), 5
// (2.28) and 6 (2.30). Layouts and meaning: plugins/profiler/README.md and
// src/include/plugin/profiler/profiler_v{4,5,6}.h of NCCL 2.30.7. The interface is not in nccl.h,
// hence the offsets that are asserted here; bools and enums that are not read are left out.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mfutrace::interpose::nccl {

// Bits of the activation mask, and types of events.
enum EventType : uint64_t {
  kCollective = 1 << 1,  // being launched; version 4 has nothing earlier
  kMessage = 1 << 2,
  kGroupCall = 1 << 8,       // from the first call to the end of the outermost group, one thread
  kCollectiveCall = 1 << 9,  // inside it, on the caller's thread
  kMessageCall = 1 << 10,
  kKernelLaunch = 1 << 11,
  kCopyEngineCollective = 1 << 12  // version 6
};

inline constexpr int kGroupEndBegins = 24;  // state of a group call

struct Event4 {
  uint8_t type;
  void* parent;
  int rank;
  union {
    struct {
      uint64_t sequence;
      const char* function;
      const void* send;
      void* receive;
      size_t count;
      int root;
      const char* type_name;
    } collective;
    struct {
      const char* function;
      void* buffer;
      const char* type_name;
      size_t count;
      int peer;
    } message;
  };
};
static_assert(offsetof(Event4, collective.count) == 56 && offsetof(Event4, collective.root) == 64 &&
              offsetof(Event4, collective.type_name) == 72);
static_assert(offsetof(Event4, message.count) == 48 && offsetof(Event4, message.peer) == 56);

// Version 6 begins alike.
struct Event5 {
  uint64_t type;
  void* parent;
  int rank;
  union {
    struct {
      const char* function;
      size_t count;
      const char* type_name;
      int root;
      void* stream;
    } collective_call;
    struct {
      const char* function;
      size_t count;
      const char* type_name;
      void* stream;
    } message_call;
    struct {
      const char* function;
      void* buffer;
      const char* type_name;
      size_t count;
      int peer;
    } message;
  };
};
static_assert(offsetof(Event5, collective_call.root) == 48 &&
              offsetof(Event5, collective_call.stream) == 56);
static_assert(offsetof(Event5, message_call.stream) == 48 && offsetof(Event5, message.peer) == 56);

using Logger = void (*)(int level, unsigned long flags, const char* file, int line,
                        const char* format, ...);

// Results are ncclResult_t, states an enum; nullptr where an event is not followed.
struct Profiler4 {
  const char* name;
  int (*init)(void** context, int* mask, const char* name, uint64_t communicator, int nodes,
              int ranks, int rank, Logger logger);
  int (*start)(void* context, void** event, Event4* description);
  int (*stop)(void* event);
  int (*record_state)(void* event, int state, void* arguments);
  int (*finalize)(void* context);
};

struct Profiler5 {
  const char* name;
  int (*init)(void** context, uint64_t communicator, int* mask, const char* name, int nodes,
              int ranks, int rank, Logger logger);
  int (*start)(void* context, void** event, Event5* description);
  int (*stop)(void* event);
  int (*record_state)(void* event, int state, void* arguments);
  int (*finalize)(void* context);
};

}  // namespace mfutrace::interpose::nccl
