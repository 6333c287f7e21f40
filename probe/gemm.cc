// See gemm.h. Prints one JSON object a line.
#include "probe/gemm.h"

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "probe/device.h"
#include "probe/gemm_rates.h"

namespace mfutrace::probe {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitBadUse = 2;

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return quoted + "\"";
}

std::string NumberOrNull(const std::optional<double>& value) {
  if (!value.has_value()) return "null";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", *value);
  return text;
}

int Fail(const std::string& error) {
  std::printf("{\"error\": %s}\n", Quoted(error).c_str());
  return kExitFailure;
}

}  // namespace

int Gemm(int argc, char** argv) {
  GemmOptions options;
  int ordinal = 0;
  for (int i = 0; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--device") {
      ordinal = std::atoi(argv[i + 1]);
    } else if (name == "--seconds") {
      options.most_seconds = std::atof(argv[i + 1]);
    } else if (name == "--size") {
      options.size = std::atoi(argv[i + 1]);
    } else if (name == "--rates") {
      std::string word;
      for (const char* c = argv[i + 1];; ++c) {
        if (*c != ',' && *c != '\0') {
          word += *c;
          continue;
        }
        if (!word.empty()) options.rates.push_back(word);
        word.clear();
        if (*c == '\0') break;
      }
    } else {
      argc = 1;
    }
  }
  if (argc % 2 != 0 || options.size < 1) {
    std::fprintf(stderr,
                 "usage: mfutrace-probe gemm [--device N] [--seconds S] [--size N] "
                 "[--rates bf16,f16]\n");
    return kExitBadUse;
  }
  Device device(ordinal);
  if (!device.error().empty()) return Fail(device.error());
  std::string library;
  std::string error;
  const auto report = [&](const GemmRate& rate) {
    const std::string has_settled = rate.has_settled ? "true" : "false";
    std::printf(
        "{\"gpu\": %s, \"rate\": %s, \"flop_per_s\": %s, \"settled\": %s, \"size\": %d, "
        "\"clock_mhz\": %s, \"power_w\": %s, \"library\": %s, \"error\": %s}\n",
        Quoted(device.name()).c_str(), Quoted(rate.rate).c_str(),
        rate.error.empty() ? std::to_string(static_cast<long long>(rate.flop_per_s)).c_str()
                           : "null",
        has_settled.c_str(), rate.size, NumberOrNull(rate.readings.clock_mhz).c_str(),
        NumberOrNull(rate.readings.power_w).c_str(), Quoted(library).c_str(),
        rate.error.empty() ? "null" : Quoted(rate.error).c_str());
    std::fflush(stdout);
  };
  return MeasureGemms(device, options, report, library, error) ? 0 : Fail(error);
}

}  // namespace mfutrace::probe
