// Everything the library knows about one process, in one block of pages that is never given back.
//
// Starts at the first intercepted call (StartedSession), ends in an atexit handler that is
// registered right after the first successful call, so that it runs before the handlers CUDA
// registered earlier. A child of fork forgets its parent's session without touching it and starts
// its own, on fresh pages and with a new file, if it ever makes an intercepted call. All members
// are valid when zeroed.
#pragma once

#include <atomic>
#include <cstdint>

#include "interpose/compound_lists.h"
#include "interpose/cupti_clock.h"
#include "interpose/device_lengths.h"
#include "interpose/driver.h"
#include "interpose/entry_points.h"
#include "interpose/gpu_clock_state.h"
#include "interpose/graph_contents.h"
#include "interpose/intern_table.h"
#include "interpose/kernel_launches.h"
#include "interpose/lock.h"
#include "interpose/options.h"
#include "interpose/process_facts.h"
#include "interpose/recorder.h"
#include "interpose/tally.h"
#include "interpose/thread_state.h"
#include "interpose/windows.h"

namespace mfutrace::interpose {

struct Flusher;

struct KeptCommunicator {
  uint64_t id;
  uint64_t parent_id;
  int32_t rank;
  int32_t size;
  int32_t device;
  int32_t split_color;
  uint32_t split_index;
  char name[132];
};

struct CommunicatorEnd {
  uint32_t index;
  uint8_t event;
};

struct Session {
  static constexpr uint32_t kMaxThreads = 4096;  // at a time
  static constexpr uint32_t kMaxCommunicators = 65536;
  static constexpr uint32_t kMaxCommunicatorEnds = 2 * kMaxCommunicators;  // finalize, destroy
  static constexpr uint32_t kCommunicatorChunk = 64;

  Options options;
  ProcessFacts process;
  int64_t start_monotonic_ns;
  int64_t start_realtime_ns;
  std::atomic<bool> is_wanted[kEntryCount];

  // The driver is written once, before has_driver.
  std::atomic<bool> has_driver;
  std::atomic<uint32_t> driver_searches;
  Driver driver;
  Lock driver_lock;

  InternTable signatures;
  CompoundLists compounds;
  LengthsCopies lengths;
  CuptiClock cupti;
  KernelLaunches launches;
  InternTable lanes;
  Tally dropped;
  Tally untimed;  // outside the windows
  Windows windows;
  Graphs graphs;

  Lock thread_lock;
  std::atomic<uint32_t> thread_count;  // of `threads`
  std::atomic<ThreadState*> threads[kMaxThreads];
  ThreadState* free_threads[kMaxThreads];  // drained; under thread_lock
  uint32_t free_thread_count;
  uint32_t thread_serial;
  std::atomic<uint64_t> calls_elsewhere;  // of threads without a state, or whose state was reused

  Lock communicator_lock;
  std::atomic<uint32_t> communicator_count;
  std::atomic<KeptCommunicator*> communicators[kMaxCommunicators / kCommunicatorChunk];
  std::atomic<uint32_t> communicator_end_count;
  std::atomic<CommunicatorEnd*> communicator_ends;  // kMaxCommunicatorEnds of them

  GpuClock clock;

  std::atomic<bool> has_exit_handler;
  std::atomic<bool> is_stopping;   // the flusher's last round has been asked for
  std::atomic<bool> is_abandoned;  // and took too long: CUDA may be gone
  Signal wake_flusher;
  Signal flusher_is_done;
  Flusher* flusher;
};

// The session while calls are observed, nullptr otherwise. Every call reads it several times.
extern constinit std::atomic<Session*> g_observed_session;
// What is left to do where there is none: starts it if it has not been started yet.
Session* StartedSession();

// The session if calls are to be observed, starting it if need be; nullptr otherwise.
inline Session* ObservedSession() {
  Session* session = g_observed_session.load(std::memory_order_acquire);
  if (session != nullptr) [[likely]]
    return session;
  return StartedSession();
}

// The session that open calls belong to: also after it has ended, nullptr in a child of fork.
Session* SessionOfOpenCalls();

// Registers the drain at exit, once.
void RegisterExit(Session& session);

// Nothing can be stored any more (disk full, folder not writable): calls pass through from now on.
void StopObserving();

// Looks for the driver if it has not been found yet; cheap to call. nullptr without one.
const Driver* SearchDriver(Session& session);
inline const Driver* DriverOf(Session& session) {
  if (session.has_driver.load(std::memory_order_acquire)) [[likely]]
    return &session.driver;
  return SearchDriver(session);
}

// Ends the session as exit() would, and lets a new one start. For unit tests.
void EndSessionForTesting();

}  // namespace mfutrace::interpose
