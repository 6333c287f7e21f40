// What CUDA handles point to: contexts, streams, events, captures, graphs; and the rules that tie
// them.
//
// A handle is the address of its object and is looked up before it is used, so that a stale or
// foreign handle gives CUDA's error instead of a crash. All functions want the engine's lock held.
#pragma once

#include <cuda.h>

#include <memory>
#include <unordered_set>
#include <vector>

#include "engine/engine.h"

namespace simgpu {

struct Stream;
struct Event;

struct Graph;

// A conditional node's handle. What kernels would set it to is not simulated: it keeps its default,
// and a loop counts it down.
struct Condition {
  unsigned value = 0;
};

struct Node {
  Work work;
  CUgraphNodeType type = CU_GRAPH_NODE_TYPE_KERNEL;
  int device = 0;
  CUstream stream = nullptr;
  Event* record = nullptr;  // event record node
  Event* wait = nullptr;    // event wait node
  std::vector<Node*> after;
  bool is_off = false;
  std::shared_ptr<Graph> child;                // of a child graph node, its own copy
  std::vector<std::shared_ptr<Graph>> bodies;  // of a conditional node
  std::vector<CUgraph> body_handles;
  CUgraphConditionalNodeType condition_type = CU_GRAPH_COND_TYPE_IF;
  std::shared_ptr<const Condition> condition;
};

struct Graph {
  std::vector<std::unique_ptr<Node>> nodes;  // in an order in which they may run
  std::vector<std::shared_ptr<Condition>> conditions;
  bool is_body = false;  // belongs to a conditional node
};

// Deep, also of children and bodies.
Graph CopyGraph(const Graph& from);

struct GraphExec {
  Graph graph;
  std::vector<const Node*> origins;  // the node that each node was made from
  Node* Find(const Node* origin);
};

struct Capture {
  uint64_t id = 0;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  Stream* origin = nullptr;
  int thread = 0;
  bool invalidated = false;
  bool ended = false;
  std::unique_ptr<Graph> graph;
  Graph* into = nullptr;  // a graph of the user's that takes the nodes at the end
  std::vector<Stream*> streams;
};

struct Context {
  int device = 0;
  bool primary = false;
  int references = 0;
  unsigned flags = 0;
  Stream* legacy = nullptr;
  std::unordered_set<Stream*> streams;  // without the legacy stream
  std::vector<OpRef> orphans;           // last operations of destroyed streams
};

struct Stream {
  Context* context = nullptr;
  CUstream handle = nullptr;
  unsigned flags = 0;
  int priority = 0;
  uint64_t id = 0;
  bool legacy = false;
  OpRef tail;
  std::shared_ptr<Capture> capture;
  std::vector<Node*> capture_front;  // what the next captured operation comes after
  bool blocking() const { return !legacy && (flags & CU_STREAM_NON_BLOCKING) == 0; }
};

struct Event {
  Context* context = nullptr;
  unsigned flags = 0;
  OpRef op;  // the last record, null if never recorded or last recorded in a capture
  std::shared_ptr<Capture> capture;
  std::vector<Node*> capture_front;
  bool timing() const { return (flags & CU_EVENT_DISABLE_TIMING) == 0; }
};

struct Objects {
  bool initialized = false;
  std::vector<Context*> primaries;  // one a device
  std::unordered_set<Context*> contexts;
  std::unordered_set<Stream*> streams;
  std::unordered_set<Event*> events;
  std::unordered_set<Graph*> graphs;
  std::unordered_set<GraphExec*> execs;
  std::vector<std::shared_ptr<Capture>> captures;  // active ones
  std::vector<OpRef> hardware_queue;               // last operation of each device's single queue
  uint64_t next_id = 1;
  ActivitySink* activity_sink = nullptr;
};
Objects& All();
// cuInit: makes the devices. False in the child of a process that used CUDA.
bool Initialize();

// The calling thread's context stack and capture mode.
struct ThreadState {
  std::vector<Context*> contexts;
  CUstreamCaptureMode capture_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  const char* caller = nullptr;
  uint32_t correlation_id = 0;  // of the graph launch the thread is in
  uint32_t launched = 0;        // operations of that launch so far
};
ThreadState& ThisThread();
Context* CurrentContext();  // null if none
int ThisThreadId();

// Taken at the top of every driver entry point.
class Entered {
 public:
  explicit Entered(bool needs_context = false);
  ~Entered();
  CUresult status() const { return status_; }
  void Unlock() { held_.unlock(); }

 private:
  std::unique_lock<std::mutex> held_;
  CUresult status_ = CUDA_SUCCESS;
};

// All work of one driver call has one correlation id.
class OneLaunch {
 public:
  OneLaunch();
  ~OneLaunch();
  OneLaunch(const OneLaunch&) = delete;
  OneLaunch& operator=(const OneLaunch&) = delete;
};

Stream* NewStream(Context* context, unsigned flags, int priority);
// A handle, or one of the default streams of the current context. Null: invalid (or no context).
CUresult FindStream(CUstream handle, Stream** stream);
CUresult FindEvent(CUevent handle, Event** event);

// What a launch of `function` does; `api` is the name in the log.
CUresult MakeKernel(const char* api, CUfunction function, const unsigned (&grid)[3],
                    const unsigned (&block)[3], Work* work);

// Puts `work` on `streams` now, or into their capture. `result`, where asked for, is null for a
// capture.
CUresult EnqueueOn(const std::vector<Stream*>& streams, Work work, OpRef* result = nullptr);
// The operation itself, past all capture rules: also what a graph launch uses.
OpRef NewOp(Stream* stream, const Work& work, int64_t enqueue_ns, bool graph,
            std::vector<Dependency> dependencies);
// All that comes before the next operation of `stream`.
void StreamDependencies(const Stream& stream, std::vector<Dependency>* dependencies);
int64_t EnqueueTimeNs();
// Last operations of everything `context` has been given.
std::vector<OpRef> Tails(const Context& context);

// Capture rules (capture.cc).
void Invalidate(Capture* capture);
// For calls that are unsafe while anybody captures in global mode: invalidates what forbids them.
CUresult CheckUnsafeCall();
// For work on, or synchronisation with, the legacy stream. `invalidate` is false for mere
// questions.
CUresult CheckImplicit(const Stream& stream, bool invalidate);
CUresult AddCapturedNode(const std::vector<Stream*>& streams, Node node);
CUresult JoinCapture(Stream* stream, const Event& event);
CUresult LaunchGraph(const GraphExec& exec, Stream* stream);

CUresult RecordEvent(Event* event, Stream* stream, unsigned flags);
CUresult WaitEvent(Stream* stream, Event* event, unsigned flags);

}  // namespace simgpu
