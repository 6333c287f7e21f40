#include "interpose/intern_table.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace mfutrace::interpose {
namespace {

Facts Numbered(uint64_t n) {
  Facts facts{};
  facts.words[0] = n % 3;
  facts.words[3] = n;
  facts.words[6] = n / 1000;
  return facts;
}

TEST(InternTable, EightThreadsAgreeOnEveryId) {
  constexpr uint64_t kDistinct = 20000;
  constexpr int kThreads = 8;
  const auto table = std::make_unique<InternTable>();
  std::vector<std::vector<uint32_t>> ids(kThreads, std::vector<uint32_t>(kDistinct));
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      // Each from another place, so that every fact is new to somebody and old to others.
      for (uint64_t i = 0; i < kDistinct; ++i) {
        const uint64_t n = (i + static_cast<uint64_t>(t) * 2500) % kDistinct;
        const Facts facts = Numbered(n);
        ids[static_cast<size_t>(t)][n] = table->Intern(facts, HashOf(facts));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<uint32_t> distinct;
  for (uint64_t n = 0; n < kDistinct; ++n) {
    const uint32_t id = ids[0][n];
    for (int t = 1; t < kThreads; ++t) ASSERT_EQ(ids[static_cast<size_t>(t)][n], id);
    ASSERT_TRUE(table->At(id) == Numbered(n));
    distinct.insert(id);
  }
  EXPECT_EQ(distinct.size(), kDistinct);
  EXPECT_EQ(*distinct.begin(), 1u);
  EXPECT_EQ(*distinct.rbegin(), kDistinct);
  EXPECT_EQ(table->size(), kDistinct);
}

TEST(InternTable, FactsThatCollideStayApart) {
  const auto table = std::make_unique<InternTable>();
  const uint32_t a = table->Intern(Numbered(1), 42);
  const uint32_t b = table->Intern(Numbered(2), 42);
  EXPECT_NE(a, b);
  EXPECT_EQ(table->Intern(Numbered(1), 42), a);
  EXPECT_EQ(table->Intern(Numbered(2), 42), b);
}

}  // namespace
}  // namespace mfutrace::interpose
