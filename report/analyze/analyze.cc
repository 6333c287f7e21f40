// Analyzer: summaries one by one, results once all are there.
#include "report/analyze/analyze.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "report/analyze/budgets.h"
#include "report/analyze/comm.h"
#include "report/analyze/compat_hta.h"
#include "report/analyze/course.h"
#include "report/analyze/experts.h"
#include "report/analyze/lateness.h"
#include "report/analyze/mfu.h"
#include "report/analyze/ops.h"
#include "report/analyze/other_kernels.h"
#include "report/analyze/ranks.h"
#include "report/analyze/rates.h"
#include "report/analyze/serving.h"
#include "report/analyze/step_calls.h"
#include "report/analyze/steps.h"
#include "report/analyze/summary.h"
#include "report/analyze/summary_file.h"
#include "report/analyze/together.h"
#include "shapes/label.h"

namespace mfutrace::report {
namespace {

constexpr size_t kMaxNamedOpaque = 10;
constexpr size_t kLatenessColumns = 60;
constexpr size_t kLatenessRows = 1024;
constexpr char kOneConnection[] = "CUDA_DEVICE_MAX_CONNECTIONS=1";
constexpr uint32_t kMinSteps = 3;  // fewer tell nothing about what is steady
constexpr uint32_t kMinSteadySteps = 2;

void AddNote(std::vector<std::string>& notes, std::string note) {
  if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(std::move(note));
}

// One word for all devices: the common one, or "mixed".
std::string Common(const std::vector<DeviceSummary>& devices, std::string DeviceSummary::*member) {
  std::set<std::string> values;
  for (const DeviceSummary& device : devices) values.insert(device.*member);
  return values.size() == 1 ? *values.begin() : "mixed";
}

// Of libraries that every device has alike.
std::map<std::string, std::string> CommonVersions(const std::vector<DeviceSummary>& devices) {
  std::map<std::string, std::string> versions = devices.front().versions;
  for (const DeviceSummary& device : devices) {
    std::erase_if(versions, [&](const auto& entry) {
      const auto found = device.versions.find(entry.first);
      return found == device.versions.end() || found->second != entry.second;
    });
  }
  return versions;
}

std::string NameOf(SourceKind source) {
  switch (source) {
    case SourceKind::kNative:
      return "mfutrace";
    case SourceKind::kKineto:
      return "kineto";
    case SourceKind::kNsys:
      return "nsys";
    case SourceKind::kInspector:
      return "nccl-inspector";
  }
  return "unknown";
}

std::string TitleOf(const std::vector<DeviceSummary>& devices) {
  for (const DeviceSummary& device : devices) {
    if (!device.command.empty()) return device.command;
  }
  const std::string& path = devices.front().path;
  return path.substr(path.rfind('/') + 1);
}

// Shares of kernel time; nullopt unless every device knows all its kernels.
class CoverageSum {
 public:
  void Add(const std::optional<KernelTimes>& times) {
    if (!times.has_value()) {
      is_known_ = false;
      return;
    }
    for (size_t i = 0; i < sum_.size(); ++i) sum_[i] += (*times)[i];
  }
  std::optional<std::map<std::string, double>> Shares() const {
    int64_t total_ns = 0;
    for (const int64_t ns : sum_) total_ns += ns;
    if (!is_known_ || total_ns == 0) return std::nullopt;
    std::map<std::string, double> shares;
    for (size_t i = 0; i < sum_.size(); ++i) {
      if (sum_[i] == 0) continue;
      shares[std::string(shapes::NameOf(static_cast<shapes::Provenance>(i)))] =
          static_cast<double>(sum_[i]) / static_cast<double>(total_ns);
    }
    return shares;
  }

