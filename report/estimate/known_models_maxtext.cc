// Dimensions of MaxText's own models, from src/maxtext/configs/models/*.yml of
// AI-Hypercomputer/maxtext@e591f30cbbf2, under the keys of config.json. They differ from the
// published models' in places: vocabularies are rounded up.
#include "report/estimate/known_models.h"

namespace mfutrace::report::estimate {

const KnownConfig kMaxTextModels[] = {
    {"deepseek2-16b",
     R"({"model_type": "deepseek_v3", "hidden_size": 2048, "num_hidden_layers": 27, )"
     R"("num_attention_heads": 16, "num_key_value_heads": 16, "vocab_size": 102400, )"
     R"("q_lora_rank": 0, "kv_lora_rank": 512, "qk_nope_head_dim": 128, )"
     R"("qk_rope_head_dim": 64, "v_head_dim": 128, "first_k_dense_replace": 1, )"
     R"("intermediate_size": 10944, "num_experts": 64, "num_experts_per_tok": 6, )"
     R"("moe_intermediate_size": 1408, "n_shared_experts": 2})"},
    {"deepseek2-236b",
     R"({"model_type": "deepseek_v3", "hidden_size": 5120, "num_hidden_layers": 60, )"
     R"("num_attention_heads": 128, "num_key_value_heads": 128, "vocab_size": 102400, )"
     R"("q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, )"
     R"("qk_rope_head_dim": 64, "v_head_dim": 128, "first_k_dense_replace": 1, )"
     R"("intermediate_size": 12288, "num_experts": 160, "num_experts_per_tok": 6, )"
     R"("moe_intermediate_size": 1536, "n_shared_experts": 2})"},
    {"deepseek3-671b",
     R"({"model_type": "deepseek_v3", "hidden_size": 7168, "num_hidden_layers": 61, )"
     R"("num_attention_heads": 128, "num_key_value_heads": 128, "vocab_size": 129280, )"
     R"("q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, )"
     R"("qk_rope_head_dim": 64, "v_head_dim": 128, "first_k_dense_replace": 3, )"
     R"("intermediate_size": 18432, "num_experts": 256, "num_experts_per_tok": 8, )"
     R"("moe_intermediate_size": 2048, "n_shared_experts": 1})"},
    {"deepseek3.2-671b",
     R"({"model_type": "deepseek_v3", "hidden_size": 7168, "num_hidden_layers": 61, )"
     R"("num_attention_heads": 128, "num_key_value_heads": 128, "vocab_size": 129280, )"
     R"("q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, )"
     R"("qk_rope_head_dim": 64, "v_head_dim": 128, "first_k_dense_replace": 3, )"
     R"("index_n_heads": 64, "index_head_dim": 128, "index_topk": 2048, )"
     R"("intermediate_size": 18432, "num_experts": 256, "num_experts_per_tok": 8, )"
     R"("moe_intermediate_size": 2048, "n_shared_experts": 1})"},
    {"gemma-2b", R"({"model_type": "gemma", "hidden_size": 2048, "num_hidden_layers": 18, )"
                 R"("num_attention_heads": 8, "num_key_value_heads": 1, "vocab_size": 256128, )"
                 R"("head_dim": 256, "intermediate_size": 16384})"},
    {"gemma-7b", R"({"model_type": "gemma", "hidden_size": 3072, "num_hidden_layers": 28, )"
                 R"("num_attention_heads": 16, "num_key_value_heads": 16, "vocab_size": 256128, )"
                 R"("head_dim": 256, "intermediate_size": 24576})"},
    {"gemma2-2b", R"({"model_type": "gemma2", "hidden_size": 2304, "num_hidden_layers": 26, )"
                  R"("num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 256128, )"
                  R"("head_dim": 256, "intermediate_size": 9216, "sliding_window": 4096})"},
    {"gemma2-9b", R"({"model_type": "gemma2", "hidden_size": 3584, "num_hidden_layers": 42, )"
                  R"("num_attention_heads": 16, "num_key_value_heads": 8, "vocab_size": 256128, )"
                  R"("head_dim": 256, "intermediate_size": 14336, "sliding_window": 4096})"},
    {"gemma2-27b", R"({"model_type": "gemma2", "hidden_size": 4608, "num_hidden_layers": 46, )"
                   R"("num_attention_heads": 32, "num_key_value_heads": 16, "vocab_size": 256128, )"
                   R"("head_dim": 128, "intermediate_size": 36864, "sliding_window": 4096})"},
    {"gemma3-4b", R"({"model_type": "gemma3_text", "hidden_size": 2560, "num_hidden_layers": 34, )"
                  R"("num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 262144, )"
                  R"("head_dim": 256, "intermediate_size": 10240, "sliding_window": 1024})"},
    {"gemma3-12b", R"({"model_type": "gemma3_text", "hidden_size": 3840, "num_hidden_layers": 48, )"
                   R"("num_attention_heads": 16, "num_key_value_heads": 8, "vocab_size": 262144, )"
                   R"("head_dim": 256, "intermediate_size": 15360, "sliding_window": 1024})"},
    {"gemma3-27b", R"({"model_type": "gemma3_text", "hidden_size": 5376, "num_hidden_layers": 62, )"
                   R"("num_attention_heads": 32, "num_key_value_heads": 16, "vocab_size": 262144, )"
                   R"("head_dim": 128, "intermediate_size": 21504, "sliding_window": 1024})"},
    {"gpt-oss-20b",
     R"({"model_type": "gpt_oss", "hidden_size": 2880, "num_hidden_layers": 24, )"
     R"("num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 201088, )"
     R"("head_dim": 64, "intermediate_size": 2880, "num_experts": 32, )"
     R"("num_experts_per_tok": 4, "moe_intermediate_size": 2880, "sliding_window": 128})"},
    {"gpt-oss-120b",
     R"({"model_type": "gpt_oss", "hidden_size": 2880, "num_hidden_layers": 36, )"
     R"("num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 201088, )"
     R"("head_dim": 64, "intermediate_size": 2880, "num_experts": 128, )"
     R"("num_experts_per_tok": 4, "moe_intermediate_size": 2880, "sliding_window": 128})"},
    {"gpt3-6b", R"({"model_type": "gpt2", "hidden_size": 3072, "num_hidden_layers": 48, )"
                R"("num_attention_heads": 12, "num_key_value_heads": 12, "vocab_size": 32768, )"
                R"("head_dim": 256, "intermediate_size": 12288})"},
    {"gpt3-22b", R"({"model_type": "gpt2", "hidden_size": 6144, "num_hidden_layers": 48, )"
                 R"("num_attention_heads": 24, "num_key_value_heads": 24, "vocab_size": 32768, )"
                 R"("head_dim": 256, "intermediate_size": 24576})"},
    {"gpt3-175b", R"({"model_type": "gpt2", "hidden_size": 12288, "num_hidden_layers": 96, )"
                  R"("num_attention_heads": 96, "num_key_value_heads": 96, "vocab_size": 50304, )"
                  R"("head_dim": 128, "intermediate_size": 49152})"},
    {"kimi-k2-1t", R"({"model_type": "deepseek_v3", "hidden_size": 7168, "num_hidden_layers": 61, )"
                   R"("num_attention_heads": 64, "num_key_value_heads": 64, "vocab_size": 163840, )"
                   R"("q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, )"
                   R"("qk_rope_head_dim": 64, "v_head_dim": 128, "first_k_dense_replace": 1, )"
                   R"("intermediate_size": 18432, "num_experts": 384, "num_experts_per_tok": 8, )"
                   R"("moe_intermediate_size": 2048, "n_shared_experts": 1})"},
    {"llama2-7b", R"({"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, )"
                  R"("num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32000, )"
                  R"("head_dim": 128, "intermediate_size": 11008})"},
    {"llama2-13b", R"({"model_type": "llama", "hidden_size": 5120, "num_hidden_layers": 40, )"
                   R"("num_attention_heads": 40, "num_key_value_heads": 40, "vocab_size": 32000, )"
                   R"("head_dim": 128, "intermediate_size": 13824})"},
    {"llama2-70b", R"({"model_type": "llama", "hidden_size": 8192, "num_hidden_layers": 80, )"
                   R"("num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 32000, )"
                   R"("head_dim": 128, "intermediate_size": 28672})"},
    {"llama3-8b", R"({"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, )"
                  R"("num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, )"
                  R"("head_dim": 128, "intermediate_size": 14336})"},
    {"llama3-70b", R"({"model_type": "llama", "hidden_size": 8192, "num_hidden_layers": 80, )"
                   R"("num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 128256, )"
                   R"("head_dim": 128, "intermediate_size": 28672})"},
    {"llama3-405b",
     R"({"model_type": "llama", "hidden_size": 16384, "num_hidden_layers": 126, )"
     R"("num_attention_heads": 128, "num_key_value_heads": 8, "vocab_size": 128256, )"
     R"("head_dim": 128, "intermediate_size": 53248})"},
    {"llama3.1-8b", R"({"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, )"
                    R"("num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, )"
                    R"("head_dim": 128, "intermediate_size": 14336})"},
    {"llama3.1-70b",
     R"({"model_type": "llama", "hidden_size": 8192, "num_hidden_layers": 80, )"
     R"("num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 128256, )"
     R"("head_dim": 128, "intermediate_size": 28672})"},
    {"llama3.1-405b",
     R"({"model_type": "llama", "hidden_size": 16384, "num_hidden_layers": 126, )"
     R"("num_attention_heads": 128, "num_key_value_heads": 8, "vocab_size": 128256, )"
     R"("head_dim": 128, "intermediate_size": 53248})"},
    {"llama3.3-70b",
     R"({"model_type": "llama", "hidden_size": 8192, "num_hidden_layers": 80, )"
     R"("num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 128256, )"
     R"("head_dim": 128, "intermediate_size": 28672})"},
    {"llama4-17b-16e",
     R"({"model_type": "llama4_text", "hidden_size": 5120, "num_hidden_layers": 48, )"
     R"("num_attention_heads": 40, "num_key_value_heads": 8, "vocab_size": 202048, )"
     R"("head_dim": 128, "intermediate_size": 8192, "num_experts": 16, )"
     R"("num_experts_per_tok": 1, "moe_intermediate_size": 8192, )"
     R"("intermediate_size_mlp": 8192, "interleave_moe_layer_step": 1, )"
     R"("attention_chunk_size": 8192, "no_rope_layer_interval": 4})"},
    {"llama4-17b-128e",
     R"({"model_type": "llama4_text", "hidden_size": 5120, "num_hidden_layers": 48, )"
     R"("num_attention_heads": 40, "num_key_value_heads": 8, "vocab_size": 202048, )"
     R"("head_dim": 128, "intermediate_size": 16384, "num_experts": 128, )"
     R"("num_experts_per_tok": 1, "moe_intermediate_size": 8192, )"
     R"("intermediate_size_mlp": 16384, "interleave_moe_layer_step": 2, )"
     R"("attention_chunk_size": 8192, "no_rope_layer_interval": 4})"},
    {"mistral-7b", R"({"model_type": "mistral", "hidden_size": 4096, "num_hidden_layers": 32, )"
                   R"("num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000, )"
                   R"("head_dim": 128, "intermediate_size": 14336})"},
    {"mixtral-8x7b", R"({"model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 32, )"
                     R"("num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000, )"
                     R"("head_dim": 128, "intermediate_size": 14336, "num_experts": 8, )"
                     R"("num_experts_per_tok": 2, "moe_intermediate_size": 14336})"},
    {"mixtral-8x22b",
     R"({"model_type": "mixtral", "hidden_size": 6144, "num_hidden_layers": 56, )"
     R"("num_attention_heads": 48, "num_key_value_heads": 8, "vocab_size": 32768, )"
     R"("head_dim": 128, "intermediate_size": 16384, "num_experts": 8, )"
     R"("num_experts_per_tok": 2, "moe_intermediate_size": 16384})"},
    {"olmo3-7b", R"({"model_type": "olmo3", "hidden_size": 4096, "num_hidden_layers": 32, )"
                 R"("num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 100278, )"
                 R"("head_dim": 128, "intermediate_size": 11008, "sliding_window": 4096})"},
    {"olmo3-32b", R"({"model_type": "olmo3", "hidden_size": 5120, "num_hidden_layers": 64, )"
                  R"("num_attention_heads": 40, "num_key_value_heads": 8, "vocab_size": 100278, )"
                  R"("head_dim": 128, "intermediate_size": 27648, "sliding_window": 4096})"},
    {"qwen2.5-1.5b",
     R"({"model_type": "qwen2", "hidden_size": 1536, "num_hidden_layers": 28, )"
     R"("num_attention_heads": 12, "num_key_value_heads": 2, "vocab_size": 151936, )"
     R"("head_dim": 128, "intermediate_size": 8960})"},
    {"qwen2.5-7b", R"({"model_type": "qwen2", "hidden_size": 3584, "num_hidden_layers": 28, )"
                   R"("num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064, )"
                   R"("head_dim": 128, "intermediate_size": 18944})"},
    {"qwen2.5-14b", R"({"model_type": "qwen2", "hidden_size": 5120, "num_hidden_layers": 48, )"
                    R"("num_attention_heads": 40, "num_key_value_heads": 8, "vocab_size": 152064, )"
                    R"("head_dim": 128, "intermediate_size": 13824})"},
    {"qwen3-0.6b", R"({"model_type": "qwen3", "hidden_size": 1024, "num_hidden_layers": 28, )"
                   R"("num_attention_heads": 16, "num_key_value_heads": 8, "vocab_size": 151936, )"
                   R"("head_dim": 128, "intermediate_size": 3072})"},
    {"qwen3-1.7b", R"({"model_type": "qwen3", "hidden_size": 2048, "num_hidden_layers": 28, )"
                   R"("num_attention_heads": 16, "num_key_value_heads": 8, "vocab_size": 151936, )"
                   R"("head_dim": 128, "intermediate_size": 6144})"},
    {"qwen3-4b", R"({"model_type": "qwen3", "hidden_size": 2560, "num_hidden_layers": 36, )"
                 R"("num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 151936, )"
                 R"("head_dim": 128, "intermediate_size": 9728})"},
    {"qwen3-8b", R"({"model_type": "qwen3", "hidden_size": 4096, "num_hidden_layers": 36, )"
                 R"("num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 151936, )"
                 R"("head_dim": 128, "intermediate_size": 12288})"},
    {"qwen3-14b", R"({"model_type": "qwen3", "hidden_size": 5120, "num_hidden_layers": 40, )"
                  R"("num_attention_heads": 40, "num_key_value_heads": 8, "vocab_size": 151936, )"
                  R"("head_dim": 128, "intermediate_size": 17408})"},
    {"qwen3-32b", R"({"model_type": "qwen3", "hidden_size": 5120, "num_hidden_layers": 64, )"
                  R"("num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 151936, )"
                  R"("head_dim": 128, "intermediate_size": 25600})"},
    {"qwen3-30b-a3b",
     R"({"model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48, )"
     R"("num_attention_heads": 32, "num_key_value_heads": 4, "vocab_size": 151936, )"
     R"("head_dim": 128, "intermediate_size": 768, "num_experts": 128, )"
     R"("num_experts_per_tok": 8, "moe_intermediate_size": 768})"},
    {"qwen3-235b-a22b",
     R"({"model_type": "qwen3_moe", "hidden_size": 4096, "num_hidden_layers": 94, )"
     R"("num_attention_heads": 64, "num_key_value_heads": 4, "vocab_size": 151936, )"
     R"("head_dim": 128, "intermediate_size": 1536, "num_experts": 128, )"
     R"("num_experts_per_tok": 8, "moe_intermediate_size": 1536})"},
    {"qwen3-480b-a35b",
     R"({"model_type": "qwen3_moe", "hidden_size": 6144, "num_hidden_layers": 62, )"
     R"("num_attention_heads": 96, "num_key_value_heads": 8, "vocab_size": 151936, )"
     R"("head_dim": 128, "intermediate_size": 2560, "num_experts": 160, )"
     R"("num_experts_per_tok": 8, "moe_intermediate_size": 2560})"},
    {"qwen3-next-80b-a3b",
     R"({"model_type": "qwen3_next", "hidden_size": 2048, "num_hidden_layers": 48, )"
     R"("num_attention_heads": 16, "num_key_value_heads": 2, "vocab_size": 151936, )"
     R"("head_dim": 256, "intermediate_size": 512, "num_experts": 512, )"
     R"("num_experts_per_tok": 10, "moe_intermediate_size": 512, "n_shared_experts": 1, )"
     R"("full_attention_interval": 4, "linear_num_key_heads": 16, )"
     R"("linear_key_head_dim": 128, "linear_num_value_heads": 32, )"
     R"("linear_value_head_dim": 128, "linear_conv_kernel_dim": 4})"},
};
const size_t kMaxTextModelCount = sizeof(kMaxTextModels) / sizeof(kMaxTextModels[0]);

}  // namespace mfutrace::report::estimate
