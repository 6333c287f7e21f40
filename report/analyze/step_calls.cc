// Counts by step, kept as runs of equal counts: most operations have one such run.
#include "report/analyze/step_calls.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "report/analyze/match.h"
#include "report/analyze/summary.h"
#include "shapes/label.h"

namespace mfutrace::report {
namespace {

// Where a launch time lies; calls come mostly in order, so the last answer is tried first.
class StepFinder {
 public:
  explicit StepFinder(const std::vector<StepWindow>& windows) : windows_(windows) {}

  // kNoIndex before the first step and behind the last one.
  uint32_t Of(int64_t time_ns) {
    if (windows_.empty() || time_ns < windows_.front().launch.begin_ns ||
        time_ns >= windows_.back().launch.end_ns) {
      return kNoIndex;
    }
    if (!IsIn(last_, time_ns)) {
      const auto after = std::upper_bound(
          windows_.begin(), windows_.end(), time_ns,
          [](int64_t time, const StepWindow& step) { return time < step.launch.begin_ns; });
      last_ = static_cast<size_t>(after - windows_.begin()) - 1;
    }
    return static_cast<uint32_t>(last_);
  }

 private:
  bool IsIn(size_t step, int64_t time_ns) const {
    return time_ns >= windows_[step].launch.begin_ns &&
           (step + 1 == windows_.size() || time_ns < windows_[step + 1].launch.begin_ns);
  }

