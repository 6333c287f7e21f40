// One thread's records on their way to the flusher: a bounded queue with one producer (the job's
// thread) and one consumer (the flusher). Neither ever waits for the other; a full ring says so.
//
// Valid when zeroed; Attach gives it its memory.
#pragma once

#include <atomic>
#include <cstdint>

namespace mfutrace::interpose {

struct RingRecord {
  // Beside trace::CallFlags: `sequence` is a copy of sequence lengths (device_lengths.h).
  static constexpr uint32_t kHasLengths = 1u << 8;
  // To be counted only, once its lengths are known.
  static constexpr uint32_t kIsCounted = 1u << 9;

  uint32_t signature;
  uint32_t lane;
  uint32_t pair;      // event pair of gpu_clock.h; 0 = untimed
  uint32_t sequence;  // 0 = not a collective
  int64_t host_begin_ns;
  int64_t host_end_ns;
  uint32_t flags;  // trace::CallFlags, kHasLengths, kIsCounted
  int32_t device;
};
static_assert(sizeof(RingRecord) == 40);

class Ring {
 public:
  // `capacity` is a power of two.
  void Attach(RingRecord* records, uint32_t capacity) {
    records_ = records;
    mask_ = capacity - 1;
  }

  // Producer: where the next record goes, to be filled and then published; nullptr if the ring is
  // full.
  RingRecord* Claim() {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    // The consumer's index is read only when the last known one says "half full": the steady path
    // touches no cache line that the flusher writes.
    if (head - known_tail_ > mask_ / 2) {
      known_tail_ = tail_.load(std::memory_order_acquire);
      if (head - known_tail_ > mask_) return nullptr;
    }
    return &records_[head & mask_];
  }
  // True about once per half ring that the consumer lags behind: it should be woken.
  bool Publish() {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    head_.store(head + 1, std::memory_order_release);
    return head - known_tail_ == mask_ / 2 + 1;
  }

  // Consumer: how many records wait, the i-th of them, and giving up the first `count`.
  uint64_t waiting() const {
    return head_.load(std::memory_order_acquire) - tail_.load(std::memory_order_relaxed);
  }
  const RingRecord& Peek(uint64_t i) const {
    return records_[(tail_.load(std::memory_order_relaxed) + i) & mask_];
  }
  void Pop(uint64_t count) {
    tail_.store(tail_.load(std::memory_order_relaxed) + count, std::memory_order_release);
  }

  uint32_t capacity() const { return mask_ + 1; }

 private:
  RingRecord* records_ = nullptr;
  uint32_t mask_ = 0;
  uint64_t known_tail_ = 0;  // producer's copy of tail_
  alignas(64) std::atomic<uint64_t> head_{0};
  alignas(64) std::atomic<uint64_t> tail_{0};
};

}  // namespace mfutrace::interpose
