// The options that describe a model's step, shared by `estimate` and `report --model`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "CLI/App.hpp"
#include "absl/status/statusor.h"
#include "report/estimate/model_config.h"
#include "report/estimate/work.h"

namespace mfutrace::cli {

struct StepOptions {
  std::optional<uint64_t> batch;
  std::optional<uint64_t> length;
  std::optional<uint64_t> tokens;
};

// Adds --batch, --seq and --tokens-per-step.
void AddStepOptions(CLI::App& app, StepOptions& options);

// kInvalidArgument, one line, if they do not describe a step.
absl::StatusOr<report::estimate::Batch> BatchOf(const StepOptions& options);

// Reads and parses; kInvalidArgument or kNotFound with one line.
absl::StatusOr<report::estimate::ModelConfig> LoadModelConfig(const std::string& path);

}  // namespace mfutrace::cli
