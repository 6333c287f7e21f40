// Budgets worked out on paper, and their sums on made-up and on real traces.
#include "report/analyze/budget.h"

#include <gtest/gtest.h>

#include <cmath>

#include "report/analyze/analyze.h"
#include "report/import/import.h"
#include "tests/report/import_reference.h"
#include "tests/report/training_cluster.h"

namespace mfutrace::report {
namespace {

using shapes::CollectiveKind;
using test::Cluster;
using test::TrainingCluster;
using test::TrainingLayout;

constexpr int64_t kUs = 1'000;

RunResult Analyze(const std::vector<Timeline>& timelines, const AnalyzeOptions& options = {}) {
  Analyzer analyzer(options);
  for (const Timeline& timeline : timelines) analyzer.Add(timeline);
  absl::StatusOr<RunResult> result = analyzer.Finish();
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : RunResult();
}

int64_t Of(const std::vector<BudgetLine>& budget, const std::string& name,
           const std::string& strategy = "*") {
  int64_t sum_ns = 0;
  for (const BudgetLine& line : budget) {
    if (line.name == name && (strategy == "*" || line.strategy == strategy)) sum_ns += line.ns;
  }
  return sum_ns;
}

int64_t SumOf(const std::vector<BudgetLine>& budget) {
  int64_t sum_ns = 0;
  for (const BudgetLine& line : budget) sum_ns += line.ns;
  return sum_ns;
}

// A GPU of 100 TFLOP/s in bf16 and 1 TB/s.
AnalyzeOptions RoundPeaks() {
  AnalyzeOptions options;
  UserGpu gpu;
  gpu.name = "NVIDIA H100 80GB HBM3";
  gpu.source = "test";
  gpu.peak_flop_per_s[shapes::PeakRate::kBf16] = 100'000'000'000'000;
  gpu.memory_bytes_per_s = 1'000'000'000'000;
  options.user_peaks.gpus.push_back(gpu);
  return options;
}

// Two ranks, each: a product of 10 GFLOP in 150 us that recomputes 2 GFLOP of it and must move
// 130 MB; 20 us of a kernel without FLOPs; rank 1 is 80 us late to an all-reduce of 50 us.
Cluster OnPaper(bool has_all_kernels) {
  Cluster cluster(2);
  const int dp = cluster.Communicator("dp", {0, 1}, "dp");
  for (int rank = 0; rank < 2; ++rank) {
    Timeline& timeline = cluster.timeline(rank);
    timeline.host = "node";
    timeline.has_all_kernels = has_all_kernels;
    cluster.Compute(rank, 0, 150 * kUs, 10'000'000'000);
    timeline.ops[0].flop_model = 8'000'000'000;
    timeline.ops[0].bytes_least = 130'000'000;
    cluster.Compute(rank, 150 * kUs, 170 * kUs, 1, "softmax");
    Op& unknown = timeline.ops[1];
    unknown.flop_executed = unknown.flop_model = unknown.flop_full_attention = std::nullopt;
    unknown.kind = shapes::OpKind::kOpaque;
  }
  cluster.Collective(dp, CollectiveKind::kAllReduce, 1 << 20, {180 * kUs, 260 * kUs}, 50 * kUs);
  return cluster;
}

TEST(Budget, OnPaper) {
  const RunResult result = Analyze(OnPaper(true).timelines(), RoundPeaks());
  const std::vector<BudgetLine>& budget = result.run.budget;
  // Both windows are 310 us. 8 GFLOP take 80 us, the other two 20; bytes 30 us beyond that.
  EXPECT_EQ(result.run.window_ns, 2 * 310 * kUs);
  EXPECT_EQ(SumOf(budget), result.run.window_ns);
  EXPECT_EQ(Of(budget, "mfu"), 2 * 80 * kUs);
  EXPECT_EQ(Of(budget, "recompute"), 2 * 20 * kUs);
  EXPECT_EQ(Of(budget, "roofline"), 2 * 30 * kUs);
  EXPECT_EQ(Of(budget, "below_peak"), 2 * 20 * kUs);
  EXPECT_EQ(Of(budget, "other_compute"), 2 * 20 * kUs);
  EXPECT_EQ(Of(budget, "exposed_wait", "DP"), 80 * kUs);
  EXPECT_EQ(Of(budget, "exposed_transfer", "DP"), 2 * 50 * kUs);
  EXPECT_EQ(Of(budget, "exposed"), 0);
  EXPECT_EQ(Of(budget, "idle"), 10 * kUs + 90 * kUs);
  EXPECT_EQ(Of(budget, "unattributed"), 0);
  EXPECT_NEAR(*result.run.mfu, 160.0 / 620.0, 1e-12);
  std::map<std::string, double> what_if;
  for (const WhatIf& one : result.run.what_if) what_if[one.name] = one.mfu;
  EXPECT_NEAR(what_if.at("no_exposed"), 160.0 / (620.0 - 180.0), 1e-12);
  EXPECT_NEAR(what_if.at("kernels_at_roofline"), 160.0 / (620.0 - 40.0), 1e-12);
  // Rank 1 on time saves both ranks 80 us.
  EXPECT_NEAR(what_if.at("slowest_at_median"), 160.0 / (620.0 - 160.0), 1e-12);
  EXPECT_EQ(SumOf(result.ranks[0].budget), 310 * kUs);
  EXPECT_EQ(Of(result.ranks[0].budget, "exposed_wait"), 80 * kUs);
  EXPECT_EQ(Of(result.ranks[1].budget, "exposed_wait"), 0);
}

TEST(Budget, BracketsCannotTellIdleTime) {
  const RunResult result = Analyze(OnPaper(false).timelines(), RoundPeaks());
  EXPECT_EQ(SumOf(result.run.budget), result.run.window_ns);
  EXPECT_EQ(Of(result.run.budget, "idle"), 0);
  EXPECT_EQ(Of(result.run.budget, "memory"), 0);
  EXPECT_EQ(Of(result.run.budget, "mfu"), 2 * 80 * kUs);
  EXPECT_EQ(Of(result.run.budget, "unattributed"),
            result.run.window_ns - 2 * 190 * kUs - 180 * kUs + 2 * 20 * kUs);
}

TEST(Budget, WithoutAPeakCountedKernelsStayWhole) {
  Cluster cluster = OnPaper(true);
  for (int rank = 0; rank < 2; ++rank) cluster.timeline(rank).device.name = "NVIDIA H20-3e";
  const RunResult result = Analyze(cluster.timelines());
  EXPECT_EQ(SumOf(result.run.budget), result.run.window_ns);
  EXPECT_EQ(Of(result.run.budget, "counted_kernels"), 2 * 150 * kUs);
  EXPECT_EQ(Of(result.run.budget, "mfu"), 0);
  EXPECT_EQ(Of(result.run.budget, "below_peak"), 0);
  EXPECT_TRUE(result.run.what_if.empty());
}

TEST(Budget, WithoutTimesAllButTheFlopsIsUnattributed) {
  Cluster cluster = OnPaper(false);
  for (int rank = 0; rank < 2; ++rank) {
    cluster.timeline(rank).works.clear();
    for (OpCall& call : cluster.timeline(rank).calls) call.work = kNoIndex;
  }
  const RunResult result = Analyze(cluster.timelines(), RoundPeaks());
  EXPECT_EQ(SumOf(result.run.budget), result.run.window_ns);
  EXPECT_EQ(Of(result.run.budget, "mfu"), 2 * 80 * kUs);
  EXPECT_EQ(Of(result.run.budget, "recompute"), 2 * 20 * kUs);
  EXPECT_EQ(result.run.budget.size(), 3u);
}

TEST(Budget, CallsWithoutTimesTakeTheirPartOfTheUnattributed) {
  Cluster cluster = OnPaper(false);
  // The same product again, twice, counted without a record.
  cluster.timeline(0).counted.push_back({0, 2, {0, 100}, std::nullopt});
  const RunResult with = Analyze(cluster.timelines(), RoundPeaks());
  const RunResult without = Analyze(OnPaper(false).timelines(), RoundPeaks());
  EXPECT_EQ(Of(with.run.budget, "below_peak"), Of(without.run.budget, "below_peak"));
  EXPECT_EQ(Of(with.run.budget, "roofline"), Of(without.run.budget, "roofline"));
  EXPECT_EQ(Of(with.run.budget, "mfu"), Of(without.run.budget, "mfu") + 2 * 80 * kUs);
  EXPECT_EQ(SumOf(with.run.budget), with.run.window_ns);
}

// Every window of a job with all strategies: fractions sum to one, exposed time by strategy is that
// of the split, steps and ranks agree with the run.
TEST(Budget, SumsEverywhereInATrainingJob) {
  TrainingLayout layout;
  layout.tp = 2;
  layout.dp = 2;
  layout.pp = 2;
  TrainingCluster training(layout);
  training.cluster().SetClock(0, 0, 0);
  const RunResult result = Analyze(training.cluster().timelines());
  ASSERT_TRUE(result.steady.has_value());
  for (const WindowSummary* window : {&result.run, &*result.steady}) {
    EXPECT_EQ(SumOf(window->budget), window->window_ns);
    int64_t exposed_ns = 0;
    std::set<std::string> strategies;
    for (const BudgetLine& line : window->budget) {
      if (line.name.rfind("exposed", 0) != 0) continue;
      exposed_ns += line.ns;
      strategies.insert(line.strategy);
    }
    EXPECT_EQ(exposed_ns, window->split.exposed_ns);
    EXPECT_EQ(strategies, (std::set<std::string>{"DP", "PP", "TP", "control"}));
    EXPECT_EQ(Of(window->budget, "exposed"), 0);
    EXPECT_NEAR(
        static_cast<double>(Of(window->budget, "mfu")) / static_cast<double>(window->window_ns),
        *window->mfu, 1e-6);
  }
  std::map<std::pair<std::string, std::string>, int64_t> ranks;
  for (const RankResult& rank : result.ranks) {
    EXPECT_EQ(SumOf(rank.budget), rank.split.window_ns);
    for (const BudgetLine& line : rank.budget) ranks[{line.name, line.strategy}] += line.ns;
  }
  for (const BudgetLine& line : result.run.budget) {
    EXPECT_EQ((ranks[{line.name, line.strategy}]), line.ns) << line.name;
  }
  for (const StepResult& step : result.steps) EXPECT_EQ(SumOf(step.budget), step.split.window_ns);
  // Per communicator, too.
  int64_t wait_ns = 0;
  for (const CommunicatorResult& row : result.communicators) {
    EXPECT_LE(*row.exposed_exclusive_ns, *row.exposed_ns);
    EXPECT_LE(*row.exposed_ns, *row.exposed_touch_ns);
    EXPECT_LE(*row.exposed_wait_ns, *row.exposed_ns);
    EXPECT_EQ(row.intervals_unknown, 0u);
    wait_ns += *row.exposed_wait_ns;
  }
  EXPECT_EQ(Of(result.run.budget, "exposed_wait"), wait_ns);
}

TEST(ReferenceBudget, SumsInEveryWindowOfRealTraces) {
  rapidjson::Document expected;
  if (!LoadReference(TracePath("expected.json"), &expected)) {
    GTEST_SKIP() << "no reference traces under " << MFU_SHARED_DIR << "/traces";
  }
  uint32_t windows = 0;
  std::set<std::string> files;
  for (const auto& entry : expected["kineto"].GetObject()) {
    const std::string name = entry.name.GetString();
    files.insert(name.substr(0, name.find("::")));
  }
  for (const std::string& name : files) {
    const absl::StatusOr<std::vector<Timeline>> timelines = ImportTrace(TracePath(name));
    ASSERT_TRUE(timelines.ok()) << timelines.status();
    const RunResult result = Analyze(*timelines);
    SCOPED_TRACE(name);
    EXPECT_EQ(SumOf(result.run.budget), result.run.window_ns);
    ++windows;
    if (result.run.split.exposed_ns.has_value()) {
      EXPECT_EQ(Of(result.run.budget, "exposed_wait") + Of(result.run.budget, "exposed_transfer") +
                    Of(result.run.budget, "exposed"),
                result.run.split.exposed_ns);
      EXPECT_EQ(Of(result.run.budget, "idle"), result.run.split.idle_ns.value_or(0));
    }
    for (const StepResult& step : result.steps) {
      EXPECT_EQ(SumOf(step.budget), step.split.window_ns);
      ++windows;
    }
    if (result.run.mfu.has_value()) {
      EXPECT_NEAR(static_cast<double>(Of(result.run.budget, "mfu")) /
                      static_cast<double>(result.run.window_ns),
                  *result.run.mfu, 1e-6);
    }
  }
  std::printf("budgets of %u windows of %zu traces\n", windows, files.size());
  EXPECT_GE(windows, 30u);
}

}  // namespace
}  // namespace mfutrace::report
