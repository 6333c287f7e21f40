// Counts calls that get no record of their own, per (signature, device, flags): the ring was full,
// the file had reached its limit, or there is no ring. Totals of a trace stay exact by it.
//
// Any thread adds, the flusher takes. Valid when zeroed; one mapping, made at the first use.
#pragma once

#include <atomic>
#include <cstdint>

#include "interpose/lock.h"

namespace mfutrace::interpose {

class Tally {
 public:
  void Add(uint32_t signature, int32_t device, uint32_t flags, uint64_t calls = 1);
  // False where Add would have to forget the signature: there is no room.
  bool TryAdd(uint32_t signature, int32_t device, uint32_t flags, uint64_t calls = 1);

  // Calls `take(signature, device, flags, calls)` for every count since the last time, and zeroes
  // it.
  template <typename Take>
  void TakeAll(Take take) {
    Cell* cells = cells_.load(std::memory_order_acquire);
    if (cells == nullptr) return;
    for (uint32_t i = 0; i < kCells; ++i) {
      const uint64_t key = cells[i].key.load(std::memory_order_acquire);
      if (key == 0) continue;
      const uint64_t calls = cells[i].calls.exchange(0, std::memory_order_relaxed);
      if (calls == 0) continue;
      take(static_cast<uint32_t>(key >> 20), static_cast<int32_t>((key >> 9) & 0x3ff) - 1,
           static_cast<uint32_t>((key >> 1) & 0xff), calls);
    }
    const uint64_t rest = overflow_.exchange(0, std::memory_order_relaxed);
    if (rest != 0) take(uint32_t{0}, int32_t{-1}, uint32_t{0}, rest);
  }
  bool is_used() const {
    return cells_.load(std::memory_order_relaxed) != nullptr ||
           overflow_.load(std::memory_order_relaxed) != 0;
  }

 private:
  // The key packs signature, device and flags (tally.cc) and is never 0.
  struct Cell {
    std::atomic<uint64_t> key;
    std::atomic<uint64_t> calls;
  };
  static constexpr uint32_t kCells = 1u << 14;

  Lock lock_;
  std::atomic<Cell*> cells_{nullptr};
  std::atomic<uint64_t> overflow_{0};  // signature unknown: the table is full or has no memory
};

}  // namespace mfutrace::interpose
