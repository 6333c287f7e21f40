// SQLite exports of Nsight Systems (nsys export --type sqlite) -> Timelines.
//
// One timeline a GPU. Kernels, copies, API calls and NVTX ranges are read; operators and their
// sizes where torch.autograd.profiler.emit_nvtx wrote them, else there are no FLOPs. Ranks, sizes
// of collectives and their communicators are not in these files and stay unknown.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

// In order of device. Never empty. An error is one line: the path, what is wrong, what to do.
absl::StatusOr<std::vector<Timeline>> ImportNsys(const std::string& path);

}  // namespace mfutrace::report
