// mfutrace estimate: what a model's config.json says a step costs, part by part and by every
// convention in use; --check holds the conventions against their sources' own numbers.
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "cli/args.h"
#include "cli/check_files.h"
#include "cli/estimate_case.h"
#include "cli/verbs.h"

namespace mfutrace::cli {

int EstimateVerb(int argc, char** argv) {
  CLI::App app("FLOPs of a model's step.", "estimate");
  CommonOptions common;
  std::vector<std::string> checks;
  AddCommonOptions(app, common);
  app.add_option("--check", checks, "files of cases")->required()->expected(1, -1);
  if (const std::optional<int> code = ParseArguments(app, argc, argv)) return *code;
  return CheckFiles(checks, CheckModelCase);
}

}  // namespace mfutrace::cli
