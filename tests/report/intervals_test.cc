// The sweep against a table of every nanosecond: what brute force says of random works, the sweep
// must say to the nanosecond.
#include "report/analyze/intervals.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <random>
#include <string>

namespace mfutrace::report {
namespace {

Work Make(WorkClass work_class, int64_t begin_ns, int64_t end_ns, uint32_t stream = 0,
          uint32_t communicator = kNoIndex) {
  Work work;
  work.time = {begin_ns, end_ns};
  work.work_class = work_class;
  work.stream = stream;
  work.communicator = communicator;
  return work;
}

// Marks each nanosecond of a small universe and counts.
struct BruteForce {
  BruteForce(const std::vector<Work>& works, uint32_t communicator_count, int64_t begin_ns,
             int64_t end_ns)
      : touched(communicator_count + 1),
        exclusive(communicator_count + 1),
        active_ns(communicator_count + 1),
        share(communicator_count + 1) {
    for (int64_t t = begin_ns; t < end_ns; ++t) {
      bool in_compute = false;
      bool in_copy = false;
      std::vector<bool> active(communicator_count + 1, false);
      for (const Work& work : works) {
        if (t < work.time.begin_ns || t >= work.time.end_ns) continue;
        if (work.work_class == WorkClass::kCompute) in_compute = true;
        if (work.work_class == WorkClass::kCopy) in_copy = true;
        if (work.work_class == WorkClass::kCommunication) {
          active[std::min(work.communicator, communicator_count)] = true;
        }
      }
      uint32_t count = 0;
      for (const bool is_active : active) count += is_active ? 1 : 0;
      state[(in_compute ? 1u : 0u) | (count > 0 ? 2u : 0u) | (in_copy ? 4u : 0u)] += 1;
      for (size_t g = 0; g < active.size(); ++g) {
        if (!active[g]) continue;
        active_ns[g] += 1;
        if (in_compute) continue;
        touched[g] += 1;
        if (count == 1) exclusive[g] += 1;
        share[g] += 1.0 / count;
      }
    }
  }
  std::array<int64_t, 8> state = {};
  std::vector<int64_t> touched;
  std::vector<int64_t> exclusive;
  std::vector<int64_t> active_ns;
  std::vector<double> share;
};

std::vector<Work> RandomWorks(std::mt19937_64& random, size_t count, int64_t universe_ns,
                              uint32_t communicator_count) {
  std::vector<Work> works;
  for (size_t i = 0; i < count; ++i) {
    const auto work_class = static_cast<WorkClass>(random() % 3);
    const auto begin_ns = static_cast<int64_t>(random() % static_cast<uint64_t>(universe_ns));
    // Some of no length, some of negative length, as damaged sources have them.
    const int64_t length_ns = static_cast<int64_t>(random() % 40) - 2;
    uint32_t communicator = kNoIndex;
    if (work_class == WorkClass::kCommunication && random() % 5 != 0) {
      communicator = static_cast<uint32_t>(random() % communicator_count);
    }
    works.push_back(Make(work_class, begin_ns, begin_ns + length_ns,
                         static_cast<uint32_t>(random() % 7), communicator));
  }
  return works;
}

TEST(Intervals, SweepEqualsMarkingEveryNanosecond) {
  std::mt19937_64 random(20240917);
  constexpr uint32_t kCommunicators = 3;
  for (int round = 0; round < 2000; ++round) {
    const int64_t universe_ns = 20 + static_cast<int64_t>(random() % 280);
    const std::vector<Work> works = RandomWorks(random, random() % 40, universe_ns, kCommunicators);
    // Cuts inside the universe, so that works reach over both borders and over inner cuts.
    std::vector<int64_t> cuts = {static_cast<int64_t>(random() % 10)};
    while (cuts.size() < 5) cuts.push_back(cuts.back() + 1 + static_cast<int64_t>(random() % 60));
    const SweepResult sweep = Sweep(works, kCommunicators, cuts);
    ASSERT_EQ(sweep.pieces.size(), cuts.size() - 1);
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      const BruteForce truth(works, kCommunicators, cuts[i], cuts[i + 1]);
      ASSERT_EQ(sweep.pieces[i].ns, truth.state) << "round " << round << " piece " << i;
      ASSERT_TRUE(SumsToWindow(sweep.pieces[i], cuts[i + 1] - cuts[i]));
    }
    const BruteForce truth(works, kCommunicators, cuts.front(), cuts.back());
    ASSERT_EQ(sweep.communicators.size(), kCommunicators + 1);
    int64_t shared_ns = 0;
    for (size_t g = 0; g <= kCommunicators; ++g) {
      const CommunicatorTimes& times = sweep.communicators[g];
      ASSERT_EQ(times.union_ns, truth.active_ns[g]) << "round " << round;
      ASSERT_EQ(times.touch_ns, truth.touched[g]) << "round " << round;
      ASSERT_EQ(times.exclusive_ns, truth.exclusive[g]) << "round " << round;
      // Equal shares, up to the nanoseconds that do not divide: less than one a segment.
      ASSERT_NEAR(static_cast<double>(times.shared_ns), truth.share[g],
                  static_cast<double>(works.size() * 2));
      ASSERT_LE(times.exclusive_ns, times.shared_ns);
      ASSERT_LE(times.shared_ns, times.touch_ns);
      shared_ns += times.shared_ns;
    }
    const int64_t exposed_ns = truth.state[2] + truth.state[6];
    ASSERT_EQ(shared_ns, exposed_ns) << "round " << round;
  }
}

TEST(Intervals, NamedFiguresAreUnionsOfTheirStates) {
  // Compute [0,10), copy [5,20), communication [8,30), one ns each way of ambiguity resolved by
  // half-open.
  const std::vector<Work> works = {Make(WorkClass::kCompute, 0, 10, 0),
                                   Make(WorkClass::kCopy, 5, 20, 1),
                                   Make(WorkClass::kCommunication, 8, 30, 2, 0)};
  const std::vector<int64_t> cuts = {0, 40};
  const SweepResult sweep = Sweep(works, 1, cuts);
  const StateTimes& times = sweep.pieces[0];
  EXPECT_EQ(times.compute_ns(), 10);
  EXPECT_EQ(times.communication_ns(), 22);
  EXPECT_EQ(times.compute_only_ns(), 8);
  EXPECT_EQ(times.overlapped_ns(), 2);
  EXPECT_EQ(times.exposed_ns(), 20);
  EXPECT_EQ(times.mem_only_ns(), 0);
  EXPECT_EQ(times.idle_ns(), 10);
}

TEST(Intervals, ThreeCommunicatorsShareTenNanosecondsWithoutLoss) {
  const std::vector<Work> works = {Make(WorkClass::kCommunication, 0, 10, 0, 0),
                                   Make(WorkClass::kCommunication, 0, 10, 1, 1),
                                   Make(WorkClass::kCommunication, 0, 10, 2, 2)};
  const std::vector<int64_t> cuts = {0, 10};
  const SweepResult sweep = Sweep(works, 3, cuts);
  int64_t sum_ns = 0;
  for (size_t g = 0; g < 3; ++g) {
    EXPECT_GE(sweep.communicators[g].shared_ns, 3);
    EXPECT_LE(sweep.communicators[g].shared_ns, 4);
    EXPECT_EQ(sweep.communicators[g].exclusive_ns, 0);
    EXPECT_EQ(sweep.communicators[g].touch_ns, 10);
    sum_ns += sweep.communicators[g].shared_ns;
  }
  EXPECT_EQ(sum_ns, 10);
}

TEST(Intervals, WorkOutsideTheCutsCountsNowhere) {
  const std::vector<Work> works = {Make(WorkClass::kCompute, -50, -10),
                                   Make(WorkClass::kCompute, 90, 120),
                                   Make(WorkClass::kCommunication, -5, 5, 1, 0)};
  const std::vector<int64_t> cuts = {0, 80};
  const SweepResult sweep = Sweep(works, 1, cuts);
  EXPECT_EQ(sweep.pieces[0].compute_ns(), 0);
  EXPECT_EQ(sweep.pieces[0].exposed_ns(), 5);
  EXPECT_EQ(sweep.communicators[0].union_ns, 5);
  EXPECT_TRUE(SumsToWindow(sweep.pieces[0], 80));
}

TEST(Intervals, ADifferentWindowIsNoticed) {
  StateTimes times;
  times.ns[kInCompute] = 7;
  EXPECT_TRUE(SumsToWindow(times, 7));
  EXPECT_FALSE(SumsToWindow(times, 8));
  times.ns[0] = -1;
  EXPECT_FALSE(SumsToWindow(times, 6));
}

TEST(Intervals, SpeedIsPrinted) {
  // Not asserted: a figure for bench/ and for the curious.
  std::mt19937_64 random(1);
  std::vector<Work> works;
  std::array<int64_t, 6> now_ns = {};
  for (size_t i = 0; i < 1'000'000; ++i) {
    const auto stream = static_cast<uint32_t>(random() % now_ns.size());
    const int64_t begin_ns = now_ns[stream] + static_cast<int64_t>(random() % 2000);
    now_ns[stream] = begin_ns + static_cast<int64_t>(random() % 20000);
    works.push_back(Make(stream == 5 ? WorkClass::kCommunication : WorkClass::kCompute, begin_ns,
                         now_ns[stream], stream, stream == 5 ? 0 : kNoIndex));
  }
  const std::vector<int64_t> cuts = {0, *std::max_element(now_ns.begin(), now_ns.end())};
  const auto start = std::chrono::steady_clock::now();
  const SweepResult sweep = Sweep(works, 1, cuts);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("sweep of %zu works on 6 streams: %.1f ns a work\n", works.size(),
              took.count() * 1e9 / static_cast<double>(works.size()));
  EXPECT_TRUE(SumsToWindow(sweep.pieces[0], cuts[1] - cuts[0]));
}

}  // namespace
}  // namespace mfutrace::report
