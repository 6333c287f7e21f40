// The table behind dtype.h: width and name of every format, indexed by the value that traces hold.
#include "shapes/dtype.h"

#include <array>
#include <cstddef>

namespace mfutrace::shapes {
namespace {

struct Format {
  Dtype dtype;
  uint8_t bits;
  bool is_complex;
  std::string_view name;
};

constexpr std::array<Format, 28> kFormats = {{
    {Dtype::kUnknown, 0, false, "unknown"}, {Dtype::kF64, 64, false, "f64"},
    {Dtype::kF32, 32, false, "f32"},        {Dtype::kF16, 16, false, "f16"},
    {Dtype::kBf16, 16, false, "bf16"},      {Dtype::kF8E4M3, 8, false, "f8_e4m3"},
    {Dtype::kF8E5M2, 8, false, "f8_e5m2"},  {Dtype::kF8Ue8m0, 8, false, "f8_ue8m0"},
    {Dtype::kF6E2M3, 6, false, "f6_e2m3"},  {Dtype::kF6E3M2, 6, false, "f6_e3m2"},
    {Dtype::kF4E2M1, 4, false, "f4_e2m1"},  {Dtype::kI64, 64, false, "i64"},
    {Dtype::kI32, 32, false, "i32"},        {Dtype::kI16, 16, false, "i16"},
    {Dtype::kI8, 8, false, "i8"},           {Dtype::kI4, 4, false, "i4"},
    {Dtype::kU64, 64, false, "u64"},        {Dtype::kU32, 32, false, "u32"},
    {Dtype::kU16, 16, false, "u16"},        {Dtype::kU8, 8, false, "u8"},
    {Dtype::kU4, 4, false, "u4"},           {Dtype::kC64F64, 128, true, "c64"},
    {Dtype::kC32F32, 64, true, "c32"},      {Dtype::kC16F16, 32, true, "c16"},
    {Dtype::kC16Bf16, 32, true, "cbf16"},   {Dtype::kCI8, 16, true, "ci8"},
    {Dtype::kBool, 8, false, "bool"},       {Dtype::kTf32, 0, false, "tf32"},
}};

constexpr bool TableIsInOrder() {
  for (size_t i = 0; i < kFormats.size(); ++i) {
    if (static_cast<size_t>(kFormats[i].dtype) != i) return false;
  }
  return true;
}
static_assert(TableIsInOrder(), "the table is indexed by the value of Dtype");

// Values come from files that a newer version may have written: outside the table is unknown.
const Format& FormatOf(Dtype dtype) {
  const size_t index = static_cast<size_t>(dtype);
  return kFormats[index < kFormats.size() ? index : 0];
}

}  // namespace

uint32_t BitsOf(Dtype dtype) { return FormatOf(dtype).bits; }

bool IsComplex(Dtype dtype) { return FormatOf(dtype).is_complex; }

std::string_view NameOf(Dtype dtype) { return FormatOf(dtype).name; }

Dtype DtypeNamed(std::string_view name) {
  for (const Format& format : kFormats) {
    if (format.name == name) return format.dtype;
  }
  return Dtype::kUnknown;
}

}  // namespace mfutrace::shapes
