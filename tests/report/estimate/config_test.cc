// Reading config.json: published models against their published numbers of parameters, the ways
// families place windows, experts and Mamba layers, and files that are not what they should be.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "report/estimate/model_config.h"
#include "report/estimate/parameters.h"
#include "tests/report/estimate/models.h"

namespace mfutrace::report::estimate {
namespace {

using test::Parsed;

struct Published {
  const char* name;
  uint64_t parameters;
  const char* json;
};

// Totals as the models' pages on the Hugging Face hub give them (safetensors metadata).
const Published kPublished[] = {
    {"Llama-3 8B", 8'030'261'248, test::kLlama3_8b},
    {"Mixtral 8x7B", 46'702'792'704, test::kMixtral8x7b},
    {"Llama-3.2 1B", 1'235'814'400,
     R"({"model_type": "llama", "hidden_size": 2048, "head_dim": 64, "intermediate_size": 8192,
         "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
         "vocab_size": 128256, "tie_word_embeddings": true})"},
    {"Qwen2.5 7B", 7'615'616'512,
     R"({"model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944,
         "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4,
         "vocab_size": 152064, "tie_word_embeddings": false, "use_sliding_window": false,
         "sliding_window": 131072, "max_window_layers": 28})"},
    {"Qwen3 30B-A3B", 30'532'122'624,
     R"({"model_type": "qwen3_moe", "hidden_size": 2048, "head_dim": 128,
         "intermediate_size": 6144, "moe_intermediate_size": 768, "num_attention_heads": 32,
         "num_hidden_layers": 48, "num_key_value_heads": 4, "vocab_size": 151936,
         "num_experts": 128, "num_experts_per_tok": 8, "decoder_sparse_step": 1,
         "mlp_only_layers": [], "tie_word_embeddings": false})"},
    {"Qwen1.5 MoE A2.7B", 14'315'784'192,
     R"({"model_type": "qwen2_moe", "hidden_size": 2048, "intermediate_size": 5632,
         "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632,
         "num_attention_heads": 16, "num_hidden_layers": 24, "num_key_value_heads": 16,
         "vocab_size": 151936, "num_experts": 60, "num_experts_per_tok": 4,
         "decoder_sparse_step": 1, "tie_word_embeddings": false})"},
    {"DeepSeek-V2 Lite", 15'706'484'224,
     R"({"model_type": "deepseek_v2", "hidden_size": 2048, "intermediate_size": 10944,
         "moe_intermediate_size": 1408, "n_routed_experts": 64, "n_shared_experts": 2,
         "num_experts_per_tok": 6, "first_k_dense_replace": 1, "moe_layer_freq": 1,
         "num_attention_heads": 16, "num_hidden_layers": 27, "vocab_size": 102400,
         "q_lora_rank": null, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
         "qk_rope_head_dim": 64, "v_head_dim": 128, "attention_bias": false})"},
    {"GPT-2", 124'439'808,
     R"({"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024,
         "vocab_size": 50257})"},
    {"Pythia 6.9B", 6'857'302'016,
     R"({"model_type": "gpt_neox", "hidden_size": 4096, "intermediate_size": 16384,
         "num_attention_heads": 32, "num_hidden_layers": 32, "vocab_size": 50432,
         "tie_word_embeddings": false})"},
    {"Gemma 2 9B", 9'241'705'984,
     R"({"model_type": "gemma2", "hidden_size": 3584, "head_dim": 256,
         "intermediate_size": 14336, "num_attention_heads": 16, "num_key_value_heads": 8,
         "num_hidden_layers": 42, "vocab_size": 256000, "sliding_window": 4096})"},
    {"GPT-OSS 20B", 20'914'757'184,
     R"({"model_type": "gpt_oss", "hidden_size": 2880, "head_dim": 64, "intermediate_size": 2880,
         "num_attention_heads": 64, "num_key_value_heads": 8, "num_hidden_layers": 24,
         "vocab_size": 201088, "num_local_experts": 32, "num_experts_per_tok": 4,
         "sliding_window": 128, "attention_bias": true, "tie_word_embeddings": false})"},
    {"OLMo-2 7B", 7'298'617'344,
     R"({"model_type": "olmo2", "hidden_size": 4096, "intermediate_size": 11008,
         "num_attention_heads": 32, "num_hidden_layers": 32, "vocab_size": 100352,
         "tie_word_embeddings": false})"},
    {"StarCoder2 3B", 3'030'371'328,
     R"({"model_type": "starcoder2", "hidden_size": 3072, "intermediate_size": 12288,
         "num_attention_heads": 24, "num_key_value_heads": 2, "num_hidden_layers": 30,
         "vocab_size": 49152, "sliding_window": 4096})"},
};

