// What gates need of one run: its facts, the values of the gates' metrics, and where its time went.
//
// Taken from a run's results, or read back from a baseline file. Two observations are all that a
// verdict looks at, so a baseline needs no trace.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "gate/gate_file.h"
#include "report/analyze/results.h"

namespace mfutrace::gate {

// An exact metric over the steady steps. Shares are in 10^-12.
struct Exact {
  absl::uint128 least = 0;
  absl::uint128 median = 0;
  absl::uint128 most = 0;

  bool is_uniform() const { return least == most; }
  bool operator==(const Exact&) const = default;
};

inline constexpr uint64_t kShareUnit = 1'000'000'000'000;

// Time of a step that went one way: a part of the budget (analyze/budget.h), summed over
// strategies.
struct Part {
  std::string name;
  double ns_per_step = 0;
};

// An operation, or all that one communicator group does of one kind.
struct OpLoad {
  std::string name;
  double calls_per_step = 0;
  double ns_per_step = 0;  // of a device; 0 where unknown
  double error_ns = 0;     // standard error of it, for correlated steps
};

struct Observation {
  std::string title;
  // gpu_name, world_size, devices, cuda_major, nccl_version, timing; absent = unknown.
  std::map<std::string, std::string> facts;
  std::optional<double> sm_clock_mhz;
  std::optional<double> covered_share;
  uint32_t steps = 0;        // steady
  uint32_t clear_steps = 0;  // of them, with all calls known
  uint64_t dropped = 0;
  uint64_t damaged_files = 0;
  std::optional<double> mfu;
  std::vector<Part> budget;
  std::vector<OpLoad> ops;            // most time first
  std::vector<OpLoad> communicators;  // exposed time; not kept in baselines
  // By metric and `where` (KeyOf).
  std::map<std::string, Exact> exact;
  std::map<std::string, std::vector<double>> samples;  // one a step
  std::map<std::string, std::string> missing;          // why there is none
};

std::string KeyOf(const Gate& gate);

Observation Observe(const report::RunResult& result, const GateFile& file);

// How a communicator is called in gate files and tables: its name, else its strategy and size.
std::string NameOf(const report::CommunicatorResult& communicator);

}  // namespace mfutrace::gate
