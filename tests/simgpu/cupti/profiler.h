// The simulated CUPTI's state: one subscriber, activity kinds, buffers, correlation ids.
//
// Records follow cupti_activity.h of CUDA 13.0. A record is complete when its work has ended;
// complete records go into the client's buffers in the order of their ends, by a worker thread of
// its own or by whoever flushes. Timestamps are CLOCK_REALTIME nanoseconds, as CUPTI's are unless
// told otherwise.
#pragma once

#include <cupti.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "engine/api.h"

namespace simgpu {

class Profiler final : public ActivitySink {
 public:
  static Profiler& Get();

  // ActivitySink: with the engine's lock held.
  uint32_t Launching(OpKind kind, bool graph) override;
  void GraphLaunched(uint32_t correlation, uint32_t operations) override;
  void Resolved(const Activity& activity) override;

  // The client's side. Each takes the lock itself.
  CUptiResult RegisterCallbacks(CUpti_BuffersCallbackRequestFunc request,
                                CUpti_BuffersCallbackCompleteFunc complete);
  CUptiResult Enable(CUpti_ActivityKind kind, bool enable);
  CUptiResult EnableApi(bool driver, CUpti_CallbackId cbid, bool enable);
  CUptiResult FlushAll(bool forced);
  CUptiResult Push(CUpti_ExternalCorrelationKind kind, uint64_t id);
  CUptiResult Pop(CUpti_ExternalCorrelationKind kind, uint64_t* id);
  CUptiResult Dropped(size_t* dropped);
  CUptiResult Subscribe(CUpti_SubscriberHandle* subscriber);
  CUptiResult Unsubscribe(CUpti_SubscriberHandle subscriber);
  void Finalize();

  static uint64_t TimestampOf(int64_t monotonic_ns);

 private:
  // A record that waits to be complete, or to find room in a buffer.
  struct Pending {
    int64_t end_ns = 0;
    std::vector<char> bytes;
    bool operator<(const Pending& other) const { return end_ns > other.end_ns; }  // a min-heap
  };
  struct Buffer {
    uint8_t* data = nullptr;
    size_t size = 0;
    size_t used = 0;
  };

  // A graph's launch that is told as one piece.
  struct GraphRun {
    uint32_t expected = 0;  // operations; 0 = not launched yet
    uint32_t resolved = 0;
    CUpti_ActivityGraphTrace2 record{};
    int64_t end_ns = 0;
  };
  void KeepGraph(uint32_t correlation);

  bool IsEnabled(CUpti_ActivityKind kind) const { return kinds_.count(kind) != 0; }
  // True if some kind of work is traced: then the engine tells us.
  void ConnectEngine(std::unique_lock<std::mutex>* held);
  template <typename Record>
  void Keep(const Record& record, int64_t end_ns);
  const char* Name(const std::string& text);
  // Moves complete records into buffers; returns the full ones, all if `everything`.
  std::vector<Buffer> Collect(std::unique_lock<std::mutex>* held, bool everything, bool forced);
  void Deliver(std::unique_lock<std::mutex>* held, const std::vector<Buffer>& buffers);
  void RunWorker();

  std::mutex lock_;
  std::condition_variable wake_;
  bool worker_runs_ = false;
  bool connected_ = false;
  bool subscribed_ = false;
  uint32_t next_correlation_ = 1;
  std::set<CUpti_ActivityKind> kinds_;
  std::set<CUpti_CallbackId> driver_apis_;
  std::set<CUpti_CallbackId> runtime_apis_;
  CUpti_BuffersCallbackRequestFunc request_ = nullptr;
  CUpti_BuffersCallbackCompleteFunc complete_ = nullptr;
  std::deque<std::vector<char>> ready_;  // complete records in order
  std::vector<Pending> pending_;         // heap by end
  Buffer open_;
  size_t dropped_ = 0;
  std::map<uint32_t, GraphRun> graphs_;  // by correlation id
  std::unordered_set<std::string> names_;
};

}  // namespace simgpu
