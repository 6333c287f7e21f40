#include "report/estimate/model_config.h"

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "report/estimate/config_reader.h"
#include "report/estimate/layers.h"

namespace mfutrace::report::estimate {
namespace {

void ReadAttention(ConfigReader& reader, ModelConfig& config) {
  config.heads = reader.Number({"num_attention_heads", "n_head", "n_heads"}, kMaxHeads, 0);
  config.kv_heads =
      reader.Number({"num_key_value_heads", "num_kv_heads", "n_head_kv", "num_query_groups"},
                    kMaxHeads, config.heads);
  // GPT-BigCode's and the first Falcon's way to say one head of keys and values.
  const bool is_grouped = reader.Flag({"new_decoder_architecture"}).value_or(false);
  if (reader.Flag({"multi_query"}).value_or(false) && !is_grouped) config.kv_heads = 1;
  const bool is_attention_there = config.heads != 0;
  const std::optional<uint64_t> head_dim =
      reader.Number({"head_dim", "attention_head_dim", "kv_channels"}, kMaxHeads);
  if (head_dim.has_value()) {
    config.head_dim = *head_dim;
  } else if (is_attention_there) {
    config.head_dim = config.hidden / config.heads;
    if (config.hidden % config.heads != 0 && !reader.Has({"kv_lora_rank"})) {
      reader.Complain(absl::StrCat("no \"head_dim\", and ", config.heads,
                                   " attention heads do not divide a hidden size of ",
                                   config.hidden));
    }
  }
  config.value_dim = config.head_dim;
  if (reader.Has({"kv_lora_rank"})) {
    Latent latent;
    latent.query_rank = reader.Number({"q_lora_rank"}, kMaxDimension, 0);
    latent.kv_rank = reader.Number({"kv_lora_rank"}, kMaxDimension, 0);
    latent.nope_dim = reader.Number({"qk_nope_head_dim"}, kMaxDimension, 0);
    latent.rope_dim = reader.Number({"qk_rope_head_dim"}, kMaxDimension, 0);
    config.head_dim = latent.nope_dim + latent.rope_dim;
    config.value_dim = reader.Number({"v_head_dim"}, kMaxDimension, 0);
    config.latent = latent;
    for (const char* key : {"qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"}) {
      if (!reader.Has({key})) reader.Require(key);
    }
  }
  if (is_attention_there && config.kv_heads == 0) {
    reader.Complain("num_key_value_heads", "is 0");
  } else if (is_attention_there && config.kv_heads > config.heads) {
    reader.Complain(absl::StrCat("more key and value heads (", config.kv_heads,
                                 ") than query heads (", config.heads, ")"));
  }
  if (reader.Has({"index_topk"})) {
    config.indexer = Indexer{reader.Number({"index_n_heads"}, kMaxHeads, 0),
                             reader.Number({"index_head_dim"}, kMaxHeads, 0),
                             reader.Number({"index_topk"}, kMaxDimension, 0)};
  }
  config.window = reader.Number({"sliding_window", "sliding_window_size"}, kMaxVocabulary, 0);
  config.chunk = reader.Number({"attention_chunk_size"}, kMaxVocabulary, 0);
  config.attention_bias = reader.Flag({"attention_bias"});
}

void ReadFfn(ConfigReader& reader, ModelConfig& config) {
  const std::optional<Family>& family = config.family;
  const std::optional<uint64_t> width = reader.Number(
      {"intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "d_ff", "d_intermediate"});
  config.ffn = width.value_or(family.has_value() ? family->ffn_over_hidden * config.hidden : 0);
  if (const auto ratio = reader.Number({"expansion_ratio"}); ratio.has_value() && !width) {
    config.ffn = *ratio * config.hidden;
  }
  if (family.has_value()) config.ffn_matrices = family->ffn_matrices;
  config.mlp_bias = reader.Flag({"mlp_bias"});

  Experts& experts = config.experts;
  experts.count = reader.Number(
      {"num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts"}, kMaxHeads, 0);
  if (experts.count <= 1 && !reader.Has({"num_experts_per_tok", "moe_intermediate_size"})) {
    experts.count = 0;
  }
  if (experts.count == 0) return;
  const std::optional<uint64_t> per_token = reader.Number(
      {"num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "moe_router_topk"});
  if (!per_token.has_value()) return reader.Require("num_experts_per_tok");
  experts.per_token = *per_token;
  if (experts.per_token > experts.count) {
    reader.Complain(absl::StrCat("\"num_experts_per_tok\" (", experts.per_token,
                                 ") is more than the number of experts (", experts.count, ")"));
  }
  const bool is_expert_width = family.has_value() && family->experts_use_ffn_width;
  const std::optional<uint64_t> expert_width =
      reader.Number({"moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_hidden_size"});
  if (!expert_width.has_value() && !is_expert_width) return reader.Require("moe_intermediate_size");
  experts.width = expert_width.value_or(config.ffn);
  // Llama 4 writes its dense layers' width apart.
  config.ffn = reader.Number({"intermediate_size_mlp"}, kMaxDimension, config.ffn);
  const bool is_llama4 = config.model_type.starts_with("llama4");
  experts.shared_width = reader.Number(
      {"shared_expert_intermediate_size", "moe_shared_expert_intermediate_size",
       "shared_intermediate_size"},
      kMaxDimension,
      experts.width *
          reader.Number({"n_shared_experts", "num_shared_experts", "moe_num_shared_experts"},
                        kMaxHeads, is_llama4 ? 1 : 0));
  experts.has_shared_gate =
      experts.shared_width != 0 && family.has_value() && family->has_shared_gate;
}

void ReadStateSpace(ConfigReader& reader, ModelConfig& config) {
  const bool is_mamba_alone = config.model_type == "mamba" || config.model_type == "mamba2";
  if (is_mamba_alone || reader.Has({"mamba_num_heads", "mamba_n_heads", "mamba_d_state",
                                    "mamba_expand", "ssm_state_size"})) {
    Mamba mamba;
    mamba.state = reader.Number(
        {"ssm_state_size", "mamba_d_state", "state_size", "mamba_state_dim"}, kMaxDimension, 0);
    const uint64_t expand = reader.Number({"mamba_expand", "expand"}, 64, 2);
    mamba.groups = reader.Number({"n_groups", "mamba_n_groups", "mamba_num_groups"}, kMaxHeads, 1);
    mamba.convolution =
        reader.Number({"conv_kernel", "mamba_d_conv", "conv_kernel_size"}, kMaxHeads, 4);
    mamba.heads = reader.Number({"mamba_num_heads", "mamba_n_heads"}, kMaxHeads, 0);
    const uint64_t head_dim = reader.Number({"mamba_head_dim", "mamba_d_head"}, kMaxDimension, 0);
    if (config.model_type == "mamba2") {
      mamba.heads = reader.Number({"num_heads"}, kMaxHeads, 0);
      mamba.inner = mamba.heads * reader.Number({"head_dim"}, kMaxDimension, 0);
    } else if (mamba.heads != 0 && head_dim != 0) {
      mamba.inner = mamba.heads * head_dim;
    }
    if (mamba.inner == 0) {
      mamba.inner = reader.Number({"mamba_d_ssm"}, kMaxDimension, expand * config.hidden);
    }
    // "auto" stands for hidden / 16, rounded up.
    const rapidjson::Value* rank = reader.Find({"time_step_rank", "mamba_dt_rank"});
    mamba.time_rank = (config.hidden + 15) / 16;
    if (rank != nullptr && !rank->IsString()) {
      mamba.time_rank = reader.Number({"time_step_rank", "mamba_dt_rank"}, kMaxDimension, 0);
    }
    if (mamba.state == 0) reader.Require("ssm_state_size");
    config.mamba = mamba;
  }
  if (reader.Has({"linear_num_value_heads"})) {
    GatedDelta delta;
    delta.key_heads = reader.Number({"linear_num_key_heads"}, kMaxHeads, 0);
    delta.key_dim = reader.Number({"linear_key_head_dim"}, kMaxDimension, 0);
    delta.value_heads = reader.Number({"linear_num_value_heads"}, kMaxHeads, 0);
    delta.value_dim = reader.Number({"linear_value_head_dim"}, kMaxDimension, 0);
    delta.convolution = reader.Number({"linear_conv_kernel_dim"}, kMaxHeads, 4);
    config.gated_delta = delta;
  }
}

void ReadVision(const rapidjson::Value& root, const std::string& name, ModelConfig& config,
                absl::Status& status) {
  const auto member = root.FindMember("vision_config");
  if (member == root.MemberEnd() || !member->value.IsObject()) return;
  ConfigReader reader(member->value, name + ", vision_config");
  if (!reader.Has({"depth"}) || !reader.Has({"out_hidden_size"})) return;
  Vision vision;
  vision.depth = reader.Number({"depth"}, kMaxLayers, 0);
  vision.hidden = reader.Number({"hidden_size"}, kMaxDimension, 0);
  vision.heads = reader.Number({"num_heads"}, kMaxHeads, 0);
  vision.ffn = reader.Number({"intermediate_size"}, kMaxDimension, 0);
  vision.out_hidden = reader.Number({"out_hidden_size"}, kMaxDimension, 0);
  vision.merge = reader.Number({"spatial_merge_size"}, kMaxHeads, 0);
  vision.patch_size = reader.Number({"patch_size"}, kMaxHeads, 0);
  vision.temporal_patch_size = reader.Number({"temporal_patch_size"}, kMaxHeads, 0);
  vision.channels = reader.Number({"in_channels"}, kMaxHeads, 0);
  if (const auto layers = reader.Numbers({"deepstack_visual_indexes"})) {
    vision.deepstack_layers = layers->size();
  }
  if (!reader.status().ok()) status = reader.status();
  config.vision = vision;
}

}  // namespace

uint64_t ModelConfig::attention_layers() const {
  return static_cast<uint64_t>(std::count_if(
      layers.begin(), layers.end(), [](const Layer& layer) { return IsAttention(layer.mixer); }));
}

uint64_t ModelConfig::layers_with(Ffn kind) const {
  return static_cast<uint64_t>(std::count_if(
      layers.begin(), layers.end(), [kind](const Layer& layer) { return layer.ffn == kind; }));
}

uint64_t ModelConfig::layers_with(Mixer kind) const {
  return static_cast<uint64_t>(std::count_if(
      layers.begin(), layers.end(), [kind](const Layer& layer) { return layer.mixer == kind; }));
}

absl::StatusOr<ModelConfig> ParseModelConfig(const std::string& json, const std::string& name) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseFullPrecisionFlag>(json.data(),
                                                                                      json.size());
  if (document.HasParseError()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " is not JSON: ", rapidjson::GetParseError_En(document.GetParseError()),
                     " (byte ", document.GetErrorOffset(), ")"));
  }
  if (!document.IsObject()) {
    return absl::InvalidArgumentError(name +
                                      " is not a model's config.json: expected a JSON object");
  }
  ConfigReader reader(document, name);
  ModelConfig config;
  config.source = name;
  config.model_type = reader.Text({"model_type"});
  config.dtype = reader.Text({"torch_dtype", "dtype"});
  config.family = FamilyNamed(config.model_type);
  config.hidden = reader.Number({"hidden_size", "n_embd", "d_model"}, kMaxDimension, 0);
  if (config.hidden == 0) reader.Require("hidden_size");
  config.vocab = reader.Number({"vocab_size", "padded_vocab_size"}, kMaxVocabulary, 0);
  if (config.vocab == 0) reader.Require("vocab_size");
  const std::optional<uint64_t> layers =
      reader.Number({"num_hidden_layers", "n_layer", "n_layers", "num_layers"}, kMaxLayers);
  const bool has_pattern = reader.Has({"hybrid_override_pattern", "hybrid_layer_pattern"});
  if (layers.value_or(0) == 0 && !has_pattern) reader.Require("num_hidden_layers");
  config.layers.resize(layers.value_or(0));
  config.is_tied = reader.Flag({"tie_word_embeddings"});
  if (!config.is_tied.has_value() && config.family.has_value()) {
    config.is_tied = config.family->is_tied;
  }
  if (config.family.has_value() && config.family->has_learned_positions) {
    config.positions = reader.Number({"n_positions", "max_position_embeddings"}, kMaxVocabulary, 0);
  }
  config.mtp_layers = reader.Number({"num_nextn_predict_layers", "mtp_num_layers"}, 64, 0);
  ReadAttention(reader, config);
  ReadStateSpace(reader, config);
  ReadFfn(reader, config);
  if (reader.status().ok()) PlaceLayers(reader, config);
  if (config.heads == 0 && config.attention_layers() != 0) reader.Require("num_attention_heads");
  if (config.experts.count == 0 && config.ffn == 0 && config.layers_with(Ffn::kDense) != 0) {
    reader.Require("intermediate_size");
  }
  absl::Status status = reader.status();
  ReadVision(document, name, config, status);
  if (!status.ok()) return status;
  return config;
}

}  // namespace mfutrace::report::estimate
