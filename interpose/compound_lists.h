// The parts of compound signatures, each distinct list once. Slow path of the thread's cache, so
// adding takes a lock; a list never moves or changes once it can be found, so the flusher reads
// without one.
//
// Valid when zeroed. Memory grows by mmap up to a limit and is never returned.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "interpose/lock.h"
#include "interpose/recorder.h"

namespace mfutrace::interpose {

// Lists with equal fingerprints are taken for equal: 128 bits.
struct ListFingerprint {
  uint64_t low;
  uint64_t high;

  bool operator==(const ListFingerprint& other) const {
    return low == other.low && high == other.high;
  }
};
ListFingerprint FingerprintOf(const CompoundPart* parts, uint32_t count);

class CompoundLists {
 public:
  // False if there is no room for it.
  bool Add(const ListFingerprint& fingerprint, const CompoundPart* parts, uint32_t count);
  // Of a list that was added.
  const CompoundPart* Find(const ListFingerprint& fingerprint) const;

  static constexpr size_t kMaxBytes = size_t{32} << 20;

 private:
  static constexpr uint32_t kBuckets = 4096;
  static constexpr size_t kChunkBytes = size_t{256} << 10;

  struct List {
    ListFingerprint fingerprint;
    const List* next;
    // The parts lie behind it.
    const CompoundPart* parts() const { return reinterpret_cast<const CompoundPart*>(this + 1); }
  };

  Lock lock_;
  std::atomic<std::atomic<const List*>*> buckets_{nullptr};
  char* chunk_ = nullptr;
  size_t chunk_left_ = 0;
  size_t bytes_ = 0;
};

}  // namespace mfutrace::interpose
