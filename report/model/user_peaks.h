// Peaks that the user supplies: the peaks file and --peak. For GPUs the built-in table does not
// know, and for people who know better than it does.
//
// The file is TOML:
//   [[gpu]]
//   name = "NVIDIA H20-3e"                         # exactly as the driver gives it
//   memory_bytes_per_s = 4.8e12                    # optional
//   peak_flop_per_s = { bf16 = 148e12, f8 = 296e12 } # dense; names as `mfutrace peaks` prints them
//   source = "vendor's data sheet"                 # optional, printed beside every figure
//   [[measured]]                                   # appended by `mfutrace peaks --measure`
//   name = "NVIDIA H20-3e"
//   flop_per_s = { bf16 = 131e12 }                 # what dense products reached on this chip
//   clock_mhz = { bf16 = 1710 }                    # beside it, likewise power_w; both optional
//   library = "libcublas.so.13"
//   when = "2026-12-01"
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "shapes/peaks.h"

namespace mfutrace::report {

struct UserGpu {
  std::string name;
  uint64_t memory_bytes_per_s = 0;  // 0 = not given
  std::map<shapes::PeakRate, uint64_t> peak_flop_per_s;
  std::string source;  // never empty: the file's path where it names none
};

// The last entry of a GPU's name holds.
struct MeasuredGpu {
  std::string name;
  std::map<shapes::PeakRate, uint64_t> flop_per_s;
  std::string library;
  std::string when;
};

// Of one file, or of several appended: the first entry with a GPU's name holds.
struct UserPeaks {
  std::string path;  // where they come from; empty = no file
  std::vector<UserGpu> gpus;
  std::vector<MeasuredGpu> measured;
};

// Errors carry the path, the line and the column of what is wrong.
absl::StatusOr<UserPeaks> LoadUserPeaks(const std::string& path);

// $XDG_CONFIG_HOME/mfutrace/peaks.toml, else ~/.config/mfutrace/peaks.toml; empty if neither is
// set.
std::string DefaultUserPeaksPath();

// The default file, or no peaks where there is none.
absl::StatusOr<UserPeaks> LoadDefaultUserPeaks();

// "bf16=989.4e12": one --peak option.
absl::StatusOr<std::pair<shapes::PeakRate, uint64_t>> ParsePeakOverride(absl::string_view text);

}  // namespace mfutrace::report
