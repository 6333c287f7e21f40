// See kineto.h: reads and joins.
#include "report/import/kineto.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "report/import/kineto_join.h"
#include "report/import/kineto_reader.h"

namespace mfutrace::report {

absl::StatusOr<std::vector<Timeline>> ImportKineto(ByteSource* source, const std::string& path,
                                                   const KinetoOptions& options) {
  RawTrace trace;
  if (absl::Status status = ReadKineto(source, &trace); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  }
  std::vector<Timeline> timelines = JoinKineto(std::move(trace), path, options);
  if (timelines.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": no GPU events: was the profiler run with ProfilerActivity.CUDA?"));
  }
  return timelines;
}

}  // namespace mfutrace::report
