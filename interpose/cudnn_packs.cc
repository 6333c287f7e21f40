// See cudnn_packs.h. Entries are taken by compare-and-swap and guarded each by a flag that nobody
// waits for: who finds it taken does without.
#include "interpose/cudnn_packs.h"

#include <atomic>
#include <cstring>

#include "interpose/memory.h"

namespace mfutrace::interpose {
namespace {

constexpr uint32_t kEntries = 256;  // a power of two
constexpr uint32_t kProbes = 4;

// CUDNN_ATTR_VARIANT_PACK_...: cudnn_graph.h.
constexpr int kUniqueIds = 1000;
constexpr int kDataPointers = 1001;
constexpr int kOverrideUniqueIds = 1010;
constexpr int kOverrideShapes = 1011;

struct Entry {
  std::atomic<const void*> handle;
  std::atomic<bool> is_busy;
  CudnnPack pack;
};

constinit std::atomic<Entry*> g_entries{nullptr};
constinit std::atomic<bool> g_replaces_shapes{false};

Entry* Entries() {
  Entry* entries = g_entries.load(std::memory_order_acquire);
  if (entries != nullptr) return entries;
  auto* made = static_cast<Entry*>(MapPages(sizeof(Entry) * kEntries));
  if (made == nullptr) return nullptr;
  if (g_entries.compare_exchange_strong(entries, made, std::memory_order_acq_rel)) return made;
  UnmapPages(made, sizeof(Entry) * kEntries);
  return entries;
}

uint32_t HomeOf(const void* handle) {
  const auto bits = reinterpret_cast<uintptr_t>(handle) * 0x9e3779b97f4a7c15u;
  return static_cast<uint32_t>(bits >> 40);
}

Entry* Find(const void* handle) {
  Entry* entries = g_entries.load(std::memory_order_acquire);
  for (uint32_t i = 0; entries != nullptr && i < kProbes; ++i) {
    Entry* entry = &entries[(HomeOf(handle) + i) % kEntries];
    if (entry->handle.load(std::memory_order_acquire) == handle) return entry;
  }
  return nullptr;
}

// The entry of a handle, made if there is none; an old one gives way.
Entry* Claim(const void* handle) {
  Entry* found = Find(handle);
  if (found != nullptr) return found;
  Entry* entries = Entries();
  if (entries == nullptr) return nullptr;
  Entry* entry = nullptr;
  for (uint32_t i = 0; i < kProbes; ++i) {
    entry = &entries[(HomeOf(handle) + i) % kEntries];
    if (entry->handle.load(std::memory_order_relaxed) == nullptr) break;
  }
  if (entry->is_busy.exchange(true, std::memory_order_acquire)) return nullptr;
  entry->pack.uid_count = 0;
  entry->pack.pointer_count = 0;
  entry->pack.override_count = 0;
  entry->pack.is_unreadable = false;
  entry->handle.store(handle, std::memory_order_release);
  entry->is_busy.store(false, std::memory_order_release);
  return entry;
}

template <typename Value>
bool Copy(Value* values, uint32_t capacity, int64_t count, const void* data, uint32_t* copied) {
  if (data == nullptr || count < 0 || count > int64_t{capacity}) return false;
  std::memcpy(values, data, static_cast<size_t>(count) * sizeof(Value));
  *copied = static_cast<uint32_t>(count);
  return true;
}

struct VectorParts {
  uintptr_t begin;
  uintptr_t end;
  uintptr_t storage_end;

  bool IsSound(size_t element_bytes, size_t most) const {
    return begin <= end && end <= storage_end && begin % alignof(int64_t) == 0 &&
           (end - begin) % element_bytes == 0 && (end - begin) / element_bytes <= most &&
           (begin != 0 || end == 0);
  }
};

}  // namespace

const void* CudnnPack::Find(int64_t uid) const {
  // Both were set, to lists of one length, or nothing is known.
  for (uint32_t i = 0; uid_count == pointer_count && i < uid_count; ++i) {
    if (uids[i] == uid) return pointers[i];
  }
  return nullptr;
}

bool ReadNestedVector(const void* vector, CudnnPack::Shape* shapes, uint32_t capacity,
                      uint32_t* count) {
  VectorParts outer;
  if (vector == nullptr) return false;
  std::memcpy(&outer, vector, sizeof outer);
  if (!outer.IsSound(sizeof(VectorParts), capacity)) return false;
  *count = 0;
  for (uintptr_t at = outer.begin; at != outer.end; at += sizeof(VectorParts)) {
    VectorParts inner;
    std::memcpy(&inner, reinterpret_cast<const void*>(at), sizeof inner);
    if (!inner.IsSound(sizeof(int64_t), CudnnPack::kMaxRank)) return false;
    CudnnPack::Shape& shape = shapes[(*count)++];
    shape.rank = static_cast<uint32_t>((inner.end - inner.begin) / sizeof(int64_t));
    if (shape.rank == 0) continue;
    std::memcpy(shape.dims, reinterpret_cast<const void*>(inner.begin), inner.end - inner.begin);
  }
  return true;
}

void NoteCudnnPack(const void* pack, int attribute, int64_t count, const void* data) {
  if (attribute < kUniqueIds || attribute > kOverrideShapes) return;
  Entry* entry = Claim(pack);
  if (entry == nullptr || entry->is_busy.exchange(true, std::memory_order_acquire)) return;
  CudnnPack& facts = entry->pack;
  uint32_t shapes = 0;
  // Another thread may have taken the entry for its pack in between.
  if (entry->handle.load(std::memory_order_acquire) != pack) attribute = 0;
  switch (attribute) {
    case kUniqueIds:
      if (!Copy(facts.uids, CudnnPack::kMaxTensors, count, data, &facts.uid_count)) {
        facts.uid_count = 0;
      }
      break;
    case kDataPointers:
      if (!Copy(facts.pointers, CudnnPack::kMaxTensors, count, data, &facts.pointer_count)) {
        facts.pointer_count = 0;
      }
      break;
    case kOverrideUniqueIds:
      if (count > 0) g_replaces_shapes.store(true, std::memory_order_relaxed);
      facts.is_unreadable |=
          !Copy(facts.override_uids, CudnnPack::kMaxOverrides, count, data, &facts.override_count);
      break;
    case kOverrideShapes:
      facts.is_unreadable |=
          count != 1 ||
          !ReadNestedVector(data, facts.override_shapes, CudnnPack::kMaxOverrides, &shapes) ||
          shapes != facts.override_count;
      break;
    default:
      break;
  }
  entry->is_busy.store(false, std::memory_order_release);
}

bool CudnnPacksReplaceShapes() { return g_replaces_shapes.load(std::memory_order_relaxed); }

void ForgetCudnnPack(const void* pack) {
  Entry* entry = Find(pack);
  if (entry != nullptr) entry->handle.store(nullptr, std::memory_order_release);
}

bool FindCudnnPack(const void* pack, CudnnPack* found) {
  Entry* entry = Find(pack);
  if (entry == nullptr || entry->is_busy.exchange(true, std::memory_order_acquire)) return false;
  // Another may have taken the entry in between.
  const bool is_there = entry->handle.load(std::memory_order_acquire) == pack;
  if (is_there) *found = entry->pack;
  entry->is_busy.store(false, std::memory_order_release);
  return is_there;
}

}  // namespace mfutrace::interpose
