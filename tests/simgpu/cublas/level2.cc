// libcublas.so.13: matrix-vector routines, in 32- and 64-bit index forms. One macro a shape of
// signature; the header's declarations check every expansion.
#include <cublas_v2.h>
#include <cuda_bf16.h>

#include "cublas/routine.h"

using simgpu::kTypeOf;
using simgpu::Routine;
using simgpu::RoutineCall;

namespace simgpu {
template <>
inline constexpr cudaDataType kTypeOf<__nv_bfloat16> = CUDA_R_16BF;
}  // namespace simgpu

#define SIM_STATUS cublasStatus_t CUBLASWINAPI

#define SIM_GEMV(name, T, index)                                                              \
  SIM_STATUS name(cublasHandle_t handle, cublasOperation_t op, index m, index n, const T*,    \
                  const T*, index lda, const T*, index incx, const T* beta, T*, index incy) { \
    RoutineCall call(#name, Routine::kGemv, kTypeOf<T>);                                      \
    call.Beta(beta);                                                                          \
    call.Operation(op).Size(m, n).Operand(lda, m, int64_t{m} * n);                            \
    return call.Vector(incx, n).Vector(incy, m).Run(handle);                                  \
  }
#define SIM_GEMV_BATCHED(name, T, Y, S, index)                                              \
  SIM_STATUS name(cublasHandle_t handle, cublasOperation_t op, index m, index n, const S*,  \
                  const T* const[], index lda, const T* const[], index incx, const S* beta, \
                  Y* const[], index incy, index batch) {                                    \
    RoutineCall call(#name, Routine::kGemv, kTypeOf<T>);                                    \
    call.Beta(beta);                                                                        \
    call.Operation(op).Size(m, n).Operand(lda, m, int64_t{m} * n).Result(kTypeOf<Y>);       \
    return call.Vector(incx, n).Vector(incy, m).Batch(batch).Run(handle);                   \
  }
#define SIM_GEMV_STRIDED(name, T, Y, S, index)                                             \
  SIM_STATUS name(cublasHandle_t handle, cublasOperation_t op, index m, index n, const S*, \
                  const T*, index lda, long long int, const T*, index incx, long long int, \
                  const S* beta, Y*, index incy, long long int, index batch) {             \
    RoutineCall call(#name, Routine::kGemv, kTypeOf<T>);                                   \
    call.Beta(beta);                                                                       \
    call.Operation(op).Size(m, n).Operand(lda, m, int64_t{m} * n).Result(kTypeOf<Y>);      \
    return call.Vector(incx, n).Vector(incy, m).Batch(batch).Run(handle);                  \
  }
#define SIM_GBMV(name, T, index)                                                                   \
  SIM_STATUS name(cublasHandle_t handle, cublasOperation_t op, index m, index n, index lower,      \
                  index upper, const T*, const T*, index lda, const T*, index incx, const T* beta, \
                  T*, index incy) {                                                                \
    RoutineCall call(#name, Routine::kGbmv, kTypeOf<T>);                                           \
    call.Beta(beta);                                                                               \
    const int64_t rows = int64_t{lower} + upper + 1;                                               \
    call.Operation(op).Size(m, n).Band(lower, upper).Operand(lda, rows, rows* n);                  \
    return call.Vector(incx, n).Vector(incy, m).Run(handle);                                       \
  }
#define SIM_SYMV(name, T, index)                                                             \
  SIM_STATUS name(cublasHandle_t handle, cublasFillMode_t fill, index n, const T*, const T*, \
                  index lda, const T*, index incx, const T* beta, T*, index incy) {          \
    RoutineCall call(#name, Routine::kSymv, kTypeOf<T>);                                     \
    call.Beta(beta);                                                                         \
    call.Fill(fill).Size(0, n).Operand(lda, n, call.triangle(n));                            \
    return call.Vector(incx, n).Vector(incy, n).Run(handle);                                 \
  }
#define SIM_SBMV(name, T, index)                                                              \
  SIM_STATUS name(cublasHandle_t handle, cublasFillMode_t fill, index n, index k, const T*,   \
                  const T*, index lda, const T*, index incx, const T* beta, T*, index incy) { \
    RoutineCall call(#name, Routine::kSbmv, kTypeOf<T>);                                      \
    call.Beta(beta);                                                                          \
    call.Fill(fill).Size(0, n, k).Operand(lda, int64_t{k} + 1, (int64_t{k} + 1) * n);         \
    return call.Vector(incx, n).Vector(incy, n).Run(handle);                                  \
  }
#define SIM_SPMV(name, T, index)                                                             \
  SIM_STATUS name(cublasHandle_t handle, cublasFillMode_t fill, index n, const T*, const T*, \
                  const T*, index incx, const T* beta, T*, index incy) {                     \
    RoutineCall call(#name, Routine::kSymv, kTypeOf<T>);                                     \
    call.Beta(beta);                                                                         \
    call.Fill(fill).Size(0, n).Vector(1, call.triangle(n));                                  \
    return call.Vector(incx, n).Vector(incy, n).Run(handle);                                 \
  }
#define SIM_TRMV(name, T, index, routine)                                                    \
  SIM_STATUS name(cublasHandle_t handle, cublasFillMode_t fill, cublasOperation_t op,        \
                  cublasDiagType_t diagonal, index n, const T*, index lda, T*, index incx) { \
    RoutineCall call(#name, Routine::routine, kTypeOf<T>);                                   \
    call.Fill(fill).Operation(op).Diagonal(diagonal).Size(0, n);                             \
    return call.Operand(lda, n, call.triangle(n)).Vector(incx, 2 * int64_t{n}).Run(handle);  \
  }
#define SIM_TBMV(name, T, index, routine)                                               \
  SIM_STATUS name(cublasHandle_t handle, cublasFillMode_t fill, cublasOperation_t op,   \
                  cublasDiagType_t diagonal, index n, index k, const T*, index lda, T*, \
                  index incx) {                                                         \
    RoutineCall call(#name, Routine::routine, kTypeOf<T>);                              \
    call.Fill(fill).Operation(op).Diagonal(diagonal).Size(0, n, k);                     \
    call.Operand(lda, int64_t{k} + 1, (int64_t{k} + 1) * n);                            \
    return call.Vector(incx, 2 * int64_t{n}).Run(handle);                               \
  }
#define SIM_TPMV(name, T, index, routine)                                             \
  SIM_STATUS name(cublasHandle_t handle, cublasFillMode_t fill, cublasOperation_t op, \
                  cublasDiagType_t diagonal, index n, const T*, T*, index incx) {     \
    RoutineCall call(#name, Routine::routine, kTypeOf<T>);                            \
    call.Fill(fill).Operation(op).Diagonal(diagonal).Size(0, n);                      \
    return call.Vector(1, call.triangle(n)).Vector(incx, 2 * int64_t{n}).Run(handle); \
  }
#define SIM_GER(name, T, index)                                                            \
  SIM_STATUS name(cublasHandle_t handle, index m, index n, const T*, const T*, index incx, \
                  const T*, index incy, T*, index lda) {                                   \
    RoutineCall call(#name, Routine::kGer, kTypeOf<T>);                                    \
    call.Size(m, n).Vector(incx, m).Vector(incy, n).Operand(lda, m, int64_t{m} * n);       \
    return call.Run(handle);                                                               \
  }
#define SIM_SYR(name, T, S, index)                                                           \
  SIM_STATUS name(cublasHandle_t handle, cublasFillMode_t fill, index n, const S*, const T*, \
                  index incx, T*, index lda) {                                               \
    RoutineCall call(#name, Routine::kSyr, kTypeOf<T>);                                      \
    call.Fill(fill).Size(0, n).Vector(incx, n).Operand(lda, n, call.triangle(n));            \
    return call.Run(handle);                                                                 \
  }
#define SIM_SPR(name, T, S, index)                                                           \
  SIM_STATUS name(cublasHandle_t handle, cublasFillMode_t fill, index n, const S*, const T*, \
                  index incx, T*) {                                                          \
    RoutineCall call(#name, Routine::kSyr, kTypeOf<T>);                                      \
    call.Fill(fill).Size(0, n).Vector(incx, n).Vector(1, call.triangle(n));                  \
    return call.Run(handle);                                                                 \
  }
#define SIM_SYR2(name, T, index)                                                             \
  SIM_STATUS name(cublasHandle_t handle, cublasFillMode_t fill, index n, const T*, const T*, \
                  index incx, const T*, index incy, T*, index lda) {                         \
    RoutineCall call(#name, Routine::kSyr2, kTypeOf<T>);                                     \
    call.Fill(fill).Size(0, n).Vector(incx, n).Vector(incy, n);                              \
    return call.Operand(lda, n, call.triangle(n)).Run(handle);                               \
  }
#define SIM_SPR2(name, T, index)                                                             \
  SIM_STATUS name(cublasHandle_t handle, cublasFillMode_t fill, index n, const T*, const T*, \
                  index incx, const T*, index incy, T*) {                                    \
    RoutineCall call(#name, Routine::kSyr2, kTypeOf<T>);                                     \
    call.Fill(fill).Size(0, n).Vector(incx, n).Vector(incy, n);                              \
    return call.Vector(1, call.triangle(n)).Run(handle);                                     \
  }

// The four element types of a routine, each in both index widths.
#define SIM_INDICES(form, name, ...) \
  form(name, __VA_ARGS__, int) form(name##_64, __VA_ARGS__, int64_t)
#define SIM_REAL(form, routine)                   \
  SIM_INDICES(form, cublasS##routine##_v2, float) \
  SIM_INDICES(form, cublasD##routine##_v2, double)
#define SIM_COMPLEX(form, routine)                    \
  SIM_INDICES(form, cublasC##routine##_v2, cuComplex) \
  SIM_INDICES(form, cublasZ##routine##_v2, cuDoubleComplex)
#define SIM_FOUR(form, routine) SIM_REAL(form, routine) SIM_COMPLEX(form, routine)
#define SIM_KIND(form, letter, T, routine, kind)   \
  form(cublas##letter##routine##_v2, T, int, kind) \
      form(cublas##letter##routine##_v2_64, T, int64_t, kind)
#define SIM_KINDS(form, routine, kind)        \
  SIM_KIND(form, S, float, routine, kind)     \
  SIM_KIND(form, D, double, routine, kind)    \
  SIM_KIND(form, C, cuComplex, routine, kind) \
  SIM_KIND(form, Z, cuDoubleComplex, routine, kind)
#define SIM_GEMV_BATCHES(prefix, T, Y, S)                             \
  SIM_INDICES(SIM_GEMV_BATCHED, cublas##prefix##gemvBatched, T, Y, S) \
  SIM_INDICES(SIM_GEMV_STRIDED, cublas##prefix##gemvStridedBatched, T, Y, S)

extern "C" {

SIM_FOUR(SIM_GEMV, gemv)
SIM_GEMV_BATCHES(S, float, float, float)
SIM_GEMV_BATCHES(D, double, double, double)
SIM_GEMV_BATCHES(C, cuComplex, cuComplex, cuComplex)
SIM_GEMV_BATCHES(Z, cuDoubleComplex, cuDoubleComplex, cuDoubleComplex)
SIM_GEMV_BATCHES(HSH, __half, __half, float)
SIM_GEMV_BATCHES(HSS, __half, float, float)
SIM_GEMV_BATCHES(TST, __nv_bfloat16, __nv_bfloat16, float)
SIM_GEMV_BATCHES(TSS, __nv_bfloat16, float, float)
SIM_FOUR(SIM_GBMV, gbmv)
SIM_FOUR(SIM_SYMV, symv)
SIM_COMPLEX(SIM_SYMV, hemv)
SIM_REAL(SIM_SBMV, sbmv)
SIM_COMPLEX(SIM_SBMV, hbmv)
SIM_REAL(SIM_SPMV, spmv)
SIM_COMPLEX(SIM_SPMV, hpmv)
SIM_KINDS(SIM_TRMV, trmv, kTrmv)
SIM_KINDS(SIM_TRMV, trsv, kTrsv)
SIM_KINDS(SIM_TBMV, tbmv, kTbmv)
SIM_KINDS(SIM_TBMV, tbsv, kTbsv)
SIM_KINDS(SIM_TPMV, tpmv, kTrmv)
SIM_KINDS(SIM_TPMV, tpsv, kTrsv)
SIM_REAL(SIM_GER, ger)
SIM_COMPLEX(SIM_GER, geru)
SIM_COMPLEX(SIM_GER, gerc)
SIM_FOUR(SIM_SYR2, syr2)
SIM_COMPLEX(SIM_SYR2, her2)
SIM_REAL(SIM_SPR2, spr2)
SIM_COMPLEX(SIM_SPR2, hpr2)
SIM_INDICES(SIM_SYR, cublasSsyr_v2, float, float)
SIM_INDICES(SIM_SYR, cublasDsyr_v2, double, double)
SIM_INDICES(SIM_SYR, cublasCsyr_v2, cuComplex, cuComplex)
SIM_INDICES(SIM_SYR, cublasZsyr_v2, cuDoubleComplex, cuDoubleComplex)
SIM_INDICES(SIM_SYR, cublasCher_v2, cuComplex, float)
SIM_INDICES(SIM_SYR, cublasZher_v2, cuDoubleComplex, double)
SIM_INDICES(SIM_SPR, cublasSspr_v2, float, float)
SIM_INDICES(SIM_SPR, cublasDspr_v2, double, double)
SIM_INDICES(SIM_SPR, cublasChpr_v2, cuComplex, float)
SIM_INDICES(SIM_SPR, cublasZhpr_v2, cuDoubleComplex, double)

}  // extern "C"
