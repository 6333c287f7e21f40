// See flusher.h.
#include "interpose/flusher.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interpose/clock.h"
#include "interpose/cupti_clock.h"
#include "interpose/device_lengths.h"
#include "interpose/flusher_state.h"
#include "interpose/gpu_times.h"
#include "interpose/memory.h"
#include "interpose/say.h"
#include "interpose/text.h"
#include "trace/contract.h"

namespace mfutrace::interpose {
namespace {

constexpr int64_t kMinuteNs = 60'000'000'000;
constexpr int64_t kSecondNs = 1'000'000'000;
// How long CUPTI goes on for work that a closed window has left behind.
constexpr int64_t kCuptiTailNs = 2'000'000'000;
// How long the last round waits for GPU work that is still running.
constexpr int64_t kLastRoundNs = 100'000'000;
constexpr int64_t kPollNs = 1'000'000;
// Records of one thread that wait behind unfinished GPU work. Beyond it the oldest goes untimed:
// the job has most likely hung, and its trace must not eat its memory.
constexpr uint64_t kMostBacklog = 1u << 17;

void Stage(Flusher& flusher, const RingRecord& record, bool is_timed, int64_t begin_ns,
           int64_t end_ns);

// mkdir -p; the last component's failure is met again by open.
void MakeFolders(char* path) {
  for (char* at = path + 1; *at != '\0'; ++at) {
    if (*at != '/') continue;
    *at = '\0';
    mkdir(path, 0777);
    *at = '/';
  }
}

void Fail(Flusher& flusher, const char* what, Saying saying) {
  flusher.has_failed = true;
  Count(Counter::kWriteErrors);
  char buffer[32];
  char detail[128];
  Text text(detail, sizeof detail);
  text.Add(": ").Add(ReasonOf(flusher.writer.last_errno(), buffer, sizeof buffer));
  Say(saying, what, flusher.path, text.c_str());
  StopObserving();
}

// Room for `more` records at the end; false without memory.
bool Reserve(Backlog& backlog, uint64_t more) {
  const uint64_t used = backlog.end - backlog.begin;
  if (used + more <= backlog.capacity) return true;
  uint64_t capacity = backlog.capacity == 0 ? 1024 : backlog.capacity;
  while (capacity < used + more) capacity *= 2;
  auto* records = static_cast<RingRecord*>(MapPages(capacity * sizeof(RingRecord)));
  if (records == nullptr) return false;
  for (uint64_t i = 0; i < used; ++i) {
    records[i] = backlog.records[(backlog.begin + i) & (backlog.capacity - 1)];
  }
  UnmapPages(backlog.records, backlog.capacity * sizeof(RingRecord));
  backlog = Backlog{records, capacity, 0, used};
  return true;
}

// By whichever back end the call was timed.
PairState ReadTime(Flusher& flusher, const RingRecord& record, bool give_up, int64_t& begin_ns,
                   int64_t& end_ns) {
  if (!IsTicket(record.pair)) {
    return ReadPair(*flusher.session, record.pair, give_up, begin_ns, end_ns);
  }
  switch (ReadTicket(*flusher.session, record.pair, record.device, give_up, begin_ns, end_ns)) {
    case cupti::TicketState::kUnfinished:
      return PairState::kUnfinished;
    case cupti::TicketState::kTimed:
      return PairState::kTimed;
    case cupti::TicketState::kUntimed:
      break;
  }
  Count(give_up ? Counter::kUntimedAtExit : Counter::kUntimedNoKernel);
  return PairState::kUntimed;
}

// Stages what is finished; the first unfinished record holds back those behind it, which keeps the
// records of every lane in order.
void StageFinished(Flusher& flusher, ThreadState& thread, bool give_up) {
  Backlog& backlog = thread.backlog;
  while (backlog.begin != backlog.end) {
    RingRecord& record = backlog.records[backlog.begin & (backlog.capacity - 1)];
    const bool is_too_long = backlog.end - backlog.begin > kMostBacklog;
    if ((record.flags & RingRecord::kHasLengths) != 0) {
      if (!ReadLengths(flusher, record.sequence, give_up || is_too_long, record.signature)) return;
      record.flags &= ~RingRecord::kHasLengths;
      record.sequence = 0;
    }
    int64_t begin_ns = 0;
    int64_t end_ns = 0;
    bool is_timed = false;
    if (record.pair != 0) {
      const PairState state = ReadTime(flusher, record, give_up || is_too_long, begin_ns, end_ns);
      if (state == PairState::kUnfinished) return;
      is_timed = state == PairState::kTimed;
      ReleasePair(*flusher.session, record.pair);
    }
    if ((record.flags & RingRecord::kIsCounted) == 0 ||
        !flusher.session->untimed.TryAdd(record.signature, record.device, record.flags & 0xff)) {
      Stage(flusher, record, is_timed, begin_ns, end_ns);
    }
    ++backlog.begin;
  }
}

void Stage(Flusher& flusher, const RingRecord& record, bool is_timed, int64_t begin_ns,
           int64_t end_ns) {
  if (!OpenTrace(flusher)) return;
  flusher.stage[flusher.staged++] = Staged{record, begin_ns, end_ns, is_timed};
  if (flusher.staged == Flusher::kStageCapacity) WriteStage(flusher);
}

void DrainThread(Flusher& flusher, ThreadState& thread) {
  // In pieces: a backlog grows only by what unfinished work holds back.
  constexpr uint64_t kPiece = 1024;
  for (uint64_t waiting = thread.ring.waiting(); waiting != 0;) {
    const uint64_t piece = waiting < kPiece ? waiting : kPiece;
    if (!Reserve(thread.backlog, piece)) return;  // stays in the ring; if that fills, it is counted
    if (thread.writing == ThreadState::Writing::kNotSeen) {
      thread.writing = ThreadState::Writing::kDue;
    }
    Backlog& backlog = thread.backlog;
    for (uint64_t i = 0; i < piece; ++i) {
      backlog.records[backlog.end++ & (backlog.capacity - 1)] = thread.ring.Peek(i);
    }
    thread.ring.Pop(piece);
    waiting -= piece;
    StageFinished(flusher, thread, false);
  }
}

// An ended thread's state is ready for another once everything in it is staged.
void Recycle(Session& session, ThreadState& thread) {
  session.calls_elsewhere.fetch_add(thread.calls.load(std::memory_order_relaxed),
                                    std::memory_order_relaxed);
  thread.calls.store(0, std::memory_order_relaxed);
  std::memset(static_cast<void*>(thread.lanes), 0, sizeof thread.lanes);
  std::memset(static_cast<void*>(thread.signatures), 0, sizeof thread.signatures);
  thread.has_ended.store(false, std::memory_order_relaxed);
  thread.writing = ThreadState::Writing::kNotSeen;
  LockGuard guard(session.thread_lock);
  session.free_threads[session.free_thread_count++] = &thread;
}

// One pass over all threads. True if some GPU work is unfinished.
bool DrainThreads(Flusher& flusher, bool give_up) {
  Session& session = *flusher.session;
  bool has_unfinished = false;
  const uint32_t count = session.thread_count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; ++i) {
    ThreadState& thread = *session.threads[i].load(std::memory_order_acquire);
    // Read before the ring: what an ended thread pushed is all there.
    const bool has_ended = thread.has_ended.load(std::memory_order_acquire);
    StageFinished(flusher, thread, give_up);
    DrainThread(flusher, thread);
    if (give_up) StageFinished(flusher, thread, true);
    const bool is_empty = thread.backlog.begin == thread.backlog.end;
    has_unfinished |= !is_empty;
    if (!has_ended || !is_empty || thread.ring.waiting() != 0) continue;
    if (thread.writing == ThreadState::Writing::kDue) WriteStage(flusher);
    Recycle(session, thread);
  }
  return has_unfinished;
}

void WriteAllCounts(Flusher& flusher, bool is_last) {
  const int64_t now_ns = MonotonicNs();
  if (flusher.session->dropped.is_used() && OpenTrace(flusher)) {
    WriteCounts(flusher, flusher.session->dropped, trace::CountReason::kDropped,
                flusher.counts_since_ns, now_ns);
  }
  flusher.counts_since_ns = now_ns;
  const int64_t every_ns = flusher.session->windows.is_limited ? kMinuteNs : kSecondNs;
  if (is_last || now_ns - flusher.untimed_since_ns >= every_ns) WriteUntimed(flusher);
  // At the limit the file grows by a few counts a minute, not by every round's.
  if (is_last || now_ns - flusher.limited_written_ns >= kMinuteNs) {
    WriteCounts(flusher, flusher.limited, trace::CountReason::kSizeLimit, flusher.limited_since_ns,
                now_ns);
    flusher.limited_since_ns = now_ns;
    flusher.limited_written_ns = now_ns;
  }
}

void Round(Flusher& flusher, bool is_last) {
  const int64_t begin_ns = MonotonicNs();
  Session& session = *flusher.session;
  if (DriverOf(session) != nullptr) RelaxCaptureMode(session);
  session.clock.pool_is_low.store(false, std::memory_order_relaxed);
  SweepLengths(session);
  AdvanceWindows(flusher, is_last);
  const bool is_timing = session.windows.is_open.load(std::memory_order_relaxed);
  if (is_timing) StartCupti(flusher);
  FlushCupti(flusher, false);
  bool has_unfinished = DrainThreads(flusher, false);
  while (is_last && has_unfinished && MonotonicNs() - begin_ns < kLastRoundNs) {
    session.wake_flusher.Wait(session.wake_flusher.value(), kPollNs);
    FlushCupti(flusher, false);
    has_unfinished = DrainThreads(flusher, false);
  }
  if (is_last) FlushCupti(flusher, true);
  if (is_last ||
      (!is_timing && (!has_unfinished || begin_ns - session.windows.closed_ns >= kCuptiTailNs))) {
    StopCupti(flusher);
  }
  if (is_last && has_unfinished) DrainThreads(flusher, true);
  if (flusher.is_open) WriteStage(flusher);
  if (flusher.writer.state() == trace::Writer::State::kFull) LimitWindows(flusher);
  WriteAllCounts(flusher, is_last);
  if (!flusher.is_open) return;
  WriteTables(flusher);  // ends of communicators, lanes and signatures without a record yet
  SampleClocks(flusher, is_last);
  if (is_last || begin_ns - flusher.host_clock_written_ns >= kMinuteNs) WriteHostClock(flusher);
  SetCounter(Counter::kFlusherCpuNs, static_cast<uint64_t>(NanosecondsOf(CLOCK_THREAD_CPUTIME_ID)));
  const bool has_news = flusher.writer.has_unwritten();
  if (has_news || is_last) WriteCounters(flusher);
  if (is_last) {
    trace::EndRecord end{};
    end.monotonic_ns = MonotonicNs();
    end.calls = TotalCalls(session);
    end.reason = static_cast<uint8_t>(flusher.writer.state() == trace::Writer::State::kFull
                                          ? trace::EndReason::kSizeLimit
                                          : trace::EndReason::kExit);
    if (void* to = flusher.writer.Append(trace::BlockKind::kEnd, sizeof end)) {
      std::memcpy(to, &end, sizeof end);
    }
  }
  flusher.writer.Flush();
  if (flusher.writer.state() == trace::Writer::State::kFailed && !flusher.has_failed) {
    Fail(flusher, "the trace ends here: cannot write", Saying::kWriteFailed);
  }
}

void* RunFlusher(void* argument) {
  Flusher& flusher = *static_cast<Flusher*>(argument);
  Session& session = *flusher.session;
  prctl(PR_SET_NAME, "mfutrace", 0, 0, 0);
  while (!flusher.has_failed) {
    const uint32_t seen = session.wake_flusher.value();
    if (session.is_stopping.load(std::memory_order_acquire)) break;
    const int64_t until_ns = UntilNextWindow(session);
    session.wake_flusher.Wait(
        seen, until_ns < session.options.flush_ns ? until_ns : session.options.flush_ns);
    if (session.is_stopping.load(std::memory_order_acquire)) break;
    Round(flusher, false);
  }
  if (!flusher.has_failed) Round(flusher, true);
  flusher.writer.Close();
  session.flusher_is_done.Raise();
  return nullptr;
}

}  // namespace

