// The door between the engine in libcuda.so.1 and the other simulated libraries.
//
// A library reaches it as vendors' libraries reach the driver: dlopen("libcuda.so.1"), then one
// symbol, simgpu_api. libcudart uses the public driver API alone and never comes here.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/settings.h"

namespace simgpu {

enum class OpKind : uint8_t {
  kGemm,
  kCollective,
  kMemcpy,
  kMemset,
  kKernel,
  kEvent,
  kHost,
  kMarker,
  kConvolution,
  kAttention,
  kRnn,
  kGraph  // a cuDNN graph without any of these
};

struct Op;
using OpRef = std::shared_ptr<Op>;

// An edge of the schedule: `op` must have ended (or merely started) before the next one may start.
struct Dependency {
  OpRef op;
  bool on_start = false;
};

// One line of the truth log, less what the schedule adds (times, device).
struct LogEntry {
  CUstream stream = nullptr;
  const char* function = "";
  std::string dims;
  uint64_t flop = 0;
  uint64_t bytes = 0;
};

// The other side of an operation whose end depends on other processes. All but the destructor are
// called with the engine's lock held and must neither block nor call the engine.
class Peers {
 public:
  enum class State : uint8_t { kWaiting, kDone, kFailed };
  virtual ~Peers() = default;
  // One execution of this work, as operation `op`: takes its sequence numbers in issue order and
  // adds what it must wait for. A graph launches the same captured work many times.
  virtual std::shared_ptr<Peers> Launch(const OpRef& op, std::vector<Dependency>* dependencies) = 0;
  // This side is ready at `start_ns`; called once.
  virtual void Post(int64_t start_ns) = 0;
  // Done once all the others have posted; `end_ns` is then the same however late one asks.
  virtual State Check(int64_t now_ns, int64_t* end_ns) = 0;
  virtual std::vector<LogEntry> Entries() const = 0;
};

// What an operation does, whenever it runs.
struct Work {
  OpKind kind = OpKind::kKernel;
  const char* function = "";  // static storage
  std::string dims;
  uint64_t flop = 0;
  uint64_t bytes = 0;
  int64_t duration_ns = 0;
  bool hardware_queue = false;      // shares the one queue of CUDA_DEVICE_MAX_CONNECTIONS=1
  std::shared_ptr<Peers> peers;     // else the duration alone decides the end
  std::function<void()> data;       // effect on memory, done when the host enqueues
  std::function<void()> host_call;  // kHost: run at the start, on the simulator's thread
  // Fills in what depends on device memory, each time the host enqueues or a graph is launched.
  std::function<void(Work*)> describe;
};

// Device work as a profiler is told of it.
struct Activity {
  OpKind kind = OpKind::kKernel;
  const char* function = "";
  std::string dims;
  uint64_t bytes = 0;
  int device = 0;
  uint64_t stream_id = 0;
  uint32_t correlation_id = 0;  // of the driver call that launched it
  bool graph = false;
  int64_t start_ns = 0;
  int64_t end_ns = 0;
};

// The simulated CUPTI. Called with the engine's lock held; must neither block nor call the engine.
class ActivitySink {
 public:
  virtual ~ActivitySink() = default;
  // The calling thread launches work by one driver call; its correlation id.
  virtual uint32_t Launching(OpKind kind, bool graph) = 0;
  // A graph's launch has put that many operations on the device's queues.
  virtual void GraphLaunched(uint32_t correlation, uint32_t operations) = 0;
  // The work's times are known; they may still lie ahead.
  virtual void Resolved(const Activity& activity) = 0;
};

class Api {
 public:
  virtual const Settings& settings() = 0;
  // Duration of a kernel of the calling thread's process: time scale, jitter and slow rank applied.
  virtual int64_t KernelDuration(double unscaled_ns) = 0;
  virtual int64_t GemmDuration(Format format, uint64_t m, uint64_t n, uint64_t k, uint64_t batch,
                               uint64_t flop, uint64_t bytes) = 0;
  // Puts one operation on all of `streams` (it waits for each, each waits for it), or a node into
  // their capture. Default streams are those of the calling thread's current context.
  // With `device` >= 0 those of that device's primary context, as NCCL has it.
  virtual CUresult Enqueue(const CUstream* streams, int count, Work work, int device = -1) = 0;
  // Returns when the operation that `*op` is now has ended. `*op` belongs to the engine's lock.
  virtual CUresult Wait(const OpRef* op) = 0;
  // What a library's create function does first: initialises CUDA and, where the thread has no
  // context, makes device 0's primary one current.
  virtual CUresult MakeContextCurrent(int* device) = 0;
  // Status an operation on `stream` would get, without doing anything.
  virtual CUresult CheckStream(CUstream stream, int* device) = 0;
  // True for the call that SIMGPU_FAIL names.
  virtual bool ShouldFail(const char* function) = 0;
  // A kernel node of `work` at the end of a graph that is not being captured, or in place of the
  // graph's only node.
  virtual CUresult AddGraphNode(CUgraph graph, Work work) = 0;
  virtual CUresult ReplaceGraphNode(CUgraph graph, Work work) = 0;
  // The public entry the user called, while a library calls another library inside it. Per thread.
  virtual const char* ExchangeCaller(const char* function) = 0;
  // From now on told of all work; null: nobody.
  virtual void SetActivitySink(ActivitySink* sink) = 0;

 protected:
  ~Api() = default;
};

inline constexpr int kApiVersion = 1;

// The engine of the libcuda.so.1 in this process; null if that is another driver.
Api* FindApi();

// Announces the public entry the user called for the time of a nested call.
class CallerScope {
 public:
  explicit CallerScope(const char* function) : previous_(FindApi()->ExchangeCaller(function)) {}
  ~CallerScope() { FindApi()->ExchangeCaller(previous_); }
  CallerScope(const CallerScope&) = delete;
  CallerScope& operator=(const CallerScope&) = delete;
  // The outermost announced entry, else `fallback`.
  static const char* Outermost(const char* fallback) {
    const char* caller = FindApi()->ExchangeCaller(nullptr);
    FindApi()->ExchangeCaller(caller);
    return caller != nullptr ? caller : fallback;
  }

 private:
  const char* previous_;
};

}  // namespace simgpu

extern "C" simgpu::Api* simgpu_api(int version);
