// The rate that dense products reach on this chip: one large shape a format through the installed
// cuBLAS, repeated until the rate settles.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "probe/device.h"
#include "probe/sensors.h"

namespace mfutrace::probe {

struct GemmRate {
  std::string rate;  // as shapes::NameOf(PeakRate)
  double flop_per_s = 0;
  bool has_settled = false;
  int size = 0;  // m = n = k
  Readings readings;
  std::string error;  // why there is no rate
};

struct GemmOptions {
  std::vector<std::string> rates;  // empty: all that there are
  double most_seconds = 5;         // a format
  int size = 8192;                 // halved until it fits
};

// Calls `report` after each format. False, with `error`, where there is no cuBLAS.
bool MeasureGemms(Device& device, const GemmOptions& options,
                  const std::function<void(const GemmRate&)>& report, std::string& library,
                  std::string& error);

}  // namespace mfutrace::probe
