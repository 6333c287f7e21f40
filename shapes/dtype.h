// Number formats as they lie in memory, and how wide they are.
//
// The numeric values are written into traces: append only, never renumber. A format this table does
// not know is kUnknown, whose width is 0 bits and whose name is "unknown"; nothing is assumed for
// it.
#pragma once

#include <cstdint>
#include <string_view>

namespace mfutrace::shapes {

enum class Dtype : uint8_t {
  kUnknown = 0,
  kF64 = 1,
  kF32 = 2,
  kF16 = 3,
  kBf16 = 4,
  kF8E4M3 = 5,
  kF8E5M2 = 6,
  kF8Ue8m0 = 7,  // block scales only: no operand has it
  kF6E2M3 = 8,
  kF6E3M2 = 9,
  kF4E2M1 = 10,
  kI64 = 11,
  kI32 = 12,
  kI16 = 13,
  kI8 = 14,
  kI4 = 15,
  kU64 = 16,
  kU32 = 17,
  kU16 = 18,
  kU8 = 19,
  kU4 = 20,
  kC64F64 = 21,   // complex: two f64
  kC32F32 = 22,   // complex: two f32
  kC16F16 = 23,   // complex: two f16
  kC16Bf16 = 24,  // complex: two bf16
  kCI8 = 25,      // complex: two i8
  kBool = 26,
  kTf32 = 27,  // never stored: the arithmetic of f32 operands on tensor cores
};

// Bits of one element as stored; a complex element counts both halves. 0 for kUnknown and kTf32.
uint32_t BitsOf(Dtype dtype);

// How operands of that arithmetic lie in memory: f32 for kTf32, else the format itself.
constexpr Dtype StoredAs(Dtype dtype) { return dtype == Dtype::kTf32 ? Dtype::kF32 : dtype; }

bool IsComplex(Dtype dtype);

// "bf16", "f8_e4m3", "c32" (complex of two f32) ...; "unknown" for values outside the table.
std::string_view NameOf(Dtype dtype);

// The format whose NameOf() is `name`; kUnknown if there is none.
Dtype DtypeNamed(std::string_view name);

}  // namespace mfutrace::shapes
