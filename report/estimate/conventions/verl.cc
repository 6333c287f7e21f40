#include "report/estimate/conventions/verl.h"

#include <algorithm>
#include <string>

namespace mfutrace::report::estimate {
namespace {

enum class Formula { kNone, kDense, kMoe, kWindowed, kGptOss, kApertus, kDeepSeek, kVisionDense };

Formula FormulaOf(const std::string& type) {
  const auto is_any = [&type](std::initializer_list<const char*> names) {
    return std::any_of(names.begin(), names.end(), [&](const char* name) { return type == name; });
  };
  if (is_any({"llama", "qwen2", "qwen2_vl", "qwen2_5_vl", "qwen3", "minicpmv", "minicpmo",
              "mistral", "seed_oss", "glm4v", "mimo"})) {
    return Formula::kDense;
  }
  if (is_any({"qwen2_moe", "qwen3_moe", "qwen3_vl_moe", "qwen3_vl_moe_text"})) return Formula::kMoe;
  if (is_any({"qwen3_vl", "qwen3_vl_text"})) return Formula::kVisionDense;
  if (type == "gemma3_text") return Formula::kWindowed;
  if (type == "gpt_oss") return Formula::kGptOss;
  if (type == "apertus") return Formula::kApertus;
  if (type == "deepseek_v3") return Formula::kDeepSeek;
  return Formula::kNone;
}

// Weights that a token meets, by its reading of the family.
Flop ActiveWeights(const ModelConfig& config, Formula formula, Flop head_dim) {
  const Flop hidden = config.hidden;
  const uint64_t layers = config.layers.size();
  const Flop embeddings = 2 * Flop(config.vocab) * hidden;
  const Flop router = hidden * config.experts.count;
  const Flop experts = hidden * config.experts.width * config.experts.per_token * 3;
  if (formula == Formula::kDeepSeek && config.latent.has_value()) {
    const Latent& latent = *config.latent;
    const Flop heads = config.heads;
    const Flop query = latent.query_rank == 0 ? hidden * heads * head_dim
                                              : latent.query_rank * (hidden + heads * head_dim);
    const Flop attention = query + hidden * (latent.kv_rank + latent.rope_dim) +
                           heads * (latent.nope_dim + config.value_dim) * latent.kv_rank +
                           heads * config.value_dim * hidden;
    const uint64_t dense = config.layers_with(Ffn::kDense);
    return (router + experts + hidden * config.experts.shared_width * 3) * (layers - dense) +
           hidden * config.ffn * 3 * dense + attention * layers + embeddings;
  }
  const Flop attention = hidden * head_dim * (2 * Flop(config.heads) + 2 * Flop(config.kv_heads));
  Flop ffn = hidden * config.ffn * 3;
  if (formula == Formula::kMoe || formula == Formula::kGptOss) ffn = router + experts;
  if (formula == Formula::kApertus) {
    ffn = hidden * config.ffn * 2 + hidden + config.kv_heads * head_dim;
  }
  return (attention + ffn) * layers + embeddings;
}

}  // namespace

Estimate Verl(const ModelConfig& config, const Batch& batch) {
  const Formula formula = FormulaOf(config.model_type);
  if (formula == Formula::kNone) {
    return Missing("verl has no formula for model_type \"" + config.model_type + "\"");
  }
  if (batch.sequences.empty()) return Missing("sequence length");
  // The formula of qwen3_vl does not read head_dim.
  const Flop head_dim = formula == Formula::kVisionDense && config.heads != 0
                            ? Flop(config.hidden / config.heads)
                            : Flop(config.head_dim);
  Flop squares = batch.rectangle() * config.layers.size();
  if (formula == Formula::kWindowed || formula == Formula::kGptOss) {
    const uint64_t windowed = config.layers_with(Mixer::kWindow);
    squares = batch.rectangle() * (config.layers.size() - windowed) +
              batch.rectangle(config.window) * windowed;
  }
  const Flop values = formula == Formula::kDeepSeek ? Flop(config.value_dim) : head_dim;
  return Known(6 * ActiveWeights(config, formula, head_dim) * batch.tokens() +
               3 * squares * config.heads * (head_dim + values));
}

Flop VerlVision(const Vision& vision, std::span<const uint64_t> patches) {
  const Flop hidden = vision.hidden;
  const Flop merged = hidden * vision.merge * vision.merge;
  const Flop patch =
      hidden * vision.channels * vision.temporal_patch_size * vision.patch_size * vision.patch_size;
  const Flop layer = 2 * hidden * vision.ffn + 4 * hidden * hidden;
  const Flop merger = (vision.out_hidden + merged) * merged;
  const Flop weights = patch + layer * vision.depth + merger * (vision.deepstack_layers + 1);
  Flop tokens = 0;
  Flop squares = 0;
  for (const uint64_t image : patches) {
    tokens += image;
    squares += Flop(image) * image;
  }
  const Flop head_dim = vision.heads == 0 ? Flop(0) : hidden / vision.heads;
  return 6 * weights * tokens + 12 * squares * head_dim * vision.heads * vision.depth;
}

}  // namespace mfutrace::report::estimate