TEST(ModelConfig, ParametersAreThePublishedOnes) {
  for (const Published& model : kPublished) {
    const Parameters count = CountParameters(Parsed(model.json));
    ASSERT_TRUE(count.total.has_value()) << model.name << ": " << count.missing;
    EXPECT_EQ(static_cast<uint64_t>(*count.total), model.parameters) << model.name;
  }
}

TEST(ModelConfig, ActiveParametersAreThePublishedOnes) {
  // Mistral AI: 46.7B in total, 12.9B a token. DeepSeek (arXiv 2412.19437): 671B and 37B, which
  // leaves the input embedding out.
  const Parameters mixtral = CountParameters(Parsed(test::kMixtral8x7b));
  EXPECT_NEAR(static_cast<double>(*mixtral.active) / 1e9, 12.9, 0.05);
  const Parameters deepseek = CountParameters(Parsed(test::kDeepSeekV3));
  EXPECT_NEAR(static_cast<double>(*deepseek.total) / 1e9, 671, 0.5);
  EXPECT_NEAR(static_cast<double>(*deepseek.active - deepseek.embedding) / 1e9, 37, 0.5);
  EXPECT_EQ(Parsed(test::kDeepSeekV3).mtp_layers, 1U);
}

std::string Mixers(const ModelConfig& config) {
  std::string text;
  for (const Layer& layer : config.layers) {
    text += "-fwc?12d"[static_cast<size_t>(layer.mixer)];
  }
  return text;
}

std::string Ffns(const ModelConfig& config) {
  std::string text;
  for (const Layer& layer : config.layers) text += "-de"[static_cast<size_t>(layer.ffn)];
  return text;
}

std::string With(const std::string& type, int layers, const std::string& rest) {
  return R"({"model_type": ")" + type + R"(", "num_hidden_layers": )" + std::to_string(layers) +
         R"(, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
             "vocab_size": 100)" +
         (rest.empty() ? "" : ", " + rest) + "}";
}

