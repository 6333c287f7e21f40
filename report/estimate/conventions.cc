#include "report/estimate/conventions.h"

#include <algorithm>

#include "report/estimate/conventions/maxtext.h"
#include "report/estimate/conventions/megatron.h"
#include "report/estimate/conventions/nemo_rl.h"
#include "report/estimate/conventions/papers.h"
#include "report/estimate/conventions/parameter_counts.h"
#include "report/estimate/conventions/verl.h"
#include "report/estimate/conventions/vllm.h"

namespace mfutrace::report::estimate {
namespace {

constexpr Convention kConventions[] = {
    {"6n", "6 x all parameters x tokens", "Kaplan 2020", true, SixN},
    {"6n-active", "6 x parameters a token uses x tokens", "Kaplan 2020, experts by top-k", true,
     ActiveSixN},
    {"6n+attention", "6n-active and attention by its mask", "Kaplan 2020, exact attention", true,
     SixNAndAttention},
    {"palm", "6N + 12LHQT, full square", "Chowdhery 2022, appendix B", true, Palm},
    {"nanogpt", "palm without learned positions", "karpathy/nanoGPT@3adf61e1", true, NanoGpt},
    {"torchtitan", "6 (N - embedding), full square", "pytorch/torchtitan@b5bcd76c", true,
     Torchtitan},
    {"megatron", "products, half squares, no router", "NVIDIA/Megatron-LM@d98e8a64", true,
     Megatron},
    {"maxtext", "products, half squares, router", "AI-Hypercomputer/maxtext@e591f30c", true,
     MaxText},
    {"verl", "half squares, router, input embedding", "volcengine/verl@b178a3cd", true, Verl},
    {"nemo-rl", "a formula a family", "NVIDIA-NeMo/RL@7ea279ab", true, NemoRl},
    {"llm-foundry", "6N + 12LdT, full square", "mosaicml/llm-foundry@8c8dd48f", true, Foundry},
    {"llm-foundry-hfu", "the same, all activations recomputed", "mosaicml/llm-foundry@8c8dd48f",
     true, FoundryHardware},
    {"narayanan2021", "GPT, all activations recomputed", "arXiv 2104.04473, eq. 3", true,
     NarayananOf},
    {"korthikanti2022", "GPT, nothing recomputed", "arXiv 2205.05198", true, KorthikantiOf},
    {"2n-active", "2 x parameters a token uses x tokens", "Kaplan 2020, forward", false,
     [](const ModelConfig& config, const Batch& batch) {
       Estimate estimate = ActiveSixN(config, batch);
       if (estimate.flop.has_value()) *estimate.flop /= 3;
       return estimate;
     }},
    {"vllm", "full rectangle, logits as sampled", "vllm-project/vllm@88cf7269", false, Vllm},
};

}  // namespace

std::span<const Convention> Conventions() { return kConventions; }

const Convention* ConventionNamed(std::string_view name) {
  for (const Convention& convention : kConventions) {
    if (convention.name == name) return &convention;
  }
  return nullptr;
}

const std::optional<Flop>& ExactFlop(const Component& component, Phase phase) {
  return phase == Phase::kTrain ? component.model_flop : component.forward_flop;
}

const std::optional<Flop>& ExactFlop(const ModelEstimate& estimate) {
  return ExactFlop(estimate.work.sum, estimate.phase);
}

ModelEstimate EstimateModel(const ModelConfig& config, const Batch& batch, Phase phase,
                            const std::vector<std::string>& names) {
  ModelEstimate result;
  result.config = config;
  result.phase = phase;
  result.batch = batch;
  result.parameters = CountParameters(config);
  std::optional<uint64_t> logit_tokens;
  ModelConfig counted = config;
  if (phase != Phase::kTrain) {
    // One token of each prefill is sampled, and every decoded one; prediction modules are
    // training's.
    logit_tokens = 0;
    for (const Sequences& one : batch.sequences) {
      *logit_tokens += one.count * (one.is_prefill ? 1 : one.queries);
    }
    counted.mtp_layers = 0;
  }
  result.work = WorkOf(counted, batch, logit_tokens);
  for (const Convention& convention : kConventions) {
    const bool is_asked =
        names.empty() || std::find(names.begin(), names.end(), convention.name) != names.end();
    if (!is_asked) continue;
    if (convention.is_training != (phase == Phase::kTrain)) {
      if (names.empty()) continue;
      result.figures.push_back(
          {&convention, Missing(convention.is_training ? "a training step's: --phase train"
                                                       : "an inference step's: --phase prefill "
                                                         "or decode")});
      continue;
    }
    result.figures.push_back({&convention, convention.count(config, batch)});
  }
  std::string missing;
  const std::optional<VllmModel> model = VllmModelOf(config, missing);
  if (phase != Phase::kTrain && model.has_value() && !batch.sequences.empty()) {
    const VllmStep step = CountVllm(*model, batch);
    result.read_bytes = step.read_bytes;
    result.write_bytes = step.write_bytes;
  }
  return result;
}

}  // namespace mfutrace::report::estimate
