// Stream order: what each new operation comes after. Rules: CUDA programming guide, "default
// stream" and "stream synchronization behavior" of the runtime API reference.
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "engine/objects.h"

namespace simgpu {
namespace {

std::atomic<bool> in_forked_child{false};

bool Finished(const OpRef& op, int64_t before_ns) {
  return op == nullptr || (op->resolved && op->end_ns <= before_ns);
}

// What occupies the device or a copy engine.
bool IsWork(OpKind kind) {
  return kind != OpKind::kEvent && kind != OpKind::kHost && kind != OpKind::kMarker;
}

Stream* PerThreadStream(Context* context) {
  thread_local std::vector<std::pair<Context*, Stream*>> mine;
  for (const auto& [owner, stream] : mine) {
    if (owner == context && All().streams.count(stream) != 0) return stream;
  }
  Stream* stream = NewStream(context, CU_STREAM_DEFAULT, 0);
  stream->handle = CU_STREAM_PER_THREAD;
  mine.emplace_back(context, stream);
  return stream;
}

}  // namespace

Objects& All() {
  static Objects* const objects = new Objects;
  return *objects;
}

ThreadState& ThisThread() {
  thread_local ThreadState state;
  return state;
}

Context* CurrentContext() {
  const auto& stack = ThisThread().contexts;
  return stack.empty() ? nullptr : stack.back();
}

int ThisThreadId() {
  thread_local const int id = static_cast<int>(syscall(SYS_gettid));
  return id;
}

// CUDA cannot be used in the child of a process that initialised it; the lock may be held there for
// ever.
Entered::Entered(bool needs_context) {
  if (in_forked_child.load(std::memory_order_relaxed)) {
    status_ = CUDA_ERROR_NOT_INITIALIZED;
    return;
  }
  held_ = std::unique_lock<std::mutex>(Engine::Get().lock());
  if (!All().initialized) {
    status_ = CUDA_ERROR_NOT_INITIALIZED;
  } else if (needs_context && CurrentContext() == nullptr) {
    status_ = CUDA_ERROR_INVALID_CONTEXT;
  }
}

Entered::~Entered() {
  if (held_.owns_lock()) Engine::Get().FlushLog();
}

bool Initialize() {
  if (in_forked_child) return false;
  const std::lock_guard<std::mutex> held(Engine::Get().lock());
  Objects& all = All();
  if (all.initialized) return true;
  all.initialized = true;
  pthread_atfork(nullptr, nullptr, [] { in_forked_child = true; });
  const int devices = GetSettings().device_count;
  all.hardware_queue.resize(static_cast<size_t>(devices));
  for (int device = 0; device < devices; ++device) {
    auto* context = new Context;
    context->device = device;
    context->primary = true;
    context->legacy = NewStream(context, CU_STREAM_DEFAULT, 0);
    context->legacy->legacy = true;
    context->legacy->handle = nullptr;
    context->streams.erase(context->legacy);
    all.primaries.push_back(context);
    all.contexts.insert(context);
  }
  return true;
}

Stream* NewStream(Context* context, unsigned flags, int priority) {
  auto* stream = new Stream;
  stream->context = context;
  stream->handle = reinterpret_cast<CUstream>(stream);
  stream->flags = flags;
  stream->priority = priority;
  stream->id = All().next_id++;
  context->streams.insert(stream);
  All().streams.insert(stream);
  return stream;
}

CUresult FindStream(CUstream handle, Stream** stream) {
  if (handle == nullptr || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD) {
    Context* context = CurrentContext();
    if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    *stream = handle == CU_STREAM_PER_THREAD ? PerThreadStream(context) : context->legacy;
    return CUDA_SUCCESS;
  }
  auto* found = reinterpret_cast<Stream*>(handle);
  if (All().streams.count(found) == 0) return CUDA_ERROR_INVALID_HANDLE;
  *stream = found;
  return CUDA_SUCCESS;
}

CUresult FindEvent(CUevent handle, Event** event) {
  auto* found = reinterpret_cast<Event*>(handle);
  if (All().events.count(found) == 0) return CUDA_ERROR_INVALID_HANDLE;
  *event = found;
  return CUDA_SUCCESS;
}

int64_t EnqueueTimeNs() { return NowNs() + ScaledNs(GetSettings().device.launch_latency_ns); }

void StreamDependencies(const Stream& stream, std::vector<Dependency>* dependencies) {
  const auto add = [&](const OpRef& op) {
    if (op != nullptr) dependencies->push_back({op, false});
  };
  add(stream.tail);
  if (stream.legacy) {
    for (const Stream* other : stream.context->streams) {
      if (other->blocking()) add(other->tail);
    }
  } else if (stream.blocking()) {
    add(stream.context->legacy->tail);
  }
}

OneLaunch::OneLaunch() {
  ActivitySink* sink = All().activity_sink;
  if (sink != nullptr) ThisThread().correlation_id = sink->Launching(OpKind::kKernel, true);
}

OneLaunch::~OneLaunch() {
  ThreadState& thread = ThisThread();
  if (thread.correlation_id != 0 && All().activity_sink != nullptr) {
    All().activity_sink->GraphLaunched(thread.correlation_id, thread.launched);
  }
  thread.correlation_id = 0;
  thread.launched = 0;
}

OpRef NewOp(Stream* stream, const Work& work, int64_t enqueue_ns, bool graph,
            std::vector<Dependency> dependencies) {
  auto op = std::make_shared<Op>();
  op->work = work;
  op->device = stream->context->device;
  op->stream = stream->handle;
  op->graph = graph;
  op->stream_id = stream->id;
  if (All().activity_sink != nullptr && IsWork(work.kind)) {
    op->correlation_id = ThisThread().correlation_id;
    ++ThisThread().launched;
    if (op->correlation_id == 0) {
      op->correlation_id = All().activity_sink->Launching(work.kind, graph);
    }
  }
  op->enqueue_ns = enqueue_ns;
  op->dependencies = std::move(dependencies);
  if (op->work.peers != nullptr) {
    op->work.peers = op->work.peers->Launch(op, &op->dependencies);
  }
  if (GetSettings().single_queue && op->work.hardware_queue) {
    OpRef& last = All().hardware_queue[static_cast<size_t>(op->device)];
    if (last != nullptr) op->dependencies.push_back({last, true});
    last = op;
  }
  std::erase_if(op->dependencies, [&](const Dependency& d) {
    return d.on_start ? d.op->started && d.op->start_ns <= enqueue_ns : Finished(d.op, enqueue_ns);
  });
  Engine::Get().Submit(op);
  return op;
}

CUresult EnqueueOn(const std::vector<Stream*>& streams, Work work, OpRef* result) {
  if (result != nullptr) *result = nullptr;
  for (const Stream* stream : streams) {
    if (stream->capture != nullptr) {
      Node node;
      node.work = std::move(work);
      node.device = stream->context->device;
      node.stream = stream->handle;
      switch (node.work.kind) {
        case OpKind::kMemcpy:
          node.type = CU_GRAPH_NODE_TYPE_MEMCPY;
          break;
        case OpKind::kMemset:
          node.type = CU_GRAPH_NODE_TYPE_MEMSET;
          break;
        case OpKind::kHost:
          node.type = CU_GRAPH_NODE_TYPE_HOST;
          break;
        default:
          node.type = CU_GRAPH_NODE_TYPE_KERNEL;
          break;
      }
      return AddCapturedNode(streams, std::move(node));
    }
  }
  std::vector<Dependency> dependencies;
  for (const Stream* stream : streams) {
    if (const CUresult status = CheckImplicit(*stream, true)) return status;
    StreamDependencies(*stream, &dependencies);
  }
  if (work.data) work.data();
  if (work.describe) work.describe(&work);
  const OpRef op = NewOp(streams.front(), work, EnqueueTimeNs(), false, std::move(dependencies));
  for (Stream* stream : streams) stream->tail = op;
  if (result != nullptr) *result = op;
  return CUDA_SUCCESS;
}

std::vector<OpRef> Tails(const Context& context) {
  std::vector<OpRef> tails = context.orphans;
  if (context.legacy->tail != nullptr) tails.push_back(context.legacy->tail);
  for (const Stream* stream : context.streams) {
    if (stream->tail != nullptr) tails.push_back(stream->tail);
  }
  return tails;
}

}  // namespace simgpu
