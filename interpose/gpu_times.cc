// See gpu_times.h.
#include "interpose/gpu_times.h"

#include "interpose/clock.h"
#include "interpose/counters.h"
#include "interpose/flusher_state.h"
#include "interpose/session.h"

namespace mfutrace::interpose {
namespace {

constexpr int64_t kMinuteNs = 60'000'000'000;
// Bounds from the job's events hold for this long: clocks drift apart by some 10 us a second, and a
// longer window's bounds would contradict each other.
constexpr int64_t kBoundsWindowNs = 5'000'000'000;
// Up to 2^24 ns a float of milliseconds resolves better than 1 ns, so hops of this length add no
// error at all (gpu_clock.h). The anchor moves on well before.
constexpr int64_t kExactNs = 1 << 24;
constexpr int64_t kReanchorNs = 8'000'000;
// Measurements across a gap that are put together.
constexpr uint32_t kMeasurementsOfAGap = 64;
// A calibration asks and waits at most this long, busy on the flusher's own processor.
constexpr int64_t kCalibrationNs = 200'000;
constexpr int kCalibrationAttempts = 3;

DeviceClock* ClockOf(GpuClock& clock, int32_t ordinal) {
  for (uint32_t i = 0; i < clock.device_count; ++i) {
    if (clock.devices[i].ordinal == ordinal) return &clock.devices[i];
  }
  if (clock.device_count == GpuClock::kMaxDevices) return nullptr;
  DeviceClock& added = clock.devices[clock.device_count++];
  added = DeviceClock{};
  added.event_gpu_ns = -1;
  added.ordinal = ordinal;
  return &added;
}

// Before every use of a pool. False if CUDA must not, or can not, be called for it.
bool MakeCurrent(Session& session, EventPool& pool) {
  if (session.is_abandoned.load(std::memory_order_acquire)) return false;
  if (session.clock.current_context == pool.context) return true;
  session.clock.current_context = nullptr;
  if (session.driver.ctx_set_current(pool.context) != cuda::kSuccess) return false;
  session.clock.current_context = pool.context;
  return true;
}

// end - begin in nanoseconds; false if the driver will not tell.
bool Elapsed(const Driver& driver, void* begin, void* end, double& elapsed_ns) {
  float milliseconds = 0;
  if (driver.event_elapsed_time(&milliseconds, begin, end) != cuda::kSuccess) return false;
  elapsed_ns = static_cast<double>(milliseconds) * 1e6;
  return elapsed_ns > -9e15 && elapsed_ns < 9e15;
}

int64_t Rounded(double ns) { return static_cast<int64_t>(ns < 0 ? ns - 0.5 : ns + 0.5); }

// The device time of an anchor-to-be in a pool that has none yet.
int64_t FirstTime(Session& session, const EventPool& pool, DeviceClock& device, void* event,
                  int64_t host_before_ns) {
  GpuClock& clock = session.clock;
  if (!device.has_epoch) {
    device.has_epoch = true;
    device.epoch_host_ns = host_before_ns;
    return 0;
  }
  // Another context of the same device: measured against its anchor where the driver can do that,
  // else placed by the host's clock, which is off by the time the work waited in its queue.
  const uint32_t count = clock.pool_count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; ++i) {
    const EventPool& other = *clock.pools[i].load(std::memory_order_acquire);
    double elapsed_ns = 0;
    if (&other == &pool || other.device != pool.device || other.anchor == nullptr ||
        other.is_dead.load(std::memory_order_acquire)) {
      continue;
    }
    if (Elapsed(session.driver, other.anchor, event, elapsed_ns)) {
      return other.anchor_ns + Rounded(elapsed_ns);
    }
  }
  return host_before_ns - device.epoch_host_ns;
}

// An event in exchange for one that becomes an anchor; nullptr if none can be made.
void* Spare(Session& session) {
  void* event = nullptr;
  return session.driver.event_create(&event, 0) == cuda::kSuccess ? event : nullptr;
}

// The first event after a gap: the anchor stays behind as the far one, and what lies between them
// is known as well as one float tells.
void CrossGap(Session& session, EventPool& pool, void*& event, int64_t at_ns) {
  void* spare = pool.far_anchor == nullptr ? Spare(session) : pool.far_anchor;
  pool.far_anchor = pool.anchor;
  pool.far_anchor_ns = pool.anchor_ns;
  pool.anchor = event;
  pool.anchor_ns = at_ns;
  event = spare;
  pool.gap_measurements = 1;
  pool.gap_least_ns = 0;
  pool.gap_most_ns = 0;
}

// Events after a gap lie exactly known distances apart, so each of them measures the gap anew, with
// a rounding error of its own between -ulp/2 and ulp/2. The middle of the range that n of them span
// is off by about ulp/n. at_ns is the event's time so far and moves with the anchor.
void MeasureGapAgain(Session& session, EventPool& pool, void* event, int64_t& at_ns) {
  double from_far_ns = 0;
  if (!Elapsed(session.driver, pool.far_anchor, event, from_far_ns)) return;
  ++pool.gap_measurements;
  const double correction_ns = from_far_ns - static_cast<double>(at_ns - pool.far_anchor_ns);
  if (correction_ns < pool.gap_least_ns) pool.gap_least_ns = correction_ns;
  if (correction_ns > pool.gap_most_ns) pool.gap_most_ns = correction_ns;
  const int64_t shift_ns = Rounded((pool.gap_least_ns + pool.gap_most_ns) / 2);
  pool.anchor_ns += shift_ns;
  at_ns += shift_ns;
  pool.gap_least_ns -= static_cast<double>(shift_ns);
  pool.gap_most_ns -= static_cast<double>(shift_ns);
}

// Device time of a completed event, moving the anchor on where it is old: the event then becomes
// the anchor, and `event` is another in its place (nullptr if none could be made).
bool TimeOf(Session& session, EventPool& pool, DeviceClock& device, void*& event,
            int64_t host_before_ns, int64_t& at_ns) {
  if (pool.anchor == nullptr) {
    at_ns = FirstTime(session, pool, device, event, host_before_ns);
    pool.anchor = event;
    pool.anchor_ns = at_ns;
    event = Spare(session);
    return true;
  }
  double from_anchor_ns = 0;
  if (!Elapsed(session.driver, pool.anchor, event, from_anchor_ns)) return false;
  const int64_t elapsed_ns = Rounded(from_anchor_ns);
  at_ns = pool.anchor_ns + elapsed_ns;
  if (elapsed_ns > kExactNs) {
    CrossGap(session, pool, event, at_ns);
    return true;
  }
  const bool is_measuring =
      pool.far_anchor != nullptr && pool.gap_measurements < kMeasurementsOfAGap;
  if (is_measuring && elapsed_ns >= -kExactNs) MeasureGapAgain(session, pool, event, at_ns);
  if (elapsed_ns >= kReanchorNs) {
    void* old = pool.anchor;
    pool.anchor = event;
    pool.anchor_ns = at_ns;
    event = old;
  }
  return true;
}

void Bound(DeviceClock& device, int64_t begin_ns, int64_t host_before_ns, int64_t end_ns,
           int64_t host_seen_ns) {
  OffsetBounds& bounds = device.bounds;
  const int64_t least_ns = host_before_ns - begin_ns;
  const int64_t most_ns = host_seen_ns - end_ns;
  if (!bounds.has_least || least_ns > bounds.least_ns) bounds.least_ns = least_ns;
  if (!bounds.has_most || most_ns < bounds.most_ns) bounds.most_ns = most_ns;
  bounds.has_least = true;
  bounds.has_most = true;
  bounds.gpu_ns = end_ns;
  if (end_ns > device.newest_gpu_ns) device.newest_gpu_ns = end_ns;
}

// Times are multiples of what the device's clock resolves, so differences between them are too.
void SeeDuration(DeviceClock& device, int64_t duration_ns) {
  if (duration_ns > kReanchorNs) return;  // a float of milliseconds is coarser itself
  int64_t step_ns = duration_ns - device.last_duration_ns;
  if (step_ns < 0) step_ns = -step_ns;
  device.last_duration_ns = duration_ns;
  if (step_ns != 0 && (device.resolution_ns == 0 || step_ns < device.resolution_ns)) {
    device.resolution_ns = step_ns;
  }
}

bool ReadTimes(Session& session, EventPool& pool, EventPair& pair) {
  DeviceClock* device = ClockOf(session.clock, pool.device);
  if (device == nullptr) return false;
  const int64_t host_seen_ns = MonotonicNs();
  double duration_ns = 0;
  // First, since TimeOf may exchange the start event.
  if (!Elapsed(session.driver, pair.start, pair.stop, duration_ns)) return false;
  SeeDuration(*device, Rounded(duration_ns));
  if (!TimeOf(session, pool, *device, pair.start, pair.host_before_ns, pair.begin_ns)) return false;
  pair.end_ns = pair.begin_ns + (duration_ns < 0 ? 0 : Rounded(duration_ns));
  Bound(*device, pair.begin_ns, pair.host_before_ns, pair.end_ns, host_seen_ns);
  return true;
}

void MarkDead(EventPool& pool) {
  pool.is_dead.store(true, std::memory_order_release);
  Count(Counter::kUntimedLost);
}

// Where a calibration's event is on both clocks.
struct Calibration {
  int64_t event_gpu_ns = -1;  // from it to the event behind it
  int64_t gpu_ns = 0;
  int64_t host_min_ns = 0;
  int64_t host_max_ns = INT64_MAX;

