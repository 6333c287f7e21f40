// libcublas.so.13: the GEMMs that take their types as arguments.
#include "cublas/gemm.h"

namespace {

struct Matrix {
  const void* data;
  cudaDataType type;
  int64_t ld;
  int64_t stride;
};

cublasStatus_t Run(const char* function, cublasHandle_t handle, cublasOperation_t ta,
                   cublasOperation_t tb, int64_t m, int64_t n, int64_t k, const void* alpha,
                   const Matrix& a, const Matrix& b, const void* beta, void* c_data,
                   const Matrix& c, int64_t batch, cublasComputeType_t compute, bool may_nest,
                   bool gauss = false, bool pointers = false) {
  simgpu::GemmCall call;
  call.function = function;
  call.trans_a = ta;
  call.trans_b = tb;
  call.m = m;
  call.n = n;
  call.k = k;
  call.batch = batch;
  call.a_type = a.type;
  call.b_type = b.type;
  call.c_type = c.type;
  call.lda = a.ld;
  call.ldb = b.ld;
  call.ldc = c.ld;
  call.stride_a = a.stride;
  call.stride_b = b.stride;
  call.stride_c = c.stride;
  call.compute = compute;
  call.three_multiplications = gauss;
  call.pointer_array = pointers;
  call.alpha = alpha;
  call.beta = beta;
  call.a = a.data;
  call.b = b.data;
  call.c = c_data;
  return simgpu::RunGemm(handle, call, may_nest);
}

}  // namespace

#define SIM_GEMM_EX(name, index)                                                                 \
  cublasStatus_t CUBLASWINAPI name(                                                              \
      cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, index m, index n,       \
      index k, const void* alpha, const void* a, cudaDataType a_type, index lda, const void* b,  \
      cudaDataType b_type, index ldb, const void* beta, void* c, cudaDataType c_type, index ldc, \
      cublasComputeType_t compute, cublasGemmAlgo_t) {                                           \
    return Run(#name, handle, ta, tb, m, n, k, alpha, {a, a_type, lda, 0}, {b, b_type, ldb, 0},  \
               beta, c, {c, c_type, ldc, 0}, 1, compute, true);                                  \
  }
#define SIM_GEMM_BATCHED_EX(name, index)                                                        \
  cublasStatus_t CUBLASWINAPI name(                                                             \
      cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, index m, index n,      \
      index k, const void* alpha, const void* const a[], cudaDataType a_type, index lda,        \
      const void* const b[], cudaDataType b_type, index ldb, const void* beta, void* const c[], \
      cudaDataType c_type, index ldc, index batch, cublasComputeType_t compute,                 \
      cublasGemmAlgo_t) {                                                                       \
    return Run(#name, handle, ta, tb, m, n, k, alpha, {a, a_type, lda, 0}, {b, b_type, ldb, 0}, \
               beta, const_cast<void**>(c), {c, c_type, ldc, 0}, batch, compute, false, false,  \
               true);                                                                           \
  }
#define SIM_GEMM_STRIDED_EX(name, index)                                                        \
  cublasStatus_t CUBLASWINAPI name(                                                             \
      cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, index m, index n,      \
      index k, const void* alpha, const void* a, cudaDataType a_type, index lda,                \
      long long int stride_a, const void* b, cudaDataType b_type, index ldb,                    \
      long long int stride_b, const void* beta, void* c, cudaDataType c_type, index ldc,        \
      long long int stride_c, index batch, cublasComputeType_t compute, cublasGemmAlgo_t) {     \
    return Run(#name, handle, ta, tb, m, n, k, alpha, {a, a_type, lda, stride_a},               \
               {b, b_type, ldb, stride_b}, beta, c, {c, c_type, ldc, stride_c}, batch, compute, \
               true);                                                                           \
  }
#define SIM_TYPED_EX(name, scalar, index, gauss)                                                  \
  cublasStatus_t CUBLASWINAPI name(cublasHandle_t handle, cublasOperation_t ta,                   \
                                   cublasOperation_t tb, index m, index n, index k,               \
                                   const scalar* alpha, const void* a, cudaDataType a_type,       \
                                   index lda, const void* b, cudaDataType b_type, index ldb,      \
                                   const scalar* beta, void* c, cudaDataType c_type, index ldc) { \
    return Run(#name, handle, ta, tb, m, n, k, alpha, {a, a_type, lda, 0}, {b, b_type, ldb, 0},   \
               beta, c, {c, c_type, ldc, 0}, 1, CUBLAS_COMPUTE_32F, true, gauss);                 \
  }

extern "C" {

SIM_GEMM_EX(cublasGemmEx, int)
SIM_GEMM_EX(cublasGemmEx_64, int64_t)
SIM_GEMM_BATCHED_EX(cublasGemmBatchedEx, int)
SIM_GEMM_BATCHED_EX(cublasGemmBatchedEx_64, int64_t)
SIM_GEMM_STRIDED_EX(cublasGemmStridedBatchedEx, int)
SIM_GEMM_STRIDED_EX(cublasGemmStridedBatchedEx_64, int64_t)
SIM_TYPED_EX(cublasSgemmEx, float, int, false)
SIM_TYPED_EX(cublasSgemmEx_64, float, int64_t, false)
SIM_TYPED_EX(cublasCgemmEx, cuComplex, int, false)
SIM_TYPED_EX(cublasCgemmEx_64, cuComplex, int64_t, false)
SIM_TYPED_EX(cublasCgemm3mEx, cuComplex, int, true)
SIM_TYPED_EX(cublasCgemm3mEx_64, cuComplex, int64_t, true)

}  // extern "C"
