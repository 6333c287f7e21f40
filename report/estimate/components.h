// The exact work of a step, part by part of the model: what a call list of the same model sums to.
//
// docs/METHOD.md, "Work": FMA = 2; attention counts the (query, key) pairs that the mask keeps;
// no norms, biases, softmax or embedding. Training is forward + data gradient + weight gradient;
// executed adds the product that flash attention's backward repeats. The recurrence of Mamba and
// gated delta layers is no matrix product of a library and stays out.
#pragma once

#include <string>
#include <vector>

#include "report/estimate/model_config.h"
#include "report/estimate/work.h"

namespace mfutrace::report::estimate {

struct Component {
  std::string name;
  std::optional<Flop> weights;  // of all layers and all experts
  std::optional<Flop> forward_flop;
  std::optional<Flop> model_flop;     // of a training step
  std::optional<Flop> executed_flop;  // ... with the recompute inside flash attention's backward
  std::string missing;
};

struct Work {
  std::vector<Component> components;
  Component sum;
};

// Pairs of one head that a layer of this kind keeps; nullopt if its mask is unknown.
std::optional<Flop> KeptPairs(const ModelConfig& config, Mixer mixer, const Sequences& sequences);

// `logit_tokens` = tokens whose logits are computed; nullopt = all.
Work WorkOf(const ModelConfig& config, const Batch& batch,
            std::optional<uint64_t> logit_tokens = std::nullopt);

}  // namespace mfutrace::report::estimate
