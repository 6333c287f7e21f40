// mfutrace gate: runs held against a gate file; the exit code is the product.
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "cli/args.h"
#include "cli/load_run.h"
#include "cli/verbs.h"
#include "gate/baseline.h"
#include "gate/calibrate.h"
#include "gate/gate_file.h"
#include "gate/judge.h"
#include "gate/observation.h"
#include "gate/print.h"
#include "gate/print_text.h"

namespace mfutrace::cli {
namespace {

struct GateOptions {
  CommonOptions common;
  std::vector<std::string> runs;
  std::string file = "mfutrace.toml";
  std::vector<std::string> baseline;
  std::string markdown;
  std::string junit;
  std::string json;
  std::string format;
  std::vector<std::string> peaks;
  std::string peaks_file;
  bool update = false;
  bool calibrate = false;
};

void Declare(CLI::App& app, GateOptions& options) {
  AddCommonOptions(app, options.common);
  app.add_option("RUN", options.runs,
                 "runs of one configuration, each a folder of traces or a file; three or more are "
                 "compared as runs; default: the newest mfutrace-* here");
  app.add_option("--file", options.file, "the gate file (default mfutrace.toml)");
  app.add_option("--baseline", options.baseline,
                 "a baseline file or a run to hold against, instead of the gate file's; repeatable")
      ->allow_extra_args(false);
  app.add_flag("--update", options.update, "write the runs as the gate file's baseline");
  app.add_flag("--calibrate", options.calibrate,
               "from runs without a change between them: the smallest change that shows, and "
               "limits to write");
  app.add_option("--markdown", options.markdown,
                 "append a table to this file, e.g. \"$GITHUB_STEP_SUMMARY\" (- = stdout)");
  app.add_option("--junit", options.junit, "write JUnit XML to this file (- = stdout)");
  app.add_option("--json", options.json, "write verdicts as JSON to this file (- = stdout)");
  app.add_option("--format", options.format,
                 "on stdout instead of the table: gha-benchmark (bigger is better), "
                 "gha-benchmark-smaller, or bmf (Bencher)")
      ->check(CLI::IsMember({"gha-benchmark", "gha-benchmark-smaller", "bmf"}));
  app.add_option("--peak", options.peaks, "dense peak in FLOP/s, e.g. bf16=989.4e12; repeatable")
      ->allow_extra_args(false);
  app.add_option("--peaks", options.peaks_file,
                 "peaks file (TOML); default ~/.config/mfutrace/peaks.toml");
}

// A path of the gate file is relative to the gate file's folder.
std::string BesideFile(const std::string& file, const std::string& path) {
  const size_t slash = file.rfind('/');
  if (path.empty() || path.front() == '/' || slash == std::string::npos) return path;
  return file.substr(0, slash + 1) + path;
}

bool IsBaselineFile(const std::string& path) {
  return path.size() > 5 && path.compare(path.size() - 5, 5, ".toml") == 0;
}

absl::StatusOr<gate::Observation> ObserveRun(const std::string& path,
                                             const report::AnalyzeOptions& load,
                                             const gate::GateFile& file) {
  const absl::StatusOr<report::RunResult> result = LoadRun({path}, load);
  if (!result.ok()) return result.status();
  gate::Observation observation = gate::Observe(*result, file);
  observation.title = path;
  return observation;
}

absl::StatusOr<std::vector<gate::Observation>> Baseline(const GateOptions& options,
                                                        const report::AnalyzeOptions& load,
                                                        const gate::GateFile& file) {
  if (options.baseline.empty()) {
    if (file.baseline_path.empty()) {
      return absl::NotFoundError(
          "no baseline: the gate file names none ([baseline] file), nor does --baseline");
    }
    return gate::LoadBaseline(BesideFile(options.file, file.baseline_path));
  }
  std::vector<gate::Observation> runs;
  for (const std::string& path : options.baseline) {
    if (IsBaselineFile(path)) {
      absl::StatusOr<std::vector<gate::Observation>> read = gate::LoadBaseline(path);
      if (!read.ok()) return read.status();
      runs.insert(runs.end(), read->begin(), read->end());
      continue;
    }
    absl::StatusOr<gate::Observation> run = ObserveRun(path, load, file);
    if (!run.ok()) return run.status();
    runs.push_back(*std::move(run));
  }
  return runs;
}

int Append(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::app | std::ios::binary);
  file << text;
  file.flush();
  if (file.good()) return kExitOk;
  Say("cannot write " + path);
  return kExitBadUse;
}

int Put(const std::string& path, const std::string& text, bool append) {
  if (path == "-") return std::fputs(text.c_str(), stdout) < 0 ? kExitBadUse : kExitOk;
  return append ? Append(path, text) : WriteOutput(path, text, true);
}

// Nothing to write is no failure; a file that cannot be written is.
int Publish(const GateOptions& options, const gate::Judgement& judgement) {
  if (!options.format.empty()) {
    const std::string text =
        options.format == "bmf"
            ? gate::PrintBmf(judgement)
            : gate::PrintGhaBenchmark(judgement, options.format == "gha-benchmark");
    std::fputs(text.c_str(), stdout);
  }
  const bool has_data_on_stdout = !options.format.empty() || options.json == "-" ||
                                  options.junit == "-" || options.markdown == "-";
  const std::string table = gate::PrintTerminal(
      judgement, UseColor(options.common, has_data_on_stdout ? stderr : stdout));
  if (!options.common.is_quiet || judgement.failed + judgement.without_verdict > 0) {
    std::fputs(table.c_str(), has_data_on_stdout ? stderr : stdout);
  }
  const char* actions = std::getenv("GITHUB_ACTIONS");
  if (actions != nullptr && std::string(actions) == "true") {
    const std::string text = gate::PrintAnnotations(judgement, options.file);
    std::fputs(text.c_str(), has_data_on_stdout ? stderr : stdout);
  }
  int code = kExitOk;
  const auto put = [&](const std::string& path, const std::string& text, bool append) {
    if (path.empty()) return;
    if (const int failed = Put(path, text, append); failed != kExitOk) code = failed;
  };
  put(options.markdown, options.markdown.empty() ? "" : gate::PrintMarkdown(judgement), true);
  put(options.junit, options.junit.empty() ? "" : gate::PrintJunit(judgement, options.file), false);
  put(options.json, options.json.empty() ? "" : gate::PrintJson(judgement), false);
  if (std::fflush(stdout) != 0) {
    Say("cannot write the verdicts to stdout");
    code = kExitBadUse;
  }
  return code;
}

// A trace that cannot be read leaves nothing to judge: 3 is for that, whatever a report would say.
int NothingToJudge(const absl::Status& status) {
  Say(std::string(status.message()));
  return kExitNoVerdict;
}

}  // namespace

