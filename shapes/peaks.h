// Dense peaks and bandwidths of GPUs, by the exact name the driver reports.
//
// An unknown name, or a rate nobody published, is an answer (nullopt), never a default: without a
// peak there is FLOP/s and no MFU.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "shapes/op.h"

namespace mfutrace::shapes {

// Columns of the datasheets. bf16, f16 and f8 mean f32 accumulation; *Acc16 mean 16-bit
// accumulation.
enum class PeakRate : uint8_t {
  kF64 = 0,
  kF64Tensor,
  kF32,
  kTf32,
  kBf16,
  kF16,
  kF16Acc16,
  kF8,
  kF8Acc16,
  kF4,
  kI8,
  kI4,
  kCount,
};

std::string_view NameOf(PeakRate rate);

struct Gpu {
  std::string_view name;                // exactly as cuDeviceGetName gives it
  std::string_view compute_capability;  // "9.0"
  uint32_t sm_count;                    // 0 = unknown
  uint32_t boost_mhz;                   // the clock behind the published tensor peak; 0 = unknown
  uint64_t memory_bytes_per_s;          // 0 = unknown
  uint64_t nvlink_bytes_per_s;          // both directions, all links; 0 = none or unknown
  // FLOP/s (OP/s for integers), dense; 0 = not published, in doubt, or not supported.
  uint64_t peak_flop_per_s[static_cast<int>(PeakRate::kCount)];
  std::string_view source;  // where the figures come from, one line
};

// Exact match; nullptr for an unknown name.
const Gpu* FindGpu(std::string_view name);

// All known GPUs, in the order of the table.
std::span<const Gpu> AllGpus();

std::optional<uint64_t> PeakFlopPerSecond(const Gpu& gpu, PeakRate rate);

// The rate an operation is measured against: by operand formats, accumulation and math mode.
// nullopt for formats without a tensor rate of their own (mixed unknown operands, emulation). f64
// is kF64Tensor: callers fall back to kF64 where a GPU has no tensor rate for it. kF4 is the rate
// of two FP4 operands; FP6, and any mixture of FP8, FP6 and FP4, goes at the f8 rate (CUTLASS,
// blackwell_functionality.md: tcgen05.mma kind::mxf4 and mxf4nvf4 against f8f6f4 and mxf8f6f4).
std::optional<PeakRate> RateOf(const Gemm& gemm);
std::optional<PeakRate> RateOf(Dtype operands);

}  // namespace mfutrace::shapes
