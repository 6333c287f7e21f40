// The tracing session with CUPTI behind cupti_door.h: kinds of records, buffers, and what each
// record means. Records of calls' own interest go to tickets.h, the rest to foreign.h.
//
// CUPTI calls back on its own threads, on the flusher's (a flush) and, for an empty buffer, on the
// job's. A completed buffer is read under one lock, which no function that the job's threads call
// takes.
#include <cerrno>
#include <cstring>

#include <unistd.h>

#include "interpose/cupti/cupti_library.h"
#include "interpose/cupti/etiquette.h"
#include "interpose/cupti/foreign.h"
#include "interpose/cupti/tickets.h"
#include "interpose/cupti_door.h"
#include "interpose/lock.h"
#include "interpose/memory.h"

namespace mfutrace::interpose::cupti {
namespace {

constexpr size_t kBufferBytes = size_t{512} << 10;
constexpr uint32_t kSpareBuffers = 64;
constexpr uint32_t kVersionOfCuda12_6 = 24;  // cupti_version.h
constexpr auto kIdKind = CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM2;

// Driver and runtime calls that put work on a device. Only for these are API records made, and with
// them the records that tie a launch to a ticket; where CUPTI cannot choose (before 12.3), for all.
constexpr CUpti_CallbackId kDriverLaunches[] = {
    CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel,
    CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel_ptsz,
    CUPTI_DRIVER_TRACE_CBID_cuLaunchKernelEx,
    CUPTI_DRIVER_TRACE_CBID_cuLaunchKernelEx_ptsz,
    CUPTI_DRIVER_TRACE_CBID_cuLaunchCooperativeKernel,
    CUPTI_DRIVER_TRACE_CBID_cuLaunchCooperativeKernel_ptsz,
    CUPTI_DRIVER_TRACE_CBID_cuGraphLaunch,
    CUPTI_DRIVER_TRACE_CBID_cuGraphLaunch_ptsz,
    CUPTI_DRIVER_TRACE_CBID_cuMemcpyAsync,
    CUPTI_DRIVER_TRACE_CBID_cuMemcpyDtoDAsync_v2,
    CUPTI_DRIVER_TRACE_CBID_cuMemcpyHtoDAsync_v2,
    CUPTI_DRIVER_TRACE_CBID_cuMemcpyDtoHAsync_v2,
    CUPTI_DRIVER_TRACE_CBID_cuMemsetD8Async,
    CUPTI_DRIVER_TRACE_CBID_cuMemsetD32Async,
};
constexpr CUpti_CallbackId kRuntimeLaunches[] = {
    CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernel_v7000,
    CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernel_ptsz_v7000,
    CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernelExC_v11060,
    CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernelExC_ptsz_v11060,
    CUPTI_RUNTIME_TRACE_CBID_cudaLaunchCooperativeKernel_v9000,
    CUPTI_RUNTIME_TRACE_CBID_cudaLaunchCooperativeKernel_ptsz_v9000,
    CUPTI_RUNTIME_TRACE_CBID_cudaGraphLaunch_v10000,
    CUPTI_RUNTIME_TRACE_CBID_cudaGraphLaunch_ptsz_v10000,
    CUPTI_RUNTIME_TRACE_CBID_cudaMemcpyAsync_v3020,
    CUPTI_RUNTIME_TRACE_CBID_cudaMemcpyAsync_ptsz_v7000,
    CUPTI_RUNTIME_TRACE_CBID_cudaMemsetAsync_v3020,
    CUPTI_RUNTIME_TRACE_CBID_cudaMemsetAsync_ptsz_v7000,
};
constexpr CUpti_ActivityKind kWorkKinds[] = {
    CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMSET,
    CUPTI_ACTIVITY_KIND_GRAPH_TRACE, CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION};

// One for the process, never destroyed.
struct Session {
  CuptiLibrary cupti;
  bool is_found;
  bool is_each;
  std::atomic<bool> is_running;
  uint32_t version;
  pid_t pid;  // that started it

  Lock buffer_lock;
  uint8_t* spare[kSpareBuffers];
  uint32_t spare_count;

