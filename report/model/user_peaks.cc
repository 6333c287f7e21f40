// The user's peaks file, by toml++: every error names the line and column of what is wrong.
#include "report/model/user_peaks.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "toml++/toml.h"

namespace mfutrace::report {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::optional<shapes::PeakRate> RateNamed(std::string_view name) {
  for (int i = 0; i < static_cast<int>(shapes::PeakRate::kCount); ++i) {
    const auto rate = static_cast<shapes::PeakRate>(i);
    if (shapes::NameOf(rate) == name) return rate;
  }
  return std::nullopt;
}

std::string RateNames() {
  std::string names;
  for (int i = 0; i < static_cast<int>(shapes::PeakRate::kCount); ++i) {
    absl::StrAppend(&names, names.empty() ? "" : ", ",
                    View(shapes::NameOf(static_cast<shapes::PeakRate>(i))));
  }
  return names;
}

// Whole and positive; below 2^63 so that every later step is exact.
std::optional<uint64_t> PositiveWhole(double value) {
  if (!std::isfinite(value) || value < 1 || value >= 9.2e18) return std::nullopt;
  return static_cast<uint64_t>(std::llround(value));
}

class FileReader {
 public:
  explicit FileReader(const std::string& path) : path_(path) {}

  absl::StatusOr<UserPeaks> Read(const toml::table& root) {
    UserPeaks peaks;
    peaks.path = path_;
    for (const auto& [key, node] : root) {
      const bool is_measured = key.str() == "measured";
      if (key.str() != "gpu" && !is_measured) {
        return Error(key.source(),
                     absl::StrCat("unknown key \"", View(key.str()),
                                  "\"; a peaks file holds [[gpu]] and [[measured]] tables"));
      }
      const toml::array* gpus = node.as_array();
      if (gpus == nullptr) {
        return Error(node.source(), absl::StrCat(View(key.str()), ": expected tables headed [[",
                                                 View(key.str()), "]]"));
      }
      for (const toml::node& entry : *gpus) {
        const toml::table* table = entry.as_table();
        if (table == nullptr) {
          return Error(entry.source(), absl::StrCat(View(key.str()), ": expected a table"));
        }
        if (is_measured) {
          absl::StatusOr<MeasuredGpu> measured = ReadMeasured(*table);
          if (!measured.ok()) return measured.status();
          peaks.measured.push_back(*std::move(measured));
          continue;
        }
        absl::StatusOr<UserGpu> gpu = ReadGpu(*table);
        if (!gpu.ok()) return gpu.status();
        peaks.gpus.push_back(*std::move(gpu));
      }
    }
    return peaks;
  }