  int64_t width_ns() const { return host_max_ns - host_min_ns; }
};

// One event on the flusher's own stream, which nothing waits for: its time lies between the two
// readings of the host's clock around it.
bool CalibrateOnce(Session& session, EventPool& pool, Calibration& best) {
  const Driver& driver = session.driver;
  const int64_t before_ns = MonotonicNs();
  if (driver.event_record(pool.calibration_event, pool.calibration_stream) != cuda::kSuccess ||
      driver.event_record(pool.calibration_second, pool.calibration_stream) != cuda::kSuccess) {
    return false;
  }
  int64_t after_ns = 0;
  for (;;) {
    const int result = driver.event_query(pool.calibration_event);
    after_ns = MonotonicNs();
    if (result == cuda::kSuccess) break;
    if (result != cuda::kErrorNotReady) return false;
    if (after_ns - before_ns > kCalibrationNs)
      return true;  // the device is busy: no sample this time
  }
  double event_ns = 0;
  if (driver.event_query(pool.calibration_second) == cuda::kSuccess &&
      Elapsed(driver, pool.calibration_event, pool.calibration_second, event_ns) &&
      (best.event_gpu_ns < 0 || event_ns < static_cast<double>(best.event_gpu_ns))) {
    best.event_gpu_ns = Rounded(event_ns);
  }
  double from_anchor_ns = 0;
  if (!Elapsed(driver, pool.anchor, pool.calibration_event, from_anchor_ns)) return false;
  // The event does not become the anchor, whatever the distance: records that wait to be read may
  // lie far behind it. What a float leaves open widens the bounds instead.
  const int64_t error_ns = static_cast<int64_t>(from_anchor_ns / (1 << 24)) + 1;
  Calibration sample;
  sample.gpu_ns = pool.anchor_ns + Rounded(from_anchor_ns);
  sample.host_min_ns = before_ns - error_ns;
  sample.host_max_ns = after_ns + error_ns;
  sample.event_gpu_ns = best.event_gpu_ns;
  best.event_gpu_ns = sample.event_gpu_ns;
  if (sample.width_ns() < best.width_ns()) best = sample;
  return true;
}

bool Calibrate(Session& session, EventPool& pool, Calibration& best) {
  const Driver& driver = session.driver;
  if (pool.cannot_calibrate || driver.stream_create == nullptr) return false;
  if (!MakeCurrent(session, pool)) return false;
  if (pool.calibration_stream == nullptr &&
      (driver.stream_create(&pool.calibration_stream, cuda::kStreamNonBlocking) != cuda::kSuccess ||
       driver.event_create(&pool.calibration_event, 0) != cuda::kSuccess ||
       driver.event_create(&pool.calibration_second, 0) != cuda::kSuccess)) {
    pool.cannot_calibrate = true;
    return false;
  }
  best = Calibration{};
  for (int i = 0; i < kCalibrationAttempts; ++i) {
    if (CalibrateOnce(session, pool, best)) continue;
    pool.cannot_calibrate = true;
    break;
  }
  return best.host_max_ns != INT64_MAX;
}

// What the job's own events say, where they agree with one another.
void WriteBounds(Flusher& flusher, DeviceClock& device) {
  const OffsetBounds& bounds = device.bounds;
  if (bounds.has_least && bounds.has_most && bounds.least_ns <= bounds.most_ns) {
    WriteClockSample(flusher, device.ordinal, bounds.gpu_ns, bounds.gpu_ns + bounds.least_ns,
                     bounds.gpu_ns + bounds.most_ns);
  }
}

// Through the first of the device's contexts that can do it.
bool CalibrateDevice(Flusher& flusher, DeviceClock& device) {
  Session& session = *flusher.session;
  // Where all streams share one connection, an event of ours could stand in front of the job's
  // work.
  if (session.options.has_one_connection) return false;
  const uint32_t count = session.clock.pool_count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; ++i) {
    EventPool& pool = *session.clock.pools[i].load(std::memory_order_acquire);
    if (pool.device != device.ordinal || pool.anchor == nullptr ||
        pool.is_dead.load(std::memory_order_acquire)) {
      continue;
    }
    Calibration sample;
    if (!Calibrate(session, pool, sample)) continue;
    WriteClockSample(flusher, device.ordinal, sample.gpu_ns, sample.host_min_ns,
                     sample.host_max_ns);
    if (sample.event_gpu_ns >= 0) device.event_gpu_ns = sample.event_gpu_ns;
    device.has_calibrated_shift = true;
    device.calibrated_shift_ns = sample.host_min_ns + sample.width_ns() / 2 - sample.gpu_ns;
    return true;
  }
  return false;
}

}  // namespace

