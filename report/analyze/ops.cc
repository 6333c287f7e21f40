// The table of operations.
#include "report/analyze/ops.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "shapes/label.h"

namespace mfutrace::report {
namespace {

using Key = std::tuple<std::string, std::string, std::string, std::string>;

Key KeyOf(const OpResult& op) { return {op.label, op.kind, op.dtype, op.provenance}; }

// The sum of a known and an unknown is unknown.
template <typename T>
void AddKnown(std::optional<T>& sum, const std::optional<T>& value) {
  if (!sum.has_value()) return;
  if (value.has_value()) {
    *sum += *value;
  } else {
    sum.reset();
  }
}

void Merge(OpResult& into, const OpResult& from) {
  into.calls += from.calls;
  into.timed_calls += from.timed_calls;
  AddKnown(into.flop_executed, from.flop_executed);
  AddKnown(into.flop_model, from.flop_model);
  AddKnown(into.bytes_least, from.bytes_least);
  if (from.time_ns.has_value()) into.time_ns = into.time_ns.value_or(0) + *from.time_ns;
}

OpResult RowOf(const Op& op, uint64_t calls) {
  OpResult row;
  row.label = op.label;
  row.kind = std::string(shapes::NameOf(op.kind));
  row.dtype = op.dtype;
  row.provenance = std::string(shapes::NameOf(op.provenance));
  row.calls = calls;
  if (op.flop_executed.has_value() && op.kind != shapes::OpKind::kCollective) {
    row.flop_executed = Flop(*op.flop_executed) * calls;
    row.flop_model = Flop(op.flop_model.value_or(*op.flop_executed)) * calls;
  }
  if (op.bytes_least.has_value()) row.bytes_least = absl::uint128(*op.bytes_least) * calls;
  return row;
}

// Launching a kernel and draining it takes a few microseconds whatever it does (NVIDIA's CUDA C++
// Best Practices Guide has launches in that order): below this the roofline is out of reach.
constexpr double kLatencyNs = 5000;

void FillRoofline(OpResult& row) {
  if (row.calls == 0 || !row.flop_executed.has_value() || !row.bytes_least.has_value() ||
      row.peak_flop_per_s.value_or(0) == 0 || row.memory_bytes_per_s.value_or(0) == 0) {
    return;
  }
  const double calls = static_cast<double>(row.calls);
  const double compute_ns = static_cast<double>(*row.flop_executed) / calls * 1e9 /
                            static_cast<double>(*row.peak_flop_per_s);
  const double memory_ns = static_cast<double>(*row.bytes_least) / calls * 1e9 /
                           static_cast<double>(*row.memory_bytes_per_s);
  row.roofline_ns_per_call = std::max(compute_ns, memory_ns);
  row.bound = compute_ns >= memory_ns ? "compute" : "memory";
  if (*row.roofline_ns_per_call < kLatencyNs) row.bound = "latency";
}

struct OpTime {
  int64_t ns = 0;
  uint64_t timed_calls = 0;
};

std::vector<OpTime> TimesOf(const Timeline& timeline, const std::vector<uint64_t>& calls_by_op) {
  std::vector<OpTime> times(timeline.ops.size());
  std::vector<uint32_t> sharers(timeline.works.size(), 0);
  for (const OpCall& call : timeline.calls) {
    if (call.work < sharers.size()) ++sharers[call.work];
  }
  std::vector<uint32_t> served(timeline.works.size(), 0);
  for (const OpCall& call : timeline.calls) {
    if (call.work >= sharers.size() || call.op >= times.size()) continue;
    const Interval& time = timeline.works[call.work].time;
    const int64_t whole_ns = std::max<int64_t>(0, time.end_ns - time.begin_ns);
    const int64_t count = sharers[call.work];
    // The first calls take what does not divide.
    const int64_t extra_ns = served[call.work]++ < whole_ns % count ? 1 : 0;
    times[call.op].ns += whole_ns / count + extra_ns;
    ++times[call.op].timed_calls;
  }
  // Works that no single call refers to, because their call launched several: the operation's,
  // whole.
  std::vector<bool> has_loose_work(times.size(), false);
  for (size_t i = 0; i < timeline.works.size(); ++i) {
    const Work& work = timeline.works[i];
    if (sharers[i] != 0 || work.op >= times.size()) continue;
    times[work.op].ns += std::max<int64_t>(0, work.time.end_ns - work.time.begin_ns);
    has_loose_work[work.op] = true;
  }
  for (size_t op = 0; op < times.size(); ++op) {
    if (has_loose_work[op]) times[op].timed_calls = calls_by_op[op];
  }
  for (const CountedCalls& counted : timeline.counted) {
    if (counted.op >= times.size() || !counted.time_ns.has_value()) continue;
    times[counted.op].ns += *counted.time_ns;
    times[counted.op].timed_calls += counted.calls;
  }
  return times;
}

}  // namespace

void SummarizeOps(const Timeline& timeline, const std::vector<uint64_t>& calls_by_op,
                  DeviceSummary& summary) {
  const std::vector<OpTime> times = TimesOf(timeline, calls_by_op);
  std::map<Key, size_t> index;
  for (size_t i = 0; i < timeline.ops.size(); ++i) {
    if (calls_by_op[i] == 0) continue;
    OpResult row = RowOf(timeline.ops[i], calls_by_op[i]);
    row.timed_calls = times[i].timed_calls;
    if (row.timed_calls > 0) row.time_ns = times[i].ns;
    const auto [found, is_new] = index.try_emplace(KeyOf(row), summary.ops.size());
    if (is_new) {
      summary.ops.push_back(std::move(row));
      summary.op_rates.push_back(timeline.ops[i].rate);
    } else {
      Merge(summary.ops[found->second], row);
    }
  }
}

std::vector<OpResult> MergeOps(
    std::span<const DeviceSummary> devices,
    const std::function<std::optional<uint64_t>(const std::string& gpu, shapes::PeakRate)>& peak,
    const std::function<std::optional<uint64_t>(const std::string& gpu)>& memory) {
  std::map<Key, size_t> index;
  std::vector<OpResult> rows;
  for (const DeviceSummary& device : devices) {
    for (size_t i = 0; i < device.ops.size(); ++i) {
      OpResult row = device.ops[i];
      if (device.op_rates[i].has_value() && row.flop_executed.has_value()) {
        row.peak_flop_per_s = peak(device.gpu, *device.op_rates[i]);
      }
      if (row.bytes_least.has_value()) row.memory_bytes_per_s = memory(device.gpu);
      const auto [found, is_new] = index.try_emplace(KeyOf(row), rows.size());
      if (is_new) {
        rows.push_back(std::move(row));
        continue;
      }
      OpResult& into = rows[found->second];
      Merge(into, row);
      if (into.peak_flop_per_s != row.peak_flop_per_s) into.peak_flop_per_s.reset();
      if (into.memory_bytes_per_s != row.memory_bytes_per_s) into.memory_bytes_per_s.reset();
    }
  }
  for (OpResult& row : rows) FillRoofline(row);
  std::sort(rows.begin(), rows.end(), [](const OpResult& a, const OpResult& b) {
    const int64_t a_ns = a.time_ns.value_or(-1);
    const int64_t b_ns = b.time_ns.value_or(-1);
    if (a_ns != b_ns) return a_ns > b_ns;
    const Flop a_flop = a.flop_executed.value_or(0);
    const Flop b_flop = b.flop_executed.value_or(0);
    if (a_flop != b_flop) return a_flop > b_flop;
    return KeyOf(a) < KeyOf(b);
  });
  return rows;
}

}  // namespace mfutrace::report
