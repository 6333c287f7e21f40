// mfutrace report: one read of the traces, all outputs.
#include <cstdio>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "cli/args.h"
#include "cli/load_run.h"
#include "cli/model_options.h"
#include "cli/outputs.h"
#include "cli/verbs.h"
#include "report/render/comparison.h"
#include "report/render/json.h"
#include "report/render/terminal.h"

namespace mfutrace::cli {
namespace {

constexpr size_t kModelPageWidth = 120;

struct ReportOptions {
  CommonOptions common;
  std::vector<std::string> paths;
  OutputOptions outputs;
  std::string compat;
  std::string compat_steps;
  std::vector<std::string> only;
  std::vector<std::string> peaks;
  std::string peaks_file;
  std::string skip_warmup = "auto";
  std::string layout;
  int top = 0;
  int rank = -1;
  std::string model;
  StepOptions model_step;
  std::string convention = "6n";
  std::optional<uint64_t> model_steps;
  ReadOptions read;
};

void Declare(CLI::App& app, ReportOptions& options) {
  AddCommonOptions(app, options.common);
  app.add_option(
      "RUN", options.paths,
      "folders of traces, .mfut files, traces of the PyTorch profiler (JSON, packed or in "
      "a tar), SQLite exports of Nsight Systems, logs of NCCL Inspector, files of mfutrace "
      "reduce; default: the newest mfutrace-* here");
  AddOutputOptions(app, options.outputs);
  app.add_option("--only", options.only,
                 "sections: summary,budget,ops,serving,experts,comm,ranks,quality")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--top", options.top, "rows of each table")->check(CLI::PositiveNumber);
  app.add_option("--rank", options.rank, "this rank alone")->check(CLI::NonNegativeNumber);
  app.add_option("--jobs", options.read.threads, "threads (default: one a core, at most 16)")
      ->check(CLI::PositiveNumber);
  app.add_option("--skip-warmup", options.skip_warmup, "steps to leave out, or auto");
  app.add_option("--layout", options.layout,
                 "what the communicators are, e.g. tp=8,pp=4,dp=2; checked against the evidence");
  app.add_option("--peak", options.peaks, "dense peak in FLOP/s, e.g. bf16=989.4e12; repeatable")
      ->allow_extra_args(false);
  app.add_option("--peaks", options.peaks_file,
                 "peaks file (TOML); default ~/.config/mfutrace/peaks.toml");
  app.add_option("--compat", options.compat, "also count as another tool does: hta")
      ->check(CLI::IsMember({"hta"}));
  app.add_option("--compat-steps", options.compat_steps,
                 "steps that count with --compat: all (default: as that tool does)")
      ->check(CLI::IsMember({"all"}));
  app.add_option("--model", options.model,
                 "a model's config.json: its estimates beside the trace, and what differs");
  AddStepOptions(app, options.model_step);
  app.add_option("--convention", options.convention,
                 "with --model: the estimate that the differences begin with (default 6n)");
  app.add_option("--steps", options.model_steps,
                 "with --model: steps in the trace, where it does not tell")
      ->check(CLI::PositiveNumber);
}

// The estimate of --model for one step; an error if the options make no sense.
absl::StatusOr<report::estimate::ModelEstimate> ModelOf(const ReportOptions& options) {
  namespace estimate = report::estimate;
  const estimate::Convention* convention = estimate::ConventionNamed(options.convention);
  if (convention == nullptr || !convention->is_training) {
    std::vector<std::string> names;
    for (const estimate::Convention& known : estimate::Conventions()) {
      if (known.is_training) names.emplace_back(known.name);
    }
    return absl::InvalidArgumentError("--convention: no estimate of a training step is called " +
                                      options.convention + Suggestion(options.convention, names));
  }
  absl::StatusOr<estimate::ModelConfig> config = LoadModelConfig(options.model);
  if (!config.ok()) return config.status();
  const absl::StatusOr<estimate::Batch> batch = BatchOf(options.model_step);
  if (!batch.ok()) return batch.status();
  return estimate::EstimateModel(*config, *batch, estimate::Phase::kTrain);
}

// Fills what the analysis needs; an exit code if an option makes no sense.
int Interpret(const ReportOptions& options, report::AnalyzeOptions& load,
              report::TerminalOptions& terminal) {
  if (options.skip_warmup != "auto") {
    const std::optional<uint64_t> steps = ParseByteCount(options.skip_warmup);
    if (!steps.has_value() || *steps > UINT32_MAX ||
        options.skip_warmup.find_first_not_of("0123456789") != std::string::npos) {
      Say("--skip-warmup: expected a number of steps or auto, got " + options.skip_warmup);
      return kExitBadUse;
    }
    load.skip_warmup_steps = static_cast<uint32_t>(*steps);
  }
  if (!options.layout.empty()) {
    absl::StatusOr<report::Layout> layout = report::ParseLayout(options.layout);
    if (!layout.ok()) {
      Say("--layout: " + std::string(layout.status().message()));
      return kExitBadUse;
    }
    load.layout = *std::move(layout);
  }
  if (options.rank >= 0) load.rank = options.rank;
  load.compat_hta = options.compat == "hta";
  load.hta_include_last_step = options.compat_steps == "all";
  if (options.common.is_verbose) terminal.top = SIZE_MAX;
  if (options.top > 0) terminal.top = static_cast<size_t>(options.top);
  if (!options.only.empty()) terminal.sections = 0;
  for (const std::string& name : options.only) {
    const std::optional<report::Section> section = report::SectionNamed(name);
    if (!section.has_value()) {
      Say("--only: no section " + name +
          Suggestion(name, {"summary", "budget", "ops", "serving", "experts", "comm", "ranks",
                            "quality"}));
      return kExitBadUse;
    }
    terminal.sections |= *section;
  }
  const absl::Status status = LoadPeaks(options.peaks_file, options.peaks, load);
  return status.ok() ? kExitOk : SayStatus(status);
}

// Where a figure is missing because nobody knows the peak, how to supply it.
void ExplainMissingPeak(const report::RunResult& result) {
  if (result.run.mfu.has_value() || !result.run.flop.executed.has_value()) return;
  if (*result.run.flop.executed == 0 || result.gpu.empty()) return;
  Say("unknown peak of \"" + result.gpu + "\"; no MFU without it");
  std::string format = "bf16";
  if (!result.run.flop.executed_by_rate.empty()) {
    format = std::string(shapes::NameOf(result.run.flop.executed_by_rate.begin()->first));
  }
  std::fprintf(stderr,
               "  FLOP/s and all times are still reported. If you know the dense figure:\n"
               "  mfutrace report --peak %s=148e12        (or add it to "
               "~/.config/mfutrace/peaks.toml)\n",
               format.c_str());
}

}  // namespace

int ReportVerb(int argc, char** argv) {
  CLI::App app("MFU, where the time went, operations and communication of a recorded run.",
               "report");
  ReportOptions options;
  Declare(app, options);
  if (const std::optional<int> code = ParseArguments(app, argc, argv)) return *code;

  report::AnalyzeOptions load;
  report::TerminalOptions terminal;
  if (const int code = Interpret(options, load, terminal); code != kExitOk) return code;
  if (const int code = CheckOutputs(options.outputs); code != kExitOk) return code;
  load.sample = SampleFor(options.outputs);
  std::optional<report::estimate::ModelEstimate> model;
  if (!options.model.empty()) {
    absl::StatusOr<report::estimate::ModelEstimate> estimate = ModelOf(options);
    if (!estimate.ok()) return SayStatus(estimate.status());
    model = *std::move(estimate);
  }
  if (options.paths.empty()) {
    absl::StatusOr<std::string> newest = NewestRun();
    if (!newest.ok()) return SayStatus(newest.status());
    if (!options.common.is_quiet) Say("reading " + *newest);
    options.paths.push_back(*std::move(newest));
  }
  absl::StatusOr<std::unique_ptr<report::SqliteExport>> sqlite = OpenSqlite(options.outputs);
  if (!sqlite.ok()) return SayStatus(sqlite.status());
  options.read.is_quiet = options.common.is_quiet;
  if (*sqlite != nullptr) {
    options.read.sink = [&sqlite](const report::Timeline& timeline) { (*sqlite)->Add(timeline); };
  }
  const absl::StatusOr<report::RunResult> result = LoadRun(options.paths, load, options.read);
  if (!result.ok()) return SayStatus(result.status());
  if (*sqlite != nullptr) {
    if (absl::Status status = (*sqlite)->Finish(*result); !status.ok()) return SayStatus(status);
  }
  if (!options.common.is_quiet) ExplainMissingPeak(*result);

  std::optional<report::estimate::Comparison> comparison;
  if (model.has_value()) {
    absl::StatusOr<report::estimate::Comparison> compared =
        report::estimate::CompareWithRun(*result, *model, options.convention, options.model_steps);
    if (!compared.ok()) return SayStatus(compared.status());
    comparison = *std::move(compared);
  }
  std::string json;
  if (!options.outputs.json.empty()) {
    json = report::RenderJson(*result);
    if (comparison.has_value()) json = report::WithComparison(json, *comparison);
  }
  if (const int code = WriteOutputs(options.outputs, *result, json); code != kExitOk) return code;
  if (WritesToStdout(options.outputs) || options.common.is_quiet) {
    // The quality line is not on the page then: damage must still be heard of.
    for (const std::string& note : result->quality.notes) {
      if (result->quality.damaged_files > 0) Say("note: " + note);
    }
  } else {
    terminal.use_color = UseColor(options.common, stdout);
    std::string text = report::RenderTerminal(*result, terminal);
    if (!result->compat_hta.empty()) text += "\n" + report::RenderHta(*result, terminal);
    if (comparison.has_value()) {
      text += "\n" + report::RenderComparison(*comparison, kModelPageWidth);
    }
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
  if (std::fflush(stdout) != 0) {
    Say("cannot write the report to stdout");
    return kExitBadUse;
  }
  return kExitOk;
}

}  // namespace mfutrace::cli
