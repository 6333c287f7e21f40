// See engine.h. The progress thread is detached, blocks all signals and lives as long as the
// process.
#include "engine/engine.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>

#include "engine/objects.h"

namespace simgpu {
namespace {

constexpr int64_t kShortestPollNs = 30'000;
constexpr int64_t kLongestPollNs = 1'000'000;

// The kernel's default slack of 50 us would lengthen every wait of a short job.
void WantPreciseSleep() {
  thread_local bool done = false;
  if (done) return;
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  done = true;
}

timespec ToTimespec(int64_t ns) {
  timespec t{};
  t.tv_sec = static_cast<time_t>(ns / 1'000'000'000);
  t.tv_nsec = static_cast<long>(ns % 1'000'000'000);
  return t;
}

void FutexWait(uint32_t* word, uint32_t seen, int64_t for_ns) {
  const timespec timeout = ToTimespec(for_ns);
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, for_ns > 0 ? &timeout : nullptr, nullptr, 0);
}

// splitmix64 finaliser: a fixed, well spread function of seed and count.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

int64_t NowNs() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

void SleepUntilNs(int64_t time_ns) {
  if (time_ns <= NowNs()) return;
  WantPreciseSleep();
  const timespec until = ToTimespec(time_ns);
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

int64_t ScaledNs(double unscaled_ns) {
  return std::llround(unscaled_ns / GetSettings().time_scale);
}

int64_t ScaledKernelNs(double unscaled_ns) {
  static std::atomic<uint64_t> count{0};
  const Settings& s = GetSettings();
  double factor = s.slow_factor;
  if (s.jitter_ratio > 0) {
    const uint64_t draw = Mix(s.seed ^ Mix(static_cast<uint64_t>(s.rank + 1)) ^
                              (count.fetch_add(1) * 0x9e3779b97f4a7c15ULL));
    const double uniform = static_cast<double>(draw >> 11) * 0x1p-53;  // [0, 1)
    factor *= 1 + s.jitter_ratio * (2 * uniform - 1);
  }
  return std::max<int64_t>(1, ScaledNs(unscaled_ns * factor));
}

Engine& Engine::Get() {
  static Engine* const engine = new Engine;  // leaked: used while the process exits
  return *engine;
}

namespace {

void TellActivity(const Op& op) {
  if (op.correlation_id == 0 || All().activity_sink == nullptr) return;
  Activity activity;
  activity.kind = op.work.kind;
  activity.function = op.work.function;
  activity.dims = op.work.dims;
  activity.bytes = op.work.bytes;
  if (op.work.peers != nullptr) {
    // One kernel for a whole group, named after its first call, as NCCL's are.
    const std::vector<LogEntry> entries = op.work.peers->Entries();
    if (!entries.empty()) {
      activity.function = entries.front().function;
      activity.dims = entries.front().dims;
    }
  }
  activity.device = op.device;
  activity.stream_id = op.stream_id;
  activity.correlation_id = op.correlation_id;
  activity.graph = op.graph;
  activity.start_ns = op.start_ns;
  activity.end_ns = op.end_ns;
  All().activity_sink->Resolved(activity);
}

}  // namespace

void Engine::Finish(Op* op, int64_t end_ns, bool failed) {
  op->end_ns = end_ns;
  op->failed = failed;
  op->resolved = true;
  if (!failed) log_.Add(*op);
  TellActivity(*op);
  op->work.peers = nullptr;  // it may hold what holds this operation
}

bool Engine::TryResolve(const OpRef& ref) {
  Op* op = ref.get();
  if (op->resolved) return true;
  if (!op->started) {
    int64_t start = op->enqueue_ns;
    for (const Dependency& d : op->dependencies) {
      if (d.on_start ? !d.op->started : !d.op->resolved) return false;
      start = std::max(start, d.on_start ? d.op->start_ns : d.op->end_ns);
    }
    op->start_ns = start;
    op->started = true;
    op->dependencies.clear();
    if (op->work.peers != nullptr) {
      op->work.peers->Post(start);
      waiting_peers_.push_back(ref);
    } else if (op->work.kind == OpKind::kHost) {
      host_calls_.push_back(ref);
    }
  }
  if (op->work.peers != nullptr) {
    int64_t end = 0;
    const Peers::State state = op->work.peers->Check(NowNs(), &end);
    if (state == Peers::State::kWaiting) return false;
    Finish(op, end, state == Peers::State::kFailed);
    return true;
  }
  if (op->work.kind == OpKind::kHost) return false;
  Finish(op, op->start_ns + op->work.duration_ns, false);
  return true;
}

void Engine::Submit(const OpRef& op) {
  if (!TryResolve(op)) {
    pending_.push_back(op);
    WakeProgress();
  }
}

bool Engine::CheckPeers() {
  bool changed = false;
  for (size_t i = 0; i < waiting_peers_.size();) {
    const OpRef op = waiting_peers_[i];
    if (op->resolved || TryResolve(op)) {
      waiting_peers_[i] = waiting_peers_.back();
      waiting_peers_.pop_back();
      changed = true;
    } else {
      ++i;
    }
  }
  return changed;
}

void Engine::ResolvePending() {
  // Dependencies always precede in issue order, so one pass settles whatever can be settled.
  std::deque<OpRef> left;
  for (OpRef& op : pending_) {
    if (!TryResolve(op)) left.push_back(std::move(op));
  }
  pending_.swap(left);
}

void Engine::Poll() {
  if (CheckPeers()) ResolvePending();
  log_.Flush();
}

int64_t Engine::NextHostCallNs() const {
  int64_t next = INT64_MAX;
  for (const OpRef& op : host_calls_) next = std::min(next, op->start_ns);
  return next;
}

void Engine::RunDueHostCalls(std::unique_lock<std::mutex>* held) {
  for (size_t i = 0; i < host_calls_.size();) {
    const OpRef op = host_calls_[i];
    if (op->start_ns > NowNs()) {
      ++i;
      continue;
    }
    host_calls_.erase(host_calls_.begin() + static_cast<std::ptrdiff_t>(i));
    held->unlock();
    op->work.host_call();
    held->lock();
    Finish(op.get(), std::max(op->start_ns, NowNs()), false);
    ResolvePending();
    i = 0;
  }
}

void Engine::WakeProgress() {
  if (!progress_running_) {
    progress_running_ = true;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread{};
    const auto body = [](void* self) -> void* {
      static_cast<Engine*>(self)->ProgressLoop();
      return nullptr;
    };
    if (pthread_create(&thread, nullptr, body, this) == 0) pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  __atomic_add_fetch(&wakeups_, 1, __ATOMIC_RELEASE);
  syscall(SYS_futex, &wakeups_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void Engine::ProgressLoop() {
  pthread_setname_np(pthread_self(), "simgpu");
  WantPreciseSleep();
  int64_t poll_ns = kShortestPollNs;
  for (;;) {
    const uint32_t seen = __atomic_load_n(&wakeups_, __ATOMIC_ACQUIRE);
    int64_t sleep_ns = 0;
    {
      std::unique_lock<std::mutex> held(lock_);
      const size_t before = pending_.size();
      Poll();
      RunDueHostCalls(&held);
      log_.Flush();
      poll_ns =
          pending_.size() < before ? kShortestPollNs : std::min(poll_ns * 5 / 4, kLongestPollNs);
      if (!pending_.empty()) {
        sleep_ns = std::clamp<int64_t>(NextHostCallNs() - NowNs(), 1000, poll_ns);
      }
    }
    if (sleep_ns == 0) {
      FutexWait(&wakeups_, seen, 0);
      poll_ns = kShortestPollNs;
    } else {
      SleepUntilNs(NowNs() + sleep_ns);
    }
  }
}

CUresult Engine::WaitFor(const OpRef& op) {
  if (op == nullptr) return CUDA_SUCCESS;
  for (int64_t pause_ns = 10'000;; pause_ns = std::min<int64_t>(pause_ns * 5 / 4, 300'000)) {
    {
      const std::lock_guard<std::mutex> held(lock_);
      Poll();
      if (op->resolved) break;
    }
    SleepUntilNs(NowNs() + pause_ns);
  }
  SleepUntilNs(op->end_ns);
  return op->failed ? CUDA_ERROR_LAUNCH_TIMEOUT : CUDA_SUCCESS;
}

}  // namespace simgpu
