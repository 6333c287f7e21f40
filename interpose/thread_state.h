// What the library keeps for one of the job's threads: its ring, its caches, its own call count.
//
// Made at the thread's first intercepted call, marked as ended by a pthread key's destructor,
// drained by the flusher and then handed to the next new thread. Apart from the atomics and the
// ring, a member belongs either to the job's thread or to the flusher, as grouped below.
#pragma once

#include <atomic>
#include <cstdint>

#include "interpose/intern_table.h"
#include "interpose/ring.h"

namespace mfutrace::interpose {

struct Session;
struct EventPool;

struct CachedSignature {
  Facts facts;
  uint32_t id;  // 0 = empty
  uint32_t reserved;
};

struct CachedLane {
  uint64_t stream;
  EventPool* pool;         // of the stream's context; nullptr = no timing here
  uint32_t id;             // 0 = empty
  int32_t device;          // ordinal of the stream's device; -1 = unknown
  int32_t current_device;  // what cuCtxGetDevice said: the key together with the stream
};

// Records that the flusher has taken off the ring and whose GPU work is unfinished; a growing ring.
struct Backlog {
  RingRecord* records;
  uint64_t capacity;  // power of two
  uint64_t begin;
  uint64_t end;
};

struct ThreadState {
  static constexpr uint32_t kCachedSignatures = 256;
  static constexpr uint32_t kCachedLanes = 16;

  // Fixed between registration and reuse.
  Session* session;
  uint32_t tid;
  uint32_t serial;  // tells threads apart that had the same tid one after the other
  char name[16];
  uint64_t mapped_bytes;

  // The job's thread writes, the flusher reads.
  std::atomic<bool> has_ended;
  std::atomic<uint64_t> calls;  // successful ones
  Ring ring;

  // The job's thread alone.
  CachedLane lanes[kCachedLanes];
  CachedSignature signatures[kCachedSignatures];

  // The flusher alone.
  Backlog backlog;
  enum class Writing : uint8_t { kNotSeen, kDue, kDone };
  Writing writing;  // of its kThreads record
};

// Of the calling thread; registers it at its first call. nullptr if it cannot have one (limit or
// memory; counted once per thread): its calls are counted without records.
ThreadState* FirstCallOfThread(Session* session);

// initial-exec: a preloaded library's thread-locals lie in the static block and cost one load.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local ThreadState* t_thread;

inline ThreadState* CurrentThread(Session* session) {
  ThreadState* thread = t_thread;
  if (thread != nullptr && thread->session == session) [[likely]]
    return thread;
  return FirstCallOfThread(session);
}

// In a child of fork, whose only thread was the parent's.
void ForgetCurrentThread();

}  // namespace mfutrace::interpose
