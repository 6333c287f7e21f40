// Inference: the passes of each device as sums by phase, and all devices of a role together.
// METHOD, "Inference", defines phases and times. Called by summary.cc (one timeline) and
// analyze.cc (all of them).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "report/analyze/mfu.h"
#include "report/analyze/passes.h"
#include "report/analyze/results.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

struct PhaseSums {
  uint64_t attention_calls = 0;
  uint64_t calls = 0;
  uint64_t passes = 0;
  bool passes_are_known = true;
  FlopSums flop;
  std::optional<absl::uint128> bytes_least = 0;
  Flop rejected = 0;
  bool rejected_is_known = true;
  int64_t busy_ns = 0;
  int64_t span_ns = 0;
  uint64_t new_tokens = 0;
  uint64_t generated = 0;  // sequences with one query
  uint64_t context_tokens = 0;
  bool tokens_are_bounds = false;  // sequences may be fewer, or shorter
  bool context_is_known = true;
  absl::uint128 kv_bytes = 0;
  bool kv_is_known = true;
  bool kv_is_bound = false;
  std::vector<double> sequences;  // one a pass
  std::vector<double> pass_ns;
};

// Time in slices of 2^k ns from the window's begin.
struct Slices {
  int64_t slice_ns = 0;  // 0: no times
  std::vector<int64_t> busy_ns;
  std::vector<int64_t> at_peak_ps_1000;  // thousands of ps that model FLOPs would take at the peak
  std::vector<uint64_t> new_tokens;
  void CoarsenTo(int64_t wider_ns);
};

struct ServingSums {
  bool is_serving = false;
  std::string role;
  bool has_times = false;
  bool are_steps_known = true;  // false: passes that nothing tells apart
  bool from_marks = false;      // an inference server's own
  int64_t busy_ns = 0;
  int64_t idle_in_step_ns = 0;
  int64_t waiting_ns = 0;
  std::vector<Model> models;
  std::map<std::pair<uint32_t, Phase>, PhaseSums> phases;
  std::optional<SpeculationResult> speculation;
  uint32_t target = kNoIndex;
  uint32_t draft = kNoIndex;
  Slices slices;
  std::vector<std::string> notes;
};

// `window` on the device's clock. Without peaks the slices have no MFU.
ServingSums SummarizeServing(const Timeline& timeline, Interval window, const PeakTable* peaks);

struct DeviceSummary;
// nullopt where no device does inference.
std::optional<ServingResult> MergeServing(std::span<const DeviceSummary> devices,
                                          const PeakTable& peaks);

Distribution DistributionOf(std::vector<double> values);

}  // namespace mfutrace::report
