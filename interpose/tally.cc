// See tally.h.
#include "interpose/tally.h"

#include "interpose/memory.h"

namespace mfutrace::interpose {
namespace {

constexpr uint32_t kMostProbes = 64;

// Bit 0 is always set, so that no key is 0; then flags, device + 1, signature.
uint64_t KeyOf(uint32_t signature, int32_t device, uint32_t flags) {
  return uint64_t{signature} << 20 | (static_cast<uint64_t>(device + 1) & 0x3ff) << 9 |
         uint64_t{flags & 0xff} << 1 | 1;
}

}  // namespace

bool Tally::TryAdd(uint32_t signature, int32_t device, uint32_t flags, uint64_t calls) {
  Cell* cells = cells_.load(std::memory_order_acquire);
  if (cells == nullptr) {
    LockGuard guard(lock_);
    cells = cells_.load(std::memory_order_acquire);
    if (cells == nullptr) {
      cells = static_cast<Cell*>(MapPages(sizeof(Cell) * kCells));
      if (cells != nullptr) cells_.store(cells, std::memory_order_release);
    }
  }
  if (cells != nullptr) {
    const uint64_t key = KeyOf(signature, device, flags);
    uint32_t at = static_cast<uint32_t>((key * 0x9e3779b97f4a7c15) >> 50);
    static_assert(kCells == 1u << 14);  // what the shift by 50 leaves
    for (uint32_t probe = 0; probe < kMostProbes; ++probe) {
      uint64_t there = cells[at].key.load(std::memory_order_acquire);
      if (there == 0 &&
          cells[at].key.compare_exchange_strong(there, key, std::memory_order_acq_rel)) {
        there = key;
      }
      if (there == key) {
        cells[at].calls.fetch_add(calls, std::memory_order_relaxed);
        return true;
      }
      at = (at + 1) & (kCells - 1);
    }
  }
  return false;
}

void Tally::Add(uint32_t signature, int32_t device, uint32_t flags, uint64_t calls) {
  if (!TryAdd(signature, device, flags, calls)) {
    overflow_.fetch_add(calls, std::memory_order_relaxed);
  }
}

}  // namespace mfutrace::interpose
