// libcublas.so.13: handles and what they hold.
#include "cublas/gemm.h"

namespace simgpu {

BlasHandle* Find(cublasHandle_t handle) {
  auto* found = reinterpret_cast<BlasHandle*>(handle);
  return found != nullptr && found->lt.magic == LtHandle::kMagic ? found : nullptr;
}

}  // namespace simgpu

// Reads or writes one field of a live handle.
#define SIM_SETTER(name, type, field)                                   \
  cublasStatus_t CUBLASWINAPI name(cublasHandle_t handle, type value) { \
    simgpu::BlasHandle* found = simgpu::Find(handle);                   \
    if (found == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;         \
    found->field = value;                                               \
    return CUBLAS_STATUS_SUCCESS;                                       \
  }
#define SIM_GETTER(name, type, field)                                    \
  cublasStatus_t CUBLASWINAPI name(cublasHandle_t handle, type* value) { \
    const simgpu::BlasHandle* found = simgpu::Find(handle);              \
    if (found == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;          \
    if (value == nullptr) return CUBLAS_STATUS_INVALID_VALUE;            \
    *value = found->field;                                               \
    return CUBLAS_STATUS_SUCCESS;                                        \
  }

extern "C" {

// Needs a current context, as the real one does; the runtime makes one on its first call.
cublasStatus_t CUBLASWINAPI cublasCreate_v2(cublasHandle_t* handle) {
  if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *handle = nullptr;
  simgpu::Api* api = simgpu::FindApi();
  if (api == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  auto* made = new simgpu::BlasHandle;
  if (api->MakeContextCurrent(&made->lt.device) != CUDA_SUCCESS) {
    delete made;
    return CUBLAS_STATUS_NOT_INITIALIZED;
  }
  *handle = reinterpret_cast<cublasHandle_t>(made);
  return CUBLAS_STATUS_SUCCESS;
}

// The few bytes stay, so that a use after this is told from a good one.
cublasStatus_t CUBLASWINAPI cublasDestroy_v2(cublasHandle_t handle) {
  simgpu::BlasHandle* found = simgpu::Find(handle);
  if (found == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  found->lt.magic = 0;
  return CUBLAS_STATUS_SUCCESS;
}

SIM_SETTER(cublasSetStream_v2, cudaStream_t, stream)
SIM_GETTER(cublasGetStream_v2, cudaStream_t, stream)
SIM_SETTER(cublasSetPointerMode_v2, cublasPointerMode_t, pointer_mode)
SIM_GETTER(cublasGetPointerMode_v2, cublasPointerMode_t, pointer_mode)
SIM_SETTER(cublasSetAtomicsMode, cublasAtomicsMode_t, atomics_mode)
SIM_GETTER(cublasGetAtomicsMode, cublasAtomicsMode_t, atomics_mode)
SIM_SETTER(cublasSetMathMode, cublasMath_t, math_mode)
SIM_GETTER(cublasGetMathMode, cublasMath_t, math_mode)
SIM_SETTER(cublasSetSmCountTarget, int, sm_count_target)
SIM_GETTER(cublasGetSmCountTarget, int, sm_count_target)

cublasStatus_t CUBLASWINAPI cublasSetWorkspace_v2(cublasHandle_t handle, void*, size_t) {
  return simgpu::Find(handle) == nullptr ? CUBLAS_STATUS_NOT_INITIALIZED : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasGetVersion_v2(cublasHandle_t, int* version) {
  if (version == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *version = CUBLAS_VERSION;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasGetProperty(libraryPropertyType type, int* value) {
  if (value == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  switch (type) {
    case MAJOR_VERSION:
      *value = CUBLAS_VER_MAJOR;
      return CUBLAS_STATUS_SUCCESS;
    case MINOR_VERSION:
      *value = CUBLAS_VER_MINOR;
      return CUBLAS_STATUS_SUCCESS;
    case PATCH_LEVEL:
      *value = CUBLAS_VER_PATCH;
      return CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

size_t CUBLASWINAPI cublasGetCudartVersion(void) { return CUDART_VERSION; }

const char* CUBLASWINAPI cublasGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_MAPPING_ERROR:
      return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_LICENSE_ERROR:
      return "CUBLAS_STATUS_LICENSE_ERROR";
  }
  return "CUBLAS_STATUS_UNKNOWN";
}

const char* CUBLASWINAPI cublasGetStatusString(cublasStatus_t status) {
  return cublasGetStatusName(status);
}

}  // extern "C"
