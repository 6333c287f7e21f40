// See memory.h. Never file-backed: a full disk must not turn a store into SIGBUS.
#include "interpose/memory.h"

#include <sys/mman.h>

namespace mfutrace::interpose {

void* MapPages(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

void UnmapPages(void* memory, size_t bytes) {
  if (memory != nullptr) munmap(memory, bytes);
}

}  // namespace mfutrace::interpose
