// Published models' config.json files, shortened to the keys that dimensions follow from.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "report/estimate/model_config.h"

namespace mfutrace::report::estimate::test {

inline constexpr char kLlama3_8b[] =
    R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
        "intermediate_size": 14336, "num_attention_heads": 32, "num_hidden_layers": 32,
        "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": false,
        "rope_scaling": null, "rope_theta": 500000.0, "torch_dtype": "bfloat16"})";

inline constexpr char kMixtral8x7b[] =
    R"({"model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336,
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
        "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": null,
        "tie_word_embeddings": false, "vocab_size": 32000})";

inline constexpr char kDeepSeekV3[] =
    R"({"model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432,
        "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128,
        "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "first_k_dense_replace": 3,
        "moe_layer_freq": 1, "n_routed_experts": 256, "num_experts_per_tok": 8,
        "n_shared_experts": 1, "moe_intermediate_size": 2048, "num_nextn_predict_layers": 1,
        "tie_word_embeddings": false, "attention_bias": false, "vocab_size": 129280})";

inline ModelConfig Parsed(const std::string& json) {
  const absl::StatusOr<ModelConfig> config = ParseModelConfig(json, "config.json");
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? *config : ModelConfig();
}

}  // namespace mfutrace::report::estimate::test
