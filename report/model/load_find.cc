// Which files of a folder are traces, and of which kind.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "report/model/load.h"
#include "trace/contract.h"
#include "trace/format.h"

namespace mfutrace::report {
namespace {

// shapes/ and trace/ speak std::string_view, which Debian's absl::string_view is not.
absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

constexpr int kMaxDepth = 4;  // of folders in folders
constexpr size_t kPeekBytes = 512;
constexpr char kSpace[] = " \t\r\n";

enum class Kind : uint8_t { kOther, kNative, kForeign };

// By the first bytes: our own magic; an SQLite file, gzip, a tar, or text that could be JSON. What
// is in the latter is for the importers to find out.
Kind KindOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char bytes[kPeekBytes] = {};
  file.read(bytes, sizeof bytes);
  const absl::string_view first(bytes, static_cast<size_t>(file.gcount()));
  if (absl::StartsWith(first, View({trace::kMagic, sizeof trace::kMagic}))) return Kind::kNative;
  if (absl::StartsWith(first, "SQLite format 3") || absl::StartsWith(first, "\x1f\x8b") ||
      (first.size() == kPeekBytes && first.substr(257, 5) == "ustar")) {
    return Kind::kForeign;
  }
  // An object, or a list of objects: TOML's "[section]" is neither.
  size_t at = first.find_first_not_of(kSpace);
  if (at != absl::string_view::npos && first[at] == '[')
    at = first.find_first_not_of(kSpace, at + 1);
  const bool is_json = at != absl::string_view::npos && first[at] == '{';
  return is_json ? Kind::kForeign : Kind::kOther;
}

struct Found {
  std::vector<std::string> native;
  std::vector<std::string> foreign;
};

// Damaged and empty files are found by their names, so that a report can say what is lost.
bool IsNamedAsNative(const std::string& path) {
  return absl::EndsWith(path, View(trace::kFileSuffix));
}
bool IsNamedAsForeign(const std::string& path) {
  for (const absl::string_view end : {".json", ".json.gz", ".sqlite"}) {
    if (absl::EndsWith(path, end)) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FindTraces(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status))
    return absl::NotFoundError(absl::StrCat(path, ": no such file or folder"));
  if (!fs::is_directory(status)) return std::vector<std::string>{path};
  // Files of the folder itself; if there is no trace among them, those of the folders in it.
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    Found traces;
    fs::recursive_directory_iterator entries(path, fs::directory_options::skip_permission_denied,
                                             error);
    if (error) return absl::PermissionDeniedError(absl::StrCat(path, ": ", error.message()));
    for (; entries != fs::recursive_directory_iterator(); entries.increment(error)) {
      if (error) break;
      if (entries->is_directory(error)) {
        if (entries.depth() >= depth) entries.disable_recursion_pending();
        continue;
      }
      if (entries.depth() != depth || !entries->is_regular_file(error)) continue;
      const std::string name = entries->path().string();
      const Kind kind = KindOf(name);
      if (kind == Kind::kNative || IsNamedAsNative(name)) {
        traces.native.push_back(name);
      } else if (kind == Kind::kForeign || IsNamedAsForeign(name)) {
        traces.foreign.push_back(name);
      }
    }
    std::vector<std::string>& found = traces.native.empty() ? traces.foreign : traces.native;
    if (found.empty()) continue;
    std::sort(found.begin(), found.end());
    return std::move(found);
  }
  return absl::NotFoundError(absl::StrCat(
      path,
      ": holds no trace (no *.mfut, no JSON or SQLite of a profiler). Record one with: mfutrace "
      "run -o ",
      path, " -- CMD"));
}

bool IsNativeTrace(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[sizeof trace::kMagic] = {};
  file.read(magic, sizeof magic);
  return file.gcount() == sizeof magic && std::memcmp(magic, trace::kMagic, sizeof magic) == 0;
}

}  // namespace mfutrace::report
