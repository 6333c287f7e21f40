// Megatron-LM's count of a training step: num_floating_point_operations in
// megatron/training/training.py of NVIDIA/Megatron-LM@d98e8a64ddf3.
//
// 3 x 2 for every weight of QKV, output, MLP (3 matrices with SwiGLU), the routed experts a token
// uses, shared experts, multi-token prediction's projection, and logits once for it and once for
// the model; attention as half a square of each sequence. Not counted: router, embedding,
// recompute, biases and norms, but for the latent norms of MLA and those of multi-token prediction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/estimate/model_config.h"
#include "report/estimate/work.h"

namespace mfutrace::report::estimate {

// Megatron's own arguments, by its names.
struct MegatronModel {
  uint64_t num_layers = 0;
  uint64_t hidden_size = 0;
  uint64_t num_attention_heads = 0;
  uint64_t num_query_groups = 0;  // as many as heads without group_query_attention
  uint64_t kv_channels = 0;
  uint64_t ffn_hidden_size = 0;
  uint64_t padded_vocab_size = 0;
  bool swiglu = false;
  bool attention_output_gate = false;

  bool has_experts = false;
  std::vector<uint64_t> moe_layer_pattern;  // one a layer, 1 = experts
  uint64_t moe_router_topk = 0;
  uint64_t moe_ffn_hidden_size = 0;
  uint64_t moe_shared_expert_intermediate_size = 0;
  uint64_t moe_latent_size = 0;  // 0 = experts work on the hidden size
  uint64_t mtp_num_layers = 0;

  bool multi_latent_attention = false;
  uint64_t q_lora_rank = 0;  // 0 = none
  uint64_t kv_lora_rank = 0;
  uint64_t qk_head_dim = 0;
  uint64_t qk_pos_emb_head_dim = 0;
  uint64_t v_head_dim = 0;

  // Layers with a gated delta net in place of attention, one a layer; empty = none.
  std::vector<uint64_t> linear_attention_pattern;
  bool is_gdn2 = false;
  uint64_t linear_key_head_dim = 128;
  uint64_t linear_value_head_dim = 128;
  uint64_t linear_num_key_heads = 16;
  uint64_t linear_num_value_heads = 32;
  uint64_t linear_conv_kernel_dim = 4;

  // M Mamba, G gated delta net, * attention, - MLP, E experts; | between stages, / before each
  // module of multi-token prediction. Empty = no hybrid.
  std::string hybrid_layer_pattern;
  uint64_t mamba_state_dim = 128;
  uint64_t mamba_head_dim = 64;
  uint64_t mamba_num_groups = 8;
  uint64_t mamba_num_heads = 128;
  bool uses_gated_delta_product = false;
  uint64_t gdp_num_householder = 0;
};

struct MegatronFlop {
  Flop products = 0;   // GEMMs
  Flop attention = 0;  // core attention, half squares
  Flop other = 0;      // what it counts and no library call does: latent norms, scans, convolutions
  uint64_t attention_layers = 0;
  Flop sum() const { return products + attention + other; }
};

MegatronFlop CountMegatron(const MegatronModel& model, Flop tokens, Flop squared_lengths);

// The same step with attention counted exactly and without what is no product: the sum of the calls
// that a replay of the model makes. `pairs` = kept pairs of one head and layer.
struct ExactStep {
  Flop model_flop = 0;
  Flop executed_flop = 0;
};
ExactStep ExactMegatron(const MegatronModel& model, const MegatronFlop& counted, Flop pairs);

// nullopt with `missing` where the configuration does not say what Megatron needs.
std::optional<MegatronModel> MegatronModelOf(const ModelConfig& config, std::string& missing);

Estimate Megatron(const ModelConfig& config, const Batch& batch);

}  // namespace mfutrace::report::estimate
