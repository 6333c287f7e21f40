// libcudart: devices and versions.
#include <string.h>

#include "cudart/driver.h"

using simgpu_cudart::EnsureContext;
using simgpu_cudart::EnsureInitialized;
using simgpu_cudart::GetDriver;
using simgpu_cudart::Keep;

namespace {

int Attribute(CUdevice_attribute attribute, int device) {
  int value = 0;
  GetDriver()->cuDeviceGetAttribute(&value, attribute, device);
  return value;
}

}  // namespace

extern "C" {

cudaError_t CUDARTAPI cudaRuntimeGetVersion(int* version) {
  if (version == nullptr) return Keep(cudaErrorInvalidValue);
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaDriverGetVersion(int* version) {
  if (version == nullptr) return Keep(cudaErrorInvalidValue);
  *version = 0;
  if (GetDriver() == nullptr) return cudaSuccess;
  return Keep(GetDriver()->cuDriverGetVersion(version));
}

cudaError_t CUDARTAPI cudaGetDeviceCount(int* count) {
  if (count == nullptr) return Keep(cudaErrorInvalidValue);
  *count = 0;
  if (const cudaError_t error = EnsureInitialized()) return Keep(error);
  return Keep(GetDriver()->cuDeviceGetCount(count));
}

cudaError_t CUDARTAPI cudaInitDevice(int device, unsigned, unsigned) {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count)) return error;
  return device < 0 || device >= count ? Keep(cudaErrorInvalidDevice) : cudaSuccess;
}

cudaError_t CUDARTAPI cudaSetDeviceFlags(unsigned) { return Keep(EnsureInitialized()); }

cudaError_t CUDARTAPI cudaGetDeviceFlags(unsigned* flags) {
  if (flags == nullptr) return Keep(cudaErrorInvalidValue);
  *flags = 0;
  return Keep(EnsureInitialized());
}

cudaError_t CUDARTAPI cudaDeviceSynchronize(void) { SIM_FORWARD(cuCtxSynchronize()); }

cudaError_t CUDARTAPI cudaDeviceReset(void) { return cudaDeviceSynchronize(); }

// The runtime's attribute numbers are the driver's.
cudaError_t CUDARTAPI cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (const cudaError_t error = EnsureInitialized()) return Keep(error);
  return Keep(
      GetDriver()->cuDeviceGetAttribute(value, static_cast<CUdevice_attribute>(attribute), device));
}

cudaError_t CUDARTAPI cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  if (p == nullptr) return Keep(cudaErrorInvalidValue);
  if (const cudaError_t error = EnsureInitialized()) return Keep(error);
  memset(p, 0, sizeof *p);
  CUuuid uuid;
  if (const CUresult status = GetDriver()->cuDeviceGetName(p->name, sizeof p->name, device)) {
    return Keep(status);
  }
  GetDriver()->cuDeviceTotalMem(&p->totalGlobalMem, device);
  if (GetDriver()->cuDeviceGetUuid(&uuid, device) == CUDA_SUCCESS) {
    memcpy(p->uuid.bytes, uuid.bytes, sizeof uuid.bytes);
  }
  p->major = Attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
  p->minor = Attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device);
  p->multiProcessorCount = Attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device);
  p->warpSize = Attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE, device);
  p->maxThreadsPerBlock = Attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, device);
  p->maxThreadsPerMultiProcessor =
      Attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, device);
  p->maxThreadsDim[0] = Attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, device);
  p->maxThreadsDim[1] = Attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, device);
  p->maxThreadsDim[2] = Attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, device);
  p->maxGridSize[0] = Attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, device);
  p->maxGridSize[1] = Attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, device);
  p->maxGridSize[2] = Attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, device);
  p->sharedMemPerBlock =
      static_cast<size_t>(Attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, device));
  p->regsPerBlock = Attribute(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, device);
  p->l2CacheSize = Attribute(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, device);
  p->memoryBusWidth = Attribute(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, device);
  p->pciBusID = Attribute(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, device);
  p->asyncEngineCount = Attribute(CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, device);
  p->unifiedAddressing = 1;
  p->managedMemory = 1;
  p->concurrentKernels = 1;
  p->canMapHostMemory = 1;
  p->streamPrioritiesSupported = 1;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaDeviceGetPCIBusId(char* id, int length, int device) {
  if (const cudaError_t error = EnsureInitialized()) return Keep(error);
  return Keep(GetDriver()->cuDeviceGetPCIBusId(id, length, device));
}

cudaError_t CUDARTAPI cudaDeviceGetByPCIBusId(int* device, const char* id) {
  if (const cudaError_t error = EnsureInitialized()) return Keep(error);
  return Keep(GetDriver()->cuDeviceGetByPCIBusId(device, id));
}

cudaError_t CUDARTAPI cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  if (const cudaError_t error = EnsureInitialized()) return Keep(error);
  return Keep(GetDriver()->cuDeviceCanAccessPeer(can, device, peer));
}

cudaError_t CUDARTAPI cudaDeviceEnablePeerAccess(int, unsigned) { return Keep(EnsureContext()); }

cudaError_t CUDARTAPI cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  SIM_FORWARD(cuCtxGetStreamPriorityRange(least, greatest));
}

cudaError_t CUDARTAPI cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  SIM_FORWARD(cuDeviceGetDefaultMemPool(reinterpret_cast<CUmemoryPool*>(pool), device));
}

cudaError_t CUDARTAPI cudaDeviceGetMemPool(cudaMemPool_t* pool, int device) {
  return cudaDeviceGetDefaultMemPool(pool, device);
}

cudaError_t CUDARTAPI cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute,
                                              void* value) {
  SIM_FORWARD(cuMemPoolSetAttribute(reinterpret_cast<CUmemoryPool>(pool),
                                    static_cast<CUmemPool_attribute>(attribute), value));
}

cudaError_t CUDARTAPI cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute,
                                              void* value) {
  SIM_FORWARD(cuMemPoolGetAttribute(reinterpret_cast<CUmemoryPool>(pool),
                                    static_cast<CUmemPool_attribute>(attribute), value));
}

cudaError_t CUDARTAPI cudaMemPoolTrimTo(cudaMemPool_t pool, size_t keep) {
  SIM_FORWARD(cuMemPoolTrimTo(reinterpret_cast<CUmemoryPool>(pool), keep));
}

cudaError_t CUDARTAPI cudaProfilerStart(void) { return cudaSuccess; }
cudaError_t CUDARTAPI cudaProfilerStop(void) { return cudaSuccess; }

}  // extern "C"
