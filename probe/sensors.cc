// See sensors.h. Functions and numbers of NVML's public interface (nvml.h): statuses are 0 for
// success, NVML_CLOCK_SM is 1, power is in milliwatts.
#include "probe/sensors.h"

#include <chrono>

namespace mfutrace::probe {
namespace {

constexpr int kSmClock = 1;
constexpr auto kPeriod = std::chrono::milliseconds(20);

}  // namespace

Sensors::Sensors(const std::string& bus_id) : library_({"libnvidia-ml.so.1"}) {
  int (*init)() = nullptr;
  int (*by_bus_id)(const char*, void**) = nullptr;
  if (bus_id.empty() || !library_.Find("nvmlInit_v2", init) ||
      !library_.Find("nvmlDeviceGetHandleByPciBusId_v2", by_bus_id) || init() != 0 ||
      by_bus_id(bus_id.c_str(), &device_) != 0) {
    device_ = nullptr;
    return;
  }
  library_.Find("nvmlDeviceGetClockInfo", clock_);
  library_.Find("nvmlDeviceGetPowerUsage", power_);
}

void Sensors::Start() {
  clock_sum_ = power_sum_ = 0;
  clock_count_ = power_count_ = 0;
  if (device_ == nullptr) return;
  is_running_ = true;
  thread_ = std::thread([this] {
    while (is_running_) {
      unsigned value = 0;
      if (clock_ != nullptr && clock_(device_, kSmClock, &value) == 0) {
        clock_sum_ += value;
        ++clock_count_;
      }
      if (power_ != nullptr && power_(device_, &value) == 0) {
        power_sum_ += value / 1e3;
        ++power_count_;
      }
      std::this_thread::sleep_for(kPeriod);
    }
  });
}

Readings Sensors::Stop() {
  is_running_ = false;
  if (thread_.joinable()) thread_.join();
  Readings readings;
  if (clock_count_ > 0) readings.clock_mhz = clock_sum_ / static_cast<double>(clock_count_);
  if (power_count_ > 0) readings.power_w = power_sum_ / static_cast<double>(power_count_);
  return readings;
}

}  // namespace mfutrace::probe
