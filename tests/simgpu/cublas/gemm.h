// From a public cuBLAS entry point to the device: what all of its GEMM functions share.
#pragma once

#include "cublaslt/gemm_model.h"

namespace simgpu {

struct BlasHandle {
  LtHandle lt;  // first: cublasLt functions take a cublasHandle_t too
  cudaStream_t stream = nullptr;
  cublasPointerMode_t pointer_mode = CUBLAS_POINTER_MODE_HOST;
  cublasAtomicsMode_t atomics_mode = CUBLAS_ATOMICS_NOT_ALLOWED;
  cublasMath_t math_mode = CUBLAS_DEFAULT_MATH;
  int sm_count_target = 0;
};

// Null unless `handle` came from cublasCreate and is still alive.
BlasHandle* Find(cublasHandle_t handle);

// Checks in the vendor's order and enqueues. Half-precision products go through the public
// cublasLtMatmul when the node is told to nest (SIMGPU_CUBLAS_NESTED).
cublasStatus_t RunGemm(cublasHandle_t handle, const GemmCall& call, bool may_nest = false);

}  // namespace simgpu