void RelaxCaptureMode(Session& session) {
  if (session.clock.is_relaxed) return;
  session.clock.is_relaxed = true;
  int mode = cuda::kCaptureModeRelaxed;
  if (session.driver.thread_exchange_capture_mode != nullptr) {
    session.driver.thread_exchange_capture_mode(&mode);
  }
}

PairState ReadPair(Session& session, uint32_t number, bool give_up, int64_t& begin_ns,
                   int64_t& end_ns) {
  EventPair& pair = PairAt(session, number);
  EventPool& pool = PoolAt(session, number);
  if (pair.reading == EventPair::Reading::kNone) {
    pair.reading = EventPair::Reading::kUntimed;
    if (pair.has_failed.load(std::memory_order_relaxed)) {
      Count(Counter::kUntimedEventError);
    } else if (pool.is_dead.load(std::memory_order_acquire)) {
      Count(Counter::kUntimedLost);
    } else if (!MakeCurrent(session, pool)) {
      MarkDead(pool);
    } else {
      const int result = session.driver.event_query(pair.stop);
      if (result == cuda::kSuccess) {
        if (ReadTimes(session, pool, pair)) {
          pair.reading = EventPair::Reading::kTimed;
        } else {
          Count(Counter::kUntimedEventError);
        }
      } else if (result != cuda::kErrorNotReady) {
        MarkDead(pool);
      } else if (give_up) {
        Count(session.is_stopping.load(std::memory_order_relaxed) ? Counter::kUntimedAtExit
                                                                  : Counter::kUntimedBacklog);
      } else {
        pair.reading = EventPair::Reading::kNone;
        return PairState::kUnfinished;
      }
    }
  }
  begin_ns = pair.begin_ns;
  end_ns = pair.end_ns;
  return pair.reading == EventPair::Reading::kTimed ? PairState::kTimed : PairState::kUntimed;
}

