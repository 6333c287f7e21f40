// See kineto.h: opens the file, finds the JSON in it, reads and joins.
#include "report/import/kineto.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "report/import/byte_source.h"
#include "report/import/kineto_join.h"
#include "report/import/kineto_reader.h"

namespace mfutrace::report {
namespace {

constexpr size_t kPeekBytes = 512;  // one tar header

absl::Status At(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

absl::StatusOr<std::vector<Timeline>> ImportOne(ByteSource* source, const std::string& path,
                                                const KinetoOptions& options) {
  RawTrace trace;
  if (absl::Status status = ReadKineto(source, &trace); !status.ok()) return At(path, status);
  std::vector<Timeline> timelines = JoinKineto(std::move(trace), path, options);
  if (timelines.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": no GPU events: was the profiler run with ProfilerActivity.CUDA?"));
  }
  return timelines;
}

absl::StatusOr<std::vector<Timeline>> ImportTar(ByteSource* source, const std::string& path,
                                                const KinetoOptions& options) {
  TarReader tar(source);
  std::vector<Timeline> all;
  while (true) {
    absl::StatusOr<bool> has_member = tar.NextMember();
    if (!has_member.ok()) return At(path, has_member.status());
    if (!*has_member) break;
    const bool is_packed = absl::EndsWith(tar.name(), ".json.gz");
    if (!is_packed && !absl::EndsWith(tar.name(), ".json")) continue;
    const std::string name = absl::StrCat(path, "::", tar.name());
    GzipSource unpacked(&tar);
    absl::StatusOr<std::vector<Timeline>> timelines =
        ImportOne(is_packed ? static_cast<ByteSource*>(&unpacked) : &tar, name, options);
    if (!timelines.ok()) return timelines.status();
    for (Timeline& timeline : *timelines) all.push_back(std::move(timeline));
  }
  if (all.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the archive holds no .json or .json.gz file"));
  }
  return all;
}

}  // namespace

absl::StatusOr<std::vector<Timeline>> ImportKineto(const std::string& path,
                                                   const KinetoOptions& options) {
  absl::StatusOr<std::unique_ptr<ByteSource>> bytes = OpenBytes(path);
  if (!bytes.ok()) return At(path, bytes.status());
  PeekableSource source(*std::move(bytes));
  absl::StatusOr<absl::string_view> first = source.Peek(kPeekBytes);
  if (!first.ok()) return At(path, first.status());
  return IsTar(*first) ? ImportTar(&source, path, options) : ImportOne(&source, path, options);
}

}  // namespace mfutrace::report
