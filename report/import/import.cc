// See import.h. What is packed or in an archive is unwrapped here; each importer sees plain bytes.
#include "report/import/import.h"

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "report/import/byte_source.h"
#include "report/import/inspector.h"
#include "report/import/kineto.h"
#include "report/import/nsys.h"
#include "report/import/sqlite_file.h"

namespace mfutrace::report {
namespace {

using Take = std::function<void(const Timeline&)>;

constexpr size_t kMagicBytes = 16;
constexpr size_t kTarBytes = 512;
// The first line of a log of NCCL Inspector; its records are a few hundred bytes, verbose ones
// more.
constexpr size_t kLineBytes = 64 << 10;

absl::Status At(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

absl::Status HandOut(absl::StatusOr<std::vector<Timeline>> timelines, const Take& take) {
  if (!timelines.ok()) return timelines.status();
  for (const Timeline& timeline : *timelines) take(timeline);
  return absl::OkStatus();
}

absl::Status ImportText(PeekableSource& source, const std::string& path, const Take& take) {
  const absl::StatusOr<absl::string_view> first = source.Peek(kLineBytes);
  if (!first.ok() && source.held().empty()) return At(path, first.status());
  // What breaks further on is told by who reads it.
  const bool is_inspector = IsInspector(source.held());
  return HandOut(is_inspector ? ImportInspector(&source, path) : ImportKineto(&source, path), take);
}

bool MayBeJson(absl::string_view begin) {
  const size_t at = begin.find_first_not_of(" \t\r\n");
  return at != absl::string_view::npos && (begin[at] == '{' || begin[at] == '[');
}

// Members that are text of a known kind; others (notes, folders) are none of ours.
absl::Status ImportTar(ByteSource& source, const std::string& path, const Take& take) {
  TarReader tar(&source);
  bool is_empty = true;
  while (true) {
    const absl::StatusOr<bool> has_member = tar.NextMember();
    if (!has_member.ok()) return At(path, has_member.status());
    if (!*has_member) break;
    PeekableSource member(&tar);
    const absl::StatusOr<absl::string_view> magic = member.Peek(kMagicBytes);
    if (!magic.ok()) return At(path, magic.status());
    const std::string name = absl::StrCat(path, "::", tar.name());
    const bool is_packed = IsGzip(*magic);
    GzipSource unpacked(&member);
    PeekableSource text(is_packed ? static_cast<ByteSource*>(&unpacked) : &member);
    const absl::StatusOr<absl::string_view> begin = text.Peek(kMagicBytes);
    const bool is_named = absl::StrContains(tar.name(), ".json");
    // A damaged member that is named as a trace is an error, another one is not ours to judge.
    if (!begin.ok() && !is_named) continue;
    const bool is_text = begin.ok() && MayBeJson(*begin);
    if (!is_text && !is_named) continue;
    if (absl::Status status = ImportText(text, name, take); !status.ok()) return status;
    is_empty = false;
  }
  if (!is_empty) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": the archive holds no .json or .json.gz file"));
}

}  // namespace

absl::Status ImportEach(const std::string& path, const Take& take) {
  absl::StatusOr<std::unique_ptr<ByteSource>> bytes = OpenBytes(path);
  if (!bytes.ok()) return At(path, bytes.status());
  PeekableSource source(*std::move(bytes));
  const absl::StatusOr<absl::string_view> first = source.Peek(kTarBytes);
  if (!first.ok()) return At(path, first.status());
  if (IsSqlite(*first)) return HandOut(ImportNsys(path), take);
  if (IsTar(*first)) return ImportTar(source, path, take);
  return ImportText(source, path, take);
}

absl::StatusOr<std::vector<Timeline>> ImportTrace(const std::string& path) {
  std::vector<Timeline> all;
  const absl::Status status =
      ImportEach(path, [&](const Timeline& timeline) { all.push_back(timeline); });
  if (!status.ok()) return status;
  return all;
}

}  // namespace mfutrace::report
