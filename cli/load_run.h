// Traces on disk -> RunResult, for the verbs that show results: `report`, and the summary after
// `run`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "report/analyze/analyze.h"
#include "report/analyze/results.h"

namespace mfutrace::cli {

// Sees every timeline while it is there.
using TimelineSink = std::function<void(const report::Timeline&)>;

// Files and folders. A file that cannot be read is skipped with a note in the result's quality as
// long as another can; the first error is returned if none can.
absl::StatusOr<report::RunResult> LoadRun(const std::vector<std::string>& paths,
                                          const report::AnalyzeOptions& options,
                                          const TimelineSink& sink = nullptr);

// The newest mfutrace-* folder in the current one. kNotFound says what to do instead.
absl::StatusOr<std::string> NewestRun();

// Peaks of the user: the file given, or the default one where `path` is empty.
absl::Status LoadPeaks(const std::string& path, const std::vector<std::string>& overrides,
                       report::AnalyzeOptions& options);

}  // namespace mfutrace::cli
