#include "interpose/ring.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace mfutrace::interpose {
namespace {

RingRecord Numbered(uint64_t n) {
  RingRecord record{};
  record.host_begin_ns = static_cast<int64_t>(n);
  record.host_end_ns = static_cast<int64_t>(~n);
  record.signature = static_cast<uint32_t>(n * 7);
  return record;
}

enum class Pushed { kYes, kYesAndHalfFull, kFull };

Pushed Push(Ring& ring, const RingRecord& record) {
  RingRecord* slot = ring.Claim();
  if (slot == nullptr) return Pushed::kFull;
  *slot = record;
  return ring.Publish() ? Pushed::kYesAndHalfFull : Pushed::kYes;
}

TEST(Ring, AFullRingRefusesAndKeepsWhatItHas) {
  std::vector<RingRecord> memory(4);
  Ring ring;
  ring.Attach(memory.data(), 4);
  for (uint64_t n = 0; n < 4; ++n) EXPECT_NE(Push(ring, Numbered(n)), Pushed::kFull);
  EXPECT_EQ(Push(ring, Numbered(99)), Pushed::kFull);
  ASSERT_EQ(ring.waiting(), 4u);
  for (uint64_t n = 0; n < 4; ++n) EXPECT_EQ(ring.Peek(n).host_begin_ns, static_cast<int64_t>(n));
  ring.Pop(1);
  EXPECT_NE(Push(ring, Numbered(4)), Pushed::kFull);
  EXPECT_EQ(Push(ring, Numbered(99)), Pushed::kFull);
}

TEST(Ring, SaysHalfFullOnceWhileTheConsumerSleeps) {
  std::vector<RingRecord> memory(64);
  Ring ring;
  ring.Attach(memory.data(), 64);
  int half_full = 0;
  for (uint64_t n = 0; n < 64; ++n) half_full += Push(ring, Numbered(n)) == Pushed::kYesAndHalfFull;
  EXPECT_EQ(half_full, 1);
}

// Every record arrives once, whole and in order, or was refused: over thousands of wraps.
TEST(Ring, LosesNothingBetweenTwoThreads) {
  constexpr uint64_t kRecords = 200'000;
  std::vector<RingRecord> memory(128);
  Ring ring;
  ring.Attach(memory.data(), 128);
  uint64_t refused = 0;
  std::atomic<bool> is_done{false};
  std::thread producer([&] {
    for (uint64_t n = 0; n < kRecords; ++n) {
      if (Push(ring, Numbered(n)) != Pushed::kFull) continue;
      ++refused;
      std::this_thread::yield();
    }
    is_done.store(true, std::memory_order_release);
  });
  uint64_t received = 0;
  int64_t last = -1;
  for (bool was_done = false;;) {
    const uint64_t waiting = ring.waiting();
    for (uint64_t i = 0; i < waiting; ++i) {
      const RingRecord& record = ring.Peek(i);
      ASSERT_GT(record.host_begin_ns, last);
      last = record.host_begin_ns;
      const auto n = static_cast<uint64_t>(last);
      ASSERT_EQ(record.host_end_ns, static_cast<int64_t>(~n));
      ASSERT_EQ(record.signature, static_cast<uint32_t>(n * 7));
      ++received;
    }
    ring.Pop(waiting);
    if (waiting == 0) std::this_thread::yield();
    if (was_done && waiting == 0) break;
    was_done = is_done.load(std::memory_order_acquire);
  }
  producer.join();
  EXPECT_EQ(received + refused, kRecords);
  EXPECT_GT(received, 20u * 128);  // wraps, many times over
}

}  // namespace
}  // namespace mfutrace::interpose
