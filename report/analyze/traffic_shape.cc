// Counting what strategies are told from.
#include "report/analyze/traffic_shape.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace mfutrace::report {
namespace {

using shapes::CollectiveKind;

constexpr size_t kMaxSizes = 256;
constexpr size_t kMaxMessages = 4096;
constexpr size_t kEarlyBins = 3;

void AddSaturating(uint64_t& sum, uint64_t value) {
  sum = value > std::numeric_limits<uint64_t>::max() - sum ? std::numeric_limits<uint64_t>::max()
                                                           : sum + value;
}

size_t IndexOf(CollectiveKind kind) {
  return std::min(static_cast<size_t>(kind), kCollectiveKinds - 1);
}

// Of the step that holds `time_ns`; kStepBins if none does.
size_t BinOf(const StepWindows& steps, int64_t time_ns) {
  const auto after = std::upper_bound(
      steps.windows.begin(), steps.windows.end(), time_ns,
      [](int64_t time, const StepWindow& step) { return time < step.device.begin_ns; });
  if (after == steps.windows.begin()) return kStepBins;
  const Interval& step = (after - 1)->device;
  if (time_ns >= step.end_ns) return kStepBins;
  const double at = static_cast<double>(time_ns - step.begin_ns) /
                    static_cast<double>(step.end_ns - step.begin_ns);
  return std::min(kStepBins - 1, static_cast<size_t>(at * kStepBins));
}

void CountCalls(TrafficShape& shape, const Op& op, uint64_t calls) {
  const size_t kind = IndexOf(op.collective);
  shape.calls[kind] += calls;
  if (!op.algorithm_bytes.has_value()) return;
  const uint64_t each = *op.algorithm_bytes;
  const bool fits = each == 0 || calls <= std::numeric_limits<uint64_t>::max() / each;
  AddSaturating(shape.bytes[kind], fits ? each * calls : std::numeric_limits<uint64_t>::max());
  const std::pair<uint8_t, uint64_t> size = {static_cast<uint8_t>(kind), *op.algorithm_bytes};
  if (shape.calls_by_size.size() < kMaxSizes || shape.calls_by_size.contains(size)) {
    shape.calls_by_size[size] += calls;
  }
}

void CountMessage(TrafficShape& shape, const Op& op, int32_t own_rank) {
  if (op.peer < 0 || own_rank < 0 || shape.messages.size() >= kMaxMessages) return;
  if (op.collective == CollectiveKind::kSend) shape.messages.insert({own_rank, op.peer});
  if (op.collective == CollectiveKind::kRecv) shape.messages.insert({op.peer, own_rank});
}

}  // namespace

TrafficShape& TrafficShape::operator+=(const TrafficShape& other) {
  for (size_t kind = 0; kind < kCollectiveKinds; ++kind) {
    calls[kind] += other.calls[kind];
    AddSaturating(bytes[kind], other.bytes[kind]);
    for (size_t bin = 0; bin < kStepBins; ++bin) {
      calls_by_position[kind][bin] += other.calls_by_position[kind][bin];
    }
  }
  for (const auto& [size, count] : other.calls_by_size) {
    if (calls_by_size.size() < kMaxSizes || calls_by_size.contains(size)) {
      calls_by_size[size] += count;
    }
  }
  calls_in_steps += other.calls_in_steps;
  steps += other.steps;
  devices += other.devices;
  message_intervals += other.message_intervals;
  two_way_intervals += other.two_way_intervals;
  on_compute_stream += other.on_compute_stream;
  timed_calls += other.timed_calls;
  messages.insert(other.messages.begin(), other.messages.end());
  busy_ns += other.busy_ns;
  exposed_ns += other.exposed_ns;
  order = std::min(order, other.order);
  return *this;
}

uint64_t TrafficShape::total_calls() const {
  return std::accumulate(calls.begin(), calls.end(), uint64_t{0});
}

uint64_t TrafficShape::messages_sent() const {
  return calls[IndexOf(CollectiveKind::kSend)] + calls[IndexOf(CollectiveKind::kRecv)];
}

