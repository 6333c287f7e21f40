// libcudart: loading the driver, the implicit context, and the last error.
#include "cudart/driver.h"

#include <dlfcn.h>
#include <pthread.h>

namespace simgpu_cudart {
namespace {

constexpr int kMostDevices = 64;

pthread_once_t load_once = PTHREAD_ONCE_INIT;
Driver driver;
bool have_driver = false;
CUresult init_result = CUDA_ERROR_NOT_INITIALIZED;
CUcontext primaries[kMostDevices];
pthread_mutex_t primaries_lock = PTHREAD_MUTEX_INITIALIZER;

__thread int thread_device = 0;
__thread cudaError_t last_error = cudaSuccess;

void Load() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == nullptr) return;
  void* symbol = dlsym(library, "cuGetProcAddress_v2");
  if (symbol == nullptr) return;
  driver.get_proc_address = reinterpret_cast<decltype(driver.get_proc_address)>(symbol);
  bool all = true;
  const auto find = [&](const char* name) {
    void* function = nullptr;
    const CUresult status = driver.get_proc_address(name, &function, CUDART_VERSION, 0, nullptr);
    if (status != CUDA_SUCCESS || function == nullptr) all = false;
    return function;
  };
#define SIM_FIND(name) driver.name = reinterpret_cast<decltype(driver.name)>(find(#name));
  SIM_CUDART_USES(SIM_FIND)
#undef SIM_FIND
  have_driver = all;
  if (all) init_result = driver.cuInit(0);
}

cudaError_t Primary(int device, CUcontext* context) {
  if (device < 0 || device >= kMostDevices) return cudaErrorInvalidDevice;
  pthread_mutex_lock(&primaries_lock);
  CUresult status = CUDA_SUCCESS;
  if (primaries[device] == nullptr)
    status = driver.cuDevicePrimaryCtxRetain(&primaries[device], device);
  *context = primaries[device];
  pthread_mutex_unlock(&primaries_lock);
  return static_cast<cudaError_t>(status);
}

}  // namespace

const Driver* GetDriver() {
  pthread_once(&load_once, Load);
  return have_driver ? &driver : nullptr;
}

cudaError_t EnsureInitialized() {
  if (GetDriver() == nullptr) return cudaErrorInsufficientDriver;
  return static_cast<cudaError_t>(init_result);
}

cudaError_t EnsureContext() {
  if (const cudaError_t error = EnsureInitialized()) return error;
  CUcontext current = nullptr;
  if (const CUresult status = driver.cuCtxGetCurrent(&current))
    return static_cast<cudaError_t>(status);
  if (current != nullptr) return cudaSuccess;
  CUcontext context = nullptr;
  if (const cudaError_t error = Primary(thread_device, &context)) return error;
  return static_cast<cudaError_t>(driver.cuCtxSetCurrent(context));
}

cudaError_t Keep(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

}  // namespace simgpu_cudart

using simgpu_cudart::EnsureInitialized;
using simgpu_cudart::GetDriver;
using simgpu_cudart::Keep;

extern "C" {

cudaError_t CUDARTAPI cudaSetDevice(int device) {
  using namespace simgpu_cudart;
  if (const cudaError_t error = EnsureInitialized()) return Keep(error);
  CUcontext context = nullptr;
  if (const cudaError_t error = Primary(device, &context)) return Keep(error);
  thread_device = device;
  return Keep(driver.cuCtxSetCurrent(context));
}

cudaError_t CUDARTAPI cudaGetDevice(int* device) {
  if (device == nullptr) return Keep(cudaErrorInvalidValue);
  if (const cudaError_t error = EnsureInitialized()) return Keep(error);
  CUcontext current = nullptr;
  CUdevice ordinal = simgpu_cudart::thread_device;
  GetDriver()->cuCtxGetCurrent(&current);
  if (current != nullptr) GetDriver()->cuCtxGetDevice(&ordinal);
  *device = ordinal;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaGetLastError(void) {
  const cudaError_t error = simgpu_cudart::last_error;
  simgpu_cudart::last_error = cudaSuccess;
  return error;
}

cudaError_t CUDARTAPI cudaPeekAtLastError(void) { return simgpu_cudart::last_error; }

const char* CUDARTAPI cudaGetErrorName(cudaError_t error) {
  const char* name = nullptr;
  if (error == cudaSuccess) return "cudaSuccess";
  if (error == cudaErrorInsufficientDriver) return "cudaErrorInsufficientDriver";
  if (GetDriver() != nullptr) GetDriver()->cuGetErrorName(static_cast<CUresult>(error), &name);
  return name != nullptr ? name : "unrecognized error code";
}

const char* CUDARTAPI cudaGetErrorString(cudaError_t error) {
  const char* text = nullptr;
  if (error == cudaSuccess) return "no error";
  if (error == cudaErrorInsufficientDriver) {
    return "CUDA driver version is insufficient for CUDA runtime version";
  }
  if (GetDriver() != nullptr) GetDriver()->cuGetErrorString(static_cast<CUresult>(error), &text);
  return text != nullptr ? text : "unrecognized error code";
}

cudaError_t CUDARTAPI cudaGetDriverEntryPointByVersion(const char* symbol, void** function,
                                                       unsigned version, unsigned long long flags,
                                                       cudaDriverEntryPointQueryResult* result) {
  if (const cudaError_t error = EnsureInitialized()) return Keep(error);
  CUdriverProcAddressQueryResult found = CU_GET_PROC_ADDRESS_SUCCESS;
  const CUresult status =
      GetDriver()->get_proc_address(symbol, function, static_cast<int>(version), flags, &found);
  if (result != nullptr) *result = static_cast<cudaDriverEntryPointQueryResult>(found);
  return Keep(status);
}

cudaError_t CUDARTAPI cudaGetDriverEntryPoint(const char* symbol, void** function,
                                              unsigned long long flags,
                                              cudaDriverEntryPointQueryResult* result) {
  return cudaGetDriverEntryPointByVersion(symbol, function, CUDART_VERSION, flags, result);
}

}  // extern "C"