 private:
  KernelTimes sum_ = {};
  bool is_known_ = true;
};

WindowSummary RunSummary(const std::vector<DeviceSummary>& devices, const PeakTable& peaks,
                         std::vector<std::string>& notes) {
  std::vector<DeviceWindow> windows;
  SplitSum split;
  CoverageSum coverage;
  for (const DeviceSummary& device : devices) {
    windows.push_back({device.gpu, device.window_ns, &device.flop});
    split.Add(SplitOf(device.times, device.knowledge));
    coverage.Add(device.kernel_ns);
  }
  WindowSummary run;
  Utilize(windows, peaks, run, notes);
  run.split = split.total();
  run.coverage = coverage.Shares();
  if (split.devices_without_times() > 0 && split.devices_without_times() < devices.size()) {
    AddNote(notes, absl::StrCat(split.devices_without_times(), " of ", devices.size(),
                                " devices have no GPU times: the time split is of the others"));
  }
  return run;
}

absl::StatusOr<WindowSummary> SteadySummary(const std::vector<DeviceSummary>& devices,
                                            uint32_t first, uint32_t last, const PeakTable& peaks,
                                            std::vector<std::string>& notes) {
  std::vector<StepRange> ranges;
  for (const DeviceSummary& device : devices) ranges.push_back(RangeOf(device, first, last));
  std::vector<DeviceWindow> windows;
  SplitSum split;
  CoverageSum coverage;
  bool is_lower_bound = false;
  for (size_t i = 0; i < devices.size(); ++i) {
    windows.push_back({devices[i].gpu, ranges[i].window_ns, &ranges[i].flop});
    if (!SumsToWindow(ranges[i].times, ranges[i].window_ns)) {
      return NotWhole(devices[i].path, "the steady window");
    }
    split.Add(SplitOf(ranges[i].times, devices[i].knowledge));
    coverage.Add(devices[i].kernel_ns.has_value() ? std::optional(ranges[i].kernel_ns)
                                                  : std::nullopt);
    is_lower_bound = is_lower_bound || ranges[i].is_lower_bound;
  }
  WindowSummary steady;
  Utilize(windows, peaks, steady, notes);
  steady.split = split.total();
  steady.coverage = coverage.Shares();
  if (is_lower_bound) {
    AddNote(notes,
            "calls without a record of their own reach across the border of the steady "
            "window; they are left out there");
  }
  return steady;
}

void FillSteps(const std::vector<DeviceSummary>& devices, RunResult& result) {
  for (const DeviceSummary& device : devices) {
    for (size_t k = 0; k < device.steps.size(); ++k) {
      const StepSums& sums = device.steps[k];
      StepResult step;
      step.rank = device.rank;
      step.index = static_cast<uint32_t>(k);
      step.name = sums.name;
      step.split = SplitOf(sums.times, device.knowledge);
      if (!sums.has_straddling_calls) {
        step.flop_executed = sums.flop.executed;
        step.flop_model = sums.flop.model;
      }
      result.steps.push_back(std::move(step));
    }
    if (!device.steps.empty()) {
      result.steps_found_by = device.steps_are_marks ? "marks" : "period";
    }
  }
}

absl::Status FillSteady(const std::vector<DeviceSummary>& devices, const AnalyzeOptions& options,
                        const PeakTable& peaks, RunResult& result) {
  uint32_t count = UINT32_MAX;
  uint32_t first = 0;
  for (const DeviceSummary& device : devices) {
    count = std::min(count, static_cast<uint32_t>(device.steps.size()));
    std::vector<int64_t> durations_ns;
    for (const StepSums& step : device.steps) {
      durations_ns.push_back(step.window.end_ns - step.window.begin_ns);
    }
    first = std::max(first, FirstSteadyStep(durations_ns));
  }
  if (count < kMinSteps) {
    if (count == 0 && !result.steps.empty()) {
      AddNote(result.quality.notes, "no steady window: steps were found on some devices only");
    }
    return absl::OkStatus();
  }
  if (options.skip_warmup_steps.has_value()) first = *options.skip_warmup_steps;
  if (uint64_t{first} + kMinSteadySteps > count) {
    AddNote(result.quality.notes,
            absl::StrCat("no steady window: ", count, " steps, ", first, " of them warm-up"));
    return absl::OkStatus();
  }
  result.steady_first_step = first;
  result.steady_last_step = count - 1;
  absl::StatusOr<WindowSummary> steady =
      SteadySummary(devices, first, count - 1, peaks, result.quality.notes);
  if (!steady.ok()) return steady.status();
  result.steady = *std::move(steady);
  return absl::OkStatus();
}

void MergeQuality(const std::vector<const DeviceSummary*>& devices, Quality& quality) {
  std::map<std::string, uint64_t> counters;
  int64_t residual_ns = -1;
  bool has_brackets = false;
  bool has_no_times = false;
  bool has_one_connection = false;
  for (const DeviceSummary* device : devices) {
    quality.dropped += device->quality.dropped;
    quality.untimed += device->quality.untimed;
    quality.captured += device->quality.captured;
    quality.damaged_files += device->quality.damaged_files;
    for (const std::string& note : device->quality.notes) AddNote(quality.notes, note);
    for (const auto& [name, value] : device->quality.counters) counters[name] += value;
    residual_ns = std::max(residual_ns, device->clock_residual_ns.value_or(-1));
    if (device->source == SourceKind::kNative && !device->is_empty &&
        device->knowledge == TimeKnowledge::kNothing) {
      has_no_times = true;
    }
    has_one_connection =
        has_one_connection ||
        (device->timing != "cupti" && absl::StrContains(device->timing_reason, kOneConnection));
    has_brackets = has_brackets || device->knowledge == TimeKnowledge::kBrackets;
  }
  for (const auto& [name, value] : counters) {
    if (name == "files_without_end") {
      AddNote(quality.notes, absl::StrCat(value, value == 1 ? " file has" : " files have",
                                          " no end record (process killed, or still running): "
                                          "figures end at the last flush"));
    }
    quality.counters.emplace_back(name, value);
  }
  if (has_brackets) {
    AddNote(quality.notes,
            "only intercepted calls have GPU times: compute is a lower bound, "
            "exposed communication an upper bound");
  }
  if (has_no_times) {
    AddNote(quality.notes,
            "no GPU times: time split, overlap, exposed communication and rates of operations are "
            "not known; FLOPs and the run's MFU are exact");
  }
  if (has_one_connection) {
    AddNote(quality.notes,
            "with CUDA_DEVICE_MAX_CONNECTIONS=1 times come without a cost in overlap from CUPTI "
            "alone (--timing cupti); MFUTRACE_FORCE_EVENTS=1 gives them and serialises streams");
  }
  if (quality.captured > 0) {
    AddNote(quality.notes, absl::StrCat(quality.captured,
                                        " calls were captured into CUDA graphs; each launch counts "
                                        "what its graph holds"));
  }
  if (residual_ns >= 0) {
    AddNote(quality.notes,
            absl::StrCat("GPU times lie on the host's clock to within ", residual_ns, " ns"));
  }
}

void FillSampling(const std::vector<DeviceSummary>& devices, RunResult& result) {
  SamplingResult sampling;
  Sampling paces;
  bool is_partial = false;
  for (const DeviceSummary& device : devices) {
    is_partial = is_partial || device.sampling.is_partial;
    sampling.asked = device.sampling.asked;
    sampling.windows += device.sampling.host.size();
    sampling.timed_ns += device.timed_ns;
    sampling.run_ns += device.window_ns;
    sampling.calls_outside += device.sampling.calls_outside;
    paces.timed_ns += device.sampling.timed_ns;
    paces.timed_calls += device.sampling.timed_calls;
    paces.untimed_ns += device.sampling.untimed_ns;
    paces.untimed_calls += device.sampling.untimed_calls;
    if (device.sampling.cost_ppm.has_value()) {
      sampling.cost_ratio = std::max(sampling.cost_ratio.value_or(0),
                                     static_cast<double>(*device.sampling.cost_ppm) / 1e6);
    }
  }
  if (!is_partial) return;
  sampling.timed_calls_per_s = PerSecond(paces.timed_calls, paces.timed_ns);
  sampling.untimed_calls_per_s = PerSecond(paces.untimed_calls, paces.untimed_ns);
  result.sampling = std::move(sampling);
}

void FillOwnCost(const std::vector<const DeviceSummary*>& devices, RunResult& result) {
  OwnCost sum;
  OwnCostResult cost;
  const auto keep_larger = [](std::optional<uint64_t>& kept, std::optional<uint64_t> value) {
    if (value.has_value()) kept = std::max(kept.value_or(0), *value);
  };
  for (const DeviceSummary* device : devices) {
    const OwnCost& own = device->own_cost;
    sum.probed_calls += own.probed_calls;
    sum.probed_ns += own.probed_ns;
    sum.process_ns += own.process_ns;
    cost.flusher_cpu_ns += own.flusher_cpu_ns;
    keep_larger(cost.event_gpu_ns, own.event_gpu_ns);
    keep_larger(cost.event_resolution_ns, own.event_resolution_ns);
  }
  if (cost.flusher_cpu_ns == 0) return;
  if (sum.probed_calls > 0) {
    cost.ns_per_call = static_cast<double>(sum.probed_ns) / static_cast<double>(sum.probed_calls);
  }
  if (sum.process_ns > 0) {
    cost.flusher_share =
        static_cast<double>(cost.flusher_cpu_ns) / static_cast<double>(sum.process_ns);
  }
  result.own_cost = cost;
}

void NameOpaque(const std::vector<OpResult>& ops, Quality& quality) {
  std::map<std::string, uint64_t> calls;
  for (const OpResult& op : ops) {
    if (op.kind == std::string(shapes::NameOf(shapes::OpKind::kOpaque)))
      calls[op.label] += op.calls;
  }
  if (calls.empty()) return;
  std::vector<std::pair<std::string, uint64_t>> names(calls.begin(), calls.end());
  std::stable_sort(names.begin(), names.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string text = "seen but not understood, no FLOPs counted: ";
  for (size_t i = 0; i < std::min(names.size(), kMaxNamedOpaque); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", names[i].first, " (", names[i].second, ")");
  }
  if (names.size() > kMaxNamedOpaque) {
    absl::StrAppend(&text, " and ", names.size() - kMaxNamedOpaque, " more");
  }
  AddNote(quality.notes, std::move(text));
}

void NameGpus(const std::vector<DeviceSummary>& devices, RunResult& result) {
  result.gpu = Common(devices, &DeviceSummary::gpu);
  if (result.gpu != "mixed") return;
  std::map<std::string, uint32_t> counts;
  for (const DeviceSummary& device : devices) {
    ++counts[device.gpu.empty() ? "unnamed" : device.gpu];
  }
  std::string text = "GPUs:";
  for (const auto& [name, count] : counts) absl::StrAppend(&text, " ", count, " x ", name, ",");
  text.pop_back();
  AddNote(result.quality.notes, std::move(text));
}

}  // namespace

namespace {

UsedPeaks PeaksOf(const DeviceSummary& device, const PeakTable& peaks) {
  UsedPeaks used;
  for (const std::optional<shapes::PeakRate>& rate : device.op_rates) {
    if (!rate.has_value()) continue;
    const std::optional<Peak> peak = peaks.Find(device.gpu, *rate);
    if (peak.has_value()) used.flop_per_s[*rate] = peak->flop_per_s;
  }
  // Only what a roofline is made of matters.
  if (!used.flop_per_s.empty()) used.memory_bytes_per_s = peaks.MemoryBytesPerSecond(device.gpu);
  return used;
}

}  // namespace

struct Analyzer::State {
  explicit State(AnalyzeOptions given)
      : options(std::move(given)),
        peaks(options.peak_overrides, options.user_peaks),
        sampler(options.sample) {}

