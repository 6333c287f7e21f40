// What analyses found: the only thing renderers, gates and exports read. Plain values, mergeable
// sums.
//
// Fractions are 0..1, times integer nanoseconds, FLOPs 128-bit integers. nullopt means the source
// cannot know it; renderers print null or a dash, never 0. docs/METHOD.md defines every figure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

using Flop = absl::uint128;

// METHOD, "Time": compute_only + overlapped + exposed + mem_only + idle (+ unattributed) = window.
struct TimeSplit {
  int64_t window_ns = 0;
  std::optional<int64_t> compute_ns;       // |C|
  std::optional<int64_t> comm_ns;          // |N|
  std::optional<int64_t> compute_only_ns;  // |C \ N|
  std::optional<int64_t> overlapped_ns;    // |C n N|
  std::optional<int64_t> exposed_ns;       // |N \ C|
  std::optional<int64_t> mem_only_ns;      // |M \ (C u N)|
  std::optional<int64_t> idle_ns;          // known only where every kernel is
  std::optional<int64_t> unattributed_ns;  // the rest, where idle is not known
};

struct FlopSums {
  std::optional<Flop> executed;
  std::optional<Flop> model;
  std::optional<Flop> full_attention;
  std::map<std::string, Flop> executed_by_kind;       // gemm, attention, convolution, rnn, other
  std::map<shapes::PeakRate, Flop> executed_by_rate;  // for utilization with mixed formats
  std::map<shapes::PeakRate, Flop> model_by_rate;
  Flop executed_without_rate = 0;                    // counted, but no peak to measure against
  std::map<shapes::PeakRate, Flop> untimed_by_rate;  // of executed: calls without GPU times
  // Of the others: what their least bytes take beyond what their FLOPs take at the peak.
  absl::uint128 beyond_peak_ps = 0;
  Flop executed_bound = 0;  // of `executed`: known as an upper bound alone
};

// One part of the budget of a window (analyze/budget.h); the parts sum to the window.
struct BudgetLine {
  std::string name;
  std::string strategy;  // of exposed communication; empty = unknown, or not communication
  int64_t ns = 0;
};

// MFU if one thing were different.
struct WhatIf {
  std::string name;      // "no_exposed", "slowest_at_median", "kernels_at_roofline"
  std::string strategy;  // of no_exposed
  double mfu = 0;
};

// A window of the whole run: all devices together.
struct WindowSummary {
  int64_t window_ns = 0;  // sum over devices of each device's window
  FlopSums flop;
  std::optional<double> mfu;  // sum over formats of FLOP/peak, over window_ns
  std::optional<double> hfu;
  std::optional<double> mfu_single_peak;      // all FLOPs over the one peak below
  std::optional<shapes::PeakRate> peak_rate;  // of the format with most FLOPs
  std::optional<uint64_t> peak_flop_per_s;
  std::string peak_source;
  std::optional<std::map<std::string, double>> coverage;  // provenance -> share of kernel time
  TimeSplit split;                                        // summed over devices
  std::vector<BudgetLine> budget;                         // sums to window_ns
  std::vector<WhatIf> what_if;
};

// Where a rank's clock stands against the first rank's. Unknown for ranks that no collective, no
// message and no host connects to it.
struct ClockOffset {
  int32_t rank = -1;
  int32_t device = -1;
  std::optional<int64_t> offset_ns;  // to be added to the rank's own times
  std::optional<double> drift_ppm;
  std::optional<int64_t> residual_ns;  // interquartile range of what is left
};

struct ClockResult {
  std::vector<ClockOffset> offsets;
  std::optional<int64_t> residual_ns;  // the largest; no skew below it means anything
  // Between the first and the last end of a collective, aligned.
  std::optional<int64_t> end_spread_median_ns;
  std::optional<int64_t> end_spread_p95_ns;
  std::optional<int64_t> end_spread_max_ns;
  uint64_t collectives = 0;
};

