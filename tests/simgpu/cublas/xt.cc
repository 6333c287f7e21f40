// libcublas.so.13: cublasXt. The real one cuts matrices of the host into tiles and multiplies them
// on several devices; here a call is one operation on the first device, and its line in the log is
// the whole product.
#include <cublasXt.h>

#include "cublas/routine.h"

using simgpu::kTypeOf;
using simgpu::Routine;
using simgpu::RoutineCall;

struct cublasXtContext {
  cublasHandle_t blas = nullptr;
};

namespace {

cublasStatus_t Run(cublasXtHandle_t handle, const RoutineCall& call) {
  return handle == nullptr ? CUBLAS_STATUS_NOT_INITIALIZED : call.Run(handle->blas);
}

int64_t Signed(size_t extent) { return static_cast<int64_t>(extent); }

}  // namespace

#define SIM_XT cublasStatus_t CUBLASWINAPI
#define SIM_GEMM(name, T)                                                                        \
  SIM_XT name(cublasXtHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, size_t m, \
              size_t n, size_t k, const T*, const T*, size_t lda, const T*, size_t ldb,          \
              const T* beta, T*, size_t ldc) {                                                   \
    RoutineCall call(#name, Routine::kGemm, kTypeOf<T>);                                         \
    call.Beta(beta);                                                                             \
    call.Operation(op_a).Operation(op_b).Size(Signed(m), Signed(n), Signed(k));                  \
    call.Operand(Signed(lda), Signed(op_a == CUBLAS_OP_N ? m : k), Signed(m* k));                \
    call.Operand(Signed(ldb), Signed(op_b == CUBLAS_OP_N ? k : n), Signed(k* n));                \
    return Run(handle, call.Operand(Signed(ldc), Signed(m), Signed(m * n)));                     \
  }
#define SIM_SYRK(name, T, S, hermitian)                                                       \
  SIM_XT name(cublasXtHandle_t handle, cublasFillMode_t fill, cublasOperation_t op, size_t n, \
              size_t k, const S*, const T*, size_t lda, const S* beta, T*, size_t ldc) {      \
    RoutineCall call(#name, Routine::kSyrk, kTypeOf<T>, hermitian);                           \
    call.Beta(beta);                                                                          \
    call.Fill(fill).Operation(op).Size(0, Signed(n), Signed(k));                              \
    call.Operand(Signed(lda), Signed(op == CUBLAS_OP_N ? n : k), Signed(n* k));               \
    return Run(handle, call.Operand(Signed(ldc), Signed(n), call.triangle(Signed(n))));       \
  }
#define SIM_SYR2K(name, T, S, routine, hermitian)                                                \
  SIM_XT name(cublasXtHandle_t handle, cublasFillMode_t fill, cublasOperation_t op, size_t n,    \
              size_t k, const T*, const T*, size_t lda, const T*, size_t ldb, const S* beta, T*, \
              size_t ldc) {                                                                      \
    RoutineCall call(#name, Routine::routine, kTypeOf<T>, hermitian);                            \
    call.Beta(beta);                                                                             \
    const int64_t rows = Signed(op == CUBLAS_OP_N ? n : k);                                      \
    call.Fill(fill).Operation(op).Size(0, Signed(n), Signed(k));                                 \
    call.Operand(Signed(lda), rows, Signed(n* k)).Operand(Signed(ldb), rows, Signed(n* k));      \
    return Run(handle, call.Operand(Signed(ldc), Signed(n), call.triangle(Signed(n))));          \
  }
#define SIM_SYMM(name, T)                                                                        \
  SIM_XT name(cublasXtHandle_t handle, cublasSideMode_t side, cublasFillMode_t fill, size_t m,   \
              size_t n, const T*, const T*, size_t lda, const T*, size_t ldb, const T* beta, T*, \
              size_t ldc) {                                                                      \
    RoutineCall call(#name, Routine::kSymm, kTypeOf<T>);                                         \
    call.Beta(beta);                                                                             \
    const int64_t order = Signed(side == CUBLAS_SIDE_LEFT ? m : n);                              \
    call.Side(side).Fill(fill).Size(Signed(m), Signed(n));                                       \
    call.Operand(Signed(lda), order, call.triangle(order));                                      \
    call.Operand(Signed(ldb), Signed(m), Signed(m* n));                                          \
    return Run(handle, call.Operand(Signed(ldc), Signed(m), Signed(m * n)));                     \
  }
#define SIM_SPMM(name, T)                                                                          \
  SIM_XT name(cublasXtHandle_t handle, cublasSideMode_t side, cublasFillMode_t fill, size_t m,     \
              size_t n, const T*, const T*, const T*, size_t ldb, const T* beta, T*, size_t ldc) { \
    RoutineCall call(#name, Routine::kSymm, kTypeOf<T>);                                           \
    call.Beta(beta);                                                                               \
    call.Side(side).Fill(fill).Size(Signed(m), Signed(n));                                         \
    call.Vector(1, call.triangle(Signed(side == CUBLAS_SIDE_LEFT ? m : n)));                       \
    call.Operand(Signed(ldb), Signed(m), Signed(m* n));                                            \
    return Run(handle, call.Operand(Signed(ldc), Signed(m), Signed(m * n)));                       \
  }
#define SIM_TRXM_BODY(name, T, routine)                                                   \
  RoutineCall call(#name, Routine::routine, kTypeOf<T>);                                  \
  const int64_t order = Signed(side == CUBLAS_SIDE_LEFT ? m : n);                         \
  call.Side(side).Fill(fill).Operation(op).Diagonal(diagonal).Size(Signed(m), Signed(n)); \
  call.Operand(Signed(lda), order, call.triangle(order));                                 \
  call.Operand(Signed(ldb), Signed(m), Signed(m* n));
#define SIM_TRMM(name, T)                                                                    \
  SIM_XT name(cublasXtHandle_t handle, cublasSideMode_t side, cublasFillMode_t fill,         \
              cublasOperation_t op, cublasDiagType_t diagonal, size_t m, size_t n, const T*, \
              const T*, size_t lda, const T*, size_t ldb, T*, size_t ldc) {                  \
    SIM_TRXM_BODY(name, T, kTrmm)                                                            \
    return Run(handle, call.Operand(Signed(ldc), Signed(m), Signed(m * n)));                 \
  }
#define SIM_TRSM(name, T)                                                                    \
  SIM_XT name(cublasXtHandle_t handle, cublasSideMode_t side, cublasFillMode_t fill,         \
              cublasOperation_t op, cublasDiagType_t diagonal, size_t m, size_t n, const T*, \
              const T*, size_t lda, T*, size_t ldb) {                                        \
    SIM_TRXM_BODY(name, T, kTrsm)                                                            \
    return Run(handle, call.Operand(Signed(ldb), Signed(m), Signed(m * n)));                 \
  }

extern "C" {

SIM_XT cublasXtCreate(cublasXtHandle_t* handle) {
  if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  auto* made = new cublasXtContext;
  const cublasStatus_t status = cublasCreate_v2(&made->blas);
  *handle = status == CUBLAS_STATUS_SUCCESS ? made : nullptr;
  if (status != CUBLAS_STATUS_SUCCESS) delete made;
  return status;
}
SIM_XT cublasXtDestroy(cublasXtHandle_t handle) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  const cublasStatus_t status = cublasDestroy_v2(handle->blas);
  delete handle;
  return status;
}
SIM_XT cublasXtDeviceSelect(cublasXtHandle_t handle, int count, int devices[]) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  return count < 1 || devices == nullptr ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_SUCCESS;
}

#define SIM_ALL(letter, T)                                \
  SIM_GEMM(cublasXt##letter##gemm, T)                     \
  SIM_SYRK(cublasXt##letter##syrk, T, T, false)           \
  SIM_SYR2K(cublasXt##letter##syr2k, T, T, kSyr2k, false) \
  SIM_SYR2K(cublasXt##letter##syrkx, T, T, kSyrkx, false) \
  SIM_SYMM(cublasXt##letter##symm, T)                     \
  SIM_SPMM(cublasXt##letter##spmm, T)                     \
  SIM_TRMM(cublasXt##letter##trmm, T)                     \
  SIM_TRSM(cublasXt##letter##trsm, T)
SIM_ALL(S, float)
SIM_ALL(D, double)
SIM_ALL(C, cuComplex)
SIM_ALL(Z, cuDoubleComplex)
#define SIM_HERMITIAN(letter, T, S)                      \
  SIM_SYRK(cublasXt##letter##herk, T, S, true)           \
  SIM_SYR2K(cublasXt##letter##her2k, T, S, kSyr2k, true) \
  SIM_SYR2K(cublasXt##letter##herkx, T, S, kSyrkx, true) \
  SIM_SYMM(cublasXt##letter##hemm, T)
SIM_HERMITIAN(C, cuComplex, float)
SIM_HERMITIAN(Z, cuDoubleComplex, double)

}  // extern "C"
