// PyTorch profiler (Kineto) traces -> Timelines: the import behind `mfutrace report
// FILE.json[.gz]`.
//
// Reads .json, .json.gz and a tar of either (plain or gzip), told by content. Kernels are joined to
// the operators that launched them (correlation id -> launch -> enclosing operator on its thread),
// collectives to their process groups. Memory is bounded by GPU events and the CPU events needed to
// place them, never by text. What a trace does not say stays unknown in the Timeline.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

struct KinetoOptions {
  // Count operators that no GPU kernel of the trace belongs to (their kernels ran before or after
  // the profiled window, or on the CPU). On by default: the profile's operators are the work asked.
  bool count_operators_without_kernels = true;
};

// One timeline a device with GPU events, in order of ordinal; those of each member of an archive in
// the archive's order. Never empty. An error is one line: the path, what is wrong, what to do.
absl::StatusOr<std::vector<Timeline>> ImportKineto(const std::string& path,
                                                   const KinetoOptions& options = {});

}  // namespace mfutrace::report
