#include "report/estimate/known_models.h"

#include <span>
#include <string>

#include "absl/strings/str_cat.h"

namespace mfutrace::report::estimate {
namespace {

// Qwen/Qwen3-VL-8B and -30B-A3B as tests/utils/test_flops_counter.py of
// volcengine/verl@b178a3cd56f5 has them.
#define MFU_QWEN3_VISION                                                            \
  R"("vision_config": {"deepstack_visual_indexes": [8, 16, 24], "num_heads": 16, )" \
  R"("depth": 27, "hidden_size": 1152, "intermediate_size": 4304, )"                \
  R"("out_hidden_size": 4096, "spatial_merge_size": 2, "temporal_patch_size": 2, )" \
  R"("in_channels": 3, "patch_size": 16}})"

constexpr KnownConfig kVerlModels[] = {
    {"qwen3_vl",
     R"({"model_type": "qwen3_vl", "text_config": {"vocab_size": 151936, )"
     R"("hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, )"
     R"("num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}, )" MFU_QWEN3_VISION},
    {"qwen3_vl_moe", R"({"model_type": "qwen3_vl_moe", "text_config": {"vocab_size": 151936, )"
                     R"("hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 32, )"
                     R"("num_key_value_heads": 4, "head_dim": 128, "moe_intermediate_size": 768, )"
                     R"("num_experts": 128, "num_experts_per_tok": 8}, )" MFU_QWEN3_VISION},
};
#undef MFU_QWEN3_VISION

// The models that tests/unit/utils/test_flops_counter.py of NVIDIA-NeMo/RL@7ea279abfbeb names, with
// their published config.json's dimensions, and the GPT-3, BERT, Mixtral and Nemotron-4 that the
// other formulas of nemo_rl/utils/flops_formulas.py are for (vocabularies as published, GPT-3's
// padded to 51200).
constexpr KnownConfig kNemoRlModels[] = {
    {"meta-llama/Llama-2-7b-hf",
     R"({"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, )"
     R"("num_attention_heads": 32, "intermediate_size": 11008, "vocab_size": 32000})"},
    {"meta-llama/Llama-2-13b-hf",
     R"({"model_type": "llama", "hidden_size": 5120, "num_hidden_layers": 40, )"
     R"("num_attention_heads": 40, "intermediate_size": 13824, "vocab_size": 32000})"},
    {"meta-llama/Llama-2-70b-hf",
     R"({"model_type": "llama", "hidden_size": 8192, "num_hidden_layers": 80, )"
     R"("num_attention_heads": 64, "num_key_value_heads": 8, "intermediate_size": 28672, )"
     R"("vocab_size": 32000})"},
    {"meta-llama/Meta-Llama-3-8B",
     R"({"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, )"
     R"("num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, )"
     R"("vocab_size": 128256})"},
    {"meta-llama/Llama-3.1-70B-Instruct",
     R"({"model_type": "llama", "hidden_size": 8192, "num_hidden_layers": 80, )"
     R"("num_attention_heads": 64, "num_key_value_heads": 8, "intermediate_size": 28672, )"
     R"("vocab_size": 128256})"},
    {"meta-llama/Llama-3.1-405B-Instruct",
     R"({"model_type": "llama", "hidden_size": 16384, "num_hidden_layers": 126, )"
     R"("num_attention_heads": 128, "num_key_value_heads": 8, "intermediate_size": 53248, )"
     R"("vocab_size": 128256})"},
    {"Qwen/Qwen3-30B-A3B",
     R"({"model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48, )"
     R"("num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, )"
     R"("intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128, )"
     R"("num_experts_per_tok": 8, "vocab_size": 151936})"},
    {"Qwen/Qwen3-235B-A22B",
     R"({"model_type": "qwen3_moe", "hidden_size": 4096, "num_hidden_layers": 94, )"
     R"("num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 128, )"
     R"("intermediate_size": 12288, "moe_intermediate_size": 1536, "num_experts": 128, )"
     R"("num_experts_per_tok": 8, "vocab_size": 151936})"},
    {"deepseek-ai/DeepSeek-V3",
     R"({"model_type": "deepseek_v3", "hidden_size": 7168, "num_hidden_layers": 61, )"
     R"("num_attention_heads": 128, "intermediate_size": 18432, "q_lora_rank": 1536, )"
     R"("kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, )"
     R"("v_head_dim": 128, "first_k_dense_replace": 3, "n_routed_experts": 256, )"
     R"("num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_shared_experts": 1, )"
     R"("vocab_size": 129280})"},
    {"moonshotai/Moonlight-16B-A3B-Instruct",
     R"({"model_type": "deepseek_v3", "hidden_size": 2048, "num_hidden_layers": 27, )"
     R"("num_attention_heads": 16, "intermediate_size": 11264, "q_lora_rank": null, )"
     R"("kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, )"
     R"("v_head_dim": 128, "first_k_dense_replace": 1, "n_routed_experts": 64, )"
     R"("num_experts_per_tok": 6, "moe_intermediate_size": 1408, "n_shared_experts": 2, )"
     R"("vocab_size": 163840})"},
    {"GPT-3 175B", R"({"model_type": "gpt2", "hidden_size": 12288, "num_hidden_layers": 96, )"
                   R"("num_attention_heads": 96, "vocab_size": 51200})"},
    {"BERT-large", R"({"model_type": "bert", "hidden_size": 1024, "num_hidden_layers": 24, )"
                   R"("num_attention_heads": 16, "intermediate_size": 4096, "vocab_size": 30522})"},
    {"Mixtral 8x7B",
     R"({"model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 32, )"
     R"("num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, )"
     R"("num_local_experts": 8, "num_experts_per_tok": 2, "vocab_size": 32000})"},
    {"Mixtral 8x22B",
     R"({"model_type": "mixtral", "hidden_size": 6144, "num_hidden_layers": 56, )"
     R"("num_attention_heads": 48, "num_key_value_heads": 8, "intermediate_size": 16384, )"
     R"("num_local_experts": 8, "num_experts_per_tok": 2, "vocab_size": 32000})"},
    {"Nemotron-4 15B",
     R"({"model_type": "nemotron", "hidden_size": 6144, "num_hidden_layers": 32, )"
     R"("num_attention_heads": 48, "num_key_value_heads": 8, "intermediate_size": 24576, )"
     R"("vocab_size": 256000})"},
    {"Nemotron-4 340B",
     R"({"model_type": "nemotron", "hidden_size": 18432, "num_hidden_layers": 96, )"
     R"("num_attention_heads": 96, "num_key_value_heads": 8, "intermediate_size": 73728, )"
     R"("vocab_size": 256000})"},
};

std::span<const KnownConfig> ModelsOf(ModelSource source) {
  switch (source) {
    case ModelSource::kMaxText:
      return {kMaxTextModels, kMaxTextModelCount};
    case ModelSource::kVerl:
      return kVerlModels;
    case ModelSource::kNemoRl:
      return kNemoRlModels;
  }
  return {};
}

}  // namespace

absl::StatusOr<ModelConfig> KnownModel(ModelSource source, std::string_view name) {
  for (const KnownConfig& known : ModelsOf(source)) {
    if (name == known.name) return ParseModelConfig(known.json, known.name);
  }
  return absl::NotFoundError("no model of that name: " + std::string(name));
}

}  // namespace mfutrace::report::estimate
