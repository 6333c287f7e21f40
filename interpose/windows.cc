// See windows.h.
#include "interpose/windows.h"

#include <cstring>

#include "interpose/clock.h"
#include "interpose/cupti_clock.h"
#include "interpose/flusher_state.h"
#include "interpose/text.h"
#include "trace/contract.h"

namespace mfutrace::interpose {
namespace {

using trace::BlockKind;
using trace::WindowEvent;
using trace::WindowReason;

WindowPlan PlanNow(const Session& session) {
  return PlanAt(session.options.sample, session.windows.on_ns, RealtimeNs(),
                MonotonicNs() - session.start_monotonic_ns);
}

template <typename Record>
void Put(Flusher& flusher, BlockKind kind, const Record& record) {
  if (void* to = flusher.writer.Append(kind, sizeof record)) {
    std::memcpy(to, &record, sizeof record);
  }
}

void PutWindow(Flusher& flusher, WindowEvent event, WindowReason reason, int64_t at_ns,
               uint64_t calls) {
  trace::WindowRecord record{};
  record.number = flusher.session->windows.number;
  record.event = static_cast<uint8_t>(event);
  record.reason = static_cast<uint8_t>(reason);
  record.monotonic_ns = at_ns;
  record.calls = calls;
  record.length_ns = flusher.session->windows.length_ns;
  Put(flusher, BlockKind::kWindows, record);
}

// Where communicators are just before a window opens; of more than these nothing is told.
struct Sequences {
  static constexpr uint32_t kMost = 128;
  uint32_t count;
  trace::WindowSequence kept[kMost];
};

void Keep(void* context, uint32_t communicator, uint32_t sequence) {
  Sequences& sequences = *static_cast<Sequences*>(context);
  if (communicator == 0 || sequences.count == Sequences::kMost) return;
  sequences.kept[sequences.count++] = {0, communicator, sequence, 0};
}

void Open(Session& session, WindowReason reason, int64_t length_ns) {
  Windows& windows = session.windows;
  ++windows.number;
  windows.is_written = false;
  windows.reason = reason;
  windows.length_ns = length_ns == INT64_MAX ? 0 : length_ns;
  windows.opened_ns = MonotonicNs();
  windows.opened_calls = TotalCalls(session);
  windows.before_ns = windows.closed_ns == 0 ? 0 : windows.opened_ns - windows.closed_ns;
  windows.before_calls = windows.opened_calls - windows.closed_calls;
  windows.is_open.store(true, std::memory_order_relaxed);
}

void Close(Flusher& flusher, WindowReason reason) {
  Session& session = *flusher.session;
  Windows& windows = session.windows;
  // Its calls may all be unfinished, so that nothing has asked for the file yet.
  if (!windows.is_written && TotalCalls(session) != windows.opened_calls) OpenTrace(flusher);
  windows.is_open.store(false, std::memory_order_relaxed);
  windows.closed_ns = MonotonicNs();
  windows.closed_calls = TotalCalls(session);
  flusher.untimed_since_ns = windows.closed_ns;
  if (windows.is_written) {
    PutWindow(flusher, WindowEvent::kClosed, reason, windows.closed_ns, windows.closed_calls);
  }
  if (reason != WindowReason::kSchedule || windows.before_ns == 0) return;
  windows.governor.Add(windows.closed_calls - windows.opened_calls,
                       windows.closed_ns - windows.opened_ns, windows.before_calls,
                       windows.before_ns);
  windows.on_ns = windows.governor.Allowed(session.options.sample, session.options.overhead_budget);
  const double cost = windows.governor.Cost();
  const uint64_t cost_ppm = cost > 0 ? static_cast<uint64_t>(cost * 1e6) : 0;
  SetCounter(Counter::kTimedCostPpm, cost_ppm);
}

}  // namespace

WindowPlan PlanAt(const SampleChoice& choice, int64_t on_ns, int64_t realtime_ns,
                  int64_t since_start_ns) {
  if (choice.first_ns == INT64_MAX) return {true, INT64_MAX};
  if (since_start_ns < choice.first_ns) return {true, choice.first_ns - since_start_ns};
  if (choice.period_ns == 0) return {false, INT64_MAX};
  const int64_t phase_ns = realtime_ns % choice.period_ns;
  if (phase_ns < on_ns) return {true, on_ns - phase_ns};
  return {false, choice.period_ns - phase_ns};
}

void Governor::Add(uint64_t timed_calls, int64_t timed_ns, uint64_t untimed_calls,
                   int64_t untimed_ns) {
  // A job that stood still says nothing of what timing costs.
  if (timed_calls == 0 || untimed_calls == 0 || timed_ns <= 0 || untimed_ns <= 0) return;
  const double timed = static_cast<double>(timed_calls) / static_cast<double>(timed_ns);
  const double untimed = static_cast<double>(untimed_calls) / static_cast<double>(untimed_ns);
  costs[count++ % kKept] = 1 - timed / untimed;
}

double Governor::Cost() const {
  if (count < kFewest) return 0;
  const uint32_t kept = count < kKept ? count : kKept;
  // The one with as many below it as above; of an even number the lower of the two in the middle.
  for (uint32_t i = 0; i < kept; ++i) {
    uint32_t below = 0;
    uint32_t equal = 0;
    for (uint32_t j = 0; j < kept; ++j) {
      below += costs[j] < costs[i] ? 1 : 0;
      equal += costs[j] == costs[i] ? 1 : 0;
    }
    const uint32_t middle = (kept - 1) / 2;
    if (below <= middle && middle < below + equal) return costs[i];
  }
  return 0;
}

int64_t Governor::Allowed(const SampleChoice& choice, double budget) const {
  const double cost = Cost();
  const auto period_ns = static_cast<double>(choice.period_ns);
  if (budget < 0 || cost * static_cast<double>(choice.on_ns) <= budget * period_ns) {
    return choice.on_ns;
  }
  const auto allowed_ns = static_cast<int64_t>(budget * period_ns / cost);
  const int64_t least_ns = choice.on_ns / 100;
  return allowed_ns < least_ns ? least_ns : allowed_ns;
}

void StartWindows(Session& session) {
  session.windows.on_ns = session.options.sample.on_ns;
  const WindowPlan plan = PlanNow(session);
  if (!plan.is_open) return;
  Open(session,
       session.options.sample.first_ns > 0 ? WindowReason::kStart : WindowReason::kSchedule,
       plan.until_ns);
}

void AdvanceWindows(Flusher& flusher, bool is_last) {
  Session& session = *flusher.session;
  const bool is_open = session.windows.is_open.load(std::memory_order_relaxed);
  const WindowPlan plan = PlanNow(session);
  if (is_last || session.windows.is_limited || !plan.is_open) {
    if (is_open) Close(flusher, is_last ? WindowReason::kExit : WindowReason::kSchedule);
    return;
  }
  if (is_open) return;
  ResumeCupti(flusher);
  Sequences sequences;
  sequences.count = 0;
  if (&ForEachSequence != nullptr) ForEachSequence(&Keep, &sequences);
  Open(session, WindowReason::kSchedule, plan.until_ns);
  WriteUntimed(flusher);
  WriteWindow(flusher);
  // Not of a window that opened before there was a file: its communicators begin in it.
  if (!session.windows.is_written) return;
  for (uint32_t i = 0; i < sequences.count; ++i) {
    trace::WindowSequence& sequence = sequences.kept[i];
    if (sequence.communicator > flusher.communicators_written) continue;
    sequence.window = session.windows.number;
    Put(flusher, BlockKind::kWindowSequences, sequence);
  }
}

void LimitWindows(Flusher& flusher) {
  Windows& windows = flusher.session->windows;
  if (windows.is_limited) return;
  windows.is_limited = true;
  if (windows.is_open.load(std::memory_order_relaxed)) Close(flusher, WindowReason::kSizeLimit);
}

void WriteWindow(Flusher& flusher) {
  Windows& windows = flusher.session->windows;
  if (!flusher.is_open || windows.is_written || !windows.is_open.load(std::memory_order_relaxed)) {
    return;
  }
  windows.is_written = true;
  WriteTables(flusher);  // communicators before their sequence numbers
  PutWindow(flusher, WindowEvent::kOpened, windows.reason, windows.opened_ns, windows.opened_calls);
}

void WriteSampleFacts(Flusher& flusher) {
  const Options& options = flusher.session->options;
  WriteFact(flusher.writer, trace::fact::kSample, options.sample_text);
  char text[32] = "off";
  if (options.overhead_budget >= 0) {
    // Percent with four decimals, as it is asked for.
    const auto parts = static_cast<int64_t>(options.overhead_budget * 1e6 + 0.5);
    char decimals[8];
    Text(decimals, sizeof decimals).Add(10000 + parts % 10000);
    Text(text, sizeof text).Add(parts / 10000).Add(".").Add(decimals + 1);
  }
  WriteFact(flusher.writer, trace::fact::kOverheadBudget, text);
}

int64_t UntilNextWindow(const Session& session) {
  return session.windows.is_limited ? INT64_MAX : PlanNow(session).until_ns;
}

void WriteUntimed(Flusher& flusher) {
  Session& session = *flusher.session;
  const int64_t now_ns = MonotonicNs();
  if (session.untimed.is_used() && OpenTrace(flusher)) {
    WriteCounts(
        flusher, session.untimed,
        session.windows.is_limited ? trace::CountReason::kSizeLimit : trace::CountReason::kUntimed,
        flusher.untimed_since_ns, now_ns);
  }
  flusher.untimed_since_ns = now_ns;
}

}  // namespace mfutrace::interpose
