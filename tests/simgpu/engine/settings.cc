// Reads SIMGPU_* and the device description. Called once per process, by the engine in
// libcuda.so.1.
#include "engine/settings.h"

#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace simgpu {
namespace {

constexpr const char* kFormatNames[kFormats] = {"f64",  "f64_tensor", "f32", "tf32", "f16",
                                                "bf16", "f8",         "i8",  "f4"};

void SetPeaks(DeviceDescription* device, double f64, double f64_tensor, double f32, double tf32,
              double half, double f8, double i8) {
  const double peaks[kFormats] = {f64, f64_tensor, f32, tf32, half, half, f8, i8, 0};
  for (int i = 0; i < kFormats; ++i) device->peak_flop_per_s[i] = peaks[i];
}

// Dense rates of NVIDIA's H100 SXM datasheet (half the sparse headline), with NCCL-like bus
// bandwidth.
DeviceDescription H100() {
  DeviceDescription d;
  d.name = "SimGPU H100";
  d.sm_count = 132;
  d.clock_khz = 1980000;
  d.memory_clock_khz = 2619000;
  d.bus_width_bits = 5120;
  d.compute_major = 9;
  d.compute_minor = 0;
  d.memory_bytes = 80ULL << 30;
  SetPeaks(&d, 33.5e12, 66.9e12, 66.9e12, 494.7e12, 989.4e12, 1978.9e12, 1978.9e12);
  d.memory_bytes_per_s = 3.35e12;
  d.link_bytes_per_s = 360e9;
  d.pcie_bytes_per_s = 50e9;
  d.launch_latency_ns = 3000;
  d.kernel_overhead_ns = 2000;
  d.collective_latency_ns = 12000;
  d.gemm_efficiency = 0.72;
  return d;
}

// Dense rates of NVIDIA's A100 80GB SXM datasheet.
DeviceDescription A100() {
  DeviceDescription d = H100();
  d.name = "SimGPU A100";
  d.sm_count = 108;
  d.clock_khz = 1410000;
  d.memory_clock_khz = 1593000;
  d.compute_major = 8;
  SetPeaks(&d, 9.7e12, 19.5e12, 19.5e12, 156e12, 312e12, 0, 624e12);
  d.memory_bytes_per_s = 2.039e12;
  d.link_bytes_per_s = 230e9;
  d.pcie_bytes_per_s = 25e9;
  d.gemm_efficiency = 0.80;
  return d;
}

// Round numbers, so that expected durations can be worked out in the head.
DeviceDescription Small() {
  DeviceDescription d = H100();
  d.name = "SimGPU small";
  d.sm_count = 10;
  d.clock_khz = 1000000;
  d.memory_bytes = 8ULL << 30;
  SetPeaks(&d, 1e12, 2e12, 2e12, 10e12, 20e12, 40e12, 40e12);
  d.memory_bytes_per_s = 100e9;
  d.link_bytes_per_s = 10e9;
  d.pcie_bytes_per_s = 10e9;
  d.launch_latency_ns = 2000;
  d.kernel_overhead_ns = 2000;
  d.collective_latency_ns = 10000;
  d.gemm_efficiency = 1.0;
  return d;
}

void Complain(const char* what, const std::string& value) {
  std::fprintf(stderr, "simgpu: %s: \"%s\" is not understood; the default is used\n", what,
               value.c_str());
}

double* NumberField(DeviceDescription* d, const std::string& key) {
  static constexpr char kPeak[] = "peak_";
  if (key.rfind(kPeak, 0) == 0) {
    for (int i = 0; i < kFormats; ++i) {
      if (key.substr(sizeof(kPeak) - 1) == kFormatNames[i]) return &d->peak_flop_per_s[i];
    }
  }
  if (key == "memory_bytes_per_s") return &d->memory_bytes_per_s;
  if (key == "link_bytes_per_s") return &d->link_bytes_per_s;
  if (key == "pcie_bytes_per_s") return &d->pcie_bytes_per_s;
  if (key == "launch_latency_ns") return &d->launch_latency_ns;
  if (key == "kernel_overhead_ns") return &d->kernel_overhead_ns;
  if (key == "collective_latency_ns") return &d->collective_latency_ns;
  if (key == "gemm_efficiency") return &d->gemm_efficiency;
  return nullptr;
}

std::string Trim(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\"");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\"") - first + 1);
}

