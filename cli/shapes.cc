// mfutrace shapes --check: the arithmetic behind every figure, held against figures from elsewhere,
// so that anyone can try cases of their own.
#include <optional>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "cli/args.h"
#include "cli/check_files.h"
#include "cli/verbs.h"

namespace mfutrace::cli {
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

  return CheckFiles(paths);
}

}  // namespace mfutrace::cli
