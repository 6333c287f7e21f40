// What each kind of source may claim about its window, and sums over unlike devices.
#include "report/analyze/split.h"

#include <gtest/gtest.h>

namespace mfutrace::report {
namespace {

StateTimes Example() {
  StateTimes times;
  times.ns = {100, 10, 20, 30, 40, 5, 6, 7};  // idle, C, N, CN, M, CM, NM, CNM
  return times;
}

int64_t PartsOf(const TimeSplit& split) {
  return split.compute_only_ns.value_or(0) + split.overlapped_ns.value_or(0) +
         split.exposed_ns.value_or(0) + split.mem_only_ns.value_or(0) + split.idle_ns.value_or(0) +
         split.unattributed_ns.value_or(0);
}

TEST(Split, AllKernelsKnowIdleAndNothingIsUnattributed) {
  const TimeSplit split = SplitOf(Example(), TimeKnowledge::kAllKernels);
  EXPECT_EQ(split.window_ns, 218);
  EXPECT_EQ(split.compute_ns, 52);
  EXPECT_EQ(split.comm_ns, 63);
  EXPECT_EQ(split.compute_only_ns, 15);
  EXPECT_EQ(split.overlapped_ns, 37);
  EXPECT_EQ(split.exposed_ns, 26);
  EXPECT_EQ(split.mem_only_ns, 40);
  EXPECT_EQ(split.idle_ns, 100);
  EXPECT_FALSE(split.unattributed_ns.has_value());
  EXPECT_EQ(PartsOf(split), split.window_ns);
}

TEST(Split, BracketsLeaveTheRestUnattributed) {
  const TimeSplit split = SplitOf(Example(), TimeKnowledge::kBrackets);
  EXPECT_FALSE(split.idle_ns.has_value());
  EXPECT_FALSE(split.mem_only_ns.has_value());
  EXPECT_EQ(split.unattributed_ns, 140);
  EXPECT_EQ(PartsOf(split), split.window_ns);
}

TEST(Split, WithoutDeviceTimesOnlyTheWindowIsKnown) {
  const TimeSplit split = SplitOf(Example(), TimeKnowledge::kNothing);
  EXPECT_EQ(split.window_ns, 218);
  EXPECT_FALSE(split.compute_ns.has_value());
  EXPECT_FALSE(split.exposed_ns.has_value());
  EXPECT_FALSE(split.idle_ns.has_value());
  EXPECT_FALSE(split.unattributed_ns.has_value());
}

TEST(Split, SumLeavesOutDevicesWithoutTimesAndStillSumsToItsWindow) {
  SplitSum sum;
  sum.Add(SplitOf(Example(), TimeKnowledge::kBrackets));
  sum.Add(SplitOfWindow(1000));
  EXPECT_EQ(sum.total().window_ns, 218);
  EXPECT_EQ(PartsOf(sum.total()), 218);
  EXPECT_EQ(sum.devices_without_times(), 1u);
}

TEST(Split, SumOfUntimedDevicesIsTheirWindows) {
  SplitSum sum;
  sum.Add(SplitOfWindow(1000));
  sum.Add(SplitOfWindow(500));
  EXPECT_EQ(sum.total().window_ns, 1500);
  EXPECT_FALSE(sum.total().compute_ns.has_value());
}

TEST(Split, IdleIsForgottenNextToADeviceThatCannotKnowIt) {
  for (const bool all_first : {true, false}) {
    SplitSum sum;
    sum.Add(SplitOf(Example(), all_first ? TimeKnowledge::kAllKernels : TimeKnowledge::kBrackets));
    sum.Add(SplitOf(Example(), all_first ? TimeKnowledge::kBrackets : TimeKnowledge::kAllKernels));
    EXPECT_FALSE(sum.total().idle_ns.has_value());
    EXPECT_FALSE(sum.total().mem_only_ns.has_value());
    EXPECT_EQ(sum.total().unattributed_ns, 280);
    EXPECT_EQ(PartsOf(sum.total()), 436);
  }
}

}  // namespace
}  // namespace mfutrace::report
