// NeMo RL's counts of a training step: nemo_rl/utils/flops_formulas.py, with a family's formula and
// arguments as nemo_rl/utils/flops_tracker.py of NVIDIA-NeMo/RL@7ea279abfbeb picks them.
//
// llama, qwen2, qwen3 and deepseekv3 halve causal attention; gpt3, nemotron, mixtral and bert in
// the same file do not. qwen2 takes as many heads of keys as of queries. All layers of DeepSeek-V3
// are experts there, and those of Qwen3's are as wide as one dense MLP. Routers are not counted.
// The formulas are floating point, and so are the figures here: the nearest whole number.
#pragma once

#include <optional>

#include "report/estimate/model_config.h"
#include "report/estimate/work.h"

namespace mfutrace::report::estimate {

// nullopt, with the reason, for families without a formula. Sequences of equal length.
struct NemoRlCount {
  std::optional<double> flop;
  std::string missing;
};
NemoRlCount CountNemoRl(const ModelConfig& config, uint64_t sequences, uint64_t length);

Estimate NemoRl(const ModelConfig& config, const Batch& batch);

}  // namespace mfutrace::report::estimate
