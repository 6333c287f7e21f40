// SM clock and power of a GPU while something runs, by NVML where it is installed. Polled by a
// thread of its own, since the measuring thread waits for the GPU.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <thread>

#include "probe/library.h"

namespace mfutrace::probe {

struct Readings {
  std::optional<double> clock_mhz;  // means
  std::optional<double> power_w;
};

class Sensors {
 public:
  explicit Sensors(const std::string& bus_id);

  void Start();
  Readings Stop();

 private:
  Library library_;
  void* device_ = nullptr;
  int (*clock_)(void*, int, unsigned*) = nullptr;
  int (*power_)(void*, unsigned*) = nullptr;
  std::atomic<bool> is_running_{false};
  std::thread thread_;
  double clock_sum_ = 0, power_sum_ = 0;
  long clock_count_ = 0, power_count_ = 0;
};

}  // namespace mfutrace::probe
