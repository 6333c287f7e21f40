// What the calls of the driver's graph functions mean for graph_contents.h: the seam between the
// hook that stands in for them (driver_hooks.h) and the runtime.
//
// Called on the job's threads, around the real function, only where a session exists: a process
// that calls none of the libraries we observe has no graph that we know anything of.
#pragma once

#include <cstdint>

#include "interpose/recorder.h"

namespace mfutrace::interpose {

enum class GraphRole : uint8_t {
  kNone,
  kProcAddress,     // name, pointer*, version, flags
  kAddChild,        // node*, graph, dependencies, count, child
  kAddNode,         // node*, graph, dependencies, count, parameters
  kAddNodeV2,       // node*, graph, dependencies, edges, count, parameters
  kClone,           // graph*, original
  kDestroy,         // graph
  kDestroyNode,     // node
  kEndCapture,      // stream, graph*
  kExecDestroy,     // executable
  kExecSetChild,    // executable, node, child
  kExecSetEnabled,  // executable, node, is enabled
  kExecSetNode,     // executable, node, parameters
  kExecUpdate,      // executable, graph
  kInstantiate,     // executable*, graph, flags where the function is cuGraphInstantiateWithFlags
  kInstantiateWithParams,  // executable*, graph, parameters
  kLaunch,                 // executable, stream
  kLaunchKernel,           // function, ...
  kLaunchKernelEx,         // configuration, function, ...
  // CUPTI's (cupti_others.h).
  kCuptiSubscribe,
  kCuptiUnsubscribe,
  kCuptiBuffers,
  kCuptiEnable,   // kind
  kCuptiDisable,  // kind
  kCuptiFinalize,
};

// cuda.h, CUgraphNodeParams: as much of it as is read. A unit test compares it with the header.
struct GraphNodeParams {
  int32_t type;
  int32_t reserved[3];
  union {
    const void* child;
    struct {
      uint64_t handle;
      int32_t kind;
      uint32_t size;
      const void* const* bodies;
    } conditional;
  };
};

struct GraphCall {
  GraphRole role;
  bool is_per_thread;  // stream 0 is the thread's own default stream
  Entry entry;
  const void* arguments[6];
};

// `open` is what they share: a launch as it will be recorded, or the capture that ends.
void BeforeGraphCall(const GraphCall& call, OpenCall& open);
void AfterGraphCall(const GraphCall& call, OpenCall& open, int status);

// A library has put work into a CUDA graph itself: cudnnBackendPopulateCudaGraph, or, in place of
// what it had put there, cudnnBackendUpdateCudaGraph.
void GraphFilledByLibrary(const void* graph, uint32_t signature, bool is_in_place);

}  // namespace mfutrace::interpose
