// Reads the operation graph out of an execution plan's JSON text
// (CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, cuDNN 9).
//
// Objects are known by what is in them: one with "operation" is a node, one with "dim" a tensor;
// whatever contains them is walked through. So a layout that later versions change is still read as
// far as it is the same, and keys that nobody knows are passed over. Text that is cut off or
// malformed is not readable; nothing is ever read beyond its end.
#pragma once

#include <cstddef>

#include "interpose/cudnn_graph.h"

namespace mfutrace::interpose {

// `graph` is zeroed memory. False if the text is not a plan, or its graph does not fit. Names of
// operations point into the text.
bool ReadCudnnPlan(const char* text, size_t bytes, CudnnGraph* graph);
// The value of "operationGraph" alone.
bool ReadCudnnGraph(const char* text, size_t bytes, CudnnGraph* graph);

}  // namespace mfutrace::interpose
