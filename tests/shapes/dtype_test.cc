// Number formats: the values that traces hold, their widths, and names that lead back to them.
#include "shapes/dtype.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace mfutrace::shapes {
namespace {

TEST(Dtype, WidthsAreThoseOfTheFormats) {
  EXPECT_EQ(BitsOf(Dtype::kF64), 64u);
  EXPECT_EQ(BitsOf(Dtype::kF32), 32u);
  EXPECT_EQ(BitsOf(Dtype::kF16), 16u);
  EXPECT_EQ(BitsOf(Dtype::kBf16), 16u);
  EXPECT_EQ(BitsOf(Dtype::kF8E4M3), 8u);
  EXPECT_EQ(BitsOf(Dtype::kF6E2M3), 6u);
  EXPECT_EQ(BitsOf(Dtype::kF4E2M1), 4u);
  EXPECT_EQ(BitsOf(Dtype::kI4), 4u);
  EXPECT_EQ(BitsOf(Dtype::kU64), 64u);
}

TEST(Dtype, AComplexElementCountsBothHalves) {
  EXPECT_EQ(BitsOf(Dtype::kC64F64), 2 * BitsOf(Dtype::kF64));
  EXPECT_EQ(BitsOf(Dtype::kC32F32), 2 * BitsOf(Dtype::kF32));
  EXPECT_EQ(BitsOf(Dtype::kC16Bf16), 2 * BitsOf(Dtype::kBf16));
  EXPECT_TRUE(IsComplex(Dtype::kCI8));
  EXPECT_FALSE(IsComplex(Dtype::kF64));
}

TEST(Dtype, WhatIsNeverStoredHasNoWidth) {
  EXPECT_EQ(BitsOf(Dtype::kUnknown), 0u);
  EXPECT_EQ(BitsOf(Dtype::kTf32), 0u);
}

TEST(Dtype, ValuesOfNewerVersionsAreUnknown) {
  const auto beyond = static_cast<Dtype>(200);
  EXPECT_EQ(BitsOf(beyond), 0u);
  EXPECT_FALSE(IsComplex(beyond));
  EXPECT_EQ(NameOf(beyond), "unknown");
}

TEST(Dtype, NamesAreUniqueAndLeadBack) {
  std::set<std::string> names;
  for (int value = 0; value <= static_cast<int>(Dtype::kTf32); ++value) {
    const auto dtype = static_cast<Dtype>(value);
    EXPECT_TRUE(names.insert(std::string(NameOf(dtype))).second) << NameOf(dtype);
    EXPECT_EQ(DtypeNamed(NameOf(dtype)), dtype);
  }
  EXPECT_EQ(NameOf(Dtype::kBf16), "bf16");
  EXPECT_EQ(NameOf(Dtype::kF8E4M3), "f8_e4m3");
  EXPECT_EQ(NameOf(Dtype::kC32F32), "c32");
  EXPECT_EQ(DtypeNamed("float"), Dtype::kUnknown);
  EXPECT_EQ(DtypeNamed(""), Dtype::kUnknown);
}

}  // namespace
}  // namespace mfutrace::shapes
