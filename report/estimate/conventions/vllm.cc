#include "report/estimate/conventions/vllm.h"

#include <algorithm>

namespace mfutrace::report::estimate {
namespace {

// What a batch sums to, prefills and decodes apart.
struct Sums {
  Flop tokens = 0;
  Flop context = 0;
  Flop requests = 0;
};

struct Step {
  Sums prefill, decode;
  Flop tokens = 0;
  Flop rectangle = 0;
  Flop logit_tokens = 0;
};

Step StepOf(const Batch& batch) {
  Step step;
  for (const Sequences& one : batch.sequences) {
    Sums& sums = one.is_prefill ? step.prefill : step.decode;
    sums.tokens += Flop(one.queries) * one.count;
    sums.context += Flop(one.context) * one.count;
    sums.requests += one.count;
  }
  step.tokens = step.prefill.tokens + step.decode.tokens;
  step.rectangle = batch.rectangle();
  step.logit_tokens = step.prefill.requests + step.decode.tokens;
  return step;
}

// The model's part on one GPU.
struct Part {
  Flop layers, dense_layers, moe_layers;
  Flop heads, kv_heads, vocab, ffn, expert_ffn;
  Flop activated_tokens, experts;
};

Part PartOf(const VllmModel& model, const Step& step) {
  const uint64_t tp = std::max<uint64_t>(1, model.tensor_parallel);
  const uint64_t pp = std::max<uint64_t>(1, model.pipeline_parallel);
  const uint64_t all = tp * std::max<uint64_t>(1, model.data_parallel);
  const uint64_t ffn_tp = model.has_expert_parallel ? 1 : all;
  const uint64_t ffn_ep = model.has_expert_parallel ? all : 1;
  Part part;
  part.layers = model.layers / pp;
  part.moe_layers = model.moe_layers / pp;
  part.dense_layers = (model.layers - std::min(model.layers, model.moe_layers)) / pp;
  part.heads = std::max<uint64_t>(1, model.heads / tp);
  part.kv_heads = std::max<uint64_t>(1, model.kv_heads / tp);
  part.vocab = model.vocab / tp;
  part.ffn = model.ffn / ffn_tp;
  part.expert_ffn = model.expert_ffn / ffn_tp;
  part.activated_tokens = step.tokens * model.experts_per_token / ffn_ep;
  part.experts = model.experts / ffn_ep;
  return part;
}

void AddAttentionBytes(const VllmModel& model, const Step& step, const Part& part, VllmStep& out) {
  const Flop hidden = model.hidden;
  const Flop dim = model.head_dim;
  const Flop act = model.activation_bytes;
  const auto weight_bytes = [&](Flop weights) { return weights * model.weight_half_bytes / 2; };
  const Flop qkv = (part.heads + 2 * part.kv_heads) * dim;
  out.read_bytes += step.tokens * hidden * act * part.layers;
  out.read_bytes += weight_bytes(hidden * qkv * part.layers);
  out.read_bytes += (step.prefill.tokens * part.heads + 2 * step.prefill.context * part.kv_heads) *
                    dim * act * part.layers;
  if (step.decode.tokens != 0) {
    out.read_bytes += step.decode.tokens * part.heads * dim * act * part.layers;
    out.read_bytes +=
        2 * step.decode.context * part.kv_heads * dim * model.cache_bytes * part.layers;
  }
  out.read_bytes += step.tokens * part.heads * dim * act * part.layers;
  out.read_bytes += weight_bytes(part.heads * dim * hidden * part.layers);
  out.write_bytes += step.tokens * qkv * act * part.layers;
  out.write_bytes += 2 * step.tokens * part.kv_heads * dim * model.cache_bytes * part.layers;
  out.write_bytes += step.tokens * hidden * act * part.layers;
}

// One kind of MLP: `rows` go through matrices of `width`, of which `copies` are read.
void AddFfnBytes(const VllmModel& model, Flop rows, Flop in_rows, Flop width, Flop copies,
                 Flop down_rows, Flop out_rows, Flop layers, VllmStep& out) {
  const Flop hidden = model.hidden;
  const Flop act = model.activation_bytes;
  out.read_bytes += in_rows * hidden * act * layers;
  out.read_bytes += (2 * rows + down_rows) * width * act * layers;
  out.read_bytes += 2 * hidden * width * copies * layers * model.weight_half_bytes / 2;
  out.read_bytes += hidden * width * copies * layers * model.weight_half_bytes / 2;
  out.write_bytes += 3 * rows * width * act * layers;
  out.write_bytes += out_rows * hidden * act * layers;
}

}  // namespace

Flop VllmStep::total_flop() const {
  Flop sum = 0;
  for (const auto& [name, part] : flop) sum += part;
  return sum;
}

Flop VllmStep::component_flop(const std::string& component) const {
  Flop sum = 0;
  for (const auto& [name, part] : flop) {
    if (name.starts_with(component + ".")) sum += part;
  }
  return sum;
}

VllmStep CountVllm(const VllmModel& model, const Batch& batch) {
  const Step step = StepOf(batch);
  const Part part = PartOf(model, step);
  const Flop hidden = model.hidden;
  const Flop dim = model.head_dim;
  VllmStep out;
  out.flop["attn.qkv_proj"] =
      2 * step.tokens * hidden * (part.heads + 2 * part.kv_heads) * dim * part.layers;
  out.flop["attn.attn_qk"] = 2 * part.heads * step.rectangle * dim * part.layers;
  out.flop["attn.attn_av"] = out.flop["attn.attn_qk"];
  out.flop["attn.out_proj"] = 2 * step.tokens * hidden * part.heads * dim * part.layers;
  AddAttentionBytes(model, step, part, out);
  if (part.dense_layers != 0) {
    out.flop["ffn.dense_ffn"] = 6 * hidden * part.ffn * step.tokens * part.dense_layers;
    AddFfnBytes(model, step.tokens, step.tokens, part.ffn, 1, step.tokens, step.tokens,
                part.dense_layers, out);
  }
  if (part.moe_layers != 0 && model.experts_per_token != 0) {
    const Flop rows = part.activated_tokens;
    out.flop["ffn.routed_ffn"] = 6 * hidden * part.expert_ffn * rows * part.moe_layers;
    AddFfnBytes(model, rows, rows, part.expert_ffn, std::min(rows, part.experts), rows, rows,
                part.moe_layers, out);
  }
  if (part.moe_layers != 0 && model.shared_experts != 0) {
    const Flop rows = step.tokens * model.shared_experts;
    out.flop["ffn.shared_ffn"] = 6 * hidden * part.expert_ffn * rows * part.moe_layers;
    // The input of the down projection forgets how many shared experts there are.
    AddFfnBytes(model, rows, step.tokens, part.expert_ffn, model.shared_experts, step.tokens, rows,
                part.moe_layers, out);
  }
  out.flop["unembed.unembed"] = 2 * step.logit_tokens * hidden * part.vocab;
  out.read_bytes += step.logit_tokens * hidden * model.activation_bytes +
                    hidden * part.vocab * model.weight_half_bytes / 2;
  out.write_bytes += step.logit_tokens * part.vocab * model.activation_bytes;
  return out;
}

Flop ExactVllmFlop(const VllmModel& model, const Batch& batch) {
  VllmStep counted = CountVllm(model, batch);
  const Part part = PartOf(model, StepOf(batch));
  Flop pairs = 0;
  for (const Sequences& one : batch.sequences) {
    const Flop queries = std::min(one.queries, one.context);
    const Flop before = one.context - queries;
    pairs += (queries * before + queries * (queries + 1) / 2) * one.count;
  }
  const Flop attention = 2 * part.heads * pairs * model.head_dim * part.layers;
  counted.flop["attn.attn_qk"] = attention;
  counted.flop["attn.attn_av"] = attention;
  return counted.total_flop();
}

std::optional<VllmModel> VllmModelOf(const ModelConfig& config, std::string& missing) {
  if (config.latent.has_value()) missing = "vLLM's formula does not model latent attention";
  for (const Layer& layer : config.layers) {
    if (layer.mixer == Mixer::kWindow || layer.mixer == Mixer::kChunk) {
      missing = "vLLM's formula does not model windows";
    } else if (layer.mixer != Mixer::kFull || layer.ffn == Ffn::kNone) {
      missing = "vLLM's formula models attention and MLP in every layer";
    }
  }
  if (!missing.empty()) return std::nullopt;
  VllmModel model;
  model.layers = config.layers.size();
  model.hidden = config.hidden;
  model.heads = config.heads;
  model.kv_heads = config.kv_heads;
  model.head_dim = config.head_dim;
  model.vocab = config.vocab;
  model.ffn = config.ffn;
  model.moe_layers = config.layers_with(Ffn::kMoe);
  model.experts = config.experts.count;
  model.experts_per_token = config.experts.per_token;
  model.expert_ffn = config.experts.width;
  if (config.experts.width != 0) {
    model.shared_experts = config.experts.shared_width / config.experts.width;
  }
  return model;
}

Estimate Vllm(const ModelConfig& config, const Batch& batch) {
  std::string missing;
  const std::optional<VllmModel> model = VllmModelOf(config, missing);
  if (!model.has_value()) return Missing(missing);
  if (batch.sequences.empty()) return Missing("sequence length");
  return Known(CountVllm(*model, batch).total_flop());
}

}  // namespace mfutrace::report::estimate
