// The peak table against figures anybody can look up, and the rules of the lookup.
#include "shapes/peaks.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>

namespace mfutrace::shapes {
namespace {

std::optional<uint64_t> Peak(std::string_view name, PeakRate rate) {
  const Gpu* gpu = FindGpu(name);
  if (gpu == nullptr) return std::nullopt;
  return PeakFlopPerSecond(*gpu, rate);
}

TEST(Peaks, AreTheDenseFiguresOfTheDatasheets) {
  // NVIDIA H100 datasheet, SXM column, halved where it says "with sparsity".
  EXPECT_EQ(Peak("NVIDIA H100 80GB HBM3", PeakRate::kBf16), 989'400'000'000'000u);
  EXPECT_EQ(Peak("NVIDIA H100 80GB HBM3", PeakRate::kF8), 1'978'900'000'000'000u);
  EXPECT_EQ(Peak("NVIDIA H100 80GB HBM3", PeakRate::kTf32), 494'700'000'000'000u);
  // NVIDIA A100 datasheet: 312 TFLOP/s bf16, 19.5 f32 and f64 tensor, 9.7 f64, 2039 GB/s.
  EXPECT_EQ(Peak("NVIDIA A100-SXM4-80GB", PeakRate::kBf16), 312'000'000'000'000u);
  EXPECT_EQ(Peak("NVIDIA A100-SXM4-80GB", PeakRate::kF64Tensor), 19'500'000'000'000u);
  EXPECT_EQ(Peak("NVIDIA A100-SXM4-80GB", PeakRate::kF64), 9'700'000'000'000u);
  ASSERT_NE(FindGpu("NVIDIA A100-SXM4-80GB"), nullptr);
  EXPECT_EQ(FindGpu("NVIDIA A100-SXM4-80GB")->memory_bytes_per_s, 2'039'000'000'000u);
  // NVIDIA V100 datasheet: 125 TFLOP/s tensor; no bf16.
  EXPECT_EQ(Peak("Tesla V100-SXM2-16GB", PeakRate::kF16), 125'000'000'000'000u);
  EXPECT_EQ(Peak("Tesla V100-SXM2-16GB", PeakRate::kBf16), std::nullopt);
  // GeForce halves f16 with f32 accumulation (NVIDIA Ada architecture whitepaper).
  EXPECT_EQ(Peak("NVIDIA GeForce RTX 4090", PeakRate::kF16), 165'200'000'000'000u);
  EXPECT_EQ(Peak("NVIDIA GeForce RTX 4090", PeakRate::kF16Acc16), 330'300'000'000'000u);
}

TEST(Peaks, NamesMatchExactlyOrNotAtAll) {
  EXPECT_EQ(FindGpu("H100"), nullptr);
  EXPECT_EQ(FindGpu("NVIDIA H100"), nullptr);
  EXPECT_EQ(FindGpu("nvidia h100 80gb hbm3"), nullptr);
  EXPECT_EQ(FindGpu("NVIDIA H100 80GB HBM3 "), nullptr);
  EXPECT_EQ(FindGpu(""), nullptr);
  EXPECT_EQ(FindGpu("NVIDIA H20-3e"), nullptr);  // known by name alone: its figures are in doubt
  ASSERT_NE(FindGpu("NVIDIA H200"), nullptr);
  ASSERT_NE(FindGpu("NVIDIA H20"), nullptr);
  EXPECT_NE(FindGpu("NVIDIA H200")->peak_flop_per_s[static_cast<int>(PeakRate::kBf16)],
            FindGpu("NVIDIA H20")->peak_flop_per_s[static_cast<int>(PeakRate::kBf16)]);
}

TEST(Peaks, EveryEntryIsUsableAndTellsItsSource) {
  std::set<std::string> names;
  for (const Gpu& gpu : AllGpus()) {
    EXPECT_TRUE(names.insert(std::string(gpu.name)).second) << gpu.name << " stands twice";
    EXPECT_EQ(FindGpu(gpu.name), &gpu);
    EXPECT_FALSE(gpu.source.empty()) << gpu.name;
    EXPECT_EQ(gpu.source.find('\n'), std::string_view::npos) << gpu.name;
    EXPECT_FALSE(gpu.compute_capability.empty()) << gpu.name;
    bool has_peak = false;
    for (const uint64_t peak : gpu.peak_flop_per_s) {
      has_peak = has_peak || peak != 0;
      // The slowest unit of any GPU here does a tenth of a TFLOP/s, the fastest 20 PFLOP/s.
      if (peak != 0) {
        EXPECT_GE(peak, 100'000'000'000u) << gpu.name;
      }
      EXPECT_LE(peak, 20'000'000'000'000'000u) << gpu.name;
    }
    EXPECT_TRUE(has_peak) << gpu.name;
  }
  EXPECT_GE(names.size(), 40u);
}

TEST(Peaks, TensorPeaksAreAPowerOfTwoPerSmAndClock) {
  // Each tensor core generation does 512 to 8192 f16 multiply-adds x 2 a clock and SM. H20 is cut
  // down by other means and has no such figure.
  int checked = 0;
  for (const Gpu& gpu : AllGpus()) {
    const std::optional<uint64_t> peak = PeakFlopPerSecond(gpu, PeakRate::kF16);
    if (!peak.has_value() || gpu.sm_count == 0 || gpu.boost_mhz == 0) continue;
    const double per_clock =
        static_cast<double>(*peak) / (1e6 * static_cast<double>(gpu.boost_mhz) * gpu.sm_count);
    double nearest = 512;
    while (nearest * 1.4 < per_clock) nearest *= 2;
    EXPECT_NEAR(per_clock / nearest, 1.0, 0.02) << gpu.name << ": " << per_clock;
    ++checked;
  }
  EXPECT_GE(checked, 30);
}

Gemm GemmOf(Dtype a, Dtype b, Dtype accumulate = Dtype::kF32, MathMode math = MathMode::kDefault) {
  Gemm gemm;
  gemm.a = a;
  gemm.b = b;
  gemm.accumulate = accumulate;
  gemm.math = math;
  return gemm;
}

TEST(Peaks, TheRateFollowsOperandsAccumulationAndMathMode) {
  using D = Dtype;
  using M = MathMode;
  using R = PeakRate;
  EXPECT_EQ(RateOf(GemmOf(D::kF64, D::kF64, D::kF64)), R::kF64Tensor);
  EXPECT_EQ(RateOf(GemmOf(D::kF32, D::kF32)), R::kF32);
  EXPECT_EQ(RateOf(GemmOf(D::kF32, D::kF32, D::kF32, M::kPedantic)), R::kF32);
  EXPECT_EQ(RateOf(GemmOf(D::kF32, D::kF32, D::kF32, M::kTf32)), R::kTf32);
  EXPECT_EQ(RateOf(GemmOf(D::kF32, D::kF32, D::kF32, M::kReducedF16)), R::kF16);
  EXPECT_EQ(RateOf(GemmOf(D::kF32, D::kF32, D::kF32, M::kReducedBf16)), R::kBf16);
  EXPECT_EQ(RateOf(GemmOf(D::kBf16, D::kBf16)), R::kBf16);
  EXPECT_EQ(RateOf(GemmOf(D::kF16, D::kF16)), R::kF16);
  EXPECT_EQ(RateOf(GemmOf(D::kF16, D::kF16, D::kF16)), R::kF16Acc16);
  EXPECT_EQ(RateOf(GemmOf(D::kF8E4M3, D::kF8E5M2)), R::kF8);
  EXPECT_EQ(RateOf(GemmOf(D::kF4E2M1, D::kF4E2M1)), R::kF4);
  EXPECT_EQ(RateOf(GemmOf(D::kI8, D::kI8, D::kI32)), R::kI8);
  EXPECT_EQ(RateOf(GemmOf(D::kC32F32, D::kC32F32, D::kC32F32)), R::kF32);
  EXPECT_EQ(RateOf(GemmOf(D::kC32F32, D::kC32F32, D::kC32F32, M::kTf32)), R::kTf32);
  EXPECT_EQ(RateOf(GemmOf(D::kC64F64, D::kC64F64, D::kC64F64)), R::kF64Tensor);
}

// CUTLASS, blackwell_functionality.md: tcgen05.mma kind::f8f6f4 and mxf8f6f4 take any mixture of
// the three at twice Hopper's FP8 rate, mxf4 and mxf4nvf4 two FP4 operands at four times.
TEST(Peaks, NarrowFormatsMixAtTheRateOfTheWidest) {
  using D = Dtype;
  for (const D wide : {D::kF8E4M3, D::kF8E5M2, D::kF6E2M3, D::kF6E3M2}) {
    for (const D other : {D::kF8E4M3, D::kF8E5M2, D::kF6E2M3, D::kF6E3M2, D::kF4E2M1}) {
      EXPECT_EQ(RateOf(GemmOf(wide, other)), PeakRate::kF8);
      EXPECT_EQ(RateOf(GemmOf(other, wide)), PeakRate::kF8);
    }
  }
  for (const ScaleMode mode : {ScaleMode::kVec16Ue4m3, ScaleMode::kVec32Ue8m0}) {
    Gemm gemm = GemmOf(D::kF4E2M1, D::kF4E2M1);
    gemm.scale_a = gemm.scale_b = mode;
    EXPECT_EQ(RateOf(gemm), PeakRate::kF4);
  }
}

TEST(Peaks, WhatHasNoRateOfItsOwnGetsNone) {
  using D = Dtype;
  EXPECT_EQ(RateOf(GemmOf(D::kF32, D::kF32, D::kF32, MathMode::kEmulatedBf16x9)), std::nullopt);
  EXPECT_EQ(RateOf(GemmOf(D::kF64, D::kF64, D::kF64, MathMode::kEmulatedFixedPoint)), std::nullopt);
  EXPECT_EQ(RateOf(GemmOf(D::kUnknown, D::kUnknown)), std::nullopt);
  EXPECT_EQ(RateOf(GemmOf(D::kBf16, D::kUnknown)), std::nullopt);
  EXPECT_EQ(RateOf(GemmOf(D::kBf16, D::kF16)), std::nullopt);
  EXPECT_EQ(RateOf(GemmOf(D::kF8E4M3, D::kBf16)), std::nullopt);
  EXPECT_EQ(RateOf(GemmOf(D::kF4E2M1, D::kI4)), std::nullopt);
  EXPECT_EQ(RateOf(GemmOf(D::kF8Ue8m0, D::kF8Ue8m0)), std::nullopt);
  EXPECT_EQ(RateOf(D::kI64), std::nullopt);
  EXPECT_EQ(RateOf(D::kTf32), PeakRate::kTf32);
}

}  // namespace
}  // namespace mfutrace::shapes