// At the first round that has a call: processes that make none leave no file.
bool OpenTrace(Flusher& flusher) {
  if (flusher.is_open) return true;
  if (flusher.has_failed) return false;
  Session& session = *flusher.session;
  // Two sessions of one process (fork without exec gives a new pid) cannot start in the same
  // nanosecond; a name that is taken all the same is another machine's with this host name.
  for (int64_t attempt = 0; attempt < 16; ++attempt) {
    Text path(flusher.path, sizeof flusher.path);
    path.Add(session.options.folder).Add("/").Add(session.process.host).Add(".");
    path.Add(int64_t{session.process.pid}).Add(".").Add(session.start_realtime_ns + attempt);
    path.Add(trace::kFileSuffix.data(), trace::kFileSuffix.size());
    if (attempt == 0) MakeFolders(flusher.path);
    flusher.is_open = flusher.writer.Open(flusher.path, static_cast<uint32_t>(session.process.pid),
                                          session.start_monotonic_ns, session.start_realtime_ns,
                                          session.options.max_file_bytes);
    if (flusher.is_open || flusher.writer.last_errno() != EEXIST) break;
  }
  if (!flusher.is_open) {
    Fail(flusher, "no trace: cannot create", Saying::kNoTrace);
    return false;
  }
  WriteProcessFacts(session.process, flusher.writer);
  WriteSampleFacts(flusher);
  WriteHostClock(flusher);
  flusher.counts_since_ns = session.start_monotonic_ns;
  flusher.untimed_since_ns = session.start_monotonic_ns;
  flusher.limited_since_ns = session.start_monotonic_ns;
  flusher.limited_written_ns = MonotonicNs();
  WriteWindow(flusher);
  return true;
}

