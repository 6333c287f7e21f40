#include "report/estimate/conventions/megatron.h"

#include <algorithm>
#include <numeric>

namespace mfutrace::report::estimate {
namespace {

constexpr uint64_t kPasses = 3;       // forward, data gradient, weight gradient
constexpr uint64_t kMultiplyAdd = 2;  // FMA = 2
constexpr uint64_t kTrain = kPasses * kMultiplyAdd;

uint64_t Ones(const std::vector<uint64_t>& pattern) {
  return std::accumulate(pattern.begin(), pattern.end(), uint64_t{0});
}

// Weights that a token meets in one gated delta net layer, and what is no product in it.
struct LinearAttention {
  Flop weights = 0;
  Flop other = 0;
};

LinearAttention GatedDeltaNet(const MegatronModel& model) {
  const Flop keys = Flop(model.linear_key_head_dim) * model.linear_num_key_heads;
  const Flop values = Flop(model.linear_value_head_dim) * model.linear_num_value_heads;
  const Flop in_width = model.is_gdn2 ? 4 * keys + 3 * values
                                      : 2 * keys + 2 * values + 2 * model.linear_num_value_heads;
  LinearAttention layer;
  layer.weights = Flop(model.hidden_size) * (in_width + values);
  layer.other = model.linear_conv_kernel_dim * (2 * keys + values) +
                4 * Flop(model.linear_num_value_heads) * model.linear_value_head_dim *
                    model.linear_value_head_dim;
  return layer;
}

struct AttentionTerms {
  Flop weights = 0;
  Flop norms = 0;
  Flop per_pair = 0;  // multiply-adds of one (query, key) pair over all heads, times two
};

AttentionTerms AttentionOf(const MegatronModel& model) {
  const Flop hidden = model.hidden_size;
  const Flop heads = model.num_attention_heads;
  AttentionTerms terms;
  if (model.multi_latent_attention) {
    const Flop query_dim = model.qk_head_dim + model.qk_pos_emb_head_dim;
    terms.weights = model.q_lora_rank == 0 ? hidden * heads * query_dim
                                           : model.q_lora_rank * (hidden + heads * query_dim);
    terms.weights +=
        model.kv_lora_rank * (hidden + heads * (model.qk_head_dim + model.v_head_dim)) +
        hidden * model.qk_pos_emb_head_dim + heads * model.v_head_dim * hidden;
    terms.norms = Flop(model.q_lora_rank) + model.kv_lora_rank;
    terms.per_pair = heads * (query_dim + model.v_head_dim);
    return terms;
  }
  const Flop queries = Flop(model.kv_channels) * heads;
  const Flop keys = Flop(model.kv_channels) * model.num_query_groups;
  const Flop gate = model.attention_output_gate ? queries : Flop(0);
  terms.weights = hidden * (2 * queries + 2 * keys + gate);
  terms.per_pair = 2 * queries;
  return terms;
}

Flop ExpertWeights(const MegatronModel& model, uint64_t matrices) {
  const Flop routed_width = Flop(model.moe_ffn_hidden_size) * model.moe_router_topk * matrices;
  if (model.moe_latent_size == 0) return Flop(model.hidden_size) * routed_width;
  return model.moe_latent_size * routed_width + 2 * Flop(model.hidden_size) * model.moe_latent_size;
}

struct HybridLayers {
  uint64_t mamba = 0, delta = 0, attention = 0, mlp = 0, moe = 0;
};

HybridLayers LayersOf(const std::string& pattern) {
  HybridLayers layers;
  for (const char letter : pattern) {
    if (letter == 'M') ++layers.mamba;
    if (letter == 'G') ++layers.delta;
    if (letter == '*') ++layers.attention;
    if (letter == '-') ++layers.mlp;
    if (letter == 'E') ++layers.moe;
  }
  return layers;
}

// mamba_layer_flops: the inner width is twice the hidden size, whatever the heads are.
LinearAttention MambaLayer(const MegatronModel& model) {
  const Flop hidden = model.hidden_size;
  if (model.uses_gated_delta_product) {
    const Flop inner = Flop(model.mamba_num_heads) * model.mamba_head_dim;
    const Flop householder = model.gdp_num_householder;
    const Flop groups = Flop(model.mamba_num_groups) * model.mamba_state_dim;
    const Flop in_width = (inner + groups + model.mamba_num_heads) * (1 + householder);
    LinearAttention layer;
    layer.weights = hidden * in_width + inner * hidden;
    // In multiply-adds; its core counts single operations.
    layer.other = 4 * (inner * householder + groups * (1 + householder));
    return layer;
  }
  const Flop inner = 2 * hidden;
  const Flop heads = model.mamba_num_heads != 0
                         ? Flop(model.mamba_num_heads)
                         : inner / std::max<uint64_t>(1, model.mamba_head_dim);
  LinearAttention layer;
  layer.weights =
      hidden * (2 * inner + 2 * Flop(model.mamba_num_groups) * model.mamba_state_dim + heads) +
      inner * hidden;
  return layer;
}

// Operations of the recurrence of one layer and token, counted singly.
Flop Recurrence(const MegatronModel& model) {
  if (model.uses_gated_delta_product) {
    const Flop inner = Flop(model.mamba_num_heads) * model.mamba_head_dim;
    return (4 * Flop(model.gdp_num_householder) + 3) * inner * model.mamba_state_dim;
  }
  return 7 * (2 * Flop(model.hidden_size)) * model.mamba_state_dim;
}

MegatronFlop CountHybrid(const MegatronModel& model, Flop tokens, Flop squared_lengths) {
  const HybridLayers layers = LayersOf(model.hybrid_layer_pattern);
  const uint64_t matrices = model.swiglu ? 3 : 2;
  // Its hybrid path knows neither gates nor latent attention: one width for queries, keys, values.
  MegatronModel plain = model;
  plain.attention_output_gate = plain.multi_latent_attention = false;
  const AttentionTerms attention = AttentionOf(plain);
  const LinearAttention delta = GatedDeltaNet(model);
  const LinearAttention mamba = MambaLayer(model);
  const Flop hidden = model.hidden_size;
  const Flop weights =
      layers.attention * attention.weights +
      layers.mlp * matrices * hidden * model.ffn_hidden_size +
      layers.moe * (ExpertWeights(model, matrices) +
                    hidden * model.moe_shared_expert_intermediate_size * matrices) +
      layers.mamba * mamba.weights + layers.delta * delta.weights +
      hidden * model.padded_vocab_size * (1 + model.mtp_num_layers);
  MegatronFlop flop;
  flop.attention_layers = layers.attention;
  flop.products = kTrain * tokens * weights;
  flop.attention = kPasses * layers.attention * attention.per_pair * squared_lengths;
  flop.other = kTrain * tokens * (layers.mamba * mamba.other + layers.delta * delta.other) +
               kPasses * tokens * layers.mamba * Recurrence(model);
  return flop;
}

}  // namespace

MegatronFlop CountMegatron(const MegatronModel& model, Flop tokens, Flop squared_lengths) {
  if (!model.hybrid_layer_pattern.empty()) return CountHybrid(model, tokens, squared_lengths);
  const Flop hidden = model.hidden_size;
  const uint64_t matrices = model.swiglu ? 3 : 2;
  uint64_t moe_layers = model.has_experts ? Ones(model.moe_layer_pattern) : 0;
  uint64_t dense_layers = model.num_layers - std::min(model.num_layers, moe_layers);
  const bool is_last_moe =
      model.has_experts && !model.moe_layer_pattern.empty() && model.moe_layer_pattern.back() != 0;
  (is_last_moe ? moe_layers : dense_layers) += model.mtp_num_layers;
  const uint64_t layers = model.num_layers + model.mtp_num_layers;
  const uint64_t linear_layers = Ones(model.linear_attention_pattern);
  const uint64_t attention_layers = layers - std::min(layers, linear_layers);

  const AttentionTerms attention = AttentionOf(model);
  const LinearAttention delta = GatedDeltaNet(model);
  Flop weights = dense_layers * hidden * model.ffn_hidden_size * matrices;
  weights += moe_layers * (ExpertWeights(model, matrices) +
                           hidden * model.moe_shared_expert_intermediate_size * matrices);
  weights += attention_layers * attention.weights + linear_layers * delta.weights;
  weights += model.mtp_num_layers * 2 * hidden * hidden;
  weights += hidden * model.padded_vocab_size * (model.mtp_num_layers + 1);
  MegatronFlop flop;
  flop.attention_layers = attention_layers;
  flop.products = kTrain * tokens * weights;
  flop.attention = kPasses * attention_layers * attention.per_pair * squared_lengths;
  flop.other = kTrain * tokens *
               (attention_layers * attention.norms + linear_layers * delta.other +
                3 * hidden * model.mtp_num_layers);
  return flop;
}

ExactStep ExactMegatron(const MegatronModel& model, const MegatronFlop& counted, Flop pairs) {
  const Flop heads = model.num_attention_heads;
  const Flop keys = model.multi_latent_attention
                        ? Flop(model.qk_head_dim) + model.qk_pos_emb_head_dim
                        : Flop(model.kv_channels);
  const Flop values =
      model.multi_latent_attention ? Flop(model.v_head_dim) : Flop(model.kv_channels);
  const Flop per_dimension = 2 * heads * pairs * counted.attention_layers;
  ExactStep exact;
  exact.model_flop = counted.products + 3 * per_dimension * (keys + values);
  // Flash attention's backward multiplies queries and keys once more.
  exact.executed_flop = exact.model_flop + per_dimension * keys;
  return exact;
}

std::optional<MegatronModel> MegatronModelOf(const ModelConfig& config, std::string& missing) {
  if (!config.ffn_matrices.has_value()) {
    missing = "whether the MLP of model_type \"" + config.model_type + "\" is gated";
    return std::nullopt;
  }
  MegatronModel model;
  model.num_layers = config.layers.size();
  model.hidden_size = config.hidden;
  model.num_attention_heads = config.heads;
  model.num_query_groups = config.kv_heads;
  model.kv_channels = config.head_dim;
  model.ffn_hidden_size = config.ffn;
  model.padded_vocab_size = config.vocab;
  model.swiglu = *config.ffn_matrices == 3;
  model.mtp_num_layers = config.mtp_layers;
  model.has_experts = config.experts.count != 0;
  model.moe_router_topk = config.experts.per_token;
  model.moe_ffn_hidden_size = config.experts.width;
  model.moe_shared_expert_intermediate_size = config.experts.shared_width;
  if (config.latent.has_value()) {
    model.multi_latent_attention = true;
    model.q_lora_rank = config.latent->query_rank;
    model.kv_lora_rank = config.latent->kv_rank;
    model.qk_head_dim = config.latent->nope_dim;
    model.qk_pos_emb_head_dim = config.latent->rope_dim;
    model.v_head_dim = config.value_dim;
  }
  bool is_hybrid = false;
  for (const Layer& layer : config.layers) {
    model.moe_layer_pattern.push_back(layer.ffn == Ffn::kMoe ? 1 : 0);
    is_hybrid |= layer.mixer == Mixer::kMamba2 || layer.mixer == Mixer::kMamba1 ||
                 layer.mixer == Mixer::kNone || layer.ffn == Ffn::kNone;
  }
  if (config.gated_delta.has_value()) {
    model.attention_output_gate = true;
    model.linear_key_head_dim = config.gated_delta->key_dim;
    model.linear_value_head_dim = config.gated_delta->value_dim;
    model.linear_num_key_heads = config.gated_delta->key_heads;
    model.linear_num_value_heads = config.gated_delta->value_heads;
    model.linear_conv_kernel_dim = config.gated_delta->convolution;
    for (const Layer& layer : config.layers) {
      model.linear_attention_pattern.push_back(layer.mixer == Mixer::kGatedDelta ? 1 : 0);
    }
  }
  if (!is_hybrid) return model;
  for (const Layer& layer : config.layers) {
    if (layer.mixer == Mixer::kMamba1) {
      missing = "Megatron has no count of Mamba-1 layers";
      return std::nullopt;
    }
    if (layer.mixer == Mixer::kMamba2) model.hybrid_layer_pattern += 'M';
    if (layer.mixer == Mixer::kGatedDelta) model.hybrid_layer_pattern += 'G';
    if (IsAttention(layer.mixer)) model.hybrid_layer_pattern += '*';
    if (layer.ffn == Ffn::kDense) model.hybrid_layer_pattern += '-';
    if (layer.ffn == Ffn::kMoe) model.hybrid_layer_pattern += 'E';
  }
  if (config.mamba.has_value()) {
    model.mamba_state_dim = config.mamba->state;
    model.mamba_num_groups = config.mamba->groups;
    model.mamba_num_heads = config.mamba->heads;
  }
  return model;
}

Estimate Megatron(const ModelConfig& config, const Batch& batch) {
  std::string missing;
  const std::optional<MegatronModel> model = MegatronModelOf(config, missing);
  if (!model.has_value()) return Missing(missing);
  if (!batch.has_lengths() && config.attention_layers() != 0) return Missing("sequence length");
  return Known(CountMegatron(*model, batch.tokens(), batch.rectangle()).sum());
}

}  // namespace mfutrace::report::estimate
