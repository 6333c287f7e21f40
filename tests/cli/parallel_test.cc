// Work on many files at once, and what the bar shows of it.
#include "cli/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <vector>

namespace mfutrace::cli {
namespace {

TEST(ForEachInParallel, DoesEveryPieceOnceWhateverTheThreads) {
  for (const size_t threads : {0, 1, 2, 7, 100}) {
    std::vector<std::atomic<int>> times(50);
    size_t most = 0;
    ForEachInParallel(
        times.size(), threads, [&](size_t i) { ++times[i]; },
        [&](size_t done) { most = std::max(most, done); });
    for (const std::atomic<int>& one : times) EXPECT_EQ(one, 1);
    EXPECT_LE(most, times.size());
  }
  ForEachInParallel(
      0, 4, [](size_t) { FAIL(); }, [](size_t) {});
}

TEST(ForEachInParallel, SeveralAreAtWorkAtOnceAndTheCallerHearsOfIt) {
  std::atomic<int> waiting{0};
  size_t heard = 0;
  // Each of two pieces waits for the other: one thread alone would never end.
  ForEachInParallel(
      3, 2,
      [&](size_t i) {
        if (i > 1) return;
        ++waiting;
        while (waiting < 2) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds(i == 0 ? 0 : 500));
      },
      [&](size_t done) { heard = std::max(heard, done); });
  EXPECT_GE(heard, 1u);
}

TEST(ProgressBar, SaysNothingBeforeTwoSecondsAreOver) {
  EXPECT_EQ(ProgressBar::Line("reading", 1, 4, 1999), "");
  EXPECT_EQ(ProgressBar::Line("reading", 1, 4, 2000),
            "reading [#######.......................] 1 of 4 files, 2 s");
  EXPECT_EQ(ProgressBar::Line("reading", 4, 4, 61'500),
            "reading [##############################] 4 of 4 files, 61 s");
  EXPECT_EQ(ProgressBar::Line("reading", 0, 0, 9000), "");
}

}  // namespace
}  // namespace mfutrace::cli