  absl::Status Error(const toml::source_region& at, absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ":", at.begin.line, ":", at.begin.column, ": ", what));
  }

 private:
  absl::StatusOr<uint64_t> ReadRate(const toml::node& node, absl::string_view name) {
    const std::optional<double> value = node.value<double>();
    const std::optional<uint64_t> whole = value.has_value() ? PositiveWhole(*value) : std::nullopt;
    if (!whole.has_value()) {
      return Error(node.source(), absl::StrCat(name, ": expected a positive number like 989.4e12"));
    }
    return *whole;
  }

  absl::StatusOr<UserGpu> ReadGpu(const toml::table& table) {
    UserGpu gpu;
    for (const auto& [key, node] : table) {
      const std::string_view name = key.str();
      if (name == "name" || name == "source") {
        const std::optional<std::string> text = node.value<std::string>();
        if (!text.has_value() || text->empty()) {
          return Error(node.source(), absl::StrCat(View(name), ": expected a text in quotes"));
        }
        (name == "name" ? gpu.name : gpu.source) = *text;
      } else if (name == "memory_bytes_per_s") {
        const absl::StatusOr<uint64_t> rate = ReadRate(node, View(name));
        if (!rate.ok()) return rate.status();
        gpu.memory_bytes_per_s = *rate;
      } else if (name == "peak_flop_per_s") {
        if (absl::Status status = ReadRates(node, View(name), gpu.peak_flop_per_s); !status.ok()) {
          return status;
        }
      } else {
        return Error(key.source(),
                     absl::StrCat("unknown key \"", View(name),
                                  "\"; known: name, memory_bytes_per_s, peak_flop_per_s, source"));
      }
    }
    if (gpu.name.empty()) {
      return Error(table.source(), "gpu without a name (as `nvidia-smi -L` prints it)");
    }
    if (gpu.peak_flop_per_s.empty()) {
      return Error(table.source(), absl::StrCat("\"", gpu.name, "\" has no peak_flop_per_s"));
    }
    if (gpu.source.empty()) gpu.source = path_;
    return gpu;
  }

  absl::StatusOr<MeasuredGpu> ReadMeasured(const toml::table& table) {
    MeasuredGpu gpu;
    for (const auto& [key, node] : table) {
      const std::string_view name = key.str();
      if (name == "name" || name == "library" || name == "when") {
        const std::optional<std::string> text = node.value<std::string>();
        if (!text.has_value() || text->empty()) {
          return Error(node.source(), absl::StrCat(View(name), ": expected a text in quotes"));
        }
        (name == "name" ? gpu.name : name == "when" ? gpu.when : gpu.library) = *text;
        continue;
      }
      // Clocks and power stand beside the rates for people.
      std::map<shapes::PeakRate, uint64_t> beside;
      if (name != "flop_per_s" && name != "clock_mhz" && name != "power_w") {
        return Error(
            key.source(),
            absl::StrCat("unknown key \"", View(name),
                         "\"; known: name, flop_per_s, clock_mhz, power_w, library, when"));
      }
      absl::Status status =
          ReadRates(node, View(name), name == "flop_per_s" ? gpu.flop_per_s : beside);
      if (!status.ok()) return status;
    }
    if (gpu.name.empty()) {
      return Error(table.source(), "measured without a name (as `nvidia-smi -L` prints it)");
    }
    return gpu;
  }

  absl::Status ReadRates(const toml::node& node, absl::string_view what,
                         std::map<shapes::PeakRate, uint64_t>& rates) {
    const toml::table* peaks = node.as_table();
    if (peaks == nullptr) {
      return Error(node.source(),
                   absl::StrCat(what, ": expected a table like { bf16 = 989.4e12 }"));
    }
    for (const auto& [key, value] : *peaks) {
      const std::optional<shapes::PeakRate> rate = RateNamed(key.str());
      if (!rate.has_value()) {
        return Error(key.source(),
                     absl::StrCat("unknown rate \"", View(key.str()), "\"; known: ", RateNames()));
      }
      const absl::StatusOr<uint64_t> flop_per_s = ReadRate(value, View(key.str()));
      if (!flop_per_s.ok()) return flop_per_s.status();
      rates[*rate] = *flop_per_s;
    }
    return absl::OkStatus();
  }

  std::string path_;
};

}  // namespace

absl::StatusOr<UserPeaks> LoadUserPeaks(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::NotFoundError(absl::StrCat(path, ": no such peaks file"));
  }
  FileReader reader(path);
  try {
    const toml::table root = toml::parse_file(path);
    return reader.Read(root);
  } catch (const toml::parse_error& failure) {
    return reader.Error(failure.source(), View(failure.description()));
  }
}

std::string DefaultUserPeaksPath() {
  const char* config = std::getenv("XDG_CONFIG_HOME");
  if (config != nullptr && config[0] != '\0') {
    return absl::StrCat(config, "/mfutrace/peaks.toml");
  }
  const char* home = std::getenv("HOME");
  if (home == nullptr || home[0] == '\0') return "";
  return absl::StrCat(home, "/.config/mfutrace/peaks.toml");
}

absl::StatusOr<UserPeaks> LoadDefaultUserPeaks() {
  const std::string path = DefaultUserPeaksPath();
  std::error_code error;
  if (path.empty() || !std::filesystem::exists(path, error)) return UserPeaks();
  return LoadUserPeaks(path);
}

absl::StatusOr<std::pair<shapes::PeakRate, uint64_t>> ParsePeakOverride(absl::string_view text) {
  const size_t equals = text.find('=');
  if (equals == absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("--peak ", text, ": expected NAME=FLOP_PER_S, like bf16=989.4e12"));
  }
  const absl::string_view name = text.substr(0, equals);
  const std::optional<shapes::PeakRate> rate =
      RateNamed(std::string_view(name.data(), name.size()));
  if (!rate.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--peak ", text, ": unknown rate \"", name, "\"; known: ", RateNames()));
  }
  double value = 0;
  const absl::string_view number = text.substr(equals + 1);
  const std::optional<uint64_t> flop_per_s =
      absl::SimpleAtod(number, &value) ? PositiveWhole(value) : std::nullopt;
  if (!flop_per_s.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--peak ", text, ": expected a positive FLOP/s figure after '=', like 989.4e12"));
  }
  return std::make_pair(*rate, *flop_per_s);
}

}  // namespace mfutrace::report