uint64_t TotalCalls(Session& session) {
  uint64_t calls = session.calls_elsewhere.load(std::memory_order_relaxed);
  const uint32_t count = session.thread_count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; ++i) {
    calls +=
        session.threads[i].load(std::memory_order_acquire)->calls.load(std::memory_order_relaxed);
  }
  return calls;
}

bool StartFlusher(Session& session) {
  const uint64_t stage_bytes = sizeof(Staged) * Flusher::kStageCapacity;
  void* memory = MapPages(sizeof(Flusher));
  void* stage = MapPages(stage_bytes);
  Flusher* flusher = memory == nullptr ? nullptr : new (memory) Flusher();
  if (flusher != nullptr && stage != nullptr) {
    flusher->session = &session;
    flusher->stage = static_cast<Staged*>(stage);
    session.flusher = flusher;
    // Inherited by the new thread. (sigfillset leaves out the C library's own signals.)
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pthread_t thread{};
    const bool has_started = pthread_create(&thread, nullptr, &RunFlusher, flusher) == 0;
    sigprocmask(SIG_SETMASK, &before, nullptr);
    if (has_started) {
      pthread_detach(thread);
      return true;
    }
    session.flusher = nullptr;
  }
  UnmapPages(memory, sizeof(Flusher));
  UnmapPages(stage, stage_bytes);
  return false;
}

void CloseInherited(Flusher& flusher) { flusher.writer.Abandon(); }

}  // namespace mfutrace::interpose
