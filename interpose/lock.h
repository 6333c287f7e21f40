// A mutex and an event of one word each, on futexes: no library behind them, valid when zeroed.
//
// Held only on slow paths (a new signature, lane or thread) and never across a call into a vendor's
// library. After fork the child starts on fresh memory, so a lock held by another thread of the
// parent cannot block it.
#pragma once

#include <atomic>
#include <cstdint>

namespace mfutrace::interpose {

class Lock {
 public:
  void Acquire();
  bool TryAcquire();
  void Release();
  // For a static lock in a child of fork, where the holder does not exist.
  void Reset() { word_.store(0, std::memory_order_relaxed); }

 private:
  // 0 free, 1 held, 2 held and somebody may sleep (Drepper, "Futexes are tricky", mutex 2).
  std::atomic<uint32_t> word_{0};
};

class LockGuard {
 public:
  explicit LockGuard(Lock& lock) : lock_(lock) { lock_.Acquire(); }
  ~LockGuard() { lock_.Release(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Lock& lock_;
};

// A counter that can be slept on.
class Signal {
 public:
  uint32_t value() const { return word_.load(std::memory_order_acquire); }
  void Raise();
  // Returns when the value is not `seen`, after `timeout_ns`, or for no reason.
  void Wait(uint32_t seen, int64_t timeout_ns);

 private:
  std::atomic<uint32_t> word_{0};
};

}  // namespace mfutrace::interpose
