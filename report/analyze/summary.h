// What is kept of a timeline once it is gone: sums of one device, per run and per step, and who it
// is. analyze.cc makes one for each timeline and merges them in Finish.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "report/analyze/collectives.h"
#include "report/analyze/experts.h"
#include "report/analyze/intervals.h"
#include "report/analyze/mfu.h"
#include "report/analyze/results.h"
#include "report/analyze/serving.h"
#include "report/analyze/split.h"
#include "report/analyze/step_calls.h"
#include "report/analyze/traffic_shape.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

// Summed time of compute kernels by shapes::Provenance of their operation.
using KernelTimes = std::array<int64_t, 5>;

struct StepSums {
  std::string name;
  Interval window;
  StateTimes times;
  FlopSums flop;
  KernelTimes kernel_ns = {};
  bool has_straddling_calls = false;  // counted calls that may or may not be part of it
  bool has_gap_after = false;         // untimed time, of which nothing is known, before the next
  // From its end to the next step's begin: part of a window of several steps.
  StateTimes times_to_next;
  FlopSums flop_to_next;
  KernelTimes kernel_to_next_ns = {};
};

// Calls counted over a stretch that covers several pieces: piece 0 is before the first step, piece
// 2k + 1 is step k, piece 2k + 2 what follows it.
struct StraddlingCalls {
  size_t first_piece = 0;
  size_t last_piece = 0;
  FlopSums flop;
};

// Exposed time of each communicator, as pieces of the run see it: piece 0 is before the first step,
// 2k + 1 step k, 2k + 2 what follows it. An empty row is all zero.
struct ExposedByPiece {
  std::vector<std::vector<int64_t>> shared_ns;   // exact; sums over communicators to exposed
  std::vector<std::vector<int64_t>> matched_ns;  // of it, in collectives whose waiting is known
  std::vector<std::vector<int64_t>> wait_ns;     // of that, waiting
};

struct CommunicatorWaits {
  bool is_known = false;  // of all its collectives
  int64_t wait_ns = 0;
  int64_t transfer_ns = 0;
};

// The peaks that went into a summary: a report that knows others would mix the two.
struct UsedPeaks {
  std::map<shapes::PeakRate, uint64_t> flop_per_s;
  std::optional<uint64_t> memory_bytes_per_s;
};

struct DeviceSummary {
  SourceKind source = SourceKind::kNative;
  std::string path;
  std::string host;
  std::string command;
  std::string gpu;
  std::string timing;
  std::string timing_reason;
  int32_t rank = -1;
  int32_t device = -1;
  uint32_t pid = 0;
  int32_t restart_attempt = -1;
  uint32_t world_size = 0;
  bool is_empty = false;  // neither calls nor works
  TimeKnowledge knowledge = TimeKnowledge::kNothing;
  std::optional<int64_t> clock_residual_ns;

  int64_t window_ns = 0;
  int64_t timed_ns = 0;  // of it, in windows that are timed: what `times` sum to
  StateTimes times;
  FlopSums flop;
  FlopSums timed_flop;  // of it, in those windows
  Sampling sampling;
  OwnCost own_cost;
  std::vector<StepSums> steps;
  bool steps_are_marks = false;
  std::vector<StraddlingCalls> straddling;
  std::optional<KernelTimes> kernel_ns;  // where every kernel is known

  std::vector<Communicator> communicators;
  std::vector<CommunicatorTimes> communicator_times;  // last: without a communicator
  ExposedByPiece exposed;
  DeviceCollectives collectives;                                  // until ranks are together
  std::vector<CommunicatorWaits> waits;                           // by communicator, once they are
  std::vector<std::string> strategies;                            // the same
  std::vector<TrafficShape> traffic;                              // by communicator
  std::vector<std::map<std::string, uint64_t>> communicator_ops;  // the same order, to the end
  std::vector<std::optional<absl::uint128>> communicator_bytes;
  std::vector<std::optional<absl::uint128>> communicator_bus_bytes;
  // Of collectives of which a source tells how long they took but not when.
  std::vector<std::optional<int64_t>> communicator_counted_ns;
  std::vector<OpResult> ops;
  std::vector<std::optional<shapes::PeakRate>> op_rates;  // of `ops`
  ServingSums serving;
  ExpertsOfDevice experts;
  std::optional<AttentionRecompute> attention_recompute;
  DeviceStepCalls step_calls;
  std::map<std::string, std::string> versions;
  Quality quality;
  UsedPeaks used_peaks;
  std::vector<HtaCompat> compat_hta;  // if asked: as that tool does, then with the last step
  std::vector<OtherKernel> other_kernels;
};

// kInternal if the parts of a window do not sum to it. Without peaks, nothing is known of what a
// roofline forbids.
absl::StatusOr<DeviceSummary> Summarize(const Timeline& timeline, const PeakTable* peaks = nullptr);

// The error of a window whose parts do not sum to it.
absl::Status NotWhole(const std::string& path, const std::string& window);

// Calls of each operation that ran: recorded and counted ones, captured ones left out.
std::vector<uint64_t> CallsByOp(const Timeline& timeline);

// Borders of steps on the device's clock: begin, end, begin, end ... A time's piece is how many
// borders are at or before it.
std::vector<int64_t> StepBorders(const DeviceSummary& device);

// True if nothing is known of a piece: it lies, all or in part, outside the timed windows.
bool IsGap(const DeviceSummary& device, size_t piece);

// Steps [first, last] of a device as one window, without the gaps between timed windows.
struct StepRange {
  int64_t window_ns = 0;
  StateTimes times;
  FlopSums flop;
  KernelTimes kernel_ns = {};
  bool is_lower_bound = false;  // calls counted across its border are left out
};
StepRange RangeOf(const DeviceSummary& device, size_t first, size_t last);

}  // namespace mfutrace::report
