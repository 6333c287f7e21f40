// When windows open, and how the governor shortens them.
#include "interpose/windows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace mfutrace::interpose {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr SampleChoice kDefault = {60 * kSecond, 10 * kSecond, 60 * kSecond};

TEST(WindowPlan, TheFirstMinuteIsAllTimed) {
  for (const int64_t phase : {0, 5, 30}) {
    const WindowPlan plan = PlanAt(kDefault, kDefault.on_ns, phase * kSecond, 20 * kSecond);
    EXPECT_TRUE(plan.is_open);
    EXPECT_EQ(plan.until_ns, 40 * kSecond);
  }
}

TEST(WindowPlan, ThenTheWallClockDecides) {
  const auto at = [](int64_t realtime_s) {
    return PlanAt(kDefault, kDefault.on_ns, realtime_s * kSecond, 1000 * kSecond);
  };
  EXPECT_TRUE(at(1'700'000'040).is_open);  // 60 divides 1 700 000 040
  EXPECT_EQ(at(1'700'000'040).until_ns, 10 * kSecond);
  EXPECT_TRUE(at(1'700'000'049).is_open);
  EXPECT_EQ(at(1'700'000'049).until_ns, kSecond);
  EXPECT_FALSE(at(1'700'000'050).is_open);
  EXPECT_EQ(at(1'700'000'050).until_ns, 50 * kSecond);
  EXPECT_FALSE(at(1'700'000'099).is_open);
  EXPECT_EQ(at(1'700'000'099).until_ns, kSecond);
}

TEST(WindowPlan, AllAndNoneNeverChange) {
  const WindowPlan all = PlanAt({INT64_MAX, 0, 0}, 0, 1, INT64_MAX - 1);
  EXPECT_TRUE(all.is_open);
  EXPECT_EQ(all.until_ns, INT64_MAX);
  const WindowPlan none = PlanAt({0, 0, 0}, 0, 1, 0);
  EXPECT_FALSE(none.is_open);
  EXPECT_EQ(none.until_ns, INT64_MAX);
}

// Paces of a job that loses `cost` while timed, each comparison off by a random factor.
Governor After(int comparisons, double cost, double noise, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> factor(1, noise);
  Governor governor{};
  for (int i = 0; i < comparisons; ++i) {
    const double untimed = 1000 * factor(random);
    const double timed = 1000 * (1 - cost) * factor(random);
    governor.Add(static_cast<uint64_t>(timed * 10), 10 * kSecond,
                 static_cast<uint64_t>(untimed * 50), 50 * kSecond);
  }
  return governor;
}

TEST(Governor, SaysNothingBeforeItHasCompared) {
  Governor governor{};
  EXPECT_EQ(governor.Cost(), 0);
  governor.Add(1, kSecond, 1000, kSecond);
  EXPECT_EQ(governor.Cost(), 0);
  EXPECT_EQ(governor.Allowed(kDefault, 0.005), kDefault.on_ns);
}

TEST(Governor, TheMedianIsTheCost) {
  // 1 % to 5 % lost, one of them with a checkpoint in it.
  Governor governor{};
  for (const uint64_t timed : {9900u, 9800u, 2000u, 9600u, 9700u}) {
    governor.Add(timed, 10 * kSecond, 50000, 50 * kSecond);
  }
  EXPECT_NEAR(governor.Cost(), 0.03, 1e-9);
}

TEST(Governor, WhatCostsLittleStaysAsAskedFor) {
  EXPECT_EQ(After(15, 0, 0.01, 1).Allowed(kDefault, 0.005), kDefault.on_ns);
  EXPECT_EQ(After(15, 0.02, 0, 2).Allowed(kDefault, 0.005), kDefault.on_ns);
}

TEST(Governor, WindowsAreAsLongAsTheBudgetAllows) {
  // A fifth of the pace lost: 0.5 % of it is 2.5 % of the time.
  const int64_t allowed_ns = After(15, 0.2, 0, 3).Allowed(kDefault, 0.005);
  EXPECT_NEAR(static_cast<double>(allowed_ns), 1.5e9, 1e6);
  // The cost of such windows is the budget.
  EXPECT_NEAR(0.2 * static_cast<double>(allowed_ns) / (60.0 * kSecond), 0.005, 1e-5);
  EXPECT_EQ(After(15, 0.2, 0, 3).Allowed(kDefault, -1), kDefault.on_ns);
  EXPECT_EQ(After(15, 0.9, 0, 3).Allowed(kDefault, 0), kDefault.on_ns / 100);
}

TEST(Governor, NoiseChangesLittle) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    EXPECT_NEAR(After(15, 0.2, 0.02, seed).Cost(), 0.2, 0.04) << seed;
  }
}

TEST(Governor, AJobThatStoodStillIsNotCompared) {
  Governor governor{};
  for (int i = 0; i < 10; ++i) governor.Add(0, kSecond, 1000, kSecond);
  for (int i = 0; i < 10; ++i) governor.Add(1000, kSecond, 0, kSecond);
  EXPECT_EQ(governor.count, 0u);
}

}  // namespace
}  // namespace mfutrace::interpose