struct RankResult {
  int32_t rank = -1;
  int32_t device = -1;
  std::string host;
  TimeSplit split;
  std::optional<Flop> flop_executed;
  std::optional<Flop> flop_model;
  uint64_t dropped = 0;
  uint64_t untimed = 0;
  // Of the time in collectives; unknown unless it is known of all of them.
  std::optional<int64_t> wait_ns;
  std::optional<int64_t> transfer_ns;
  std::optional<uint64_t> times_last;     // began last in a collective that everybody joins
  std::optional<int64_t> caused_wait_ns;  // of the others, summed over them
  std::vector<BudgetLine> budget;
};

struct StepResult {
  int32_t rank = -1;
  uint32_t index = 0;
  std::string name;
  TimeSplit split;
  std::optional<Flop> flop_executed;
  std::optional<Flop> flop_model;
  std::vector<BudgetLine> budget;
};

struct OpResult {
  std::string label;
  std::string kind;
  std::string dtype;
  std::string provenance;
  uint64_t calls = 0;  // over all ranks
  std::optional<Flop> flop_executed;
  std::optional<Flop> flop_model;
  std::optional<absl::uint128> bytes_least;
  std::optional<int64_t> time_ns;  // sum of GPU time of its timed calls
  uint64_t timed_calls = 0;
  std::optional<uint64_t> peak_flop_per_s;
  std::optional<uint64_t> memory_bytes_per_s;
  // Time a call would take at the peak or at full memory bandwidth, whichever is longer, and which
  // of the two that is: "compute", "memory", or "latency" where the time is too short to be
  // reached. Unknown (empty) without FLOPs, bytes, peak or bandwidth.
  std::optional<double> roofline_ns_per_call;
  std::string bound;
};

struct CommunicatorResult {
  std::string id;
  std::string name;
  uint32_t size = 0;
  std::vector<int32_t> ranks;
  std::map<std::string, uint64_t> ops;  // "allreduce" -> calls, over all ranks
  std::string strategy;                 // empty = nothing tells
  std::string runner_up;                // empty = none
  std::string evidence;
  bool is_ambiguous = false;           // the evidence for the runner-up is nearly as good
  std::optional<absl::uint128> bytes;  // nccl-tests' S, summed over calls of all ranks
  std::optional<absl::uint128> bus_bytes;
  std::optional<int64_t> time_ns;     // per device unions, summed over ranks
  std::optional<int64_t> exposed_ns;  // shared split: sums to the run's exposed time
  std::optional<int64_t> exposed_exclusive_ns;
  std::optional<int64_t> exposed_touch_ns;
  std::optional<int64_t> exposed_wait_ns;  // of exposed_ns
  // Over ranks, of collectives whose waiting is known.
  std::optional<int64_t> wait_ns;
  std::optional<int64_t> transfer_ns;
  std::optional<absl::uint128> transfer_bus_bytes;  // moved in transfer_ns
  uint64_t intervals = 0;                           // collectives x ranks
  uint64_t intervals_unknown = 0;                   // of them, without a known wait
  std::map<int32_t, uint64_t> times_last;           // by world rank
  uint64_t contested = 0;                           // collectives of which somebody was last
};

// HTA's own figures (whole microseconds, its rounding and trimming), for --compat hta.
struct HtaCompat {
  int64_t compute_us = 0;
  int64_t comm_us = 0;
  int64_t overlap_us = 0;
  std::optional<double> overlap_pct;
  int64_t idle_us = 0;
  int64_t non_compute_us = 0;
  int64_t span_us = 0;
  std::string steps;  // which profiler steps were taken
};

struct RunResult {
  std::string title;   // command or file name
  std::string gpu;     // name; "mixed" lists stay in `notes`
  std::string source;  // "mfutrace", "kineto"
  uint32_t world_size = 0;
  uint32_t devices = 0;
  std::string timing;
  std::string timing_reason;
  WindowSummary run;
  std::optional<WindowSummary> steady;
  uint32_t steady_first_step = 0;
  uint32_t steady_last_step = 0;
  std::string steps_found_by;        // "marks", "period", "" = no steps
  std::optional<ClockResult> clock;  // of several devices with something in common
  std::vector<RankResult> ranks;
  std::vector<StepResult> steps;
  std::vector<OpResult> ops;  // most time first, then most FLOPs
  std::vector<CommunicatorResult> communicators;
  Quality quality;
  std::vector<HtaCompat> compat_hta;  // one a timeline, if asked
};

}  // namespace mfutrace::report
