// libcublas.so.13: the GEMMs whose name says the type, in 32- and 64-bit index forms. One macro a
// shape of signature; the header's declarations check every expansion.
#include "cublas/gemm.h"

namespace {

simgpu::GemmCall Typed(const char* function, cudaDataType type, cublasOperation_t ta,
                       cublasOperation_t tb, int64_t m, int64_t n, int64_t k, int64_t lda,
                       int64_t ldb, int64_t ldc, const void* alpha, const void* beta) {
  simgpu::GemmCall call;
  call.function = function;
  call.trans_a = ta;
  call.trans_b = tb;
  call.m = m;
  call.n = n;
  call.k = k;
  call.lda = lda;
  call.ldb = ldb;
  call.ldc = ldc;
  call.a_type = call.b_type = call.c_type = type;
  call.compute = type == CUDA_R_64F || type == CUDA_C_64F ? CUBLAS_COMPUTE_64F
                 : type == CUDA_R_16F                     ? CUBLAS_COMPUTE_16F
                                                          : CUBLAS_COMPUTE_32F;
  call.alpha = alpha;
  call.beta = beta;
  return call;
}

}  // namespace

#define SIM_GEMM(name, type, id, index, gauss)                                                 \
  cublasStatus_t CUBLASWINAPI name(cublasHandle_t handle, cublasOperation_t ta,                \
                                   cublasOperation_t tb, index m, index n, index k,            \
                                   const type* alpha, const type* a, index lda, const type* b, \
                                   index ldb, const type* beta, type* c, index ldc) {          \
    simgpu::GemmCall call = Typed(#name, id, ta, tb, m, n, k, lda, ldb, ldc, alpha, beta);     \
    call.three_multiplications = gauss;                                                        \
    call.a = a;                                                                                \
    call.b = b;                                                                                \
    call.c = c;                                                                                \
    return simgpu::RunGemm(handle, call);                                                      \
  }
#define SIM_GEMM_BATCHED(name, type, id, index, gauss)                                     \
  cublasStatus_t CUBLASWINAPI name(                                                        \
      cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, index m, index n, \
      index k, const type* alpha, const type* const a[], index lda, const type* const b[], \
      index ldb, const type* beta, type* const c[], index ldc, index batch) {              \
    simgpu::GemmCall call = Typed(#name, id, ta, tb, m, n, k, lda, ldb, ldc, alpha, beta); \
    call.three_multiplications = gauss;                                                    \
    call.batch = batch;                                                                    \
    call.pointer_array = true;                                                             \
    call.a = a;                                                                            \
    call.b = b;                                                                            \
    call.c = const_cast<type**>(c);                                                        \
    return simgpu::RunGemm(handle, call);                                                  \
  }
#define SIM_GEMM_STRIDED(name, type, id, index, gauss)                                             \
  cublasStatus_t CUBLASWINAPI name(                                                                \
      cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, index m, index n,         \
      index k, const type* alpha, const type* a, index lda, long long int stride_a, const type* b, \
      index ldb, long long int stride_b, const type* beta, type* c, index ldc,                     \
      long long int stride_c, index batch) {                                                       \
    simgpu::GemmCall call = Typed(#name, id, ta, tb, m, n, k, lda, ldb, ldc, alpha, beta);         \
    call.three_multiplications = gauss;                                                            \
    call.batch = batch;                                                                            \
    call.stride_a = stride_a;                                                                      \
    call.stride_b = stride_b;                                                                      \
    call.stride_c = stride_c;                                                                      \
    call.a = a;                                                                                    \
    call.b = b;                                                                                    \
    call.c = c;                                                                                    \
    return simgpu::RunGemm(handle, call);                                                          \
  }
#define SIM_BOTH(form, name, type, id, gauss) \
  form(name, type, id, int, gauss) form(name##_64, type, id, int64_t, gauss)

extern "C" {

SIM_BOTH(SIM_GEMM, cublasSgemm_v2, float, CUDA_R_32F, false)
SIM_BOTH(SIM_GEMM, cublasDgemm_v2, double, CUDA_R_64F, false)
SIM_BOTH(SIM_GEMM, cublasCgemm_v2, cuComplex, CUDA_C_32F, false)
SIM_BOTH(SIM_GEMM, cublasZgemm_v2, cuDoubleComplex, CUDA_C_64F, false)
SIM_BOTH(SIM_GEMM, cublasHgemm, __half, CUDA_R_16F, false)
SIM_BOTH(SIM_GEMM, cublasCgemm3m, cuComplex, CUDA_C_32F, true)
SIM_BOTH(SIM_GEMM, cublasZgemm3m, cuDoubleComplex, CUDA_C_64F, true)

SIM_BOTH(SIM_GEMM_BATCHED, cublasSgemmBatched, float, CUDA_R_32F, false)
SIM_BOTH(SIM_GEMM_BATCHED, cublasDgemmBatched, double, CUDA_R_64F, false)
SIM_BOTH(SIM_GEMM_BATCHED, cublasCgemmBatched, cuComplex, CUDA_C_32F, false)
SIM_BOTH(SIM_GEMM_BATCHED, cublasZgemmBatched, cuDoubleComplex, CUDA_C_64F, false)
SIM_BOTH(SIM_GEMM_BATCHED, cublasHgemmBatched, __half, CUDA_R_16F, false)
SIM_BOTH(SIM_GEMM_BATCHED, cublasCgemm3mBatched, cuComplex, CUDA_C_32F, true)

SIM_BOTH(SIM_GEMM_STRIDED, cublasSgemmStridedBatched, float, CUDA_R_32F, false)
SIM_BOTH(SIM_GEMM_STRIDED, cublasDgemmStridedBatched, double, CUDA_R_64F, false)
SIM_BOTH(SIM_GEMM_STRIDED, cublasCgemmStridedBatched, cuComplex, CUDA_C_32F, false)
SIM_BOTH(SIM_GEMM_STRIDED, cublasZgemmStridedBatched, cuDoubleComplex, CUDA_C_64F, false)
SIM_BOTH(SIM_GEMM_STRIDED, cublasHgemmStridedBatched, __half, CUDA_R_16F, false)
SIM_BOTH(SIM_GEMM_STRIDED, cublasCgemm3mStridedBatched, cuComplex, CUDA_C_32F, true)

}  // extern "C"
