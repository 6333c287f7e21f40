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

// What alpha and beta look like to a host that may read them.
enum class Scalar : uint8_t { kOnDevice, kZero, kNonzero };

// What cublasLtMatmul reads and writes besides its matrices. Scale modes are the header's numbers,
// -1 for none; types are cudaDataType, -1 for none.
struct GemmExtras {
  int scale_a = -1;
  int scale_b = -1;
  int scale_d = -1;
  uint32_t epilogue = 0;  // 0: the caller is not cublasLtMatmul
  int bias_type = -1;
  int aux_type = -1;
  bool aux_is_mask = false;  // a bit an element
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
  Scalar beta_use = Scalar::kOnDevice;
  cudaDataType d_type = CUDA_R_32F;  // where has_d
  bool has_d = false;                // D has a type of its own, c_type is C's
  bool emulated = false;             // told to use narrower formats for f32 or f64
  GemmExtras extras;
  const void* alpha = nullptr;
  const void* beta = nullptr;
  const void* a = nullptr;
  const void* b = nullptr;
  void* c = nullptr;
};

int BytesOf(cudaDataType type);         // of a scalar, rounded up; 0: unknown to the simulator
const char* TextOf(cudaDataType type);  // "bf16"
bool IsComplex(cudaDataType type);
// Whether f32 products may use TF32, by the handle's math mode and NVIDIA_TF32_OVERRIDE, which goes
// first; whether the caller asked for emulation, by compute type, math mode or CUBLAS_EMULATE_*.
bool Tf32Allowed(int math_mode);
bool AsksForEmulation(const GemmCall& call, int math_mode);
// Arithmetic of the product; kCount where the combination of types is not supported.
Format FormatOf(const GemmCall& call, bool tf32_math);
uint64_t FlopOf(const GemmCall& call);
// Each matrix once, C where beta is known to be other than zero; scales, bias, auxiliary matrix.
uint64_t LeastBytesOf(const GemmCall& call);
// The scalar `beta` points to, of the scale type that `compute` takes for results of type `c`.
Scalar BetaOnHost(const void* beta, cublasComputeType_t compute, cudaDataType c);
Scalar ScalarAt(const void* value, cudaDataType type);
const char* NameOf(Scalar scalar);  // "device", "zero", "nonzero"

// Leading dimensions, extents, operations: what cuBLAS calls CUBLAS_STATUS_INVALID_VALUE.
bool ArgumentsValid(const GemmCall& call);
// Puts the product on `stream`. Arguments have been checked.
cublasStatus_t EnqueueGemm(const GemmCall& call, Format format, cudaStream_t stream);

}  // namespace simgpu