int GateVerb(int argc, char** argv) {
  CLI::App app(
      "Checks runs against a gate file (mfutrace.toml): exit code 0 all gates hold, 1 one "
      "failed, 2 wrong use or a bad file, 3 nothing could be judged.",
      "gate");
  GateOptions options;
  Declare(app, options);
  if (const std::optional<int> code = ParseArguments(app, argc, argv)) return *code;

  const absl::StatusOr<gate::GateFile> file = gate::LoadGateFile(options.file);
  if (!file.ok()) return SayStatus(file.status());
  report::AnalyzeOptions load;
  load.skip_warmup_steps = file->warmup_steps;
  if (absl::Status status = LoadPeaks(options.peaks_file, options.peaks, load); !status.ok()) {
    return SayStatus(status);
  }
  if (options.runs.empty()) {
    absl::StatusOr<std::string> newest = NewestRun();
    if (!newest.ok()) return NothingToJudge(newest.status());
    if (!options.common.is_quiet) Say("reading " + *newest);
    options.runs.push_back(*std::move(newest));
  }
  std::vector<gate::Observation> runs;
  for (const std::string& path : options.runs) {
    absl::StatusOr<gate::Observation> run = ObserveRun(path, load, *file);
    if (!run.ok()) return NothingToJudge(run.status());
    runs.push_back(*std::move(run));
  }
  if (options.calibrate) {
    const std::string text = gate::Calibrate(*file, runs);
    std::fputs(text.c_str(), stdout);
    return kExitOk;
  }
  if (options.update) {
    if (file->baseline_path.empty()) {
      Say(options.file + ": names no baseline to write; add [baseline] file = \"...\"");
      return kExitBadUse;
    }
    const std::string path = BesideFile(options.file, file->baseline_path);
    const int code = WriteOutput(path, gate::WriteBaseline(runs), true);
    if (code == kExitOk && !options.common.is_quiet) Say("wrote " + path + "; commit it");
    return code;
  }
  absl::StatusOr<std::vector<gate::Observation>> baseline = Baseline(options, load, *file);
  std::string why_none;
  if (!baseline.ok()) {
    why_none = std::string(baseline.status().message());
    if (baseline.status().code() == absl::StatusCode::kInvalidArgument) {
      return SayStatus(baseline.status());
    }
    baseline = std::vector<gate::Observation>();
  }
  const gate::Judgement judgement = gate::Judge(*file, runs, *baseline, why_none);
  const int published = Publish(options, judgement);
  const int code = gate::ExitCodeOf(judgement);
  Say(gate::SummaryText(judgement) + "  (exit " + std::to_string(code) + ")");
  return code == kExitOk ? published : code;
}

}  // namespace mfutrace::cli
