// The estimate beside a trace: runs written down product by product, with what differs put in on
// purpose, and the table of differences read back. Whatever the run, the table sums.
#include "report/estimate/compare.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "report/estimate/match.h"
#include "tests/report/estimate/models.h"

namespace mfutrace::report::estimate {
namespace {

using test::Parsed;

constexpr uint64_t kTokens = 1000;  // of a step: four sequences of 250
constexpr uint64_t kSteps = 3;

// Two layers: hidden 64, four heads of 16, MLP of 96, vocabulary 300.
constexpr char kSmall[] =
    R"({"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 96,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300,
        "tie_word_embeddings": false})";

struct Written {
  RunResult run;

  void Gemm(uint64_t m, uint64_t n, uint64_t k, uint64_t calls, uint64_t batch = 1) {
    OpResult op;
    op.label = "gemm bf16 " + std::to_string(m) + "x" + std::to_string(n) + "x" +
               std::to_string(k) + (batch == 1 ? "" : " b" + std::to_string(batch)) + " TN";
    op.kind = "gemm";
    op.calls = calls;
    op.flop_executed = op.flop_model = Flop(2) * m * n * k * batch * calls;
    run.ops.push_back(op);
  }
  // Forward, data gradient, weight gradient of a weight, `forwards` times the first.
  void Linear(uint64_t out, uint64_t in, uint64_t rows, uint64_t calls, uint64_t forwards = 1) {
    Gemm(out, rows, in, calls * forwards);
    Gemm(in, rows, out, calls);
    Gemm(in, out, rows, calls);
  }
  void Attention(uint64_t flop_forward, uint64_t forwards = 1) {
    OpResult op;
    op.label = "sdpa bf16 b4 h4/2 s250 d16 causal";
    op.kind = "attention";
    op.calls = 1;
    op.flop_executed = op.flop_model = Flop(flop_forward) * forwards;
    run.ops.push_back(op);
    op.label = "sdpa bwd bf16 b4 h4/2 s250 d16 causal";
    op.flop_model = Flop(flop_forward) * 2;
    op.flop_executed = Flop(flop_forward) * 5 / 2;
    run.ops.push_back(op);
  }
  void Steps(uint64_t count) {
    Flop sum = 0;
    for (const OpResult& op : run.ops) sum += *op.flop_executed;
    for (uint32_t i = 0; i < count; ++i) {
      StepResult step;
      step.rank = 0;
      step.index = i;
      step.flop_executed = sum / count;
      run.steps.push_back(step);
    }
    run.devices = run.world_size = 1;
  }
};

// Pairs of four causal sequences of 250, times heads x 2 x (16 + 16), in two layers.
constexpr uint64_t kAttentionForward = uint64_t{4} * 250 * 251 / 2 * 4 * 2 * 32 * 2;

Written Training(uint64_t rows = kTokens, uint64_t mlp_forwards = 1, uint64_t vocab = 300,
                 uint64_t attention_forwards = 1) {
  Written written;
  written.Linear(128, 64, rows, 2 * kSteps);  // q, k and v in one
  written.Linear(64, 64, rows, 2 * kSteps);
  written.Linear(192, 64, rows, 2 * kSteps, mlp_forwards);  // gate and up in one
  written.Linear(64, 96, rows, 2 * kSteps, mlp_forwards);
  written.Linear(vocab, 64, rows, kSteps);
  written.Attention(kAttentionForward * kSteps, attention_forwards);
  written.Steps(kSteps);
  return written;
}

Comparison Compared(const RunResult& run, const std::string& json = kSmall,
                    const std::string& convention = "6n") {
  const ModelEstimate per_step =
      EstimateModel(Parsed(json), BatchOf(4, kTokens / 4), Phase::kTrain);
  const absl::StatusOr<Comparison> result = CompareWithRun(run, per_step, convention, std::nullopt);
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok()) return Comparison();
  if (!result->estimate.has_value()) return *result;
  absl::int128 sum = static_cast<absl::int128>(*result->estimate) + result->unexplained;
  for (const Difference& row : result->rows) sum += row.flop;
  EXPECT_EQ(sum, static_cast<absl::int128>(result->executed));
  absl::int128 parts = 0;
  for (const Difference& row : result->unexplained_parts) parts += row.flop;
  EXPECT_EQ(parts, result->unexplained);
  return *result;
}

int64_t Row(const Comparison& comparison, const std::string& name) {
  for (const Difference& row : comparison.rows) {
    if (row.name == name) return static_cast<int64_t>(row.flop);
  }
  return 0;
}

constexpr int64_t kSixDS = 6 * kTokens * kSteps;

