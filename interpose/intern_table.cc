// See intern_table.h.
#include "interpose/intern_table.h"

#include "interpose/memory.h"

namespace mfutrace::interpose {

const Facts& InternTable::At(uint32_t id) const {
  const uint32_t index = id - 1;
  return chunks_[index / kChunkEntries].load(std::memory_order_acquire)[index % kChunkEntries];
}

uint32_t InternTable::Intern(const Facts& facts, uint64_t hash) {
  LockGuard guard(lock_);
  const uint32_t size = size_.load(std::memory_order_relaxed);
  // Grown when it is three quarters full; a failed growth leaves a table that still works.
  if (slot_count_ / 4 * 3 <= size && !Grow() && size + 1 >= slot_count_) return 0;
  uint32_t slot = static_cast<uint32_t>(hash) & (slot_count_ - 1);
  while (slots_[slot] != 0) {
    if (At(slots_[slot]) == facts) return slots_[slot];
    slot = (slot + 1) & (slot_count_ - 1);
  }
  if (size == kMaxEntries) return 0;
  std::atomic<Facts*>& chunk = chunks_[size / kChunkEntries];
  if (chunk.load(std::memory_order_relaxed) == nullptr) {
    Facts* memory = static_cast<Facts*>(MapPages(sizeof(Facts) * kChunkEntries));
    if (memory == nullptr) return 0;
    chunk.store(memory, std::memory_order_release);
  }
  chunk.load(std::memory_order_relaxed)[size % kChunkEntries] = facts;
  slots_[slot] = size + 1;
  size_.store(size + 1, std::memory_order_release);
  return size + 1;
}

bool InternTable::Grow() {
  const uint32_t count = slot_count_ == 0 ? 2048 : slot_count_ * 2;
  if (count > kMaxEntries * 2) return false;
  uint32_t* slots = static_cast<uint32_t*>(MapPages(sizeof(uint32_t) * count));
  if (slots == nullptr) return false;
  const uint32_t size = size_.load(std::memory_order_relaxed);
  for (uint32_t id = 1; id <= size; ++id) {
    uint32_t slot = static_cast<uint32_t>(HashOf(At(id))) & (count - 1);
    while (slots[slot] != 0) slot = (slot + 1) & (count - 1);
    slots[slot] = id;
  }
  UnmapPages(slots_, sizeof(uint32_t) * slot_count_);
  slots_ = slots;
  slot_count_ = count;
  return true;
}

}  // namespace mfutrace::interpose
