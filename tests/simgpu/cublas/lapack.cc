// libcublas.so.13: the batched LAPACK-like routines. `info` is the host's where a call checks its
// arguments into it, and the device's where it would hold a verdict on each matrix; memory of the
// device is not touched.
#include <cublas_v2.h>

#include "cublas/routine.h"

using simgpu::kTypeOf;
using simgpu::Routine;
using simgpu::RoutineCall;

#define SIM_LAPACK(letter, T)                                                                      \
  cublasStatus_t CUBLASWINAPI cublas##letter##getrfBatched(                                        \
      cublasHandle_t handle, int n, T* const[], int lda, int*, int*, int batch) {                  \
    RoutineCall call("cublas" #letter "getrfBatched", Routine::kGetrf, kTypeOf<T>);                \
    call.Size(0, n).Batch(batch).Operand(lda, n, 2 * int64_t{n} * n);                              \
    return call.Run(handle);                                                                       \
  }                                                                                                \
  cublasStatus_t CUBLASWINAPI cublas##letter##getriBatched(cublasHandle_t handle, int n,           \
                                                           const T* const[], int lda, const int*,  \
                                                           T* const[], int ldc, int*, int batch) { \
    RoutineCall call("cublas" #letter "getriBatched", Routine::kGetri, kTypeOf<T>);                \
    call.Size(0, n).Batch(batch).Operand(lda, n, int64_t{n} * n).Operand(ldc, n, int64_t{n} * n);  \
    return call.Run(handle);                                                                       \
  }                                                                                                \
  cublasStatus_t CUBLASWINAPI cublas##letter##getrsBatched(                                        \
      cublasHandle_t handle, cublasOperation_t op, int n, int nrhs, const T* const[], int lda,     \
      const int*, T* const[], int ldb, int* info, int batch) {                                     \
    RoutineCall call("cublas" #letter "getrsBatched", Routine::kGetrs, kTypeOf<T>);                \
    call.Operation(op).Size(0, n, nrhs).Batch(batch).Operand(lda, n, int64_t{n} * n);              \
    const cublasStatus_t status = call.Operand(ldb, n, 2 * int64_t{n} * nrhs).Run(handle);         \
    if (info != nullptr) *info = status == CUBLAS_STATUS_SUCCESS ? 0 : -1;                         \
    return status;                                                                                 \
  }                                                                                                \
  cublasStatus_t CUBLASWINAPI cublas##letter##matinvBatched(cublasHandle_t handle, int n,          \
                                                            const T* const[], int lda, T* const[], \
                                                            int ldc, int*, int batch) {            \
    RoutineCall call("cublas" #letter "matinvBatched", Routine::kMatinv, kTypeOf<T>);              \
    call.Size(0, n).Batch(batch).Operand(lda, n, int64_t{n} * n).Operand(ldc, n, int64_t{n} * n);  \
    if (n > 32) return CUBLAS_STATUS_INVALID_VALUE;                                                \
    return call.Run(handle);                                                                       \
  }                                                                                                \
  cublasStatus_t CUBLASWINAPI cublas##letter##geqrfBatched(cublasHandle_t handle, int m, int n,    \
                                                           T* const[], int lda, T* const[],        \
                                                           int* info, int batch) {                 \
    RoutineCall call("cublas" #letter "geqrfBatched", Routine::kGeqrf, kTypeOf<T>);                \
    call.Size(m, n).Batch(batch).Operand(lda, m, 2 * int64_t{m} * n);                              \
    const cublasStatus_t status = call.Vector(1, std::min(m, n)).Run(handle);                      \
    if (info != nullptr) *info = status == CUBLAS_STATUS_SUCCESS ? 0 : -1;                         \
    return status;                                                                                 \
  }                                                                                                \
  cublasStatus_t CUBLASWINAPI cublas##letter##gelsBatched(                                         \
      cublasHandle_t handle, cublasOperation_t op, int m, int n, int nrhs, T* const[], int lda,    \
      T* const[], int ldc, int* info, int*, int batch) {                                           \
    /* Only overdetermined, untransposed systems are solved. */                                    \
    if (op != CUBLAS_OP_N || m < n) return CUBLAS_STATUS_NOT_SUPPORTED;                            \
    RoutineCall call("cublas" #letter "gelsBatched", Routine::kGels, kTypeOf<T>);                  \
    call.Size(m, n, nrhs).Batch(batch).Operand(lda, m, 2 * int64_t{m} * n);                        \
    const cublasStatus_t status = call.Operand(ldc, m, 2 * int64_t{m} * nrhs).Run(handle);         \
    if (info != nullptr) *info = status == CUBLAS_STATUS_SUCCESS ? 0 : -1;                         \
    return status;                                                                                 \
  }

extern "C" {

SIM_LAPACK(S, float)
SIM_LAPACK(D, double)
SIM_LAPACK(C, cuComplex)
SIM_LAPACK(Z, cuDoubleComplex)

}  // extern "C"
