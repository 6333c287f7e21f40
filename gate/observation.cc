// RunResult -> Observation.
#include "gate/observation.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "gate/statistics.h"
#include "report/analyze/rates.h"

namespace mfutrace::gate {
namespace {

using report::RunResult;
using report::StepCalls;
using report::StepResult;

constexpr size_t kMaxOps = 200;

// Everyday names of number formats are those of frameworks; the project's own drop the p.
std::string Format(const std::string& name) {
  if (name.size() > 2 && name.compare(0, 2, "fp") == 0) return "f" + name.substr(2);
  return name;
}

// The format of the arithmetic: tf32 for f32 operands on tensor cores.
bool HasFormat(const StepCalls& row, const std::string& wanted) {
  const std::string format = Format(wanted);
  std::string rate(row.rate.has_value() ? shapes::NameOf(*row.rate) : "");
  rate = rate.substr(0, rate.find('_'));
  if (format == rate) return true;
  return format == row.dtype && rate != "tf32";
}

bool Matches(const StepCalls& row, const Gate& gate,
             const std::map<std::string, std::string>& communicators) {
  for (const auto& [key, wanted] : gate.where) {
    if (key == "dtype" && !HasFormat(row, wanted)) return false;
    if (key == "kind" && row.kind != wanted) return false;
    if (key == "op" && row.collective != wanted && row.label != wanted &&
        fnmatch(wanted.c_str(), row.label.c_str(), 0) != 0) {
      return false;
    }
    if (key == "communicator") {
      const auto found = communicators.find(row.communicator);
      const std::string name = found == communicators.end() ? row.communicator : found->second;
      if (fnmatch(wanted.c_str(), name.c_str(), 0) != 0) return false;
    }
  }
  return true;
}

uint64_t CallsIn(const StepCalls& row, uint32_t step) {
  uint64_t calls = 0;
  for (const StepCalls::Run& run : row.by_step) {
    if (run.first_step > step) break;
    calls = run.calls;
  }
  return calls;
}

// Steps whose calls are all known, warm-up and the very first left out. Marked steps can have gaps
// that belong to the step before them; the last one has none, so it is left out.
std::vector<uint32_t> ClearSteps(const RunResult& result) {
  std::vector<uint32_t> steps;
  if (!result.steady.has_value()) return steps;
  const uint32_t end = result.steady_last_step + (result.steps_found_by == "marks" ? 0 : 1);
  for (uint32_t step = std::max(result.steady_first_step, 1u); step < end; ++step) {
    if (!std::binary_search(result.unclear_steps.begin(), result.unclear_steps.end(), step)) {
      steps.push_back(step);
    }
  }
  return steps;
}

class ExactMetrics {
 public:
  explicit ExactMetrics(const RunResult& result) : result_(result), steps_(ClearSteps(result)) {
    for (const report::CommunicatorResult& communicator : result.communicators) {
      names_[communicator.id] = NameOf(communicator);
    }
    // Where the source names members, rows are told apart by them too.
    for (const StepCalls& row : result.step_calls) {
      const std::string id = row.communicator.substr(0, row.communicator.find('|'));
      if (names_.contains(id)) names_[row.communicator] = names_[id];
    }
  }

  uint32_t clear_steps() const { return static_cast<uint32_t>(steps_.size()); }
  const std::map<std::string, std::string>& names() const { return names_; }

