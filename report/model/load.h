// Finds the traces of a run and turns a native one (.mfut) into Timelines. The only file of report/
// that reads the trace format; called by the command line's verbs and by tests.
//
// FLOPs, bytes and labels are computed here, from the dimensions in the trace: a corrected formula
// corrects old traces. One process is in memory at a time; what spans processes (ranks without an
// environment variable, members of communicators, restarts) is the analyzer's.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

// A folder: its own traces in order of name, or, where it has none, files that importers may know;
// where there is nothing, the same of the folders in it. Content decides, not names. A file: that
// file. Never empty: an error says what is missing.
absl::StatusOr<std::vector<std::string>> FindTraces(const std::string& path);

// True if the file begins with the native format's magic bytes; anything else is left to importers.
bool IsNativeTrace(const std::string& path);

// One timeline per device that the process used (at least one), in order of device ordinal. Damage
// behind the first good block is a note in the timeline's quality, not an error. What belongs to
// the process rather than to a device (counters, damage) stands in the first timeline only.
absl::StatusOr<std::vector<Timeline>> LoadNative(const std::string& path);

}  // namespace mfutrace::report
