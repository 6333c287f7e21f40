// How the simulated runtime reaches the driver: like the real one, dlopen("libcuda.so.1") and
// cuGetProcAddress_v2, never a link. Shared and static runtime are the same sources; no C++
// library.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

namespace simgpu_cudart {

// clang-format off
#define SIM_CUDART_USES(X)                                                                         \
  X(cuInit) X(cuDriverGetVersion) X(cuDeviceGetCount) X(cuDeviceGetName) X(cuDeviceGetUuid)        \
  X(cuDeviceTotalMem) X(cuDeviceGetAttribute) X(cuDeviceGetPCIBusId) X(cuDeviceGetByPCIBusId)      \
  X(cuDeviceCanAccessPeer) X(cuDevicePrimaryCtxRetain) X(cuCtxGetCurrent) X(cuCtxSetCurrent)       \
  X(cuCtxGetDevice) X(cuCtxSynchronize) X(cuCtxGetStreamPriorityRange) X(cuGetErrorName)           \
  X(cuGetErrorString) X(cuStreamCreateWithPriority) X(cuStreamDestroy) X(cuStreamQuery)            \
  X(cuStreamSynchronize) X(cuStreamWaitEvent) X(cuStreamGetFlags) X(cuStreamGetPriority)           \
  X(cuStreamGetId) X(cuStreamGetDevice) X(cuStreamAddCallback) X(cuLaunchHostFunc)                 \
  X(cuStreamBeginCapture) X(cuStreamEndCapture) X(cuStreamIsCapturing) X(cuStreamGetCaptureInfo)   \
  X(cuThreadExchangeStreamCaptureMode) X(cuEventCreate) X(cuEventDestroy) X(cuEventRecordWithFlags)\
  X(cuEventQuery) X(cuEventSynchronize) X(cuEventElapsedTime) X(cuGraphCreate) X(cuGraphDestroy)   \
  X(cuGraphClone) X(cuGraphGetNodes) X(cuGraphNodeGetType) X(cuGraphInstantiateWithFlags)          \
  X(cuGraphExecDestroy) X(cuGraphExecUpdate) X(cuGraphUpload) X(cuGraphLaunch) X(cuMemGetInfo)     \
  X(cuMemAlloc) X(cuMemAllocManaged) X(cuMemFree) X(cuMemHostAlloc) X(cuMemFreeHost)               \
  X(cuMemHostRegister) X(cuMemHostUnregister) X(cuPointerGetAttribute) X(cuMemAllocAsync)          \
  X(cuMemFreeAsync) X(cuDeviceGetDefaultMemPool) X(cuMemPoolSetAttribute) X(cuMemPoolGetAttribute) \
  X(cuMemPoolTrimTo) X(cuMemcpy) X(cuMemcpyAsync) X(cuMemcpyHtoD) X(cuMemcpyDtoH) X(cuMemcpyDtoD)  \
  X(cuMemcpyHtoDAsync) X(cuMemcpyDtoHAsync) X(cuMemcpyDtoDAsync) X(cuMemcpyPeerAsync)              \
  X(cuMemsetD8) X(cuMemsetD8Async) X(cuMemsetD2D8Async) X(cuModuleLoadData) X(cuModuleGetFunction) \
  X(cuLaunchKernel) X(cuGraphAddMemsetNode) X(cuGraphAddHostNode)          \
  X(cuGraphAddEmptyNode) X(cuGraphAddChildGraphNode) X(cuGraphAddNode)                             \
  X(cuGraphConditionalHandleCreate) X(cuGraphDestroyNode) X(cuGraphExecChildGraphNodeSetParams)    \
  X(cuGraphNodeSetEnabled) X(cuStreamBeginCaptureToGraph)
// clang-format on

struct Driver {
#define SIM_MEMBER(name) decltype(&::name) name;
  SIM_CUDART_USES(SIM_MEMBER)
#undef SIM_MEMBER
  decltype(&::cuGetProcAddress_v2) get_proc_address;
};

// Null where there is no usable driver.
const Driver* GetDriver();
// Initialises CUDA and makes the thread's device current, as the runtime does implicitly.
cudaError_t EnsureContext();
cudaError_t EnsureInitialized();
cudaError_t Keep(cudaError_t error);  // remembers it for cudaGetLastError, returns it
inline cudaError_t Keep(CUresult result) { return Keep(static_cast<cudaError_t>(result)); }
// The runtime's handle of a kernel: its registered name where there is one.
cudaError_t FunctionOf(const void* host_function, CUfunction* function);

inline CUstream ToStream(cudaStream_t stream) { return reinterpret_cast<CUstream>(stream); }
inline CUdeviceptr ToDevice(const void* pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

}  // namespace simgpu_cudart

// Runs one driver function with a context; its result is the runtime's (the numbers are the same
// since CUDA 10.1).
#define SIM_FORWARD(call)                                             \
  do {                                                                \
    if (const cudaError_t sim_error = simgpu_cudart::EnsureContext()) \
      return simgpu_cudart::Keep(sim_error);                          \
    return simgpu_cudart::Keep(simgpu_cudart::GetDriver()->call);     \
  } while (0)
