// What the job's CUDA graphs hold, as far as we saw it go in: the operations that each capture,
// each graph and each executable graph consists of.
//
// Captured work runs zero times when it is issued and once for every launch of what becomes of it.
// So the recorder notes each captured call under its capture (NoteCaptured), the hooks of the
// driver (graph_hooks.cc) carry those notes along: from the capture to the graph it ends as, to
// clones, to graphs that take it as a child, to executables; and a launch is recorded as one call
// of everything its executable holds. The driver is told nothing and asked only what a capture
// allows.
//
// A handle may be used again for something new after the old thing was destroyed, so destruction is
// followed too, and what a new handle held before is forgotten.
//
// Any thread of the job; one lock, never held across a call into the driver. Launches, the one
// thing that is frequent, find their executable without it. Valid when zeroed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "interpose/lock.h"

namespace mfutrace::interpose {

struct Driver;
struct Session;

// The driver's id of the capture that `stream` takes part in, 0 if none or not told. `node`: the
// last thing captured on the stream, where that is one.
uint64_t CaptureIdOf(const Driver* driver, void* stream, const void** node = nullptr);

// How often a part of a graph runs in one launch (trace::Condition).
enum class Condition : uint8_t { kAlways = 0, kAtMostOnce = 1, kAnyNumber = 2 };

struct GraphItem {
  const void* node;  // a node that goes when this goes; nullptr = unknown
  uint32_t signature;
  uint32_t count;
  Condition condition;
  bool is_off;  // the node has been disabled
};

struct GraphContents {
  std::atomic<uint64_t> key;        // capture id or handle; 0 = free
  std::atomic<uint32_t> signature;  // executables: what a launch is recorded as; 0 = nothing known
  uint32_t count;
  uint32_t capacity;
  Condition condition;  // of a conditional node's body
  GraphItem* items;
  GraphContents* next;
  // Bodies of conditional nodes: they live and die with the graph that has the node.
  uint64_t parent;
  const void* node;
};

// Things of one kind by id or handle. Finding takes no lock, everything else happens under it.
class GraphTable {
 public:
  GraphContents* Find(uint64_t key) const;
  // What is there, or something new and empty; nullptr without memory or for key 0.
  GraphContents* Make(uint64_t key);
  static void Drop(GraphContents& contents);

  template <typename Visit>
  void ForEach(Visit visit) {
    for (std::atomic<GraphContents*>& bucket : buckets_) {
      GraphContents* contents = bucket.load(std::memory_order_acquire);
      for (; contents != nullptr; contents = contents->next) {
        if (contents->key.load(std::memory_order_relaxed) != 0) visit(*contents);
      }
    }
  }

 private:
  static constexpr uint32_t kBuckets = 1024;
  std::atomic<GraphContents*> buckets_[kBuckets];
};

struct Graphs {
  Lock lock;
  std::atomic<bool> is_used;  // something was captured; before that nothing needs following
  uint32_t bodies;            // of conditional nodes, alive
  GraphTable captures;
  GraphTable graphs;
  GraphTable executables;
};

// A call that goes into `capture` (an id of the driver's). `node` is what it ended in, if known.
void NoteCaptured(Session& session, uint64_t capture, uint32_t signature, const void* node);

// A library put work into `graph` itself (cudnnBackendPopulateCudaGraph), or replaced what it had
// put there (cudnnBackendUpdateCudaGraph, which wants a graph that cuDNN alone filled).
void GraphFilled(Session& session, const void* graph, uint32_t signature);
void GraphRefilled(Session& session, const void* graph, uint32_t signature);

// The driver's calls, after they succeeded.
void CaptureEnded(Session& session, uint64_t capture, const void* graph);  // nullptr: it failed
void GraphCloned(Session& session, const void* clone, const void* original);
void GraphDestroyed(Session& session, const void* graph);
void NodeDestroyed(Session& session, const void* node);
void ChildAdded(Session& session, const void* graph, const void* node, const void* child);
void BodyAdded(Session& session, const void* graph, const void* node, const void* body,
               Condition condition);
// Also when an executable takes over the contents of another graph (cuGraphExecUpdate).
void GraphInstantiated(Session& session, const void* executable, const void* graph);
void ExecutableDestroyed(Session& session, const void* executable);
void ExecutableChildReplaced(Session& session, const void* executable, const void* node,
                             const void* child);
void ExecutableNodeEnabled(Session& session, const void* executable, const void* node,
                           bool is_enabled);
// A captured launch: everything the executable holds goes into the capture.
void LaunchCaptured(Session& session, uint64_t capture, const void* executable, const void* node);

}  // namespace mfutrace::interpose
