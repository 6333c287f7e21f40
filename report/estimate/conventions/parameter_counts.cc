#include "report/estimate/conventions/parameter_counts.h"

#include "report/estimate/components.h"

namespace mfutrace::report::estimate {
namespace {

// Tokens times context, or why it is unknown.
std::optional<Flop> Rectangle(const Batch& batch) {
  if (!batch.has_lengths()) return std::nullopt;
  return batch.rectangle();
}

constexpr char kNoLength[] = "sequence length";

}  // namespace

Estimate SixN(const ModelConfig& config, const Batch& batch) {
  const Parameters count = CountParameters(config);
  if (!count.total.has_value()) return Missing(count.missing);
  return Known(6 * *count.total * batch.tokens());
}

Estimate ActiveSixN(const ModelConfig& config, const Batch& batch) {
  const Parameters count = CountParameters(config);
  if (!count.active.has_value()) return Missing(count.missing);
  return Known(6 * *count.active * batch.tokens());
}

Estimate SixNAndAttention(const ModelConfig& config, const Batch& batch) {
  Estimate estimate = ActiveSixN(config, batch);
  if (!estimate.flop.has_value()) return estimate;
  for (const Component& part : WorkOf(config, batch).components) {
    if (part.name != "attention scores") continue;
    if (!part.model_flop.has_value()) return Missing(part.missing);
    *estimate.flop += *part.model_flop;
  }
  return estimate;
}

Flop PalmPerToken(Flop parameters, uint64_t layers, uint64_t heads, uint64_t head_dim,
                  uint64_t length) {
  return 6 * parameters + 12 * Flop(layers) * heads * head_dim * length;
}

Estimate Palm(const ModelConfig& config, const Batch& batch) {
  const Parameters count = CountParameters(config);
  if (!count.total.has_value()) return Missing(count.missing);
  const std::optional<Flop> rectangle = Rectangle(batch);
  if (!rectangle.has_value()) return Missing(kNoLength);
  return Known(6 * *count.total * batch.tokens() +
               12 * Flop(config.attention_layers()) * config.heads * config.head_dim * *rectangle);
}

Estimate NanoGpt(const ModelConfig& config, const Batch& batch) {
  Estimate estimate = Palm(config, batch);
  if (estimate.flop.has_value()) {
    *estimate.flop -= 6 * CountParameters(config).positions * batch.tokens();
  }
  return estimate;
}

Flop TorchtitanPerToken(Flop parameters, Flop embedding, uint64_t attention_layers, uint64_t heads,
                        uint64_t head_dims, uint64_t length) {
  return 6 * (parameters - embedding) + 6 * Flop(attention_layers) * heads * head_dims * length;
}

Estimate Torchtitan(const ModelConfig& config, const Batch& batch) {
  const Parameters count = CountParameters(config);
  if (!count.active.has_value()) return Missing(count.missing);
  const std::optional<Flop> rectangle = Rectangle(batch);
  if (!rectangle.has_value()) return Missing(kNoLength);
  const Flop embedding = count.output != 0 ? count.embedding : Flop(0);
  return Known(6 * (*count.active - embedding) * batch.tokens() +
               6 * Flop(config.attention_layers()) * config.heads *
                   (config.head_dim + config.value_dim) * *rectangle);
}

Flop FoundryPerSequence(Flop parameters, uint64_t layers, uint64_t hidden, uint64_t length) {
  return 6 * parameters * length + 12 * Flop(layers) * hidden * length * length;
}

Estimate Foundry(const ModelConfig& config, const Batch& batch) {
  const Parameters count = CountParameters(config);
  if (!count.total.has_value()) return Missing(count.missing);
  const std::optional<Flop> rectangle = Rectangle(batch);
  if (!rectangle.has_value()) return Missing(kNoLength);
  return Known(6 * *count.total * batch.tokens() +
               12 * Flop(config.layers.size()) * config.hidden * *rectangle);
}

Estimate FoundryHardware(const ModelConfig& config, const Batch& batch) {
  Estimate estimate = Foundry(config, batch);
  // Of six passes over the parameters, two more: 6 N and 12 L d T^2 both divide by three.
  if (estimate.flop.has_value()) *estimate.flop = *estimate.flop / 3 * 4;
  return estimate;
}

}  // namespace mfutrace::report::estimate
