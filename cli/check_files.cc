#include "cli/check_files.h"

#include <cstdio>
#include <fstream>
#include <sstream>

#include "cli/args.h"

namespace mfutrace::cli {

std::optional<std::string> ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  // An empty file sets failbit on `text`, a folder badbit on `file` at the first read.
  if (!file || (file.peek(), file.bad())) return std::nullopt;
  text << file.rdbuf();
  return file.bad() ? std::nullopt : std::optional(text.str());
}

int CheckFiles(const std::vector<std::string>& paths, const ModelCheck& check_model) {
  CheckResult total;
  bool is_any_empty = false;
  std::string text;
  for (const std::string& path : paths) {
    const std::optional<std::string> json = ReadWholeFile(path);
    if (!json.has_value()) {
      Say("cannot read " + path + ": give a JSON file of cases");
      return kExitBadUse;
    }
    const absl::StatusOr<CheckResult> result = CheckShapes(*json, path, check_model);
    if (!result.ok()) {
      Say(std::string(result.status().message()));
      return kExitBadUse;
    }
    is_any_empty |= result->passed + result->failed + result->skipped == 0;
    total.passed += result->passed;
    total.failed += result->failed;
    total.skipped += result->skipped;
    for (const std::string& line : result->lines) text += line + "\n";
  }
  text += std::to_string(total.passed) + " passed, " + std::to_string(total.failed) + " failed, " +
          std::to_string(total.skipped) + " skipped\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  return total.failed > 0 || is_any_empty ? kExitGateFailed : kExitOk;
}

}  // namespace mfutrace::cli
