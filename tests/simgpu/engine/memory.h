// Device and pinned memory: reserved address space that reads as zero until somebody writes it.
//
// Device pointers are ordinary addresses of this process, so copies are plain memcpy. All functions
// want the engine's lock held.
#pragma once

#include <cstddef>
#include <cstdint>

namespace simgpu {

enum class MemoryKind : uint8_t { kDevice, kHost, kManaged };

struct Allocation {
  uintptr_t base = 0;
  size_t bytes = 0;  // as asked for
  int device = 0;
  MemoryKind kind = MemoryKind::kDevice;
};

// 0 where the device's advertised memory is used up or no address space is left.
uintptr_t Allocate(size_t bytes, int device, MemoryKind kind);
// False if `base` is not the start of an allocation of this kind.
bool Release(uintptr_t base, bool host);
// The allocation that holds [address, address + bytes), null if none does.
const Allocation* FindAllocation(uintptr_t address, size_t bytes);
uint64_t BytesInUse(int device);

}  // namespace simgpu
