// libcudart: memory. The addresses are ordinary ones, so host and device pointers need no
// translation.
#include <string.h>

#include "cudart/driver.h"

using simgpu_cudart::EnsureContext;
using simgpu_cudart::GetDriver;
using simgpu_cudart::Keep;
using simgpu_cudart::ToDevice;
using simgpu_cudart::ToStream;

extern "C" {

cudaError_t CUDARTAPI cudaMalloc(void** pointer, size_t bytes) {
  if (pointer == nullptr) return Keep(cudaErrorInvalidValue);
  *pointer = nullptr;
  if (bytes == 0) return Keep(EnsureContext());
  SIM_FORWARD(cuMemAlloc(reinterpret_cast<CUdeviceptr*>(pointer), bytes));
}

cudaError_t CUDARTAPI cudaMallocManaged(void** pointer, size_t bytes, unsigned flags) {
  SIM_FORWARD(cuMemAllocManaged(reinterpret_cast<CUdeviceptr*>(pointer), bytes, flags));
}

cudaError_t CUDARTAPI cudaFree(void* pointer) {
  if (pointer == nullptr) return Keep(EnsureContext());
  SIM_FORWARD(cuMemFree(ToDevice(pointer)));
}

cudaError_t CUDARTAPI cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t stream) {
  if (pointer == nullptr) return Keep(cudaErrorInvalidValue);
  *pointer = nullptr;
  if (bytes == 0) return Keep(EnsureContext());
  SIM_FORWARD(cuMemAllocAsync(reinterpret_cast<CUdeviceptr*>(pointer), bytes, ToStream(stream)));
}

cudaError_t CUDARTAPI cudaFreeAsync(void* pointer, cudaStream_t stream) {
  if (pointer == nullptr) return Keep(EnsureContext());
  SIM_FORWARD(cuMemFreeAsync(ToDevice(pointer), ToStream(stream)));
}

cudaError_t CUDARTAPI cudaHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  SIM_FORWARD(cuMemHostAlloc(pointer, bytes, flags));
}

cudaError_t CUDARTAPI cudaMallocHost(void** pointer, size_t bytes) {
  return cudaHostAlloc(pointer, bytes, 0);
}

cudaError_t CUDARTAPI cudaFreeHost(void* pointer) {
  if (pointer == nullptr) return Keep(EnsureContext());
  SIM_FORWARD(cuMemFreeHost(pointer));
}

cudaError_t CUDARTAPI cudaHostRegister(void* pointer, size_t bytes, unsigned flags) {
  SIM_FORWARD(cuMemHostRegister(pointer, bytes, flags));
}

cudaError_t CUDARTAPI cudaHostUnregister(void* pointer) {
  SIM_FORWARD(cuMemHostUnregister(pointer));
}

cudaError_t CUDARTAPI cudaHostGetDevicePointer(void** device, void* host, unsigned) {
  if (device == nullptr || host == nullptr) return Keep(cudaErrorInvalidValue);
  *device = host;
  return Keep(EnsureContext());
}

cudaError_t CUDARTAPI cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  SIM_FORWARD(cuMemGetInfo(free_bytes, total_bytes));
}

cudaError_t CUDARTAPI cudaPointerGetAttributes(cudaPointerAttributes* attributes,
                                               const void* pointer) {
  if (attributes == nullptr) return Keep(cudaErrorInvalidValue);
  if (const cudaError_t error = EnsureContext()) return Keep(error);
  memset(attributes, 0, sizeof *attributes);
  attributes->device = -2;
  attributes->type = cudaMemoryTypeUnregistered;
  attributes->hostPointer = const_cast<void*>(pointer);
  unsigned type = 0;
  unsigned managed = 0;
  const CUdeviceptr at = ToDevice(pointer);
  if (GetDriver()->cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, at) !=
      CUDA_SUCCESS) {
    return cudaSuccess;
  }
  GetDriver()->cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, at);
  GetDriver()->cuPointerGetAttribute(&attributes->device, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, at);
  attributes->devicePointer = const_cast<void*>(pointer);
  if (managed != 0) {
    attributes->type = cudaMemoryTypeManaged;
  } else if (type == CU_MEMORYTYPE_HOST) {
    attributes->type = cudaMemoryTypeHost;
  } else {
    attributes->type = cudaMemoryTypeDevice;
    attributes->hostPointer = nullptr;
  }
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  switch (kind) {
    case cudaMemcpyHostToDevice:
      SIM_FORWARD(cuMemcpyHtoD(ToDevice(to), from, bytes));
    case cudaMemcpyDeviceToHost:
      SIM_FORWARD(cuMemcpyDtoH(to, ToDevice(from), bytes));
    case cudaMemcpyDeviceToDevice:
      SIM_FORWARD(cuMemcpyDtoD(ToDevice(to), ToDevice(from), bytes));
    case cudaMemcpyHostToHost:
    case cudaMemcpyDefault:
      SIM_FORWARD(cuMemcpy(ToDevice(to), ToDevice(from), bytes));
  }
  return Keep(cudaErrorInvalidMemcpyDirection);
}

cudaError_t CUDARTAPI cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                                      cudaStream_t stream) {
  const CUstream s = ToStream(stream);
  switch (kind) {
    case cudaMemcpyHostToDevice:
      SIM_FORWARD(cuMemcpyHtoDAsync(ToDevice(to), from, bytes, s));
    case cudaMemcpyDeviceToHost:
      SIM_FORWARD(cuMemcpyDtoHAsync(to, ToDevice(from), bytes, s));
    case cudaMemcpyDeviceToDevice:
      SIM_FORWARD(cuMemcpyDtoDAsync(ToDevice(to), ToDevice(from), bytes, s));
    case cudaMemcpyHostToHost:
    case cudaMemcpyDefault:
      SIM_FORWARD(cuMemcpyAsync(ToDevice(to), ToDevice(from), bytes, s));
  }
  return Keep(cudaErrorInvalidMemcpyDirection);
}

cudaError_t CUDARTAPI cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t bytes,
                                          cudaStream_t stream) {
  SIM_FORWARD(
      cuMemcpyPeerAsync(ToDevice(to), nullptr, ToDevice(from), nullptr, bytes, ToStream(stream)));
}

cudaError_t CUDARTAPI cudaMemset(void* to, int value, size_t bytes) {
  SIM_FORWARD(cuMemsetD8(ToDevice(to), static_cast<unsigned char>(value), bytes));
}

cudaError_t CUDARTAPI cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  SIM_FORWARD(
      cuMemsetD8Async(ToDevice(to), static_cast<unsigned char>(value), bytes, ToStream(stream)));
}

cudaError_t CUDARTAPI cudaMemset2DAsync(void* to, size_t pitch, int value, size_t width,
                                        size_t height, cudaStream_t stream) {
  SIM_FORWARD(cuMemsetD2D8Async(ToDevice(to), pitch, static_cast<unsigned char>(value), width,
                                height, ToStream(stream)));
}

}  // extern "C"
