// Products that a program does not ask cuBLAS for itself, and products that are refused and tried
// again elsewhere.
//
// usage: job_nested solver LIBRARY | retry
//   solver: LIBRARY stands for cuSOLVER; it does its products with cuBLAS.
//   retry:  what torch does: cublasLtMatmul first, cublasGemmEx if that fails.
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstring>

#include "blas.h"
#include "check.h"

namespace {

using jobs::Check;

int Solve(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  const auto solve =
      reinterpret_cast<int (*)(cublasHandle_t, void*)>(dlsym(library, "cusolver_stand_in"));
  jobs::Blas blas;
  // Before, in between and after, products of the job's own.
  blas.Multiply(8, 16, 24);
  for (int i = 0; i < 3; ++i) {
    std::printf("solve: status %d\n", solve(blas.handle(), blas.a()));
    blas.Multiply(32, 40, 48);
  }
  blas.Wait();
  return 0;
}

cublasStatus_t ThroughLt(cublasHandle_t handle, cudaStream_t stream, float* memory, int m, int n,
                         int k) {
  cublasLtMatmulDescOpaque_t desc;
  cublasLtMatrixLayoutOpaque_t a, b, c;
  const auto size = [](int value) { return static_cast<uint64_t>(value); };
  Check(cublasLtMatmulDescInit(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  Check(cublasLtMatrixLayoutInit(&a, CUDA_R_16BF, size(m), size(k), m));
  Check(cublasLtMatrixLayoutInit(&b, CUDA_R_16BF, size(k), size(n), k));
  Check(cublasLtMatrixLayoutInit(&c, CUDA_R_16BF, size(m), size(n), m));
  const float one = 1, zero = 0;
  return cublasLtMatmul(reinterpret_cast<cublasLtHandle_t>(handle), &desc, &one, memory, &a, memory,
                        &b, &zero, memory, &c, memory, &c, nullptr, nullptr, 0, stream);
}

cublasStatus_t ThroughBlas(cublasHandle_t handle, float* memory, int m, int n, int k) {
  const float one = 1, zero = 0;
  return cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &one, memory, CUDA_R_16BF, m,
                      memory, CUDA_R_16BF, k, &zero, memory, CUDA_R_16BF, m, CUBLAS_COMPUTE_32F,
                      CUBLAS_GEMM_DEFAULT);
}

int Retry() {
  jobs::Blas blas;
  for (int i = 1; i <= 4; ++i) {
    const int m = 16 * i, n = 48 + i, k = 96;
    cublasStatus_t status = ThroughLt(blas.handle(), blas.stream(), blas.a(), m, n, k);
    std::printf("%d: cublasLtMatmul %d", i, static_cast<int>(status));
    if (status != CUBLAS_STATUS_SUCCESS) {
      status = ThroughBlas(blas.handle(), blas.a(), m, n, k);
      std::printf(", cublasGemmEx %d", static_cast<int>(status));
    }
    std::printf("\n");
  }
  blas.Wait();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "solver") == 0) return Solve(argv[2]);
  if (argc == 2 && std::strcmp(argv[1], "retry") == 0) return Retry();
  std::fprintf(stderr, "usage: job_nested solver LIBRARY | retry\n");
  return 2;
}
