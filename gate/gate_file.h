// The gate file, mfutrace.toml: what must hold, and against what. docs/GATES.md explains it to
// users.
//
// Parsing knows nothing of runs. Every error names file, line and column; an unknown key names the
// nearest known one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace mfutrace::gate {

enum class Unit : uint8_t { kCount, kFlop, kBytes, kShare, kRatio, kMilliseconds, kFlopPerSecond };

struct Metric {
  std::string_view name;
  Unit unit;
  bool is_exact;          // a count without noise; else a time, judged by statistics
  bool is_larger_better;  // which way the table of a dashboard points
  std::string_view what;
};

// All metrics in the order of the documentation.
const std::vector<Metric>& Metrics();
const Metric* MetricNamed(std::string_view name);

// A change that is allowed: a fraction of the baseline's value, or a difference in itself.
struct Limit {
  double amount = 0;
  bool is_points = false;  // "2pp": percentage points
};

enum class OnInconclusive : uint8_t { kWarn, kFail, kPass };

struct Gate {
  std::string name;
  const Metric* metric = nullptr;
  std::map<std::string, std::string> where;  // dtype, op, kind, communicator, rank
  bool equals_baseline = false;
  std::optional<double> equals;
  std::optional<double> min;
  std::optional<double> max;
  std::optional<Limit> max_drop;
  std::optional<Limit> max_rise;
  double confidence = 0.99;
  OnInconclusive on_inconclusive = OnInconclusive::kWarn;
  uint32_t line = 0;

  bool NeedsBaseline() const {
    return equals_baseline || max_drop.has_value() || max_rise.has_value();
  }
};

struct GateFile {
  std::string path;
  std::optional<uint32_t> warmup_steps;  // unset: found from the steps' durations
  std::optional<uint32_t> min_steps;     // unset: kDefaultMinSteps for timing gates
  uint32_t min_runs = 1;
  std::string baseline_path;  // as written; relative to the gate file's folder
  std::vector<std::string> match = {"gpu_name", "world_size"};
  std::vector<Gate> gates;
};

inline constexpr uint32_t kDefaultMinSteps = 50;
inline constexpr uint32_t kMinExactSteps = 2;

absl::StatusOr<GateFile> ParseGateFile(const std::string& text, const std::string& path);
absl::StatusOr<GateFile> LoadGateFile(const std::string& path);

// "3%" -> 0.03, "2pp" -> 0.02 points; nullopt for anything else.
std::optional<Limit> ParseLimit(std::string_view text);

// The text of where: `dtype=fp32 op=gemm*`, in a fixed order; empty for none.
std::string WhereText(const Gate& gate);

}  // namespace mfutrace::gate
