// A change of MFU as a sum: the parts add up, and what took as long as before explains nothing.
#include "gate/explain.h"

#include <gtest/gtest.h>

#include <random>

namespace mfutrace::gate {
namespace {

Observation RunOf(std::vector<Part> budget) {
  Observation run;
  run.mfu = 0.5;
  run.budget = std::move(budget);
  return run;
}

TEST(Explain, PartsThatStayedExplainNothing) {
  const std::optional<Explanation> explanation =
      Explain(RunOf({{"mfu", 40}, {"below_peak", 30}, {"exposed", 30}}),
              RunOf({{"mfu", 40}, {"below_peak", 30}, {"exposed", 55}}));
  ASSERT_TRUE(explanation.has_value());
  EXPECT_DOUBLE_EQ(explanation->old_mfu, 0.4);
  EXPECT_DOUBLE_EQ(explanation->new_mfu, 0.32);
  ASSERT_EQ(explanation->terms.size(), 3u);
  EXPECT_DOUBLE_EQ(explanation->terms[0].mfu_change, 0);
  EXPECT_DOUBLE_EQ(explanation->terms[1].mfu_change, 0);
  EXPECT_NEAR(explanation->terms[2].mfu_change, -0.08, 1e-15);
}

TEST(Explain, TermsAddUpToTheChange) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> time(1e3, 1e9);
  for (int i = 0; i < 1000; ++i) {
    std::vector<Part> before = {
        {"mfu", time(random)}, {"below_peak", time(random)}, {"idle", time(random)}};
    std::vector<Part> after = {
        {"mfu", time(random)}, {"exposed", time(random)}, {"idle", time(random)}};
    const std::optional<Explanation> explanation = Explain(RunOf(before), RunOf(after));
    ASSERT_TRUE(explanation.has_value());
    double sum = 0;
    for (const Term& term : explanation->terms) sum += term.mfu_change;
    EXPECT_NEAR(sum, explanation->new_mfu - explanation->old_mfu, 1e-12);
  }
}

TEST(Explain, WithoutAnMfuThereIsNothingToExplain) {
  Observation unknown = RunOf({{"unattributed", 100}});
  unknown.mfu.reset();
  EXPECT_FALSE(Explain(unknown, RunOf({{"mfu", 40}, {"idle", 60}})).has_value());
  EXPECT_EQ(Cause(unknown, unknown, *MetricNamed("mfu_ratio")), "");
}

}  // namespace
}  // namespace mfutrace::gate
