#include "interpose/tally.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <thread>
#include <tuple>
#include <vector>

namespace mfutrace::interpose {
namespace {

using Key = std::tuple<uint32_t, int32_t, uint32_t>;

void Take(Tally& tally, std::map<Key, uint64_t>& into) {
  tally.TakeAll([&](uint32_t signature, int32_t device, uint32_t flags, uint64_t calls) {
    into[{signature, device, flags}] += calls;
  });
}

TEST(Tally, KeepsSignatureDeviceAndFlagsApart) {
  const auto tally = std::make_unique<Tally>();
  std::map<Key, uint64_t> expected;
  for (uint32_t signature : {0u, 1u, 2u, 1000000u}) {
    for (int32_t device : {-1, 0, 7, 63}) {
      for (uint32_t flags : {0u, 1u, 3u}) {
        const uint64_t calls = 1 + signature % 10 + flags;
        tally->Add(signature, device, flags, calls);
        expected[{signature, device, flags}] = calls;
      }
    }
  }
  std::map<Key, uint64_t> taken;
  Take(*tally, taken);
  EXPECT_EQ(taken, expected);
  std::map<Key, uint64_t> again;
  Take(*tally, again);
  EXPECT_TRUE(again.empty());
}

TEST(Tally, LosesNoCallBetweenThreadsNorWhenItIsFull) {
  const auto tally = std::make_unique<Tally>();
  constexpr uint32_t kThreads = 4;
  constexpr uint32_t kCalls = 100000;
  std::vector<std::thread> threads;
  std::atomic<uint32_t> running{kThreads};
  for (uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&tally, &running, t] {
      for (uint32_t i = 0; i < kCalls; ++i) tally->Add(1 + i % 30000, static_cast<int32_t>(t), 0);
      --running;
    });
  }
  std::map<Key, uint64_t> taken;
  while (running != 0) Take(*tally, taken);
  for (std::thread& thread : threads) thread.join();
  Take(*tally, taken);
  uint64_t total = 0;
  for (const auto& [key, calls] : taken) total += calls;
  EXPECT_EQ(total, uint64_t{kThreads} * kCalls);
  // 120000 distinct keys do not fit: what is over is counted without its signature.
  EXPECT_GT(taken.at({0, -1, 0}), 0u);
}

}  // namespace
}  // namespace mfutrace::interpose
