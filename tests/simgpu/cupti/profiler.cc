// See profiler.h.
#include "cupti/profiler.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <sys/syscall.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace simgpu {
namespace {

constexpr auto kWorkerPeriod = std::chrono::milliseconds(5);

int64_t ClockNs(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

// SIMGPU_CUPTI: what is wrong with it.
bool Is(const char* trouble) {
  const char* value = std::getenv("SIMGPU_CUPTI");
  return value != nullptr && std::strcmp(value, trouble) == 0;
}

// The ids that a thread has pushed, newest last, by kind.
std::vector<uint64_t>* Pushed() {
  thread_local std::vector<uint64_t> pushed[CUPTI_EXTERNAL_CORRELATION_KIND_SIZE];
  return pushed;
}

std::string FieldOf(const std::string& dims, const std::string& key) {
  const std::string wanted = key + "=";
  size_t at = dims.rfind(wanted, 0) == 0 ? 0 : dims.find("," + wanted);
  if (at == std::string::npos) return "";
  if (dims[at] == ',') ++at;
  at += wanted.size();
  return dims.substr(at, dims.find(',', at) - at);
}

// A name of the kind that the vendors' kernels have.
std::string KernelNameOf(const Activity& activity) {
  const std::string function = activity.function;
  switch (activity.kind) {
    case OpKind::kCollective:
      return "ncclDevKernel_" + function.substr(function.rfind("nccl", 0) == 0 ? 4 : 0) +
             "_RING_LL(ncclDevKernelArgsStorage<4096ul>)";
    case OpKind::kKernel: {
      const std::string name = FieldOf(activity.dims, "kernel");
      return name.empty() ? function : name;
    }
    default:
      return "sim90_" + function + "_" + FieldOf(activity.dims, "dtype");
  }
}

// Which driver call a launch of this kind is.
CUpti_CallbackId CallOf(OpKind kind, bool graph) {
  if (graph) return CUPTI_DRIVER_TRACE_CBID_cuGraphLaunch;
  if (kind == OpKind::kMemcpy) return CUPTI_DRIVER_TRACE_CBID_cuMemcpyAsync;
  if (kind == OpKind::kMemset) return CUPTI_DRIVER_TRACE_CBID_cuMemsetD8Async;
  return CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel;
}

}  // namespace

Profiler& Profiler::Get() {
  static Profiler* const profiler = new Profiler;  // leaked: used while the process exits
  return *profiler;
}

uint64_t Profiler::TimestampOf(int64_t monotonic_ns) {
  static const int64_t offset_ns = ClockNs(CLOCK_REALTIME) - ClockNs(CLOCK_MONOTONIC);
  return static_cast<uint64_t>(monotonic_ns + offset_ns);
}

const char* Profiler::Name(const std::string& text) { return names_.insert(text).first->c_str(); }

template <typename Record>
void Profiler::Keep(const Record& record, int64_t end_ns) {
  Pending pending;
  pending.end_ns = end_ns;
  pending.bytes.resize(sizeof record);
  std::memcpy(pending.bytes.data(), &record, sizeof record);
  pending_.push_back(std::move(pending));
  std::push_heap(pending_.begin(), pending_.end());
}

uint32_t Profiler::Launching(OpKind kind, bool graph) {
  const std::lock_guard<std::mutex> held(lock_);
  const uint32_t correlation = next_correlation_++;
  if (graph && IsEnabled(CUPTI_ACTIVITY_KIND_GRAPH_TRACE)) graphs_[correlation] = GraphRun{};
  const CUpti_CallbackId call = CallOf(kind, graph);
  const bool traced = IsEnabled(CUPTI_ACTIVITY_KIND_DRIVER) || driver_apis_.count(call) != 0;
  if (!traced) return correlation;
  const int64_t now_ns = ClockNs(CLOCK_MONOTONIC);
  if (IsEnabled(CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION)) {
    for (int i = 0; i < CUPTI_EXTERNAL_CORRELATION_KIND_SIZE; ++i) {
      if (Pushed()[i].empty()) continue;
      CUpti_ActivityExternalCorrelation record{};
      record.kind = CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION;
      record.externalKind = static_cast<CUpti_ExternalCorrelationKind>(i);
      record.externalId = Pushed()[i].back();
      record.correlationId = correlation;
      Keep(record, now_ns);
    }
  }
  CUpti_ActivityAPI api{};
  api.kind = CUPTI_ACTIVITY_KIND_DRIVER;
  api.cbid = call;
  api.start = api.end = TimestampOf(now_ns);
  api.processId = static_cast<uint32_t>(getpid());
  api.threadId = static_cast<uint32_t>(syscall(SYS_gettid));
  api.correlationId = correlation;
  Keep(api, now_ns);
  return correlation;
}

void Profiler::GraphLaunched(uint32_t correlation, uint32_t operations) {
  const std::lock_guard<std::mutex> held(lock_);
  const auto found = graphs_.find(correlation);
  if (found == graphs_.end()) return;
  found->second.expected = operations;
  if (operations == 0) graphs_.erase(found);
  KeepGraph(correlation);
}

// From the first to the last of a launch's operations, once the times of all are known.
void Profiler::KeepGraph(uint32_t correlation) {
  const auto found = graphs_.find(correlation);
  if (found == graphs_.end()) return;
  GraphRun& run = found->second;
  if (run.expected == 0 || run.resolved < run.expected) return;
  run.record.kind = CUPTI_ACTIVITY_KIND_GRAPH_TRACE;
  run.record.correlationId = correlation;
  run.record.contextId = 1;
  run.record.graphId = 1;
  Keep(run.record, run.end_ns);
  graphs_.erase(found);
}

void Profiler::Resolved(const Activity& activity) {
  const std::lock_guard<std::mutex> held(lock_);
  const uint64_t start = TimestampOf(activity.start_ns);
  const uint64_t end = TimestampOf(activity.end_ns);
  const auto device = static_cast<uint32_t>(activity.device);
  const auto stream = static_cast<uint32_t>(activity.stream_id);
  if (const auto graph = graphs_.find(activity.correlation_id); graph != graphs_.end()) {
    GraphRun& run = graph->second;
    run.record.start = run.resolved == 0 ? start : std::min<uint64_t>(run.record.start, start);
    run.record.end = std::max<uint64_t>(run.record.end, end);
    run.record.deviceId = device;
    run.record.streamId = stream;
    run.end_ns = std::max(run.end_ns, activity.end_ns);
    ++run.resolved;
    KeepGraph(activity.correlation_id);
    return;
  }
  if (activity.kind == OpKind::kMemcpy) {
    if (!IsEnabled(CUPTI_ACTIVITY_KIND_MEMCPY)) return;
    CUpti_ActivityMemcpy6 record{};
    record.kind = CUPTI_ACTIVITY_KIND_MEMCPY;
    record.start = start;
    record.end = end;
    record.deviceId = device;
    record.streamId = stream;
    record.correlationId = activity.correlation_id;
    record.bytes = activity.bytes;
    Keep(record, activity.end_ns);
  } else if (activity.kind == OpKind::kMemset) {
    if (!IsEnabled(CUPTI_ACTIVITY_KIND_MEMSET)) return;
    CUpti_ActivityMemset4 record{};
    record.kind = CUPTI_ACTIVITY_KIND_MEMSET;
    record.start = start;
    record.end = end;
    record.deviceId = device;
    record.streamId = stream;
    record.correlationId = activity.correlation_id;
    record.bytes = activity.bytes;
    Keep(record, activity.end_ns);
  } else {
    if (!IsEnabled(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL)) return;
    CUpti_ActivityKernel10 record{};
    record.kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
    record.start = start;
    record.end = end;
    record.completed = end;
    record.deviceId = device;
    record.contextId = 1;
    record.streamId = stream;
    record.correlationId = activity.correlation_id;
    record.name = Name(KernelNameOf(activity));
    record.graphId = activity.graph ? 1 : 0;
    Keep(record, activity.end_ns);
  }
}

void Profiler::ConnectEngine(std::unique_lock<std::mutex>* held) {
  const bool wanted =
      IsEnabled(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) || IsEnabled(CUPTI_ACTIVITY_KIND_MEMCPY) ||
      IsEnabled(CUPTI_ACTIVITY_KIND_MEMSET) || IsEnabled(CUPTI_ACTIVITY_KIND_GRAPH_TRACE);
  if (wanted == connected_) return;
  connected_ = wanted;
  if (wanted && !worker_runs_) {
    worker_runs_ = true;
    std::thread([this] { RunWorker(); }).detach();
  }
  // The engine calls us with its own lock held: ours must be free here.
  held->unlock();
  if (Api* api = FindApi()) api->SetActivitySink(wanted ? this : nullptr);
  held->lock();
}

CUptiResult Profiler::RegisterCallbacks(CUpti_BuffersCallbackRequestFunc request,
                                        CUpti_BuffersCallbackCompleteFunc complete) {
  if (request == nullptr || complete == nullptr) return CUPTI_ERROR_INVALID_PARAMETER;
  const std::lock_guard<std::mutex> held(lock_);
  request_ = request;
  complete_ = complete;
  return CUPTI_SUCCESS;
}

CUptiResult Profiler::Enable(CUpti_ActivityKind kind, bool enable) {
  if (kind <= CUPTI_ACTIVITY_KIND_INVALID || kind >= CUPTI_ACTIVITY_KIND_COUNT) {
    return CUPTI_ERROR_INVALID_KIND;
  }
  std::unique_lock<std::mutex> held(lock_);
  if (enable && Is("denied")) return CUPTI_ERROR_INSUFFICIENT_PRIVILEGES;
  if (enable) {
    kinds_.insert(kind);
  } else {
    kinds_.erase(kind);
  }
  ConnectEngine(&held);
  return CUPTI_SUCCESS;
}

CUptiResult Profiler::EnableApi(bool driver, CUpti_CallbackId cbid, bool enable) {
  const std::lock_guard<std::mutex> held(lock_);
  std::set<CUpti_CallbackId>& set = driver ? driver_apis_ : runtime_apis_;
  if (enable) {
    set.insert(cbid);
  } else {
    set.erase(cbid);
  }
  return CUPTI_SUCCESS;
}

std::vector<Profiler::Buffer> Profiler::Collect(std::unique_lock<std::mutex>* held, bool everything,
                                                bool forced) {
  std::vector<Buffer> done;
  const int64_t now_ns = ClockNs(CLOCK_MONOTONIC);
  while (!pending_.empty() && (forced || pending_.front().end_ns <= now_ns)) {
    std::pop_heap(pending_.begin(), pending_.end());
    std::vector<char> bytes = std::move(pending_.back().bytes);
    const bool incomplete = pending_.back().end_ns > now_ns;
    pending_.pop_back();
    if (incomplete) {  // a forced flush gives what there is: no times
      auto* kernel = reinterpret_cast<CUpti_ActivityKernel10*>(bytes.data());
      if (kernel->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) kernel->start = kernel->end = 0;
    }
    ready_.push_back(std::move(bytes));
  }
  while (!ready_.empty()) {
    if (open_.data == nullptr) {
      if (request_ == nullptr) break;
      size_t most_records = 0;
      const auto request = request_;
      held->unlock();
      Buffer fresh;
      request(&fresh.data, &fresh.size, &most_records);
      held->lock();
      if (fresh.data == nullptr || fresh.size == 0) {
        dropped_ += ready_.size();
        ready_.clear();
        break;
      }
      // Another thread may have opened one meanwhile, and emptied the queue.
      if (open_.data == nullptr) {
        open_ = fresh;
      } else {
        done.push_back(fresh);
      }
      continue;
    }
    const std::vector<char>& bytes = ready_.front();
    const size_t room = (bytes.size() + 7) / 8 * 8;
    if (open_.used + room > open_.size) {
      done.push_back(open_);
      open_ = Buffer{};
      continue;
    }
    std::memcpy(open_.data + open_.used, bytes.data(), bytes.size());
    open_.used += room;
    ready_.pop_front();
  }
  if (everything && open_.used > 0) {
    done.push_back(open_);
    open_ = Buffer{};
  }
  return done;
}

void Profiler::Deliver(std::unique_lock<std::mutex>* held, const std::vector<Buffer>& buffers) {
  const auto complete = complete_;
  held->unlock();
  for (const Buffer& buffer : buffers) complete(nullptr, 0, buffer.data, buffer.size, buffer.used);
  held->lock();
}

CUptiResult Profiler::FlushAll(bool forced) {
  std::unique_lock<std::mutex> held(lock_);
  if (complete_ == nullptr) return CUPTI_ERROR_INVALID_OPERATION;
  Deliver(&held, Collect(&held, true, forced));
  return CUPTI_SUCCESS;
}

void Profiler::RunWorker() {
  pthread_setname_np(pthread_self(), "simcupti");
  std::unique_lock<std::mutex> held(lock_);
  for (;;) {
    wake_.wait_for(held, kWorkerPeriod);
    if (complete_ == nullptr) continue;
    Deliver(&held, Collect(&held, false, false));
  }
}

CUptiResult Profiler::Push(CUpti_ExternalCorrelationKind kind, uint64_t id) {
  if (kind <= CUPTI_EXTERNAL_CORRELATION_KIND_INVALID ||
      kind >= CUPTI_EXTERNAL_CORRELATION_KIND_SIZE) {
    return CUPTI_ERROR_INVALID_PARAMETER;
  }
  Pushed()[kind].push_back(id);
  return CUPTI_SUCCESS;
}

CUptiResult Profiler::Pop(CUpti_ExternalCorrelationKind kind, uint64_t* id) {
  if (kind <= CUPTI_EXTERNAL_CORRELATION_KIND_INVALID ||
      kind >= CUPTI_EXTERNAL_CORRELATION_KIND_SIZE) {
    return CUPTI_ERROR_INVALID_PARAMETER;
  }
  std::vector<uint64_t>& pushed = Pushed()[kind];
  if (pushed.empty()) return CUPTI_ERROR_QUEUE_EMPTY;
  if (id != nullptr) *id = pushed.back();
  pushed.pop_back();
  return CUPTI_SUCCESS;
}

CUptiResult Profiler::Dropped(size_t* dropped) {
  if (dropped == nullptr) return CUPTI_ERROR_INVALID_PARAMETER;
  const std::lock_guard<std::mutex> held(lock_);
  *dropped = dropped_;
  dropped_ = 0;
  return CUPTI_SUCCESS;
}

CUptiResult Profiler::Subscribe(CUpti_SubscriberHandle* subscriber) {
  if (subscriber == nullptr) return CUPTI_ERROR_INVALID_PARAMETER;
  const std::lock_guard<std::mutex> held(lock_);
  if (subscribed_ || Is("busy")) return CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED;
  subscribed_ = true;
  *subscriber = reinterpret_cast<CUpti_SubscriberHandle>(this);
  return CUPTI_SUCCESS;
}

CUptiResult Profiler::Unsubscribe(CUpti_SubscriberHandle subscriber) {
  const std::lock_guard<std::mutex> held(lock_);
  if (!subscribed_ || subscriber != reinterpret_cast<CUpti_SubscriberHandle>(this)) {
    return CUPTI_ERROR_INVALID_PARAMETER;
  }
  subscribed_ = false;
  return CUPTI_SUCCESS;
}

void Profiler::Finalize() {
  std::unique_lock<std::mutex> held(lock_);
  kinds_.clear();
  driver_apis_.clear();
  runtime_apis_.clear();
  subscribed_ = false;
  pending_.clear();
  ready_.clear();
  graphs_.clear();
  request_ = nullptr;
  complete_ = nullptr;
  open_ = Buffer{};
  ConnectEngine(&held);
}

}  // namespace simgpu
