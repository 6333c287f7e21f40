// One matrix product as both BLAS libraries see it: the vendor's argument checks, the simulator's
// own FLOP and byte arithmetic, and the operation it becomes. Shares nothing with the tool under
// test.
#pragma once

#include <cublas_v2.h>

#include <cstdint>

#include "engine/api.h"

namespace simgpu {

// First member of what cublasLtHandle_t and cublasHandle_t point to: a cuBLAS handle may be used
// where a cuBLASLt handle is wanted, as in the real library.
struct LtHandle {
  static constexpr uint64_t kMagic = 0x53494d4c54303031;
  uint64_t magic = kMagic;
  int device = 0;
};

struct GemmCall {
  const char* function = "";  // public entry point
  cublasOperation_t trans_a = CUBLAS_OP_N;
  cublasOperation_t trans_b = CUBLAS_OP_N;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  int64_t batch = 1;
  cudaDataType a_type = CUDA_R_32F;
  cudaDataType b_type = CUDA_R_32F;
  cudaDataType c_type = CUDA_R_32F;
  int64_t lda = 0;
  int64_t ldb = 0;
  int64_t ldc = 0;
  int64_t stride_a = 0;
  int64_t stride_b = 0;
  int64_t stride_c = 0;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  bool three_multiplications = false;  // Gauss' complex product
  bool pointer_array = false;
  const void* alpha = nullptr;
  const void* beta = nullptr;
  const void* a = nullptr;
  const void* b = nullptr;
  void* c = nullptr;
};

int BytesOf(cudaDataType type);         // 0: unknown to the simulator
const char* TextOf(cudaDataType type);  // "bf16"
bool IsComplex(cudaDataType type);
// Arithmetic of the product; kCount where the combination of types is not supported.
Format FormatOf(const GemmCall& call, bool tf32_math);
uint64_t FlopOf(const GemmCall& call);
uint64_t LeastBytesOf(const GemmCall& call);

// Leading dimensions, extents, operations: what cuBLAS calls CUBLAS_STATUS_INVALID_VALUE.
bool ArgumentsValid(const GemmCall& call);
// Puts the product on `stream`. Arguments have been checked.
cublasStatus_t EnqueueGemm(const GemmCall& call, Format format, cudaStream_t stream);

}  // namespace simgpu
