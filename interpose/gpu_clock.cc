// The job threads' half of gpu_clock.h: choosing a back end, pools of event pairs, recording
// events.
//
// See gpu_clock.h for what an event pair means; gpu_times.cc reads what is recorded here.
#include "interpose/gpu_clock.h"

#include <new>

#include "interpose/clock.h"
#include "interpose/cupti_clock.h"
#include "interpose/gpu_clock_state.h"
#include "interpose/memory.h"
#include "interpose/session.h"

namespace mfutrace::interpose {
namespace {

// A pair's number: pool index above, index + 1 below; 0 = none.
constexpr uint32_t kPairBits = 20;
constexpr uint32_t kPairMask = (1u << kPairBits) - 1;
// Pairs that one call creates when the pool runs dry: a few dozen microseconds, once per so many
// calls.
constexpr uint32_t kCreatedAtOnce = 16;

constexpr uint64_t kTagStep = uint64_t{1} << 32;
constexpr uint64_t kIndexMask = kTagStep - 1;

uint32_t PopFree(EventPool& pool) {
  uint64_t head = pool.free_list.load(std::memory_order_acquire);
  while ((head & kIndexMask) != 0) {
    const uint32_t index = static_cast<uint32_t>(head & kIndexMask);
    const uint64_t next = pool.pairs[index - 1].next_free.load(std::memory_order_relaxed);
    // The tag makes a head that was popped and pushed again in between look different.
    const uint64_t wanted = ((head & ~kIndexMask) + kTagStep) | next;
    if (pool.free_list.compare_exchange_weak(head, wanted, std::memory_order_acq_rel,
                                             std::memory_order_acquire)) {
      return index;
    }
  }
  return 0;
}

void PushFree(EventPool& pool, uint32_t index) {
  uint64_t head = pool.free_list.load(std::memory_order_relaxed);
  uint64_t wanted = 0;
  do {
    pool.pairs[index - 1].next_free.store(static_cast<uint32_t>(head & kIndexMask),
                                          std::memory_order_relaxed);
    wanted = ((head & ~kIndexMask) + kTagStep) | index;
  } while (!pool.free_list.compare_exchange_weak(head, wanted, std::memory_order_acq_rel,
                                                 std::memory_order_relaxed));
}

// Events are made in the current context, which is another than the stream's where a thread of one
// device issues work to another (NCCL groups over several devices). True if it must be popped.
bool MakeCurrent(const EventPool& pool, const Driver& driver) {
  void* current = nullptr;
  if (driver.ctx_get_current(&current) != cuda::kSuccess || current == pool.context) return false;
  return driver.ctx_push_current != nullptr && driver.ctx_pop_current != nullptr &&
         driver.ctx_push_current(pool.context) == cuda::kSuccess;
}

// Creates a batch and returns one of it. No lock: every thread claims its own range.
uint32_t CreatePairs(EventPool& pool, const Driver& driver) {
  if (pool.created.load(std::memory_order_relaxed) >= pool.capacity) return 0;
  const uint32_t begin = pool.created.fetch_add(kCreatedAtOnce, std::memory_order_relaxed);
  const uint32_t end =
      begin + kCreatedAtOnce < pool.capacity ? begin + kCreatedAtOnce : pool.capacity;
  // cuEventCreate is not among the calls that a capture forbids, but nothing promises it.
  int mode = cuda::kCaptureModeRelaxed;
  const bool is_relaxed = driver.thread_exchange_capture_mode(&mode) == cuda::kSuccess;
  const bool is_pushed = MakeCurrent(pool, driver);
  uint32_t mine = 0;
  for (uint32_t i = begin; i < end; ++i) {
    EventPair& pair = pool.pairs[i];
    if (driver.event_create(&pair.start, 0) != cuda::kSuccess) break;
    if (driver.event_create(&pair.stop, 0) != cuda::kSuccess) break;
    if (mine == 0) {
      mine = i + 1;
    } else {
      PushFree(pool, i + 1);
    }
  }
  if (is_pushed) {
    void* popped = nullptr;
    driver.ctx_pop_current(&popped);
  }
  if (is_relaxed) driver.thread_exchange_capture_mode(&mode);
  if (begin < end && mine == 0) pool.is_dead.store(true, std::memory_order_release);
  return mine;
}

void WakeOnce(Session& session) {
  if (!session.clock.pool_is_low.exchange(true, std::memory_order_relaxed)) {
    session.wake_flusher.Raise();
  }
}

}  // namespace

void ChangeTiming(Session& session, TimingBackend backend, const char* reason) {
  session.clock.reason = reason;
  session.clock.changed_ns = MonotonicNs();
  session.clock.backend.store(backend, std::memory_order_release);
}

void ChooseTiming(Session& session, const Driver& driver) {
  const Options& options = session.options;
  TimingBackend backend = TimingBackend::kCount;
  const char* reason = nullptr;
  if (options.timing == TimingChoice::kCount) {
    reason = "asked for by MFUTRACE_TIMING";
  } else if (!driver.CanTime()) {
    reason = "the CUDA driver in the process lacks functions that event timing needs";
  } else if (options.timing == TimingChoice::kEvents) {
    backend = TimingBackend::kEvents;
    session.clock.is_for_one_stream = options.has_one_connection && !options.force_events;
    reason =
        session.clock.is_for_one_stream
            ? "asked for by MFUTRACE_TIMING; with CUDA_DEVICE_MAX_CONNECTIONS=1 only while the "
              "job uses one stream"
            : "asked for by MFUTRACE_TIMING";
  } else if (options.timing == TimingChoice::kCupti) {
    backend = options.has_one_connection ? TimingBackend::kCount : TimingBackend::kEvents;
    reason = "until CUPTI has started";
    session.wake_flusher.Raise();
  } else if (options.has_one_connection && !options.force_events) {
    reason =
        "CUDA_DEVICE_MAX_CONNECTIONS=1, where timing events would serialise overlapping streams";
  } else {
    backend = TimingBackend::kEvents;
    reason = options.has_one_connection ? "forced by MFUTRACE_FORCE_EVENTS"
                                        : "the best back end available in this process";
  }
  // CUPTI is tried in the flusher's first round, and what it is worth waiting for comes late else.
  if (options.timing == TimingChoice::kAuto) session.wake_flusher.Raise();
  ChangeTiming(session, backend, reason);
}

void SeeStream(Session& session, uint64_t stream) {
  GpuClock& clock = session.clock;
  if (!clock.is_for_one_stream) return;
  uint64_t known = 0;
  if (clock.only_stream.compare_exchange_strong(known, stream + 1, std::memory_order_acq_rel) ||
      known == stream + 1) {
    return;
  }
  TimingBackend expected = TimingBackend::kEvents;
  if (clock.backend.load(std::memory_order_relaxed) != expected) return;
  clock.reason =
      "CUDA_DEVICE_MAX_CONNECTIONS=1, and the job has come to use a second stream, which timing "
      "events would serialise with the first";
  clock.backend.store(TimingBackend::kCount, std::memory_order_release);
}

Capture CaptureOf(const Driver* driver, void* stream) {
  if (driver == nullptr || driver->stream_is_capturing == nullptr) return Capture::kUnknown;
  int status = cuda::kCaptureStatusNone;
  // On the legacy stream during another stream's capture this is an error (906) that leaves the
  // capture as it is: the stream itself is not capturing, but nothing may be recorded on it.
  if (driver->stream_is_capturing(stream, &status) != cuda::kSuccess) return Capture::kUnknown;
  return status == cuda::kCaptureStatusNone ? Capture::kNo : Capture::kYes;
}

EventPair& PairAt(Session& session, uint32_t pair) {
  return PoolAt(session, pair).pairs[(pair & kPairMask) - 1];
}

EventPool& PoolAt(Session& session, uint32_t pair) {
  return *session.clock.pools[pair >> kPairBits].load(std::memory_order_acquire);
}

void ReleasePair(Session& session, uint32_t number) {
  if (IsTicket(number)) return ReleaseTicket(session, number);
  EventPair& pair = PairAt(session, number);
  if (pair.sharers.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  pair.reading = EventPair::Reading::kNone;
  EventPool& pool = PoolAt(session, number);
  pool.in_use.fetch_sub(1, std::memory_order_relaxed);
  // A pair whose start event became an anchor and could not be replaced is retired.
  if (pair.start != nullptr) PushFree(pool, number & kPairMask);
}

EventPool* PoolOf(Session& session, void* context, int32_t device) {
  GpuClock& clock = session.clock;
  LockGuard guard(clock.pool_lock);
  const uint32_t count = clock.pool_count.load(std::memory_order_relaxed);
  uint32_t dead = 0;
  for (uint32_t i = 0; i < count; ++i) {
    EventPool* pool = clock.pools[i].load(std::memory_order_relaxed);
    if (pool->context != context) continue;
    if (!pool->is_dead.load(std::memory_order_acquire)) return pool;
    ++dead;
  }
  // A context that comes back at the address of a dead one gets a new pool; one that is merely
  // broken (a sticky error) must not use them all up.
  constexpr uint32_t kMostPoolsPerContext = 8;
  if (count == GpuClock::kMaxPools || dead == kMostPoolsPerContext) return nullptr;
  const uint32_t capacity =
      session.options.event_pairs < kPairMask ? session.options.event_pairs : kPairMask - 1;
  void* memory = MapPages(sizeof(EventPool));
  void* pairs = MapPages(sizeof(EventPair) * capacity);
  if (memory == nullptr || pairs == nullptr) {
    UnmapPages(memory, sizeof(EventPool));
    UnmapPages(pairs, sizeof(EventPair) * capacity);
    return nullptr;
  }
  EventPool* pool = new (memory) EventPool();
  pool->context = context;
  pool->device = device;
  pool->index = count;
  pool->capacity = capacity;
  pool->pairs = static_cast<EventPair*>(pairs);  // zeroed pages are valid pairs
  clock.pools[count].store(pool, std::memory_order_release);
  clock.pool_count.store(count + 1, std::memory_order_release);
  return pool;
}

Bracket OpenBracketOn(Session& session, const Driver& driver, EventPool* pool, void* stream) {
  if (session.clock.backend.load(std::memory_order_acquire) == TimingBackend::kCupti) {
    const Bracket bracket{OpenTicket(session)};
    if (bracket.pair == 0) Count(Counter::kUntimedNoTicket);
    return bracket;
  }
  if (pool == nullptr) {
    Count(Counter::kUntimedNoContext);
    return {};
  }
  if (pool->is_dead.load(std::memory_order_acquire)) {
    Count(Counter::kUntimedEventError);
    return {};
  }
  uint32_t index = PopFree(*pool);
  if (index == 0) index = CreatePairs(*pool, driver);
  if (index == 0) {
    Count(Counter::kUntimedPoolEmpty);
    WakeOnce(session);
    return {};
  }
  EventPair& pair = pool->pairs[index - 1];
  pair.sharers.store(1, std::memory_order_relaxed);
  pair.has_failed.store(false, std::memory_order_relaxed);
  const uint32_t in_use = pool->in_use.fetch_add(1, std::memory_order_relaxed) + 1;
  if (in_use > pool->capacity / 2) WakeOnce(session);
  const Bracket bracket{pool->index << kPairBits | index};
  pair.host_before_ns = MonotonicNs();
  const int result = driver.event_record(pair.start, stream);
  if (result != cuda::kSuccess) {
    // An invalid handle may be the stream's fault; anything else is the context's.
    if (result != cuda::kErrorInvalidHandle) pool->is_dead.store(true, std::memory_order_release);
    Count(Counter::kUntimedEventError);
    ReleasePair(session, bracket.pair);
    return {};
  }
  return bracket;
}

Bracket OpenBracket(void* stream) {
  Session* session = ObservedSession();
  if (session == nullptr) return {};
  if (!session->windows.is_open.load(std::memory_order_relaxed) ||
      session->clock.backend.load(std::memory_order_acquire) < TimingBackend::kEvents) {
    return {};
  }
  const ErrnoGuard keep_errno;
  const Driver* driver = DriverOf(*session);
  ThreadState* thread = CurrentThread(session);
  if (driver == nullptr || thread == nullptr) return {};
  // Not counted here: the group's calls have counted it, each for itself.
  const Capture capture = CaptureOf(driver, stream);
  if (capture != Capture::kNo) return {};
  const CachedLane* lane = LaneOf(*session, *thread, driver, stream, capture);
  return OpenBracketOn(*session, *driver, lane == nullptr ? nullptr : lane->pool, stream);
}

void CloseBracket(Bracket bracket, void* stream) {
  if (bracket.pair == 0) return;
  const ErrnoGuard keep_errno;
  // Not ObservedSession: the pair belongs to the session that opened it, even if that has ended by
  // now.
  Session* session = SessionOfOpenCalls();
  if (session == nullptr) return;
  if (IsTicket(bracket.pair)) return CloseTicket(*session, bracket.pair);
  EventPair& pair = PairAt(*session, bracket.pair);
  if (session->driver.event_record(pair.stop, stream) == cuda::kSuccess) return;
  pair.has_failed.store(true, std::memory_order_relaxed);
}

void ShareBracket(Bracket bracket) {
  if (bracket.pair == 0) return;
  Session* session = SessionOfOpenCalls();
  if (session == nullptr) return;
  if (IsTicket(bracket.pair)) return ShareTicket(*session, bracket.pair);
  PairAt(*session, bracket.pair).sharers.fetch_add(1, std::memory_order_relaxed);
}

void DiscardBracket(Bracket bracket) {
  if (bracket.pair == 0) return;
  Session* session = SessionOfOpenCalls();
  if (session == nullptr) return;
  // A call that failed has not closed it, and nothing of a later call may be taken for its kernels.
  if (IsTicket(bracket.pair)) CloseTicket(*session, bracket.pair);
  ReleasePair(*session, bracket.pair);
}

bool IsCapturing(void* stream) {
  Session* session = ObservedSession();
  if (session == nullptr) return false;
  const ErrnoGuard keep_errno;
  return CaptureOf(DriverOf(*session), stream) == Capture::kYes;
}

}  // namespace mfutrace::interpose