  Lock consumer_lock;
  Tickets tickets;
  Foreign foreign;
  uint64_t dropped;
};
Session g_session;

void RequestBuffer(uint8_t** buffer, size_t* size, size_t* most_records) {
  const ErrnoGuard keep_errno;
  *most_records = 0;
  *size = kBufferBytes;
  {
    LockGuard guard(g_session.buffer_lock);
    if (g_session.spare_count != 0) {
      *buffer = g_session.spare[--g_session.spare_count];
      return;
    }
  }
  *buffer = static_cast<uint8_t*>(MapPages(kBufferBytes));
  if (*buffer == nullptr) *size = 0;
}

void GiveBack(uint8_t* buffer) {
  {
    LockGuard guard(g_session.buffer_lock);
    if (g_session.spare_count < kSpareBuffers) {
      g_session.spare[g_session.spare_count++] = buffer;
      return;
    }
  }
  UnmapPages(buffer, kBufferBytes);
}

// Records begin alike in all versions of a kind since CUDA 11.1: later ones only append.
template <typename Record>
DeviceWork WorkOf(const Record& record, const char* name, Family family, bool is_graph = false) {
  return {static_cast<int32_t>(record.deviceId),
          record.streamId,
          static_cast<int64_t>(record.start),
          static_cast<int64_t>(record.end),
          name,
          family,
          is_graph};
}

void OnRecord(const CUpti_Activity& record) {
  Session& session = g_session;
  switch (record.kind) {
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
      const auto& kernel = reinterpret_cast<const CUpti_ActivityKernel10&>(record);
      const char* name = kernel.name == nullptr ? "" : kernel.name;
      session.tickets.OnWork(kernel.correlationId,
                             WorkOf(kernel, name, FamilyOf(name), kernel.graphId != 0));
      return;
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const auto& copy = reinterpret_cast<const CUpti_ActivityMemcpy6&>(record);
      session.tickets.OnWork(copy.correlationId, WorkOf(copy, "", Family::kCopy));
      return;
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
      const auto& fill = reinterpret_cast<const CUpti_ActivityMemset4&>(record);
      session.tickets.OnWork(fill.correlationId, WorkOf(fill, "", Family::kCopy));
      return;
    }
    case CUPTI_ACTIVITY_KIND_GRAPH_TRACE: {
      const auto& graph = reinterpret_cast<const CUpti_ActivityGraphTrace2&>(record);
      session.tickets.OnWork(graph.correlationId, WorkOf(graph, "CUDA graph", Family::kKernel));
      return;
    }
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION: {
      const auto& tie = reinterpret_cast<const CUpti_ActivityExternalCorrelation&>(record);
      if (tie.externalKind == kIdKind) session.tickets.OnLaunch(tie.correlationId, tie.externalId);
      return;
    }
    default:
      return;
  }
}

void CompleteBuffer(CUcontext context, uint32_t stream, uint8_t* buffer, size_t, size_t valid) {
  const ErrnoGuard keep_errno;
  Session& session = g_session;
  {
    LockGuard guard(session.consumer_lock);
    CUpti_Activity* record = nullptr;
    while (valid != 0 &&
           session.cupti.activity_get_next_record(buffer, valid, &record) == CUPTI_SUCCESS) {
      OnRecord(*record);
    }
    size_t dropped = 0;
    if (session.cupti.activity_get_num_dropped_records != nullptr &&
        session.cupti.activity_get_num_dropped_records(context, stream, &dropped) ==
            CUPTI_SUCCESS) {
      session.dropped += dropped;
    }
  }
  GiveBack(buffer);
}

// True if nobody holds CUPTI's one place for subscribers. It is left free again at once.
bool IsFree(const CuptiLibrary& cupti) {
  CUpti_SubscriberHandle subscriber = nullptr;
  if (cupti.subscribe(
          &subscriber, [](void*, CUpti_CallbackDomain, CUpti_CallbackId, const void*) {},
          nullptr) != CUPTI_SUCCESS) {
    return false;
  }
  cupti.unsubscribe(subscriber);
  return true;
}

bool ChooseApis(const CuptiLibrary& cupti, bool is_on) {
  const auto enable = is_on ? cupti.activity_enable : cupti.activity_disable;
  bool has_driver = cupti.activity_enable_driver_api != nullptr;
  bool has_runtime = cupti.activity_enable_runtime_api != nullptr;
  if (has_driver) {
    has_driver = false;
    for (const CUpti_CallbackId call : kDriverLaunches) {
      has_driver |= cupti.activity_enable_driver_api(call, is_on) == CUPTI_SUCCESS;
    }
  }
  if (has_runtime) {
    has_runtime = false;
    for (const CUpti_CallbackId call : kRuntimeLaunches) {
      has_runtime |= cupti.activity_enable_runtime_api(call, is_on) == CUPTI_SUCCESS;
    }
  }
  if (!has_driver) has_driver = enable(CUPTI_ACTIVITY_KIND_DRIVER) == CUPTI_SUCCESS;
  if (!has_runtime) has_runtime = enable(CUPTI_ACTIVITY_KIND_RUNTIME) == CUPTI_SUCCESS;
  return has_driver || has_runtime;
}

// Whole graphs in one record each, unless every kernel is wanted.
bool IsWanted(CUpti_ActivityKind kind) {
  return kind != CUPTI_ACTIVITY_KIND_GRAPH_TRACE || !g_session.is_each;
}

void DisableAll(const CuptiLibrary& cupti) {
  for (const CUpti_ActivityKind kind : kWorkKinds) {
    if (IsWanted(kind)) cupti.activity_disable(kind);
  }
}

Refusal Start(const Settings& settings) {
  Session& session = g_session;
  if (session.pid != 0 && session.pid != getpid()) {
    return {"CUPTI does not work after a fork", false};
  }
  session.pid = getpid();
  if (session.is_running.load(std::memory_order_acquire)) return {nullptr, false};
  if (!session.is_found) {
    const char* reason =
        settings.is_automatic ? ReasonToStayAway(settings.driver_version) : nullptr;
    if (reason == nullptr) reason = FindCupti(session.cupti, settings.find);
    if (reason != nullptr) return {reason, false};
    if (session.cupti.get_version(&session.version) != CUPTI_SUCCESS) session.version = 0;
    if (settings.is_automatic && session.version < kVersionOfCuda12_6) {
      return {"CUPTI is older than 12.6, where it can crash a process with CUDA graphs", false};
    }
    session.is_found = true;
    session.is_each = settings.is_each;
  }
  const CuptiLibrary& cupti = session.cupti;
  if (!IsFree(cupti)) return {"another profiler holds CUPTI", true};
  if (!session.tickets.Attach() || !session.foreign.Attach(session.is_each)) {
    return {"no memory", false};
  }
  if (cupti.activity_register_callbacks(&RequestBuffer, &CompleteBuffer) != CUPTI_SUCCESS) {
    return {"CUPTI takes no buffers", false};
  }
  for (const CUpti_ActivityKind kind : kWorkKinds) {
    if (!IsWanted(kind)) continue;
    const CUptiResult result = cupti.activity_enable(kind);
    if (result == CUPTI_SUCCESS || kind == CUPTI_ACTIVITY_KIND_GRAPH_TRACE) continue;
    DisableAll(cupti);
    return {result == CUPTI_ERROR_INSUFFICIENT_PRIVILEGES
                ? "no permission to profile (CUPTI_ERROR_INSUFFICIENT_PRIVILEGES)"
                : "CUPTI refuses to trace kernels",
            false};
  }
  if (!ChooseApis(cupti, true)) {
    DisableAll(cupti);
    return {"CUPTI refuses to trace launches", false};
  }
  session.is_running.store(true, std::memory_order_release);
  return {nullptr, false};
}

void NextRound(bool is_last) {
  Session& session = g_session;
  LockGuard guard(session.consumer_lock);
  session.tickets.NextRound(is_last,
                            [&session](const DeviceWork& work) { session.foreign.Add(work); });
}

void Flush(bool is_last) {
  Session& session = g_session;
  if (!session.is_running.load(std::memory_order_acquire)) return;
  session.cupti.activity_flush_all(is_last ? CUPTI_ACTIVITY_FLAG_FLUSH_FORCED : 0);
  NextRound(is_last);
}

void Stop() {
  Session& session = g_session;
  if (!session.is_running.exchange(false, std::memory_order_acq_rel)) return;
  ChooseApis(session.cupti, false);
  DisableAll(session.cupti);
  session.cupti.activity_flush_all(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
  NextRound(true);
}

uint32_t Open(uint32_t thread) {
  Session& session = g_session;
  if (!session.is_running.load(std::memory_order_acquire)) return 0;
  uint64_t external_id = 0;
  const uint32_t ticket = session.tickets.Open(thread, &external_id);
  if (ticket == 0) return 0;
  if (session.cupti.activity_push_external_id(kIdKind, external_id) != CUPTI_SUCCESS) {
    session.tickets.Release(ticket);
    return 0;
  }
  return ticket;
}

void Close(uint32_t ticket) {
  Session& session = g_session;
  uint64_t last = 0;
  if (session.tickets.Close(ticket)) session.cupti.activity_pop_external_id(kIdKind, &last);
}

void Share(uint32_t ticket) { g_session.tickets.Share(ticket); }
void Release(uint32_t ticket) { g_session.tickets.Release(ticket); }

TicketState Read(uint32_t ticket, bool give_up, TicketReading* reading) {
  Session& session = g_session;
  LockGuard guard(session.consumer_lock);
  // Once stopped, nothing more comes.
  const bool is_over = !session.is_running.load(std::memory_order_acquire);
  return session.tickets.Read(ticket, give_up || is_over, reading);
}

void TakeForeign(const ForeignSink& sink) {
  Session& session = g_session;
  LockGuard guard(session.consumer_lock);
  session.foreign.Take(sink, !session.is_running.load(std::memory_order_acquire));
}

int64_t Timestamp() {
  uint64_t timestamp = 0;
  if (!g_session.is_found || g_session.cupti.get_timestamp(&timestamp) != CUPTI_SUCCESS) return 0;
  return static_cast<int64_t>(timestamp);
}

uint64_t Lost() {
  Session& session = g_session;
  LockGuard guard(session.consumer_lock);
  return session.dropped + session.tickets.lost() + session.foreign.lost();
}

uint32_t Version() { return g_session.version; }

constexpr Door kDoor = {kDoorVersion, &Start, &Stop,        &Open,      &Close, &Share,  &Release,
                        &Flush,       &Read,  &TakeForeign, &Timestamp, &Lost,  &Version};

}  // namespace
}  // namespace mfutrace::interpose::cupti

extern "C" __attribute__((visibility("default"))) const mfutrace::interpose::cupti::Door*
mfutrace_cupti_door(uint32_t version) {
  using namespace mfutrace::interpose::cupti;
  return version == kDoorVersion ? &kDoor : nullptr;
}
