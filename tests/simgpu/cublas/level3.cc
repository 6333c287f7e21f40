// libcublas.so.13: matrix routines that are not plain products. One macro a shape of signature; the
// header's declarations check every expansion.
#include <cublas_v2.h>

#include "cublas/routine.h"

using simgpu::kTypeOf;
using simgpu::Routine;
using simgpu::RoutineCall;

#define SIM_SYMM(name, T, index, routine)                                                          \
  cublasStatus_t CUBLASWINAPI name(cublasHandle_t handle, cublasSideMode_t side,                   \
                                   cublasFillMode_t fill, index m, index n, const T*, const T*,    \
                                   index lda, const T*, index ldb, const T* beta, T*, index ldc) { \
    RoutineCall call(#name, Routine::routine, kTypeOf<T>);                                         \
    call.Beta(beta);                                                                               \
    const int64_t order = side == CUBLAS_SIDE_LEFT ? m : n;                                        \
    const int64_t rest = int64_t{m} * n;                                                           \
    call.Side(side).Fill(fill).Size(m, n).Operand(lda, order, call.triangle(order));               \
    return call.Operand(ldb, m, rest).Operand(ldc, m, rest).Run(handle);                           \
  }
// The scalars of Hermitian updates are real: S.
#define SIM_SYRK(name, T, S, index, hermitian)                                                 \
  cublasStatus_t CUBLASWINAPI name(cublasHandle_t handle, cublasFillMode_t fill,               \
                                   cublasOperation_t op, index n, index k, const S*, const T*, \
                                   index lda, const S* beta, T*, index ldc) {                  \
    RoutineCall call(#name, Routine::kSyrk, kTypeOf<T>, hermitian);                            \
    call.Beta(beta);                                                                           \
    call.Fill(fill).Operation(op).Size(0, n, k);                                               \
    call.Operand(lda, op == CUBLAS_OP_N ? n : k, int64_t{n} * k);                              \
    return call.Operand(ldc, n, call.triangle(n)).Run(handle);                                 \
  }
#define SIM_SYR2K(name, T, S, index, routine, hermitian)                                           \
  cublasStatus_t CUBLASWINAPI name(cublasHandle_t handle, cublasFillMode_t fill,                   \
                                   cublasOperation_t op, index n, index k, const T*, const T*,     \
                                   index lda, const T*, index ldb, const S* beta, T*, index ldc) { \
    RoutineCall call(#name, Routine::routine, kTypeOf<T>, hermitian);                              \
    call.Beta(beta);                                                                               \
    const int64_t rows = op == CUBLAS_OP_N ? n : k;                                                \
    call.Fill(fill).Operation(op).Size(0, n, k).Operand(lda, rows, int64_t{n} * k);                \
    return call.Operand(ldb, rows, int64_t{n} * k).Operand(ldc, n, call.triangle(n)).Run(handle);  \
  }
#define SIM_SYRK_EX(name, S, index, hermitian, gauss)                                             \
  cublasStatus_t CUBLASWINAPI name(cublasHandle_t handle, cublasFillMode_t fill,                  \
                                   cublasOperation_t op, index n, index k, const S*, const void*, \
                                   cudaDataType a_type, index lda, const S* beta, void*,          \
                                   cudaDataType c_type, index ldc) {                              \
    if (c_type != CUDA_C_32F || (a_type != CUDA_C_32F && a_type != CUDA_C_8I)) {                  \
      return CUBLAS_STATUS_NOT_SUPPORTED;                                                         \
    }                                                                                             \
    RoutineCall call(#name, Routine::kSyrk, a_type, hermitian);                                   \
    call.Beta(beta);                                                                              \
    call.Fill(fill).Operation(op).Size(0, n, k).Result(c_type).Gauss(gauss);                      \
    call.Operand(lda, op == CUBLAS_OP_N ? n : k, int64_t{n} * k);                                 \
    return call.Operand(ldc, n, call.triangle(n)).Run(handle);                                    \
  }
#define SIM_TRMM(name, T, index)                                                              \
  cublasStatus_t CUBLASWINAPI name(cublasHandle_t handle, cublasSideMode_t side,              \
                                   cublasFillMode_t fill, cublasOperation_t op,               \
                                   cublasDiagType_t diagonal, index m, index n, const T*,     \
                                   const T*, index lda, const T*, index ldb, T*, index ldc) { \
    RoutineCall call(#name, Routine::kTrmm, kTypeOf<T>);                                      \
    const int64_t order = side == CUBLAS_SIDE_LEFT ? m : n;                                   \
    call.Side(side).Fill(fill).Operation(op).Diagonal(diagonal).Size(m, n);                   \
    call.Operand(lda, order, call.triangle(order)).Operand(ldb, m, int64_t{m} * n);           \
    return call.Operand(ldc, m, int64_t{m} * n).Run(handle);                                  \
  }
#define SIM_TRSM(name, T, index)                                                                   \
  cublasStatus_t CUBLASWINAPI name(                                                                \
      cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t fill, cublasOperation_t op,   \
      cublasDiagType_t diagonal, index m, index n, const T*, const T*, index lda, T*, index ldb) { \
    RoutineCall call(#name, Routine::kTrsm, kTypeOf<T>);                                           \
    const int64_t order = side == CUBLAS_SIDE_LEFT ? m : n;                                        \
    call.Side(side).Fill(fill).Operation(op).Diagonal(diagonal).Size(m, n);                        \
    call.Operand(lda, order, call.triangle(order));                                                \
    return call.Operand(ldb, m, 2 * int64_t{m} * n).Run(handle);                                   \
  }
#define SIM_TRSM_BATCHED(name, T, index)                                                         \
  cublasStatus_t CUBLASWINAPI name(                                                              \
      cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t fill, cublasOperation_t op, \
      cublasDiagType_t diagonal, index m, index n, const T*, const T* const[], index lda,        \
      T* const[], index ldb, index batch) {                                                      \
    RoutineCall call(#name, Routine::kTrsm, kTypeOf<T>);                                         \
    const int64_t order = side == CUBLAS_SIDE_LEFT ? m : n;                                      \
    call.Side(side).Fill(fill).Operation(op).Diagonal(diagonal).Size(m, n).Batch(batch);         \
    call.Operand(lda, order, call.triangle(order));                                              \
    return call.Operand(ldb, m, 2 * int64_t{m} * n).Run(handle);                                 \
  }
#define SIM_GEAM(name, T, index)                                                                   \
  cublasStatus_t CUBLASWINAPI name(cublasHandle_t handle, cublasOperation_t op_a,                  \
                                   cublasOperation_t op_b, index m, index n, const T*, const T*,   \
                                   index lda, const T* beta, const T*, index ldb, T*, index ldc) { \
    RoutineCall call(#name, Routine::kGeam, kTypeOf<T>);                                           \
    call.Beta(beta);                                                                               \
    const int64_t all = int64_t{m} * n;                                                            \
    call.Operation(op_a).Operation(op_b).Size(m, n).Operand(ldc, m, all);                          \
    call.Operand(lda, op_a == CUBLAS_OP_N ? m : n, all);                                           \
    return call.Operand(ldb, op_b == CUBLAS_OP_N ? m : n, all).Run(handle);                        \
  }
#define SIM_DGMM(name, T, index)                                                                   \
  cublasStatus_t CUBLASWINAPI name(cublasHandle_t handle, cublasSideMode_t side, index m, index n, \
                                   const T*, index lda, const T*, index incx, T*, index ldc) {     \
    RoutineCall call(#name, Routine::kDgmm, kTypeOf<T>);                                           \
    const int64_t all = int64_t{m} * n;                                                            \
    call.Side(side).Size(m, n).Operand(lda, m, all).Operand(ldc, m, all);                          \
    return call.Vector(incx, side == CUBLAS_SIDE_LEFT ? m : n).Run(handle);                        \
  }

extern "C" {

#define SIM_ALL(T, letter)                                             \
  SIM_SYMM(cublas##letter##symm_v2, T, int, kSymm)                     \
  SIM_SYMM(cublas##letter##symm_v2_64, T, int64_t, kSymm)              \
  SIM_SYRK(cublas##letter##syrk_v2, T, T, int, false)                  \
  SIM_SYRK(cublas##letter##syrk_v2_64, T, T, int64_t, false)           \
  SIM_SYR2K(cublas##letter##syr2k_v2, T, T, int, kSyr2k, false)        \
  SIM_SYR2K(cublas##letter##syr2k_v2_64, T, T, int64_t, kSyr2k, false) \
  SIM_SYR2K(cublas##letter##syrkx, T, T, int, kSyrkx, false)           \
  SIM_SYR2K(cublas##letter##syrkx_64, T, T, int64_t, kSyrkx, false)    \
  SIM_TRMM(cublas##letter##trmm_v2, T, int)                            \
  SIM_TRMM(cublas##letter##trmm_v2_64, T, int64_t)                     \
  SIM_TRSM(cublas##letter##trsm_v2, T, int)                            \
  SIM_TRSM(cublas##letter##trsm_v2_64, T, int64_t)                     \
  SIM_TRSM_BATCHED(cublas##letter##trsmBatched, T, int)                \
  SIM_TRSM_BATCHED(cublas##letter##trsmBatched_64, T, int64_t)         \
  SIM_GEAM(cublas##letter##geam, T, int)                               \
  SIM_GEAM(cublas##letter##geam_64, T, int64_t)                        \
  SIM_DGMM(cublas##letter##dgmm, T, int)                               \
  SIM_DGMM(cublas##letter##dgmm_64, T, int64_t)
SIM_ALL(float, S)
SIM_ALL(double, D)
SIM_ALL(cuComplex, C)
SIM_ALL(cuDoubleComplex, Z)

#define SIM_HERMITIAN(T, S, letter)                                   \
  SIM_SYMM(cublas##letter##hemm_v2, T, int, kSymm)                    \
  SIM_SYMM(cublas##letter##hemm_v2_64, T, int64_t, kSymm)             \
  SIM_SYRK(cublas##letter##herk_v2, T, S, int, true)                  \
  SIM_SYRK(cublas##letter##herk_v2_64, T, S, int64_t, true)           \
  SIM_SYR2K(cublas##letter##her2k_v2, T, S, int, kSyr2k, true)        \
  SIM_SYR2K(cublas##letter##her2k_v2_64, T, S, int64_t, kSyr2k, true) \
  SIM_SYR2K(cublas##letter##herkx, T, S, int, kSyrkx, true)           \
  SIM_SYR2K(cublas##letter##herkx_64, T, S, int64_t, kSyrkx, true)
SIM_HERMITIAN(cuComplex, float, C)
SIM_HERMITIAN(cuDoubleComplex, double, Z)

SIM_SYRK_EX(cublasCsyrkEx, cuComplex, int, false, false)
SIM_SYRK_EX(cublasCsyrkEx_64, cuComplex, int64_t, false, false)
SIM_SYRK_EX(cublasCsyrk3mEx, cuComplex, int, false, true)
SIM_SYRK_EX(cublasCsyrk3mEx_64, cuComplex, int64_t, false, true)
SIM_SYRK_EX(cublasCherkEx, float, int, true, false)
SIM_SYRK_EX(cublasCherkEx_64, float, int64_t, true, false)
SIM_SYRK_EX(cublasCherk3mEx, float, int, true, true)
SIM_SYRK_EX(cublasCherk3mEx_64, float, int64_t, true, true)

}  // extern "C"
