// The exact work of a step: masks against counting every pair, whole models against public figures
// and against call lists added up by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "report/estimate/components.h"
#include "report/estimate/conventions.h"
#include "tests/report/estimate/models.h"

namespace mfutrace::report::estimate {
namespace {

using test::Parsed;

uint64_t Number(const std::optional<Flop>& flop) {
  EXPECT_TRUE(flop.has_value());
  return static_cast<uint64_t>(flop.value_or(0));
}

std::optional<Flop> By(const char* convention, const ModelConfig& config, const Batch& batch) {
  return ConventionNamed(convention)->count(config, batch).flop;
}

TEST(Components, KeptPairsAreThoseOfCountingThem) {
  ModelConfig config;
  for (uint64_t window = 1; window < 9; ++window) {
    config.window = config.chunk = window;
    for (uint64_t context = 0; context < 12; ++context) {
      for (uint64_t queries = 0; queries <= context; ++queries) {
        uint64_t full = 0, windowed = 0, chunked = 0;
        for (uint64_t query = context - queries; query < context; ++query) {
          for (uint64_t key = 0; key <= query; ++key) {
            ++full;
            if (query - key < window) ++windowed;
            if (query / window == key / window) ++chunked;
          }
        }
        const Sequences sequences = {queries, context, 1, true};
        EXPECT_EQ(Number(KeptPairs(config, Mixer::kFull, sequences)), full);
        EXPECT_EQ(Number(KeptPairs(config, Mixer::kWindow, sequences)), windowed)
            << window << " " << queries << "/" << context;
        EXPECT_EQ(Number(KeptPairs(config, Mixer::kChunk, sequences)), chunked)
            << window << " " << queries << "/" << context;
      }
    }
  }
  EXPECT_FALSE(KeptPairs(config, Mixer::kUnknown, {4, 4, 1, true}).has_value());
}

// One sequence of 8192 tokens through Llama-3 8B: each source's own figure for it, in TFLOP.
TEST(Conventions, Llama3By8192TokensIsWhatEachSourceGives) {
  const ModelConfig config = Parsed(test::kLlama3_8b);
  const Batch batch = BatchOf(1, 8192);
  const Work work = WorkOf(config, batch);
  // From the sum of its calls with the mask counted exactly.
  EXPECT_EQ(Number(work.sum.model_flop), 421'651'971'833'856U);
  EXPECT_EQ(Number(work.sum.executed_flop), 430'449'138'597'888U);
  // Megatron-LM@d98e8a64 and torchtitan@b5bcd76c, their own functions run.
  EXPECT_EQ(Number(By("megatron", config, batch)), 421'645'529'382'912U);
  EXPECT_EQ(Number(By("maxtext", config, batch)), 421'645'529'382'912U);
  EXPECT_EQ(Number(By("nemo-rl", config, batch)), 421'645'529'382'912U);
  EXPECT_EQ(Number(By("torchtitan", config, batch)), 57'914'449'920U * 8192U);
  // 6N by hand.
  EXPECT_EQ(Number(By("6n", config, batch)), 6U * 8'030'261'248U * 8192U);
  EXPECT_EQ(Number(By("palm", config, batch)),
            (6U * 8'030'261'248U + uint64_t{12} * 32 * 32 * 128 * 8192) * 8192U);
  EXPECT_NEAR(static_cast<double>(*By("verl", config, batch)) / 1e12, 447.5, 0.05);
}

TEST(Conventions, DeepSeekV3IsWhatMegatronAndVerlGive) {
  ModelConfig config = Parsed(test::kDeepSeekV3);
  const Batch batch = BatchOf(1, 4096);
  // Megatron-LM@d98e8a64 with one module of multi-token prediction, and without.
  EXPECT_EQ(Number(By("megatron", config, batch)), 1'064'931'126'411'264U);
  config.mtp_layers = 0;
  EXPECT_EQ(Number(By("megatron", config, batch)), 1'023'230'173'249'536U);
  // Three such sequences, asserted by verl@b178a3cd.
  EXPECT_EQ(Number(By("verl", config, BatchOf(3, 4096))), 3'145'850'406'567'936U);
  // Exact, of which Megatron's call list has all but the router.
  const Work work = WorkOf(config, batch);
  Flop router = 0;
  for (const Component& part : work.components) {
    if (part.name == "router") router = *part.model_flop;
  }
  EXPECT_EQ(router, Flop(6) * 7168 * 256 * 58 * 4096);
  EXPECT_EQ(static_cast<uint64_t>(*work.sum.model_flop - router), 1'023'257'805'324'288U);
  EXPECT_EQ(static_cast<uint64_t>(*work.sum.executed_flop - router), 1'048'415'274'270'720U);
}

TEST(Components, MambaHybridIsTheSumOfItsProjections) {
  const ModelConfig config = Parsed(
      R"({"model_type": "nemotron_h", "num_hidden_layers": 3, "hidden_size": 64,
          "intermediate_size": 96, "num_attention_heads": 4, "head_dim": 16,
          "num_key_value_heads": 2, "vocab_size": 100, "mamba_num_heads": 8,
          "mamba_head_dim": 16, "ssm_state_size": 32, "n_groups": 2,
          "hybrid_override_pattern": "M-*"})");
  const Work work = WorkOf(config, BatchOf(1, 10));
  // in: 64 -> 2 x 128 + 2 x 2 x 32 + 8; out: 128 -> 64; MLP of two matrices; q, k, v, o.
  const uint64_t weights = 64 * 392 + 128 * 64 + 2 * 64 * 96 + 64 * (64 + 2 * 32) + 64 * 64;
  const uint64_t attention = 2 * 4 * 55 * (16 + 16);
  EXPECT_EQ(Number(work.sum.forward_flop), 2 * 10 * (weights + 64 * 100) + attention);
}

TEST(Components, SumsAreUnknownWhereAPartIs) {
  const Work work = WorkOf(Parsed(R"({"model_type": "new", "num_hidden_layers": 2,
      "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "vocab_size": 100})"),
                           BatchOf(1, 8));
  EXPECT_FALSE(work.sum.model_flop.has_value());
  EXPECT_NE(work.sum.missing.find("gated"), std::string::npos);
  Batch tokens;
  tokens.token_count = 8192;
  const ModelConfig llama = Parsed(test::kLlama3_8b);
  EXPECT_EQ(WorkOf(llama, tokens).sum.missing, "sequence length");
  EXPECT_EQ(Number(By("6n", llama, tokens)), 6U * 8'030'261'248U * 8192U);
  EXPECT_FALSE(By("megatron", llama, tokens).has_value());
}

TEST(Components, LargestDimensionsDoNotOverflow) {
  const ModelConfig config = Parsed(
      R"({"model_type": "mixtral", "num_hidden_layers": 16384, "hidden_size": 16777216,
          "intermediate_size": 16777216, "num_attention_heads": 1, "head_dim": 1,
          "vocab_size": 268435456, "num_local_experts": 8, "num_experts_per_tok": 8,
          "tie_word_embeddings": false})");
  const Work one = WorkOf(config, BatchOf(1, 1));
  const Work many = WorkOf(config, BatchOf(uint64_t{1} << 44, 1));
  EXPECT_EQ(*many.sum.model_flop >> 44, *one.sum.model_flop);
}

}  // namespace
}  // namespace mfutrace::report::estimate
