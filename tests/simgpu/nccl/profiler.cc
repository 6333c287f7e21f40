// See profiler.h.
#include "nccl/profiler.h"

#include <dlfcn.h>
#include <strings.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

namespace simgpu {
namespace {

// Types of events are bits of the mask that the plugin answers with.
enum : uint64_t {
  kGroup = 1 << 0,
  kColl = 1 << 1,
  kP2p = 1 << 2,
  kGroupApi = 1 << 8,
  kCollApi = 1 << 9,
  kP2pApi = 1 << 10,
  kKernelLaunch = 1 << 11,
  kCeColl = 1 << 12
};
enum State : int { kGroupStartApiStop = 23, kGroupEndApiStart = 24 };

struct Description4 {
  uint8_t type;
  void* parentObj;
  int rank;
  union {
    struct {
      uint64_t seqNumber;
      const char* func;
      const void* sendBuff;
      void* recvBuff;
      size_t count;
      int root;
      const char* datatype;
      uint8_t nChannels;
      uint8_t nWarps;
      const char* algo;
      const char* proto;
    } coll;
    struct {
      const char* func;
      void* buff;
      const char* datatype;
      size_t count;
      int peer;
      uint8_t nChannels;
    } p2p;
    char room[64];
  };
};

struct Description5 {
  uint64_t type;
  void* parentObj;
  int rank;
  union {
    struct {
      bool graphCaptured;
      int groupDepth;
    } groupApi;
    struct {
      const char* func;
      size_t count;
      const char* datatype;
      int root;
      void* stream;
      bool graphCaptured;
    } collApi;
    struct {
      const char* func;
      size_t count;
      const char* datatype;
      void* stream;
      bool graphCaptured;
    } p2pApi;
    struct {
      void* stream;
    } kernelLaunch;
    struct {
      const char* func;
      void* buff;
      const char* datatype;
      size_t count;
      int peer;
      uint8_t nChannels;
      void* parentGroup;
    } p2p;
    struct {  // of version 6
      uint64_t seqNumber;
      const char* func;
      const void* sendBuff;
      void* recvBuff;
      size_t count;
      int root;
      const char* datatype;
      const char* syncStrategy;
      bool intraBatchSync;
      uint32_t batchSize;
      uint32_t numBatches;
      uint32_t ceSeqNum;
      void* stream;
    } ceColl;
    char room[128];
  };
};

using LogFunction = void (*)(int, unsigned long, const char*, int, const char*, ...);

template <typename Description>
struct Table {
  const char* name;
  void* init;
  ncclResult_t (*startEvent)(void* context, void** handle, Description* description);
  ncclResult_t (*stopEvent)(void* handle);
  ncclResult_t (*recordEventState)(void* handle, State state, void* arguments);
  ncclResult_t (*finalize)(void* context);
};
using Init4 = ncclResult_t (*)(void**, int*, const char*, uint64_t, int, int, int, LogFunction);
using Init5 = ncclResult_t (*)(void**, uint64_t, int*, const char*, int, int, int, LogFunction);

// A function of this copy of NCCL: plugins tell copies apart by it.
void Log(int, unsigned long, const char*, int, const char*, ...) {}

struct Plugin {
  const Table<Description4>* v4 = nullptr;
  const Table<Description5>* v5 = nullptr;
  bool has_copy_events = false;  // version 6, which is 5 and more types of events
  int mask = 0;                  // one for all communicators, as in NCCL
};

Plugin OpenPlugin() {
  Plugin plugin;
  const char* named = std::getenv("NCCL_PROFILER_PLUGIN");
  if (named != nullptr && strcasecmp(named, "none") == 0) return plugin;
  const std::string file = named == nullptr || *named == '\0' ? "libnccl-profiler.so"
                                                              : std::string(named).substr(0, 254);
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr && file.find('/') == std::string::npos) {
    library = dlopen(("libnccl-profiler-" + file + ".so").c_str(), RTLD_NOW | RTLD_LOCAL);
  }
  if (library == nullptr) return plugin;
  const char* newest = std::getenv("SIMGPU_NCCL_PROFILER");
  if (newest != nullptr && std::atoi(newest) >= 6) {
    plugin.v5 = static_cast<const Table<Description5>*>(dlsym(library, "ncclProfiler_v6"));
    plugin.has_copy_events = plugin.v5 != nullptr;
  }
  if (plugin.v5 == nullptr && (newest == nullptr || std::atoi(newest) >= 5)) {
    plugin.v5 = static_cast<const Table<Description5>*>(dlsym(library, "ncclProfiler_v5"));
  }
  if (plugin.v5 == nullptr) {
    plugin.v4 = static_cast<const Table<Description4>*>(dlsym(library, "ncclProfiler_v4"));
  }
  return plugin;
}

Plugin& ThePlugin() {
  static Plugin plugin = OpenPlugin();
  return plugin;
}

bool UsesCopyEngines() {
  const char* asked = std::getenv("SIMGPU_NCCL_COPY_ENGINES");
  return asked != nullptr && *asked == '1';
}

// "ncclAllReduce" -> "AllReduce".
const char* FunctionText(const Element& element) { return element.function + 4; }

// NCCL's own list has no ncclUint8.
const char* TypeText(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
      return "ncclInt8";
    case ncclInt32:
      return "ncclInt32";
    case ncclUint32:
      return "ncclUint32";
    case ncclInt64:
      return "ncclInt64";
    case ncclUint64:
      return "ncclUint64";
    case ncclFloat16:
      return "ncclFloat16";
    case ncclFloat32:
      return "ncclFloat32";
    case ncclFloat64:
      return "ncclFloat64";
    case ncclBfloat16:
      return "ncclBfloat16";
    case ncclFloat8e4m3:
      return "ncclFloat8e4m3";
    case ncclFloat8e5m2:
      return "ncclFloat8e5m2";
    default:
      return "Unknown";
  }
}

