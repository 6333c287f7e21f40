// Another interposer: defines a vendor's name itself and goes on with dlsym(RTLD_NEXT), which means
// "after this object" only if the dlsym it calls keeps the return address (experiment: a C wrapper
// of dlsym sends it into itself).
#include <dlfcn.h>

#include <cstdio>

#include <cublas_v2.h>

extern "C" cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t a,
                                         cublasOperation_t b, int m, int n, int k,
                                         const float* alpha, const float* x, int lda,
                                         const float* y, int ldb, const float* beta, float* c,
                                         int ldc) {
  static const auto next =
      reinterpret_cast<decltype(&cublasSgemm_v2)>(dlsym(RTLD_NEXT, "cublasSgemm_v2"));
  std::printf("other interposer\n");
  return next(handle, a, b, m, n, k, alpha, x, lda, y, ldb, beta, c, ldc);
}
