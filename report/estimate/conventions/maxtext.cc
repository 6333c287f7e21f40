#include "report/estimate/conventions/maxtext.h"

#include <algorithm>

namespace mfutrace::report::estimate {
namespace {

// Everything below is of the forward pass until the end, where it is tripled.
struct Terms {
  Flop batch_length = 0;  // tokens
  Flop sequences = 0;
  Flop length = 0;
};

bool IsAny(const std::string& type, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return type == name; });
}

Flop MlpFlop(const ModelConfig& config, const Terms& step, Flop width) {
  return 2 * step.batch_length * width * config.hidden * config.ffn_matrices.value_or(3);
}

Flop RouterFlop(const ModelConfig& config, const Terms& step) {
  return 2 * step.batch_length * config.hidden * config.experts.count;
}

// One layer of experts, shared ones included where MaxText's decoder block has them.
Flop MoeFlop(const ModelConfig& config, const Terms& step) {
  return RouterFlop(config, step) + MlpFlop(config, step, config.experts.shared_width) +
         MlpFlop(config, step, config.experts.width) * config.experts.per_token;
}

struct Latents {
  Flop projections = 0;
  Flop out = 0;
  Flop attention = 0;
};

Latents LatentAttention(const ModelConfig& config, const Terms& step) {
  const Latent& latent = *config.latent;
  const Flop tokens = step.batch_length;
  const Flop hidden = config.hidden;
  const Flop heads = config.heads;
  const Flop query_dim = config.head_dim;
  Latents flop;
  flop.projections = latent.query_rank == 0
                         ? 2 * tokens * hidden * heads * query_dim
                         : 2 * tokens * latent.query_rank * (hidden + heads * query_dim);
  flop.projections += 2 * tokens *
                      (hidden * (latent.kv_rank + latent.rope_dim) +
                       latent.kv_rank * heads * (latent.nope_dim + config.value_dim));
  flop.out = 2 * tokens * hidden * heads * config.value_dim;
  const Flop per_pair = heads * (query_dim + config.value_dim);
  if (config.indexer.has_value() && step.length > config.indexer->top_k) {
    const Indexer& index = *config.indexer;
    flop.projections += 2 * tokens *
                        (Flop(latent.query_rank) * index.heads * index.head_dim +
                         hidden * index.head_dim + hidden * index.heads);
    // T K - K^2 / 2 pairs are kept; each query scores half the sequence's keys.
    const Flop twice_pairs = 2 * step.length * index.top_k - Flop(index.top_k) * index.top_k;
    flop.attention = step.sequences * per_pair * twice_pairs;
    flop.attention += tokens * step.length * index.heads * (index.head_dim + 1);
  } else {
    flop.attention = tokens * step.length * per_pair;
  }
  return flop;
}

// Kept pairs of a layer, twice: half a square, or T W - W^2 / 2.
Flop TwicePairs(const ModelConfig& config, const Terms& step, bool is_local) {
  if (!is_local) return step.length * step.length;
  const Flop window = std::min(Flop(config.window), step.length);
  return 2 * step.length * window - window * window;
}

Flop ChunkedTwicePairs(const ModelConfig& config, const Terms& step) {
  const Flop chunk = std::max<uint64_t>(1, config.chunk);
  const Flop rest = step.length % chunk;
  return step.length / chunk * chunk * chunk + rest * rest;
}

}  // namespace