  AnalyzeOptions options;
  PeakTable peaks;
  Sampler sampler;
  std::vector<DeviceSummary> devices;
  absl::Status status;
};

Analyzer::Analyzer(AnalyzeOptions options) : state_(std::make_unique<State>(std::move(options))) {}

Analyzer::~Analyzer() = default;

absl::StatusOr<DeviceSummary> Analyzer::Reduce(const Timeline& timeline) const {
  absl::StatusOr<DeviceSummary> summary = Summarize(timeline, &state_->peaks);
  if (!summary.ok()) return summary;
  summary->used_peaks = PeaksOf(*summary, state_->peaks);
  if (state_->options.compat_hta && timeline.source == SourceKind::kKineto) {
    for (const bool include_last_step : {false, true}) {
      HtaOptions hta;
      hta.include_last_step = include_last_step;
      summary->compat_hta.push_back(ComputeHtaCompat(timeline, hta));
    }
  }
  return summary;
}

void Analyzer::Look(const Timeline& timeline, const DeviceSummary& summary) {
  state_->sampler.Add(timeline, summary);
}

void Analyzer::Add(DeviceSummary summary) {
  const UsedPeaks own = PeaksOf(summary, state_->peaks);
  if (own.flop_per_s != summary.used_peaks.flop_per_s ||
      own.memory_bytes_per_s != summary.used_peaks.memory_bytes_per_s) {
    state_->status.Update(absl::FailedPreconditionError(
        absl::StrCat(summary.path, " was reduced with other peaks of ", summary.gpu,
                     "; give the same --peak and --peaks to reduce and report")));
  }
  state_->devices.push_back(std::move(summary));
}

void Analyzer::Add(const Timeline& timeline) {
  absl::StatusOr<DeviceSummary> summary = Reduce(timeline);
  if (summary.ok()) {
    Look(timeline, *summary);
    Add(*std::move(summary));
  } else {
    state_->status.Update(summary.status());
  }
}

absl::StatusOr<RunResult> Analyzer::Finish() {
  if (!state_->status.ok()) return state_->status;
  RunResult result;
  std::vector<DeviceSummary> devices = std::move(state_->devices);
  SortSummaries(devices);
  DropOlderAttempts(devices, result.quality.notes);
  // A file without a call has nothing to report on but its own health.
  std::vector<DeviceSummary> empty;
  const auto first_empty = std::stable_partition(
      devices.begin(), devices.end(), [](const DeviceSummary& device) { return !device.is_empty; });
  empty.assign(std::make_move_iterator(first_empty), std::make_move_iterator(devices.end()));
  devices.erase(first_empty, devices.end());
  if (!empty.empty()) {
    AddNote(result.quality.notes,
            absl::StrCat(empty.size(), empty.size() == 1 ? " file holds" : " files hold",
                         " no call at all"));
  }
  AssignRanks(devices, result.quality.notes);
  SortByRank(devices);
  result.world_size = WorldSize(devices);
  Together together =
      PutTogether(devices, result.world_size, state_->options.layout, result.quality.notes);
  result.clock = ClockOf(devices, together.clocks);
  result.stragglers = std::move(together.stragglers);
  result.lateness = LatenessMapOf(together.lateness, devices, kLatenessColumns, kLatenessRows);
  result.sample = state_->sampler.Finish(devices, together.clocks);
  const std::optional<int32_t>& only = state_->options.rank;
  if (only.has_value()) {
    devices.erase(std::remove_if(devices.begin(), devices.end(),
                                 [&](const DeviceSummary& device) { return device.rank != *only; }),
                  devices.end());
    if (devices.empty()) {
      return absl::FailedPreconditionError(absl::StrCat("no trace is of rank ", *only));
    }
    std::erase_if(result.sample.devices,
                  [&](const SampledDevice& device) { return device.rank != *only; });
  }
  if (devices.empty()) {
    return absl::FailedPreconditionError(
        "nothing to report on: the traces hold no intercepted call and no GPU work");
  }

  const PeakTable& peaks = state_->peaks;
  result.title = TitleOf(devices);
  NameGpus(devices, result);
  result.source = NameOf(devices.front().source);
  result.devices = static_cast<uint32_t>(devices.size());
  result.timing = Common(devices, &DeviceSummary::timing);
  result.timing_reason = Common(devices, &DeviceSummary::timing_reason);
  std::vector<const DeviceSummary*> with_health;
  for (const DeviceSummary& device : devices) with_health.push_back(&device);
  for (const DeviceSummary& device : empty) with_health.push_back(&device);
  MergeQuality(with_health, result.quality);
  FillSampling(devices, result);
  FillOwnCost(with_health, result);
  result.run = RunSummary(devices, peaks, result.quality.notes);
  for (const DeviceSummary& device : devices) {
    result.ranks.push_back(RankRow(device));
    FillWaits(device, together.waits.groups, result.ranks.back());
  }
  FillSteps(devices, result);
  FillStepCalls(devices, result);
  result.versions = CommonVersions(devices);
  if (absl::Status status = FillSteady(devices, state_->options, peaks, result); !status.ok()) {
    return status;
  }
  if (absl::Status status = FillBudgets(devices, peaks, together.waits, result); !status.ok()) {
    return status;
  }
  for (const auto& [rate, flop] : result.run.flop.executed_by_rate) {
    const std::optional<Peak> peak = peaks.Find(result.gpu, rate);
    if (flop > 0 && peak.has_value()) result.peaks[rate] = peak->flop_per_s;
  }
  result.course = CourseOf(result.steps, kCoursePoints);
  const auto peak_of = [&](const std::string& gpu, shapes::PeakRate rate) {
    const std::optional<Peak> peak = peaks.Find(gpu, rate);
    return peak.has_value() ? std::optional<uint64_t>(peak->flop_per_s) : std::nullopt;
  };
  result.ops = MergeOps(devices, peak_of,
                        [&](const std::string& gpu) { return peaks.MemoryBytesPerSecond(gpu); });
  result.serving = MergeServing(devices, peaks);
  for (const DeviceSummary& device : devices) {
    if (!device.attention_recompute.has_value()) continue;
    if (!result.attention_recompute.has_value()) result.attention_recompute.emplace();
    result.attention_recompute->forward_calls += device.attention_recompute->forward_calls;
    result.attention_recompute->backward_calls += device.attention_recompute->backward_calls;
    result.attention_recompute->recomputed_calls += device.attention_recompute->recomputed_calls;
    result.attention_recompute->flop += device.attention_recompute->flop;
  }
  result.experts = MergeExperts(devices);
  result.exchanges = MergeExchanges(devices);
  NameOpaque(result.ops, result.quality);
  result.other_kernels = MergeOtherKernels(devices);
  result.communicators = MergeCommunicators(devices, together.waits.groups, together.verdicts);
  const size_t hta = state_->options.hta_include_last_step ? 1 : 0;
  for (const DeviceSummary& device : devices) {
    if (!state_->options.compat_hta || hta >= device.compat_hta.size()) continue;
    result.compat_hta.push_back(device.compat_hta[hta]);
  }
  return result;
}

}  // namespace mfutrace::report
