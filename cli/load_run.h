// Traces on disk -> RunResult, for the verbs that show results: `report`, and the summary after
// `run`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "report/analyze/analyze.h"
#include "report/analyze/results.h"
#include "report/analyze/summary_file.h"

namespace mfutrace::cli {

// Sees every timeline while it is there.
using TimelineSink = std::function<void(const report::Timeline&)>;

struct ReadOptions {
  size_t threads = 0;    // 0 = one a core, up to a limit
  bool is_quiet = true;  // no progress bar
  // With one, files are read one after the other; summaries have no timelines to see.
  TimelineSink sink = nullptr;
};

// Files and folders, several at a time: traces and files of summaries. What cannot be read is left
// out and named as long as something can; the first error is returned if nothing can.
absl::StatusOr<report::Summaries> ReduceFiles(const std::vector<std::string>& paths,
                                              const report::Analyzer& analyzer,
                                              const ReadOptions& options = {});

// The same, and the report of it; what was left out is in the result's quality.
absl::StatusOr<report::RunResult> LoadRun(const std::vector<std::string>& paths,
                                          const report::AnalyzeOptions& options,
                                          const ReadOptions& read = {});

// The newest mfutrace-* folder in the current one. kNotFound says what to do instead.
absl::StatusOr<std::string> NewestRun();

// Peaks of the user: the file given, or the default one where `path` is empty.
absl::Status LoadPeaks(const std::string& path, const std::vector<std::string>& overrides,
                       report::AnalyzeOptions& options);

}  // namespace mfutrace::cli