  // nullopt and a reason in `missing` where the traces do not tell.
  std::optional<Exact> Of(const Gate& gate, std::string& missing) const {
    if (steps_.size() < kMinExactSteps) {
      missing = result_.steps_found_by.empty() ? "no steps were found"
                                               : "too few steps with all calls known";
      return std::nullopt;
    }
    const bool is_flop = gate.metric->unit == Unit::kFlop || gate.metric->unit == Unit::kShare;
    if (is_flop && !result_.run.flop.executed.has_value()) {
      missing = "this source records no shapes, so no FLOPs are known";
      return std::nullopt;
    }
    std::vector<absl::uint128> values;
    for (const uint32_t step : steps_) {
      absl::uint128 part = 0;
      absl::uint128 whole = 0;
      for (const StepCalls& row : result_.step_calls) {
        const uint64_t calls = CallsIn(row, step);
        if (calls == 0) continue;
        const std::optional<absl::uint128> each = AmountOf(row, gate, missing);
        if (!missing.empty()) return std::nullopt;
        if (!each.has_value()) continue;
        whole += *each * calls;
        if (Matches(row, gate, names_)) part += *each * calls;
      }
      if (gate.metric->unit == Unit::kShare) {
        if (whole == 0) {
          missing = "no FLOPs in a step";
          return std::nullopt;
        }
        // 2^88 FLOPs a step leave room for the unit's 2^40.
        part = whole >> 88 != 0 ? part / (whole / kShareUnit)
                                : (part * kShareUnit + whole / 2) / whole;
      }
      values.push_back(part);
    }
    std::sort(values.begin(), values.end());
    return Exact{values.front(), values[values.size() / 2], values.back()};
  }

 private:
  // What a call adds; nullopt if it is none of the metric's business.
  std::optional<absl::uint128> AmountOf(const StepCalls& row, const Gate& gate,
                                        std::string& missing) const {
    const bool is_collective = !row.collective.empty();
    const std::string_view name = gate.metric->name;
    if (name == "calls_per_step") return 1;
    if (name == "comm_calls_per_step") {
      return is_collective ? std::optional<absl::uint128>(1) : std::nullopt;
    }
    if (name == "comm_bytes_per_step") {
      if (!is_collective) return std::nullopt;
      if (!row.bytes.has_value() && Matches(row, gate, names_)) {
        missing = absl::StrCat("bytes of ", row.label, " are not known");
      }
      return row.bytes.has_value() ? std::optional<absl::uint128>(*row.bytes) : std::nullopt;
    }
    const auto& flop = name == "model_flop_per_step" ? row.flop_model : row.flop_executed;
    return flop.has_value() ? std::optional<absl::uint128>(*flop) : std::nullopt;
  }