TEST(Compare, SixNOfAPlainTrainingRunIsExplainedWhole) {
  const Comparison all = Compared(Training().run);
  EXPECT_EQ(all.steps, kSteps);
  EXPECT_TRUE(all.is_training);
  EXPECT_EQ(all.tensor_parallel, 1U);
  EXPECT_EQ(Row(all, "embedding"), -kSixDS * 300 * 64);
  EXPECT_EQ(Row(all, "norms and biases"), -kSixDS * 5 * 64);
  EXPECT_EQ(Row(all, "attention"), static_cast<int64_t>(3 * kAttentionForward * kSteps));
  EXPECT_EQ(Row(all, "recompute inside attention"),
            static_cast<int64_t>(kAttentionForward * kSteps / 2));
  EXPECT_EQ(all.rows.size(), 4U);
  EXPECT_TRUE(all.unexplained_parts.empty());
}

TEST(Compare, EveryConventionEndsAtTheTrace) {
  for (const Convention& convention : Conventions()) {
    if (!convention.is_training) continue;
    const std::string name(convention.name);
    const Comparison all = Compared(Training().run, kSmall, name);
    if (!all.estimate.has_value()) continue;
    EXPECT_TRUE(all.unexplained_parts.empty()) << name;
  }
}

TEST(Compare, RecomputedForwardsAreFound) {
  const Comparison all = Compared(Training(kTokens, 2).run);
  EXPECT_EQ(Row(all, "recompute"), kSixDS / 3 * 2 * 3 * 64 * 96);
  EXPECT_TRUE(all.unexplained_parts.empty());
  const Comparison attention = Compared(Training(kTokens, 1, 300, 2).run);
  EXPECT_EQ(Row(attention, "recompute of attention"),
            static_cast<int64_t>(kAttentionForward * kSteps));
  EXPECT_TRUE(attention.unexplained_parts.empty());
}

TEST(Compare, PaddedTokensAndVocabulariesAreFound) {
  const Comparison tokens = Compared(Training(1024).run);
  // Twice q and o, twice k and v, three of the MLP, in two layers, and the logits.
  const int64_t weights = 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 96) + 300 * 64;
  EXPECT_EQ(Row(tokens, "padding"), 6 * int64_t{kSteps} * 24 * weights);
  EXPECT_TRUE(tokens.unexplained_parts.empty());
  const Comparison vocab = Compared(Training(kTokens, 1, 320).run);
  EXPECT_EQ(Row(vocab, "logits"), kSixDS * 20 * 64);
  EXPECT_TRUE(vocab.unexplained_parts.empty());
}

TEST(Compare, TensorParallelRanksAddUp) {
  Written written;
  for (int rank = 0; rank < 2; ++rank) {
    written.Linear(64, 64, kTokens, 2 * kSteps);
    written.Linear(64, 32, kTokens, 2 * kSteps);
    written.Linear(96, 64, kTokens, 2 * kSteps);
    written.Linear(64, 48, kTokens, 2 * kSteps);
    written.Linear(150, 64, kTokens, kSteps);
  }
  written.Attention(kAttentionForward * kSteps);
  written.Steps(kSteps);
  const Comparison all = Compared(written.run);
  EXPECT_EQ(all.tensor_parallel, 2U);
  EXPECT_TRUE(all.unexplained_parts.empty());
}

TEST(Compare, WhatFitsNothingIsNamed) {
  Written written = Training();
  written.Gemm(7, 11, 13, kSteps);
  written.run.steps.clear();
  written.Steps(kSteps);
  const Comparison all = Compared(written.run);
  EXPECT_EQ(static_cast<int64_t>(all.unexplained), 2 * 7 * 11 * 13 * int64_t{kSteps});
  ASSERT_EQ(all.unexplained_parts.size(), 1U);
  EXPECT_EQ(all.unexplained_parts[0].name, "gemm bf16 7x11x13 TN");
}

TEST(Compare, APartWithoutProductsIsNamed) {
  Written written;
  written.Linear(128, 64, kTokens, 2 * kSteps);
  written.Linear(64, 64, kTokens, 2 * kSteps);
  written.Linear(300, 64, kTokens, kSteps);
  written.Attention(kAttentionForward * kSteps);
  written.Steps(kSteps);
  const Comparison all = Compared(written.run);
  ASSERT_EQ(all.unexplained_parts.size(), 1U);
  EXPECT_EQ(all.unexplained_parts[0].name, "MLP");
  EXPECT_EQ(static_cast<int64_t>(all.unexplained), -kSixDS * 2 * 3 * 64 * 96);
}

TEST(Compare, MissingRanksAreNotPadding) {
  Written written = Training(kTokens / 2);
  written.run.world_size = 2;
  const Comparison all = Compared(written.run);
  EXPECT_LT(Row(all, "ranks without a trace"), 0);
  EXPECT_EQ(Row(all, "padding"), 0);
}

