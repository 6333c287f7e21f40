// libcuda.so.1: allocation, pointers, memory pools.
#include <cuda.h>

#include "engine/memory.h"
#include "engine/objects.h"

namespace simgpu {

namespace {

CUresult AllocateInto(CUdeviceptr* pointer, size_t bytes, MemoryKind kind) {
  if (pointer == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  const uintptr_t base = Allocate(bytes, CurrentContext()->device, kind);
  if (base == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  *pointer = base;
  return CUDA_SUCCESS;
}

// The one pool of a device that cudaMallocAsync draws from.
CUmemoryPool PoolOf(CUdevice device) {
  return reinterpret_cast<CUmemoryPool>(static_cast<uintptr_t>(device) + 1);
}

CUresult Attribute(void* data, CUpointer_attribute attribute, CUdeviceptr pointer) {
  const Allocation* found = FindAllocation(pointer, 0);
  if (found == nullptr) return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      *static_cast<CUcontext*>(data) =
          reinterpret_cast<CUcontext>(All().primaries[static_cast<size_t>(found->device)]);
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      *static_cast<unsigned*>(data) =
          found->kind == MemoryKind::kHost ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      *static_cast<CUdeviceptr*>(data) = pointer;
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      if (found->kind == MemoryKind::kDevice) return CUDA_ERROR_INVALID_VALUE;
      *static_cast<void**>(data) = reinterpret_cast<void*>(pointer);
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
      *static_cast<unsigned*>(data) = found->kind == MemoryKind::kManaged ? 1 : 0;
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      *static_cast<int*>(data) = found->device;
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
      *static_cast<CUdeviceptr*>(data) = found->base;
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
      *static_cast<size_t*>(data) = found->bytes;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

// What a free waits for: the runtime promises that work using the memory is done first.
CUresult WaitForDevice() {
  std::vector<OpRef> tails;
  {
    const Entered entered(true);
    if (entered.status()) return entered.status();
    if (const CUresult status = CheckUnsafeCall()) return status;
    tails = Tails(*CurrentContext());
  }
  for (const OpRef& op : tails) Engine::Get().WaitFor(op);
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace simgpu

using simgpu::AllocateInto;
using simgpu::Allocation;
using simgpu::Attribute;
using simgpu::BytesInUse;
using simgpu::CheckImplicit;
using simgpu::CheckUnsafeCall;
using simgpu::CurrentContext;
using simgpu::Entered;
using simgpu::FindAllocation;
using simgpu::FindStream;
using simgpu::GetSettings;
using simgpu::MemoryKind;
using simgpu::PoolOf;
using simgpu::Release;
using simgpu::Stream;
using simgpu::WaitForDevice;

extern "C" {

CUresult CUDAAPI cuMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  if (free_bytes == nullptr || total_bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *total_bytes = GetSettings().device.memory_bytes;
  *free_bytes = *total_bytes - BytesInUse(CurrentContext()->device);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuMemAlloc(CUdeviceptr* pointer, size_t bytes) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  if (const CUresult status = CheckUnsafeCall()) return status;
  return AllocateInto(pointer, bytes, MemoryKind::kDevice);
}

CUresult CUDAAPI cuMemAllocPitch(CUdeviceptr* pointer, size_t* pitch, size_t width, size_t height,
                                 unsigned) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  if (const CUresult status = CheckUnsafeCall()) return status;
  if (pitch == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *pitch = (width + 511) / 512 * 512;
  return AllocateInto(pointer, *pitch * height, MemoryKind::kDevice);
}

CUresult CUDAAPI cuMemAllocManaged(CUdeviceptr* pointer, size_t bytes, unsigned) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  if (const CUresult status = CheckUnsafeCall()) return status;
  return AllocateInto(pointer, bytes, MemoryKind::kManaged);
}

CUresult CUDAAPI cuMemFree(CUdeviceptr pointer) {
  if (pointer == 0) return CUDA_SUCCESS;
  if (const CUresult status = WaitForDevice()) return status;
  const Entered entered(true);
  if (entered.status()) return entered.status();
  return Release(pointer, false) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult CUDAAPI cuMemGetAddressRange(CUdeviceptr* base, size_t* bytes, CUdeviceptr pointer) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  const Allocation* found = FindAllocation(pointer, 1);
  if (found == nullptr) return CUDA_ERROR_NOT_FOUND;
  if (base != nullptr) *base = found->base;
  if (bytes != nullptr) *bytes = found->bytes;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuMemHostAlloc(void** pointer, size_t bytes, unsigned) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  if (const CUresult status = CheckUnsafeCall()) return status;
  if (pointer == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CUdeviceptr base = 0;
  const CUresult status = AllocateInto(&base, bytes, MemoryKind::kHost);
  *pointer = reinterpret_cast<void*>(base);
  return status;
}

CUresult CUDAAPI cuMemAllocHost(void** pointer, size_t bytes) {
  return cuMemHostAlloc(pointer, bytes, 0);
}

CUresult CUDAAPI cuMemFreeHost(void* pointer) {
  if (pointer == nullptr) return CUDA_SUCCESS;
  if (const CUresult status = WaitForDevice()) return status;
  const Entered entered(true);
  if (entered.status()) return entered.status();
  return Release(reinterpret_cast<uintptr_t>(pointer), true) ? CUDA_SUCCESS
                                                             : CUDA_ERROR_INVALID_VALUE;
}

CUresult CUDAAPI cuMemHostGetDevicePointer(CUdeviceptr* device, void* host, unsigned) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  if (device == nullptr || host == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *device = reinterpret_cast<CUdeviceptr>(host);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuMemHostRegister(void* pointer, size_t bytes, unsigned) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  return pointer == nullptr || bytes == 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult CUDAAPI cuMemHostUnregister(void* pointer) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  return pointer == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult CUDAAPI cuPointerGetAttribute(void* data, CUpointer_attribute attribute,
                                       CUdeviceptr pointer) {
  const Entered entered;
  if (entered.status()) return entered.status();
  return data == nullptr ? CUDA_ERROR_INVALID_VALUE : Attribute(data, attribute, pointer);
}

CUresult CUDAAPI cuPointerGetAttributes(unsigned count, CUpointer_attribute* attributes,
                                        void** data, CUdeviceptr pointer) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (attributes == nullptr || data == nullptr) return CUDA_ERROR_INVALID_VALUE;
  // Of memory CUDA does not know this call succeeds and leaves what the caller put there.
  for (unsigned i = 0; i < count; ++i)
    static_cast<void>(Attribute(data[i], attributes[i], pointer));
  return CUDA_SUCCESS;
}

// Stream-ordered allocation: address space appears at once; the work before a free has no effect on
// memory that is still to come, so it can go at once too.
CUresult CUDAAPI cuMemAllocAsync(CUdeviceptr* pointer, size_t bytes, CUstream handle) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  if (const CUresult status = CheckImplicit(*stream, true)) return status;
  return AllocateInto(pointer, bytes, MemoryKind::kDevice);
}

CUresult CUDAAPI cuMemAllocFromPoolAsync(CUdeviceptr* pointer, size_t bytes, CUmemoryPool pool,
                                         CUstream stream) {
  return pool == nullptr ? CUDA_ERROR_INVALID_VALUE : cuMemAllocAsync(pointer, bytes, stream);
}

CUresult CUDAAPI cuMemFreeAsync(CUdeviceptr pointer, CUstream handle) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  if (const CUresult status = CheckImplicit(*stream, true)) return status;
  if (stream->capture != nullptr) return CUDA_SUCCESS;  // the replayed copies still need the memory
  return Release(pointer, false) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult CUDAAPI cuDeviceGetDefaultMemPool(CUmemoryPool* pool, CUdevice device) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (device < 0 || device >= GetSettings().device_count) return CUDA_ERROR_INVALID_DEVICE;
  *pool = PoolOf(device);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDeviceGetMemPool(CUmemoryPool* pool, CUdevice device) {
  return cuDeviceGetDefaultMemPool(pool, device);
}

CUresult CUDAAPI cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute, void* value) {
  const Entered entered;
  if (entered.status()) return entered.status();
  return pool == nullptr || value == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult CUDAAPI cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute, void* value) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (pool == nullptr || value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *static_cast<cuuint64_t*>(value) = 0;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuMemPoolTrimTo(CUmemoryPool pool, size_t) {
  const Entered entered;
  if (entered.status()) return entered.status();
  return pool == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

}  // extern "C"
