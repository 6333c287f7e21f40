// What analyses found: the only thing renderers, gates and exports read. Plain values, mergeable
// sums.
//
// Fractions are 0..1, times integer nanoseconds, FLOPs 128-bit integers. nullopt means the source
// cannot know it; renderers print null or a dash, never 0. docs/METHOD.md defines every figure.
#pragma once

#include <cstddef>
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

// Somebody who keeps others waiting, step after step.
struct StragglerResult {
  std::string kind;            // "compute", "clock", "host", "link"
  std::vector<int32_t> ranks;  // one, or the members of slow communicators
  double factor = 0;  // times its peers' time (compute, clock: of products; link: transfer)
  int64_t caused_wait_ns = 0;  // of others, followed back through whoever waited in between
  uint32_t steps = 0;          // of so many it shows in
  uint32_t of_steps = 0;
  std::string evidence;
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
  // The same FLOPs against the rate that this chip was measured to reach.
  std::optional<double> mfu_of_measured;
  std::optional<uint64_t> measured_flop_per_s;
  std::string measured_source;
  std::optional<std::map<std::string, double>> coverage;  // provenance -> share of kernel time
  TimeSplit split;                                        // summed over devices
  std::vector<BudgetLine> budget;                         // sums to budget_ns
  std::vector<WhatIf> what_if;
  int64_t budget_ns = 0;  // window_ns, less what lies outside the timed windows
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
  uint32_t pid = 0;  // 0 = unknown
  std::string path;  // of its trace
  TimeSplit split;
  int64_t run_ns = 0;  // what its FLOPs are of: more than the split's window where that is sampled
  std::optional<Flop> flop_executed;
  std::optional<Flop> flop_model;
  std::map<shapes::PeakRate, Flop> executed_by_rate;
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

// Of values that are one for each pass of a model, or for each slice of time.
struct Distribution {
  uint64_t count = 0;
  double mean = 0;
  double p50 = 0;
  double p95 = 0;
  double max = 0;
};

// Work of one phase of inference on all devices of a role (METHOD, "Inference").
struct PhaseResult {
  std::string role;   // MFUTRACE_ROLE; empty = none
  std::string model;  // "target", "draft"; empty = there is one model only
  std::string phase;  // "decode", "prefill", "mixed", "verify", "unknown"
  uint64_t attention_calls = 0;
  uint64_t calls = 0;              // with FLOPs, attention included
  std::optional<uint64_t> passes;  // of the model over its layers; unknown where nothing tells
  std::optional<Flop> flop_executed;
  Flop flop_bound = 0;  // of it, known as an upper bound alone
  std::optional<Flop> flop_model;
  std::optional<Flop> flop_useful;  // model FLOPs without rejected drafts
  std::optional<absl::uint128> bytes_least;
  std::optional<int64_t> busy_ns;  // union of its work
  std::optional<int64_t> span_ns;  // from the first to the last work of each pass
  std::optional<double> mfu_busy;
  std::optional<double> mfu_span;
  std::optional<double> mbu_busy;  // least bytes over busy time and memory bandwidth
  // Of one replica: ranks that share tokens count once.
  std::optional<uint64_t> new_tokens;
  bool tokens_are_bounds = false;
  std::optional<uint64_t> context_tokens;  // keys that were there before: no work
  std::optional<absl::uint128> kv_bytes_read;
  bool kv_is_bound = false;
  std::optional<double> tokens_per_s;  // over the span
  std::optional<Distribution> sequences;
  std::optional<Distribution> pass_ns;
};

// A slice of a role's window.
struct LoadSlice {
  int64_t begin_ns = 0;  // since the window's begin
  std::optional<double> busy;
  std::optional<uint64_t> new_tokens;
  std::optional<double> mfu;
};

// All devices that have one role.
struct RoleResult {
  std::string role;
  uint32_t devices = 0;
  int64_t window_ns = 0;  // sum over devices
  std::optional<int64_t> busy_ns;
  std::optional<int64_t> idle_in_step_ns;  // between the first and the last work of a step
  std::optional<int64_t> waiting_ns;       // between steps: waiting for work
  std::optional<double> mfu_busy;
  std::optional<double> mfu_wall;
  std::optional<double> mbu_busy;
  std::optional<double> mbu_wall;
  std::optional<uint64_t> tokens_out;  // generated, as far as lengths tell
  std::optional<double> tokens_out_per_s;
  std::optional<double> joules_per_token;
  int64_t slice_ns = 0;
  std::vector<LoadSlice> load;
  std::optional<Distribution> busy;  // over slices
};

// Speculative decoding: a small model drafts, the large one verifies.
struct SpeculationResult {
  std::string role;
  uint64_t steps = 0;  // verify passes
  uint64_t draft_passes = 0;
  uint64_t drafted = 0;  // tokens proposed, over sequences and steps
  // Of sequences whose next step tells by how much their KV cache grew.
  uint64_t sequence_steps = 0;
  uint64_t sequence_steps_known = 0;
  uint64_t drafted_known = 0;
  uint64_t accepted = 0;
  uint64_t tokens = 0;  // accepted ones and one more a sequence and step
  std::optional<Flop> verify_flop_known;
  std::optional<Flop> verify_flop_useful;
  std::optional<Flop> verify_flop;
  std::optional<Flop> draft_flop;
};

struct ServingResult {
  std::vector<RoleResult> roles;
  std::vector<PhaseResult> phases;
  std::vector<SpeculationResult> speculation;
  std::vector<std::string> notes;  // what cannot be known, one sentence each
};

// Products of one set of experts: calls of the same weights' shape.
struct ExpertsResult {
  std::string label;
  uint32_t experts = 0;  // of a call: those of its device
  uint64_t calls = 0;
  std::optional<Flop> flop_executed;
  std::optional<absl::uint128> rows;        // tokens times chosen experts
  bool rows_are_known = false;              // of each expert; false: only their sum
  std::vector<uint64_t> rows_by_expert;     // by place in the call and rank; empty if not known
  std::optional<Distribution> imbalance;    // over calls: most rows / mean rows
  std::optional<double> imbalance_of_sums;  // of rows_by_expert
  std::optional<double> idle_share;         // experts without a row, over calls
  std::optional<uint64_t> router_experts;   // of the router's product before it
  std::optional<absl::uint128> router_tokens;
  std::optional<double> active_share;  // rows / (tokens x experts): 1 / sparsity
};

// What the members of an expert-parallel communicator sent each other.
struct ExpertExchange {
  std::string communicator;
  struct Member {
    int32_t rank = -1;
    absl::uint128 sent_bytes = 0;
    absl::uint128 received_bytes = 0;
  };
  std::vector<Member> members;
  double imbalance = 0;  // most received / mean
};

// Calls of one operation in each step, over all ranks; of collectives, on one communicator.
struct StepCalls {
  std::string label;
  std::string kind;
  std::string dtype;
  std::string provenance;
  std::string collective;    // "allreduce"; empty: none
  std::string communicator;  // id, with the members where the source names them; empty: unknown
  std::optional<shapes::PeakRate> rate;
  std::optional<uint64_t> flop_executed;  // of a call
  std::optional<uint64_t> flop_model;
  std::optional<uint64_t> bytes;  // nccl-tests' S of a call
  // From `first_step` on until the next run; none before the first run.
  struct Run {
    uint32_t first_step = 0;
    uint64_t calls = 0;
  };
  std::vector<Run> by_step;
  // Of a device in a step, over those in which all of its calls were timed, the first step left
  // out.
  uint64_t timed_steps = 0;
  double step_time_ns = 0;       // sum
  double step_time_squares = 0;  // sum of squares
};

// Steps [first, last] of all ranks as one point of the run's course.
struct CoursePoint {
  uint32_t first_step = 0;
  uint32_t last_step = 0;
  std::optional<double> mfu_min;  // over ranks and the point's steps
  std::optional<double> mfu_median;
  std::optional<double> mfu_max;
  int64_t step_min_ns = 0;
  int64_t step_median_ns = 0;
  int64_t step_max_ns = 0;
};

// How long after the first member a rank began the collectives that everybody must join, as a mean
// over those of a bucket of steps. nullopt: none whose members are all known.
struct LatenessRow {
  std::string name;  // "rank 3"; the host where there are too many ranks for a row each
  std::vector<std::optional<int64_t>> mean_ns;  // by bucket
};
struct LatenessMap {
  std::vector<std::pair<uint32_t, uint32_t>> buckets;  // first and last step
  std::vector<LatenessRow> rows;                       // by rank
};

// One piece of device work of the sample. Times are on the clock all ranks share where there is
// one (ClockResult), else on the device's own.
struct SampledWork {
  Interval time;
  Interval host;            // of its call; begin 0 = unknown
  uint32_t label = 0;       // into Sample::labels
  uint32_t stream = 0;      // dense
  uint64_t collective = 0;  // the same on all its members, different for all others; 0 = none
  WorkClass work_class = WorkClass::kCompute;
};

struct SampledStep {
  uint32_t index = 0;
  Interval time;
};

struct SampledDevice {
  int32_t rank = -1;
  int32_t device = -1;
  std::string host;
  uint32_t pid = 0;
  std::vector<SampledStep> steps;
  // Of the representative step, or of the middle of the run. Pieces nearer to each other than its
  // width / kLaneResolution are one.
  Interval window;
  std::vector<Interval> compute;
  std::vector<Interval> hidden;  // communication while something computes
  std::vector<Interval> exposed;
  std::vector<SampledWork> works;       // by begin, if asked for
  std::vector<Interval> works_exposed;  // exposed communication in the sampled steps
  uint64_t works_left_out = 0;          // beyond the limit
};

inline constexpr size_t kCoursePoints = 2000;
inline constexpr int64_t kLaneResolution = 400;

// A few steps with all their work: what timelines show. Empty unless asked for.
struct Sample {
  std::optional<uint32_t> step;  // the representative one: median duration of the first rank's
  std::vector<std::string> labels;
  std::vector<SampledDevice> devices;
  bool is_aligned = false;  // times of different ranks are comparable
};

// Attention within steps: forwards beyond one for each backward of their shape were computed again.
struct AttentionRecompute {
  uint64_t forward_calls = 0;
  uint64_t backward_calls = 0;
  uint64_t recomputed_calls = 0;
  Flop flop = 0;
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

// Windows in which calls were timed, over all devices; time splits and budgets are of those, calls
// and FLOPs of everything.
struct SamplingResult {
  std::string asked;
  uint64_t windows = 0;
  int64_t timed_ns = 0;  // on the devices' clocks
  int64_t run_ns = 0;    // the same for the whole run
  uint64_t calls_outside = 0;
  std::optional<double> timed_calls_per_s;  // of host time, per process
  std::optional<double> untimed_calls_per_s;
  std::optional<double> cost_ratio;  // of the pace while timed: the largest that a process measured
};

// mfutrace's own cost, over all processes.
struct OwnCostResult {
  std::optional<double> ns_per_call;  // on the job's threads
  uint64_t flusher_cpu_ns = 0;
  std::optional<double> flusher_share;          // of one core
  std::optional<uint64_t> event_gpu_ns;         // the largest
  std::optional<uint64_t> event_resolution_ns;  // the largest
};

struct RunResult {
  std::string title;   // command or file name
  std::string gpu;     // name; "mixed" lists stay in `notes`
  std::string source;  // "mfutrace", "kineto", "nsys", "nccl-inspector"
  uint32_t world_size = 0;
  uint32_t devices = 0;
  std::string timing;
  std::string timing_reason;
  WindowSummary run;
  std::optional<WindowSummary> steady;
  uint32_t steady_first_step = 0;
  uint32_t steady_last_step = 0;
  std::string steps_found_by;               // "marks", "period", "" = no steps
  std::optional<ClockResult> clock;         // of several devices with something in common
  std::vector<StragglerResult> stragglers;  // most waiting caused first
  std::vector<RankResult> ranks;
  std::vector<StepResult> steps;
  std::vector<OpResult> ops;  // most time first, then most FLOPs
  std::vector<CommunicatorResult> communicators;
  std::vector<OtherKernel> other_kernels;  // over all devices; most time first, then launches
  Quality quality;
  std::optional<SamplingResult> sampling;  // where not all of the run was timed
  std::optional<OwnCostResult> own_cost;   // where the source tells
  std::vector<HtaCompat> compat_hta;       // one a timeline, if asked
  std::optional<ServingResult> serving;    // where attention runs forward only
  std::vector<ExpertsResult> experts;
  std::vector<ExpertExchange> exchanges;
  std::vector<StepCalls> step_calls;
  std::vector<uint32_t> unclear_steps;          // calls were counted that may belong to them
  std::map<std::string, std::string> versions;  // "cuda_driver" -> "13000"; the same on all devices
  std::optional<double> sm_clock_mhz;           // median while it ran, where NVML told it
  std::vector<CoursePoint> course;              // at most kCoursePoints, in the order of steps
  LatenessMap lateness;                         // empty where clocks or members are not known
  Sample sample;
  // Of one device, by the formats in use; empty where devices differ or nobody knows.
  std::map<shapes::PeakRate, uint64_t> peaks;
  std::optional<AttentionRecompute> attention_recompute;  // of runs with backward attention
};

}  // namespace mfutrace::report
