// A plugin that calls "its" cuBLAS through an ordinary link-time reference; built twice, once
// against each version.
#include <cublas_v2.h>

extern "C" int MultiplyTimes(int calls, int m, float* operands) {
  cublasHandle_t handle = nullptr;
  const float alpha = 1, beta = 0;
  if (cublasCreate(&handle) != CUBLAS_STATUS_SUCCESS) return 1;
  for (int i = 0; i < calls; ++i) {
    if (cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, 32, 16, &alpha, operands, m, operands, 16,
                    &beta, operands, m) != CUBLAS_STATUS_SUCCESS) {
      return 2;
    }
  }
  return cublasDestroy(handle) == CUBLAS_STATUS_SUCCESS ? 0 : 3;
}
