// See nsys.h.
#include "report/import/nsys.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "report/import/kineto_join.h"
#include "report/import/nsys_reader.h"
#include "report/import/sqlite_file.h"

namespace mfutrace::report {
namespace {

absl::Status At(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

void AddNotes(const NsysTrace& trace, const NsysTrace::Device& device, Quality& quality) {
  if (device.whole_graphs > 0) {
    quality.notes.push_back(
        absl::StrCat(device.whole_graphs,
                     " graph launches were recorded as one piece each and count as compute: "
                     "profile with --cuda-graph-trace=node to see inside"));
  }
  if (trace.nccl_payloads > 0) {
    quality.notes.push_back(
        absl::StrCat(trace.nccl_payloads,
                     " NCCL calls carry their arguments in a form that is not read: sizes and "
                     "communicators of collectives stay unknown"));
  }
}

}  // namespace

absl::StatusOr<std::vector<Timeline>> ImportNsys(const std::string& path) {
  absl::StatusOr<SqliteFile> file = SqliteFile::Open(path);
  if (!file.ok()) return At(path, file.status());
  NsysTrace trace;
  if (absl::Status status = ReadNsys(*file, &trace); !status.ok()) return At(path, status);
  trace.raw.source = SourceKind::kNsys;
  std::vector<Timeline> timelines = JoinKineto(std::move(trace.raw), path, {});
  if (timelines.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": no GPU events: was nsys profile run with --trace=cuda?"));
  }
  for (Timeline& timeline : timelines) {
    const auto& device = trace.devices[static_cast<size_t>(timeline.device.ordinal)];
    timeline.device.ordinal = device.id;
    timeline.pid = static_cast<uint32_t>(device.main_process >> 24 & 0xffffff);
    timeline.steps = device.steps;
    AddNotes(trace, device, timeline.quality);
  }
  std::stable_sort(timelines.begin(), timelines.end(), [](const Timeline& a, const Timeline& b) {
    return a.device.ordinal < b.device.ordinal;
  });
  return timelines;
}

}  // namespace mfutrace::report
