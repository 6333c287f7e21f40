// libcublas.so.13: the legacy interface, whose functions take letters and no handle and leave their
// status behind for cublasGetError. One handle a process.
#include <cublas.h>

#include "cublas/routine.h"

using simgpu::kTypeOf;
using simgpu::Routine;
using simgpu::RoutineCall;

namespace {

cublasHandle_t g_handle = nullptr;
cublasStatus_t g_status = CUBLAS_STATUS_SUCCESS;

// Set by a letter that means nothing; the call at hand then fails.
thread_local bool t_has_bad_letter = false;

template <typename E>
E Letter(char letter, const char* letters, const E* values) {
  for (int i = 0; letters[i] != 0; ++i) {
    if ((letter & ~0x20) == letters[i]) return values[i];
  }
  t_has_bad_letter = true;
  return values[0];
}
cublasOperation_t Op(char letter) {
  static constexpr cublasOperation_t kValues[] = {CUBLAS_OP_N, CUBLAS_OP_T, CUBLAS_OP_C};
  return Letter(letter, "NTC", kValues);
}
cublasFillMode_t Fill(char letter) {
  static constexpr cublasFillMode_t kValues[] = {CUBLAS_FILL_MODE_LOWER, CUBLAS_FILL_MODE_UPPER};
  return Letter(letter, "LU", kValues);
}
cublasSideMode_t SideOf(char letter) {
  static constexpr cublasSideMode_t kValues[] = {CUBLAS_SIDE_LEFT, CUBLAS_SIDE_RIGHT};
  return Letter(letter, "LR", kValues);
}
cublasDiagType_t Diagonal(char letter) {
  static constexpr cublasDiagType_t kValues[] = {CUBLAS_DIAG_NON_UNIT, CUBLAS_DIAG_UNIT};
  return Letter(letter, "NU", kValues);
}

void Finish(const RoutineCall& call) {
  const cublasStatus_t status = t_has_bad_letter ? CUBLAS_STATUS_INVALID_VALUE : call.Run(g_handle);
  t_has_bad_letter = false;
  if (status != CUBLAS_STATUS_SUCCESS) g_status = status;
}

}  // namespace

