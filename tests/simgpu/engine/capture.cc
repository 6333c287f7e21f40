// Stream capture: what makes a node, what joins, what breaks a capture, and the launch of a graph.
//
// Rules: CUDA programming guide "Creating a graph using stream capture" and the references of
// cudaStreamBeginCapture and cudaThreadExchangeStreamCaptureMode.
#include <algorithm>
#include <cstdio>
#include <unordered_map>
#include <unordered_set>

#include "engine/objects.h"

namespace simgpu {

void Invalidate(Capture* capture) { capture->invalidated = true; }

CUresult CheckUnsafeCall() {
  const CUstreamCaptureMode mode = ThisThread().capture_mode;
  if (mode == CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_SUCCESS;
  bool forbidden = false;
  for (const auto& capture : All().captures) {
    const bool mine = capture->thread == ThisThreadId();
    const bool forbids = mine ? capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED
                              : mode == CU_STREAM_CAPTURE_MODE_GLOBAL &&
                                    capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
    if (!forbids) continue;
    Invalidate(capture.get());
    forbidden = true;
  }
  return forbidden ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

CUresult CheckImplicit(const Stream& stream, bool invalidate) {
  if (!stream.legacy) return CUDA_SUCCESS;
  bool implicit = false;
  for (const Stream* other : stream.context->streams) {
    if (!other->blocking() || other->capture == nullptr) continue;
    if (invalidate) Invalidate(other->capture.get());
    implicit = true;
  }
  return implicit ? CUDA_ERROR_STREAM_CAPTURE_IMPLICIT : CUDA_SUCCESS;
}

CUresult AddCapturedNode(const std::vector<Stream*>& streams, Node node) {
  std::shared_ptr<Capture> capture;
  for (const Stream* stream : streams) {
    if (stream->capture != nullptr) capture = stream->capture;
  }
  for (const Stream* stream : streams) {
    if (stream->capture == capture) continue;
    // Work that spans a capturing and another stream would tie the capture to live work.
    Invalidate(capture.get());
    if (stream->capture == nullptr) return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    Invalidate(stream->capture.get());
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  }
  if (capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  for (const Stream* stream : streams) {
    for (Node* before : stream->capture_front) {
      if (std::find(node.after.begin(), node.after.end(), before) == node.after.end()) {
        node.after.push_back(before);
      }
    }
  }
  capture->graph->nodes.push_back(std::make_unique<Node>(std::move(node)));
  for (Stream* stream : streams) stream->capture_front = {capture->graph->nodes.back().get()};
  return CUDA_SUCCESS;
}

CUresult JoinCapture(Stream* stream, const Event& event) {
  if (stream->legacy) {
    Invalidate(event.capture.get());
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  if (event.capture->ended) return CUDA_ERROR_CAPTURED_EVENT;
  if (event.capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (stream->capture == nullptr) {
    stream->capture = event.capture;
    stream->capture_front.clear();
    event.capture->streams.push_back(stream);
  } else if (stream->capture != event.capture) {
    Invalidate(stream->capture.get());
    Invalidate(event.capture.get());
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  }
  for (Node* node : event.capture_front) {
    auto& front = stream->capture_front;
    if (std::find(front.begin(), front.end(), node) == front.end()) front.push_back(node);
  }
  return CUDA_SUCCESS;
}

Graph CopyGraph(const Graph& from) {
  Graph to;
  std::unordered_map<const Node*, Node*> copies;
  for (const auto& node : from.nodes) {
    auto copy = std::make_unique<Node>(*node);
    for (Node*& before : copy->after) before = copies.at(before);
    if (node->child != nullptr) copy->child = std::make_shared<Graph>(CopyGraph(*node->child));
    copy->body_handles.clear();
    for (auto& body : copy->bodies) {
      body = std::make_shared<Graph>(CopyGraph(*body));
      copy->body_handles.push_back(reinterpret_cast<CUgraph>(body.get()));
    }
    copies[node.get()] = copy.get();
    to.nodes.push_back(std::move(copy));
  }
  to.conditions = from.conditions;
  return to;
}

Node* GraphExec::Find(const Node* origin) {
  for (size_t i = 0; i < origins.size() && i < graph.nodes.size(); ++i) {
    if (origins[i] == origin) return graph.nodes[i].get();
  }
  return nullptr;
}

namespace {

void RunNodes(const Graph& graph, Stream* stream, const std::vector<Dependency>& before,
              int64_t enqueue_ns, std::vector<Dependency>* ends);

// One run of a graph inside a launch, as one operation that ends with its last node.
OpRef RunInside(const Graph& graph, Stream* stream, const std::vector<Dependency>& before,
                int64_t enqueue_ns) {
  std::vector<Dependency> ends = before;
  RunNodes(graph, stream, before, enqueue_ns, &ends);
  Work join;
  join.kind = OpKind::kMarker;
  return NewOp(stream, join, enqueue_ns, true, std::move(ends));
}

OpRef RunBodies(const Node& node, Stream* stream, std::vector<Dependency> before,
                int64_t enqueue_ns) {
  const unsigned value = node.condition->value;
  size_t body = 0;
  unsigned times = value != 0 ? 1 : 0;
  if (node.condition_type == CU_GRAPH_COND_TYPE_WHILE) times = value;
  if (node.condition_type == CU_GRAPH_COND_TYPE_SWITCH) {
    body = value;
    times = value < node.bodies.size() ? 1 : 0;
  }
  if (node.condition_type == CU_GRAPH_COND_TYPE_IF && value == 0 && node.bodies.size() > 1) {
    body = times = 1;
  }
  OpRef last = RunInside(Graph(), stream, before, enqueue_ns);
  for (unsigned i = 0; i < times; ++i) {
    last = RunInside(*node.bodies[body], stream, {{last, false}}, enqueue_ns);
  }
  return last;
}

void RunNodes(const Graph& graph, Stream* stream, const std::vector<Dependency>& before,
              int64_t enqueue_ns, std::vector<Dependency>* ends) {
  std::unordered_map<const Node*, OpRef> done;
  for (const auto& node : graph.nodes) {
    std::vector<Dependency> after;
    for (const Node* predecessor : node->after) after.push_back({done.at(predecessor), false});
    if (after.empty()) after = before;
    if (node->wait != nullptr && All().events.count(node->wait) != 0 && node->wait->op != nullptr) {
      after.push_back({node->wait->op, false});
    }
    if (node->child != nullptr || !node->bodies.empty()) {
      const OpRef op = node->child != nullptr ? RunInside(*node->child, stream, after, enqueue_ns)
                                              : RunBodies(*node, stream, after, enqueue_ns);
      done[node.get()] = op;
      ends->push_back({op, false});
      continue;
    }
    if (node->work.data && !node->is_off) node->work.data();
    Work work = node->work;
    if (node->is_off) {
      work = Work();
      work.kind = OpKind::kMarker;
    }
    if (work.describe) work.describe(&work);
    const OpRef op = NewOp(stream, work, enqueue_ns, true, std::move(after));
    if (node->record != nullptr && All().events.count(node->record) != 0) {
      node->record->op = op;
      node->record->capture = nullptr;
    }
    done[node.get()] = op;
    ends->push_back({op, false});
  }
}

}  // namespace

CUresult LaunchGraph(const GraphExec& exec, Stream* stream) {
  if (stream->capture != nullptr) {
    Node node;
    node.type = CU_GRAPH_NODE_TYPE_GRAPH;
    node.device = stream->context->device;
    node.stream = stream->handle;
    node.child = std::make_shared<Graph>(CopyGraph(exec.graph));
    return AddCapturedNode({stream}, std::move(node));
  }
  if (const CUresult status = CheckImplicit(*stream, true)) return status;
  std::vector<Dependency> before;
  StreamDependencies(*stream, &before);
  const OneLaunch one_launch;
  const int64_t enqueue_ns = EnqueueTimeNs();
  std::vector<Dependency> all;
  RunNodes(exec.graph, stream, before, enqueue_ns, &all);
  if (all.empty()) return CUDA_SUCCESS;
  Work join;
  join.kind = OpKind::kMarker;
  stream->tail = NewOp(stream, join, enqueue_ns, true, std::move(all));
  return CUDA_SUCCESS;
}

CUresult RecordEvent(Event* event, Stream* stream, unsigned flags) {
  if (event->context != stream->context) return CUDA_ERROR_INVALID_HANDLE;
  Work work;
  work.kind = event->timing() ? OpKind::kEvent : OpKind::kMarker;
  work.function = "cuEventRecord";
  work.hardware_queue = event->timing();
  if (event->timing()) {
    char text[40];
    std::snprintf(text, sizeof text, "event=%p", static_cast<void*>(event));
    work.dims = text;
  }
  if (stream->capture != nullptr) {
    if (stream->capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if ((flags & CU_EVENT_RECORD_EXTERNAL) != 0) {
      Node node;
      node.work = work;
      node.type = CU_GRAPH_NODE_TYPE_EVENT_RECORD;
      node.device = stream->context->device;
      node.stream = stream->handle;
      node.record = event;
      return AddCapturedNode({stream}, std::move(node));
    }
    event->capture = stream->capture;
    event->capture_front = stream->capture_front;
    event->op = nullptr;
    return CUDA_SUCCESS;
  }
  OpRef op;
  if (const CUresult status = EnqueueOn({stream}, work, &op)) return status;
  event->op = op;
  event->capture = nullptr;
  event->capture_front.clear();
  return CUDA_SUCCESS;
}

CUresult WaitEvent(Stream* stream, Event* event, unsigned flags) {
  const bool external = (flags & CU_EVENT_WAIT_EXTERNAL) != 0;
  if (event->capture != nullptr) return JoinCapture(stream, *event);
  if (stream->capture != nullptr) {
    if (stream->capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (!external) {
      if (event->op == nullptr) return CUDA_SUCCESS;  // never recorded: nothing to wait for
      Invalidate(stream->capture.get());
      return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    Node node;
    node.work.kind = OpKind::kMarker;
    node.type = CU_GRAPH_NODE_TYPE_WAIT_EVENT;
    node.device = stream->context->device;
    node.stream = stream->handle;
    node.wait = event;
    return AddCapturedNode({stream}, std::move(node));
  }
  if (event->op == nullptr) return CUDA_SUCCESS;
  if (const CUresult status = CheckImplicit(*stream, true)) return status;
  std::vector<Dependency> dependencies;
  StreamDependencies(*stream, &dependencies);
  dependencies.push_back({event->op, false});
  Work work;
  work.kind = OpKind::kMarker;
  stream->tail = NewOp(stream, work, EnqueueTimeNs(), false, std::move(dependencies));
  return CUDA_SUCCESS;
}

}  // namespace simgpu
