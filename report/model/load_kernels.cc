// See load_kernels.h.
#include "report/model/load_kernels.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace mfutrace::report {
namespace {

constexpr uint8_t kCommunication = 1;
constexpr uint8_t kCopy = 2;

std::string Demangled(const std::string& name) {
  if (name.rfind("_Z", 0) != 0) return name;
  int status = 0;
  char* readable = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  if (readable == nullptr) return name;
  std::string text = readable;
  std::free(readable);
  return text;
}

std::string Seconds(int64_t ns) {
  const int64_t tenths = std::max<int64_t>(ns, 0) / 100'000'000;
  return absl::StrCat(tenths / 10, ".", tenths % 10);
}

}  // namespace

bool SeesAllKernels(const std::vector<TimingPeriod>& periods, const Interval& host_window) {
  int64_t seen_ns = 0;
  for (size_t i = 0; i < periods.size(); ++i) {
    if (periods[i].backend != "cupti") continue;
    const int64_t begin_ns = std::max(periods[i].begin_ns, host_window.begin_ns);
    const int64_t end_ns = i + 1 < periods.size()
                               ? std::min(periods[i + 1].begin_ns, host_window.end_ns)
                               : host_window.end_ns;
    seen_ns += std::max<int64_t>(end_ns - begin_ns, 0);
  }
  const int64_t window_ns = host_window.end_ns - host_window.begin_ns;
  return seen_ns > 0 && window_ns - seen_ns <= window_ns / 100;
}

void NoteTimingChanges(const std::vector<TimingPeriod>& periods, int64_t start_ns,
                       const std::string& file, Quality& quality) {
  std::string text;
  bool has_cupti = false;
  for (const TimingPeriod& period : periods) {
    if (has_cupti) {
      absl::StrAppend(&text, text.empty() ? "" : ", then ", period.backend, " from ",
                      Seconds(period.begin_ns - start_ns), " s on (", period.reason, ")");
    }
    has_cupti = has_cupti || period.backend == "cupti";
  }
  if (text.empty()) return;
  quality.notes.push_back(absl::StrCat(file, ": timing changed to ", text,
                                       "; kernels of no call are known only while it was cupti"));
}

Work ForeignWork(Interval time, uint32_t stream, uint8_t family) {
  Work work;
  work.time = {time.begin_ns, std::max(time.begin_ns, time.end_ns)};
  // CUPTI numbers streams in its own way; the high half keeps them apart from the calls' streams.
  work.stream = stream | 0x80000000u;
  work.work_class = family == kCommunication ? WorkClass::kCommunication
                    : family == kCopy        ? WorkClass::kCopy
                                             : WorkClass::kCompute;
  return work;
}

void OtherKernels::AddSum(const trace::ForeignKernels& sum, const std::string& name) {
  OtherKernel& kernel = sums_[{sum.device, name}];
  kernel.is_communication = sum.family == kCommunication;
  kernel.kernels = kernel.kernels.value_or(0) + sum.kernels;
  kernel.time_ns = kernel.time_ns.value_or(0) + sum.busy_ns;
}

void OtherKernels::AddLaunches(const trace::KernelLaunches& launches, const std::string& name) {
  launches_[launches.name] = {name, launches.launches};
}

uint32_t OtherKernels::NameIn(Timeline& timeline, const trace::ForeignEach& each,
                              const std::string& name) {
  const auto [found, is_new] = names_.try_emplace({each.device, each.name}, 0);
  if (is_new) {
    found->second = static_cast<uint32_t>(timeline.kernel_names.size());
    timeline.kernel_names.push_back(Demangled(name));
  }
  return found->second;
}

void OtherKernels::Fill(Timeline& timeline) const {
  for (const auto& [key, sum] : sums_) {
    if (key.first != timeline.device.ordinal) continue;
    timeline.other_kernels.push_back(sum);
    timeline.other_kernels.back().name = Demangled(key.second);
  }
}

void OtherKernels::FillLaunches(Timeline& timeline) const {
  std::map<std::string, uint64_t> by_name;
  for (const auto& [string, launches] : launches_) by_name[launches.first] += launches.second;
  for (const auto& [name, launches] : by_name) {
    OtherKernel kernel;
    kernel.name = Demangled(name);
    kernel.launches = launches;
    timeline.other_kernels.push_back(std::move(kernel));
  }
}

}  // namespace mfutrace::report
