// PyTorch profiler (Kineto) traces -> Timelines.
//
// Kernels are joined to the operators that launched them (correlation id -> launch -> enclosing
// operator on its thread), collectives to their process groups. Memory is bounded by GPU events and
// the CPU events needed to place them, never by text. What a trace does not say stays unknown in
// the Timeline.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "report/import/byte_source.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

struct KinetoOptions {
  // Count operators that no GPU kernel of the trace belongs to (their kernels ran before or after
  // the profiled window, or on the CPU). On by default: the profile's operators are the work asked.
  bool count_operators_without_kernels = true;
};

// One timeline a device with GPU events, in order of ordinal; `path` is what they are called. Never
// empty. An error is one line: the path, what is wrong, what to do.
absl::StatusOr<std::vector<Timeline>> ImportKineto(ByteSource* source, const std::string& path,
                                                   const KinetoOptions& options = {});

}  // namespace mfutrace::report
