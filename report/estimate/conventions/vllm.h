// vLLM's estimate of an inference step: vllm/v1/metrics/perf.py of vllm-project/vllm@88cf72694.
//
// Attention as the full rectangle tokens x context, MLPs as three matrices whatever the model has,
// logits of one token for each prefill and of every decoded token; no router, no embedding. Bytes
// read and written operation by operation. Neither latent attention nor windows are modelled there:
// asked for such a model, there is no figure.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "report/estimate/model_config.h"
#include "report/estimate/work.h"

namespace mfutrace::report::estimate {

struct VllmModel {
  uint64_t layers = 0;
  uint64_t hidden = 0;
  uint64_t heads = 0;
  uint64_t kv_heads = 0;
  uint64_t head_dim = 0;
  uint64_t vocab = 0;
  uint64_t ffn = 0;
  // Experts: layers that have them, experts, of which a token uses, width of one, shared ones.
  uint64_t moe_layers = 0;
  uint64_t experts = 0;
  uint64_t experts_per_token = 0;
  uint64_t expert_ffn = 0;
  uint64_t shared_experts = 0;
  // Half bytes, for weights of four bits.
  uint64_t weight_half_bytes = 4;
  uint64_t activation_bytes = 2;
  uint64_t cache_bytes = 2;
  // One GPU's part of the model.
  uint64_t tensor_parallel = 1;
  uint64_t pipeline_parallel = 1;
  uint64_t data_parallel = 1;
  bool has_expert_parallel = false;
};

struct VllmStep {
  std::map<std::string, Flop> flop;  // "attn.qkv_proj", "ffn.dense_ffn", "unembed.unembed", ...
  Flop read_bytes = 0;
  Flop write_bytes = 0;

  Flop total_flop() const;
  // Of names that begin with `component` and a dot.
  Flop component_flop(const std::string& component) const;
};

VllmStep CountVllm(const VllmModel& model, const Batch& batch);

// What of this the calls do: attention by the pairs that a causal mask, aligned to the last key,
// keeps.
Flop ExactVllmFlop(const VllmModel& model, const Batch& batch);

std::optional<VllmModel> VllmModelOf(const ModelConfig& config, std::string& missing);
Estimate Vllm(const ModelConfig& config, const Batch& batch);

}  // namespace mfutrace::report::estimate
