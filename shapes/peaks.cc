// Lookup in the table of peaks.def, and which of its columns an operation is measured against.
#include "shapes/peaks.h"

#include <array>
#include <cstddef>

namespace mfutrace::shapes {
namespace {

constexpr uint64_t kGiga = 1'000'000'000;
constexpr uint64_t kMega = 1'000'000;

constexpr Gpu kGpus[] = {
#define MFU_GPU(name, cc, sms, mhz, memory, nvlink, f64, f64_tensor, f32, tf32, bf16, f16, \
                f16_acc16, f8, f8_acc16, f4, i8, i4, source)                               \
  {name,                                                                                   \
   cc,                                                                                     \
   sms,                                                                                    \
   mhz,                                                                                    \
   memory * kMega,                                                                         \
   nvlink * kMega,                                                                         \
   {f64 * kGiga, f64_tensor * kGiga, f32 * kGiga, tf32 * kGiga, bf16 * kGiga, f16 * kGiga, \
    f16_acc16 * kGiga, f8 * kGiga, f8_acc16 * kGiga, f4 * kGiga, i8 * kGiga, i4 * kGiga},  \
   source},
#include "shapes/peaks.def"
#undef MFU_GPU
};

constexpr size_t kRateCount = static_cast<size_t>(PeakRate::kCount);
constexpr std::array<std::string_view, kRateCount> kRateNames = {
    "f64",       "f64_tensor", "f32",      "tf32", "bf16", "f16",
    "f16_acc16", "f8",         "f8_acc16", "f4",   "i8",   "i4"};

// The format whose arithmetic a complex product is made of.
Dtype RealPartOf(Dtype dtype) {
  switch (dtype) {
    case Dtype::kC64F64:
      return Dtype::kF64;
    case Dtype::kC32F32:
      return Dtype::kF32;
    case Dtype::kC16F16:
      return Dtype::kF16;
    case Dtype::kC16Bf16:
      return Dtype::kBf16;
    case Dtype::kCI8:
      return Dtype::kI8;
    default:
      return dtype;
  }
}

}  // namespace

std::string_view NameOf(PeakRate rate) {
  const size_t index = static_cast<size_t>(rate);
  return index < kRateCount ? kRateNames[index] : std::string_view("unknown");
}

const Gpu* FindGpu(std::string_view name) {
  for (const Gpu& gpu : kGpus) {
    if (gpu.name == name) return &gpu;
  }
  return nullptr;
}

std::span<const Gpu> AllGpus() { return kGpus; }

std::optional<uint64_t> PeakFlopPerSecond(const Gpu& gpu, PeakRate rate) {
  const size_t index = static_cast<size_t>(rate);
  if (index >= kRateCount || gpu.peak_flop_per_s[index] == 0) return std::nullopt;
  return gpu.peak_flop_per_s[index];
}

std::optional<PeakRate> RateOf(Dtype operands) {
  switch (RealPartOf(operands)) {
    case Dtype::kF64:
      return PeakRate::kF64Tensor;
    case Dtype::kF32:
      return PeakRate::kF32;
    case Dtype::kTf32:
      return PeakRate::kTf32;
    case Dtype::kBf16:
      return PeakRate::kBf16;
    case Dtype::kF16:
      return PeakRate::kF16;
    case Dtype::kF8E4M3:
    case Dtype::kF8E5M2:
    case Dtype::kF6E2M3:
    case Dtype::kF6E3M2:
      return PeakRate::kF8;
    case Dtype::kF4E2M1:
      return PeakRate::kF4;
    case Dtype::kI8:
    case Dtype::kU8:
      return PeakRate::kI8;
    case Dtype::kI4:
    case Dtype::kU4:
      return PeakRate::kI4;
    default:
      return std::nullopt;
  }
}

std::optional<PeakRate> RateOf(const Gemm& gemm) {
  if (gemm.math == MathMode::kEmulatedBf16x9 || gemm.math == MathMode::kEmulatedFixedPoint) {
    return std::nullopt;
  }
  const std::optional<PeakRate> rate = RateOf(gemm.a);
  const std::optional<PeakRate> rate_b = RateOf(gemm.b);
  // FP8, FP6 and FP4 may be mixed, and then run at the f8 rate; other operands of two rates have
  // none of their own.
  const auto is_narrow = [](std::optional<PeakRate> one) {
    return one == PeakRate::kF8 || one == PeakRate::kF4;
  };
  if (rate != rate_b && is_narrow(rate) && is_narrow(rate_b)) return PeakRate::kF8;
  if (!rate.has_value() || rate != rate_b) return std::nullopt;
  const bool accumulates_in_f16 = RealPartOf(gemm.accumulate) == Dtype::kF16;
  switch (*rate) {
    case PeakRate::kF32:
      if (gemm.math == MathMode::kTf32) return PeakRate::kTf32;
      if (gemm.math == MathMode::kReducedF16) return PeakRate::kF16;
      if (gemm.math == MathMode::kReducedBf16) return PeakRate::kBf16;
      return rate;
    case PeakRate::kF16:
      return accumulates_in_f16 ? PeakRate::kF16Acc16 : PeakRate::kF16;
    case PeakRate::kF8:
      return accumulates_in_f16 ? PeakRate::kF8Acc16 : PeakRate::kF8;
    default:
      return rate;
  }
}

}  // namespace mfutrace::shapes