  const RunResult& result_;
  std::vector<uint32_t> steps_;
  std::map<std::string, std::string> names_;
};

std::optional<int64_t> BudgetNs(const StepResult& step, const std::string& name) {
  for (const report::BudgetLine& line : step.budget) {
    if (line.name == name) return line.ns;
  }
  return std::nullopt;
}

std::optional<double> ValueOf(const StepResult& step, std::string_view metric) {
  const int64_t window_ns = step.split.window_ns;
  if (metric == "mfu_ratio") return report::Ratio(BudgetNs(step, "mfu"), window_ns);
  if (metric == "hfu_ratio") {
    std::optional<int64_t> ns = BudgetNs(step, "mfu");
    if (ns.has_value()) *ns += BudgetNs(step, "recompute").value_or(0);
    return report::Ratio(ns, window_ns);
  }
  if (metric == "flop_per_s") return report::PerSecond(step.flop_model, window_ns);
  if (metric == "step_time_ms") return static_cast<double>(window_ns) / 1e6;
  if (metric == "exposed_comm_ratio") return report::Ratio(step.split.exposed_ns, window_ns);
  if (metric == "comm_ratio") return report::Ratio(step.split.comm_ns, window_ns);
  if (metric == "compute_ratio") return report::Ratio(step.split.compute_ns, window_ns);
  if (metric == "idle_ratio") return report::Ratio(step.split.idle_ns, window_ns);
  return std::nullopt;
}

std::string WhyMissing(const RunResult& result, std::string_view metric) {
  if (result.steps.empty() || !result.steady.has_value()) return "no steady steps were found";
  if (metric == "mfu_ratio" || metric == "hfu_ratio") {
    if (!result.run.flop.executed.has_value()) return "this source records no shapes";
    return result.gpu.empty() ? "the GPU is not known, so neither is its peak"
                              : "no peak is known of \"" + result.gpu + "\"";
  }
  if (metric == "flop_per_s") return "this source records no shapes";
  if (metric == "idle_ratio") return "idle time is known only where every kernel is";
  return "the run has no GPU times (timing: " + result.timing + ")";
}

// Per steady step the median over ranks; every rank must have it.
std::vector<double> SamplesOf(const RunResult& result, const Gate& gate) {
  std::vector<double> samples;
  if (!result.steady.has_value()) return samples;
  const auto rank = gate.where.find("rank");
  std::map<uint32_t, std::vector<double>> by_step;
  for (const StepResult& step : result.steps) {
    if (step.index < result.steady_first_step || step.index > result.steady_last_step) continue;
    if (rank != gate.where.end() && absl::StrCat(step.rank) != rank->second) continue;
    const std::optional<double> value = ValueOf(step, gate.metric->name);
    if (!value.has_value()) return {};
    by_step[step.index].push_back(*value);
  }
  for (auto& [index, values] : by_step) samples.push_back(Median(std::move(values)));
  return samples;
}

double StepsTimesDevices(const RunResult& result) {
  const double steps = result.steady_last_step - result.steady_first_step + 1.0;
  return steps * std::max(1u, result.devices);
}

void FillBudget(const RunResult& result, Observation& observation) {
  if (!result.steady.has_value()) return;
  observation.mfu = result.steady->mfu;
  const double count = StepsTimesDevices(result);
  for (const report::BudgetLine& line : result.steady->budget) {
    const double ns = static_cast<double>(line.ns) / count;
    const auto found = std::find_if(observation.budget.begin(), observation.budget.end(),
                                    [&](const Part& part) { return part.name == line.name; });
    if (found != observation.budget.end()) {
      found->ns_per_step += ns;
    } else {
      observation.budget.push_back({line.name, ns});
    }
  }
}

void FillOps(const RunResult& result, const std::map<std::string, std::string>& names,
             Observation& observation) {
  std::map<std::string, OpLoad> loads;
  std::map<uint32_t, std::vector<double>> by_step;
  for (const StepResult& step : result.steps) {
    if (step.index < result.steady_first_step || step.index > result.steady_last_step) continue;
    by_step[step.index].push_back(static_cast<double>(step.split.window_ns));
  }
  std::vector<std::vector<double>> durations(1);
  for (auto& [index, values] : by_step) durations.front().push_back(Median(std::move(values)));
  const double correlation_time = CorrelationTime(LagOneCorrelation(durations));
  const double devices = std::max(1u, result.devices);
  for (const StepCalls& row : result.step_calls) {
    std::string name = row.label;
    const auto found = names.find(row.communicator);
    if (found != names.end() && !found->second.empty()) name += " " + found->second;
    OpLoad& load = loads[name];
    load.name = name;
    load.calls_per_step += static_cast<double>(CallsIn(row, result.steady_first_step)) / devices;
    if (row.timed_steps == 0) continue;
    // Rows of one communicator are of its members alone; their share of devices is not kept, so
    // members that call it weigh as all.
    const double count = static_cast<double>(row.timed_steps);
    const double mean_ns = row.step_time_ns / count;
    load.ns_per_step += mean_ns;
    const double variance = std::max(0.0, row.step_time_squares / count - mean_ns * mean_ns);
    load.error_ns += variance / count * correlation_time;
  }
  for (auto& [name, load] : loads) {
    load.error_ns = std::sqrt(load.error_ns);
    observation.ops.push_back(std::move(load));
  }
  std::stable_sort(observation.ops.begin(), observation.ops.end(),
                   [](const OpLoad& a, const OpLoad& b) { return a.ns_per_step > b.ns_per_step; });
  if (observation.ops.size() > kMaxOps) observation.ops.resize(kMaxOps);
}

// Exposed time of each communicator. Its noise is at most that of all exposed time together.
void FillCommunicators(const RunResult& result, Observation& observation) {
  std::map<uint32_t, double> exposed_ns;
  uint32_t last_step = 0;
  for (const StepResult& step : result.steps) {
    last_step = std::max(last_step, step.index);
    if (!step.split.exposed_ns.has_value()) return;
    if (step.index < result.steady_first_step || step.index > result.steady_last_step) continue;
    exposed_ns[step.index] +=
        static_cast<double>(*step.split.exposed_ns) / std::max(1u, result.devices);
  }
  if (exposed_ns.size() < 2) return;
  double sum = 0;
  double squares = 0;
  for (const auto& [index, ns] : exposed_ns) {
    sum += ns;
    squares += ns * ns;
  }
  const double count = static_cast<double>(exposed_ns.size());
  const double variance = std::max(0.0, squares / count - sum / count * (sum / count));
  std::map<std::string, OpLoad> loads;
  for (const report::CommunicatorResult& communicator : result.communicators) {
    if (!communicator.exposed_ns.has_value()) continue;
    OpLoad& load = loads[NameOf(communicator)];
    load.name = NameOf(communicator);
    load.ns_per_step += static_cast<double>(*communicator.exposed_ns) / (last_step + 1.0) /
                        std::max(1u, result.devices);
    load.error_ns = std::sqrt(variance / count);
  }
  for (auto& [name, load] : loads) observation.communicators.push_back(std::move(load));
}

}  // namespace

std::string KeyOf(const Gate& gate) {
  const std::string where = WhereText(gate);
  return absl::StrCat(std::string(gate.metric->name), where.empty() ? "" : " ", where);
}

std::string NameOf(const report::CommunicatorResult& communicator) {
  if (!communicator.name.empty()) return communicator.name;
  const std::string size = communicator.size > 0 ? absl::StrCat(communicator.size) : "";
  if (!communicator.strategy.empty()) return absl::StrCat(communicator.strategy, " ", size);
  return size.empty() ? "unknown" : "of " + size;
}

Observation Observe(const RunResult& result, const GateFile& file) {
  Observation observation;
  observation.title = result.title;
  if (!result.gpu.empty() && result.gpu != "mixed") observation.facts["gpu_name"] = result.gpu;
  if (result.world_size > 0) observation.facts["world_size"] = absl::StrCat(result.world_size);
  observation.facts["devices"] = absl::StrCat(result.devices);
  if (!result.timing.empty()) observation.facts["timing"] = result.timing;
  const auto driver = result.versions.find("cuda_driver");
  if (driver != result.versions.end()) {
    // cuDriverGetVersion: 1000 x major + 10 x minor.
    observation.facts["cuda_major"] = absl::StrCat(std::atoi(driver->second.c_str()) / 1000);
  }
  const auto nccl = result.versions.find("nccl");
  if (nccl != result.versions.end()) observation.facts["nccl_version"] = nccl->second;
  observation.sm_clock_mhz = result.sm_clock_mhz;
  observation.dropped = result.quality.dropped;
  observation.damaged_files = result.quality.damaged_files;
  const auto& window = result.steady.has_value() ? *result.steady : result.run;
  if (window.coverage.has_value()) {
    observation.covered_share = report::CoveredShare(*window.coverage);
  }
  if (result.steady.has_value()) {
    observation.steps = result.steady_last_step - result.steady_first_step + 1;
  }
  const ExactMetrics exact(result);
  observation.clear_steps = exact.clear_steps();
  for (const Gate& gate : file.gates) {
    const std::string key = KeyOf(gate);
    if (gate.metric->is_exact) {
      std::string missing;
      const std::optional<Exact> value = exact.Of(gate, missing);
      if (value.has_value()) {
        observation.exact[key] = *value;
      } else {
        observation.missing[key] = missing;
      }
      continue;
    }
    std::vector<double> samples = SamplesOf(result, gate);
    if (samples.empty()) {
      observation.missing[key] = WhyMissing(result, gate.metric->name);
    } else {
      observation.samples[key] = std::move(samples);
    }
  }
  FillBudget(result, observation);
  FillOps(result, exact.names(), observation);
  FillCommunicators(result, observation);
  return observation;
}

}  // namespace mfutrace::gate
