// How many weights a configuration means, by what they are for. Exact where the family is known;
// nullopt where the configuration does not tell.
#pragma once

#include <optional>
#include <string>

#include "report/estimate/model_config.h"
#include "report/estimate/work.h"

namespace mfutrace::report::estimate {

// Weights of one layer's attention or its substitute, without biases and norms.
Flop AttentionWeights(const ModelConfig& config);
Flop Mamba1Weights(const ModelConfig& config);  // in, x, time step and out projections
Flop Mamba2Weights(const ModelConfig& config);  // in and out projections
Flop GatedDeltaWeights(const ModelConfig& config);
Flop MixerWeights(const ModelConfig& config, Mixer mixer);
// Of one dense MLP, one routed expert, all shared experts of a layer; nullopt if it is unknown
// whether they are gated.
std::optional<Flop> DenseWeights(const ModelConfig& config);
std::optional<Flop> ExpertWeights(const ModelConfig& config);
std::optional<Flop> SharedWeights(const ModelConfig& config);
Flop RouterWeights(const ModelConfig& config);

struct Parameters {
  Flop embedding = 0;  // the input embedding, and learned positions
  Flop positions = 0;  // of these, the learned positions
  Flop output = 0;     // the logits' matrix, 0 where it is the embedding
  Flop attention = 0;
  std::optional<Flop> dense;
  std::optional<Flop> routed;  // all experts
  std::optional<Flop> active_routed;
  std::optional<Flop> shared;
  Flop router = 0;
  std::optional<Flop> other;   // norms and biases
  std::optional<Flop> total;   // without the modules of multi-token prediction
  std::optional<Flop> active;  // total, with only the experts that one token uses
  std::string missing;         // why there is no total

  // Those that a GEMM multiplies for each token, logits included.
  std::optional<Flop> multiplied() const;
};

Parameters CountParameters(const ModelConfig& config);

}  // namespace mfutrace::report::estimate
