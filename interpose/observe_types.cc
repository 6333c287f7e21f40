#include "interpose/observe_types.h"

#include <cublas_v2.h>
#include <library_types.h>

#include <cstdlib>
#include <cstring>

namespace mfutrace::interpose {
namespace {

using shapes::BetaUse;
using shapes::Dtype;
using shapes::MathMode;

// Codes that older headers lack, by value (library_types.h and cublas_api.h of CUDA 13.0).
constexpr int kCudaF8Ue8m0 = 30;
constexpr int kCudaF6E2M3 = 31;
constexpr int kCudaF6E3M2 = 32;
constexpr int kCudaF4E2M1 = 33;
constexpr int kComputeF32EmulatedBf16x9 = 78;
constexpr int kComputeF64EmulatedFixedPoint = 79;
constexpr int kFirstComputeType = 64;
// cublasMath_t: one of default, tensor op, pedantic, TF32 in the low bits, flags above them.
constexpr int kModeKind = 3;
constexpr int kModeEmulatedBf16x9 = 4;
constexpr int kModeEmulatedFixedPoint = 8;

bool IsF32(Dtype operand) { return operand == Dtype::kF32 || operand == Dtype::kC32F32; }
bool IsComplexFloat(Dtype format) {
  return format == Dtype::kC64F64 || format == Dtype::kC32F32 || format == Dtype::kC16F16 ||
         format == Dtype::kC16Bf16;
}
bool IsF64(Dtype operand) { return operand == Dtype::kF64 || operand == Dtype::kC64F64; }

// Overrides that NVIDIA's libraries read from the environment; -1 = not set. Read once, as they do.
struct Overrides {
  int tf32 = -1;
  int emulate_f32 = -1;
  int emulate_f64 = -1;
};

int FirstDigit(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && value[0] >= '0' && value[0] <= '9' ? value[0] - '0' : -1;
}

const Overrides& ReadOverrides() {
  static Overrides overrides;
  static bool is_read = false;
  if (!__atomic_load_n(&is_read, __ATOMIC_ACQUIRE)) {
    __atomic_store_n(&overrides.tf32, FirstDigit("NVIDIA_TF32_OVERRIDE"), __ATOMIC_RELAXED);
    __atomic_store_n(&overrides.emulate_f32, FirstDigit("CUBLAS_EMULATE_SINGLE_PRECISION"),
                     __ATOMIC_RELAXED);
    __atomic_store_n(&overrides.emulate_f64, FirstDigit("CUBLAS_EMULATE_DOUBLE_PRECISION"),
                     __ATOMIC_RELAXED);
    __atomic_store_n(&is_read, true, __ATOMIC_RELEASE);
  }
  return overrides;
}

// The mode of a compute type that leaves the choice to handle and environment (CUBLAS_COMPUTE_32F,
// 64F).
MathMode ChosenMode(Dtype operand, int handle_mode) {
  const Overrides& overrides = ReadOverrides();
  const int mode = handle_mode & kModeKind;
  if (mode == CUBLAS_PEDANTIC_MATH) return MathMode::kPedantic;
  if (IsF32(operand)) {
    if ((handle_mode & kModeEmulatedBf16x9) != 0 || overrides.emulate_f32 == 1) {
      return MathMode::kEmulatedBf16x9;
    }
    if (overrides.tf32 == 0) return MathMode::kDefault;
    if (mode == CUBLAS_TF32_TENSOR_OP_MATH || overrides.tf32 == 1) return MathMode::kTf32;
    // CUBLAS_TENSOR_OP_MATH, deprecated: cuBLAS documents it as COMPUTE_32F_FAST_16F for f32 GEMMs.
    if (mode == 1) return MathMode::kReducedF16;
  }
  if (IsF64(operand) &&
      ((handle_mode & kModeEmulatedFixedPoint) != 0 || overrides.emulate_f64 == 1)) {
    return MathMode::kEmulatedFixedPoint;
  }
  return MathMode::kDefault;
}

}  // namespace

Dtype DtypeOfCuda(int cuda_data_type) {
  switch (cuda_data_type) {
    case CUDA_R_64F:
      return Dtype::kF64;
    case CUDA_R_32F:
      return Dtype::kF32;
    case CUDA_R_16F:
      return Dtype::kF16;
    case CUDA_R_16BF:
      return Dtype::kBf16;
    case CUDA_R_8F_E4M3:
      return Dtype::kF8E4M3;
    case CUDA_R_8F_E5M2:
      return Dtype::kF8E5M2;
    case kCudaF8Ue8m0:
      return Dtype::kF8Ue8m0;
    case kCudaF6E2M3:
      return Dtype::kF6E2M3;
    case kCudaF6E3M2:
      return Dtype::kF6E3M2;
    case kCudaF4E2M1:
      return Dtype::kF4E2M1;
    case CUDA_R_64I:
      return Dtype::kI64;
    case CUDA_R_32I:
      return Dtype::kI32;
    case CUDA_R_16I:
      return Dtype::kI16;
    case CUDA_R_8I:
      return Dtype::kI8;
    case CUDA_R_4I:
      return Dtype::kI4;
    case CUDA_R_64U:
      return Dtype::kU64;
    case CUDA_R_32U:
      return Dtype::kU32;
    case CUDA_R_16U:
      return Dtype::kU16;
    case CUDA_R_8U:
      return Dtype::kU8;
    case CUDA_R_4U:
      return Dtype::kU4;
    case CUDA_C_64F:
      return Dtype::kC64F64;
    case CUDA_C_32F:
      return Dtype::kC32F32;
    case CUDA_C_16F:
      return Dtype::kC16F16;
    case CUDA_C_16BF:
      return Dtype::kC16Bf16;
    case CUDA_C_8I:
      return Dtype::kCI8;
    default:
      return Dtype::kUnknown;
  }
}

Arithmetic ArithmeticOf(int compute, Dtype operand, int handle_mode) {
  switch (compute) {
    case CUBLAS_COMPUTE_16F:
      return {Dtype::kF16, MathMode::kDefault};
    case CUBLAS_COMPUTE_16F_PEDANTIC:
      return {Dtype::kF16, MathMode::kPedantic};
    case CUBLAS_COMPUTE_32F:
      return {Dtype::kF32, ChosenMode(operand, handle_mode)};
    case CUBLAS_COMPUTE_32F_PEDANTIC:
      return {Dtype::kF32, MathMode::kPedantic};
    case CUBLAS_COMPUTE_32F_FAST_16F:
      return {Dtype::kF32, MathMode::kReducedF16};
    case CUBLAS_COMPUTE_32F_FAST_16BF:
      return {Dtype::kF32, MathMode::kReducedBf16};
    case CUBLAS_COMPUTE_32F_FAST_TF32:
      return {Dtype::kF32, ReadOverrides().tf32 == 0 ? MathMode::kDefault : MathMode::kTf32};
    case kComputeF32EmulatedBf16x9:
      return {Dtype::kF32, MathMode::kEmulatedBf16x9};
    case CUBLAS_COMPUTE_64F:
      return {Dtype::kF64, ChosenMode(operand, handle_mode)};
    case CUBLAS_COMPUTE_64F_PEDANTIC:
      return {Dtype::kF64, MathMode::kPedantic};
    case kComputeF64EmulatedFixedPoint:
      return {Dtype::kF64, MathMode::kEmulatedFixedPoint};
    case CUBLAS_COMPUTE_32I:
      return {Dtype::kI32, MathMode::kDefault};
    case CUBLAS_COMPUTE_32I_PEDANTIC:
      return {Dtype::kI32, MathMode::kPedantic};
    // cudaDataType, from programs built against cuBLAS 10 and older.
    case CUDA_R_16F:
      return {Dtype::kF16, MathMode::kDefault};
    case CUDA_R_32F:
    case CUDA_C_32F:
      return {Dtype::kF32, ChosenMode(operand, handle_mode)};
    case CUDA_R_64F:
    case CUDA_C_64F:
      return {Dtype::kF64, ChosenMode(operand, handle_mode)};
    case CUDA_R_32I:
      return {Dtype::kI32, MathMode::kDefault};
    default:
      return {};
  }
}

bool AllowsTf32() { return ReadOverrides().tf32 != 0; }

int ComputeTypeOf(Dtype operand) {
  if (IsF64(operand)) return CUBLAS_COMPUTE_64F;
  if (IsF32(operand)) return CUBLAS_COMPUTE_32F;
  if (operand == Dtype::kU8) return CUBLAS_COMPUTE_32I;
  return operand == Dtype::kF16 ? CUBLAS_COMPUTE_16F : -1;
}

Dtype ScalarOf(int compute, Dtype accumulate, Dtype c) {
  if (compute < kFirstComputeType) return DtypeOfCuda(compute);
  const bool is_complex = IsComplexFloat(c);
  switch (accumulate) {
    case Dtype::kF16:
      return Dtype::kF16;
    case Dtype::kF32:
      return is_complex ? Dtype::kC32F32 : Dtype::kF32;
    case Dtype::kF64:
      return is_complex ? Dtype::kC64F64 : Dtype::kF64;
    // cuBLAS: COMPUTE_32I takes 32-bit integer scalars for an i32 result, f32 ones for an i8
    // result.
    case Dtype::kI32:
      return c == Dtype::kI8 ? Dtype::kF32 : Dtype::kI32;
    default:
      return Dtype::kUnknown;
  }
}

BetaUse BetaAt(const void* scalar, Dtype format) {
  if (scalar == nullptr) return BetaUse::kUnknown;
  bool is_zero = false;
  switch (format) {
    case Dtype::kF64:
    case Dtype::kC64F64: {
      double value[2] = {0, 0};
      std::memcpy(value, scalar, format == Dtype::kF64 ? 8 : 16);
      is_zero = value[0] == 0 && value[1] == 0;
      break;
    }
    case Dtype::kF32:
    case Dtype::kC32F32: {
      float value[2] = {0, 0};
      std::memcpy(value, scalar, format == Dtype::kF32 ? 4 : 8);
      is_zero = value[0] == 0 && value[1] == 0;
      break;
    }
    case Dtype::kF16:
    case Dtype::kBf16: {
      uint16_t bits = 0;
      std::memcpy(&bits, scalar, sizeof(bits));
      is_zero = (bits & 0x7fff) == 0;  // either sign
      break;
    }
    case Dtype::kI32: {
      int32_t value = 0;
      std::memcpy(&value, scalar, sizeof(value));
      is_zero = value == 0;
      break;
    }
    default:
      return BetaUse::kUnknown;
  }
  return is_zero ? BetaUse::kZero : BetaUse::kNonzero;
}

shapes::Transpose TransposeOf(int cublas_operation) {
  switch (cublas_operation) {
    case CUBLAS_OP_N:
      return shapes::Transpose::kNo;
    case CUBLAS_OP_T:
      return shapes::Transpose::kYes;
    case CUBLAS_OP_C:
      return shapes::Transpose::kConjugate;
    default:
      return shapes::Transpose::kUnknown;
  }
}

}  // namespace mfutrace::interpose