TEST(ModelConfig, PlacesWindows) {
  EXPECT_EQ(Mixers(Parsed(With("mistral", 3, R"("sliding_window": 8)"))), "www");
  EXPECT_EQ(Mixers(Parsed(With("mistral", 3, R"("sliding_window": null)"))), "fff");
  EXPECT_EQ(Mixers(Parsed(With("llama", 3, R"("sliding_window": 8)"))), "fff");
  EXPECT_EQ(Mixers(Parsed(With("gemma2", 4, R"("sliding_window": 8)"))), "wfwf");
  EXPECT_EQ(Mixers(Parsed(With("gemma3_text", 7, R"("sliding_window": 8)"))), "wwwwwfw");
  EXPECT_EQ(Mixers(Parsed(With("qwen2", 4, R"("sliding_window": 8, "max_window_layers": 2)"))),
            "ffff");
  EXPECT_EQ(Mixers(Parsed(With("qwen2", 4,
                               R"("sliding_window": 8, "max_window_layers": 2,
                                  "use_sliding_window": true)"))),
            "ffww");
  // A list says it for any family; without one, an unknown family's window is in unknown layers.
  EXPECT_EQ(Mixers(Parsed(With("new", 2,
                               R"("sliding_window": 8,
                                  "layer_types": ["full_attention", "sliding_attention"])"))),
            "fw");
  EXPECT_EQ(Mixers(Parsed(With("new", 2, R"("sliding_window": 8)"))), "??");
  EXPECT_EQ(Mixers(Parsed(With("llama4_text", 5, R"("attention_chunk_size": 8)"))), "cccfc");
}

TEST(ModelConfig, PlacesExperts) {
  const std::string experts =
      R"("num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32)";
  EXPECT_EQ(Ffns(Parsed(With("qwen3_moe", 3, experts))), "eee");
  EXPECT_EQ(Ffns(Parsed(With("qwen3_moe", 4, experts + R"(, "decoder_sparse_step": 2)"))), "dede");
  EXPECT_EQ(Ffns(Parsed(With("qwen3_moe", 3, experts + R"(, "mlp_only_layers": [1])"))), "ede");
  EXPECT_EQ(Ffns(Parsed(With("deepseek_v3", 4, experts + R"(, "first_k_dense_replace": 2)"))),
            "ddee");
  EXPECT_EQ(Ffns(Parsed(With("x", 4, experts + R"(, "moe_layer_freq": [0, 1, 1, 0])"))), "deed");
  EXPECT_EQ(Ffns(Parsed(With("x", 4, experts + R"(, "moe_layer_freq": 2)"))), "eded");
  EXPECT_EQ(Ffns(Parsed(With("llama4_text", 4, experts + R"(, "interleave_moe_layer_step": 2)"))),
            "dede");
}

TEST(ModelConfig, PlacesStateSpaceLayers) {
  const std::string mamba =
      R"("mamba_num_heads": 8, "mamba_head_dim": 16, "ssm_state_size": 32, "n_groups": 2)";
  const ModelConfig nemotron =
      Parsed(With("nemotron_h", 4, mamba + R"(, "hybrid_override_pattern": "M-*M")"));
  EXPECT_EQ(Mixers(nemotron), "2-f2");
  EXPECT_EQ(Ffns(nemotron), "-d--");
  EXPECT_EQ(nemotron.mamba->inner, 128U);
  EXPECT_EQ(Mixers(Parsed(With("jamba", 4,
                               R"("mamba_d_state": 16, "mamba_expand": 2, "attn_layer_period": 4,
                                  "attn_layer_offset": 1)"))),
            "1f11");
  EXPECT_EQ(Mixers(Parsed(With("qwen3_next", 4,
                               R"("linear_num_value_heads": 4, "linear_num_key_heads": 2,
                                  "linear_key_head_dim": 8, "linear_value_head_dim": 8)"))),
            "dddf");
}

TEST(ModelConfig, ReadsTheLanguageModelOfAComposite) {
  const ModelConfig config = Parsed(
      R"({"model_type": "qwen3_vl", "hidden_size": 1, "tie_word_embeddings": true, "text_config":
          {"model_type": "qwen3_vl_text", "hidden_size": 64, "num_hidden_layers": 2,
           "intermediate_size": 96, "num_attention_heads": 4, "vocab_size": 100}})");
  EXPECT_EQ(config.hidden, 64U);
  EXPECT_EQ(config.model_type, "qwen3_vl_text");
  EXPECT_EQ(config.is_tied, true);
}

TEST(ModelConfig, WhatTheFileDoesNotTellIsNamed) {
  const Parameters count = CountParameters(Parsed(With("brand_new", 2, "")));
  EXPECT_FALSE(count.total.has_value());
  EXPECT_NE(count.missing.find("tie_word_embeddings"), std::string::npos);
  const Parameters tied =
      CountParameters(Parsed(With("brand_new", 2, R"("tie_word_embeddings": true)")));
  EXPECT_NE(tied.missing.find("brand_new"), std::string::npos);
}

TEST(ModelConfig, MalformedFilesGetOneLineWithKeyAndFile) {
  const auto message = [](const std::string& json) {
    const auto config = ParseModelConfig(json, "dir/config.json");
    EXPECT_FALSE(config.ok()) << json;
    const std::string text(config.status().message());
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 0);
    EXPECT_EQ(text.rfind("dir/config.json", 0), 0U) << text;
    return text;
  };
  const auto names = [&](const std::string& json, const std::string& key) {
    const std::string text = message(json);
    EXPECT_NE(text.find(key), std::string::npos) << text;
  };
  names("", "not JSON");
  names("{\"hidden_size\": ", "not JSON");
  names("[]", "expected a JSON object");
  names("{}", "hidden_size");
  names(With("llama", 2, R"("num_key_value_heads": "8")"), "num_key_value_heads");
  names(With("llama", 2, R"("head_dim": -1)"), "head_dim");
  names(With("llama", 2, R"("head_dim": 1.5)"), "head_dim");
  names(With("llama", 2, R"("head_dim": 1e30)"), "head_dim");
  names(With("llama", 2, R"("tie_word_embeddings": 1)"), "tie_word_embeddings");
  names(With("llama", 2, R"("num_key_value_heads": 8)"), "more key and value heads");
  names(With("llama", 2, R"("layer_types": ["full_attention"])"), "layer_types");
  names(With("llama", 2, R"("layer_types": ["full_attention", "magic"])"), "magic");
  names(With("llama", 2, R"("layer_types": [1, 2])"), "layer_types");
  names(With("llama", 2, R"("kv_lora_rank": 8)"), "qk_nope_head_dim");
  names(With("qwen3_moe", 2, R"("num_experts": 4)"), "num_experts_per_tok");
  names(With("qwen3_moe", 2, R"("num_experts": 4, "num_experts_per_tok": 2)"),
        "moe_intermediate_size");
  names(With("mixtral", 2, R"("num_local_experts": 4, "num_experts_per_tok": 5)"),
        "num_experts_per_tok");
  names(With("x", 2, R"("hybrid_override_pattern": "M?")"), "hybrid_override_pattern");
  names(R"({"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 100,
            "num_attention_heads": 7, "intermediate_size": 9})",
        "head_dim");
  names(R"({"hidden_size": 64, "num_hidden_layers": 99999999, "vocab_size": 100})",
        "num_hidden_layers");
}

}  // namespace
}  // namespace mfutrace::report::estimate
