// Memory and errno for code that runs inside the job: pages straight from the kernel, since the job
// may replace malloc, and a guard that makes the library's own system calls invisible in errno.
#pragma once

#include <cerrno>
#include <cstddef>

namespace mfutrace::interpose {

// Zeroed anonymous pages, or nullptr.
void* MapPages(size_t bytes);
void UnmapPages(void* memory, size_t bytes);

class ErrnoGuard {
 public:
  ErrnoGuard() : saved_(errno) {}
  ~ErrnoGuard() { errno = saved_; }
  ErrnoGuard(const ErrnoGuard&) = delete;
  ErrnoGuard& operator=(const ErrnoGuard&) = delete;

 private:
  int saved_;
};

}  // namespace mfutrace::interpose
