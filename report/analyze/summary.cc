// Timeline -> DeviceSummary: one sweep for times, one pass over calls for FLOPs.
#include "report/analyze/summary.h"

#include <algorithm>
#include <limits>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "report/analyze/attention_recompute.h"
#include "report/analyze/comm.h"
#include "report/analyze/mfu.h"
#include "report/analyze/ops.h"
#include "report/analyze/steps.h"

namespace mfutrace::report {
namespace {

// Borders of steps in order: begin, end, begin, end ... A time's piece is how many borders are at
// or before it: 0 before the first step, 2k + 1 in step k, 2k + 2 behind it.
std::vector<int64_t> Borders(const std::vector<StepWindow>& steps, Interval StepWindow::*clock) {
  std::vector<int64_t> borders;
  for (const StepWindow& step : steps) {
    borders.push_back((step.*clock).begin_ns);
    borders.push_back((step.*clock).end_ns);
  }
  return borders;
}

size_t PieceOf(const std::vector<int64_t>& borders, int64_t time_ns) {
  return static_cast<size_t>(std::upper_bound(borders.begin(), borders.end(), time_ns) -
                             borders.begin());
}

// The same for times that mostly come in order: looks where the last one was first.
class PieceCursor {
 public:
  explicit PieceCursor(const std::vector<int64_t>& borders) : borders_(borders) {}
  size_t PieceOf(int64_t time_ns) {
    if (time_ns < begin_ns_ || time_ns >= end_ns_) {
      piece_ = report::PieceOf(borders_, time_ns);
      constexpr int64_t kEver = std::numeric_limits<int64_t>::max();
      begin_ns_ = piece_ == 0 ? -kEver : borders_[piece_ - 1];
      end_ns_ = piece_ == borders_.size() ? kEver : borders_[piece_];
    }
    return piece_;
  }

