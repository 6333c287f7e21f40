// libcuda.so.1: streams, host functions, and stream capture.
#include <cuda.h>

#include <algorithm>
#include <unordered_set>

#include "engine/objects.h"

namespace simgpu {

namespace {

// True if every node of `stream` comes before something in the origin stream's front.
bool Joined(const Capture& capture) {
  std::unordered_set<const Node*> before;
  std::vector<const Node*> todo(capture.origin->capture_front.begin(),
                                capture.origin->capture_front.end());
  while (!todo.empty()) {
    const Node* node = todo.back();
    todo.pop_back();
    if (!before.insert(node).second) continue;
    todo.insert(todo.end(), node->after.begin(), node->after.end());
  }
  for (const Stream* stream : capture.streams) {
    for (const Node* node : stream->capture_front) {
      if (before.count(node) == 0) return false;
    }
  }
  return true;
}

CUresult GetCaptureInfo(Stream* stream, CUstreamCaptureStatus* status, cuuint64_t* id,
                        CUgraph* graph) {
  const Capture* capture = stream->capture.get();
  *status = capture == nullptr     ? CU_STREAM_CAPTURE_STATUS_NONE
            : capture->invalidated ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                   : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  if (*status != CU_STREAM_CAPTURE_STATUS_ACTIVE) return CUDA_SUCCESS;
  if (id != nullptr) *id = capture->id;
  if (graph != nullptr) {
    *graph =
        reinterpret_cast<CUgraph>(capture->into != nullptr ? capture->into : capture->graph.get());
  }
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace simgpu

using simgpu::All;
using simgpu::Capture;
using simgpu::CheckImplicit;
using simgpu::CheckUnsafeCall;
using simgpu::CurrentContext;
using simgpu::Dependency;
using simgpu::Engine;
using simgpu::EnqueueOn;
using simgpu::Entered;
using simgpu::Event;
using simgpu::FindEvent;
using simgpu::FindStream;
using simgpu::GetCaptureInfo;
using simgpu::Graph;
using simgpu::Invalidate;
using simgpu::Joined;
using simgpu::NewStream;
using simgpu::NowNs;
using simgpu::OpKind;
using simgpu::Stream;
using simgpu::StreamDependencies;
using simgpu::ThisThread;
using simgpu::ThisThreadId;
using simgpu::WaitEvent;
using simgpu::Work;

extern "C" {

CUresult CUDAAPI cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int priority) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  if (stream == nullptr || flags > CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
  *stream = NewStream(CurrentContext(), flags, std::clamp(priority, -5, 0))->handle;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamCreate(CUstream* stream, unsigned flags) {
  return cuStreamCreateWithPriority(stream, flags, 0);
}

CUresult CUDAAPI cuStreamDestroy(CUstream handle) {
  const Entered entered;
  if (entered.status()) return entered.status();
  auto* stream = reinterpret_cast<Stream*>(handle);
  if (All().streams.count(stream) == 0 || stream->legacy) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture != nullptr) {
    Invalidate(stream->capture.get());
    std::erase(stream->capture->streams, stream);
    if (stream->capture->origin == stream) {
      std::erase(All().captures, stream->capture);
      for (Stream* other : stream->capture->streams) other->capture = nullptr;
    }
  }
  if (stream->tail != nullptr && !(stream->tail->resolved && stream->tail->end_ns <= NowNs())) {
    stream->context->orphans.push_back(stream->tail);
  }
  stream->context->streams.erase(stream);
  All().streams.erase(stream);
  delete stream;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamQuery(CUstream handle) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  if (stream->capture != nullptr) {
    Invalidate(stream->capture.get());
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  if (const CUresult status = CheckImplicit(*stream, true)) return status;
  if (const CUresult status = CheckUnsafeCall()) return status;
  Engine::Get().Poll();
  std::vector<Dependency> before;
  StreamDependencies(*stream, &before);
  for (const Dependency& d : before) {
    if (!d.op->resolved || d.op->end_ns > NowNs()) return CUDA_ERROR_NOT_READY;
    if (d.op->failed) return CUDA_ERROR_LAUNCH_TIMEOUT;
  }
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamSynchronize(CUstream handle) {
  std::vector<Dependency> before;
  {
    const Entered entered;
    if (entered.status()) return entered.status();
    Stream* stream = nullptr;
    if (const CUresult status = FindStream(handle, &stream)) return status;
    if (stream->capture != nullptr) {
      Invalidate(stream->capture.get());
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    if (const CUresult status = CheckImplicit(*stream, true)) return status;
    if (const CUresult status = CheckUnsafeCall()) return status;
    if (stream->legacy) {
      StreamDependencies(*stream, &before);
    } else if (stream->tail != nullptr) {
      before.push_back({stream->tail, false});
    }
  }
  CUresult result = CUDA_SUCCESS;
  for (const Dependency& d : before) {
    if (const CUresult status = Engine::Get().WaitFor(d.op)) result = status;
  }
  return result;
}

CUresult CUDAAPI cuStreamWaitEvent(CUstream stream_handle, CUevent event_handle, unsigned flags) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (flags > CU_EVENT_WAIT_EXTERNAL) return CUDA_ERROR_INVALID_VALUE;
  Stream* stream = nullptr;
  Event* event = nullptr;
  if (const CUresult status = FindStream(stream_handle, &stream)) return status;
  if (const CUresult status = FindEvent(event_handle, &event)) return status;
  return WaitEvent(stream, event, flags);
}

CUresult CUDAAPI cuStreamGetFlags(CUstream handle, unsigned* flags) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *flags = stream->flags;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamGetPriority(CUstream handle, int* priority) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  if (priority == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *priority = stream->priority;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamGetId(CUstream handle, unsigned long long* id) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  if (id == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *id = stream->id;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamGetCtx(CUstream handle, CUcontext* context) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *context = reinterpret_cast<CUcontext>(stream->context);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamGetDevice(CUstream handle, CUdevice* device) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *device = stream->context->device;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuLaunchHostFunc(CUstream handle, CUhostFn function, void* argument) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  if (function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Work work;
  work.kind = OpKind::kHost;
  work.function = "cuLaunchHostFunc";
  work.host_call = [function, argument] { function(argument); };
  return EnqueueOn({stream}, std::move(work));
}

CUresult CUDAAPI cuStreamAddCallback(CUstream handle, CUstreamCallback callback, void* argument,
                                     unsigned flags) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  if (callback == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (stream->capture != nullptr) {
    Invalidate(stream->capture.get());
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  Work work;
  work.kind = OpKind::kHost;
  work.function = "cuStreamAddCallback";
  work.host_call = [callback, handle, argument] { callback(handle, CUDA_SUCCESS, argument); };
  return EnqueueOn({stream}, std::move(work));
}

CUresult CUDAAPI cuStreamBeginCapture(CUstream handle, CUstreamCaptureMode mode) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  if (stream->legacy) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture != nullptr) {
    Invalidate(stream->capture.get());
    return CUDA_ERROR_ILLEGAL_STATE;
  }
  auto capture = std::make_shared<Capture>();
  capture->id = All().next_id++;
  capture->mode = mode;
  capture->origin = stream;
  capture->thread = ThisThreadId();
  capture->graph = std::make_unique<Graph>();
  capture->streams.push_back(stream);
  stream->capture = capture;
  stream->capture_front.clear();
  All().captures.push_back(capture);
  return CUDA_SUCCESS;
}

// The edges that the nodes have to `dependencies` are those of the capture's first ones.
CUresult CUDAAPI cuStreamBeginCaptureToGraph(CUstream handle, CUgraph graph,
                                             const CUgraphNode* dependencies,
                                             const CUgraphEdgeData*, size_t count,
                                             CUstreamCaptureMode mode) {
  {
    const Entered entered;
    if (entered.status()) return entered.status();
    if (All().graphs.count(reinterpret_cast<Graph*>(graph)) == 0) return CUDA_ERROR_INVALID_VALUE;
  }
  if (const CUresult status = cuStreamBeginCapture(handle, mode)) return status;
  const Entered entered;
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  stream->capture->into = reinterpret_cast<Graph*>(graph);
  for (size_t i = 0; i < count; ++i) {
    stream->capture_front.push_back(reinterpret_cast<simgpu::Node*>(dependencies[i]));
  }
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamEndCapture(CUstream handle, CUgraph* graph) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *graph = nullptr;
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  const std::shared_ptr<Capture> capture = stream->capture;
  if (capture == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != ThisThreadId()) {
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  }
  if (capture->origin != stream) {
    Invalidate(capture.get());
    return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  }
  const bool joined = Joined(*capture);
  for (Stream* member : capture->streams) {
    member->capture = nullptr;
    member->capture_front.clear();
  }
  std::erase(All().captures, capture);
  capture->ended = true;
  if (capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (!joined) return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
  Graph* made = capture->into;
  if (made == nullptr) {
    made = capture->graph.release();
    All().graphs.insert(made);
  } else {
    for (auto& node : capture->graph->nodes) made->nodes.push_back(std::move(node));
  }
  *graph = reinterpret_cast<CUgraph>(made);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus* status) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (status == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Stream* stream = nullptr;
  if (const CUresult found = FindStream(handle, &stream)) return found;
  if (const CUresult implicit = CheckImplicit(*stream, false)) return implicit;
  return GetCaptureInfo(stream, status, nullptr, nullptr);
}

CUresult CUDAAPI cuStreamGetCaptureInfo(CUstream handle, CUstreamCaptureStatus* status,
                                        cuuint64_t* id, CUgraph* graph,
                                        const CUgraphNode** dependencies,
                                        const CUgraphEdgeData** edges, size_t* count) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (status == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Stream* stream = nullptr;
  if (const CUresult found = FindStream(handle, &stream)) return found;
  if (const CUresult implicit = CheckImplicit(*stream, false)) return implicit;
  GetCaptureInfo(stream, status, id, graph);
  if (edges != nullptr) *edges = nullptr;
  if (*status == CU_STREAM_CAPTURE_STATUS_ACTIVE) {
    if (dependencies != nullptr) {
      *dependencies = reinterpret_cast<const CUgraphNode*>(stream->capture_front.data());
    }
    if (count != nullptr) *count = stream->capture_front.size();
  }
  return CUDA_SUCCESS;
}

// The form of CUDA 12, which runtimes of that version ask for by name.
CUresult CUDAAPI cuStreamGetCaptureInfo_v2(CUstream handle, CUstreamCaptureStatus* status,
                                           cuuint64_t* id, CUgraph* graph,
                                           const CUgraphNode** dependencies, size_t* count) {
  return cuStreamGetCaptureInfo(handle, status, id, graph, dependencies, nullptr, count);
}

CUresult CUDAAPI cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (mode == nullptr || *mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  std::swap(*mode, ThisThread().capture_mode);
  return CUDA_SUCCESS;
}

}  // extern "C"
