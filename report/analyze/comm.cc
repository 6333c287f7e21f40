// Communicators joined over timelines.
#include "report/analyze/comm.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace mfutrace::report {
namespace {

// The kind of a collective as its label begins: "allreduce bf16 512 MiB".
std::string KindOfLabel(const std::string& label) { return label.substr(0, label.find(' ')); }

void AddBytes(std::optional<absl::uint128>& sum, std::optional<uint64_t> bytes, uint64_t calls) {
  if (!sum.has_value()) return;
  if (bytes.has_value()) {
    *sum += absl::uint128(*bytes) * calls;
  } else {
    sum.reset();
  }
}

struct Joined {
  CommunicatorResult row;
  std::map<int32_t, int32_t> world_rank_of;  // by rank in the communicator
  CommunicatorTimes times;
  int64_t exposed_wait_ns = 0;
  bool has_times = false;
  std::optional<int64_t> counted_ns;
  std::optional<absl::uint128> bytes = absl::uint128(0);
  std::optional<absl::uint128> bus_bytes = absl::uint128(0);
};

void Join(Joined& joined, const DeviceSummary& device, size_t i) {
  joined.times += device.communicator_times[i];
  for (const std::vector<int64_t>& piece_ns : device.exposed.wait_ns) {
    if (i < piece_ns.size()) joined.exposed_wait_ns += piece_ns[i];
  }
  if (i < device.communicator_counted_ns.size() && device.communicator_counted_ns[i].has_value()) {
    joined.counted_ns = joined.counted_ns.value_or(0) + *device.communicator_counted_ns[i];
  }
  joined.has_times = joined.has_times || device.knowledge != TimeKnowledge::kNothing;
  for (const auto& [kind, calls] : device.communicator_ops[i]) joined.row.ops[kind] += calls;
  for (const auto& [sum, value] :
       {std::pair(&joined.bytes, &device.communicator_bytes[i]),
        std::pair(&joined.bus_bytes, &device.communicator_bus_bytes[i])}) {
    if (!sum->has_value()) continue;
    if (value->has_value()) {
      **sum += **value;
    } else {
      sum->reset();
    }
  }
}

void AddWaits(const GroupWaits& group, Joined& joined) {
  CommunicatorResult& row = joined.row;
  row.intervals = group.intervals;
  row.intervals_unknown = group.intervals_unknown;
  row.contested = group.contested;
  if (group.intervals > group.intervals_unknown) {
    row.wait_ns = group.wait_ns;
    row.transfer_ns = group.transfer_ns;
    row.transfer_bus_bytes = group.transfer_bus_bytes;
    row.exposed_wait_ns = joined.exposed_wait_ns;
  }
  if (group.contested == 0) return;
  for (size_t i = 0; i < group.times_last.size(); ++i) {
    if (group.world_ranks[i] >= 0) row.times_last[group.world_ranks[i]] += group.times_last[i];
  }
}

}  // namespace

void SummarizeCommunicators(const Timeline& timeline, const std::vector<uint64_t>& calls_by_op,
                            DeviceSummary& summary) {
  const size_t count = timeline.communicators.size() + 1;
  summary.communicators = timeline.communicators;
  summary.communicator_ops.resize(count);
  summary.communicator_bytes.assign(count, absl::uint128(0));
  summary.communicator_bus_bytes.assign(count, absl::uint128(0));
  for (size_t i = 0; i < timeline.ops.size(); ++i) {
    const Op& op = timeline.ops[i];
    if (op.kind != shapes::OpKind::kCollective || calls_by_op[i] == 0) continue;
    const size_t at = std::min<size_t>(op.communicator, count - 1);
    summary.communicator_ops[at][KindOfLabel(op.label)] += calls_by_op[i];
    AddBytes(summary.communicator_bytes[at], op.algorithm_bytes, calls_by_op[i]);
    AddBytes(summary.communicator_bus_bytes[at], op.bus_bytes, calls_by_op[i]);
  }
  summary.communicator_counted_ns.resize(count);
  for (const CountedCalls& counted : timeline.counted) {
    if (counted.op >= timeline.ops.size() || !counted.time_ns.has_value()) continue;
    const Op& op = timeline.ops[counted.op];
    if (op.kind != shapes::OpKind::kCollective) continue;
    std::optional<int64_t>& sum_ns =
        summary.communicator_counted_ns[std::min<size_t>(op.communicator, count - 1)];
    sum_ns = sum_ns.value_or(0) + *counted.time_ns;
  }
}

std::vector<CommunicatorResult> MergeCommunicators(std::span<const DeviceSummary> devices,
                                                   std::span<const GroupWaits> groups,
                                                   std::span<const Verdict> verdicts) {
  std::map<std::string, Joined> by_key;
  Joined unknown;
  for (const DeviceSummary& device : devices) {
    for (size_t i = 0; i < device.communicators.size(); ++i) {
      const Communicator& communicator = device.communicators[i];
      Joined& joined = by_key[KeyOf(communicator)];
      joined.row.id = communicator.id;
      if (joined.row.name.empty()) joined.row.name = communicator.name;
      joined.row.size = std::max(joined.row.size, communicator.size);
      for (size_t r = 0; r < communicator.ranks.size(); ++r) {
        joined.world_rank_of[static_cast<int32_t>(r)] = communicator.ranks[r];
      }
      if (communicator.ranks.empty() && communicator.rank >= 0 && device.rank >= 0) {
        joined.world_rank_of[communicator.rank] = device.rank;
      }
      Join(joined, device, i);
    }
    if (!device.communicator_ops.empty()) Join(unknown, device, device.communicators.size());
  }
  std::vector<CommunicatorResult> rows;
  const auto finish = [&](Joined& joined) {
    for (const auto& [rank, world_rank] : joined.world_rank_of) {
      joined.row.ranks.push_back(world_rank);
    }
    joined.row.bytes = joined.bytes;
    joined.row.bus_bytes = joined.bus_bytes;
    if (joined.has_times) {
      joined.row.time_ns = joined.times.union_ns;
      joined.row.exposed_ns = joined.times.shared_ns;
      joined.row.exposed_exclusive_ns = joined.times.exclusive_ns;
      joined.row.exposed_touch_ns = joined.times.touch_ns;
    } else {
      joined.row.time_ns = joined.counted_ns;
    }
    rows.push_back(std::move(joined.row));
  };
  for (size_t i = 0; i < groups.size(); ++i) {
    const auto found = by_key.find(groups[i].key);
    if (found == by_key.end()) continue;
    AddWaits(groups[i], found->second);
    if (i >= verdicts.size()) continue;
    CommunicatorResult& row = found->second.row;
    row.strategy = verdicts[i].strategy;
    row.runner_up = verdicts[i].runner_up;
    row.evidence = verdicts[i].evidence;
    row.is_ambiguous = verdicts[i].is_ambiguous;
  }
  for (auto& [key, joined] : by_key) finish(joined);
  if (unknown.times.union_ns > 0 || !unknown.row.ops.empty()) {
    unknown.row.name = "unknown";
    // Kernels without a call behind them have no bytes to sum.
    if (unknown.row.ops.empty()) unknown.bytes = unknown.bus_bytes = std::nullopt;
    finish(unknown);
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const CommunicatorResult& a, const CommunicatorResult& b) {
                     return a.time_ns.value_or(-1) > b.time_ns.value_or(-1);
                   });
  return rows;
}

}  // namespace mfutrace::report
