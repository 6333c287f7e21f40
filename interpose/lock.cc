// See lock.h.
#include "interpose/lock.h"

#include <ctime>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mfutrace::interpose {
namespace {

void FutexWait(std::atomic<uint32_t>* word, uint32_t expected, const timespec* timeout) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout, nullptr, 0);
}

void FutexWake(std::atomic<uint32_t>* word, int count) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

}  // namespace

void Lock::Acquire() {
  uint32_t seen = 0;
  if (word_.compare_exchange_strong(seen, 1, std::memory_order_acquire)) return;
  if (seen != 2) seen = word_.exchange(2, std::memory_order_acquire);
  while (seen != 0) {
    FutexWait(&word_, 2, nullptr);
    seen = word_.exchange(2, std::memory_order_acquire);
  }
}

bool Lock::TryAcquire() {
  uint32_t seen = 0;
  return word_.compare_exchange_strong(seen, 1, std::memory_order_acquire);
}

void Lock::Release() {
  if (word_.exchange(0, std::memory_order_release) == 2) FutexWake(&word_, 1);
}

void Signal::Raise() {
  word_.fetch_add(1, std::memory_order_release);
  FutexWake(&word_, 0x7fffffff);
}

void Signal::Wait(uint32_t seen, int64_t timeout_ns) {
  if (timeout_ns <= 0) return;
  timespec timeout{};
  timeout.tv_sec = static_cast<time_t>(timeout_ns / 1000000000);
  timeout.tv_nsec = static_cast<long>(timeout_ns % 1000000000);
  FutexWait(&word_, seen, &timeout);
}

}  // namespace mfutrace::interpose