#define SIM_GEMM(name, T)                                                                       \
  void CUBLASWINAPI name(char op_a, char op_b, int m, int n, int k, T, const T*, int lda,       \
                         const T*, int ldb, T beta, T*, int ldc) {                              \
    RoutineCall call(#name, Routine::kGemm, kTypeOf<T>);                                        \
    call.BetaIs(beta);                                                                          \
    call.Operation(Op(op_a)).Operation(Op(op_b)).Size(m, n, k).Operand(ldc, m, int64_t{m} * n); \
    call.Operand(lda, Op(op_a) == CUBLAS_OP_N ? m : k, int64_t{m} * k);                         \
    Finish(call.Operand(ldb, Op(op_b) == CUBLAS_OP_N ? k : n, int64_t{k} * n));                 \
  }
#define SIM_SYMM(name, T)                                                                          \
  void CUBLASWINAPI name(char side, char fill, int m, int n, T, const T*, int lda, const T*,       \
                         int ldb, T beta, T*, int ldc) {                                           \
    RoutineCall call(#name, Routine::kSymm, kTypeOf<T>);                                           \
    call.BetaIs(beta);                                                                             \
    const int order = SideOf(side) == CUBLAS_SIDE_LEFT ? m : n;                                    \
    call.Side(SideOf(side)).Fill(Fill(fill)).Size(m, n).Operand(lda, order, call.triangle(order)); \
    Finish(call.Operand(ldb, m, int64_t{m} * n).Operand(ldc, m, int64_t{m} * n));                  \
  }
#define SIM_SYRK(name, T, S, hermitian)                                                      \
  void CUBLASWINAPI name(char fill, char op, int n, int k, S, const T*, int lda, S beta, T*, \
                         int ldc) {                                                          \
    RoutineCall call(#name, Routine::kSyrk, kTypeOf<T>, hermitian);                          \
    call.BetaIs(beta);                                                                       \
    call.Fill(Fill(fill)).Operation(Op(op)).Size(0, n, k).Operand(ldc, n, call.triangle(n)); \
    Finish(call.Operand(lda, Op(op) == CUBLAS_OP_N ? n : k, int64_t{n} * k));                \
  }
#define SIM_SYR2K(name, T, S, hermitian)                                                     \
  void CUBLASWINAPI name(char fill, char op, int n, int k, T, const T*, int lda, const T*,   \
                         int ldb, S beta, T*, int ldc) {                                     \
    RoutineCall call(#name, Routine::kSyr2k, kTypeOf<T>, hermitian);                         \
    call.BetaIs(beta);                                                                       \
    const int rows = Op(op) == CUBLAS_OP_N ? n : k;                                          \
    call.Fill(Fill(fill)).Operation(Op(op)).Size(0, n, k).Operand(ldc, n, call.triangle(n)); \
    Finish(call.Operand(lda, rows, int64_t{n} * k).Operand(ldb, rows, int64_t{n} * k));      \
  }
#define SIM_TRXM(name, T, routine)                                                                \
  void CUBLASWINAPI name(char side, char fill, char op, char diagonal, int m, int n, T, const T*, \
                         int lda, T*, int ldb) {                                                  \
    RoutineCall call(#name, Routine::routine, kTypeOf<T>);                                        \
    const int order = SideOf(side) == CUBLAS_SIDE_LEFT ? m : n;                                   \
    call.Side(SideOf(side)).Fill(Fill(fill)).Operation(Op(op)).Diagonal(Diagonal(diagonal));      \
    call.Size(m, n).Operand(lda, order, call.triangle(order));                                    \
    Finish(call.Operand(ldb, m, 2 * int64_t{m} * n));                                             \
  }
#define SIM_GEMV(name, T)                                                                         \
  void CUBLASWINAPI name(char op, int m, int n, T, const T*, int lda, const T*, int incx, T beta, \
                         T*, int incy) {                                                          \
    RoutineCall call(#name, Routine::kGemv, kTypeOf<T>);                                          \
    call.BetaIs(beta);                                                                            \
    call.Operation(Op(op)).Size(m, n).Operand(lda, m, int64_t{m} * n);                            \
    Finish(call.Vector(incx, n).Vector(incy, m));                                                 \
  }
#define SIM_GER(name, T)                                                                         \
  void CUBLASWINAPI name(int m, int n, T, const T*, int incx, const T*, int incy, T*, int lda) { \
    RoutineCall call(#name, Routine::kGer, kTypeOf<T>);                                          \
    call.Size(m, n).Vector(incx, m).Vector(incy, n).Operand(lda, m, int64_t{m} * n);             \
    Finish(call);                                                                                \
  }
#define SIM_SYMV(name, T)                                                                        \
  void CUBLASWINAPI name(char fill, int n, T, const T*, int lda, const T*, int incx, T beta, T*, \
                         int incy) {                                                             \
    RoutineCall call(#name, Routine::kSymv, kTypeOf<T>);                                         \
    call.BetaIs(beta);                                                                           \
    call.Fill(Fill(fill)).Size(0, n).Operand(lda, n, call.triangle(n));                          \
    Finish(call.Vector(incx, n).Vector(incy, n));                                                \
  }
#define SIM_GBMV(name, T)                                                                   \
  void CUBLASWINAPI name(char op, int m, int n, int lower, int upper, T, const T*, int lda, \
                         const T*, int incx, T beta, T*, int incy) {                        \
    RoutineCall call(#name, Routine::kGbmv, kTypeOf<T>);                                    \
    call.BetaIs(beta);                                                                      \
    const int64_t rows = int64_t{lower} + upper + 1;                                        \
    call.Operation(Op(op)).Size(m, n).Band(lower, upper).Operand(lda, rows, rows* n);       \
    Finish(call.Vector(incx, n).Vector(incy, m));                                           \
  }
#define SIM_SBMV(name, T)                                                                   \
  void CUBLASWINAPI name(char fill, int n, int k, T, const T*, int lda, const T*, int incx, \
                         T beta, T*, int incy) {                                            \
    RoutineCall call(#name, Routine::kSbmv, kTypeOf<T>);                                    \
    call.BetaIs(beta);                                                                      \
    call.Fill(Fill(fill)).Size(0, n, k).Operand(lda, int64_t{k} + 1, (int64_t{k} + 1) * n); \
    Finish(call.Vector(incx, n).Vector(incy, n));                                           \
  }
#define SIM_SPMV(name, T)                                                               \
  void CUBLASWINAPI name(char fill, int n, T, const T*, const T*, int incx, T beta, T*, \
                         int incy) {                                                    \
    RoutineCall call(#name, Routine::kSymv, kTypeOf<T>);                                \
    call.BetaIs(beta);                                                                  \
    call.Fill(Fill(fill)).Size(0, n).Vector(1, call.triangle(n));                       \
    Finish(call.Vector(incx, n).Vector(incy, n));                                       \
  }
#define SIM_TRMV(name, T, routine)                                                        \
  void CUBLASWINAPI name(char fill, char op, char diagonal, int n, const T*, int lda, T*, \
                         int incx) {                                                      \
    RoutineCall call(#name, Routine::routine, kTypeOf<T>);                                \
    call.Fill(Fill(fill)).Operation(Op(op)).Diagonal(Diagonal(diagonal)).Size(0, n);      \
    Finish(call.Operand(lda, n, call.triangle(n)).Vector(incx, 2 * n));                   \
  }
#define SIM_TBMV(name, T, routine)                                                               \
  void CUBLASWINAPI name(char fill, char op, char diagonal, int n, int k, const T*, int lda, T*, \
                         int incx) {                                                             \
    RoutineCall call(#name, Routine::routine, kTypeOf<T>);                                       \
    call.Fill(Fill(fill)).Operation(Op(op)).Diagonal(Diagonal(diagonal)).Size(0, n, k);          \
    Finish(call.Operand(lda, int64_t{k} + 1, (int64_t{k} + 1) * n).Vector(incx, 2 * n));         \
  }
#define SIM_TPMV(name, T, routine)                                                           \
  void CUBLASWINAPI name(char fill, char op, char diagonal, int n, const T*, T*, int incx) { \
    RoutineCall call(#name, Routine::routine, kTypeOf<T>);                                   \
    call.Fill(Fill(fill)).Operation(Op(op)).Diagonal(Diagonal(diagonal)).Size(0, n);         \
    Finish(call.Vector(1, call.triangle(n)).Vector(incx, 2 * n));                            \
  }
#define SIM_SYR(name, T, S)                                                                     \
  void CUBLASWINAPI name(char fill, int n, S, const T*, int incx, T*, int lda) {                \
    RoutineCall call(#name, Routine::kSyr, kTypeOf<T>);                                         \
    Finish(call.Fill(Fill(fill)).Size(0, n).Vector(incx, n).Operand(lda, n, call.triangle(n))); \
  }
#define SIM_SPR(name, T, S)                                                               \
  void CUBLASWINAPI name(char fill, int n, S, const T*, int incx, T*) {                   \
    RoutineCall call(#name, Routine::kSyr, kTypeOf<T>);                                   \
    Finish(call.Fill(Fill(fill)).Size(0, n).Vector(incx, n).Vector(1, call.triangle(n))); \
  }
#define SIM_SYR2(name, T)                                                                 \
  void CUBLASWINAPI name(char fill, int n, T, const T*, int incx, const T*, int incy, T*, \
                         int lda) {                                                       \
    RoutineCall call(#name, Routine::kSyr2, kTypeOf<T>);                                  \
    call.Fill(Fill(fill)).Size(0, n).Vector(incx, n).Vector(incy, n);                     \
    Finish(call.Operand(lda, n, call.triangle(n)));                                       \
  }
#define SIM_SPR2(name, T)                                                                   \
  void CUBLASWINAPI name(char fill, int n, T, const T*, int incx, const T*, int incy, T*) { \
    RoutineCall call(#name, Routine::kSyr2, kTypeOf<T>);                                    \
    call.Fill(Fill(fill)).Size(0, n).Vector(incx, n).Vector(incy, n);                       \
    Finish(call.Vector(1, call.triangle(n)));                                               \
  }

extern "C" {

cublasStatus CUBLASWINAPI cublasInit(void) {
  return g_handle != nullptr ? CUBLAS_STATUS_SUCCESS : cublasCreate_v2(&g_handle);
}
cublasStatus CUBLASWINAPI cublasShutdown(void) {
  const cublasStatus_t status = cublasDestroy_v2(g_handle);
  g_handle = nullptr;
  return status;
}
cublasStatus CUBLASWINAPI cublasGetError(void) {
  const cublasStatus_t status = g_status;
  g_status = CUBLAS_STATUS_SUCCESS;
  return status;
}
cublasStatus CUBLASWINAPI cublasSetKernelStream(cudaStream_t stream) {
  return cublasSetStream_v2(g_handle, stream);
}

#define SIM_ALL(letter, T)                      \
  SIM_GEMM(cublas##letter##gemm, T)             \
  SIM_SYMM(cublas##letter##symm, T)             \
  SIM_SYRK(cublas##letter##syrk, T, T, false)   \
  SIM_SYR2K(cublas##letter##syr2k, T, T, false) \
  SIM_TRXM(cublas##letter##trmm, T, kTrmm)      \
  SIM_TRXM(cublas##letter##trsm, T, kTrsm)      \
  SIM_GEMV(cublas##letter##gemv, T)
SIM_ALL(S, float)
SIM_ALL(D, double)
SIM_ALL(C, cuComplex)
SIM_ALL(Z, cuDoubleComplex)
SIM_SYMM(cublasChemm, cuComplex)
SIM_SYMM(cublasZhemm, cuDoubleComplex)
SIM_SYRK(cublasCherk, cuComplex, float, true)
SIM_SYRK(cublasZherk, cuDoubleComplex, double, true)
SIM_SYR2K(cublasCher2k, cuComplex, float, true)
SIM_SYR2K(cublasZher2k, cuDoubleComplex, double, true)
SIM_GER(cublasSger, float)
SIM_GER(cublasDger, double)
SIM_GER(cublasCgeru, cuComplex)
SIM_GER(cublasCgerc, cuComplex)
SIM_GER(cublasZgeru, cuDoubleComplex)
SIM_GER(cublasZgerc, cuDoubleComplex)
SIM_SYMV(cublasSsymv, float)
SIM_SYMV(cublasDsymv, double)
SIM_SYMV(cublasChemv, cuComplex)
SIM_SYMV(cublasZhemv, cuDoubleComplex)
#define SIM_VECTORS(letter, T)             \
  SIM_GBMV(cublas##letter##gbmv, T)        \
  SIM_TRMV(cublas##letter##trmv, T, kTrmv) \
  SIM_TRMV(cublas##letter##trsv, T, kTrsv) \
  SIM_TBMV(cublas##letter##tbmv, T, kTbmv) \
  SIM_TBMV(cublas##letter##tbsv, T, kTbsv) \
  SIM_TPMV(cublas##letter##tpmv, T, kTrmv) \
  SIM_TPMV(cublas##letter##tpsv, T, kTrsv)
SIM_VECTORS(S, float)
SIM_VECTORS(D, double)
SIM_VECTORS(C, cuComplex)
SIM_VECTORS(Z, cuDoubleComplex)
SIM_SBMV(cublasSsbmv, float)
SIM_SPMV(cublasSspmv, float)
SIM_SYR(cublasSsyr, float, float)
SIM_SPR(cublasSspr, float, float)
SIM_SYR2(cublasSsyr2, float)
SIM_SPR2(cublasSspr2, float)
SIM_SBMV(cublasDsbmv, double)
SIM_SPMV(cublasDspmv, double)
SIM_SYR(cublasDsyr, double, double)
SIM_SPR(cublasDspr, double, double)
SIM_SYR2(cublasDsyr2, double)
SIM_SPR2(cublasDspr2, double)
SIM_SBMV(cublasChbmv, cuComplex)
SIM_SPMV(cublasChpmv, cuComplex)
SIM_SYR(cublasCher, cuComplex, float)
SIM_SPR(cublasChpr, cuComplex, float)
SIM_SYR2(cublasCher2, cuComplex)
SIM_SPR2(cublasChpr2, cuComplex)
SIM_SBMV(cublasZhbmv, cuDoubleComplex)
SIM_SPMV(cublasZhpmv, cuDoubleComplex)
SIM_SYR(cublasZher, cuDoubleComplex, double)
SIM_SPR(cublasZhpr, cuDoubleComplex, double)
SIM_SYR2(cublasZher2, cuDoubleComplex)
SIM_SPR2(cublasZhpr2, cuDoubleComplex)

}  // extern "C"
