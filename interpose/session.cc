// See session.h. Start, exit, fork, and the list of threads.
#include "interpose/session.h"

#include <cstdlib>
#include <new>

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "interpose/clock.h"
#include "interpose/counter_values.h"
#include "interpose/flusher.h"
#include "interpose/memory.h"
#include "interpose/say.h"

namespace mfutrace::interpose {
namespace {

enum class State : uint8_t { kUnstarted, kObserving, kOff };

constexpr int64_t kLongestExitWaitNs = 5'000'000'000;

// The only state that is not in the session. Constant-initialised and without a destructor.
constinit std::atomic<State> g_state{State::kUnstarted};
constinit std::atomic<Session*> g_session{nullptr};
constinit Lock g_start_lock;
constinit bool g_handles_fork = false;     // under g_start_lock
constinit bool g_has_thread_key = false;   // under g_start_lock
constinit pthread_key_t g_thread_key = 0;  // written before the first session is published

[[gnu::tls_model("initial-exec")]] constinit thread_local Session* t_unobserved_in = nullptr;

// Only this thread exists in a child of fork; locks may be held by threads that do not. So the
// parent's session is not touched, apart from the descriptor of its trace: the file is the
// parent's.
void ForgetParent() {
  Session* parent = g_session.load(std::memory_order_relaxed);
  if (parent != nullptr && parent->flusher != nullptr) CloseInherited(*parent->flusher);
  g_start_lock.Reset();
  g_session.store(nullptr, std::memory_order_relaxed);
  g_observed_session.store(nullptr, std::memory_order_relaxed);
  ForgetCurrentThread();
  ResetCounters();
  ResetSayings();
  g_state.store(State::kUnstarted, std::memory_order_release);
}

void EndThread(void* state) {
  t_thread = nullptr;
  static_cast<ThreadState*>(state)->has_ended.store(true, std::memory_order_release);
}

void DrainAtExit() {
  // An earlier session's handler in a child of fork, or the second of two: nothing to do.
  if (g_state.exchange(State::kOff, std::memory_order_acq_rel) != State::kObserving) return;
  const ErrnoGuard keep_errno;
  g_observed_session.store(nullptr, std::memory_order_release);
  Session* session = g_session.load(std::memory_order_acquire);
  const uint32_t seen = session->flusher_is_done.value();
  session->is_stopping.store(true, std::memory_order_release);
  session->wake_flusher.Raise();
  // The flusher does the work, with all signals blocked; a file system that hangs must not hang the
  // job, so the wait has an end.
  const int64_t deadline_ns = MonotonicNs() + kLongestExitWaitNs;
  while (seen == 0 && session->flusher_is_done.value() == 0) {
    const int64_t left_ns = deadline_ns - MonotonicNs();
    if (left_ns <= 0) {
      session->is_abandoned.store(true, std::memory_order_release);
      break;
    }
    session->flusher_is_done.Wait(0, left_ns);
  }
}

Session* Start() {
  const ErrnoGuard keep_errno;
  LockGuard guard(g_start_lock);
  if (g_state.load(std::memory_order_relaxed) != State::kUnstarted) {
    return g_observed_session.load(std::memory_order_acquire);
  }
  // Until the end of this function other threads wait for the lock: their first calls count too.
  void* memory = MapPages(sizeof(Session));
  Session* session = memory == nullptr ? nullptr : new (memory) Session();
  if (session != nullptr) ReadOptions(session->options);
  if (session == nullptr || session->options.is_disabled) {
    UnmapPages(memory, sizeof(Session));
    g_state.store(State::kOff, std::memory_order_release);
    return nullptr;
  }
  session->start_monotonic_ns = MonotonicNs();
  session->start_realtime_ns = RealtimeNs();
  ReadProcessFacts(session->process);
  StartWindows(*session);
  for (uint32_t i = 0; i < kEntryCount; ++i) {
    const uint8_t family = FamilyOf(NameOf(static_cast<Entry>(i)));
    session->is_wanted[i].store(family == 0 || (session->options.families & family) != 0,
                                std::memory_order_relaxed);
  }
  if (!g_handles_fork) g_handles_fork = pthread_atfork(nullptr, nullptr, &ForgetParent) == 0;
  if (!g_has_thread_key) g_has_thread_key = pthread_key_create(&g_thread_key, &EndThread) == 0;
  if (!StartFlusher(*session)) {
    Say(Saying::kNoTrace, "no trace: the flusher thread could not be started");
    g_state.store(State::kOff, std::memory_order_release);
    return nullptr;
  }
  g_session.store(session, std::memory_order_release);
  g_state.store(State::kObserving, std::memory_order_release);
  g_observed_session.store(session, std::memory_order_release);
  DriverOf(*session);
  return session;
}

// A drained state of an ended thread, or a new one. Under thread_lock.
ThreadState* TakeThreadState(Session& session) {
  if (session.free_thread_count != 0) {
    return session.free_threads[--session.free_thread_count];
  }
  const uint32_t count = session.thread_count.load(std::memory_order_relaxed);
  if (count == Session::kMaxThreads) return nullptr;
  const uint64_t bytes =
      sizeof(ThreadState) + sizeof(RingRecord) * uint64_t{session.options.ring_records};
  void* memory = MapPages(bytes);
  if (memory == nullptr) return nullptr;
  ThreadState* thread = new (memory) ThreadState();
  thread->mapped_bytes = bytes;
  thread->session = &session;
  thread->ring.Attach(reinterpret_cast<RingRecord*>(thread + 1), session.options.ring_records);
  session.threads[count].store(thread, std::memory_order_release);
  session.thread_count.store(count + 1, std::memory_order_release);
  return thread;
}

ThreadState* RegisterThread(Session& session) {
  const ErrnoGuard keep_errno;
  LockGuard guard(session.thread_lock);
  ThreadState* thread = TakeThreadState(session);
  if (thread == nullptr) {
    t_unobserved_in = &session;
    Count(Counter::kThreadsUnobserved);
    return nullptr;
  }
  thread->tid = static_cast<uint32_t>(syscall(SYS_gettid));
  thread->serial = ++session.thread_serial;
  thread->name[0] = '\0';
  prctl(PR_GET_NAME, thread->name, 0, 0, 0);
  thread->has_ended.store(false, std::memory_order_relaxed);
  t_thread = thread;
  // Without a key the state of an ended thread is not reused; it is drained all the same.
  if (g_has_thread_key) pthread_setspecific(g_thread_key, thread);
  return thread;
}

}  // namespace

[[gnu::tls_model("initial-exec")]] constinit thread_local ThreadState* t_thread = nullptr;

constinit std::atomic<Session*> g_observed_session{nullptr};

Session* StartedSession() {
  switch (g_state.load(std::memory_order_acquire)) {
    case State::kUnstarted:
      return Start();
    case State::kObserving:  // another thread has just started it
      return g_session.load(std::memory_order_relaxed);
    case State::kOff:
      break;
  }
  return nullptr;
}

bool HasSession() { return g_observed_session.load(std::memory_order_acquire) != nullptr; }

Session* SessionOfOpenCalls() { return g_session.load(std::memory_order_acquire); }

ThreadState* FirstCallOfThread(Session* session) {
  if (t_unobserved_in == session) return nullptr;
  return RegisterThread(*session);
}

void ForgetCurrentThread() {
  t_thread = nullptr;
  t_unobserved_in = nullptr;
  if (g_has_thread_key) pthread_setspecific(g_thread_key, nullptr);
}

void RegisterExit(Session& session) {
  if (session.has_exit_handler.exchange(true, std::memory_order_relaxed)) return;
  const ErrnoGuard keep_errno;
  // Without it the last flush is what remains: as after a kill.
  if (atexit(&DrainAtExit) != 0) return;
}

void StopObserving() {
  g_state.store(State::kOff, std::memory_order_release);
  g_observed_session.store(nullptr, std::memory_order_release);
}

const Driver* SearchDriver(Session& session) {
  // A process may call NCCL before it has loaded the driver, so one look is not enough; each takes
  // the loader's lock, so there are fewer and fewer of them.
  const uint32_t n = session.driver_searches.load(std::memory_order_relaxed) + 1;
  session.driver_searches.store(n, std::memory_order_relaxed);  // two threads at once count once
  if ((n & (n - 1)) != 0) return nullptr;
  const ErrnoGuard keep_errno;
  Driver found{};
  if (!FindDriver(found)) return nullptr;
  LockGuard guard(session.driver_lock);
  if (!session.has_driver.load(std::memory_order_relaxed)) {
    session.driver = found;
    ChooseTiming(session, session.driver);
    session.has_driver.store(true, std::memory_order_release);
  }
  return &session.driver;
}

void EndSessionForTesting() {
  DrainAtExit();
  g_session.store(nullptr, std::memory_order_relaxed);
  ResetCounters();
  ResetSayings();
  g_state.store(State::kUnstarted, std::memory_order_release);
}

}  // namespace mfutrace::interpose
