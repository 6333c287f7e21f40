// See compound_lists.h.
#include "interpose/compound_lists.h"

#include <cstring>

#include "interpose/memory.h"

namespace mfutrace::interpose {
namespace {

// Odd constants of xxHash and of the golden ratio; any odd numbers would do.
uint64_t Mix(uint64_t sum, uint64_t value, uint64_t factor) {
  sum = (sum ^ value) * factor;
  return sum ^ (sum >> 29);
}

}  // namespace

ListFingerprint FingerprintOf(const CompoundPart* parts, uint32_t count) {
  ListFingerprint fingerprint = {count, ~uint64_t{count}};
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t what = parts[i].signature | uint64_t{parts[i].condition} << 32;
    fingerprint.low = Mix(fingerprint.low, what, 0x9e3779b97f4a7c15);
    fingerprint.low = Mix(fingerprint.low, parts[i].count, 0xbf58476d1ce4e5b9);
    fingerprint.high = Mix(fingerprint.high, parts[i].count, 0x94d049bb133111eb);
    fingerprint.high = Mix(fingerprint.high, what, 0xd6e8feb86659fd93);
  }
  return fingerprint;
}

const CompoundPart* CompoundLists::Find(const ListFingerprint& fingerprint) const {
  const auto* buckets = buckets_.load(std::memory_order_acquire);
  if (buckets == nullptr) return nullptr;
  const List* list = buckets[fingerprint.low % kBuckets].load(std::memory_order_acquire);
  for (; list != nullptr; list = list->next) {
    if (list->fingerprint == fingerprint) return list->parts();
  }
  return nullptr;
}

bool CompoundLists::Add(const ListFingerprint& fingerprint, const CompoundPart* parts,
                        uint32_t count) {
  LockGuard guard(lock_);
  if (Find(fingerprint) != nullptr) return true;
  auto* buckets = buckets_.load(std::memory_order_relaxed);
  if (buckets == nullptr) {
    void* memory = MapPages(sizeof(std::atomic<const List*>) * kBuckets);
    if (memory == nullptr) return false;
    buckets = static_cast<std::atomic<const List*>*>(memory);
    buckets_.store(buckets, std::memory_order_release);
  }
  const size_t bytes = sizeof(List) + sizeof(CompoundPart) * count;
  if (bytes > chunk_left_) {
    // What is left of the old chunk is wasted: a list lies in one piece.
    const size_t wanted = bytes > kChunkBytes ? bytes : kChunkBytes;
    if (wanted > kMaxBytes - bytes_) return false;
    void* memory = MapPages(wanted);
    if (memory == nullptr) return false;
    chunk_ = static_cast<char*>(memory);
    chunk_left_ = wanted;
    bytes_ += wanted;
  }
  auto* list = reinterpret_cast<List*>(static_cast<void*>(chunk_));
  chunk_ += bytes;
  chunk_left_ -= bytes;
  list->fingerprint = fingerprint;
  if (count > 0) std::memcpy(list + 1, parts, sizeof(CompoundPart) * count);
  std::atomic<const List*>& bucket = buckets[fingerprint.low % kBuckets];
  list->next = bucket.load(std::memory_order_relaxed);
  bucket.store(list, std::memory_order_release);
  return true;
}

}  // namespace mfutrace::interpose
