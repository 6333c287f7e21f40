// libmfutrace_nccl.so: a profiler plugin of NCCL, for copies of NCCL whose calls cannot be
// intercepted (linked statically, called by libraries loaded RTLD_DEEPBIND).
//
// NCCL tells of a collective on the thread that calls it, before anything is launched, and of the
// group around it; that is what the hooks see of an intercepted call, so it goes the same way:
// held, and recorded with its group, one bracket a stream. The peer of a message is told when the
// group is launched, and put into the call that is held. Version 4 of the interface tells of
// calls only when they are launched, without their streams: those are counted, not timed.
//
// Nothing is counted twice: a copy of NCCL that is called through the hooks is not profiled at all,
// and a call that is inside an intercepted one belongs to that.
//
// Handles that NCCL keeps are places in static pools: one that NCCL uses too late is harmless.
#include <atomic>
#include <cstring>
#include <new>

#include <pthread.h>

#include "interpose/clock.h"
#include "interpose/memory.h"
#include "interpose/nccl/profiler_interface.h"
#include "interpose/nccl_door.h"
#include "trace/format.h"

extern "C" [[gnu::weak]] const mfutrace::interpose::NcclDoor* mfutrace_nccl_door(uint32_t version);

namespace mfutrace::interpose::nccl {
namespace {

using shapes::CollectiveKind;
using shapes::Dtype;

constexpr uint32_t kMaxContexts = 4096;
constexpr uint32_t kMaxGroups = 256;
constexpr uint32_t kMaxMessages = 256;  // of a group, whose peers are learnt
constexpr int kSuccess = 0;

const NcclDoor* DoorOfCore() {
  return &mfutrace_nccl_door != nullptr ? mfutrace_nccl_door(kNcclDoorVersion) : nullptr;
}

// A communicator.
struct Context {
  std::atomic<uint32_t> is_used;
  std::atomic<uint32_t> index;     // in the trace; 0 = no call yet
  std::atomic<uint32_t> sequence;  // calls so far
  uint64_t id;
  int32_t rank;
  int32_t size;
  char name[64];
};

// A message that is held; its address stands for it.
struct Message {
  OpenCall* call;
  const Context* context;
  Entry entry;
  shapes::Collective collective;
};

// A group of one thread, from its first call to its end. A call outside a group is one of its own.
struct Group {
  std::atomic<uint32_t> is_used;
  pthread_t thread;
  bool is_inside_another;  // of a copy of NCCL that is intercepted: its calls are not held
  bool was_launched;       // on the thread itself, so that brackets mean something
  char calls;              // its address stands for the collectives of the group
  uint32_t message_count;
  Message messages[kMaxMessages];
};

struct Pools {
  Context contexts[kMaxContexts];
  Group groups[kMaxGroups];
};
constinit std::atomic<Pools*> g_pools{nullptr};

Pools* ThePools() {
  Pools* pools = g_pools.load(std::memory_order_acquire);
  if (pools != nullptr) return pools;
  void* memory = MapPages(sizeof(Pools));
  if (memory == nullptr) return nullptr;
  if (g_pools.compare_exchange_strong(pools, static_cast<Pools*>(memory))) {
    return static_cast<Pools*>(memory);
  }
  UnmapPages(memory, sizeof(Pools));
  return pools;
}

template <typename Item, uint32_t kCount>
Item* Take(Item (&items)[kCount]) {
  for (Item& item : items) {
    uint32_t expected = 0;
    if (item.is_used.load(std::memory_order_relaxed) == 0 &&
        item.is_used.compare_exchange_strong(expected, 1, std::memory_order_acquire)) {
      return &item;
    }
  }
  return nullptr;
}

// The group that an event belongs to, by its parent; nullptr: not one of ours.
Group* GroupOf(void* handle) {
  Pools* pools = g_pools.load(std::memory_order_acquire);
  if (handle == nullptr || pools == nullptr) return nullptr;
  const auto at = reinterpret_cast<uintptr_t>(handle);
  const auto first = reinterpret_cast<uintptr_t>(pools->groups);
  if (at < first || at >= first + sizeof pools->groups) return nullptr;
  return &pools->groups[(at - first) / sizeof(Group)];
}

bool IsGroupItself(void* handle, const Group& group) { return handle == &group; }

struct Function {
  const char* name;  // ncclFuncToString of NCCL
  Entry entry;
  CollectiveKind kind;
};
constexpr Function kFunctions[] = {
    {"AllReduce", Entry::k_ncclAllReduce, CollectiveKind::kAllReduce},
    {"AllGather", Entry::k_ncclAllGather, CollectiveKind::kAllGather},
    {"ReduceScatter", Entry::k_ncclReduceScatter, CollectiveKind::kReduceScatter},
    {"Broadcast", Entry::k_ncclBroadcast, CollectiveKind::kBroadcast},
    {"Reduce", Entry::k_ncclReduce, CollectiveKind::kReduce},
    {"AlltoAll", Entry::k_ncclAlltoAll, CollectiveKind::kAllToAll},
    {"Gather", Entry::k_ncclGather, CollectiveKind::kGather},
    {"Scatter", Entry::k_ncclScatter, CollectiveKind::kScatter},
    {"Send", Entry::k_ncclSend, CollectiveKind::kSend},
    {"Recv", Entry::k_ncclRecv, CollectiveKind::kRecv}};

struct TypeName {
  const char* name;  // ncclDatatypeToString of NCCL
  Dtype dtype;
};
constexpr TypeName kTypeNames[] = {
    {"ncclFloat32", Dtype::kF32},       {"ncclBfloat16", Dtype::kBf16},
    {"ncclFloat16", Dtype::kF16},       {"ncclInt8", Dtype::kI8},
    {"ncclUint8", Dtype::kU8},          {"ncclInt32", Dtype::kI32},
    {"ncclUint32", Dtype::kU32},        {"ncclInt64", Dtype::kI64},
    {"ncclUint64", Dtype::kU64},        {"ncclFloat64", Dtype::kF64},
    {"ncclFloat8e4m3", Dtype::kF8E4M3}, {"ncclFloat8e5m2", Dtype::kF8E5M2}};

Dtype DtypeNamed(const char* name) {
  for (const TypeName& known : kTypeNames) {
    if (name != nullptr && std::strcmp(known.name, name) == 0) return known.dtype;
  }
  return Dtype::kUnknown;  // NCCL 2.28 calls ncclUint8 "Unknown"
}

uint32_t IndexOf(const NcclDoor& door, Context& context) {
  uint32_t index = context.index.load(std::memory_order_acquire);
  if (index != 0) return index;
  CommunicatorFacts facts;
  facts.id = context.id;
  facts.rank = context.rank;
  facts.size = context.size;
  facts.name = context.name[0] != '\0' ? context.name : nullptr;
  index = door.record_communicator(facts);
  uint32_t expected = 0;
  if (!context.index.compare_exchange_strong(expected, index)) index = expected;
  return index;
}

struct Call {
  const char* function;
  const char* type_name;
  size_t count;
  int peer;  // or root; -1: not told, or none
  void* stream;
};

// Held with its group, or recorded at once without a time.
// Returns what stands for a held message.
Message* OnCall(const NcclDoor& door, Context& context, const Call& call, Group* group) {
  const Function* function = nullptr;
  for (const Function& known : kFunctions) {
    if (call.function != nullptr && std::strcmp(known.name, call.function) == 0) function = &known;
  }
  if (function == nullptr || !door.is_wanted(function->entry)) return nullptr;
  shapes::Collective collective;
  collective.count = call.count;
  collective.kind = function->kind;
  collective.dtype = DtypeNamed(call.type_name);
  collective.reduction = UINT8_MAX;  // not told
  collective.rank_count = static_cast<uint32_t>(context.size);
  const bool has_root =
      function->kind == CollectiveKind::kBroadcast || function->kind == CollectiveKind::kReduce ||
      function->kind == CollectiveKind::kGather || function->kind == CollectiveKind::kScatter ||
      function->kind == CollectiveKind::kSend || function->kind == CollectiveKind::kRecv;
  collective.peer = has_root ? call.peer : -1;
  const uint32_t signature =
      door.intern_collective(collective, IndexOf(door, context), function->entry);
  const uint32_t sequence = context.sequence.fetch_add(1, std::memory_order_relaxed) + 1;
  OpenCall open = door.hold_call(signature, call.stream, sequence);
  open.host_end_ns = MonotonicNs();
  door.count(Counter::kPluginCalls, 1);
  if (group == nullptr || group->is_inside_another || !door.group_hold(open, call.stream)) {
    door.record_held(open, Bracket{});
    return nullptr;
  }
  const bool is_message =
      function->kind == CollectiveKind::kSend || function->kind == CollectiveKind::kRecv;
  if (!is_message || group->message_count == kMaxMessages) return nullptr;
  Message& message = group->messages[group->message_count++];
  message = {&door.group_last(), &context, function->entry, collective};
  return &message;
}

// On the group's own thread, where what it holds is still there.
void OnPeer(const NcclDoor& door, void* handle, int peer) {
  Group* group = GroupOf(handle);
  if (group == nullptr || pthread_equal(group->thread, pthread_self()) == 0) return;
  for (uint32_t i = 0; i < group->message_count; ++i) {
    Message& message = group->messages[i];
    if (&message != handle) continue;
    message.collective.peer = peer;
    message.call->signature = door.intern_collective(
        message.collective, message.context->index.load(std::memory_order_relaxed), message.entry);
  }
}

// --- what NCCL calls ----------------------------------------------------------------------------

int Init(void** handle, int* mask, uint64_t wanted, const char* name, uint64_t communicator,
         int ranks, int rank, Logger logger) {
  const ErrnoGuard keep_errno;
  *handle = nullptr;
  *mask = 0;
  const NcclDoor* door = DoorOfCore();
  Pools* pools = ThePools();
  if (door == nullptr || pools == nullptr) return kSuccess;
  if (door->is_hooked(reinterpret_cast<const void*>(logger)) || !door->observing()) return kSuccess;
  Context* context = Take(pools->contexts);
  if (context == nullptr) return kSuccess;
  context->index.store(0, std::memory_order_relaxed);
  context->sequence.store(0, std::memory_order_relaxed);
  context->id = communicator;
  context->rank = rank;
  context->size = ranks;
  context->name[0] = '\0';
  if (name != nullptr) std::strncpy(context->name, name, sizeof context->name - 1);
  *handle = context;
  *mask = static_cast<int>(wanted);
  return kSuccess;
}

int Init4(void** context, int* mask, const char* name, uint64_t communicator, int, int ranks,
          int rank, Logger logger) {
  return Init(context, mask, kCollective | kMessage, name, communicator, ranks, rank, logger);
}

template <uint64_t kMore>
int Init5(void** context, uint64_t communicator, int* mask, const char* name, int, int ranks,
          int rank, Logger logger) {
  constexpr uint64_t kWanted =
      kGroupCall | kCollectiveCall | kMessageCall | kMessage | kKernelLaunch | kMore;
  return Init(context, mask, kWanted, name, communicator, ranks, rank, logger);
}

int Start4(void* handle, void** event, Event4* description) {
  const ErrnoGuard keep_errno;
  *event = nullptr;
  const NcclDoor* door = DoorOfCore();
  auto* context = static_cast<Context*>(handle);
  if (door == nullptr || context == nullptr || !door->observing() ||
      door->is_inside_call(__builtin_frame_address(0))) {
    return kSuccess;
  }
  if (description->type == kCollective) {
    const auto& told = description->collective;
    OnCall(*door, *context, {told.function, told.type_name, told.count, told.root, nullptr},
           nullptr);
  } else if (description->type == kMessage) {
    const auto& told = description->message;
    OnCall(*door, *context, {told.function, told.type_name, told.count, told.peer, nullptr},
           nullptr);
  }
  return kSuccess;
}

void* StartGroup(const NcclDoor& door) {
  Pools* pools = ThePools();
  Group* group = pools != nullptr ? Take(pools->groups) : nullptr;
  if (group == nullptr) return nullptr;
  group->thread = pthread_self();
  group->was_launched = false;
  group->message_count = 0;
  group->is_inside_another = door.group_is_open();
  if (!group->is_inside_another) door.group_start();
  return group;
}

int Start5(void* handle, void** event, Event5* description) {
  const ErrnoGuard keep_errno;
  *event = nullptr;
  const NcclDoor* door = DoorOfCore();
  auto* context = static_cast<Context*>(handle);
  if (door == nullptr || context == nullptr) return kSuccess;
  Group* group = GroupOf(description->parent);
  switch (description->type) {
    case kGroupCall:
      if (door->observing() && !door->is_inside_call(__builtin_frame_address(0))) {
        *event = StartGroup(*door);
      }
      break;
    case kCollectiveCall:
      if (!door->observing() || door->is_inside_call(__builtin_frame_address(0))) break;
      OnCall(*door, *context,
             {description->collective_call.function, description->collective_call.type_name,
              description->collective_call.count, description->collective_call.root,
              description->collective_call.stream},
             group);
      if (group != nullptr) *event = &group->calls;
      break;
    case kMessageCall:
      if (!door->observing() || door->is_inside_call(__builtin_frame_address(0))) break;
      *event = OnCall(*door, *context,
                      {description->message_call.function, description->message_call.type_name,
                       description->message_call.count, -1, description->message_call.stream},
                      group);
      break;
    case kMessage:
      OnPeer(*door, description->parent, description->message.peer);
      break;
    case kKernelLaunch:
    case kCopyEngineCollective:
      // A non-blocking communicator's work is launched by a thread of NCCL's, after the group's
      // end.
      if (group != nullptr && pthread_equal(group->thread, pthread_self()) != 0) {
        group->was_launched = true;
      }
      break;
    default:
      break;
  }
  return kSuccess;
}

int Stop(void* event) {
  const ErrnoGuard keep_errno;
  const NcclDoor* door = DoorOfCore();
  Group* group = GroupOf(event);
  if (door == nullptr || group == nullptr || !IsGroupItself(event, *group)) return kSuccess;
  if (!group->is_inside_another) {
    static constinit const VendorLibrary kNone = {};
    door->group_end(true, group->was_launched, kNone);
  }
  group->message_count = 0;
  group->is_used.store(0, std::memory_order_release);
  return kSuccess;
}

int RecordState(void* event, int state, void*) {
  const ErrnoGuard keep_errno;
  const NcclDoor* door = DoorOfCore();
  Group* group = GroupOf(event);
  if (door == nullptr || group == nullptr || !IsGroupItself(event, *group)) return kSuccess;
  if (state == kGroupEndBegins && !group->is_inside_another) door->group_opens_brackets();
  return kSuccess;
}

int Finalize(void* handle) {
  const ErrnoGuard keep_errno;
  const NcclDoor* door = DoorOfCore();
  auto* context = static_cast<Context*>(handle);
  if (door == nullptr || context == nullptr) return kSuccess;
  const uint32_t index = context->index.load(std::memory_order_acquire);
  if (index != 0) {
    door->record_communicator_end(index,
                                  static_cast<uint8_t>(trace::CommunicatorEvent::kDestroyed));
  }
  context->is_used.store(0, std::memory_order_release);
  return kSuccess;
}

}  // namespace
}  // namespace mfutrace::interpose::nccl

