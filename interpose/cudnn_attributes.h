// What the numbers of attributes mean (cudnn_graph.h of 9.19; numbers, since older headers have
// fewer names): which descriptor an attribute belongs to, and what a tensor is to an operation.
#pragma once

#include "interpose/cudnn_graph.h"

namespace mfutrace::interpose {

enum class CudnnRole : uint8_t {
  kNone,        // of no interest
  kParameters,  // of a pointwise operation, a convolution ...
  kTensor,
  kOperation,
  kGraph,
  kCarrier,  // has a graph: heuristic, engine, engine configuration, plan
};

CudnnRole CudnnRoleOf(int attribute);
// The operation that has the attribute, by the name in a plan's JSON. Static storage.
const char* CudnnOperationOf(int attribute);
// kOther for a tensor that we do not know the part of.
CudnnPort CudnnPortOf(int attribute);
CudnnPointwise CudnnPointwiseOf(int mode);  // cudnnPointwiseMode_t
shapes::Dtype DtypeOfCudnn(int type);       // cudnnDataType_t

}  // namespace mfutrace::interpose
