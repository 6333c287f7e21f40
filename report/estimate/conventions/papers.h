// Formulas of two papers about Megatron, for GPT models with an MLP four times the hidden size and
// as many heads of keys as of queries. Full attention: no causal half.
#pragma once

#include "report/estimate/model_config.h"
#include "report/estimate/work.h"

namespace mfutrace::report::estimate {

struct GptShape {
  uint64_t layers = 0;     // l, L
  uint64_t hidden = 0;     // h
  uint64_t length = 0;     // s
  uint64_t vocab = 0;      // V, v
  uint64_t sequences = 0;  // B: of the global batch
};

// Narayanan 2021 (arXiv 2104.04473) equation 3: 96 B s l h^2 (1 + s / 6h + V / 16lh), four forward
// passes' worth, all activations recomputed; and equation 2, the parameters:
// 12 l h^2 (1 + 13 / 12h + (V + s) / 12lh).
Flop Narayanan(const GptShape& shape);
Flop NarayananParameters(const GptShape& shape);

// Korthikanti 2022 (arXiv 2205.05198) appendix A: model 72 B L s h^2 (1 + s / 6h + v / 12hL);
// hardware with selective recomputation of attention s / 3h in place of s / 6h.
Flop Korthikanti(const GptShape& shape);
Flop KorthikantiSelective(const GptShape& shape);

// nullopt, with the reason, for a model that these formulas do not describe.
Estimate NarayananOf(const ModelConfig& config, const Batch& batch);
Estimate KorthikantiOf(const ModelConfig& config, const Batch& batch);

}  // namespace mfutrace::report::estimate
