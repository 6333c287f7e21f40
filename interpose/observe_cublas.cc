// Reads matrix products of cuBLAS from their arguments. The stream and the modes are the handle's,
// and are asked of the library that made it.
#include <cublas_v2.h>

#include "interpose/observe.h"
#include "interpose/observe_types.h"

namespace mfutrace::interpose::observe {
namespace {

using shapes::BetaUse;
using shapes::Dtype;

// Negative dimensions make the call fail; nothing is interned for them but an empty product.
uint64_t Size(int64_t value) { return value < 0 ? 0 : static_cast<uint64_t>(value); }

template <typename Function>
Function* As(const VendorLibrary& library, Getter getter, Function*) {
  return reinterpret_cast<Function*>(library.Get(getter));
}

bool StreamOf(const VendorLibrary& library, cublasHandle_t handle, cudaStream_t* stream) {
  auto* get = As(library, Getter::k_cublasGetStream_v2, &::cublasGetStream_v2);
  return get != nullptr && get(handle, stream) == CUBLAS_STATUS_SUCCESS;
}

bool HasHostScalars(const VendorLibrary& library, cublasHandle_t handle) {
  auto* get = As(library, Getter::k_cublasGetPointerMode_v2, &::cublasGetPointerMode_v2);
  cublasPointerMode_t mode = CUBLAS_POINTER_MODE_DEVICE;
  return get != nullptr && get(handle, &mode) == CUBLAS_STATUS_SUCCESS &&
         mode == CUBLAS_POINTER_MODE_HOST;
}

int MathModeOf(const VendorLibrary& library, cublasHandle_t handle) {
  auto* get = As(library, Getter::k_cublasGetMathMode, &::cublasGetMathMode);
  cublasMath_t mode = CUBLAS_DEFAULT_MATH;
  if (get == nullptr || get(handle, &mode) != CUBLAS_STATUS_SUCCESS) return CUBLAS_DEFAULT_MATH;
  return static_cast<int>(mode);
}

bool HasHandleMode(Dtype operand) {
  return operand == Dtype::kF32 || operand == Dtype::kC32F32 || operand == Dtype::kF64 ||
         operand == Dtype::kC64F64;
}

}  // namespace

void ObserveGemm(HookedCall& call, const GemmArguments& arguments) {
  const auto handle = static_cast<cublasHandle_t>(const_cast<void*>(arguments.handle));
  shapes::Gemm gemm;
  gemm.m = Size(arguments.m);
  gemm.n = Size(arguments.n);
  gemm.k = Size(arguments.k);
  gemm.batch = Size(arguments.batch);
  gemm.op_a = TransposeOf(arguments.op_a);
  gemm.op_b = TransposeOf(arguments.op_b);
  gemm.a_is_broadcast = arguments.batch > 1 && arguments.stride_a == 0;
  gemm.b_is_broadcast = arguments.batch > 1 && arguments.stride_b == 0;
  int compute = arguments.compute;
  if (arguments.type_a < 0) {
    gemm.a = gemm.b = gemm.c = static_cast<Dtype>(InfoOf(call.entry).detail);
    compute = ComputeTypeOf(gemm.a);
  } else {
    gemm.a = DtypeOfCuda(arguments.type_a);
    gemm.b = DtypeOfCuda(arguments.type_b);
    gemm.c = DtypeOfCuda(arguments.type_c);
  }
  gemm.d = gemm.c;
  const Arithmetic arithmetic =
      ArithmeticOf(compute, gemm.a, HasHandleMode(gemm.a) ? MathModeOf(*call.library, handle) : 0);
  gemm.accumulate = arithmetic.accumulate;
  gemm.math = arithmetic.math;
  if (HasHostScalars(*call.library, handle)) {
    gemm.beta = BetaAt(arguments.beta, ScalarOf(compute, gemm.accumulate, gemm.c));
  }
  const uint32_t signature =
      InternGemm(gemm, static_cast<uint32_t>(compute), call.entry, shapes::Provenance::kExact);
  cudaStream_t stream = nullptr;
  if (StreamOf(*call.library, handle, &stream)) {
    Begin(call, signature, stream);
  } else {
    BeginUntimed(call, signature);  // an invalid handle: the call itself is about to say so
  }
}

}  // namespace mfutrace::interpose::observe
