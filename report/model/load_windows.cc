// See load_windows.h.
#include "report/model/load_windows.h"

#include <algorithm>
#include <array>
#include <ctime>

namespace mfutrace::report {
namespace {

std::optional<uint64_t> Take(std::map<std::string, uint64_t>& counters, const char* name) {
  const auto found = counters.find(name);
  if (found == counters.end()) return std::nullopt;
  const uint64_t value = found->second;
  counters.erase(found);
  return value;
}

// The window that an instant of the host belongs to: the last one that had opened by then.
size_t WindowAt(const std::vector<Interval>& windows, int64_t host_ns) {
  const auto after =
      std::upper_bound(windows.begin(), windows.end(), host_ns,
                       [](int64_t time, const Interval& window) { return time < window.begin_ns; });
  return after == windows.begin() ? 0 : static_cast<size_t>(after - windows.begin()) - 1;
}

}  // namespace

Sampling SamplingOf(const std::vector<RecordingWindow>& windows, int64_t start_ns, int64_t end_ns) {
  Sampling sampling;
  sampling.is_partial = windows.size() > 1;
  for (size_t i = 0; i < windows.size(); ++i) {
    const trace::WindowRecord& opened = windows[i].opened;
    const std::optional<trace::WindowRecord>& closed = windows[i].closed;
    // A forged or damaged order must not become a negative length.
    const int64_t closed_ns = std::max(opened.monotonic_ns, closed ? closed->monotonic_ns : end_ns);
    sampling.host.push_back({opened.monotonic_ns, closed_ns});
    if (closed && closed->reason == static_cast<uint8_t>(trace::WindowReason::kSizeLimit)) {
      sampling.limit_ns = closed_ns - start_ns;
    }
    if (closed && opened.reason == static_cast<uint8_t>(trace::WindowReason::kSchedule) &&
        closed->calls >= opened.calls) {
      sampling.timed_ns += closed_ns - opened.monotonic_ns;
      sampling.timed_calls += closed->calls - opened.calls;
    }
    if (i == 0 || !windows[i - 1].closed || opened.calls < windows[i - 1].closed->calls) continue;
    sampling.untimed_ns +=
        std::max<int64_t>(0, opened.monotonic_ns - windows[i - 1].closed->monotonic_ns);
    sampling.untimed_calls += opened.calls - windows[i - 1].closed->calls;
  }
  std::stable_sort(sampling.host.begin(), sampling.host.end(),
                   [](const Interval& a, const Interval& b) { return a.begin_ns < b.begin_ns; });
  return sampling;
}

void PlaceWindows(Timeline& timeline) {
  Sampling& sampling = timeline.sampling;
  if (sampling.host.empty()) return;
  std::vector<std::optional<Interval>> hulls(sampling.host.size());
  for (const OpCall& call : timeline.calls) {
    if (call.work >= timeline.works.size()) continue;
    const Interval& time = timeline.works[call.work].time;
    std::optional<Interval>& hull = hulls[WindowAt(sampling.host, call.host_begin_ns)];
    if (!hull) hull = time;
    hull->begin_ns = std::min(hull->begin_ns, time.begin_ns);
    hull->end_ns = std::max(hull->end_ns, time.end_ns);
  }
  std::vector<Interval>& device = sampling.device;
  for (const std::optional<Interval>& hull : hulls) {
    if (!hull) continue;
    // The device may lag behind by more than the time between two windows: then they are one.
    if (!device.empty() && hull->begin_ns <= device.back().end_ns) {
      device.back().end_ns = std::max(device.back().end_ns, hull->end_ns);
    } else {
      device.push_back(*hull);
    }
  }
  if (device.empty()) return;
  for (Work& work : timeline.works) {
    if (work.op != kNoIndex) continue;
    const auto after = std::upper_bound(
        device.begin(), device.end(), work.time.end_ns,
        [](int64_t time, const Interval& window) { return time <= window.begin_ns; });
    const Interval& window = after == device.begin() ? device.front() : *(after - 1);
    work.time.begin_ns = std::clamp(work.time.begin_ns, window.begin_ns, window.end_ns);
    work.time.end_ns = std::clamp(work.time.end_ns, window.begin_ns, window.end_ns);
  }
}

OwnCost TakeOwnCost(std::map<std::string, uint64_t>& counters) {
  OwnCost cost;
  cost.probed_calls = Take(counters, "own_cost_probed_calls").value_or(0);
  cost.probed_ns = Take(counters, "own_cost_probed_ns").value_or(0);
  cost.flusher_cpu_ns = Take(counters, "flusher_cpu_ns").value_or(0);
  cost.event_gpu_ns = Take(counters, "event_gpu_ns");
  cost.event_resolution_ns = Take(counters, "event_resolution_ns");
  Take(counters, "timed_cost_ppm");
  return cost;
}

std::string UtcText(int64_t realtime_ns) {
  const auto seconds = static_cast<std::time_t>(realtime_ns / 1'000'000'000);
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  std::array<char, 40> text;
  return std::string(text.data(),
                     std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &utc));
}

}  // namespace mfutrace::report
