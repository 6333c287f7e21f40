// Utilization: FLOPs over window x peak.
#include "report/analyze/mfu.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace mfutrace::report {
namespace {

constexpr double kNsPerSecond = 1e9;

// Key of FlopSums::executed_by_kind.
const char* KindKey(shapes::OpKind kind) {
  switch (kind) {
    case shapes::OpKind::kGemm:
      return "gemm";
    case shapes::OpKind::kAttention:
      return "attention";
    case shapes::OpKind::kConvolution:
      return "convolution";
    case shapes::OpKind::kRnn:
      return "rnn";
    case shapes::OpKind::kOpaque:
    case shapes::OpKind::kCollective:
    case shapes::OpKind::kMatrix:
      break;
  }
  return "other";
}

void AddOptional(std::optional<Flop>& sum, const std::optional<Flop>& other) {
  if (!sum.has_value()) return;
  if (other.has_value()) {
    *sum += *other;
  } else {
    sum.reset();
  }
}

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::string GpuText(const std::string& gpu) {
  return gpu.empty() ? std::string("a GPU that the trace does not name")
                     : absl::StrCat("\"", gpu, "\"");
}

void AddNote(std::vector<std::string>& notes, std::string note) {
  if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(std::move(note));
}

// Sum over devices of window x peak, in FLOP ns/s; nullopt with a note if a device has no such
// peak.
std::optional<double> Capacity(std::span<const DeviceWindow> devices, const PeakTable& peaks,
                               shapes::PeakRate rate, std::vector<std::string>& notes) {
  double capacity = 0;
  bool is_known = true;
  for (const DeviceWindow& device : devices) {
    const std::optional<Peak> peak = peaks.Find(device.gpu, rate);
    if (peak.has_value()) {
      capacity += static_cast<double>(device.window_ns) * static_cast<double>(peak->flop_per_s);
      continue;
    }
    is_known = false;
    const absl::string_view name = View(shapes::NameOf(rate));
    AddNote(notes, absl::StrCat(peaks.Knows(device.gpu) ? "no published " : "unknown GPU, no ",
                                name, " peak for ", GpuText(device.gpu),
                                ": no MFU; give the dense figure with --peak ", name,
                                "=FLOP_PER_S or in a peaks file"));
  }
  if (!is_known || capacity <= 0) return std::nullopt;
  return capacity;
}

}  // namespace

FlopSums NoFlop(bool has_shapes) {
  FlopSums sums;
  if (!has_shapes) return sums;
  sums.executed = sums.model = sums.full_attention = Flop(0);
  for (const char* kind : {"gemm", "attention", "convolution", "rnn", "other"}) {
    sums.executed_by_kind[kind] = 0;
  }
  return sums;
}

void AddCalls(FlopSums& sums, const Op& op, uint64_t calls) {
  if (!sums.executed.has_value() || !op.flop_executed.has_value() || calls == 0) return;
  if (op.kind == shapes::OpKind::kCollective) return;
  const Flop executed = Flop(*op.flop_executed) * calls;
  const Flop model = Flop(op.flop_model.value_or(*op.flop_executed)) * calls;
  *sums.executed += executed;
  *sums.model += model;
  *sums.full_attention += Flop(op.flop_full_attention.value_or(*op.flop_executed)) * calls;
  sums.executed_by_kind[KindKey(op.kind)] += executed;
  if (op.provenance == shapes::Provenance::kBound) sums.executed_bound += executed;
  if (op.rate.has_value()) {
    sums.executed_by_rate[*op.rate] += executed;
    sums.model_by_rate[*op.rate] += model;
  } else {
    sums.executed_without_rate += executed;
  }
}

void AddSums(FlopSums& sums, const FlopSums& other) {
  AddOptional(sums.executed, other.executed);
  AddOptional(sums.model, other.model);
  AddOptional(sums.full_attention, other.full_attention);
  if (!sums.executed.has_value()) {
    sums = FlopSums();
    return;
  }
  for (const auto& [kind, flop] : other.executed_by_kind) sums.executed_by_kind[kind] += flop;
  for (const auto& [rate, flop] : other.executed_by_rate) sums.executed_by_rate[rate] += flop;
  for (const auto& [rate, flop] : other.model_by_rate) sums.model_by_rate[rate] += flop;
  for (const auto& [rate, flop] : other.untimed_by_rate) sums.untimed_by_rate[rate] += flop;
  sums.beyond_peak_ps += other.beyond_peak_ps;
  sums.executed_without_rate += other.executed_without_rate;
  sums.executed_bound += other.executed_bound;
}

PeakTable::PeakTable(std::map<shapes::PeakRate, uint64_t> overrides, UserPeaks user_peaks)
    : overrides_(std::move(overrides)), user_peaks_(std::move(user_peaks)) {}

std::optional<Peak> PeakTable::Find(const std::string& gpu, shapes::PeakRate rate) const {
  std::optional<Peak> peak = FindExactly(gpu, rate);
  if (!peak.has_value() && rate == shapes::PeakRate::kF64Tensor) {
    peak = FindExactly(gpu, shapes::PeakRate::kF64);
  }
  return peak;
}

std::optional<Peak> PeakTable::FindExactly(const std::string& gpu, shapes::PeakRate rate) const {
  const auto override_found = overrides_.find(rate);
  if (override_found != overrides_.end()) return Peak{override_found->second, "--peak"};
  if (gpu.empty()) return std::nullopt;
  for (const UserGpu& user : user_peaks_.gpus) {
    if (user.name != gpu) continue;
    const auto found = user.peak_flop_per_s.find(rate);
    if (found != user.peak_flop_per_s.end()) return Peak{found->second, user.source};
    break;
  }
  const shapes::Gpu* known = shapes::FindGpu(gpu);
  if (known == nullptr) return std::nullopt;
  const std::optional<uint64_t> flop_per_s = shapes::PeakFlopPerSecond(*known, rate);
  if (!flop_per_s.has_value()) return std::nullopt;
  return Peak{*flop_per_s, std::string(known->source)};
}