 private:
  const std::vector<int64_t>& borders_;
  size_t piece_ = 0;
  int64_t begin_ns_ = 0;  // nothing lies between the two yet
  int64_t end_ns_ = 0;
};

void AddTo(std::vector<int64_t>& sums, const std::vector<int64_t>& values) {
  if (sums.size() < values.size()) sums.resize(values.size(), 0);
  for (size_t i = 0; i < values.size(); ++i) sums[i] += values[i];
}

bool HasWork(const Timeline& timeline) { return !timeline.works.empty(); }

// First GPU begin to last GPU end. Where calls without GPU times come before the first timed one or
// after the last, the window grows by as much as they do on the host's clock: their FLOPs count, so
// their time must, or MFU would be too high.
Interval RunWindow(const Timeline& timeline) {
  if (!HasWork(timeline)) return timeline.host_window;
  Interval window = timeline.works.front().time;
  for (const Work& work : timeline.works) {
    window.begin_ns = std::min(window.begin_ns, work.time.begin_ns);
    window.end_ns = std::max(window.end_ns, work.time.end_ns);
  }
  if (timeline.has_all_kernels && !timeline.sampling.is_partial) return window;
  const OpCall* first = nullptr;
  int64_t last_end_ns = 0;
  for (const OpCall& call : timeline.calls) {
    if (call.work == kNoIndex) continue;
    if (first == nullptr) first = &call;
    last_end_ns = std::max(last_end_ns, call.host_end_ns);
  }
  if (first == nullptr) return window;
  window.begin_ns -= std::max<int64_t>(0, first->host_begin_ns - timeline.host_window.begin_ns);
  window.end_ns += std::max<int64_t>(0, timeline.host_window.end_ns - last_end_ns);
  return window;
}

// Where times are known: all of the run's window, or its timed parts.
std::vector<Interval> TimedWindows(const Timeline& timeline, const Interval& window) {
  if (timeline.sampling.device.empty()) return {window};
  return timeline.sampling.device;
}

bool Covers(const std::vector<Interval>& windows, int64_t time_ns) {
  return std::any_of(windows.begin(), windows.end(), [time_ns](const Interval& window) {
    return window.begin_ns <= time_ns && time_ns < window.end_ns;
  });
}

// Times of the pieces between two borders that are cuts of the sweep.
StateTimes Between(const std::vector<int64_t>& cuts, const std::vector<StateTimes>& pieces,
                   int64_t begin_ns, int64_t end_ns) {
  StateTimes times;
  const auto first = std::lower_bound(cuts.begin(), cuts.end(), begin_ns) - cuts.begin();
  const auto last = std::lower_bound(cuts.begin(), cuts.end(), end_ns) - cuts.begin();
  for (auto i = first; i < last; ++i) times += pieces[static_cast<size_t>(i)];
  return times;
}

absl::Status SummarizeTimes(const Timeline& timeline, const StepWindows& steps,
                            DeviceSummary& summary) {
  const Interval window = RunWindow(timeline);
  summary.window_ns = window.end_ns - window.begin_ns;
  std::vector<int64_t> cuts = Borders(steps.windows, &StepWindow::device);
  const std::vector<Interval> timed = TimedWindows(timeline, window);
  for (const Interval& part : timed) {
    cuts.push_back(part.begin_ns);
    cuts.push_back(part.end_ns);
    summary.timed_ns += part.end_ns - part.begin_ns;
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  std::vector<bool> is_counted;
  for (const Op& op : timeline.ops) {
    is_counted.push_back(op.flop_executed.has_value() && op.kind != shapes::OpKind::kCollective);
  }
  CollectiveCollector collector(timeline);
  SweepResult sweep = Sweep(timeline.works, static_cast<uint32_t>(timeline.communicators.size()),
                            cuts, {&is_counted, &collector});
  summary.collectives = collector.Take();
  summary.communicator_times = sweep.communicators;
  const std::vector<int64_t> borders = Borders(steps.windows, &StepWindow::device);
  summary.exposed.shared_ns.resize(borders.size() + 1);
  for (size_t i = 0; i < sweep.shared_ns.size(); ++i) {
    if (!Covers(timed, cuts[i])) continue;
    AddTo(summary.exposed.shared_ns[PieceOf(borders, cuts[i])], sweep.shared_ns[i]);
  }
  for (const Interval& part : timed) {
    summary.times += Between(cuts, sweep.pieces, part.begin_ns, part.end_ns);
  }
  if (!SumsToWindow(summary.times, summary.timed_ns)) return NotWhole(timeline.path, "the run");
  for (size_t k = 0; k < steps.windows.size(); ++k) {
    StepSums step;
    step.name = steps.windows[k].name;
    step.window = steps.windows[k].device;
    step.times = Between(cuts, sweep.pieces, step.window.begin_ns, step.window.end_ns);
    if (!SumsToWindow(step.times, step.window.end_ns - step.window.begin_ns)) {
      return NotWhole(timeline.path, absl::StrCat("step ", k));
    }
    step.has_gap_after = steps.windows[k].has_gap_after;
    if (k + 1 < steps.windows.size() && !step.has_gap_after) {
      step.times_to_next =
          Between(cuts, sweep.pieces, step.window.end_ns, steps.windows[k + 1].device.begin_ns);
    }
    summary.steps.push_back(std::move(step));
  }
  return absl::OkStatus();
}

// Where FLOPs of a piece are summed; nullptr before the first step and behind the last one.
FlopSums* SumsOfPiece(DeviceSummary& summary, size_t piece) {
  if (piece == 0 || piece >= 2 * summary.steps.size()) return nullptr;
  StepSums& step = summary.steps[(piece - 1) / 2];
  return piece % 2 == 1 ? &step.flop : &step.flop_to_next;
}

// What least bytes take longer than FLOPs at the peak, in picoseconds a call, by operation.
std::vector<uint64_t> BeyondPeakPs(const Timeline& timeline, const PeakTable* peaks) {
  std::vector<uint64_t> beyond_ps(timeline.ops.size(), 0);
  if (peaks == nullptr) return beyond_ps;
  const std::optional<uint64_t> bytes_per_s = peaks->MemoryBytesPerSecond(timeline.device.name);
  if (!bytes_per_s.has_value()) return beyond_ps;
  for (size_t i = 0; i < timeline.ops.size(); ++i) {
    const Op& op = timeline.ops[i];
    if (!op.flop_executed.has_value() || !op.bytes_least.has_value() || !op.rate.has_value()) {
      continue;
    }
    const std::optional<Peak> peak = peaks->Find(timeline.device.name, *op.rate);
    if (!peak.has_value() || peak->flop_per_s == 0) continue;
    constexpr uint64_t kPs = 1'000'000'000'000;
    const absl::uint128 bytes_ps = absl::uint128(*op.bytes_least) * kPs / *bytes_per_s;
    const absl::uint128 flop_ps = absl::uint128(*op.flop_executed) * kPs / peak->flop_per_s;
    if (bytes_ps > flop_ps) beyond_ps[i] = static_cast<uint64_t>(bytes_ps - flop_ps);
  }
  return beyond_ps;
}

// Adds calls with what the budget needs to know of them.
class FlopAdder {
 public:
  FlopAdder(const Timeline& timeline, const PeakTable* peaks)
      : timeline_(timeline), beyond_ps_(BeyondPeakPs(timeline, peaks)) {}

  void Add(FlopSums& sums, size_t op_index, uint64_t timed, uint64_t untimed) const {
    const Op& op = timeline_.ops[op_index];
    AddCalls(sums, op, timed + untimed);
    if (op.kind == shapes::OpKind::kCollective || !sums.executed.has_value()) return;
    sums.beyond_peak_ps += absl::uint128(beyond_ps_[op_index]) * timed;
    if (untimed > 0 && op.flop_executed.has_value() && op.rate.has_value()) {
      sums.untimed_by_rate[*op.rate] += Flop(*op.flop_executed) * untimed;
    }
  }

  // Imports have all kernels: a call without one of its own has several.
  bool IsTimed(const OpCall& call) const {
    return timeline_.has_all_kernels || call.work < timeline_.works.size();
  }

 private:
  const Timeline& timeline_;
  std::vector<uint64_t> beyond_ps_;
};

void SummarizeFlop(const Timeline& timeline, const StepWindows& steps, const FlopAdder& adder,
                   DeviceSummary& summary) {
  summary.flop = NoFlop(timeline.has_shapes);
  std::vector<uint64_t> counts(timeline.ops.size(), 0);
  std::vector<uint64_t> untimed_counts(timeline.ops.size(), 0);
  for (const OpCall& call : timeline.calls) {
    if (call.is_captured || call.op >= counts.size()) continue;
    ++(adder.IsTimed(call) ? counts : untimed_counts)[call.op];
  }
  std::vector<uint64_t> outside_counts(timeline.ops.size(), 0);
  for (const CountedCalls& counted : timeline.counted) {
    if (counted.op >= counts.size()) continue;
    (counted.is_outside ? outside_counts : untimed_counts)[counted.op] += counted.calls;
  }
  // Without device times there is nothing to tell the windows apart by.
  const bool is_partial = !timeline.sampling.device.empty();
  summary.timed_flop = NoFlop(timeline.has_shapes);
  for (size_t i = 0; i < counts.size(); ++i) {
    const uint64_t untimed = untimed_counts[i] + outside_counts[i];
    if (counts[i] + untimed > 0) adder.Add(summary.flop, i, counts[i], untimed);
    if (is_partial && counts[i] + untimed_counts[i] > 0) {
      adder.Add(summary.timed_flop, i, counts[i], untimed_counts[i]);
    }
    counts[i] = untimed_counts[i] = 0;
  }
  if (!is_partial) summary.timed_flop = summary.flop;
  if (steps.windows.empty()) return;
  for (StepSums& step : summary.steps) {
    step.flop = NoFlop(timeline.has_shapes);
    step.flop_to_next = NoFlop(timeline.has_shapes);
  }
  // Calls come mostly in order of pieces: count per operation while the piece stays the same.
  const std::vector<int64_t> borders = Borders(steps.windows, &StepWindow::launch);
  PieceCursor cursor(borders);
  std::vector<uint32_t> touched;
  size_t piece = 0;
  const auto flush = [&] {
    FlopSums* sums = SumsOfPiece(summary, piece);
    for (const uint32_t op : touched) {
      if (sums != nullptr) adder.Add(*sums, op, counts[op], untimed_counts[op]);
      counts[op] = untimed_counts[op] = 0;
    }
    touched.clear();
  };
  for (const OpCall& call : timeline.calls) {
    if (call.is_captured || call.op >= counts.size()) continue;
    int64_t time_ns = call.host_begin_ns;
    if (time_ns == 0 && call.work < timeline.works.size()) {
      time_ns = timeline.works[call.work].time.begin_ns;
    }
    const size_t at = cursor.PieceOf(time_ns);
    if (at != piece) {
      flush();
      piece = at;
    }
    if (counts[call.op] + untimed_counts[call.op] == 0) touched.push_back(call.op);
    ++(adder.IsTimed(call) ? counts : untimed_counts)[call.op];
  }
  flush();
  for (const CountedCalls& counted : timeline.counted) {
    // Steps lie in timed windows.
    if (counted.op >= counts.size() || counted.is_outside) continue;
    const size_t first = PieceOf(borders, counted.host_time.begin_ns);
    const size_t last =
        PieceOf(borders, std::max(counted.host_time.begin_ns, counted.host_time.end_ns - 1));
    if (first == last) {
      FlopSums* sums = SumsOfPiece(summary, first);
      if (sums != nullptr) adder.Add(*sums, counted.op, 0, counted.calls);
      continue;
    }
    StraddlingCalls straddling = {first, last, NoFlop(timeline.has_shapes)};
    adder.Add(straddling.flop, counted.op, 0, counted.calls);
    if (straddling.flop.executed == Flop(0)) continue;
    for (size_t i = first; i <= last; ++i) {
      if (i % 2 == 1) summary.steps[(i - 1) / 2].has_straddling_calls = true;
    }
    if (!summary.straddling.empty() && summary.straddling.back().first_piece == first &&
        summary.straddling.back().last_piece == last) {
      AddSums(summary.straddling.back().flop, straddling.flop);
    } else {
      summary.straddling.push_back(std::move(straddling));
    }
  }
}

void SummarizeKernels(const Timeline& timeline, const StepWindows& steps, DeviceSummary& summary) {
  if (!timeline.has_all_kernels) return;
  const std::vector<int64_t> borders = Borders(steps.windows, &StepWindow::device);
  PieceCursor cursor(borders);
  KernelTimes whole = {};
  for (const Work& work : timeline.works) {
    if (work.work_class != WorkClass::kCompute) continue;
    shapes::Provenance provenance = shapes::Provenance::kNone;
    if (work.op < timeline.ops.size()) provenance = timeline.ops[work.op].provenance;
    const auto at = std::min<size_t>(static_cast<size_t>(provenance), whole.size() - 1);
    const int64_t length_ns = std::max<int64_t>(0, work.time.end_ns - work.time.begin_ns);
    whole[at] += length_ns;
    const size_t piece = cursor.PieceOf(work.time.begin_ns);
    if (piece == 0 || piece >= 2 * summary.steps.size()) continue;
    StepSums& step = summary.steps[(piece - 1) / 2];
    (piece % 2 == 1 ? step.kernel_ns : step.kernel_to_next_ns)[at] += length_ns;
  }
  summary.kernel_ns = whole;
}

void AddTo(KernelTimes& sum, const KernelTimes& other) {
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += other[i];
}

}  // namespace

absl::Status NotWhole(const std::string& path, const std::string& window) {
  return absl::InternalError(absl::StrCat(path, ": the parts of ", window,
                                          " do not sum to it. This is a defect of mfutrace; please "
                                          "report it with this trace"));
}

std::vector<uint64_t> CallsByOp(const Timeline& timeline) {
  std::vector<uint64_t> calls(timeline.ops.size(), 0);
  for (const OpCall& call : timeline.calls) {
    if (!call.is_captured && call.op < calls.size()) ++calls[call.op];
  }
  for (const CountedCalls& counted : timeline.counted) {
    if (counted.op < calls.size()) calls[counted.op] += counted.calls;
  }
  return calls;
}

absl::StatusOr<DeviceSummary> Summarize(const Timeline& timeline, const PeakTable* peaks) {
  DeviceSummary summary;
  summary.source = timeline.source;
  summary.path = timeline.path;
  summary.host = timeline.host;
  summary.command = timeline.command;
  summary.versions = timeline.versions;
  summary.gpu = timeline.device.name;
  summary.timing = timeline.timing;
  summary.timing_reason = timeline.timing_reason;
  summary.rank = timeline.rank;
  summary.device = timeline.device.ordinal;
  summary.pid = timeline.pid;
  summary.restart_attempt = timeline.restart_attempt;
  summary.world_size = timeline.world_size;
  summary.clock_residual_ns = timeline.clock_residual_ns;
  summary.quality = timeline.quality;
  summary.sampling = timeline.sampling;
  summary.own_cost = timeline.own_cost;
  summary.other_kernels = timeline.other_kernels;
  summary.is_empty = timeline.calls.empty() && timeline.counted.empty() && !HasWork(timeline);
  if (HasWork(timeline)) {
    summary.knowledge =
        timeline.has_all_kernels ? TimeKnowledge::kAllKernels : TimeKnowledge::kBrackets;
  }
  const StepWindows steps = FindSteps(timeline);
  summary.steps_are_marks = steps.are_marks;
  if (absl::Status status = SummarizeTimes(timeline, steps, summary); !status.ok()) return status;
  const std::vector<uint64_t> calls_by_op = CallsByOp(timeline);
  SummarizeFlop(timeline, steps, FlopAdder(timeline, peaks), summary);
  SummarizeKernels(timeline, steps, summary);
  SummarizeOps(timeline, calls_by_op, summary);
  SummarizeCommunicators(timeline, calls_by_op, summary);
  summary.traffic = TrafficShapesOf(timeline, steps);
  SubtractAttentionRecompute(timeline, steps, summary);
  summary.experts = SummarizeExperts(timeline);
  summary.serving = SummarizeServing(timeline, RunWindow(timeline), peaks);
  summary.step_calls = StepCallsOf(timeline, steps);
  return summary;
}

std::vector<int64_t> StepBorders(const DeviceSummary& device) {
  std::vector<int64_t> borders;
  for (const StepSums& step : device.steps) {
    borders.push_back(step.window.begin_ns);
    borders.push_back(step.window.end_ns);
  }
  return borders;
}

bool IsGap(const DeviceSummary& device, size_t piece) {
  return piece > 0 && piece % 2 == 0 && piece / 2 <= device.steps.size() &&
         device.steps[piece / 2 - 1].has_gap_after;
}

StepRange RangeOf(const DeviceSummary& device, size_t first, size_t last) {
  StepRange range;
  range.window_ns = device.steps[last].window.end_ns - device.steps[first].window.begin_ns;
  for (size_t k = first; k < last; ++k) {
    if (!device.steps[k].has_gap_after) continue;
    range.window_ns -= device.steps[k + 1].window.begin_ns - device.steps[k].window.end_ns;
  }
  range.flop = NoFlop(device.flop.executed.has_value());
  for (size_t k = first; k <= last; ++k) {
    const StepSums& step = device.steps[k];
    range.times += step.times;
    AddSums(range.flop, step.flop);
    AddTo(range.kernel_ns, step.kernel_ns);
    if (k == last) break;
    if (step.has_gap_after) continue;
    range.times += step.times_to_next;
    AddSums(range.flop, step.flop_to_next);
    AddTo(range.kernel_ns, step.kernel_to_next_ns);
  }
  const size_t first_piece = 2 * first + 1;
  const size_t last_piece = 2 * last + 1;
  for (const StraddlingCalls& calls : device.straddling) {
    if (calls.first_piece >= first_piece && calls.last_piece <= last_piece) {
      AddSums(range.flop, calls.flop);
    } else if (calls.last_piece >= first_piece && calls.first_piece <= last_piece) {
      range.is_lower_bound = true;
    }
  }
  return range;
}

}  // namespace mfutrace::report
