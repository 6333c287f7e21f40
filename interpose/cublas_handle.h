// What a cuBLAS handle tells, asked of the library that made it. For the observers of cuBLAS alone.
#pragma once

#include <cublas_v2.h>

#include <cstring>

#include "interpose/observe_types.h"
#include "interpose/resolve.h"

namespace mfutrace::interpose::observe {

struct CublasHandle {
  const VendorLibrary& library;
  cublasHandle_t handle;  // nullptr: there is none, or the job passed none

  CublasHandle(const VendorLibrary& its_library, const void* pointer)
      : library(its_library), handle(static_cast<cublasHandle_t>(const_cast<void*>(pointer))) {}

  template <typename Function>
  Function* As(Getter getter, Function*) const {
    return reinterpret_cast<Function*>(library.Get(getter));
  }

  bool Stream(cudaStream_t* stream) const {
    auto* get = As(Getter::k_cublasGetStream_v2, &::cublasGetStream_v2);
    return get != nullptr && get(handle, stream) == CUBLAS_STATUS_SUCCESS;
  }

  // True if alpha and beta lie where this process can read them.
  bool HasHostScalars() const {
    auto* get = As(Getter::k_cublasGetPointerMode_v2, &::cublasGetPointerMode_v2);
    cublasPointerMode_t mode = CUBLAS_POINTER_MODE_DEVICE;
    return get != nullptr && get(handle, &mode) == CUBLAS_STATUS_SUCCESS &&
           mode == CUBLAS_POINTER_MODE_HOST;
  }

  int MathMode() const {
    auto* get = As(Getter::k_cublasGetMathMode, &::cublasGetMathMode);
    cublasMath_t mode = CUBLAS_DEFAULT_MATH;
    if (get == nullptr || get(handle, &mode) != CUBLAS_STATUS_SUCCESS) return CUBLAS_DEFAULT_MATH;
    return static_cast<int>(mode);
  }
};

// Negative dimensions make the call fail; nothing is interned for them but an empty problem.
inline uint64_t Size(int64_t value) { return value < 0 ? 0 : static_cast<uint64_t>(value); }

// Formats whose arithmetic the handle's math mode can change.
inline bool HasHandleMode(shapes::Dtype operand) {
  using shapes::Dtype;
  return operand == Dtype::kF32 || operand == Dtype::kC32F32 || operand == Dtype::kF64 ||
         operand == Dtype::kC64F64;
}

// beta of cuBLAS 1, as the registers held it (entry_points.cc): on aarch64 the halves of a pair of
// floats lie in a register each.
inline shapes::BetaUse BetaInRegisters(const void* scalar, shapes::Dtype format) {
#if !defined(__x86_64__)
  if (format == shapes::Dtype::kC32F32 && scalar != nullptr) {
    float pair[2];
    std::memcpy(&pair[0], scalar, sizeof(float));
    std::memcpy(&pair[1], static_cast<const char*>(scalar) + sizeof(double), sizeof(float));
    return BetaAt(pair, format);
  }
#endif
  return BetaAt(scalar, format);
}

}  // namespace mfutrace::interpose::observe