  const std::vector<StepWindow>& windows_;
  size_t last_ = 0;
};

struct StepAmount {
  uint64_t calls = 0;
  uint64_t timed = 0;
  double time_ns = 0;
};

using BySteps = std::map<uint32_t, StepAmount>;

StepCalls RowOf(const Timeline& timeline, const Op& op) {
  StepCalls row;
  row.label = op.label;
  row.kind = std::string(shapes::NameOf(op.kind));
  row.dtype = op.dtype;
  row.provenance = std::string(shapes::NameOf(op.provenance));
  row.rate = op.rate;
  row.flop_executed = op.flop_executed;
  row.flop_model = op.flop_model.has_value() ? op.flop_model : op.flop_executed;
  if (op.kind != shapes::OpKind::kCollective) return row;
  row.flop_executed.reset();
  row.flop_model.reset();
  row.collective = op.label.substr(0, op.label.find(' '));
  row.bytes = op.algorithm_bytes;
  if (op.communicator < timeline.communicators.size()) {
    row.communicator = KeyOf(timeline.communicators[op.communicator]);
  }
  return row;
}

void Fill(const BySteps& steps, StepCalls& row) {
  uint32_t next = 0;
  for (const auto& [step, amount] : steps) {
    if (step > next) row.by_step.push_back({next, 0});
    if (row.by_step.empty() || row.by_step.back().calls != amount.calls) {
      row.by_step.push_back({step, amount.calls});
    }
    next = step + 1;
    // The first step's times hold what libraries do once.
    if (step == 0 || amount.timed != amount.calls) continue;
    ++row.timed_steps;
    row.step_time_ns += amount.time_ns;
    row.step_time_squares += amount.time_ns * amount.time_ns;
  }
  row.by_step.push_back({next, 0});
}

using Key = std::tuple<std::string, std::string, std::string, std::string, std::string, std::string,
                       std::optional<shapes::PeakRate>, std::optional<uint64_t>,
                       std::optional<uint64_t>, std::optional<uint64_t>>;

Key KeyOfRow(const StepCalls& row) {
  return {row.label,      row.communicator, row.collective,    row.kind,       row.dtype,
          row.provenance, row.rate,         row.flop_executed, row.flop_model, row.bytes};
}

// Calls in each step where a run begins or ends in either of them.
std::vector<StepCalls::Run> Sum(const std::vector<StepCalls::Run>& a,
                                const std::vector<StepCalls::Run>& b) {
  std::vector<StepCalls::Run> sum;
  size_t i = 0;
  size_t j = 0;
  uint64_t a_calls = 0;
  uint64_t b_calls = 0;
  while (i < a.size() || j < b.size()) {
    const uint32_t a_step = i < a.size() ? a[i].first_step : UINT32_MAX;
    const uint32_t b_step = j < b.size() ? b[j].first_step : UINT32_MAX;
    const uint32_t step = std::min(a_step, b_step);
    if (a_step == step) a_calls = a[i++].calls;
    if (b_step == step) b_calls = b[j++].calls;
    if (sum.empty() || sum.back().calls != a_calls + b_calls) {
      sum.push_back({step, a_calls + b_calls});
    }
  }
  return sum;
}

}  // namespace

DeviceStepCalls StepCallsOf(const Timeline& timeline, const StepWindows& steps) {
  DeviceStepCalls result;
  if (steps.windows.empty()) return result;
  std::vector<BySteps> by_op(timeline.ops.size());
  std::vector<uint32_t> sharers(timeline.works.size(), 0);
  for (const OpCall& call : timeline.calls) {
    if (call.work < sharers.size()) ++sharers[call.work];
  }
  StepFinder finder(steps.windows);
  for (const OpCall& call : timeline.calls) {
    if (call.is_captured || call.op >= by_op.size()) continue;
    const bool has_work = call.work < timeline.works.size();
    int64_t time_ns = call.host_begin_ns;
    if (time_ns == 0 && has_work) time_ns = timeline.works[call.work].time.begin_ns;
    const uint32_t step = finder.Of(time_ns);
    if (step == kNoIndex) continue;
    StepAmount& amount = by_op[call.op][step];
    ++amount.calls;
    if (!has_work) continue;
    const Interval& work = timeline.works[call.work].time;
    ++amount.timed;
    amount.time_ns += static_cast<double>(work.end_ns - work.begin_ns) / sharers[call.work];
  }
  std::set<uint32_t> unclear;
  for (const CountedCalls& counted : timeline.counted) {
    if (counted.op >= by_op.size()) continue;
    const int64_t begin_ns = counted.host_time.begin_ns;
    const int64_t end_ns = std::max(begin_ns, counted.host_time.end_ns - 1);
    const Interval all = {steps.windows.front().launch.begin_ns,
                          steps.windows.back().launch.end_ns};
    if (end_ns < all.begin_ns || begin_ns >= all.end_ns) continue;
    const uint32_t first = finder.Of(std::max(begin_ns, all.begin_ns));
    const uint32_t last = finder.Of(std::min(end_ns, all.end_ns - 1));
    if (first == last && begin_ns >= all.begin_ns && end_ns < all.end_ns) {
      by_op[counted.op][first].calls += counted.calls;
      continue;
    }
    for (uint32_t step = first; step <= last; ++step) unclear.insert(step);
  }
  for (size_t i = 0; i < by_op.size(); ++i) {
    if (by_op[i].empty()) continue;
    result.rows.push_back(RowOf(timeline, timeline.ops[i]));
    Fill(by_op[i], result.rows.back());
  }
  result.unclear_steps.assign(unclear.begin(), unclear.end());
  return result;
}

void FillStepCalls(std::span<const DeviceSummary> devices, RunResult& result) {
  std::map<Key, StepCalls> rows;
  std::set<uint32_t> unclear;
  for (const DeviceSummary& device : devices) {
    unclear.insert(device.step_calls.unclear_steps.begin(), device.step_calls.unclear_steps.end());
    for (const StepCalls& row : device.step_calls.rows) {
      const auto [found, is_new] = rows.try_emplace(KeyOfRow(row), row);
      if (is_new) continue;
      StepCalls& into = found->second;
      into.by_step = Sum(into.by_step, row.by_step);
      into.timed_steps += row.timed_steps;
      into.step_time_ns += row.step_time_ns;
      into.step_time_squares += row.step_time_squares;
    }
  }
  for (auto& [key, row] : rows) result.step_calls.push_back(std::move(row));
  result.unclear_steps.assign(unclear.begin(), unclear.end());
}

}  // namespace mfutrace::report