int64_t DeviceTimeOf(Session& session, int32_t ordinal, int64_t host_ns) {
  DeviceClock* device = ClockOf(session.clock, ordinal);
  if (device == nullptr) return 0;
  if (!device->has_host_shift) {
    device->has_host_shift = true;
    if (!device->has_epoch) {
      device->has_epoch = true;
      device->epoch_host_ns = host_ns;
    }
    // A calibration says best where the device's epoch lies; without events it is where we put it.
    device->host_shift_ns =
        device->has_calibrated_shift ? device->calibrated_shift_ns : device->epoch_host_ns;
  }
  return host_ns - device->host_shift_ns;
}

void SampleClocks(Flusher& flusher, bool is_last) {
  Session& session = *flusher.session;
  GpuClock& clock = session.clock;
  const int64_t now_ns = MonotonicNs();
  for (uint32_t i = 0; i < clock.device_count; ++i) {
    DeviceClock& device = clock.devices[i];
    if (is_last || device.calibrated_at_ns == 0 || now_ns - device.calibrated_at_ns >= kMinuteNs) {
      device.calibrated_at_ns = now_ns;
      device.is_calibrated = CalibrateDevice(flusher, device);
    }
    if (is_last || now_ns - device.bounds_since_ns >= kBoundsWindowNs) {
      if (!device.is_calibrated) WriteBounds(flusher, device);
      device.bounds = OffsetBounds{};
      device.bounds_since_ns = now_ns;
    }
    if (device.resolution_ns != 0) {
      SetCounter(Counter::kEventResolutionNs, static_cast<uint64_t>(device.resolution_ns));
    }
    if (device.event_gpu_ns > 0) {
      SetCounter(Counter::kEventGpuNs, static_cast<uint64_t>(device.event_gpu_ns));
    }
  }
}

}  // namespace mfutrace::interpose
