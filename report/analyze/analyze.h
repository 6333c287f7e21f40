// From timelines to results: the entry point of report/analyze, called by the command line's verbs.
//
// Timelines come one at a time and only sums of them are kept, so memory grows with ranks x steps
// and distinct operations, never with calls. What needs all of them (world ranks, members of
// communicators, the steady window, restarts) is settled in Finish.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "report/analyze/results.h"
#include "report/analyze/sample.h"
#include "report/analyze/strategy.h"
#include "report/analyze/summary.h"
#include "report/model/timeline.h"
#include "report/model/user_peaks.h"

namespace mfutrace::report {

struct AnalyzeOptions {
  // --peak: dense FLOP/s, for every device; holds over the peaks file, which holds over the table.
  std::map<shapes::PeakRate, uint64_t> peak_overrides;
  UserPeaks user_peaks;
  std::optional<uint32_t> skip_warmup_steps;  // nullopt = found from the steps' durations
  std::optional<int32_t> rank;                // this world rank only
  Layout layout;                              // --layout; empty: inferred alone
  bool hta_include_last_step = false;         // where HTA itself would leave it out
  bool compat_hta = false;                    // also compute RunResult::compat_hta
  SampleRequest sample;                       // RunResult::sample; none by default
};

class Analyzer {
 public:
  explicit Analyzer(AnalyzeOptions options);
  ~Analyzer();
  Analyzer(const Analyzer&) = delete;
  Analyzer& operator=(const Analyzer&) = delete;

  // What is kept of a timeline. Several threads may call it at once.
  absl::StatusOr<DeviceSummary> Reduce(const Timeline& timeline) const;
  // In any order: the report does not depend on it. A summary made with other peaks than this
  // report's is an error of Finish.
  void Add(DeviceSummary summary);
  // Takes the sample of a timeline that was reduced; in the order of Add, one thread at a time.
  void Look(const Timeline& timeline, const DeviceSummary& summary);
  void Add(const Timeline& timeline);
  // Once, after the last Add. kFailedPrecondition: nothing to report on (no timelines, no such
  // rank). kInternal: the parts of a window do not sum to it, which would be a defect of mfutrace
  // itself.
  absl::StatusOr<RunResult> Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mfutrace::report
