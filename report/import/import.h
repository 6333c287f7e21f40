// A trace that another tool wrote -> Timelines: whose it is, its content says, never its name.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

// SQLite exports of Nsight Systems; logs of NCCL Inspector; JSON of the PyTorch profiler; packed or
// not, one or many in an archive. Timelines are handed out as they come, so that only those of one
// trace are in memory; at least one, or an error. An error is one line: the path, what is wrong,
// what to do; what was handed out before it is not the whole.
absl::Status ImportEach(const std::string& path, const std::function<void(const Timeline&)>& take);

// All of them. Never empty.
absl::StatusOr<std::vector<Timeline>> ImportTrace(const std::string& path);

}  // namespace mfutrace::report
