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
#include "cli/model_options.h"
#include "cli/verbs.h"
#include "report/render/estimate.h"

namespace mfutrace::cli {
namespace {

namespace estimate = report::estimate;

constexpr size_t kPageWidth = 120;

struct EstimateOptions {
  CommonOptions common;
  StepOptions step;
  std::string config;
  std::vector<std::string> checks;
  std::vector<std::string> conventions;
  std::string phase = "train";
  std::optional<uint64_t> mtp_layers;
  std::string json;
  bool force = false;
};

void Declare(CLI::App& app, EstimateOptions& options) {
  AddCommonOptions(app, options.common);
  app.add_option("CONFIG", options.config, "a model's config.json, as Hugging Face writes it");
  AddStepOptions(app, options.step);
  app.add_option("--phase", options.phase,
                 "train (default), prefill (--seq new tokens each) or decode (one token after "
                 "--seq - 1)")
      ->check(CLI::IsMember({"train", "prefill", "decode"}));
  app.add_option("--convention", options.conventions, "these conventions alone")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--mtp", options.mtp_layers,
                 "modules of multi-token prediction that are trained (default: the config's)")
      ->check(CLI::Range(uint64_t{0}, uint64_t{64}));
  app.add_option("--json", options.json, "write all figures as JSON to this file (- = stdout)");
  app.add_flag("-f,--force", options.force, "overwrite existing files");
  app.add_option("--check", options.checks,
                 "hold the conventions against files of cases: a JSON array of objects with id, "
                 "source, op, args, flops")
      ->expected(1, -1);
}

int Show(const EstimateOptions& options) {
  std::vector<std::string> names;
  for (const estimate::Convention& known : estimate::Conventions()) names.emplace_back(known.name);
  for (const std::string& name : options.conventions) {
    if (estimate::ConventionNamed(name) != nullptr) continue;
    Say("--convention: none is called " + name + Suggestion(name, names));
    return kExitBadUse;
  }
  absl::StatusOr<estimate::ModelConfig> config = LoadModelConfig(options.config);
  if (!config.ok()) return SayStatus(config.status());
  absl::StatusOr<estimate::Batch> batch = BatchOf(options.step);
  if (!batch.ok()) return SayStatus(batch.status());
  if (options.mtp_layers.has_value()) config->mtp_layers = *options.mtp_layers;
  estimate::Phase phase = estimate::Phase::kTrain;
  if (options.phase == "prefill") phase = estimate::Phase::kPrefill;
  if (options.phase == "decode") {
    phase = estimate::Phase::kDecode;
    for (estimate::Sequences& one : batch->sequences) {
      one.queries = 1;
      one.is_prefill = false;
    }
  }
  const estimate::ModelEstimate result =
      estimate::EstimateModel(*config, *batch, phase, options.conventions);
  if (!options.json.empty() && options.json != "-") {
    return WriteOutput(options.json, report::RenderEstimateJson(result), options.force);
  }
  const std::string text = options.json == "-" ? report::RenderEstimateJson(result)
                                               : report::RenderEstimate(result, kPageWidth);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return kExitOk;
}

}  // namespace

int EstimateVerb(int argc, char** argv) {
  CLI::App app(
      "FLOPs of a model's step from its config.json: part by part, exactly, and by the "
      "conventions\n"
      "that people divide by. With --check: one line a failing case, then the three counts; exit "
      "1\n"
      "if a case fails or a file is empty.",
      "estimate");
  EstimateOptions options;
  Declare(app, options);
  if (const std::optional<int> code = ParseArguments(app, argc, argv)) return *code;
  if (!options.checks.empty()) return CheckFiles(options.checks, CheckModelCase);
  if (options.config.empty()) {
    Say("estimate: which model? Give its config.json, or --check FILE");
    std::fputs("  mfutrace estimate config.json --batch 1 --seq 8192\n", stderr);
    return kExitBadUse;
  }
  return Show(options);
}

}  // namespace mfutrace::cli
