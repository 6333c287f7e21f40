#include "report/estimate/components.h"

#include <algorithm>

#include "report/estimate/parameters.h"

namespace mfutrace::report::estimate {
namespace {

// 0 + 1 + ... + (n - 1) = n (n - 1) / 2, in 128 bits.
Flop Triangle(uint64_t n) { return n == 0 ? Flop(0) : Flop(n) * (n - 1) / 2; }

// Pairs of one sequence whose last query sees everything: rows see offset + 1, offset + 2, ...
// keys, `window` at most.
Flop WindowedPairs(uint64_t queries, uint64_t context, uint64_t window) {
  const uint64_t offset = context - std::min(context, queries);
  const uint64_t growing = window <= offset ? 0 : std::min(queries, window - offset);
  return Flop(growing) * (offset + 1) + Triangle(growing) + Flop(queries - growing) * window;
}

Flop ChunkedPairs(uint64_t queries, uint64_t context, uint64_t chunk) {
  const auto triangle = [](uint64_t n) { return Triangle(n + 1); };
  const auto upto = [&](uint64_t tokens) {
    return Flop(tokens / chunk) * triangle(chunk) + triangle(tokens % chunk);
  };
  return upto(context) - upto(context - std::min(context, queries));
}

struct Attention {
  std::optional<Flop> forward;
  std::optional<Flop> executed;  // of a training step
  std::string missing;
};

Attention AttentionOf(const ModelConfig& config, const Batch& batch) {
  Attention sum;
  if (config.attention_layers() == 0) return {Flop(0), Flop(0), ""};
  if (batch.sequences.empty()) return {std::nullopt, std::nullopt, "sequence length"};
  if (config.indexer.has_value()) {
    return {std::nullopt, std::nullopt, "which keys the sparse attention's index picks"};
  }
  Flop pairs = 0;
  for (const Mixer mixer : {Mixer::kFull, Mixer::kWindow, Mixer::kChunk, Mixer::kUnknown}) {
    const uint64_t layers = config.layers_with(mixer);
    if (layers == 0) continue;
    for (const Sequences& sequences : batch.sequences) {
      const std::optional<Flop> kept = KeptPairs(config, mixer, sequences);
      if (!kept.has_value()) {
        return {std::nullopt, std::nullopt, "which layers the sliding window is in"};
      }
      pairs += *kept * sequences.count * layers;
    }
  }
  const Flop per_pair = 2 * Flop(config.heads);
  sum.forward = per_pair * pairs * (config.head_dim + config.value_dim);
  sum.executed = *sum.forward + per_pair * pairs * (3 * config.head_dim + 2 * config.value_dim);
  return sum;
}

void AddProjection(Work& work, const char* name, std::optional<Flop> weights,
                   std::optional<Flop> used_weights, Flop tokens, const std::string& missing) {
  if (weights.has_value() && *weights == 0) return;
  Component component;
  component.name = name;
  component.weights = weights;
  if (used_weights.has_value()) {
    component.forward_flop = 2 * *used_weights * tokens;
    component.model_flop = 3 * *component.forward_flop;
    component.executed_flop = component.model_flop;
  } else {
    component.missing = missing;
  }
  work.components.push_back(component);
}

void Accumulate(std::optional<Flop>& sum, const std::optional<Flop>& part) {
  if (!part.has_value()) sum.reset();
  if (sum.has_value()) *sum += *part;
}

}  // namespace

std::optional<Flop> KeptPairs(const ModelConfig& config, Mixer mixer, const Sequences& sequences) {
  const uint64_t queries = std::min(sequences.queries, sequences.context);
  switch (mixer) {
    case Mixer::kFull:
      return WindowedPairs(queries, sequences.context, sequences.context);
    case Mixer::kWindow:
      return WindowedPairs(queries, sequences.context, config.window);
    case Mixer::kChunk:
      return ChunkedPairs(queries, sequences.context, config.chunk);
    case Mixer::kUnknown:
      return std::nullopt;
    default:
      return Flop(0);
  }
}

Work WorkOf(const ModelConfig& config, const Batch& batch, std::optional<uint64_t> logit_tokens) {
  Work work;
  const Parameters count = CountParameters(config);
  const Flop tokens = batch.tokens();
  const std::string gate = "whether the MLP of model_type \"" + config.model_type + "\" is gated";
  Flop attention = 0;
  Flop mamba = 0;
  Flop delta = 0;
  for (const Layer& layer : config.layers) {
    if (IsAttention(layer.mixer)) attention += MixerWeights(config, layer.mixer);
    if (layer.mixer == Mixer::kGatedDelta) delta += MixerWeights(config, layer.mixer);
    if (layer.mixer == Mixer::kMamba1 || layer.mixer == Mixer::kMamba2) {
      mamba += MixerWeights(config, layer.mixer);
    }
  }
  AddProjection(work, "attention projections", attention, attention, tokens, "");
  if (config.attention_layers() != 0) {
    Component scores;
    scores.name = "attention scores";
    scores.weights = Flop(0);
    const Attention exact = AttentionOf(config, batch);
    scores.forward_flop = exact.forward;
    if (exact.forward.has_value()) scores.model_flop = 3 * *exact.forward;
    scores.executed_flop = exact.executed;
    scores.missing = exact.missing;
    work.components.push_back(scores);
  }
  AddProjection(work, "Mamba projections", mamba, mamba, tokens, "");
  AddProjection(work, "gated delta projections", delta, delta, tokens, "");
  AddProjection(work, "MLP", count.dense, count.dense, tokens, gate);
  AddProjection(work, "router", count.router, count.router, tokens, "");
  AddProjection(work, "routed experts", count.routed, count.active_routed, tokens, gate);
  AddProjection(work, "shared experts", count.shared, count.shared, tokens, gate);
  const Flop logits = Flop(config.vocab) * config.hidden;
  AddProjection(work, "logits", logits, logits, logit_tokens.value_or(batch.tokens()), "");
  if (config.mtp_layers != 0) {
    // A module is a projection of two hidden states into one, a layer like the last, and logits by
    // the shared matrix (DeepSeek-V3, arXiv 2412.19437, section 2.2).
    ModelConfig module = config;
    module.mtp_layers = 0;
    module.layers.assign(config.mtp_layers, config.layers.back());
    const Work inner = WorkOf(module, batch, logit_tokens);
    Component mtp = inner.sum;
    mtp.name = "multi-token prediction";
    const Flop join = 2 * Flop(config.hidden) * config.hidden * config.mtp_layers;
    const Flop more_logits = logits * (config.mtp_layers - 1);
    if (mtp.weights.has_value()) *mtp.weights += join - logits;
    const Flop added = 2 * tokens * (join + more_logits);
    if (mtp.forward_flop.has_value()) *mtp.forward_flop += added;
    if (mtp.model_flop.has_value()) *mtp.model_flop += 3 * added;
    if (mtp.executed_flop.has_value()) *mtp.executed_flop += 3 * added;
    work.components.push_back(mtp);
  }

  work.sum.name = "all";
  work.sum.weights = work.sum.forward_flop = work.sum.model_flop = work.sum.executed_flop = Flop(0);
  for (const Component& part : work.components) {
    Accumulate(work.sum.weights, part.weights);
    Accumulate(work.sum.forward_flop, part.forward_flop);
    Accumulate(work.sum.model_flop, part.model_flop);
    Accumulate(work.sum.executed_flop, part.executed_flop);
    if (!part.missing.empty() && work.sum.missing.empty()) work.sum.missing = part.missing;
  }
  return work;
}

}  // namespace mfutrace::report::estimate