MaxTextFlop CountMaxText(const ModelConfig& config, uint64_t sequences, uint64_t length) {
  const Terms step = {Flop(sequences) * length, sequences, length};
  const std::string& type = config.model_type;
  const uint64_t layers = config.layers.size();
  const bool has_experts = config.experts.count > 1;
  const bool is_llama4 = IsAny(type, {"llama4", "llama4_text"});
  const bool is_next = IsAny(type, {"qwen3_next", "qwen3_5_moe_text"});
  // Only these blocks know dense layers beside experts; in others every layer has experts.
  const bool is_mixed =
      IsAny(type, {"deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2"}) || is_llama4;
  Flop ffn = 0;
  if (!has_experts) {
    ffn = MlpFlop(config, step, config.ffn) * layers;
  } else if (is_mixed) {
    ffn = MlpFlop(config, step, config.ffn) * config.layers_with(Ffn::kDense) +
          MoeFlop(config, step) * config.layers_with(Ffn::kMoe);
  } else if (is_next) {
    ffn = MoeFlop(config, step) * layers;
  } else {
    ffn = (RouterFlop(config, step) +
           MlpFlop(config, step, config.experts.width) * config.experts.per_token) *
          layers;
  }

  const Flop heads = config.heads;
  const Flop dim = config.head_dim;
  Flop projections =
      2 * step.batch_length * config.hidden * (2 * heads + 2 * Flop(config.kv_heads)) * dim;
  // Of one layer: 4 x pairs x heads x dimension.
  Flop full_attention = 2 * step.sequences * TwicePairs(config, step, false) * heads * dim;
  if (config.latent.has_value()) {
    const Latents latent = LatentAttention(config, step);
    projections = latent.projections + latent.out;
    full_attention = latent.attention;
  }

  MaxTextFlop flop;
  flop.weights = ffn + 2 * step.batch_length * config.hidden * config.vocab;
  const auto attend = [&](uint64_t global_layers, Flop local_twice_pairs) {
    flop.weights += projections * layers;
    flop.attention +=
        full_attention * global_layers + 2 * step.sequences * local_twice_pairs * heads * dim *
                                             (layers - std::min(layers, global_layers));
  };
  if (type == "gemma2") {
    attend(layers / 2, TwicePairs(config, step, true));
  } else if (IsAny(type, {"gemma3", "gemma3_text"})) {
    attend(layers / 6, TwicePairs(config, step, true));
  } else if (type == "gpt_oss") {
    attend(layers / 2, TwicePairs(config, step, true));
  } else if (is_llama4) {
    attend(config.layers_with(Mixer::kFull), ChunkedTwicePairs(config, step));
  } else if (is_next && config.gated_delta.has_value()) {
    const GatedDelta& delta = *config.gated_delta;
    const uint64_t linear = config.layers_with(Mixer::kGatedDelta);
    const Flop keys = Flop(delta.key_heads) * delta.key_dim;
    const Flop values = Flop(delta.value_heads) * delta.value_dim;
    flop.weights += projections * (layers - linear);
    flop.weights += 2 * step.batch_length * linear *
                    (config.hidden * (2 * keys + 3 * values + 2 * Flop(delta.value_heads)) +
                     delta.convolution * (2 * keys + values));
    // Four products of the recurrence's state with a vector.
    flop.attention +=
        full_attention * (layers - linear) + 8 * step.batch_length * linear * delta.value_heads *
                                                 (Flop(delta.key_dim) * delta.value_dim);
  } else {
    attend(layers, 0);
  }
  if (config.mtp_layers != 0) {
    const Flop shared =
        is_mixed || type == "qwen3_next" ? MlpFlop(config, step, config.experts.shared_width) : 0;
    const Flop last =
        has_experts ? RouterFlop(config, step) + shared +
                          MlpFlop(config, step, config.experts.width) * config.experts.per_token
                    : MlpFlop(config, step, config.ffn);
    flop.weights += (last + projections) * config.mtp_layers;
    flop.attention += full_attention * config.mtp_layers;
  }
  flop.weights *= 3;
  flop.attention *= 3;
  return flop;
}

Estimate MaxText(const ModelConfig& config, const Batch& batch) {
  if (!config.ffn_matrices.has_value()) {
    return Missing("whether the MLP of model_type \"" + config.model_type + "\" is gated");
  }
  if (batch.sequences.empty()) return Missing("sequence length");
  for (const Layer& layer : config.layers) {
    if (layer.mixer == Mixer::kNone || layer.mixer == Mixer::kMamba1 ||
        layer.mixer == Mixer::kMamba2) {
      return Missing("MaxText has no count of Mamba layers");
    }
  }
  Flop sum = 0;
  for (const Sequences& one : batch.sequences) {
    const MaxTextFlop flop = CountMaxText(config, one.count, one.queries);
    sum += flop.weights + flop.attention;
  }
  return Known(sum);
}

}  // namespace mfutrace::report::estimate
