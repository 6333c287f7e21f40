// See memory.h.
#include "engine/memory.h"

#include <sys/mman.h>

#include <map>

#include "engine/settings.h"

namespace simgpu {
namespace {

constexpr size_t kPage = 4096;

struct Space {
  std::map<uintptr_t, Allocation> allocations;
  std::map<int, uint64_t> used_bytes;
};

Space& TheSpace() {
  static Space* const space = new Space;
  return *space;
}

size_t Mapped(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

}  // namespace

uintptr_t Allocate(size_t bytes, int device, MemoryKind kind) {
  Space& space = TheSpace();
  uint64_t& used = space.used_bytes[device];
  const bool on_device = kind == MemoryKind::kDevice;
  if (bytes > SIZE_MAX / 2) return 0;
  if (on_device && used + Mapped(bytes) > GetSettings().device.memory_bytes) return 0;
  void* at = mmap(nullptr, Mapped(bytes), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return 0;
  const auto base = reinterpret_cast<uintptr_t>(at);
  space.allocations[base] = {base, bytes, device, kind};
  if (on_device) used += Mapped(bytes);
  return base;
}

bool Release(uintptr_t base, bool host) {
  Space& space = TheSpace();
  const auto found = space.allocations.find(base);
  if (found == space.allocations.end()) return false;
  const Allocation& allocation = found->second;
  if ((allocation.kind == MemoryKind::kHost) != host) return false;
  if (allocation.kind == MemoryKind::kDevice) {
    space.used_bytes[allocation.device] -= Mapped(allocation.bytes);
  }
  munmap(reinterpret_cast<void*>(base), Mapped(allocation.bytes));
  space.allocations.erase(found);
  return true;
}

const Allocation* FindAllocation(uintptr_t address, size_t bytes) {
  const auto& allocations = TheSpace().allocations;
  auto after = allocations.upper_bound(address);
  if (after == allocations.begin()) return nullptr;
  const Allocation& allocation = std::prev(after)->second;
  const uintptr_t offset = address - allocation.base;
  if (offset > allocation.bytes || bytes > allocation.bytes - offset) return nullptr;
  return &allocation;
}

uint64_t BytesInUse(int device) { return TheSpace().used_bytes[device]; }

}  // namespace simgpu
