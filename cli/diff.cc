// mfutrace diff: what changed from one run to another.
#include <cstdio>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "cli/args.h"
#include "cli/load_run.h"
#include "cli/verbs.h"
#include "gate/diff.h"
#include "gate/gate_file.h"
#include "gate/observation.h"

namespace mfutrace::cli {
namespace {

struct DiffOptions {
  CommonOptions common;
  std::string before;
  std::string after;
  std::string json;
  std::string markdown;
  std::vector<std::string> peaks;
  std::string peaks_file;
  bool fail = false;
  bool force = false;
};

void Declare(CLI::App& app, DiffOptions& options) {
  AddCommonOptions(app, options.common);
  app.add_option("OLD", options.before, "the run to compare with: a folder of traces or a file")
      ->required();
  app.add_option("NEW", options.after, "the run that may have changed")->required();
  app.add_flag("--fail", options.fail,
               "exit code 1 if anything is new, slower or called more often");
  app.add_option("--json", options.json, "write the changes as JSON to this file (- = stdout)");
  app.add_option("--markdown", options.markdown, "write tables to this file (- = stdout)");
  app.add_option("--peak", options.peaks, "dense peak in FLOP/s, e.g. bf16=989.4e12; repeatable")
      ->allow_extra_args(false);
  app.add_option("--peaks", options.peaks_file,
                 "peaks file (TOML); default ~/.config/mfutrace/peaks.toml");
  app.add_flag("-f,--force", options.force, "overwrite existing files");
}

}  // namespace

int DiffVerb(int argc, char** argv) {
  CLI::App app(
      "What changed from one run to another: where the time of a step went, MFU as a sum of "
      "changes, and the operations and communicators that changed beyond noise.",
      "diff");
  DiffOptions options;
  Declare(app, options);
  if (const std::optional<int> code = ParseArguments(app, argc, argv)) return *code;
  report::AnalyzeOptions load;
  if (absl::Status status = LoadPeaks(options.peaks_file, options.peaks, load); !status.ok()) {
    return SayStatus(status);
  }
  std::vector<gate::Observation> runs;
  for (const std::string& path : {options.before, options.after}) {
    const absl::StatusOr<report::RunResult> result = LoadRun({path}, load);
    if (!result.ok()) return SayStatus(result.status());
    runs.push_back(gate::Observe(*result, gate::GateFile()));
    runs.back().title = path;
  }
  const gate::Diff diff = gate::Compare(runs[0], runs[1]);
  const auto put = [&](const std::string& path, const std::string& text) {
    if (path.empty()) return int{kExitOk};
    if (path != "-") return WriteOutput(path, text, options.force);
    return std::fputs(text.c_str(), stdout) < 0 ? int{kExitBadUse} : int{kExitOk};
  };
  int code = put(options.json, gate::PrintDiffJson(diff));
  const int other =
      put(options.markdown, gate::PrintDiffMarkdown(diff, options.before, options.after));
  if (code == kExitOk) code = other;
  if (options.json != "-" && options.markdown != "-" && !options.common.is_quiet) {
    std::fputs(
        gate::PrintDiff(diff, options.before, options.after, UseColor(options.common, stdout))
            .c_str(),
        stdout);
  }
  if (std::fflush(stdout) != 0) {
    Say("cannot write the differences to stdout");
    return kExitBadUse;
  }
  if (code != kExitOk) return code;
  if (!options.fail) return kExitOk;
  if (runs[0].steps == 0 || runs[1].steps == 0) {
    Say("nothing to judge: no steady steps were found");
    return kExitNoVerdict;
  }
  return gate::IsWorse(diff) ? kExitGateFailed : kExitOk;
}

}  // namespace mfutrace::cli