bool IsMessages(const Element& element) {
  const std::string name = FunctionText(element);
  const bool moves_parts = name == "AlltoAll" || name == "Gather" || name == "Scatter";
  return element.transfer != Transfer::kCollective || (moves_parts && !UsesCopyEngines());
}

// What NCCL can leave to the copy engines where all buffers lie in symmetric windows.
bool IsCopied(const Element& element) {
  const std::string name = FunctionText(element);
  return UsesCopyEngines() && element.transfer == Transfer::kCollective &&
         (name == "AllGather" || name == "AlltoAll" || name == "Gather" || name == "Scatter");
}

template <typename Send>
void ForEachMessage(const Communicator& communicator, const Element& element, const Send& send) {
  const std::string name = FunctionText(element);
  if (element.transfer != Transfer::kCollective) {
    send(FunctionText(element), element.peer);
    return;
  }
  // NCCL carries these out as messages, and tells of them alone.
  const bool to_all = name == "AlltoAll";
  const bool is_root = element.peer == communicator.rank;
  for (int peer = 0; peer < communicator.size; ++peer) {
    if (to_all || (name == "Scatter" && is_root)) send("Send", peer);
    if (to_all || (name == "Gather" && is_root)) send("Recv", peer);
  }
  if (name == "Gather") send("Send", element.peer);
  if (name == "Scatter") send("Recv", element.peer);
}

}  // namespace

void ProfilerInit(Communicator* communicator) {
  Plugin& plugin = ThePlugin();
  static std::mutex one_at_a_time;
  const std::lock_guard<std::mutex> held(one_at_a_time);
  const char* name = communicator->name.empty() ? nullptr : communicator->name.c_str();
  if (plugin.v5 != nullptr) {
    reinterpret_cast<Init5>(plugin.v5->init)(&communicator->profiler, communicator->key,
                                             &plugin.mask, name, 1, communicator->size,
                                             communicator->rank, Log);
  } else if (plugin.v4 != nullptr) {
    reinterpret_cast<Init4>(plugin.v4->init)(&communicator->profiler, &plugin.mask, name,
                                             communicator->key, 1, communicator->size,
                                             communicator->rank, Log);
  }
}

void ProfilerFinalize(Communicator* communicator) {
  const Plugin& plugin = ThePlugin();
  if (communicator->profiler == nullptr) return;
  if (plugin.v5 != nullptr) plugin.v5->finalize(communicator->profiler);
  if (plugin.v4 != nullptr) plugin.v4->finalize(communicator->profiler);
  communicator->profiler = nullptr;
}

void ProfiledGroup::OnCall(const Communicator& communicator, const Element& element, int depth) {
  const Plugin& plugin = ThePlugin();
  if (plugin.v5 == nullptr || plugin.mask == 0) return;
  if (!started_) {
    started_ = true;
    Description5 group{};
    group.type = kGroupApi;
    group.groupApi.groupDepth = depth;
    plugin.v5->startEvent(communicator.profiler, &group_, &group);
    if (group_ != nullptr) plugin.v5->recordEventState(group_, kGroupStartApiStop, nullptr);
  }
  void* handle = nullptr;
  if (!IsMessages(element)) {
    if ((static_cast<uint64_t>(plugin.mask) & kCollApi) == 0) return;
    Description5 call{};
    call.type = kCollApi;
    call.parentObj = group_;
    call.collApi = {FunctionText(element), element.count,  TypeText(element.type),
                    element.peer,          element.stream, false};
    if (std::strcmp(element.function, "ncclBcast") == 0) call.collApi.func = "Broadcast";
    plugin.v5->startEvent(communicator.profiler, &handle, &call);
    last_call_ = handle;
    if (handle != nullptr) plugin.v5->stopEvent(handle);
    return;
  }
  if ((static_cast<uint64_t>(plugin.mask) & kP2pApi) == 0) return;
  ForEachMessage(communicator, element, [&](const char* function, int) {
    Description5 call{};
    call.type = kP2pApi;
    call.parentObj = group_;
    call.p2pApi = {function, element.count, TypeText(element.type), element.stream, false};
    plugin.v5->startEvent(communicator.profiler, &handle, &call);
    messages_[&communicator].push_back(handle);
    if (handle != nullptr) plugin.v5->stopEvent(handle);
    handle = nullptr;
  });
}

