// Picks, cuts and aligns.
#include "report/analyze/sample.h"

#include <algorithm>
#include <array>

#include "report/analyze/intervals.h"
#include "report/analyze/match.h"
#include "report/analyze/steps.h"

namespace mfutrace::report {
namespace {

// 64-bit FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/): the same on every rank and machine.
uint64_t Hash(const std::string& text, uint64_t number) {
  uint64_t hash = 0xcbf29ce484222325u;
  const auto add = [&hash](unsigned char byte) { hash = (hash ^ byte) * 0x100000001b3u; };
  for (const char c : text) add(static_cast<unsigned char>(c));
  for (int i = 0; i < 8; ++i) add(static_cast<unsigned char>(number >> (8 * i)));
  return hash == 0 ? 1 : hash;
}

// Adjoining pieces, and those with a gap no page would show, are one.
void Append(std::vector<Interval>& pieces, const Interval& piece, int64_t gap_ns) {
  if (!pieces.empty() && piece.begin_ns - pieces.back().end_ns <= gap_ns) {
    pieces.back().end_ns = std::max(pieces.back().end_ns, piece.end_ns);
  } else {
    pieces.push_back(piece);
  }
}

class Lanes : public SweepVisitor {
 public:
  explicit Lanes(int64_t gap_ns) : gap_ns_(gap_ns) {}
  void OnStretch(const Interval& stretch, bool is_compute, std::span<const uint32_t> active,
                 std::span<const int64_t> /*shared_ns*/) override {
    if (is_compute) Append(compute, stretch, gap_ns_);
    if (active.empty()) return;
    Append(is_compute ? hidden : exposed, stretch, gap_ns_);
  }

  std::vector<Interval> compute;
  std::vector<Interval> hidden;
  std::vector<Interval> exposed;

