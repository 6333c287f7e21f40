// Which files of a folder are traces, and of which kind.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "report/model/load.h"
#include "trace/contract.h"
#include "trace/format.h"

namespace mfutrace::report {
namespace {

// shapes/ and trace/ speak std::string_view, which Debian's absl::string_view is not.
absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

bool EndsWith(const std::string& text, absl::string_view end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end.data(), end.size()) == 0;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FindTraces(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status))
    return absl::NotFoundError(absl::StrCat(path, ": no such file or folder"));
  if (!fs::is_directory(status)) return std::vector<std::string>{path};
  std::vector<std::string> native;
  std::vector<std::string> imported;
  fs::directory_iterator entries(path, error);
  if (error) return absl::PermissionDeniedError(absl::StrCat(path, ": ", error.message()));
  for (const fs::directory_entry& entry : entries) {
    if (entry.is_directory(error)) continue;
    const std::string name = entry.path().string();
    if (EndsWith(name, View(trace::kFileSuffix))) native.push_back(name);
    if (EndsWith(name, ".json") || EndsWith(name, ".json.gz")) imported.push_back(name);
  }
  std::vector<std::string>& found = native.empty() ? imported : native;
  if (found.empty()) {
    return absl::NotFoundError(absl::StrCat(
        path,
        ": holds no trace (no *.mfut, no *.json or *.json.gz). Record one with: mfutrace run ",
        "-o ", path, " -- CMD"));
  }
  std::sort(found.begin(), found.end());
  return std::move(found);
}

bool IsNativeTrace(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[sizeof trace::kMagic] = {};
  file.read(magic, sizeof magic);
  return file.gcount() == sizeof magic && std::memcmp(magic, trace::kMagic, sizeof magic) == 0;
}

}  // namespace mfutrace::report
