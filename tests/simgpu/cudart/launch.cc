// libcudart: kernels. Programs compiled by nvcc register theirs here when they start; a kernel
// nobody registered (its host function is all that is known) is launched under the name "kernel".
#include <pthread.h>
#include <stdlib.h>

#include "cudart/driver.h"

using simgpu_cudart::FunctionOf;
using simgpu_cudart::GetDriver;
using simgpu_cudart::Keep;
using simgpu_cudart::ToStream;

namespace {

struct Registered {
  const void* host_function;
  const char* name;
  Registered* next;
};

Registered* registered = nullptr;
pthread_mutex_t registered_lock = PTHREAD_MUTEX_INITIALIZER;
CUmodule the_module = nullptr;

// What <<<>>> leaves for the launch that follows on the same thread.
struct Configuration {
  uint3 grid;
  uint3 block;
  size_t shared_bytes;
  cudaStream_t stream;
};
constexpr int kDeepest = 16;
__thread Configuration pushed[kDeepest];
__thread int depth = 0;

const char* NameOf(const void* host_function) {
  const char* name = "kernel";
  pthread_mutex_lock(&registered_lock);
  for (const Registered* entry = registered; entry != nullptr; entry = entry->next) {
    if (entry->host_function == host_function) name = entry->name;
  }
  pthread_mutex_unlock(&registered_lock);
  return name;
}

}  // namespace

namespace simgpu_cudart {

cudaError_t FunctionOf(const void* host_function, CUfunction* function) {
  if (host_function == nullptr) return cudaErrorInvalidDeviceFunction;
  if (const cudaError_t error = EnsureContext()) return error;
  CUresult status = CUDA_SUCCESS;
  pthread_mutex_lock(&registered_lock);
  if (the_module == nullptr) status = GetDriver()->cuModuleLoadData(&the_module, "simgpu");
  pthread_mutex_unlock(&registered_lock);
  if (status != CUDA_SUCCESS) return static_cast<cudaError_t>(status);
  return static_cast<cudaError_t>(
      GetDriver()->cuModuleGetFunction(function, the_module, NameOf(host_function)));
}

}  // namespace simgpu_cudart

extern "C" {

cudaError_t CUDARTAPI cudaLaunchKernel(const void* host_function, dim3 grid, dim3 block,
                                       void** arguments, size_t shared_bytes, cudaStream_t stream) {
  CUfunction function = nullptr;
  if (const cudaError_t error = FunctionOf(host_function, &function)) return Keep(error);
  const CUresult status = GetDriver()->cuLaunchKernel(
      function, grid.x, grid.y, grid.z, block.x, block.y, block.z,
      static_cast<unsigned>(shared_bytes), ToStream(stream), arguments, nullptr);
  return Keep(status == CUDA_ERROR_INVALID_VALUE ? cudaErrorInvalidConfiguration
                                                 : static_cast<cudaError_t>(status));
}

cudaError_t CUDARTAPI cudaLaunchKernelExC(const cudaLaunchConfig_t* config,
                                          const void* host_function, void** arguments) {
  if (config == nullptr) return Keep(cudaErrorInvalidValue);
  return cudaLaunchKernel(host_function, config->gridDim, config->blockDim, arguments,
                          config->dynamicSmemBytes, config->stream);
}

cudaError_t CUDARTAPI cudaLaunchCooperativeKernel(const void* host_function, dim3 grid, dim3 block,
                                                  void** arguments, size_t shared_bytes,
                                                  cudaStream_t stream) {
  return cudaLaunchKernel(host_function, grid, block, arguments, shared_bytes, stream);
}

cudaError_t CUDARTAPI cudaFuncSetAttribute(const void* host_function, cudaFuncAttribute, int) {
  return Keep(host_function == nullptr ? cudaErrorInvalidDeviceFunction : cudaSuccess);
}

cudaError_t CUDARTAPI cudaFuncGetName(const char** name, const void* host_function) {
  if (name == nullptr || host_function == nullptr) return Keep(cudaErrorInvalidValue);
  *name = NameOf(host_function);
  return cudaSuccess;
}

unsigned CUDARTAPI __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes,
                                               struct CUstream_st* stream) {
  if (depth == kDeepest) return 1;
  pushed[depth++] = {{grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared_bytes, stream};
  return 0;
}

cudaError_t CUDARTAPI __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared_bytes,
                                                 void* stream) {
  if (depth == 0) return cudaErrorMissingConfiguration;
  const Configuration& c = pushed[--depth];
  *grid = dim3(c.grid.x, c.grid.y, c.grid.z);
  *block = dim3(c.block.x, c.block.y, c.block.z);
  *shared_bytes = c.shared_bytes;
  *static_cast<cudaStream_t*>(stream) = c.stream;
  return cudaSuccess;
}

void** CUDARTAPI __cudaRegisterFatBinary(void*) {
  static void* handle = nullptr;
  return &handle;
}

void CUDARTAPI __cudaRegisterFatBinaryEnd(void**) {}
void CUDARTAPI __cudaUnregisterFatBinary(void**) {}
char CUDARTAPI __cudaInitModule(void**) { return 1; }

void CUDARTAPI __cudaRegisterFunction(void**, const char* host_function, char*, const char* name,
                                      int, uint3*, uint3*, dim3*, dim3*, int*) {
  auto* entry = static_cast<Registered*>(malloc(sizeof(Registered)));
  if (entry == nullptr) return;
  pthread_mutex_lock(&registered_lock);
  *entry = {host_function, name, registered};
  registered = entry;
  pthread_mutex_unlock(&registered_lock);
}

void CUDARTAPI __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}

}  // extern "C"