TEST(Compare, ExpertsAreMatchedOneByOneAndInGroups) {
  constexpr char kMoe[] =
      R"({"model_type": "mixtral", "num_hidden_layers": 2, "hidden_size": 64,
          "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2,
          "num_local_experts": 4, "num_experts_per_tok": 2, "vocab_size": 300,
          "tie_word_embeddings": false})";
  const auto dense = [](Written& written) {
    written.Linear(128, 64, kTokens, 2 * kSteps);
    written.Linear(64, 64, kTokens, 2 * kSteps);
    written.Linear(4, 64, kTokens, 2 * kSteps);
    written.Linear(300, 64, kTokens, kSteps);
    written.Attention(kAttentionForward * kSteps);
  };
  Written single;
  dense(single);
  for (const uint64_t rows : {311, 489, 733, 467}) {
    single.Linear(192, 64, rows, 2 * kSteps);
    single.Linear(64, 96, rows, 2 * kSteps);
  }
  single.Steps(kSteps);
  const Comparison one_by_one = Compared(single.run, kMoe);
  EXPECT_EQ(Row(one_by_one, "idle experts"), -kSixDS * 2 * 2 * 3 * 64 * 96);
  EXPECT_TRUE(one_by_one.unexplained_parts.empty());
  EXPECT_EQ(Row(one_by_one, "experts"), 0);

  Written grouped;
  dense(grouped);
  OpResult op;
  op.label = "grouped gemm bf16 4 groups, 768x311-733x64";
  op.kind = "gemm";
  op.calls = 1;
  op.flop_executed = op.flop_model = Flop(kSixDS) * 2 * 2 * 3 * 64 * 96;
  grouped.run.ops.push_back(op);
  grouped.Steps(kSteps);
  EXPECT_EQ(Compared(grouped.run, kMoe).unexplained, 0);
}

TEST(Compare, ForwardsAloneAreAThird) {
  Written written;
  written.Gemm(128, kTokens, 64, 2 * kSteps);
  written.Gemm(64, kTokens, 64, 2 * kSteps);
  written.Gemm(192, kTokens, 64, 2 * kSteps);
  written.Gemm(64, kTokens, 96, 2 * kSteps);
  written.Gemm(300, kTokens, 64, kSteps);
  written.Steps(kSteps);
  const Comparison all = Compared(written.run);
  EXPECT_FALSE(all.is_training);
  EXPECT_EQ(Row(all, "attention as called"), -static_cast<int64_t>(kAttentionForward * kSteps));
  EXPECT_TRUE(all.unexplained_parts.empty());
}

TEST(Compare, NobodyKnowsTheStepsOrTheFlops) {
  Written written = Training();
  written.run.steps.clear();
  const ModelEstimate per_step =
      EstimateModel(Parsed(kSmall), BatchOf(4, kTokens / 4), Phase::kTrain);
  EXPECT_FALSE(CompareWithRun(written.run, per_step, "6n", std::nullopt).ok());
  const auto told = CompareWithRun(written.run, per_step, "6n", kSteps);
  ASSERT_TRUE(told.ok());
  EXPECT_TRUE(told->unexplained_parts.empty());
  EXPECT_FALSE(CompareWithRun(RunResult(), per_step, "6n", kSteps).ok());
}

TEST(Compare, SumsWhateverTheTraceHolds) {
  std::mt19937 random(11);
  const uint64_t sizes[] = {1, 16, 32, 64, 96, 128, 192, 300, 320, 500, 1000, 1024};
  for (int i = 0; i < 200; ++i) {
    Written written;
    for (uint64_t j = random() % 12 + 1; j > 0; --j) {
      written.Gemm(sizes[random() % 12], sizes[random() % 12], sizes[random() % 12],
                   random() % 5 + 1, random() % 3 + 1);
    }
    if (random() % 2 == 0) written.Attention(random() % 1000 * 4);
    written.Steps(1);
    Compared(written.run);  // checks the sums
  }
}

TEST(Match, ReadsLabels) {
  const auto plain = DimensionsOf("gemm f8e4m3(mxfp8)>bf16 8192x14336x4096 b12 TN");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->m, 8192U);
  EXPECT_EQ(plain->n, 14336U);
  EXPECT_EQ(plain->k, 4096U);
  EXPECT_EQ(plain->batch, 12U);
  const auto grouped = DimensionsOf("grouped gemm bf16 8 groups, 4096x512-1024x64");
  ASSERT_TRUE(grouped.has_value());
  EXPECT_TRUE(grouped->is_grouped);
  EXPECT_EQ(grouped->n, 0U);
  EXPECT_EQ(grouped->k, 64U);
  EXPECT_FALSE(DimensionsOf("conv fwd bf16 b8 64x56x56 > 64x56x56 f3x3").has_value());
  EXPECT_FALSE(DimensionsOf("gemm bf16").has_value());
  EXPECT_FALSE(DimensionsOf("").has_value());
}

}  // namespace
}  // namespace mfutrace::report::estimate
