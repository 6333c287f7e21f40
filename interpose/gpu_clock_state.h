// The data behind gpu_clock.h: pools of event pairs, one a context, and the clocks of devices.
//
// Job threads take pairs and record their events (gpu_clock.cc); the flusher alone reads them,
// keeps the anchors and gives pairs back (gpu_times.cc).
#pragma once

#include <atomic>
#include <cstdint>

#include "interpose/lock.h"

namespace mfutrace::interpose {

struct ThreadState;

enum class TimingBackend : uint8_t { kUndecided, kCount, kEvents, kCupti };

struct EventPair {
  void* start;
  void* stop;
  int64_t host_before_ns;           // read before the start event was recorded
  std::atomic<uint32_t> sharers;    // records, queued or to come, that refer to this pair
  std::atomic<uint32_t> next_free;  // index + 1
  std::atomic<bool> has_failed;     // the stop event could not be recorded

  // The flusher's, until the last sharer is gone.
  enum class Reading : uint8_t { kNone, kTimed, kUntimed };
  Reading reading;
  int64_t begin_ns;  // device time
  int64_t end_ns;
};

struct EventPool {
  void* context;
  int32_t device;
  uint32_t index;  // in GpuClock::pools
  uint32_t capacity;
  EventPair* pairs;
  std::atomic<bool> is_dead;      // its context is gone or broken
  std::atomic<uint32_t> created;  // pairs with events (or claimed for them)
  std::atomic<uint32_t> in_use;
  std::atomic<uint64_t> free_list;  // tag << 32 | index + 1

  // The flusher's.
  void* anchor;  // an event whose device time is anchor_ns; nullptr before the first
  int64_t anchor_ns;
  void* far_anchor;  // the anchor before the last gap; nullptr before the first
  int64_t far_anchor_ns;
  uint32_t gap_measurements;
  double gap_least_ns;  // what the measurements of that gap say anchor_ns should be moved by
  double gap_most_ns;
  void* calibration_event;
  void* calibration_second;  // recorded right behind it
  void* calibration_stream;
  bool cannot_calibrate;
};

// How far instants of the device's clock lie from the host's: host time - device time is at least
// `least_ns` (nothing completes before it was asked for) and at most `most_ns` (it was seen
// complete).
struct OffsetBounds {
  bool has_least;
  bool has_most;
  int64_t least_ns;
  int64_t most_ns;
  int64_t gpu_ns;  // the instant they speak of
};

// The flusher's.
struct DeviceClock {
  int32_t ordinal;
  bool has_epoch;
  int64_t epoch_host_ns;  // about when, on the host's clock
  int64_t newest_gpu_ns;
  bool has_calibrated_shift;
  int64_t calibrated_shift_ns;  // host time - device time, the middle of the last calibration
  bool has_host_shift;
  int64_t host_shift_ns;  // host time - device time, as DeviceTimeOf takes it; fixed once asked for
  OffsetBounds bounds;    // from the job's own events, since the last calibration
  int64_t bounds_since_ns;
  int64_t calibrated_at_ns;  // host; 0 = never
  bool is_calibrated;        // the last calibration gave a sample
  int64_t last_duration_ns;
  int64_t resolution_ns;  // smallest difference between two durations; 0 = none seen
  int64_t event_gpu_ns;   // from one event to the next on an idle stream; -1 = not told
};

struct GpuClock {
  static constexpr uint32_t kMaxPools = 256;
  static constexpr uint32_t kMaxDevices = 64;

  std::atomic<TimingBackend> backend;
  const char* reason;  // static storage; written before `backend`
  int64_t changed_ns;  // host; likewise
  // Events until a second stream shows up (CUDA_DEVICE_MAX_CONNECTIONS=1, not forced).
  bool is_for_one_stream;
  std::atomic<uint64_t> only_stream;  // handle + 1; 0 = none yet
  Lock pool_lock;
  std::atomic<uint32_t> pool_count;
  std::atomic<EventPool*> pools[kMaxPools];
  std::atomic<bool> pool_is_low;  // the flusher has been woken for it

  DeviceClock devices[kMaxDevices];
  uint32_t device_count;
  void* current_context;  // of the flusher's thread
  bool is_relaxed;        // the flusher's capture mode has been exchanged
};

struct Driver;
struct Session;
struct CachedLane;

// From now on calls are timed by `backend`. One thread at a time.
void ChangeTiming(Session& session, TimingBackend backend, const char* reason);

// Decides the back end and its reason, when the driver is found.
void ChooseTiming(Session& session, const Driver& driver);

// A stream that a thread has not used before. Where all streams share one queue, the second one
// ends timing by events.
void SeeStream(Session& session, uint64_t stream);

// The pool of this context, made if need be; nullptr if there can be none.
EventPool* PoolOf(Session& session, void* context, int32_t device);

// The pair behind a Bracket's number, and one share of it given back.
EventPair& PairAt(Session& session, uint32_t pair);
EventPool& PoolAt(Session& session, uint32_t pair);
void ReleasePair(Session& session, uint32_t pair);

// OpenBracket for a lane already known, on a stream known not to capture.
struct Bracket;
Bracket OpenBracketOn(Session& session, const Driver& driver, EventPool* pool, void* stream);

// What the driver says of the stream. kUnknown: it would not tell (an error, or no driver).
enum class Capture : uint8_t { kNo, kYes, kUnknown };
Capture CaptureOf(const Driver* driver, void* stream);

// The calling thread's lane for this stream, from its cache or made now; nullptr if it cannot be
// kept.
const CachedLane* LaneOf(Session& session, ThreadState& thread, const Driver* driver, void* stream,
                         Capture capture);

}  // namespace mfutrace::interpose
