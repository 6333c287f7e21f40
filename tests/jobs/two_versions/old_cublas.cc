// Stands for the cuBLAS of an earlier CUDA: soname and symbol version libcublas.so.12, the few
// functions that the test's caller and an observer need. It does no work and counts its calls.
#include <cublas_v2.h>

#include <atomic>

namespace {
std::atomic<int> g_calls = 0;
int g_handle = 0;
}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  *handle = reinterpret_cast<cublasHandle_t>(&g_handle);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t) { return CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, cudaStream_t* stream) {
  *stream = nullptr;
  return handle == reinterpret_cast<cublasHandle_t>(&g_handle) ? CUBLAS_STATUS_SUCCESS
                                                               : CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t, cublasOperation_t, int, int,
                              int, const float*, const float*, int, const float*, int, const float*,
                              float*, int) {
  // A handle of the other library shows a call that took the wrong way.
  if (handle != reinterpret_cast<cublasHandle_t>(&g_handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  ++g_calls;
  return CUBLAS_STATUS_SUCCESS;
}

int oldCublasCalls() { return g_calls; }
}
