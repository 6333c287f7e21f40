// The schedule: when each operation of this process's devices starts and ends.
//
// Times are worked out, never slept through: an operation starts at max(the host enqueued it, what
// it depends on) and lasts its modelled duration, so its times do not depend on when anybody looks.
// Only an operation behind a collective whose peers have not arrived stays open; it is resolved
// when somebody asks, or by the process's one progress thread, so that peers never wait for a busy
// host thread.
//
// Everything here is called with Lock() held, but for WaitFor and NowNs.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/api.h"
#include "engine/truth_log.h"

namespace simgpu {

int64_t NowNs();                     // CLOCK_MONOTONIC: the time of all devices of the machine
void SleepUntilNs(int64_t time_ns);  // returns at once if that is past

struct Op {
  Work work;
  int device = 0;
  CUstream stream = nullptr;  // the handle the user knows
  bool graph = false;         // runs from a graph launch
  uint64_t stream_id = 0;
  uint32_t correlation_id = 0;  // 0: nobody wants to know
  int64_t enqueue_ns = 0;       // the earliest the device can see it
  int64_t start_ns = 0;         // valid once started
  int64_t end_ns = 0;           // valid once resolved
  bool started = false;
  bool resolved = false;
  bool failed = false;
  std::vector<Dependency> dependencies;  // emptied once started
};

class Engine {
 public:
  static Engine& Get();
  std::mutex& lock() { return lock_; }

  // Gives a new operation its times if they can be known, else keeps it until they can.
  void Submit(const OpRef& op);
  // Looks whether peers have arrived, and resolves what that allows.
  void Poll();
  void FlushLog() { log_.Flush(); }

  // Called without the lock: returns when `op` has ended. Null is nothing to wait for.
  CUresult WaitFor(const OpRef& op);

 private:
  bool TryResolve(const OpRef& op);
  void Finish(Op* op, int64_t end_ns, bool failed);
  bool CheckPeers();
  void ResolvePending();
  void RunDueHostCalls(std::unique_lock<std::mutex>* held);
  int64_t NextHostCallNs() const;
  void ProgressLoop();
  void WakeProgress();

  std::mutex lock_;
  std::deque<OpRef> pending_;         // unresolved, in issue order
  std::vector<OpRef> waiting_peers_;  // those of them that have started and wait for others
  std::deque<OpRef> host_calls_;      // started, not yet run
  bool progress_running_ = false;
  uint32_t wakeups_ = 0;  // futex word of the progress thread
  TruthLog log_;
};

// Unscaled nanoseconds of the model -> what a kernel of this process lasts.
int64_t ScaledKernelNs(double unscaled_ns);
int64_t ScaledNs(double unscaled_ns);

}  // namespace simgpu
