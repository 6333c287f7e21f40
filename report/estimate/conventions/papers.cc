#include "report/estimate/conventions/papers.h"

namespace mfutrace::report::estimate {
namespace {

// Multiply-adds of weights and of attention, and of logits, of one forward pass.
struct Terms {
  Flop weights, attention, logits;
};

Terms TermsOf(const GptShape& shape) {
  const Flop tokens = Flop(shape.sequences) * shape.length;
  const Flop hidden = shape.hidden;
  return {12 * tokens * shape.layers * hidden * hidden,
          2 * tokens * shape.layers * hidden * shape.length, tokens * hidden * shape.vocab};
}

Estimate ForGpt(const ModelConfig& config, const Batch& batch, Flop (*formula)(const GptShape&)) {
  const bool is_gpt =
      config.heads * config.head_dim == config.hidden && config.kv_heads == config.heads &&
      config.ffn == 4 * config.hidden && config.ffn_matrices == 2 && config.experts.count == 0 &&
      !config.latent.has_value() && config.attention_layers() == config.layers.size();
  if (!is_gpt) return Missing("for GPT's layers alone: ungated MLP of 4h, no grouped queries");
  if (batch.sequences.empty()) return Missing("sequence length");
  Flop sum = 0;
  for (const Sequences& one : batch.sequences) {
    sum += formula({config.layers.size(), config.hidden, one.queries, config.vocab, one.count});
  }
  return Known(sum);
}

}  // namespace

Flop Narayanan(const GptShape& shape) {
  const Terms terms = TermsOf(shape);
  // Logits are not recomputed: 6 B s h V beside 8 of the rest.
  return 8 * (terms.weights + terms.attention) + 6 * terms.logits;
}

Flop NarayananParameters(const GptShape& shape) {
  const Flop hidden = shape.hidden;
  return 12 * shape.layers * hidden * hidden + 13 * shape.layers * hidden +
         (Flop(shape.vocab) + shape.length) * hidden;
}

Flop Korthikanti(const GptShape& shape) {
  const Terms terms = TermsOf(shape);
  return 6 * (terms.weights + terms.attention + terms.logits);
}

Flop KorthikantiSelective(const GptShape& shape) {
  const Terms terms = TermsOf(shape);
  return 6 * (terms.weights + 2 * terms.attention + terms.logits);
}

Estimate NarayananOf(const ModelConfig& config, const Batch& batch) {
  return ForGpt(config, batch, Narayanan);
}

Estimate KorthikantiOf(const ModelConfig& config, const Batch& batch) {
  return ForGpt(config, batch, Korthikanti);
}

}  // namespace mfutrace::report::estimate
