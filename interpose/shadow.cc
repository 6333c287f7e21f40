#include "interpose/shadow.h"

#include <nccl.h>
#include <time.h>
#include <unistd.h>

#include <cstring>

#include "interpose/lock.h"
#include "interpose/memory.h"
#include "interpose/recorder.h"

namespace mfutrace::interpose {
namespace {

constexpr uint32_t kCapacity = 4096;  // a power of two; at a time
constexpr uint32_t kMaxOrphans = 16;

// Left in place of a removed handle, so that searches go on past it.
const void* Tombstone() { return reinterpret_cast<const void*>(uintptr_t{1}); }

// Pages from the kernel, made at the first communicator: processes without NCCL do not carry them.
struct Table {
  Communicator communicators[kCapacity];
  CommunicatorIdentity orphans[kMaxOrphans];
  uint32_t orphan_count;
};
constinit std::atomic<Table*> g_table{nullptr};
constinit Lock g_lock;

// Guards all changes. In a child of fork, where no communicator of the parent can be used and the
// lock may be held by a thread that does not exist, everything starts anew.
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

 private:
  static inline constinit std::atomic<pid_t> g_owner{0};  // 0 = nobody yet
};

// Under the guard. nullptr if there is no memory.
Table* MakeTable() {
  Table* table = g_table.load(std::memory_order_relaxed);
  if (table == nullptr) {
    table = static_cast<Table*>(MapPages(sizeof(Table)));
    g_table.store(table, std::memory_order_release);
  }
  return table;
}

uint64_t Mix(uint64_t value) {  // finaliser of splitmix64
  value ^= value >> 30;
  value *= 0xbf58476d1ce4e5b9u;
  value ^= value >> 27;
  value *= 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

uint32_t HomeOf(const void* handle) {
  return static_cast<uint32_t>(Mix(reinterpret_cast<uintptr_t>(handle))) % kCapacity;
}

template <typename Function>
int32_t Ask(const VendorLibrary& library, Getter getter, Function*, const void* handle,
            int32_t fallback) {
  auto* get = reinterpret_cast<Function*>(library.Get(getter));
  int value = 0;
  const auto communicator = static_cast<ncclComm_t>(const_cast<void*>(handle));
  return get != nullptr && get(communicator, &value) == ncclSuccess ? value : fallback;
}

void Complete(CommunicatorIdentity& identity, const VendorLibrary& library, const void* handle) {
  if (identity.rank < 0) {
    identity.rank = Ask(library, Getter::k_ncclCommUserRank, &::ncclCommUserRank, handle, -1);
  }
  if (identity.size <= 0) {
    identity.size = Ask(library, Getter::k_ncclCommCount, &::ncclCommCount, handle, 0);
  }
  if (identity.device < 0) {
    identity.device = Ask(library, Getter::k_ncclCommCuDevice, &::ncclCommCuDevice, handle, -1);
  }
}

}  // namespace

uint64_t HashBytes(const void* bytes, uint64_t count, uint64_t seed) {
  const auto* data = static_cast<const unsigned char*>(bytes);
  uint64_t hash = 0xcbf29ce484222325u ^ seed;
  for (uint64_t i = 0; i < count; ++i) hash = (hash ^ data[i]) * 0x100000001b3u;
  hash = Mix(hash);
  return hash != 0 ? hash : 1;
}

uint64_t SplitId(uint64_t parent_id, uint32_t split_index, int32_t color) {
  const uint64_t parts[] = {parent_id, split_index, static_cast<uint64_t>(int64_t{color})};
  return HashBytes(parts, sizeof(parts));
}

uint64_t PrivateId() {
  static std::atomic<uint64_t> g_counter{0};
  struct {
    char host[256];
    uint64_t pid, counter, nanoseconds;
  } parts = {};
  gethostname(parts.host, sizeof(parts.host) - 1);
  parts.pid = static_cast<uint64_t>(getpid());
  parts.counter = g_counter.fetch_add(1, std::memory_order_relaxed) + 1;
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  parts.nanoseconds =
      static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
  return HashBytes(&parts, sizeof(parts));
}

Communicator* FindCommunicator(const void* handle) {
  Table* table = g_table.load(std::memory_order_acquire);
  if (handle == nullptr || table == nullptr) return nullptr;
  uint32_t position = HomeOf(handle);
  for (uint32_t probes = 0; probes < kCapacity; ++probes) {
    Communicator& entry = table->communicators[position];
    const void* found = entry.handle.load(std::memory_order_acquire);
    if (found == handle) return &entry;
    if (found == nullptr) return nullptr;
    position = (position + 1) % kCapacity;
  }
  return nullptr;
}

Communicator* AddCommunicator(const void* handle, const CommunicatorIdentity& identity) {
  if (handle == nullptr) return nullptr;
  RemoveCommunicator(handle);
  TableGuard guard;
  Table* table = MakeTable();
  if (table == nullptr) return nullptr;
  uint32_t position = HomeOf(handle);
  for (uint32_t probes = 0; probes < kCapacity; ++probes) {
    Communicator& entry = table->communicators[position];
    const void* found = entry.handle.load(std::memory_order_relaxed);
    if (found == nullptr || found == Tombstone()) {
      entry.identity = identity;
      entry.index.store(0, std::memory_order_relaxed);
      entry.sequence.store(0, std::memory_order_relaxed);
      entry.splits.store(0, std::memory_order_relaxed);
      entry.handle.store(handle, std::memory_order_release);
      return &entry;
    }
    position = (position + 1) % kCapacity;
  }
  return nullptr;
}

void RemoveCommunicator(const void* handle) {
  TableGuard guard;
  Communicator* entry = FindCommunicator(handle);
  if (entry != nullptr) entry->handle.store(Tombstone(), std::memory_order_release);
}

uint32_t IndexOf(Communicator& communicator, const VendorLibrary* library) {
  const uint32_t known = communicator.index.load(std::memory_order_acquire);
  if (known != 0) return known;
  CommunicatorIdentity identity = communicator.identity;
  // Outside the lock: no vendor call is made under one.
  if (library != nullptr) {
    Complete(identity, *library, communicator.handle.load(std::memory_order_relaxed));
  }
  TableGuard guard;
  uint32_t index = communicator.index.load(std::memory_order_relaxed);
  if (index != 0) return index;
  communicator.identity = identity;
  CommunicatorFacts facts;
  facts.id = identity.id;
  facts.parent_id = identity.parent_id;
  facts.rank = identity.rank;
  facts.size = identity.size;
  facts.device = identity.device;
  facts.split_color = identity.split_color;
  facts.split_index = identity.split_index;
  facts.name = identity.name[0] != '\0' ? identity.name : nullptr;
  index = RecordCommunicator(facts);
  communicator.index.store(index, std::memory_order_release);
  return index;
}

void ForEachSequence(void (*sink)(void* context, uint32_t communicator, uint32_t sequence),
                     void* context) {
  Table* table = g_table.load(std::memory_order_acquire);
  if (table == nullptr) return;
  for (Communicator& entry : table->communicators) {
    if (reinterpret_cast<uintptr_t>(entry.handle.load(std::memory_order_acquire)) <= 1) continue;
    sink(context, entry.index.load(std::memory_order_acquire),
         entry.sequence.load(std::memory_order_relaxed));
  }
}

void AddOrphan(const CommunicatorIdentity& identity) {
  TableGuard guard;
  Table* table = MakeTable();
  if (table != nullptr && table->orphan_count < kMaxOrphans) {
    table->orphans[table->orphan_count++] = identity;
  }
}

bool TakeOnlyOrphan(CommunicatorIdentity* identity) {
  TableGuard guard;
  Table* table = g_table.load(std::memory_order_relaxed);
  if (table == nullptr || table->orphan_count != 1) return false;
  *identity = table->orphans[0];
  table->orphan_count = 0;
  return true;
}

}  // namespace mfutrace::interpose
