// Trampolines that define the vendor's names inside a plugin and find the functions at their first
// use, as XLA's generated stubs do (xla/tsl/cuda/*_stub.cc, dso_loader.cc): linked with these, the
// plugin has no reference to the vendor's library, and the linker sees none.
#include <cublas_v2.h>
#include <dlfcn.h>

#include <cstdlib>

namespace {

void* Library() {
  static void* const library = dlopen("libcublas.so.13", RTLD_NOW | RTLD_LOCAL);
  return library;
}

template <typename Function>
Function* Find(const char* name) {
  void* found = Library() != nullptr ? dlsym(Library(), name) : nullptr;
  if (found == nullptr) std::abort();
  return reinterpret_cast<Function*>(found);
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  static auto* const real = Find<cublasStatus_t(cublasHandle_t*)>("cublasCreate_v2");
  return real(handle);
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  static auto* const real = Find<cublasStatus_t(cublasHandle_t)>("cublasDestroy_v2");
  return real(handle);
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,
                              int m, int n, int k, const float* alpha, const float* a, int lda,
                              const float* b, int ldb, const float* beta, float* c, int ldc) {
  static auto* const real = Find<cublasStatus_t(
      cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int, const float*,
      const float*, int, const float*, int, const float*, float*, int)>("cublasSgemm_v2");
  return real(handle, op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
}
