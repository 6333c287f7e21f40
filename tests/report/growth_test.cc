// Growth of KV caches between steps, against batches that change as a server's do and know the
// truth: nothing said may be wrong, and most must be said.
#include "report/analyze/growth.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace mfutrace::report {
namespace {

using Runs = std::vector<shapes::SequenceRun>;

shapes::SequenceRun Sequence(uint32_t cached, uint32_t queries) {
  return {queries, cached + queries, 1};
}

TEST(Growth, TheSameSequencesMatchByPlace) {
  const auto growths =
      GrowthOf(Runs{Sequence(10, 4), Sequence(20, 4)}, Runs{Sequence(11, 4), Sequence(24, 4)}, {});
  EXPECT_EQ(growths, (std::vector<std::optional<uint32_t>>{1, 4}));
}

TEST(Growth, RunsOfEqualSequencesAreSeveral) {
  const auto growths = GrowthOf(Runs{{3, 13, 2}}, Runs{Sequence(11, 3), Sequence(13, 3)}, {});
  EXPECT_EQ(growths, (std::vector<std::optional<uint32_t>>{1, 3}));
}

TEST(Growth, WhoLeftHasNoGrowth) {
  const auto growths = GrowthOf(Runs{Sequence(10, 4), Sequence(200, 4), Sequence(20, 4)},
                                Runs{Sequence(12, 4), Sequence(21, 4)}, {});
  EXPECT_EQ(growths, (std::vector<std::optional<uint32_t>>{2, std::nullopt, 1}));
}

// 12 may be 10 and two more, or 11 and one.
TEST(Growth, TwoReadingsAreNone) {
  const auto growths = GrowthOf(Runs{Sequence(10, 4), Sequence(11, 4)}, Runs{Sequence(12, 4)}, {});
  EXPECT_EQ(growths, (std::vector<std::optional<uint32_t>>{std::nullopt, std::nullopt}));
}

TEST(Growth, ANewSequenceIsNoGrowth) {
  const auto growths = GrowthOf(Runs{Sequence(10, 4)}, Runs{Sequence(12, 4), Sequence(90, 4)},
                                std::vector<uint32_t>{90});
  EXPECT_EQ(growths, (std::vector<std::optional<uint32_t>>{2}));
  // The one left may be the new one, grown or not.
  EXPECT_EQ(GrowthOf(Runs{Sequence(10, 4)}, Runs{Sequence(12, 4)}, std::vector<uint32_t>{12}),
            (std::vector<std::optional<uint32_t>>{std::nullopt}));
}

TEST(Growth, AMovedSequenceIsFoundWhereItCanBeNoOther) {
  const auto growths = GrowthOf(Runs{Sequence(10, 4), Sequence(300, 4), Sequence(50, 4)},
                                Runs{Sequence(53, 4), Sequence(11, 4)}, {});
  EXPECT_EQ(growths, (std::vector<std::optional<uint32_t>>{1, std::nullopt, 3}));
}

TEST(Growth, NothingSaidIsWrong) {
  std::mt19937 random(7);
  const auto below = [&](uint32_t limit) { return static_cast<uint32_t>(random() % limit); };
  size_t told = 0;
  size_t could_be_told = 0;
  for (int step = 0; step < 20'000; ++step) {
    const uint32_t queries = 2 + below(5);
    const uint32_t range = below(4) == 0 ? 40 : 4000;  // crowded, or apart
    Runs now, next;
    std::vector<uint32_t> entered;
    std::vector<std::optional<uint32_t>> truth;
    for (uint32_t i = 0; i < 1 + below(12); ++i) {
      const uint32_t cached = 1 + below(range);
      now.push_back(Sequence(cached, queries));
      truth.emplace_back();
      if (below(10) == 0) continue;  // it leaves
      truth.back() = 1 + below(queries);
      next.push_back(Sequence(cached + *truth.back(), queries));
    }
    for (uint32_t i = below(4) == 0 ? below(3) : 0; i > 0; --i) {
      entered.push_back(1 + below(range));
      next.push_back(Sequence(entered.back(), queries));
    }
    const auto growths = GrowthOf(now, next, entered);
    ASSERT_EQ(growths.size(), truth.size());
    // Sums are what is used; equal ones in another order are no error.
    uint64_t said = 0, known = 0, all = 0, all_known = 0;
    for (size_t i = 0; i < truth.size(); ++i) {
      if (growths[i].has_value()) said += *growths[i], ++known;
      if (truth[i].has_value()) all += *truth[i], ++all_known;
    }
    could_be_told += all_known;
    if (known == 0) continue;
    told += known;
    ASSERT_EQ(known, all_known) << "step " << step;
    ASSERT_EQ(said, all) << "step " << step;
  }
  EXPECT_GT(told * 100, could_be_told * 70);
}

}  // namespace
}  // namespace mfutrace::report
