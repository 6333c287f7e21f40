// See etiquette.h.
#include "interpose/cupti/etiquette.h"

#include <cstring>

#include <unistd.h>

namespace mfutrace::interpose::cupti {
namespace {

constexpr int kCuda12_6 = 12060;

// A variable's name, or the beginning of one that ends in '*', and what it says.
struct Sign {
  const char* name;
  const char* reason;
};
constexpr Sign kSigns[] = {
    {"CUDA_INJECTION64_PATH", "another profiler is set: CUDA_INJECTION64_PATH"},
    {"CUDA_INJECTION32_PATH", "another profiler is set: CUDA_INJECTION32_PATH"},
    {"NVTX_INJECTION64_PATH", "another profiler is set: NVTX_INJECTION64_PATH"},
    {"KINETO_USE_DAEMON", "Kineto may trace at any time: KINETO_USE_DAEMON"},
    // Nsight Systems, Nsight Compute and the sanitizer.
    {"NSYS_*", "Nsight Systems is set: NSYS_..."},
    {"QUADD_INJECTION_*", "Nsight Systems is set: QUADD_INJECTION_..."},
    {"NV_NSIGHT_INJECTION_*", "Nsight is set: NV_NSIGHT_INJECTION_..."},
    {"NV_COMPUTE_PROFILER_*", "Nsight Compute is set: NV_COMPUTE_PROFILER_..."},
    {"NV_SANITIZER_INJECTION_*", "the sanitizer is set: NV_SANITIZER_INJECTION_..."},
};

// `variable` is NAME=VALUE. A variable set to nothing or 0 says nothing.
bool Shows(const Sign& sign, const char* variable) {
  size_t length = std::strlen(sign.name);
  const bool is_prefix = sign.name[length - 1] == '*';
  if (is_prefix) --length;
  if (std::strncmp(variable, sign.name, length) != 0) return false;
  const char* value = std::strchr(variable, '=');
  if (value == nullptr || (!is_prefix && value != variable + length)) return false;
  return value[1] != '\0' && std::strcmp(value, "=0") != 0;
}

}  // namespace

const char* ReasonToStayAway(int driver_version) {
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    for (const Sign& sign : kSigns) {
      if (Shows(sign, *variable)) return sign.reason;
    }
  }
  if (driver_version != 0 && driver_version < kCuda12_6) {
    return "the driver is older than CUDA 12.6, where CUPTI can crash a process with CUDA graphs";
  }
  return nullptr;
}

}  // namespace mfutrace::interpose::cupti
