// Cases from Megatron-LM: its arguments under its own names, and the exact figures beside its own.
#include <algorithm>
#include <optional>

#include "cli/estimate_case.h"
#include "report/estimate/components.h"
#include "report/estimate/conventions/megatron.h"

namespace mfutrace::cli {
namespace {

namespace estimate = report::estimate;
using estimate::Flop;

// A number for every layer, a list with one for each, or Megatron's "[0]*3+[1]*58"-like text read
// as a list already.
std::vector<uint64_t> LayerPattern(Fields& args, const char* name, uint64_t layers,
                                   bool counts_up) {
  if (args.IsList(name)) return args.Numbers(name);
  constexpr uint64_t kMostLayers = 1'000'000;
  if (layers > kMostLayers) {
    args.Complain("\"num_layers\" is beyond any model's");
    return {};
  }
  const uint64_t every = args.Number(name, 1);
  std::vector<uint64_t> pattern;
  for (uint64_t i = 0; i < layers; ++i) {
    // moe_layer_freq: layers 0, f, 2f, ...; linear_attention_freq: all but f - 1, 2f - 1, ...
    const bool is_one = every != 0 && (counts_up ? (i + 1) % every != 0 : i % every == 0);
    pattern.push_back(is_one ? 1 : 0);
  }
  return pattern;
}

estimate::MegatronModel ModelOf(Fields& args) {
  estimate::MegatronModel model;
  model.num_layers = args.Number("num_layers");
  model.hidden_size = args.Number("hidden_size");
  model.num_attention_heads = args.Number("num_attention_heads");
  const bool is_grouped = args.Flag("group_query_attention");
  model.num_query_groups = is_grouped ? args.Number("num_query_groups") : model.num_attention_heads;
  model.kv_channels = args.Number(
      "kv_channels", model.hidden_size / std::max<uint64_t>(1, model.num_attention_heads));
  model.ffn_hidden_size = args.Number("ffn_hidden_size", 4 * model.hidden_size);
  model.padded_vocab_size = args.Number("padded_vocab_size");
  model.swiglu = args.Flag("swiglu");
  model.attention_output_gate = args.Flag("attention_output_gate");
  model.has_experts = args.Has("num_experts");
  if (model.has_experts) {
    model.moe_layer_pattern = LayerPattern(args, "moe_layer_freq", model.num_layers, false);
  }
  model.moe_router_topk = args.Number("moe_router_topk", 2);
  model.moe_ffn_hidden_size = args.Number("moe_ffn_hidden_size", model.ffn_hidden_size);
  model.moe_shared_expert_intermediate_size = args.Number("moe_shared_expert_intermediate_size", 0);
  model.moe_latent_size = args.Number("moe_latent_size", 0);
  model.mtp_num_layers = args.Number("mtp_num_layers", 0);
  model.multi_latent_attention = args.Flag("multi_latent_attention");
  model.q_lora_rank = args.Number("q_lora_rank", 0);
  if (model.multi_latent_attention) {
    model.kv_lora_rank = args.Number("kv_lora_rank");
    model.qk_head_dim = args.Number("qk_head_dim");
    model.qk_pos_emb_head_dim = args.Number("qk_pos_emb_head_dim");
    model.v_head_dim = args.Number("v_head_dim");
  }
  const std::string variant = args.IsText("experimental_attention_variant")
                                  ? args.Text("experimental_attention_variant")
                                  : "";
  model.is_gdn2 = variant == "gdn2";
  model.linear_key_head_dim = args.Number("linear_key_head_dim", 128);
  model.linear_value_head_dim = args.Number("linear_value_head_dim", 128);
  model.linear_num_key_heads = args.Number("linear_num_key_heads", 16);
  model.linear_num_value_heads = args.Number("linear_num_value_heads", 32);
  model.linear_conv_kernel_dim = args.Number("linear_conv_kernel_dim", 4);
  if (variant == "gdn" || variant == "gdn2" || variant == "gated_delta_net") {
    model.linear_attention_pattern =
        LayerPattern(args, "linear_attention_freq", model.num_layers + model.mtp_num_layers, true);
  }
  model.hybrid_layer_pattern = args.Text("hybrid_layer_pattern");
  if (model.hybrid_layer_pattern.empty()) {
    model.hybrid_layer_pattern = args.Text("hybrid_override_pattern");
  }
  model.mamba_state_dim = args.Number("mamba_state_dim", 128);
  model.mamba_head_dim = args.Number("mamba_head_dim", 64);
  model.mamba_num_groups = args.Number("mamba_num_groups", 8);
  model.mamba_num_heads = args.Number("mamba_num_heads", 0);
  model.gdp_num_householder = args.Number("gdp_num_householder", 0);
  if (const rapidjson::Value* spec = args.Find("spec")) {
    std::string last;
    if (spec->IsString()) last = spec->GetString();
    if (spec->IsArray() && !spec->Empty() && (*spec)[spec->Size() - 1].IsString()) {
      last = (*spec)[spec->Size() - 1].GetString();
    }
    model.uses_gated_delta_product =
        last.ends_with("gdp_stack_spec") || last.ends_with("gated_delta_product_stack_spec");
  }
  return model;
}

bool CheckStep(ModelCase& model_case) {
  Fields& args = model_case.args;
  const estimate::MegatronModel model = ModelOf(args);
  const uint64_t sequences = args.Number("global_batch");
  const uint64_t length = args.Number("seq_length");
  const estimate::Batch batch = estimate::BatchOf(sequences, length);
  const Flop tokens = args.Has("real_tokens") ? args.Number("real_tokens") : batch.tokens();
  const Flop squares =
      args.Has("seqlen_sq_sum") ? Flop(args.Number("seqlen_sq_sum")) : batch.rectangle();
  if (!args.error().empty()) return true;
  const estimate::MegatronFlop counted = estimate::CountMegatron(model, tokens, squares);
  model_case.verdict.CompareWide("flops", model_case.entry.Find("flops"), counted.sum());
  // Lengths of packed sequences are not in a sum of squares: no exact figure then.
  if (args.Has("seqlen_sq_sum")) return true;
  const Flop pairs = Flop(length) * (length + 1) / 2 * sequences;
  const estimate::ExactStep exact = estimate::ExactMegatron(model, counted, pairs);
  for (const char* field : {"recommended_model_flops", "flops_recommended_model"}) {
    model_case.verdict.CompareWide(field, model_case.entry.Find(field), exact.model_flop);
  }
  for (const char* field : {"recommended_executed_flops", "flops_recommended"}) {
    model_case.verdict.CompareWide(field, model_case.entry.Find(field), exact.executed_flop);
  }
  return true;
}

// Core attention of a whole training step: half the rectangle, forward and twice backward.
bool CheckAttentionTotal(ModelCase& model_case) {
  Fields& args = model_case.args;
  const Flop length = args.Number("s_q");
  const Flop context = args.Number("s_k");
  const Flop dimensions = Flop(args.Number("d_qk")) + args.Number("d_v");
  const Flop heads = Flop(args.Number("layers", 1)) * args.Number("b", 1) * args.Number("h_q");
  const bool is_causal = args.Text("mask", "causal") == "causal";
  if (!args.error().empty()) return true;
  if (!is_causal || length != context) return false;
  model_case.verdict.CompareWide("flops", model_case.entry.Find("flops"),
                                 3 * heads * length * context * dimensions);
  const Flop exact = 3 * heads * length * (length + 1) * dimensions;
  for (const char* field : {"flops_recommended_model", "recommended_model_flops"}) {
    model_case.verdict.CompareWide(field, model_case.entry.Find(field), exact);
  }
  return true;
}

}  // namespace

bool CheckMegatron(ModelCase& model_case) {
  if (model_case.op == "attention_train_total") return CheckAttentionTotal(model_case);
  return model_case.op == "model_train_step" && CheckStep(model_case);
}

}  // namespace mfutrace::cli
