// A shared object linked to one fake library, like a Python extension: its calls go through its own
// PLT and its library is no part of the global scope. EXTENSION is the name of its only function.
#include <cublas_v2.h>

#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)

extern "C" int CONCAT(RunExtension, EXTENSION)(void* handle, int m) {
  const float beta = 1;
  return cublasSgemm_v2(static_cast<cublasHandle_t>(handle), CUBLAS_OP_N, CUBLAS_OP_T, m, 2, 3,
                        &beta, nullptr, 1, nullptr, 1, &beta, nullptr, 1);
}
