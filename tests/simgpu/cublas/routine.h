// One call of a BLAS or LAPACK-like routine that is not a plain product: what the entry points fill
// in, the vendor's argument checks, and the work it becomes.
//
// The arithmetic is the simulator's own: multiplications and additions apart, as LAPACK Working
// Note 41 tabulates them, a complex multiplication being 6 and a complex addition 2. Includes
// cublas_api.h alone, so that the legacy entry points, whose header excludes cublas_v2.h, can use
// it too.
#pragma once

#include <cublas_api.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cstdint>
#include <string>

namespace simgpu {

enum class Routine : uint8_t {
  kGemm,  // of the legacy interface
  kSymm,
  kSyrk,
  kSyr2k,
  kSyrkx,
  kTrmm,
  kTrsm,
  kGemv,
  kGbmv,
  kSymv,
  kSbmv,
  kTrmv,
  kTrsv,
  kTbmv,
  kTbsv,
  kGer,
  kSyr,
  kSyr2,
  kGeam,
  kDgmm,
  kGetrf,
  kGetrs,
  kGetri,
  kMatinv,
  kGeqrf,
  kGels,
};

template <typename T>
inline constexpr cudaDataType kTypeOf = CUDA_R_32F;
template <>
inline constexpr cudaDataType kTypeOf<double> = CUDA_R_64F;
template <>
inline constexpr cudaDataType kTypeOf<cuComplex> = CUDA_C_32F;
template <>
inline constexpr cudaDataType kTypeOf<cuDoubleComplex> = CUDA_C_64F;
template <>
inline constexpr cudaDataType kTypeOf<__half> = CUDA_R_16F;

class RoutineCall {
 public:
  // `hermitian` routines take N and C, symmetric rank updates of complex numbers N and T.
  RoutineCall(const char* function, Routine routine, cudaDataType type, bool hermitian = false);

  RoutineCall& Size(int64_t m, int64_t n, int64_t k = 0);
  RoutineCall& Band(int64_t lower, int64_t upper);
  RoutineCall& Batch(int64_t count);
  RoutineCall& Side(cublasSideMode_t side);
  RoutineCall& Fill(cublasFillMode_t fill);
  RoutineCall& Diagonal(cublasDiagType_t diagonal);
  RoutineCall& Operation(cublasOperation_t operation);
  RoutineCall& Result(cudaDataType type);
  RoutineCall& Gauss(bool three_multiplications);
  // Where the routine has one; read if it lies on the host.
  template <typename T>
  RoutineCall& Beta(const T* beta) {
    return SetBeta(beta, kTypeOf<T>);
  }
  RoutineCall& SetBeta(const void* beta, cudaDataType type);
  // The legacy interface passes it by value.
  template <typename T>
  RoutineCall& BetaIs(T beta) {
    return HostBeta(&beta, kTypeOf<T>);
  }
  RoutineCall& HostBeta(const void* beta, cudaDataType type);
  // A stored operand: leading dimension `ld`, which `rows` must not exceed, and its elements.
  RoutineCall& Operand(int64_t ld, int64_t rows, int64_t elements);
  RoutineCall& Vector(int64_t increment, int64_t length);

  bool is_left() const { return side_ == CUBLAS_SIDE_LEFT; }
  int64_t triangle(int64_t n) const { return n * (n + 1) / 2; }

  cublasStatus_t Run(cublasHandle_t handle) const;

 private:
  uint64_t Flop() const;
  std::string Dimensions(const char* math) const;

  const char* function_;
  Routine routine_;
  cudaDataType type_;
  cudaDataType result_;
  bool hermitian_;
  bool gauss_ = false;
  bool has_side_ = false;
  bool valid_ = true;
  cublasSideMode_t side_ = CUBLAS_SIDE_LEFT;
  int64_t m_ = 0, n_ = 0, k_ = 0, batch_ = 1;
  int64_t lower_ = 0, upper_ = 0;
  int64_t elements_ = 0;
  const void* beta_ = nullptr;  // until Run
  cudaDataType beta_type_ = CUDA_R_32F;
  bool has_beta_ = false;
  const char* host_beta_ = nullptr;  // "zero", "nonzero"
};

}  // namespace simgpu