std::optional<Peak> PeakTable::FindMeasured(const std::string& gpu, shapes::PeakRate rate) const {
  for (auto measured = user_peaks_.measured.rbegin(); measured != user_peaks_.measured.rend();
       ++measured) {
    if (measured->name != gpu || gpu.empty()) continue;
    auto found = measured->flop_per_s.find(rate);
    if (found == measured->flop_per_s.end() && rate == shapes::PeakRate::kF64Tensor) {
      found = measured->flop_per_s.find(shapes::PeakRate::kF64);
    }
    if (found == measured->flop_per_s.end()) continue;
    std::string source = measured->library;
    if (!measured->when.empty())
      absl::StrAppend(&source, source.empty() ? "" : ", ", measured->when);
    return Peak{found->second, std::move(source)};
  }
  return std::nullopt;
}

std::optional<uint64_t> PeakTable::MemoryBytesPerSecond(const std::string& gpu) const {
  if (gpu.empty()) return std::nullopt;
  for (const UserGpu& user : user_peaks_.gpus) {
    if (user.name != gpu) continue;
    if (user.memory_bytes_per_s != 0) return user.memory_bytes_per_s;
    break;
  }
  const shapes::Gpu* known = shapes::FindGpu(gpu);
  if (known == nullptr || known->memory_bytes_per_s == 0) return std::nullopt;
  return known->memory_bytes_per_s;
}

bool PeakTable::Knows(const std::string& gpu) const {
  if (gpu.empty()) return false;
  return shapes::FindGpu(gpu) != nullptr ||
         std::any_of(user_peaks_.gpus.begin(), user_peaks_.gpus.end(),
                     [&](const UserGpu& user) { return user.name == gpu; });
}

namespace {

// The same quotient against measured rates; unknown unless every format has one on every device.
void UtilizeMeasured(std::span<const DeviceWindow> devices, const PeakTable& peaks,
                     WindowSummary& summary) {
  double mfu = 0;
  for (const auto& [rate, model] : summary.flop.model_by_rate) {
    if (model == 0) continue;
    double capacity = 0;
    for (const DeviceWindow& device : devices) {
      const std::optional<Peak> peak = peaks.FindMeasured(device.gpu, rate);
      if (!peak.has_value()) return;
      capacity += static_cast<double>(device.window_ns) * static_cast<double>(peak->flop_per_s);
      if (rate == summary.peak_rate) {
        summary.measured_flop_per_s = peak->flop_per_s;
        summary.measured_source = peak->source;
      }
    }
    if (capacity <= 0) return;
    mfu += static_cast<double>(model) * kNsPerSecond / capacity;
  }
  if (mfu > 0) summary.mfu_of_measured = mfu;
}

}  // namespace

void Utilize(std::span<const DeviceWindow> devices, const PeakTable& peaks, WindowSummary& summary,
             std::vector<std::string>& notes) {
  summary.window_ns = 0;
  summary.flop = NoFlop(!devices.empty());
  for (const DeviceWindow& device : devices) {
    summary.window_ns += device.window_ns;
    AddSums(summary.flop, *device.flop);
  }
  const FlopSums& flop = summary.flop;
  if (!flop.executed.has_value() || summary.window_ns <= 0 || *flop.executed == 0) return;

  double hfu = 0;
  double mfu = 0;
  bool is_known = true;
  std::optional<shapes::PeakRate> main_rate;
  double main_capacity = 0;
  for (const auto& [rate, executed] : flop.executed_by_rate) {
    if (executed == 0) continue;
    const std::optional<double> capacity = Capacity(devices, peaks, rate, notes);
    if (!main_rate.has_value() || executed > flop.executed_by_rate.at(*main_rate)) {
      main_rate = rate;
      main_capacity = capacity.value_or(0);
    }
    if (!capacity.has_value()) {
      is_known = false;
      continue;
    }
    hfu += static_cast<double>(executed) * kNsPerSecond / *capacity;
    const auto model = flop.model_by_rate.find(rate);
    if (model != flop.model_by_rate.end()) {
      mfu += static_cast<double>(model->second) * kNsPerSecond / *capacity;
    }
  }
  summary.peak_rate = main_rate;
  if (main_rate.has_value() && main_capacity > 0) {
    summary.mfu_single_peak = static_cast<double>(*flop.model) * kNsPerSecond / main_capacity;
    std::set<uint64_t> figures;
    for (const DeviceWindow& device : devices) {
      const std::optional<Peak> peak = peaks.Find(device.gpu, *main_rate);
      if (!peak.has_value()) continue;
      figures.insert(peak->flop_per_s);
      if (summary.peak_source.empty()) summary.peak_source = peak->source;
    }
    if (figures.size() == 1) {
      summary.peak_flop_per_s = *figures.begin();
    } else {
      AddNote(notes, "devices differ in peak: the denominator is the sum of each one's own");
    }
  }
  if (flop.executed_without_rate == 0) UtilizeMeasured(devices, peaks, summary);
  if (flop.executed_without_rate > 0) {
    const double share =
        static_cast<double>(flop.executed_without_rate) / static_cast<double>(*flop.executed);
    AddNote(notes, absl::StrCat("no MFU: ", share * 100, " % of the FLOPs are in formats or ",
                                "arithmetic without a peak of their own"));
    is_known = false;
  }
  if (!is_known) return;
  summary.hfu = hfu;
  summary.mfu = mfu;
}

}  // namespace mfutrace::report