uint64_t TrafficShape::largest_bytes() const {
  uint64_t largest = 0;
  for (const auto& [size, count] : calls_by_size) largest = std::max(largest, size.second);
  return largest;
}

double TrafficShape::SameSizeShare() const {
  uint64_t most = 0;
  for (const auto& [size, count] : calls_by_size) most = std::max(most, count);
  const uint64_t total = total_calls();
  return total == 0 ? 0 : static_cast<double>(most) / static_cast<double>(total);
}

double TrafficShape::EarlyShare(CollectiveKind kind) const {
  const auto& bins = calls_by_position[IndexOf(kind)];
  const uint64_t all = std::accumulate(bins.begin(), bins.end(), uint64_t{0});
  const uint64_t early = std::accumulate(bins.begin(), bins.begin() + kEarlyBins, uint64_t{0});
  return all == 0 ? 0 : static_cast<double>(early) / static_cast<double>(all);
}

std::vector<TrafficShape> TrafficShapesOf(const Timeline& timeline, const StepWindows& steps) {
  const size_t count = timeline.communicators.size();
  std::vector<TrafficShape> shapes(count);
  std::vector<bool> computes;  // by stream
  for (const Work& work : timeline.works) {
    if (work.work_class != WorkClass::kCompute) continue;
    const size_t stream = std::min<size_t>(work.stream, 4095);
    if (computes.size() <= stream) computes.resize(stream + 1, false);
    computes[stream] = true;
  }
  struct Ways {
    uint32_t work = kNoIndex;
    bool has_send = false;
    bool has_receive = false;
  };
  std::vector<Ways> open(count);
  const auto close = [](TrafficShape& shape, Ways& ways) {
    if (ways.work == kNoIndex) return;
    ++shape.message_intervals;
    shape.two_way_intervals += ways.has_send && ways.has_receive ? 1 : 0;
    ways = {};
  };
  uint64_t order = 0;
  for (const OpCall& call : timeline.calls) {
    if (call.is_captured || call.op >= timeline.ops.size()) continue;
    const Op& op = timeline.ops[call.op];
    if (op.kind != shapes::OpKind::kCollective || op.communicator >= count) continue;
    TrafficShape& shape = shapes[op.communicator];
    if (shape.order == std::numeric_limits<uint64_t>::max()) shape.order = order++;
    CountCalls(shape, op, 1);
    CountMessage(shape, op, timeline.communicators[op.communicator].rank);
    if (call.work >= timeline.works.size()) continue;
    const Work& work = timeline.works[call.work];
    ++shape.timed_calls;
    shape.on_compute_stream += work.stream < computes.size() && computes[work.stream] ? 1 : 0;
    const size_t bin = BinOf(steps, work.time.begin_ns);
    if (bin < kStepBins) {
      ++shape.calls_by_position[IndexOf(op.collective)][bin];
      ++shape.calls_in_steps;
    }
    const bool is_send = op.collective == CollectiveKind::kSend;
    if (!is_send && op.collective != CollectiveKind::kRecv) continue;
    Ways& ways = open[op.communicator];
    if (ways.work != call.work) close(shape, ways);
    ways.work = call.work;
    (is_send ? ways.has_send : ways.has_receive) = true;
  }
  for (const CountedCalls& counted : timeline.counted) {
    if (counted.op >= timeline.ops.size()) continue;
    const Op& op = timeline.ops[counted.op];
    if (op.kind != shapes::OpKind::kCollective || op.communicator >= count) continue;
    CountCalls(shapes[op.communicator], op, counted.calls);
    CountMessage(shapes[op.communicator], op, timeline.communicators[op.communicator].rank);
  }
  for (size_t i = 0; i < count; ++i) {
    close(shapes[i], open[i]);
    shapes[i].steps = steps.windows.size();
    shapes[i].devices = 1;
  }
  return shapes;
}

}  // namespace mfutrace::report
