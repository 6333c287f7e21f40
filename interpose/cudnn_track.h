// Operation graphs from descriptors that are watched while the job makes them: what is left where a
// plan does not tell its graph as JSON (libraries older than
// CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION). An operation graph's operations cannot be read
// back (CUDNN_ATTR_OPERATIONGRAPH_OPS: not supported), so every attribute is noted when it is set.
//
// A descriptor is copied when another one is given it, as in cuDNN: here by a count of references.
// The way from a plan to its graph: plan, engine configuration (made by the job from an engine, or
// filled by a heuristic's results), engine or heuristic, operation graph. The table is bounded; a
// graph that is not in it, or not whole, is not readable.
#pragma once

#include <cstdint>

#include "interpose/cudnn_graph.h"

namespace mfutrace::interpose {

// One attribute of any descriptor as it is set.
void TrackCudnnAttribute(const void* descriptor, int attribute, int type, int64_t count,
                         const void* data);
// Descriptors that `from` has filled with parts of itself.
void TrackCudnnAnswer(const void* from, int attribute, int type, int64_t count, const void* data);
void ForgetCudnnDescriptor(const void* descriptor);
// The graph of a plan, into zeroed memory. False if it is not known.
bool TrackedCudnnGraph(const void* plan, CudnnGraph* graph);
// Plans tell their graphs by themselves: nothing is noted from here on.
void StopTrackingCudnn();

}  // namespace mfutrace::interpose
