// mfutrace shapes --check: the arithmetic behind every figure, held against figures from elsewhere,
// so that anyone can try cases of their own.
#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "cli/args.h"
#include "cli/shapes_check.h"
#include "cli/verbs.h"

namespace mfutrace::cli {
namespace {

std::optional<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  // An empty file sets failbit on `text`, a folder badbit on `file` at the first read.
  if (!file || (file.peek(), file.bad())) return std::nullopt;
  text << file.rdbuf();
  return file.bad() ? std::nullopt : std::optional(text.str());
}

}  // namespace

int ShapesVerb(int argc, char** argv) {
  CLI::App app(
      "Checks FLOPs and bytes against files of cases: a JSON array of objects with id, op, args,\n"
      "flops and agrees_with_recommended. One line a failing case, then the three counts.\n"
      "Exit 1 if a case fails or a file is empty.",
      "shapes");
  CommonOptions common;
  std::vector<std::string> paths;
  AddCommonOptions(app, common);
  app.add_option("--check", paths, "files of cases")->required()->expected(1, -1);
  if (const std::optional<int> code = ParseArguments(app, argc, argv)) return *code;

  CheckResult total;
  bool is_any_empty = false;
  std::string text;
  for (const std::string& path : paths) {
    const std::optional<std::string> json = ReadWhole(path);
    if (!json.has_value()) {
      Say("cannot read " + path + ": give a JSON file of cases");
      return kExitBadUse;
    }
    const absl::StatusOr<CheckResult> result = CheckShapes(*json, path);
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
