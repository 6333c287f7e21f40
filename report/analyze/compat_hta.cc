// See compat_hta.h. Definitions read from HolisticTraceAnalysis f4d0062c: trace_parser.py
// (rounding), trace.py (trimming), types.py (kernel classes by name), utils.py (merging),
// breakdown_analysis.py and communication_analysis.py (the figures).
#include "report/analyze/compat_hta.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace mfutrace::report {
namespace {

struct Span {
  int64_t begin_us = 0;
  int64_t end_us = 0;  // may lie before the begin: rounding turns a short kernel inside out
};

// The text's microseconds as the float64 that Python reads.
double MicrosOf(int64_t time_ns) {
  return static_cast<double>(static_cast<long double>(time_ns) / 1000.0L);
}

Span Rounded(const Interval& time) {
  const double begin_us = MicrosOf(time.begin_ns);
  const double end_us = begin_us + MicrosOf(time.end_ns - time.begin_ns);
  return {static_cast<int64_t>(std::ceil(begin_us)), static_cast<int64_t>(std::floor(end_us))};
}

bool HasAny(absl::string_view name, std::initializer_list<absl::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](absl::string_view part) { return absl::StrContains(name, part); });
}

bool StartsWithAny(absl::string_view name, std::initializer_list<absl::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](absl::string_view prefix) { return absl::StartsWith(name, prefix); });
}

enum class HtaClass { kCommunication, kMemory, kComputation, kOther };

HtaClass ClassOf(const Timeline& timeline, const Work& work) {
  if (work.kernel >= timeline.kernel_names.size()) {
    if (work.work_class == WorkClass::kCommunication) return HtaClass::kCommunication;
    return work.work_class == WorkClass::kCopy ? HtaClass::kMemory : HtaClass::kComputation;
  }
  const absl::string_view name = timeline.kernel_names[work.kernel];
  if (StartsWithAny(name, {"nccl", "hip", "hccl"}) || absl::StrContains(name, "ncclKernel")) {
    return HtaClass::kCommunication;
  }
  if (StartsWithAny(name, {"Memcpy", "Memset", "dma"})) return HtaClass::kMemory;
  if (HasAny(name, {"Memcpy", "Memset", "dma", "Sync"}) ||
      StartsWithAny(name, {"Stream Wait Event", "runFunction", "job_exe", "packet", "pe_exe",
                           "cpum_exe_subgraph", "collective_subgraph_execution"})) {
    return HtaClass::kOther;
  }
  const size_t cuda = name.find("cuda");
  if (cuda != absl::string_view::npos && absl::StrContains(name.substr(cuda), "LaunchKernel")) {
    return HtaClass::kOther;
  }
  return HtaClass::kComputation;
}

// HTA's merge: a span starts a new group where it begins after every earlier end. A group's length
// is counted as it comes out, so a lone inside-out span counts -1.
std::vector<Span> Merged(std::vector<Span> spans) {
  std::stable_sort(spans.begin(), spans.end(),
                   [](const Span& a, const Span& b) { return a.begin_us < b.begin_us; });
  std::vector<Span> groups;
  int64_t last_end_us = 0;
  for (const Span& span : spans) {
    if (groups.empty() || span.begin_us > last_end_us) {
      groups.push_back(span);
      last_end_us = groups.size() == 1 ? span.end_us : std::max(last_end_us, span.end_us);
    } else {
      groups.back().end_us = std::max(groups.back().end_us, span.end_us);
      last_end_us = std::max(last_end_us, span.end_us);
    }
  }
  return groups;
}

int64_t TotalOf(const std::vector<Span>& groups) {
  return std::accumulate(groups.begin(), groups.end(), int64_t{0},
                         [](int64_t sum, const Span& s) { return sum + s.end_us - s.begin_us; });
}

// Both lists merged and sorted.
int64_t OverlapOf(const std::vector<Span>& a, const std::vector<Span>& b) {
  int64_t overlap_us = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const int64_t begin_us = std::max(a[i].begin_us, b[j].begin_us);
    const int64_t end_us = std::min(a[i].end_us, b[j].end_us);
    overlap_us += std::max<int64_t>(0, end_us - begin_us);
    (a[i].end_us < b[j].end_us ? i : j) += 1;
  }
  return overlap_us;
}

// "4-5", "551", "" where there are no marks.
std::string StepNumbers(const Timeline& timeline, size_t count) {
  if (count == 0) return "";
  const auto number = [&](size_t i) {
    const std::string& name = timeline.steps[i].name;
    return name.substr(std::min(name.size(), name.find('#') + 1));
  };
  return count == 1 ? number(0) : absl::StrCat(number(0), "-", number(count - 1));
}

}  // namespace

HtaCompat ComputeHtaCompat(const Timeline& timeline, const HtaOptions& options) {
  // With several steps, only work launched before the last one starts (or ends) is kept, and work
  // without a known launch is dropped. With one step or none, everything is kept.
  const bool is_trimmed = timeline.steps.size() > 1;
  Span last_step;
  int64_t last_end_us = INT64_MIN;
  for (const StepMark& step : timeline.steps) {
    const Span span = Rounded(step.time);
    if (span.begin_us >= last_step.begin_us) last_step = span;
    last_end_us = std::max(last_end_us, span.end_us);
  }

  std::vector<Span> all;
  std::vector<Span> compute;
  std::vector<Span> comm;
  for (const Work& work : timeline.works) {
    if (is_trimmed) {
      if (work.launch_ns == 0) continue;
      const int64_t launch_us = Rounded({work.launch_ns, work.launch_ns}).begin_us;
      if (options.include_last_step ? launch_us > last_end_us : launch_us >= last_step.begin_us) {
        continue;
      }
    }
    const Span span = Rounded(work.time);
    all.push_back(span);
    const HtaClass work_class = ClassOf(timeline, work);
    if (work_class == HtaClass::kComputation) compute.push_back(span);
    if (work_class == HtaClass::kCommunication) comm.push_back(span);
  }

  HtaCompat result;
  const bool drops_last = is_trimmed && !options.include_last_step;
  result.steps = StepNumbers(timeline, timeline.steps.size() - (drops_last ? 1 : 0));
  if (all.empty()) return result;
  const std::vector<Span> busy = Merged(std::move(all));
  const std::vector<Span> compute_groups = Merged(std::move(compute));
  const std::vector<Span> comm_groups = Merged(std::move(comm));
  result.span_us = busy.back().end_us - busy.front().begin_us;
  result.idle_us = result.span_us - TotalOf(busy);
  result.compute_us = TotalOf(compute_groups);
  result.comm_us = TotalOf(comm_groups);
  result.overlap_us = OverlapOf(comm_groups, compute_groups);
  result.non_compute_us = result.span_us - result.compute_us - result.idle_us;
  if (result.comm_us > 0) {
    result.overlap_pct =
        100.0 * static_cast<double>(result.overlap_us) / static_cast<double>(result.comm_us);
  }
  return result;
}

}  // namespace mfutrace::report
