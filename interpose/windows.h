// Sampled windows: when calls are recorded and timed. Outside them calls are counted only.
//
// The flusher opens and closes windows, at multiples of the period on the wall clock, so that all
// ranks of a job are timed at once; the job's threads read one flag. At the end of each window the
// job's pace in it is compared with its pace in the untimed time before, and the next windows are
// made shorter if timing costs more than the budget (MFUTRACE_OVERHEAD_BUDGET).
#pragma once

#include <atomic>
#include <cstdint>

#include "trace/format.h"

namespace mfutrace::interpose {

struct Flusher;
struct Session;

// What MFUTRACE_SAMPLE asks for.
struct SampleChoice {
  int64_t first_ns;   // all is timed for so long after the start; INT64_MAX = for ever
  int64_t on_ns;      // then this much ...
  int64_t period_ns;  // ... of every period; 0 = never
};

// Whether calls are to be timed at an instant, and how long that holds.
struct WindowPlan {
  bool is_open;
  int64_t until_ns;  // from the instant on; INT64_MAX = for ever
};
WindowPlan PlanAt(const SampleChoice& choice, int64_t on_ns, int64_t realtime_ns,
                  int64_t since_start_ns);

// What timing costs, by comparing paces. One comparison is worth little (an evaluation, a
// checkpoint); the median of the last ones is what counts.
struct Governor {
  static constexpr uint32_t kKept = 15;
  static constexpr uint32_t kFewest = 3;  // before that nothing is said

  double costs[kKept];  // share of the pace that was lost while timed
  uint32_t count;

  void Add(uint64_t timed_calls, int64_t timed_ns, uint64_t untimed_calls, int64_t untimed_ns);
  // Negative: the job was faster while timed, which is noise. 0 where too little is known.
  double Cost() const;
  // The longest a window may be for the budget, at most `on_ns`, at least a hundredth of it.
  int64_t Allowed(const SampleChoice& choice, double budget) const;
};

struct Windows {
  std::atomic<bool> is_open;

  // The flusher's.
  uint32_t number;  // of the last one
  bool is_written;  // its beginning is in the file
  bool is_limited;  // the file has reached its limit: there is no other
  trace::WindowReason reason;
  int64_t on_ns;  // as the governor allows
  int64_t opened_ns;
  int64_t length_ns;
  uint64_t opened_calls;
  int64_t closed_ns;  // 0 = not one yet
  uint64_t closed_calls;
  int64_t before_ns;  // the untimed time before the open window, and its calls; 0 = none
  uint64_t before_calls;
  Governor governor;
};

// At the start of the session, before its first call.
void StartWindows(Session& session);
// The flusher's, every round: opens or closes what is due. `is_last` closes.
void AdvanceWindows(Flusher& flusher, bool is_last);
// The file has reached its limit: closes for good.
void LimitWindows(Flusher& flusher);
// The beginning of the open window, once there is a file.
void WriteWindow(Flusher& flusher);
// What was asked for, as facts.
void WriteSampleFacts(Flusher& flusher);
// How long the flusher may sleep.
int64_t UntilNextWindow(const Session& session);

// The calls counted since the last time, as kCounts.
void WriteUntimed(Flusher& flusher);

// shadow.h's: collectives so far of every communicator, by its index. Absent in unit tests.
using SequenceSink = void (*)(void* context, uint32_t communicator, uint32_t sequence);
[[gnu::weak]] void ForEachSequence(SequenceSink sink, void* context);

}  // namespace mfutrace::interpose
