#include "report/estimate/parameters.h"

namespace mfutrace::report::estimate {
namespace {

std::optional<Flop> Times(std::optional<Flop> value, uint64_t factor) {
  if (factor == 0) return Flop(0);
  if (!value.has_value()) return std::nullopt;
  return *value * factor;
}

// The `other` parameters of families whose norms and biases families.h states.
std::optional<Flop> NormsAndBiases(const ModelConfig& config) {
  if (!config.family.has_value() || !config.family->is_exact) return std::nullopt;
  const Family& family = *config.family;
  const uint64_t hidden = config.hidden;
  const uint64_t norm = family.norm == Norm::kLayer ? 2 * hidden : hidden;
  const bool has_qkv_bias = config.attention_bias.value_or(family.has_qkv_bias);
  const bool has_out_bias = config.attention_bias.value_or(family.has_out_bias);
  const bool has_mlp_bias = config.mlp_bias.value_or(family.has_mlp_bias);
  Flop sum = norm;  // the last one
  for (const Layer& layer : config.layers) {
    if (!IsAttention(layer.mixer)) return std::nullopt;
    sum += Flop(norm) * family.norms_per_layer;
    if (config.latent.has_value()) {
      sum += config.latent->query_rank + config.latent->kv_rank;
      if (has_qkv_bias && config.attention_bias.has_value()) return std::nullopt;
    } else {
      const uint64_t queries = config.heads * config.head_dim;
      const uint64_t keys = config.kv_heads * config.head_dim;
      if (has_qkv_bias) sum += queries + 2 * keys;
      if (has_out_bias) sum += hidden;
      if (family.query_key_norm == QueryKeyNorm::kPerHead) sum += 2 * config.head_dim;
      if (family.query_key_norm == QueryKeyNorm::kWhole) sum += queries + keys;
    }
    if (family.model_type == "gpt_oss") {
      // One learned sink a head, and biases of router and experts.
      sum += config.heads + config.experts.count +
             Flop(config.experts.count) * (2 * config.experts.width + hidden);
      continue;
    }
    const bool is_deepseek_v3 =
        family.model_type == "deepseek_v3" || family.model_type == "kimi_k2";
    // The bias that balances experts is a parameter there.
    if (layer.ffn == Ffn::kMoe && is_deepseek_v3) sum += config.experts.count;
    if (layer.ffn == Ffn::kDense && has_mlp_bias) {
      sum += config.ffn * (family.ffn_matrices - 1) + hidden;
    }
  }
  return sum;
}

}  // namespace

Flop AttentionWeights(const ModelConfig& config) {
  const Flop hidden = config.hidden;
  if (config.latent.has_value()) {
    const Latent& latent = *config.latent;
    const Flop queries = Flop(config.heads) * config.head_dim;
    const Flop query =
        latent.query_rank == 0 ? hidden * queries : (hidden + queries) * Flop(latent.query_rank);
    const Flop down = hidden * (latent.kv_rank + latent.rope_dim);
    const Flop up = Flop(latent.kv_rank) * config.heads * (latent.nope_dim + config.value_dim);
    const Flop out = Flop(config.heads) * config.value_dim * hidden;
    Flop index = 0;
    if (config.indexer.has_value()) {
      index = Flop(latent.query_rank) * config.indexer->heads * config.indexer->head_dim +
              hidden * (config.indexer->head_dim + config.indexer->heads);
    }
    return query + down + up + out + index;
  }
  const Flop queries = Flop(config.heads) * config.head_dim;
  const Flop keys = Flop(config.kv_heads) * config.head_dim;
  // Qwen3-Next and its successors project a gate for each output beside each query.
  const Flop gate = config.gated_delta.has_value() ? queries : Flop(0);
  return hidden * (2 * queries + 2 * keys + gate);
}

Flop Mamba1Weights(const ModelConfig& config) {
  if (!config.mamba.has_value()) return 0;
  const Mamba& mamba = *config.mamba;
  return Flop(config.hidden) * 3 * mamba.inner +
         Flop(mamba.inner) * (2 * mamba.time_rank + 2 * mamba.state);
}

Flop Mamba2Weights(const ModelConfig& config) {
  if (!config.mamba.has_value()) return 0;
  const Mamba& mamba = *config.mamba;
  return Flop(config.hidden) *
         (3 * Flop(mamba.inner) + 2 * Flop(mamba.groups) * mamba.state + mamba.heads);
}

Flop GatedDeltaWeights(const ModelConfig& config) {
  if (!config.gated_delta.has_value()) return 0;
  const GatedDelta& delta = *config.gated_delta;
  const Flop keys = Flop(delta.key_heads) * delta.key_dim;
  const Flop values = Flop(delta.value_heads) * delta.value_dim;
  return Flop(config.hidden) * (2 * keys + 3 * values + 2 * Flop(delta.value_heads));
}

Flop MixerWeights(const ModelConfig& config, Mixer mixer) {
  if (IsAttention(mixer)) return AttentionWeights(config);
  if (mixer == Mixer::kMamba1) return Mamba1Weights(config);
  if (mixer == Mixer::kMamba2) return Mamba2Weights(config);
  if (mixer == Mixer::kGatedDelta) return GatedDeltaWeights(config);
  return 0;
}

std::optional<Flop> DenseWeights(const ModelConfig& config) {
  if (!config.ffn_matrices.has_value()) return std::nullopt;
  return Flop(config.hidden) * config.ffn * *config.ffn_matrices;
}

std::optional<Flop> ExpertWeights(const ModelConfig& config) {
  if (!config.ffn_matrices.has_value()) return std::nullopt;
  return Flop(config.hidden) * config.experts.width * *config.ffn_matrices;
}

std::optional<Flop> SharedWeights(const ModelConfig& config) {
  if (!config.ffn_matrices.has_value()) return std::nullopt;
  return Flop(config.hidden) * config.experts.shared_width * *config.ffn_matrices;
}

Flop RouterWeights(const ModelConfig& config) {
  return Flop(config.hidden) * (config.experts.count + (config.experts.has_shared_gate ? 1 : 0));
}

std::optional<Flop> Parameters::multiplied() const {
  if (!dense.has_value() || !active_routed.has_value() || !shared.has_value()) return std::nullopt;
  const Flop logits = output != 0 ? output : embedding - positions;
  return attention + *dense + *active_routed + *shared + router + logits;
}

Parameters CountParameters(const ModelConfig& config) {
  Parameters count;
  const uint64_t moe_layers = config.layers_with(Ffn::kMoe);
  count.positions = Flop(config.positions) * config.hidden;
  count.embedding = Flop(config.vocab) * config.hidden + count.positions;
  for (const Layer& layer : config.layers) count.attention += MixerWeights(config, layer.mixer);
  count.dense = Times(DenseWeights(config), config.layers_with(Ffn::kDense));
  count.routed = Times(Times(ExpertWeights(config), config.experts.count), moe_layers);
  count.active_routed = Times(Times(ExpertWeights(config), config.experts.per_token), moe_layers);
  count.shared = Times(SharedWeights(config), moe_layers);
  count.router = RouterWeights(config) * moe_layers;
  count.other = NormsAndBiases(config);
  if (!config.is_tied.value_or(true)) count.output = Flop(config.vocab) * config.hidden;
  if (!config.is_tied.has_value()) {
    count.missing = "\"tie_word_embeddings\" is not said";
  } else if (!config.ffn_matrices.has_value()) {
    count.missing = "whether the MLP of model_type \"" + config.model_type + "\" is gated";
  } else if (!count.other.has_value()) {
    count.missing = "norms and biases of model_type \"" + config.model_type + "\"";
  }
  if (!count.missing.empty()) return count;
  const Flop common = count.embedding + count.output + count.attention + *count.dense +
                      *count.shared + count.router + *count.other;
  count.total = common + *count.routed;
  count.active = common + *count.active_routed;
  return count;
}

}  // namespace mfutrace::report::estimate
