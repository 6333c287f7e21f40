// The vendors' codes for formats, compute types and math modes as ours. Both cuBLAS observers read
// them; values and names are those of library_types.h and cublas_api.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shapes/op.h"

namespace mfutrace::interpose {

// cudaDataType; kUnknown for codes we do not know.
shapes::Dtype DtypeOfCuda(int cuda_data_type);

struct Arithmetic {
  shapes::Dtype accumulate = shapes::Dtype::kUnknown;
  shapes::MathMode math = shapes::MathMode::kDefault;
};
// What a compute type means for operands of a format. `compute` is a cublasComputeType_t (64 and
// up) or, from programs built against cuBLAS 10, a cudaDataType. `handle_mode` is the handle's
// cublasMath_t, 0 where there is none; environment variables that override it are taken into
// account.
Arithmetic ArithmeticOf(int compute, shapes::Dtype operand, int handle_mode);

// False if NVIDIA_TF32_OVERRIDE=0 keeps NVIDIA's libraries from rounding f32 operands to TF32.
bool AllowsTf32();

// The compute type a routine without such an argument implies by its operand format.
int ComputeTypeOf(shapes::Dtype operand);

// Format of alpha and beta for a compute type, what it accumulates in, and the format of C.
shapes::Dtype ScalarOf(int compute, shapes::Dtype accumulate, shapes::Dtype c);

// Reads one scalar on the host. kUnknown for a null pointer or a format that is not a scale type.
shapes::BetaUse BetaAt(const void* scalar, shapes::Dtype format);

shapes::Transpose TransposeOf(int cublas_operation);

}  // namespace mfutrace::interpose
