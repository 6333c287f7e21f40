// All conventions by name, and a model's figures by all of them at once: what `mfutrace estimate`
// and `report --model` show.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "report/estimate/components.h"
#include "report/estimate/model_config.h"
#include "report/estimate/parameters.h"
#include "report/estimate/work.h"

namespace mfutrace::report::estimate {

enum class Phase { kTrain, kPrefill, kDecode };

struct Convention {
  std::string_view name;
  std::string_view what;    // one short line
  std::string_view source;  // repository or paper
  bool is_training = true;  // else of an inference step
  Estimate (*count)(const ModelConfig& config, const Batch& batch) = nullptr;
};

std::span<const Convention> Conventions();
const Convention* ConventionNamed(std::string_view name);

struct ConventionFigure {
  const Convention* convention = nullptr;
  Estimate estimate;
};

struct ModelEstimate {
  ModelConfig config;
  Phase phase = Phase::kTrain;
  Batch batch;
  Parameters parameters;
  Work work;
  std::vector<ConventionFigure> figures;  // of the phase
  // vLLM's bytes of an inference step, where it models the network.
  std::optional<Flop> read_bytes;
  std::optional<Flop> write_bytes;
};

// The exact figure of the phase: model FLOPs of a training step, forward FLOPs of an inference
// step.
const std::optional<Flop>& ExactFlop(const ModelEstimate& estimate);
const std::optional<Flop>& ExactFlop(const Component& component, Phase phase);

// `names` picks conventions; empty = all.
ModelEstimate EstimateModel(const ModelConfig& config, const Batch& batch, Phase phase,
                            const std::vector<std::string>& names = {});

}  // namespace mfutrace::report::estimate
