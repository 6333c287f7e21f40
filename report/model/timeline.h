// What one (rank, device) did, as the analyses see it: the seam between loading and analysing.
//
// Loaders (model/load.cc for .mfut files, import/ for traces of other tools) fill a Timeline;
// analyses read it and keep only sums, so that memory is bounded by one timeline at a time. What a
// source cannot know is nullopt or kUnknown here and null in every output, never zero. All times
// are integer nanoseconds; `works` and step windows are on the device's clock, host times on the
// host's.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "shapes/op.h"
#include "shapes/peaks.h"

namespace mfutrace::report {

// Half-open [begin_ns, end_ns).
struct Interval {
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
};

inline constexpr uint32_t kNoIndex = 0xffffffff;

enum class WorkClass : uint8_t { kCompute, kCommunication, kCopy };

// One piece of device work with times: a bracketed call, or a kernel, copy or memset of an import.
struct Work {
  Interval time;
  int64_t launch_ns = 0;             // host time of the launch; 0 = unknown
  uint32_t op = kNoIndex;            // into Timeline::ops: the call it belongs to, if known
  uint32_t communicator = kNoIndex;  // into Timeline::communicators
  uint32_t stream = 0;               // dense index, for per-stream views
  uint32_t kernel = kNoIndex;        // into Timeline::kernel_names, where the source names kernels
  WorkClass work_class = WorkClass::kCompute;
};

// What an operation was made of, for analyses that ask for more than its sums. One of gemm,
// attention and parts is there.
struct OpDetail {
  struct Part {
    std::shared_ptr<const OpDetail> detail;  // null: neither product nor attention
    uint64_t count = 1;
  };
  std::optional<shapes::Gemm> gemm;
  std::optional<shapes::Attention> attention;
  std::vector<shapes::SequenceRun> lengths;  // of attention; empty: all as long as the shape says
  bool lengths_are_bounds = false;           // the shape says how long the sequences may be
  std::vector<Part> parts;                   // of a call that does several, in order
  bool is_graph_launch = false;              // parts are what a CUDA graph runs
  bool rows_are_spread = false;              // parts are experts whose rows lie on the device
};

// One distinct operation; figures are per call.
struct Op {
  std::string label;
  std::string dtype;  // shapes::NameOf, "mixed"-free: the operands' format
  shapes::OpKind kind = shapes::OpKind::kOpaque;
  shapes::Provenance provenance = shapes::Provenance::kNone;
  std::optional<uint64_t> flop_executed;
  std::optional<uint64_t> flop_model;
  std::optional<uint64_t> flop_full_attention;  // executed with attention's mask ignored
  std::optional<uint64_t> bytes_least;
  std::optional<shapes::PeakRate> rate;  // which peak it is measured against
  // Collectives only.
  shapes::CollectiveKind collective = shapes::CollectiveKind::kUnknown;
  int32_t peer = -1;  // of sends and receives (rank in the communicator), root of rooted ones
  uint32_t communicator = kNoIndex;
  std::optional<uint64_t> algorithm_bytes;  // nccl-tests' S
  std::optional<uint64_t> bus_bytes;
  std::shared_ptr<const OpDetail> detail;  // null: nothing more is known
};

// One call of an operation, recorded on its own. Host times are 0 where a source has none.
struct OpCall {
  uint32_t op = kNoIndex;
  int64_t host_begin_ns = 0;
  int64_t host_end_ns = 0;
  uint32_t work = kNoIndex;  // the Work that timed it; kNoIndex = untimed, or several kernels
  uint32_t sequence = 0;     // n-th call on its communicator; 0 = not a collective
  bool is_captured = false;  // into a graph: ran zero times when issued
};

// Calls that were counted but not recorded one by one.
struct CountedCalls {
  uint32_t op = kNoIndex;
  uint64_t calls = 0;
  Interval host_time;
  std::optional<int64_t> time_ns;  // summed, where a source tells how long they took but not when
  bool is_outside = false;  // counted on purpose, outside the windows in which calls are recorded
};

struct Communicator {
  std::string id;              // the same on all members: 16 hex digits, or the import's own name
  std::string name;            // commName, process group description; empty = none
  uint32_t size = 0;           // 0 = unknown
  int32_t rank = -1;           // of this timeline in it; -1 = unknown
  std::vector<int32_t> ranks;  // world ranks in order, where one source tells them all
};

// A step that the source itself marks (ProfilerStep, NVTX). On the device's clock.
struct StepMark {
  std::string name;
  Interval time;
};

// Requests of one kind in a step of an inference server, as the server itself says: sums over them.
struct RequestSums {
  uint64_t requests = 0;
  uint64_t queries = 0;
  std::optional<uint64_t> keys;
  std::optional<uint64_t> queries_squared;
  std::optional<uint64_t> queries_times_keys;
};

// A step that an inference server marks with what it runs (vLLM's "execute_..." ranges).
struct ServingStep {
  std::string name;
  Interval host_time;
  std::optional<Interval> time;  // on the device's clock
  RequestSums context;           // prefill
  RequestSums generation;        // decode
};

struct DeviceInfo {
  int32_t ordinal = -1;
  std::string name;  // as the driver gives it; empty = unknown
  uint64_t memory_bytes = 0;
};

// Named counts of what went missing; the quality line of every report.
struct Quality {
  uint64_t dropped = 0;   // calls counted without their own record
  uint64_t untimed = 0;   // recorded calls without GPU times
  uint64_t captured = 0;  // calls issued into stream captures: launches are credited
  uint64_t damaged_files = 0;
  std::vector<std::string> notes;                          // one sentence each, for people
  std::vector<std::pair<std::string, uint64_t>> counters;  // non-zero health counters by name
};

// Who wrote the trace: this project's library, the PyTorch profiler, Nsight Systems, NCCL
// Inspector.
enum class SourceKind : uint8_t { kNative, kKineto, kNsys, kInspector };

// When calls were recorded and timed, where that was not all the time: in windows.
struct Sampling {
  std::string asked;  // "default", "all", "none", "10s/60s"; empty = the source does not sample
  bool is_partial = false;       // some of the run lies outside the windows
  std::vector<Interval> host;    // windows on the host's clock, ascending
  std::vector<Interval> device;  // of each the device's work, disjoint and ascending; fewer where
                                 // windows hold no work
  uint64_t calls_outside = 0;
  // Pace: windows of the schedule, and the time between two windows.
  int64_t timed_ns = 0;
  uint64_t timed_calls = 0;
  int64_t untimed_ns = 0;
  uint64_t untimed_calls = 0;
  std::optional<uint64_t> cost_ppm;  // of the pace while timed, as the library measured it
  std::optional<int64_t> limit_ns;   // the size limit was reached, since the process started
};

// What the library measured of itself.
struct OwnCost {
  uint64_t probed_calls = 0;
  uint64_t probed_ns = 0;  // in them, without the vendor's function
  uint64_t flusher_cpu_ns = 0;
  int64_t process_ns = 0;                       // the time that this CPU time is of
  std::optional<uint64_t> event_gpu_ns;         // of one timing event on an idle stream
  std::optional<uint64_t> event_resolution_ns;  // of the events' clock
};

// Kernels of one name that belong to no operation.
struct OtherKernel {
  std::string name;  // demangled; empty = not told
  bool is_communication = false;
  std::optional<uint64_t> kernels;  // that ran on this device, where the source sees all
  std::optional<int64_t> time_ns;   // of them
  std::optional<uint64_t>
      launches;  // by the process, where the source counts them: in one timeline
};

struct Timeline {
  SourceKind source = SourceKind::kNative;
  std::string path;
  int32_t rank = -1;              // world rank; -1 = unknown
  uint32_t world_size = 0;        // 0 = unknown
  uint32_t pid = 0;               // 0 = unknown
  int32_t restart_attempt = -1;   // of an elastic launcher; -1 = unknown
  int64_t start_realtime_ns = 0;  // when the process was first seen, CLOCK_REALTIME; 0 = unknown
  std::string host;
  std::string command;                          // first words, for the headline
  std::string role;                             // MFUTRACE_ROLE: prefill, decode ...; empty = none
  std::map<std::string, std::string> versions;  // of libraries: "cuda_driver" -> "13000"
  std::string timing;                           // "events", "count", "kineto"
  std::string timing_reason;
  DeviceInfo device;

  std::vector<Op> ops;
  std::vector<OpCall> calls;  // in host order where host times exist
  std::vector<CountedCalls> counted;
  std::vector<Work> works;
  std::vector<std::string> kernel_names;
  std::vector<OtherKernel> other_kernels;
  std::vector<Communicator> communicators;
  std::vector<StepMark> steps;
  std::vector<ServingStep> serving_steps;
  Quality quality;
  Sampling sampling;
  OwnCost own_cost;  // of the process: in its first timeline only

  // True if `works` holds every kernel of the device (imports): only then is idle known, and
  // coverage.
  bool has_all_kernels = false;
  // True if the source records shapes at all; false makes every FLOP figure null.
  bool has_shapes = false;
  // First to last intercepted call, host clock; what the run's window is without device times.
  Interval host_window;
  // Half the width of the bracket that ties the device's clock to the host's, median of its
  // samples.
  std::optional<int64_t> clock_residual_ns;
};

}  // namespace mfutrace::report