// Lines of `key = value`, '#' begins a comment; `base = h100|a100|small` first, if at all.
DeviceDescription FromFile(const std::string& path) {
  DeviceDescription d = H100();
  d.name = "SimGPU custom";
  std::ifstream file(path);
  if (!file) Complain("SIMGPU_DEVICE (no such file or built-in device)", path);
  std::string line;
  while (std::getline(file, line)) {
    line = line.substr(0, line.find('#'));
    const size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    const std::string key = Trim(line.substr(0, equals));
    const std::string value = Trim(line.substr(equals + 1));
    const double number = std::strtod(value.c_str(), nullptr);
    if (key == "base") {
      d = value == "a100" ? A100() : value == "small" ? Small() : H100();
    } else if (key == "name") {
      d.name = value;
    } else if (key == "sm_count") {
      d.sm_count = static_cast<int>(number);
    } else if (key == "clock_khz") {
      d.clock_khz = static_cast<int>(number);
    } else if (key == "memory_bytes") {
      d.memory_bytes = static_cast<uint64_t>(number);
    } else if (double* field = NumberField(&d, key)) {
      *field = number;
    } else {
      Complain("device description key", key);
    }
  }
  return d;
}

std::string Text(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

double Number(const char* name, double fallback, double least, double most) {
  const std::string text = Text(name);
  if (text.empty()) return fallback;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (*end != '\0' || !(value >= least && value <= most)) {
    Complain(name, text);
    return fallback;
  }
  return value;
}

// SIMGPU_SLOW=RANK:FACTOR
double SlowFactor(int rank) {
  const std::string text = Text("SIMGPU_SLOW");
  if (text.empty()) return 1;
  int which = -1;
  double factor = 1;
  if (std::sscanf(text.c_str(), "%d:%lf", &which, &factor) != 2 || !(factor > 0)) {
    Complain("SIMGPU_SLOW", text);
    return 1;
  }
  return which == rank ? factor : 1;
}

Settings* Read() {
  auto* s = new Settings;
  const std::string device = Text("SIMGPU_DEVICE");
  if (device.empty() || device == "h100") {
    s->device = H100();
  } else if (device == "a100") {
    s->device = A100();
  } else if (device == "small") {
    s->device = Small();
  } else {
    s->device = FromFile(device);
  }
  s->device_count = static_cast<int>(Number("SIMGPU_DEVICES", 8, 0, 64));
  s->time_scale = Number("SIMGPU_TIME_SCALE", 1, 1e-6, 1e9);
  s->jitter_ratio = Number("SIMGPU_JITTER", 0, 0, 0.9);
  s->seed = static_cast<uint64_t>(Number("SIMGPU_SEED", 0, 0, 9e15));
  s->timeout_s = Number("SIMGPU_TIMEOUT_S", 60, 0.001, 1e6);
  s->event_quantum_ns = static_cast<int64_t>(Number("SIMGPU_EVENT_QUANTUM_NS", 0, 0, 1e9));
  s->device.gemm_efficiency = Number("SIMGPU_GEMM_EFFICIENCY", s->device.gemm_efficiency, 0.001, 1);
  s->single_queue = Text("CUDA_DEVICE_MAX_CONNECTIONS") == "1";
  s->nested_gemm = Text("SIMGPU_CUBLAS_NESTED") != "0";
  for (const char* name : {"RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"}) {
    if (Text(name).empty()) continue;
    s->rank = std::atoi(Text(name).c_str());
    break;
  }
  s->slow_factor = SlowFactor(s->rank);
  s->log_dir = Text("SIMGPU_LOG");
  s->rendezvous_dir = Text("SIMGPU_DIR").empty() ? "/dev/shm" : Text("SIMGPU_DIR");
  s->fail = Text("SIMGPU_FAIL");
  return s;
}

}  // namespace

const char* NameOf(Format format) { return kFormatNames[static_cast<int>(format)]; }

const Settings& GetSettings() {
  static const Settings* const settings = Read();  // leaked: the process may call us while it exits
  return *settings;
}

std::string PeaksToml(const Settings& s) {
  char line[128];
  std::string text =
      "# Written by the GPU simulator: the device it advertises.\n[[gpu]]\nname = \"";
  text += s.device.name + "\"\n";
  std::snprintf(line, sizeof line, "memory_bytes_per_s = %.0f\n",
                s.device.memory_bytes_per_s * s.time_scale);
  text += line;
  text += "peak_flop_per_s = { ";
  bool first = true;
  for (int i = 0; i < kFormats; ++i) {
    if (s.device.peak_flop_per_s[i] <= 0) continue;
    std::snprintf(line, sizeof line, "%s%s = %.0f", first ? "" : ", ", kFormatNames[i],
                  s.device.peak_flop_per_s[i] * s.time_scale);
    text += line;
    first = false;
  }
  text += " }\nsource = \"simulated device description\"\n";
  return text;
}

}  // namespace simgpu
