#include "report/estimate/conventions/nemo_rl.h"

#include <cmath>

namespace mfutrace::report::estimate {
namespace {

// The formulas' own names: batch, sequence length, layers, hidden size, ...
struct Config {
  double gbs, seq, layers, hs, ffn, heads, groups, vocab, top_k;
};

double Tokens(const Config& c) { return c.gbs * c.seq; }

double Gpt3(const Config& c) {
  return (24 * Tokens(c) * c.hs * c.hs + 4 * Tokens(c) * c.seq * c.hs) * (3 * c.layers) +
         6 * Tokens(c) * c.hs * c.vocab;
}

// The shape of llama, nemotron and mixtral, which differ in two factors.
double GroupedQuery(const Config& c, double ffn_factor, double attention_factor) {
  return Tokens(c) * c.layers * c.hs * c.hs *
         (12 + (12 * c.groups / c.heads) + (ffn_factor * c.ffn / c.hs) +
          (attention_factor * c.seq / c.hs) + (6 * c.vocab / (c.layers * c.hs)));
}

double Qwen2(const Config& c) {
  const double attention =
      6 * Tokens(c) * c.layers * c.hs * c.hs * ((2 + 1) + (c.seq / c.hs * 2 * 0.5) + 1);
  return attention + 6 * Tokens(c) * c.layers * c.hs * 3 * c.ffn + 6 * Tokens(c) * c.hs * c.vocab;
}

double Qwen3(const Config& c, double head_dim) {
  const double queries = c.heads * head_dim;
  const double keys = c.groups * head_dim;
  const double attention =
      6 * Tokens(c) * c.layers * (2 * queries * c.hs + 2 * keys * c.hs + c.seq * queries);
  return attention + 6 * Tokens(c) * c.layers * c.hs * 3 * c.ffn + 6 * Tokens(c) * c.hs * c.vocab;
}

double Bert(const Config& c) {
  return 72 * Tokens(c) * c.layers * c.hs * c.hs *
         (1 + (c.seq / (6 * c.hs)) + (c.vocab / (12 * c.hs * c.layers)));
}

double DeepSeekV3(const Config& c, const ModelConfig& config) {
  const Latent& latent = *config.latent;
  const double query_dim = static_cast<double>(latent.nope_dim + latent.rope_dim);
  const double nope = static_cast<double>(latent.nope_dim);
  const double value_dim = static_cast<double>(config.value_dim);
  const double kv_rank = static_cast<double>(latent.kv_rank);
  const double query_rank = static_cast<double>(latent.query_rank);
  const double attention =
      6 * (0.5 * query_dim + 0.5 * value_dim) * c.heads * c.seq * c.seq * c.layers;
  double weights = query_rank == 0 ? c.hs * query_dim * c.heads
                                   : c.hs * query_rank + query_rank * query_dim * c.heads;
  weights += c.hs * static_cast<double>(latent.rope_dim) + c.hs * kv_rank +
             kv_rank * (nope + value_dim) * c.heads + value_dim * c.heads * c.hs;
  // One shared expert, whatever the configuration says.
  const double expert = c.hs * static_cast<double>(config.experts.width) * 3;
  const double ffn = expert + expert * c.top_k;
  const double linear = 6 * (weights + ffn) * c.layers * c.seq;
  return (attention + linear + 6 * c.vocab * c.hs * c.seq) * c.gbs;
}

}  // namespace

NemoRlCount CountNemoRl(const ModelConfig& config, uint64_t sequences, uint64_t length) {
  const Config c = {static_cast<double>(sequences),
                    static_cast<double>(length),
                    static_cast<double>(config.layers.size()),
                    static_cast<double>(config.hidden),
                    static_cast<double>(config.ffn),
                    static_cast<double>(config.heads),
                    static_cast<double>(config.kv_heads),
                    static_cast<double>(config.vocab),
                    static_cast<double>(config.experts.per_token)};
  const std::string& type = config.model_type;
  if (type == "llama") return {GroupedQuery(c, 18, 6), ""};
  if (type == "nemotron") return {GroupedQuery(c, 12, 12), ""};
  if (type == "mixtral") return {GroupedQuery(c, 18 * c.top_k, 12), ""};
  if (type == "qwen2") return {Qwen2(c), ""};
  if (type == "qwen3" || type == "qwen3_moe") {
    return {Qwen3(c, static_cast<double>(config.head_dim)), ""};
  }
  if (type == "deepseek_v3" && config.latent.has_value()) return {DeepSeekV3(c, config), ""};
  if (type == "gpt2") return {Gpt3(c), ""};
  if (type == "bert") return {Bert(c), ""};
  return {std::nullopt, "NeMo RL has no formula for model_type \"" + type + "\""};
}

Estimate NemoRl(const ModelConfig& config, const Batch& batch) {
  if (batch.sequences.empty()) return Missing("sequence length");
  double sum = 0;
  for (const Sequences& one : batch.sequences) {
    const NemoRlCount count = CountNemoRl(config, one.count, one.queries);
    if (!count.flop.has_value()) return Missing(count.missing);
    sum += *count.flop;
  }
  return Known(Flop(std::nearbyint(sum)));
}

}  // namespace mfutrace::report::estimate
