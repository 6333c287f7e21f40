// Names, order, and one clock.
#include "report/render/tracks.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "report/analyze/rates.h"

namespace mfutrace::report {
namespace {

std::string StreamName(uint32_t stream, const std::vector<SampledWork>& works) {
  bool has_compute = false;
  bool has_communication = false;
  for (const SampledWork& work : works) {
    if (work.stream != stream) continue;
    has_compute = has_compute || work.work_class == WorkClass::kCompute;
    has_communication = has_communication || work.work_class == WorkClass::kCommunication;
  }
  // CUPTI's own numbering of streams has the high bit set (model/load.cc).
  const uint32_t number = stream & 0x7fffffffu;
  return absl::StrCat(number != stream ? "other stream " : "stream ", number,
                      has_communication && !has_compute ? " (communication)" : "");
}

std::optional<double> PercentOf(std::optional<double> ratio) {
  if (!ratio.has_value()) return std::nullopt;
  return *ratio * 100;
}

}  // namespace

Tracks TracksOf(const RunResult& result) {
  Tracks tracks;
  int64_t first_ns = 0;
  for (const SampledDevice& device : result.sample.devices) {
    first_ns = std::min(first_ns, device.window.begin_ns);
    for (const SampledStep& step : device.steps) first_ns = std::min(first_ns, step.time.begin_ns);
    for (const SampledWork& work : device.works) {
      first_ns = std::min(first_ns, work.time.begin_ns);
      if (work.host.begin_ns != 0) first_ns = std::min(first_ns, work.host.begin_ns);
    }
  }
  std::map<std::pair<int32_t, uint32_t>, const StepResult*> steps;
  for (const StepResult& step : result.steps) steps[{step.rank, step.index}] = &step;
  uint64_t next_flow = 1;
  const auto moved = [first_ns](const Interval& time) {
    return Interval{time.begin_ns - first_ns, time.end_ns - first_ns};
  };
  for (const SampledDevice& device : result.sample.devices) {
    Tracks::Rank rank;
    rank.name = device.rank >= 0 ? absl::StrCat("rank ", device.rank) : std::string("rank unknown");
    rank.description = absl::StrCat(device.host, ", GPU ", device.device, ", pid ", device.pid);
    for (const SampledStep& step : device.steps) {
      Tracks::Step out;
      out.time = moved(step.time);
      out.name = absl::StrCat("step ", step.index);
      const auto found = steps.find({device.rank, step.index});
      if (found != steps.end()) {
        const StepResult& figures = *found->second;
        if (!figures.name.empty()) out.name = figures.name;
        out.mfu_percent = PercentOf(MfuOf(figures.budget, figures.split.window_ns));
        out.exposed_percent = PercentOf(Ratio(figures.split.exposed_ns, figures.split.window_ns));
      }
      rank.steps.push_back(std::move(out));
    }
    std::map<uint32_t, std::string> names;
    for (const SampledWork& sampled : device.works) {
      const auto [found, is_new] = names.try_emplace(sampled.stream);
      if (is_new) found->second = StreamName(sampled.stream, device.works);
      Tracks::Work work;
      work.time = moved(sampled.time);
      work.name = &result.sample.labels[sampled.label];
      work.collective = sampled.collective;
      if (sampled.host.begin_ns != 0) {
        work.flow = next_flow++;
        Tracks::Work call;
        call.time = moved(sampled.host);
        call.name = work.name;
        call.flow = work.flow;
        rank.host_calls.push_back(call);
      }
      rank.streams[found->second].push_back(work);
    }
    for (const Interval& piece : device.works_exposed) rank.exposed.push_back(moved(piece));
    tracks.ranks.push_back(std::move(rank));
  }
  return tracks;
}

}  // namespace mfutrace::report