 private:
  int64_t gap_ns_;
};

Lanes LanesOf(const Timeline& timeline, const Interval& window, int64_t gap_ns) {
  Lanes lanes(gap_ns);
  std::vector<Work> works;
  for (const Work& work : timeline.works) {
    if (work.time.end_ns > window.begin_ns && work.time.begin_ns < window.end_ns) {
      works.push_back(work);
    }
  }
  const std::array<int64_t, 2> cuts = {window.begin_ns, window.end_ns};
  SweepExtras extras;
  extras.visitor = &lanes;
  Sweep(works, static_cast<uint32_t>(timeline.communicators.size()), cuts, extras);
  return lanes;
}

// Without steps: a hundredth of the run in its middle.
Interval MiddleOf(const Timeline& timeline) {
  if (timeline.works.empty()) return {};
  Interval whole = timeline.works.front().time;
  for (const Work& work : timeline.works) {
    whole.begin_ns = std::min(whole.begin_ns, work.time.begin_ns);
    whole.end_ns = std::max(whole.end_ns, work.time.end_ns);
  }
  const int64_t length_ns = whole.end_ns - whole.begin_ns;
  const int64_t middle_ns = whole.begin_ns + length_ns / 2;
  const int64_t half_ns =
      std::max<int64_t>(length_ns / 200, std::min<int64_t>(length_ns / 2, 5'000'000));
  return {middle_ns - half_ns, middle_ns + half_ns};
}

std::string LabelOf(const Timeline& timeline, const Work& work) {
  if (work.op < timeline.ops.size()) return timeline.ops[work.op].label;
  if (work.kernel < timeline.kernel_names.size()) return timeline.kernel_names[work.kernel];
  switch (work.work_class) {
    case WorkClass::kCompute:
      return "other kernel";
    case WorkClass::kCommunication:
      return "communication";
    case WorkClass::kCopy:
      return "copy";
  }
  return "";
}

}  // namespace

uint32_t Sampler::Label(const std::string& text) {
  const auto [found, is_new] =
      labels_.try_emplace(text, static_cast<uint32_t>(sample_.labels.size()));
  if (is_new) sample_.labels.push_back(text);
  return found->second;
}

void Sampler::AddWorks(const Timeline& timeline, const Interval& window, SampledDevice& device) {
  std::vector<uint32_t> call_of(timeline.works.size(), kNoIndex);
  for (size_t i = 0; i < timeline.calls.size(); ++i) {
    const uint32_t work = timeline.calls[i].work;
    if (work < call_of.size() && call_of[work] == kNoIndex) {
      call_of[work] = static_cast<uint32_t>(i);
    }
  }
  std::vector<uint32_t> chosen;
  for (size_t i = 0; i < timeline.works.size(); ++i) {
    const Interval& time = timeline.works[i].time;
    if (time.end_ns > window.begin_ns && time.begin_ns < window.end_ns) {
      chosen.push_back(static_cast<uint32_t>(i));
    }
  }
  std::stable_sort(chosen.begin(), chosen.end(), [&](uint32_t a, uint32_t b) {
    return timeline.works[a].time.begin_ns < timeline.works[b].time.begin_ns;
  });
  if (chosen.size() > request_.max_works) {
    device.works_left_out = chosen.size() - request_.max_works;
    chosen.resize(request_.max_works);
  }
  for (const uint32_t i : chosen) {
    const Work& work = timeline.works[i];
    SampledWork sampled;
    sampled.time = work.time;
    sampled.label = Label(LabelOf(timeline, work));
    sampled.stream = work.stream;
    sampled.work_class = work.work_class;
    if (call_of[i] != kNoIndex) {
      const OpCall& call = timeline.calls[call_of[i]];
      if (call.host_begin_ns != 0) sampled.host = {call.host_begin_ns, call.host_end_ns};
      if (work.communicator < timeline.communicators.size() && call.sequence > 0) {
        sampled.collective = Hash(KeyOf(timeline.communicators[work.communicator]), call.sequence);
      }
    }
    device.works.push_back(sampled);
  }
  device.works_exposed = LanesOf(timeline, window, 0).exposed;
}

void Sampler::Add(const Timeline& timeline, const DeviceSummary& summary) {
  if (request_.steps == 0) return;
  SampledDevice device;
  device.device = summary.device;
  device.host = summary.host;
  device.pid = summary.pid;
  const auto count = static_cast<uint32_t>(summary.steps.size());
  if (!range_.has_value() && count > 0) {
    std::vector<int64_t> durations_ns;
    for (const StepSums& step : summary.steps) {
      durations_ns.push_back(step.window.end_ns - step.window.begin_ns);
    }
    std::vector<uint32_t> order;
    for (uint32_t k = std::min(FirstSteadyStep(durations_ns), count - 1); k < count; ++k) {
      order.push_back(k);
    }
    const auto median = order.begin() + static_cast<std::ptrdiff_t>((order.size() - 1) / 2);
    std::nth_element(order.begin(), median, order.end(), [&](uint32_t a, uint32_t b) {
      return std::pair(durations_ns[a], a) < std::pair(durations_ns[b], b);
    });
    const uint32_t steps = std::min(request_.steps, count);
    Range range;
    range.middle = *median;
    range.first = std::min(range.middle - std::min(range.middle, steps / 2), count - steps);
    range.last = range.first + steps - 1;
    range_ = range;
    sample_.step = range.middle;
  }
  Interval all = {};
  if (range_.has_value() && range_->middle < count) {
    device.window = summary.steps[range_->middle].window;
    all = device.window;
    for (uint32_t k = range_->first; k <= range_->last && k < count; ++k) {
      const Interval& window = summary.steps[k].window;
      device.steps.push_back({k, window});
      all.begin_ns = std::min(all.begin_ns, window.begin_ns);
      all.end_ns = std::max(all.end_ns, window.end_ns);
    }
  } else {
    all = device.window = MiddleOf(timeline);
  }
  if (device.window.end_ns > device.window.begin_ns) {
    Lanes lanes = LanesOf(timeline, device.window,
                          (device.window.end_ns - device.window.begin_ns) / kLaneResolution);
    device.compute = std::move(lanes.compute);
    device.hidden = std::move(lanes.hidden);
    device.exposed = std::move(lanes.exposed);
    if (request_.has_works) AddWorks(timeline, all, device);
  }
  sample_.devices.push_back(std::move(device));
  keys_.emplace_back(summary.path, summary.device);
}

Sample Sampler::Finish(std::span<const DeviceSummary> devices, const Clocks& clocks) {
  Sample sample = std::move(sample_);
  std::vector<SampledDevice> sampled = std::move(sample.devices);
  sample.devices.clear();
  sample.is_aligned = clocks.devices.size() == devices.size() && devices.size() > 1;
  for (const DeviceClock& clock : clocks.devices) {
    sample.is_aligned = sample.is_aligned && clock.component == 0;
  }
  for (size_t d = 0; d < devices.size(); ++d) {
    const auto found =
        std::find(keys_.begin(), keys_.end(), std::pair(devices[d].path, devices[d].device));
    if (found == keys_.end()) continue;
    SampledDevice device = std::move(sampled[static_cast<size_t>(found - keys_.begin())]);
    device.rank = devices[d].rank;
    const auto align = [&](Interval& time) {
      if (!sample.is_aligned || (time.begin_ns == 0 && time.end_ns == 0)) return;
      time = {clocks.devices[d].Aligned(time.begin_ns), clocks.devices[d].Aligned(time.end_ns)};
    };
    align(device.window);
    for (SampledStep& step : device.steps) align(step.time);
    for (SampledWork& work : device.works) {
      align(work.time);
      align(work.host);
    }
    for (auto* lane : {&device.compute, &device.hidden, &device.exposed, &device.works_exposed}) {
      for (Interval& piece : *lane) align(piece);
    }
    sample.devices.push_back(std::move(device));
  }
  return sample;
}

}  // namespace mfutrace::report
