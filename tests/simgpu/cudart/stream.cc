// libcudart: streams, events and stream capture.
#include "cudart/driver.h"

using simgpu_cudart::Keep;
using simgpu_cudart::ToStream;

namespace {

CUevent ToEvent(cudaEvent_t event) { return reinterpret_cast<CUevent>(event); }

// The runtime's event flags are the driver's; its record and wait flags too.
static_assert(cudaEventDisableTiming == CU_EVENT_DISABLE_TIMING);
static_assert(cudaStreamNonBlocking == CU_STREAM_NON_BLOCKING);
static_assert(cudaEventRecordExternal == CU_EVENT_RECORD_EXTERNAL);

}  // namespace

extern "C" {

cudaError_t CUDARTAPI cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags,
                                                   int priority) {
  SIM_FORWARD(cuStreamCreateWithPriority(reinterpret_cast<CUstream*>(stream), flags, priority));
}

cudaError_t CUDARTAPI cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreateWithPriority(stream, flags, 0);
}

cudaError_t CUDARTAPI cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithPriority(stream, cudaStreamDefault, 0);
}

cudaError_t CUDARTAPI cudaStreamDestroy(cudaStream_t stream) {
  SIM_FORWARD(cuStreamDestroy(ToStream(stream)));
}

cudaError_t CUDARTAPI cudaStreamQuery(cudaStream_t stream) {
  SIM_FORWARD(cuStreamQuery(ToStream(stream)));
}

cudaError_t CUDARTAPI cudaStreamSynchronize(cudaStream_t stream) {
  SIM_FORWARD(cuStreamSynchronize(ToStream(stream)));
}

cudaError_t CUDARTAPI cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
  SIM_FORWARD(cuStreamWaitEvent(ToStream(stream), ToEvent(event), flags));
}

cudaError_t CUDARTAPI cudaStreamGetFlags(cudaStream_t stream, unsigned* flags) {
  SIM_FORWARD(cuStreamGetFlags(ToStream(stream), flags));
}

cudaError_t CUDARTAPI cudaStreamGetPriority(cudaStream_t stream, int* priority) {
  SIM_FORWARD(cuStreamGetPriority(ToStream(stream), priority));
}

cudaError_t CUDARTAPI cudaStreamGetId(cudaStream_t stream, unsigned long long* id) {
  SIM_FORWARD(cuStreamGetId(ToStream(stream), id));
}

cudaError_t CUDARTAPI cudaStreamGetDevice(cudaStream_t stream, int* device) {
  SIM_FORWARD(cuStreamGetDevice(ToStream(stream), device));
}

cudaError_t CUDARTAPI cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t callback,
                                            void* argument, unsigned flags) {
  SIM_FORWARD(cuStreamAddCallback(ToStream(stream), reinterpret_cast<CUstreamCallback>(callback),
                                  argument, flags));
}

cudaError_t CUDARTAPI cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function,
                                         void* argument) {
  SIM_FORWARD(cuLaunchHostFunc(ToStream(stream), function, argument));
}

cudaError_t CUDARTAPI cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  SIM_FORWARD(cuStreamBeginCapture(ToStream(stream), static_cast<CUstreamCaptureMode>(mode)));
}

cudaError_t CUDARTAPI cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  SIM_FORWARD(cuStreamEndCapture(ToStream(stream), reinterpret_cast<CUgraph*>(graph)));
}

cudaError_t CUDARTAPI cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  SIM_FORWARD(
      cuStreamIsCapturing(ToStream(stream), reinterpret_cast<CUstreamCaptureStatus*>(status)));
}

cudaError_t CUDARTAPI cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status,
                                               unsigned long long* id, cudaGraph_t* graph,
                                               const cudaGraphNode_t** dependencies,
                                               const cudaGraphEdgeData** edges, size_t* count) {
  SIM_FORWARD(
      cuStreamGetCaptureInfo(ToStream(stream), reinterpret_cast<CUstreamCaptureStatus*>(status),
                             reinterpret_cast<cuuint64_t*>(id), reinterpret_cast<CUgraph*>(graph),
                             reinterpret_cast<const CUgraphNode**>(dependencies),
                             reinterpret_cast<const CUgraphEdgeData**>(edges), count));
}

cudaError_t CUDARTAPI cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  SIM_FORWARD(cuThreadExchangeStreamCaptureMode(reinterpret_cast<CUstreamCaptureMode*>(mode)));
}

cudaError_t CUDARTAPI cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  SIM_FORWARD(cuEventCreate(reinterpret_cast<CUevent*>(event), flags));
}

cudaError_t CUDARTAPI cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t CUDARTAPI cudaEventDestroy(cudaEvent_t event) {
  SIM_FORWARD(cuEventDestroy(ToEvent(event)));
}

cudaError_t CUDARTAPI cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream,
                                               unsigned flags) {
  SIM_FORWARD(cuEventRecordWithFlags(ToEvent(event), ToStream(stream), flags));
}

cudaError_t CUDARTAPI cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return cudaEventRecordWithFlags(event, stream, cudaEventRecordDefault);
}

cudaError_t CUDARTAPI cudaEventQuery(cudaEvent_t event) {
  SIM_FORWARD(cuEventQuery(ToEvent(event)));
}

cudaError_t CUDARTAPI cudaEventSynchronize(cudaEvent_t event) {
  SIM_FORWARD(cuEventSynchronize(ToEvent(event)));
}

cudaError_t CUDARTAPI cudaEventElapsedTime(float* milliseconds, cudaEvent_t start,
                                           cudaEvent_t end) {
  SIM_FORWARD(cuEventElapsedTime(milliseconds, ToEvent(start), ToEvent(end)));
}

}  // extern "C"
