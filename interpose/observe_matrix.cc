// Reads cuBLAS's routines other than plain products: the table says which routine, the arguments
// its dimensions, the handle the rest.
#include "interpose/observe_matrix.h"

#include <cublas_v2.h>

#include "interpose/cublas_handle.h"
#include "interpose/observe_types.h"

namespace mfutrace::interpose::observe {
namespace {

using shapes::Dtype;
using shapes::MatrixRoutine;
using shapes::Side;

// Tensor cores serve level 3 of BLAS; math modes change nothing elsewhere.
bool HasMathModes(MatrixRoutine routine) {
  return routine >= MatrixRoutine::kSymm && routine <= MatrixRoutine::kTrsm;
}

// 16-bit operands of a matrix-vector product are multiplied and added in f32 (cublasHSHgemvBatched
// and its like: alpha and beta are floats).
int ComputeOf(Dtype dtype) {
  return dtype == Dtype::kF16 || dtype == Dtype::kBf16 ? CUBLAS_COMPUTE_32F : ComputeTypeOf(dtype);
}

// Hermitian rank-k updates keep the diagonal real: their beta is real too.
Dtype BetaFormatOf(MatrixRoutine routine, Dtype dtype) {
  if (dtype == Dtype::kF16 || dtype == Dtype::kBf16) return Dtype::kF32;
  const bool is_real = routine == MatrixRoutine::kHerk || routine == MatrixRoutine::kHer2k ||
                       routine == MatrixRoutine::kHerkx;
  if (is_real && dtype == Dtype::kC32F32) return Dtype::kF32;
  if (is_real && dtype == Dtype::kC64F64) return Dtype::kF64;
  return dtype;
}

Side SideOfCode(int code) {
  return code == CUBLAS_SIDE_LEFT    ? Side::kLeft
         : code == CUBLAS_SIDE_RIGHT ? Side::kRight
                                     : Side::kUnknown;
}

}  // namespace

void ObserveMatrix(HookedCall& call, const MatrixArguments& arguments) {
  const EntryInfo& info = InfoOf(call.entry);
  const bool has_handle = !arguments.is_legacy && !info.Has(detail::kHostCalled);
  const CublasHandle handle(*call.library, has_handle ? arguments.handle : nullptr);
  shapes::Matrix matrix;
  matrix.routine = info.routine();
  matrix.m = Size(arguments.m);
  matrix.n = Size(arguments.n);
  matrix.k = Size(arguments.k);
  matrix.batch = Size(arguments.batch);
  matrix.side = SideOfCode(arguments.side);
  matrix.gauss_3m = info.Has(detail::kGauss3m);
  matrix.dtype = arguments.type >= 0 ? DtypeOfCuda(arguments.type) : info.dtype();
  matrix.result = arguments.type_result >= 0         ? DtypeOfCuda(arguments.type_result)
                  : info.result() != Dtype::kUnknown ? info.result()
                                                     : matrix.dtype;
  const int compute = ComputeOf(info.dtype());
  const bool has_mode =
      handle.handle != nullptr && HasMathModes(matrix.routine) && HasHandleMode(matrix.dtype);
  const Arithmetic arithmetic =
      ArithmeticOf(compute, HasMathModes(matrix.routine) ? matrix.dtype : Dtype::kUnknown,
                   has_mode ? handle.MathMode() : 0);
  matrix.accumulate = arithmetic.accumulate;
  matrix.math = arithmetic.math;
  if (!has_handle || handle.HasHostScalars()) {
    const Dtype format = BetaFormatOf(matrix.routine, info.dtype());
    matrix.beta = arguments.is_legacy ? BetaInRegisters(arguments.beta, format)
                                      : BetaAt(arguments.beta, format);
  }
  const uint32_t signature =
      InternMatrix(matrix, static_cast<uint32_t>(compute), call.entry, shapes::Provenance::kExact);
  cudaStream_t stream = nullptr;
  if (handle.handle != nullptr && handle.Stream(&stream)) {
    Begin(call, signature, stream);
  } else {
    BeginUntimed(call, signature);
  }
}

}  // namespace mfutrace::interpose::observe
