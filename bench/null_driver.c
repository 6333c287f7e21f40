// A CUDA driver whose queries return at once: what every job that calls cuBLAS has in its process.
// Without one each intercepted call would look for a driver, which no real job pays for.
#include <cuda.h>

CUresult cuCtxGetCurrent(CUcontext* context) {
  *context = (CUcontext)0x20;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice* device) {
  *device = 0;
  return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  (void)stream;
  *status = CU_STREAM_CAPTURE_STATUS_NONE;
  return CUDA_SUCCESS;
}
