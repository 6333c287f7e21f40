// What the simulated node is: its device description and the SIMGPU_* environment, read once.
//
// Used by every simulated library. Numbers are those of a described device, never measured; the
// device names are the simulator's own, so that no peak table of a real product ever matches them.
#pragma once

#include <cstdint>
#include <string>

namespace simgpu {

// The arithmetic a GEMM runs in: one dense peak each.
enum class Format : uint8_t { kF64, kF64Tensor, kF32, kTf32, kF16, kBf16, kF8, kI8, kF4, kCount };
inline constexpr int kFormats = static_cast<int>(Format::kCount);
const char* NameOf(Format format);

// Rates are those of the description file; Settings::time_scale is applied where durations are
// made.
struct DeviceDescription {
  std::string name;
  int sm_count = 0;
  int clock_khz = 0;
  int memory_clock_khz = 0;
  int bus_width_bits = 0;
  int compute_major = 0;
  int compute_minor = 0;
  uint64_t memory_bytes = 0;
  double peak_flop_per_s[kFormats] = {};  // 0 = the device has no such format
  double memory_bytes_per_s = 0;
  double link_bytes_per_s = 0;  // bus bandwidth that collectives reach, one direction
  double pcie_bytes_per_s = 0;
  double launch_latency_ns = 0;      // from the host's call to the earliest start on an idle device
  double kernel_overhead_ns = 0;     // fixed part of every kernel's duration
  double collective_latency_ns = 0;  // fixed part of every collective's duration
  double gemm_efficiency = 0;        // share of the peak that a large GEMM reaches
};

struct Settings {
  DeviceDescription device;
  int device_count = 8;
  double time_scale = 1;
  double jitter_ratio = 0;
  uint64_t seed = 0;
  double slow_factor = 1;  // of this rank: durations of its own kernels are multiplied by it
  double timeout_s = 60;
  int64_t event_quantum_ns = 0;
  bool single_queue = false;  // CUDA_DEVICE_MAX_CONNECTIONS=1
  bool nested_gemm = true;    // half-precision cublasGemmEx calls the public cublasLtMatmul
  int rank = -1;              // from the launcher's environment, for the log alone
  std::string log_dir;
  std::string rendezvous_dir;
  std::string fail;  // NAME:N, the N-th call of NAME fails
};

// The process's settings; a bad value is reported on stderr once and the default holds.
const Settings& GetSettings();

// The advertised device, in the form of a user's peaks file.
std::string PeaksToml(const Settings& settings);

}  // namespace simgpu
