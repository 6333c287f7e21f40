// Slow products, throttled clocks, slow hosts and slow links, put into made-up jobs: each is named
// as what it is, and nothing is named where nothing is wrong.
#include "report/analyze/stragglers.h"

#include <gtest/gtest.h>

#include "report/analyze/analyze.h"
#include "tests/report/training_cluster.h"

namespace mfutrace::report {
namespace {

using test::TrainingCluster;
using test::TrainingLayout;

RunResult Analyze(const TrainingLayout& layout) {
  TrainingCluster training(layout);
  Analyzer analyzer({});
  for (const Timeline& timeline : training.cluster().timelines()) analyzer.Add(timeline);
  absl::StatusOr<RunResult> result = analyzer.Finish();
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : RunResult();
}

std::vector<TrainingLayout> Layouts() {
  std::vector<TrainingLayout> layouts;
  for (const auto& [tp, dp, pp] : {std::tuple(4, 1, 1), std::tuple(1, 8, 1), std::tuple(2, 4, 1),
                                   std::tuple(2, 2, 2), std::tuple(4, 2, 2)}) {
    TrainingLayout layout;
    layout.tp = tp;
    layout.dp = dp;
    layout.pp = pp;
    layout.layers = 2;
    layout.micro_batches = 2;
    layout.steps = 14;
    layouts.push_back(layout);
  }
  return layouts;
}

void ExpectOne(const TrainingLayout& layout, const std::string& kind, int rank) {
  const RunResult result = Analyze(layout);
  SCOPED_TRACE(testing::Message() << "tp " << layout.tp << " dp " << layout.dp << " pp "
                                  << layout.pp << " rank " << rank << " " << kind);
  ASSERT_FALSE(result.stragglers.empty());
  const StragglerResult& first = result.stragglers.front();
  EXPECT_EQ(result.stragglers.size(), 1u)
      << result.stragglers.back().kind << ": " << result.stragglers.back().evidence;
  EXPECT_EQ(first.kind, kind) << first.evidence;
  EXPECT_EQ(first.ranks, std::vector<int32_t>{rank}) << first.evidence;
  EXPECT_GE(first.steps, 10u);
  EXPECT_GT(first.caused_wait_ns, 0);
}

TEST(Stragglers, NobodyIsNamedWhereNothingIsWrong) {
  for (const TrainingLayout& layout : Layouts()) {
    const RunResult result = Analyze(layout);
    EXPECT_TRUE(result.stragglers.empty())
        << result.stragglers.front().kind << ": " << result.stragglers.front().evidence;
  }
}

TEST(Stragglers, AThrottledClockSlowsAllProductsAlike) {
  for (TrainingLayout layout : Layouts()) {
    for (const int rank : {0, layout.ranks() - 1}) {
      layout.slow_rank = rank;
      layout.slow_factor = 1.4;
      ExpectOne(layout, "clock", rank);
    }
  }
}

TEST(Stragglers, OneSlowProductIsSlowCompute) {
  for (TrainingLayout layout : Layouts()) {
    for (const int rank : {1, layout.ranks() - 2}) {
      layout.slow_rank = rank;
      layout.slow_factor = 1.8;
      layout.slow_label = "mlp";
      ExpectOne(layout, "compute", rank);
    }
  }
}

TEST(Stragglers, ASlowHostLeavesItsDeviceWithNothingToDo) {
  for (TrainingLayout layout : Layouts()) {
    for (const int rank : {0, 3}) {
      layout.slow_host = rank;
      layout.host_gap_ns = 60'000;
      ExpectOne(layout, "host", rank);
    }
  }
}

TEST(Stragglers, ASlowLinkIsFoundWhereItsCommunicatorsMeet) {
  for (TrainingLayout layout : Layouts()) {
    // With one communicator on each axis there is nothing to compare it with.
    if (layout.tp == 1 || layout.dp == 1) continue;
    layout.slow_link = 2;
    layout.link_factor = 4;
    ExpectOne(layout, "link", 2);
  }
}

TEST(Stragglers, FewStepsMakeNoVerdict) {
  TrainingLayout layout = Layouts()[2];
  layout.steps = 8;
  layout.slow_rank = 1;
  layout.slow_factor = 2;
  EXPECT_TRUE(Analyze(layout).stragglers.empty());
}

}  // namespace
}  // namespace mfutrace::report