// NCCL looks for the newest that it knows.
extern "C" {
#define MFU_PLUGIN __attribute__((visibility("default"))) extern
MFU_PLUGIN const mfutrace::interpose::nccl::Profiler4 ncclProfiler_v4;
MFU_PLUGIN const mfutrace::interpose::nccl::Profiler5 ncclProfiler_v5;
MFU_PLUGIN const mfutrace::interpose::nccl::Profiler5 ncclProfiler_v6;
#undef MFU_PLUGIN

const mfutrace::interpose::nccl::Profiler4 ncclProfiler_v4 = {
    "mfutrace",
    mfutrace::interpose::nccl::Init4,
    mfutrace::interpose::nccl::Start4,
    mfutrace::interpose::nccl::Stop,
    mfutrace::interpose::nccl::RecordState,
    mfutrace::interpose::nccl::Finalize};
const mfutrace::interpose::nccl::Profiler5 ncclProfiler_v5 = {
    "mfutrace",
    mfutrace::interpose::nccl::Init5<0>,
    mfutrace::interpose::nccl::Start5,
    mfutrace::interpose::nccl::Stop,
    mfutrace::interpose::nccl::RecordState,
    mfutrace::interpose::nccl::Finalize};
const mfutrace::interpose::nccl::Profiler5 ncclProfiler_v6 = {
    "mfutrace",
    mfutrace::interpose::nccl::Init5<mfutrace::interpose::nccl::kCopyEngineCollective>,
    mfutrace::interpose::nccl::Start5,
    mfutrace::interpose::nccl::Stop,
    mfutrace::interpose::nccl::RecordState,
    mfutrace::interpose::nccl::Finalize};
}
