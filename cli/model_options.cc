#include "cli/model_options.h"

#include "cli/check_files.h"

namespace mfutrace::cli {
namespace {

// Sums of squares over so many tokens stay below 128 bits whatever the model is.
constexpr uint64_t kMaxTokens = uint64_t{1} << 44;
constexpr uint64_t kMaxLength = uint64_t{1} << 30;

}  // namespace

void AddStepOptions(CLI::App& app, StepOptions& options) {
  app.add_option("--batch", options.batch, "sequences of a step, over all devices");
  app.add_option("--seq", options.length, "tokens of a sequence");
  app.add_option("--tokens-per-step", options.tokens,
                 "tokens of a step, over all devices, in place of --batch");
}

absl::StatusOr<report::estimate::Batch> BatchOf(const StepOptions& options) {
  const auto refuse = [](const char* text) { return absl::InvalidArgumentError(text); };
  if (options.batch.has_value() && options.tokens.has_value()) {
    return refuse("--batch and --tokens-per-step: give one of them, with --seq");
  }
  if (options.batch.has_value() != options.length.has_value() && !options.tokens.has_value()) {
    return refuse("--batch needs --seq, and --seq needs --batch or --tokens-per-step");
  }
  if (!options.batch.has_value() && !options.tokens.has_value()) {
    return refuse("how large is a step? Give --batch B --seq S, or --tokens-per-step N");
  }
  if (options.batch == uint64_t{0} || options.length == uint64_t{0} ||
      options.tokens == uint64_t{0}) {
    return refuse("--batch, --seq and --tokens-per-step: expected a number above 0");
  }
  if (options.length.value_or(0) > kMaxLength || options.tokens.value_or(0) > kMaxTokens ||
      options.batch.value_or(0) > kMaxTokens / options.length.value_or(1)) {
    return refuse("--batch, --seq, --tokens-per-step: that is more than 2^44 tokens a step");
  }
  report::estimate::Batch batch;
  if (options.batch.has_value()) {
    return report::estimate::BatchOf(*options.batch, *options.length);
  }
  if (!options.length.has_value()) {
    batch.token_count = options.tokens;
    return batch;
  }
  const uint64_t whole = *options.tokens / *options.length;
  const uint64_t rest = *options.tokens % *options.length;
  if (whole > 0) batch.sequences.push_back({*options.length, *options.length, whole, true});
  if (rest > 0) batch.sequences.push_back({rest, rest, 1, true});
  return batch;
}

absl::StatusOr<report::estimate::ModelConfig> LoadModelConfig(const std::string& path) {
  const std::optional<std::string> json = ReadWholeFile(path);
  if (!json.has_value()) {
    return absl::InvalidArgumentError("cannot read " + path + ": give a model's config.json");
  }
  return report::estimate::ParseModelConfig(*json, path);
}

}  // namespace mfutrace::cli
