// The errors of the gates' statistics, counted on simulated series with fixed seeds, and the tests
// themselves against published tables.
#include "gate/statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace mfutrace::gate {
namespace {

using Series = std::vector<double>;

constexpr double kConfidence = 0.99;
constexpr double kNoise = 0.02;

// Steps about `mean` with relative standard deviation kNoise, a stationary AR(1) process.
Series Steps(std::mt19937_64& random, size_t count, double mean, double rho) {
  std::normal_distribution<double> normal;
  Series steps;
  double state = normal(random);
  for (size_t i = 0; i < count; ++i) {
    steps.push_back(mean * (1 + kNoise * state));
    state = rho * state + std::sqrt(1 - rho * rho) * normal(random);
  }
  return steps;
}

struct Counts {
  int failed = 0;
  int passed = 0;
  int undecided = 0;
};

// As gate/judge.cc decides on max_drop.
Counts Judge(double rho, size_t steps, double drop, double max_drop, int comparisons,
             size_t runs = 1) {
  std::mt19937_64 random(20261201);
  Counts counts;
  for (int i = 0; i < comparisons; ++i) {
    std::vector<Series> before;
    std::vector<Series> after;
    for (size_t run = 0; run < runs; ++run) {
      before.push_back(Steps(random, steps, 0.38, rho));
      after.push_back(Steps(random, steps, 0.38 * (1 - drop), rho));
    }
    const Change change = Compare(before, after, false, kConfidence);
    const bool is_unlikely =
        change.p_drop <= std::max(1 - kConfidence, change.p_reachable * 1.0001);
    if (change.has_enough && is_unlikely && change.high < -max_drop) {
      ++counts.failed;
    } else if (change.has_enough && change.low > -max_drop) {
      ++counts.passed;
    } else {
      ++counts.undecided;
    }
  }
  return counts;
}

class NullRuns : public testing::TestWithParam<double> {};

// No change and no allowance: the hardest case of a change within the allowance.
TEST_P(NullRuns, AtMostOneOfAHundredIsAFalseAlarm) {
  EXPECT_LE(Judge(GetParam(), 200, 0, 0, 1000).failed, 10) << "rho " << GetParam();
}

// A real drop just as large as what is allowed is no failure either.
TEST_P(NullRuns, ADropOfExactlyTheAllowanceIsNoAlarm) {
  EXPECT_LE(Judge(GetParam(), 100, 0.01, 0.01, 300).failed, 3) << "rho " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Rho, NullRuns, testing::Values(0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95),
                         [](const auto& instance) {
                           return std::to_string(std::lround(instance.param * 100));
                         });

TEST(Statistics, FindsADropOfThreePercentInAHundredIndependentSteps) {
  EXPECT_GE(Judge(0, 100, 0.03, 0.01, 1000).failed, 950);
}

TEST(Statistics, PassesRunsThatAreAlike) { EXPECT_GE(Judge(0, 100, 0, 0.02, 200).passed, 190); }

TEST(Statistics, FewRunsRaiseNoFalseAlarms) {
  EXPECT_LE(Judge(0.5, 60, 0, 0, 1000, 3).failed, 10);
  EXPECT_LE(Judge(0.5, 60, 0, 0, 300, 6).failed, 3);
}

// 25 steps of correlation time 9 are no nine independent samples.
TEST(Statistics, CorrelatedStepsAreTooFewAndSayWhatTheyCouldShow) {
  std::mt19937_64 random(7);
  const std::vector<Series> before = {Steps(random, 100, 1, 0.8)};
  const std::vector<Series> after = {Steps(random, 100, 0.97, 0.8)};
  const Change change = Compare(before, after, false, kConfidence);
  EXPECT_FALSE(change.has_enough);
  EXPECT_GT(change.block_steps, 11u);
  // Standard error of a median of 100 such steps: 1.2533 x 2 % x sqrt(9 / 100) = 0.75 %, of a
  // difference 1.06 %; (2.576 + 1.645) of those are 4.5 %.
  EXPECT_GT(change.detectable, 0.02);
  EXPECT_LT(change.detectable, 0.09);
}

// What is called detectable is detected: 19 of 20 times at that drop, with independent steps.
TEST(Statistics, DetectableDropsAreDetected) {
  std::mt19937_64 random(11);
  const std::vector<Series> before = {Steps(random, 100, 1, 0)};
  const std::vector<Series> after = {Steps(random, 100, 1, 0)};
  const double detectable = 0.01 + Compare(before, after, false, kConfidence).detectable;
  EXPECT_GE(Judge(0, 100, detectable * 1.05, 0.01, 300).failed, 270) << detectable;
}

// Mann and Whitney (1947), Annals of Mathematical Statistics 18, table I: P(U <= u).
TEST(MannWhitney, AgreesWithThePublishedTable) {
  const auto probability = [](size_t n, size_t m, size_t u) {
    // n values of which some lie above the m others so that U = u: fill from the top.
    Series b;
    for (size_t i = 0; i < m; ++i) b.push_back(static_cast<double>(10 * (i + 1)));
    Series a;
    size_t left = u;
    for (size_t i = 0; i < n; ++i) {
      const size_t above = std::min(left, m);
      left -= above;
      a.push_back(static_cast<double>(10 * above + 5) + static_cast<double>(i) * 0.01);
    }
    return MannWhitneyBelow(a, b);
  };
  EXPECT_NEAR(probability(3, 3, 0), 0.050, 0.0005);
  EXPECT_NEAR(probability(3, 3, 4), 0.500, 0.0005);
  EXPECT_NEAR(probability(4, 4, 0), 0.014, 0.0005);
  EXPECT_NEAR(probability(4, 4, 5), 0.243, 0.0005);
  EXPECT_NEAR(probability(5, 5, 4), 0.048, 0.0005);
  EXPECT_NEAR(probability(6, 6, 7), 0.047, 0.0005);
  EXPECT_NEAR(probability(8, 8, 13), 0.025, 0.0005);
}

// All ways to deal out the ranks, counted one by one.
TEST(MannWhitney, AgreesWithBruteForce) {
  const Series a = {1.5, 2.5, 6.5, 3.2};
  const Series b = {2, 4, 5, 7, 8, 9};
  double observed = 0;
  for (const double x : a) {
    for (const double y : b) observed += x > y;
  }
  int below = 0;
  int all = 0;
  for (unsigned mask = 0; mask < 1u << 10; ++mask) {
    if (__builtin_popcount(mask) != 4) continue;
    int u = 0;
    for (unsigned i = 0; i < 10; ++i) {
      for (unsigned j = 0; j < i; ++j) u += (mask >> i & 1) == 1 && (mask >> j & 1) == 0;
    }
    ++all;
    below += u <= observed;
  }
  EXPECT_NEAR(MannWhitneyBelow(a, b), static_cast<double>(below) / all, 1e-12);
}

TEST(MannWhitney, TiesAndEqualSamplesAreNoEvidence) {
  EXPECT_GE(MannWhitneyBelow(Series(20, 1.0), Series(20, 1.0)), 0.5);
  EXPECT_LT(MannWhitneyBelow(Series(20, 1.0), Series(20, 2.0)), 1e-6);
}

// NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.2, upper critical values.
TEST(Quantiles, AgreeWithPublishedTables) {
  EXPECT_NEAR(NormalQuantile(0.975), 1.95996, 1e-4);
  EXPECT_NEAR(NormalQuantile(0.995), 2.57583, 1e-4);
  EXPECT_NEAR(StudentQuantile(0.975, 1), 12.706, 0.01);
  EXPECT_NEAR(StudentQuantile(0.995, 2), 9.925, 0.01);
  EXPECT_NEAR(StudentQuantile(0.995, 4), 4.604, 0.05);
  EXPECT_NEAR(StudentQuantile(0.995, 8), 3.355, 0.01);
  EXPECT_NEAR(StudentQuantile(0.975, 30), 2.042, 0.001);
}

TEST(Blocks, AreAsLongAsStepsAreAlike) {
  std::mt19937_64 random(3);
  const std::vector<Series> independent = {Steps(random, 400, 1, 0)};
  EXPECT_LE(BlockLength(independent), 4u);
  const std::vector<Series> alike = {Steps(random, 2000, 1, 0.8)};
  // Three correlation times of (1 + 0.8) / (1 - 0.8) = 9.
  EXPECT_NEAR(static_cast<double>(BlockLength(alike)), 27, 8);
  EXPECT_EQ(BlockMedians({1, 2, 3, 10, 20, 30, 5}, 3), (Series{2, 20}));
}

TEST(Blocks, OutliersAreCounted) {
  Series steps(50, 1.0);
  for (size_t i = 0; i < steps.size(); ++i) steps[i] += 0.001 * static_cast<double>(i % 5);
  EXPECT_EQ(CountOutliers(steps), 0u);
  steps[7] = 9;
  steps[30] = 0;
  EXPECT_EQ(CountOutliers(steps), 2u);
}

}  // namespace
}  // namespace mfutrace::gate