void ProfiledGroup::EndBegins() {
  if (group_ != nullptr) ThePlugin().v5->recordEventState(group_, kGroupEndApiStart, nullptr);
}

void ProfiledGroup::Ended() {
  if (group_ != nullptr) ThePlugin().v5->stopEvent(group_);
  group_ = nullptr;
  started_ = false;
  messages_.clear();
}

void ProfiledGroup::LaunchBegins(const Communicator& communicator,
                                 const std::vector<Element>& elements) {
  const Plugin& plugin = ThePlugin();
  launch_ = nullptr;
  const Element& first = elements.front();
  if (IsCopied(first)) {
    if (!plugin.has_copy_events || (static_cast<uint64_t>(plugin.mask) & kCeColl) == 0) return;
    Description5 copy{};
    copy.type = kCeColl;
    copy.parentObj = last_call_;
    copy.rank = communicator.rank;
    copy.ceColl.func = FunctionText(first);
    copy.ceColl.count = first.count;
    copy.ceColl.root = first.peer;
    copy.ceColl.datatype = TypeText(first.type);
    copy.ceColl.stream = first.stream;
    plugin.v5->startEvent(communicator.profiler, &launch_, &copy);
    return;
  }
  if (plugin.v5 == nullptr || (static_cast<uint64_t>(plugin.mask) & kKernelLaunch) == 0) return;
  Description5 launch{};
  launch.type = kKernelLaunch;
  launch.parentObj = group_;
  launch.kernelLaunch.stream = first.stream;
  plugin.v5->startEvent(communicator.profiler, &launch_, &launch);
}

void ProfiledGroup::LaunchEnded(const Communicator& communicator,
                                const std::vector<Element>& elements) {
  const Plugin& plugin = ThePlugin();
  if (launch_ != nullptr) plugin.v5->stopEvent(launch_);
  if (plugin.v5 != nullptr && (static_cast<uint64_t>(plugin.mask) & kP2p) != 0) {
    const std::vector<void*>& calls = messages_[&communicator];
    size_t next = 0;
    for (const Element& element : elements) {
      if (!IsMessages(element)) continue;
      ForEachMessage(communicator, element, [&](const char* function, int peer) {
        Description5 message{};
        message.type = kP2p;
        message.parentObj = next < calls.size() ? calls[next++] : nullptr;
        message.rank = communicator.rank;
        message.p2p.func = function;
        message.p2p.count = element.count;
        message.p2p.datatype = TypeText(element.type);
        message.p2p.peer = peer;
        void* handle = nullptr;
        plugin.v5->startEvent(communicator.profiler, &handle, &message);
        if (handle != nullptr) plugin.v5->stopEvent(handle);
      });
    }
  }
  if (plugin.v4 == nullptr || plugin.mask == 0) return;
  std::vector<void*> open;
  const auto start = [&](Description4* description) {
    void* handle = nullptr;
    description->rank = communicator.rank;
    plugin.v4->startEvent(communicator.profiler, &handle, description);
    if (handle != nullptr) open.push_back(handle);
  };
  if ((static_cast<uint64_t>(plugin.mask) & kGroup) != 0) {
    Description4 group{};
    group.type = kGroup;
    start(&group);
  }
  for (const Element& element : elements) {
    if (!IsMessages(element)) {
      if ((static_cast<uint64_t>(plugin.mask) & kColl) == 0) continue;
      Description4 call{};
      call.type = kColl;
      call.coll.func = FunctionText(element);
      if (std::strcmp(element.function, "ncclBcast") == 0) call.coll.func = "Broadcast";
      call.coll.count = element.count;
      call.coll.datatype = TypeText(element.type);
      call.coll.root = element.peer;
      // NCCL moves these as bytes.
      if (std::strcmp(call.coll.func, "AllGather") == 0 ||
          std::strcmp(call.coll.func, "Broadcast") == 0) {
        call.coll.count *= BytesOf(element.type);
        call.coll.datatype = "ncclInt8";
      }
      start(&call);
      continue;
    }
    if ((static_cast<uint64_t>(plugin.mask) & kP2p) == 0) continue;
    ForEachMessage(communicator, element, [&](const char* function, int peer) {
      Description4 call{};
      call.type = kP2p;
      call.p2p.func = function;
      call.p2p.count = element.count;
      call.p2p.datatype = TypeText(element.type);
      call.p2p.peer = peer;
      start(&call);
    });
  }
  for (size_t i = open.size(); i-- > 0;) plugin.v4->stopEvent(open[i]);
}

}  // namespace simgpu
