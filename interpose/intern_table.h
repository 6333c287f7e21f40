// Gives equal facts (a signature, a lane) one small id. Slow path of a per-thread cache, so it
// takes a lock; ids are dense from 1 and entries never move, so the flusher reads them without one.
//
// Valid when zeroed. Memory grows by mmap and is never returned.
#pragma once

#include <atomic>
#include <cstdint>

#include "interpose/lock.h"

namespace mfutrace::interpose {

// Facts padded with zeros; equal facts are equal bytes.
struct Facts {
  uint64_t words[8];

  bool operator==(const Facts& other) const {
    uint64_t difference = 0;
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) difference |= words[i] ^ other.words[i];
    return difference == 0;
  }
};

// Products of single words are independent of each other and overlap in the pipeline; the odd
// constants are digits of the golden ratio and of xxHash's primes, any odd numbers would do.
inline uint64_t HashOf(const Facts& facts) {
  constexpr uint64_t kFactors[8] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb,
                                    0xd6e8feb86659fd93, 0xa0761d6478bd642f, 0xe7037ed1a0b428db,
                                    0x8ebc6af09c88c6e3, 0x589965cc75374cc3};
  uint64_t sum = 0;
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) sum += (facts.words[i] ^ (facts.words[i] >> 32)) * kFactors[i];
  sum = (sum ^ (sum >> 32)) * 0xd6e8feb86659fd93;
  return sum ^ (sum >> 32);
}

class InternTable {
 public:
  // The id of these facts; 0 when the table is full or there is no memory.
  uint32_t Intern(const Facts& facts, uint64_t hash);

  // Ids 1 to size() are readable, from any thread.
  uint32_t size() const { return size_.load(std::memory_order_acquire); }
  const Facts& At(uint32_t id) const;

  static constexpr uint32_t kMaxEntries = 1u << 20;

 private:
  static constexpr uint32_t kChunkEntries = 1024;

  bool Grow();

  Lock lock_;
  std::atomic<uint32_t> size_{0};
  uint32_t slot_count_ = 0;    // power of two
  uint32_t* slots_ = nullptr;  // ids, open addressing; 0 = empty
  std::atomic<Facts*> chunks_[kMaxEntries / kChunkEntries] = {};
};

}  // namespace mfutrace::interpose
