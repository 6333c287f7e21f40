// A CUDA driver whose queries return at once: what every job that calls cuBLAS has in its process.
// Without one each intercepted call would look for a driver, which no real job pays for.
#include <cuda.h>
#include <stddef.h>

// One capture at a time, which ends as a graph whose launch does nothing.
static CUstreamCaptureStatus g_capture = CU_STREAM_CAPTURE_STATUS_NONE;

CUresult cuCtxGetCurrent(CUcontext* context) {
  *context = (CUcontext)0x20;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice* device) {
  *device = 0;
  return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
  (void)context;
  return CUDA_SUCCESS;
}

// Events that complete at once, all at the same time.
CUresult cuEventCreate(CUevent* event, unsigned flags) {
  (void)flags;
  *event = (CUevent)0x30;
  return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
  (void)event;
  (void)stream;
  return CUDA_SUCCESS;
}

CUresult cuEventQuery(CUevent event) {
  (void)event;
  return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime(float* milliseconds, CUevent begin, CUevent end) {
  (void)begin;
  (void)end;
  *milliseconds = 0;
  return CUDA_SUCCESS;
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  (void)mode;
  return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  (void)stream;
  *status = g_capture;
  return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) {
  (void)stream;
  (void)mode;
  g_capture = CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id,
                                   CUgraph* graph, const CUgraphNode** nodes, size_t* count);
CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id,
                                   CUgraph* graph, const CUgraphNode** nodes, size_t* count) {
  (void)stream;
  (void)nodes;
  *status = g_capture;
  *id = 1;
  *graph = (CUgraph)0x40;
  if (count != NULL) *count = 0;
  return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  (void)stream;
  g_capture = CU_STREAM_CAPTURE_STATUS_NONE;
  *graph = (CUgraph)0x40;
  return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph,
                                     unsigned long long flags) {
  (void)graph;
  (void)flags;
  *executable = (CUgraphExec)0x60;
  return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
  (void)executable;
  (void)stream;
  return CUDA_SUCCESS;
}

CUresult cuFuncGetName(const char** name, CUfunction function) {
  (void)function;
  *name = "kernel";
  return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                        unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                        CUstream stream, void** parameters, void** extra) {
  (void)function, (void)grid_x, (void)grid_y, (void)grid_z, (void)block_x, (void)block_y;
  (void)block_z, (void)shared_bytes, (void)stream, (void)parameters, (void)extra;
  return CUDA_SUCCESS;
}
