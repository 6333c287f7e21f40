// See cudnn_plans.h. A plan tells its operation graph as JSON text, also one that was deserialised
// (CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, what cudnn-frontend's serialize() uses): 0.3 to
// 0.5 ms for attention's 70 to 125 KB, once. Libraries too old for that: cudnn_track.h.
#include <cudnn.h>
#include <unistd.h>

#include <atomic>

#include "interpose/cudnn_json.h"
#include "interpose/cudnn_plans.h"
#include "interpose/cudnn_track.h"
#include "interpose/lock.h"
#include "interpose/memory.h"

namespace mfutrace::interpose {
namespace {

constexpr uint32_t kCapacity = 16384;  // a power of two; plans at a time
constexpr size_t kMaxTextBytes = size_t{64} << 20;

struct Slot {
  std::atomic<const void*> plan;
  const CudnnWork* work;  // written before the plan; nullptr: not readable
};

struct Table {
  Slot slots[kCapacity];
  uint32_t used;  // slots that hold a plan or a tombstone
  uint32_t live;  // slots that hold a plan
  // Memory of works that are gone, by their number of operations, and what is left of the last
  // chunk.
  void* free_works[CudnnWork::kMaxOperations + 1];
  char* chunk;
  size_t chunk_left;
};

constinit std::atomic<Table*> g_table{nullptr};
constinit Lock g_lock;
constinit std::atomic<pid_t> g_owner{0};

const void* Tombstone() { return reinterpret_cast<const void*>(uintptr_t{1}); }

// In a child of fork no plan of the parent can be used, and the lock may be held by a thread that
// does not exist.
class TableGuard {
 public:
  TableGuard() {
    const pid_t self = getpid();
    const pid_t owner = g_owner.load(std::memory_order_acquire);
    if (owner != self) {
      if (owner != 0) {
        g_lock.Reset();
        g_table.store(nullptr, std::memory_order_relaxed);
      }
      g_owner.store(self, std::memory_order_release);
    }
    g_lock.Acquire();
  }
  ~TableGuard() { g_lock.Release(); }
  TableGuard(const TableGuard&) = delete;
  TableGuard& operator=(const TableGuard&) = delete;
};

uint32_t HomeOf(const void* plan) {
  return static_cast<uint32_t>((reinterpret_cast<uintptr_t>(plan) * 0x9e3779b97f4a7c15u) >> 40) %
         kCapacity;
}

Slot* Find(Table* table, const void* plan) {
  if (table == nullptr) return nullptr;
  for (uint32_t i = 0, at = HomeOf(plan); i < kCapacity; ++i, at = (at + 1) % kCapacity) {
    const void* there = table->slots[at].plan.load(std::memory_order_acquire);
    if (there == plan) return &table->slots[at];
    if (there == nullptr) return nullptr;
  }
  return nullptr;
}

size_t BytesOf(uint32_t operations) {
  return offsetof(CudnnWork, operations) + operations * sizeof(CudnnOperation);
}

CudnnWork* TakeMemory(Table* table, uint32_t operations) {
  void*& free = table->free_works[operations];
  if (free != nullptr) {
    void* taken = free;
    free = *static_cast<void**>(taken);
    return static_cast<CudnnWork*>(taken);
  }
  constexpr size_t kChunkBytes = size_t{256} << 10;
  const size_t bytes = (BytesOf(operations) + 15) & ~size_t{15};
  if (table->chunk_left < bytes) {
    table->chunk = static_cast<char*>(MapPages(kChunkBytes));
    table->chunk_left = table->chunk != nullptr ? kChunkBytes : 0;
    if (table->chunk == nullptr) return nullptr;
  }
  table->chunk_left -= bytes;
  return reinterpret_cast<CudnnWork*>(table->chunk + table->chunk_left);
}

// The dimensions that a pack sets in place of the plan's. False if they do not fit.
bool Override(const CudnnPack& pack, CudnnGraph* graph) {
  if (pack.is_unreadable) return false;
  for (uint32_t i = 0; i < pack.override_count; ++i) {
    const int index = graph->IndexOf(pack.override_uids[i]);
    if (index < 0) continue;
    CudnnTensor& tensor = graph->tensors[index];
    const CudnnPack::Shape& shape = pack.override_shapes[i];
    if (shape.rank != tensor.rank) return false;
    for (uint32_t d = 0; d < shape.rank; ++d) tensor.dims[d] = shape.dims[d];
  }
  return true;
}

// Memory to read one plan in: its graph, and its text in front if it has one.
class Scratch {
 public:
  explicit Scratch(size_t text_bytes)
      : text_bytes_((text_bytes + 63) & ~size_t{63}),
        memory_(static_cast<char*>(MapPages(text_bytes_ + sizeof(CudnnGraph)))) {}
  ~Scratch() {
    if (memory_ != nullptr) UnmapPages(memory_, text_bytes_ + sizeof(CudnnGraph));
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  char* text() { return memory_; }
  CudnnGraph* graph() {
    return memory_ != nullptr ? reinterpret_cast<CudnnGraph*>(memory_ + text_bytes_) : nullptr;
  }

 private:
  size_t text_bytes_;
  char* memory_;
};

bool Decode(CudnnGraph* graph, const CudnnPack* pack, CudnnWork* work) {
  if (pack != nullptr && !Override(*pack, graph)) return false;
  const TableGuard guard;  // names that the work keeps
  DecodeCudnnGraph(*graph, work);
  return true;
}

bool ReadPlan(const VendorLibrary& library, const void* plan, const CudnnPack* pack,
              CudnnWork* work) {
  const auto get = reinterpret_cast<decltype(&::cudnnBackendGetAttribute)>(
      library.Get(Getter::k_cudnnBackendGetAttribute));
  if (get == nullptr || plan == nullptr) return false;
  auto* descriptor = static_cast<cudnnBackendDescriptor_t>(const_cast<void*>(plan));
  constexpr auto kText = CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION;
  int64_t count = 0;
  if (get(descriptor, kText, CUDNN_TYPE_CHAR, 0, &count, nullptr) != CUDNN_STATUS_SUCCESS ||
      count <= 0 || static_cast<uint64_t>(count) > kMaxTextBytes) {
    Scratch scratch(0);
    return scratch.graph() != nullptr && TrackedCudnnGraph(plan, scratch.graph()) &&
           Decode(scratch.graph(), pack, work);
  }
  StopTrackingCudnn();
  Scratch scratch(static_cast<size_t>(count));
  int64_t written = 0;
  return scratch.graph() != nullptr &&
         get(descriptor, kText, CUDNN_TYPE_CHAR, count, &written, scratch.text()) ==
             CUDNN_STATUS_SUCCESS &&
         written > 0 && written <= count &&
         ReadCudnnPlan(scratch.text(), static_cast<size_t>(written), scratch.graph()) &&
         Decode(scratch.graph(), pack, work);
}

}  // namespace

const CudnnWork* WorkOfCudnnPlan(const VendorLibrary& library, const void* plan) {
  Table* table = g_table.load(std::memory_order_acquire);
  if (const Slot* slot = Find(table, plan)) return slot->work;
  if (table != nullptr && __atomic_load_n(&table->live, __ATOMIC_RELAXED) >= kCapacity * 3 / 4) {
    return nullptr;  // full: reading it at every run would cost more than it tells
  }
  const ErrnoGuard keep_errno;
  CudnnWork read;
  const bool is_readable = ReadPlan(library, plan, nullptr, &read);
  const TableGuard guard;
  table = g_table.load(std::memory_order_relaxed);
  if (table == nullptr) {
    table = static_cast<Table*>(MapPages(sizeof(Table)));
    if (table == nullptr) return nullptr;
    g_table.store(table, std::memory_order_release);
  }
  if (const Slot* slot = Find(table, plan)) return slot->work;  // another thread was first
  CudnnWork* kept = nullptr;
  if (is_readable) {
    kept = TakeMemory(table, read.count);
    if (kept == nullptr) return nullptr;
    __builtin_memcpy(static_cast<void*>(kept), &read, BytesOf(read.count));
  }
  for (uint32_t i = 0, at = HomeOf(plan); i < kCapacity; ++i, at = (at + 1) % kCapacity) {
    Slot& slot = table->slots[at];
    const void* there = slot.plan.load(std::memory_order_relaxed);
    if (there != nullptr && there != Tombstone()) continue;
    if (there == nullptr) {
      if (table->used == kCapacity - 1) break;  // one stays empty, so that searches end
      ++table->used;
    }
    __atomic_fetch_add(&table->live, 1, __ATOMIC_RELAXED);
    slot.work = kept;
    slot.plan.store(plan, std::memory_order_release);
    return kept;
  }
  return nullptr;
}

bool WorkOfCudnnPlan(const VendorLibrary& library, const void* plan, const CudnnPack& pack,
                     CudnnWork* work) {
  const ErrnoGuard keep_errno;
  return ReadPlan(library, plan, &pack, work);
}

void ForgetCudnnPlan(const void* plan) {
  if (Find(g_table.load(std::memory_order_acquire), plan) == nullptr) return;
  const ErrnoGuard keep_errno;
  const TableGuard guard;
  Table* table = g_table.load(std::memory_order_relaxed);
  Slot* slot = Find(table, plan);
  if (slot == nullptr) return;
  if (slot->work != nullptr) {
    auto* gone = const_cast<CudnnWork*>(slot->work);
    void*& free = table->free_works[gone->count];
    *reinterpret_cast<void**>(gone) = free;
    free = gone;
  }
  __atomic_fetch_sub(&table->live, 1, __ATOMIC_RELAXED);
  slot->plan.store(Tombstone(), std::memory_order_release);
}

}  // namespace mfutrace::interpose
