// See cupti_clock.h.
#include "interpose/cupti_clock.h"

#include <cstring>

#include <dlfcn.h>

#include "interpose/clock.h"
#include "interpose/counters.h"
#include "interpose/flusher_state.h"
#include "interpose/gpu_times.h"
#include "interpose/memory.h"
#include "interpose/session.h"
#include "interpose/text.h"

namespace mfutrace::interpose {

// dlsym_route.h's, absent in unit tests (driver.cc).
[[gnu::weak]] void* RealDlsym(void* handle, const char* name);

namespace {

constexpr uint32_t kNumberMask = (1u << 20) - 1;
constexpr int64_t kMinuteNs = 60'000'000'000;
constexpr int64_t kSecondNs = 1'000'000'000;
// CUPTI's clock may be set while the job runs; less than this is the noise of reading two clocks.
constexpr int64_t kNoiseNs = 20'000;
constexpr int64_t kGoodBracketNs = 2'000;

const cupti::Door* DoorOf(Session& session) {
  return session.cupti.door.load(std::memory_order_acquire);
}

// The other library lies beside this one.
const cupti::Door* FindDoor() {
  Dl_info self{};
  if (dladdr(reinterpret_cast<const void*>(&FindDoor), &self) == 0 || self.dli_fname == nullptr) {
    return nullptr;
  }
  const char* slash = std::strrchr(self.dli_fname, '/');
  if (slash == nullptr) return nullptr;
  char path[4096];
  Text text(path, sizeof path);
  text.Add(self.dli_fname, static_cast<size_t>(slash - self.dli_fname + 1));
  text.Add("libmfutrace_cupti.so");
  void* library = text.is_cut() ? nullptr : dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  void* found = &RealDlsym != nullptr ? RealDlsym(library, cupti::kDoorSymbol)
                                      : dlsym(library, cupti::kDoorSymbol);
  if (found == nullptr) return nullptr;
  return reinterpret_cast<cupti::DoorFunction>(found)(cupti::kDoorVersion);
}

struct ClockPair {
  int64_t cupti_ns;
  int64_t host_min_ns;
  int64_t host_max_ns;
};

// The tightest of a few readings of CUPTI's clock between two of the host's.
ClockPair ReadClocks(const cupti::Door& door) {
  ClockPair best{0, 0, INT64_MAX};
  // A thread that loses its core in between reads a bracket of milliseconds: again, then.
  for (int i = 0; i < 16 && best.host_max_ns - best.host_min_ns > kGoodBracketNs; ++i) {
    const int64_t before_ns = MonotonicNs();
    const int64_t cupti_ns = door.timestamp();
    const int64_t after_ns = MonotonicNs();
    if (after_ns - before_ns >= best.host_max_ns - best.host_min_ns) continue;
    best = {cupti_ns, before_ns, after_ns};
  }
  return best;
}

// Ties CUPTI's clock to the host's, and says in the trace how well, for every device.
void SampleCupti(Flusher& flusher) {
  Session& session = *flusher.session;
  CuptiClock& clock = session.cupti;
  const ClockPair pair = ReadClocks(*DoorOf(session));
  if (pair.cupti_ns == 0) return;
  const int64_t middle_ns = pair.host_min_ns + (pair.host_max_ns - pair.host_min_ns) / 2;
  // What the bracket allows stays as it is: times of one run then share one offset.
  const int64_t least_ns = pair.host_min_ns - pair.cupti_ns - kNoiseNs;
  const int64_t most_ns = pair.host_max_ns - pair.cupti_ns + kNoiseNs;
  if (clock.host_minus_cupti_ns < least_ns || clock.host_minus_cupti_ns > most_ns) {
    clock.host_minus_cupti_ns = middle_ns - pair.cupti_ns;
  }
  clock.sampled_at_ns = middle_ns;
  const uint32_t devices = session.clock.device_count;
  for (uint32_t i = 0; i < devices; ++i) {
    const int32_t device = session.clock.devices[i].ordinal;
    const int64_t at_ns = DeviceTimeOf(session, device, pair.cupti_ns + clock.host_minus_cupti_ns);
    WriteClockSample(flusher, device, at_ns, pair.host_min_ns, pair.host_max_ns);
  }
}

uint32_t StringOf(Flusher& flusher, const char* text) {
  CuptiClock& clock = flusher.session->cupti;
  if (text == nullptr || text[0] == '\0') return 0;
  if (clock.names == nullptr) {
    clock.names =
        static_cast<CuptiClock::Name*>(MapPages(sizeof(CuptiClock::Name) * CuptiClock::kMaxNames));
    if (clock.names == nullptr) return 0;
  }
  uint64_t at = (reinterpret_cast<uintptr_t>(text) >> 3) * 0x9e3779b97f4a7c15 >> 32;
  for (;; ++at) {
    CuptiClock::Name& name = clock.names[at % CuptiClock::kMaxNames];
    if (name.text == text) return name.string;
    if (name.text != nullptr) continue;
    if (clock.name_count >= CuptiClock::kMaxNames / 2) return 0;
    ++clock.name_count;
    name = {text, WriteTraceString(flusher, text)};
    return name.string;
  }
}

int64_t ToDevice(Session& session, int32_t device, int64_t cupti_ns) {
  return DeviceTimeOf(session, device, cupti_ns + session.cupti.host_minus_cupti_ns);
}

template <typename Record>
void Put(Flusher& flusher, trace::BlockKind kind, const Record& record) {
  if (void* to = flusher.writer.Append(kind, sizeof record)) {
    std::memcpy(to, &record, sizeof record);
  }
}

void WriteSum(void* context, const cupti::ForeignSum& sum) {
  Flusher& flusher = *static_cast<Flusher*>(context);
  trace::ForeignKernels record{};
  record.name = StringOf(flusher, sum.name);
  record.device = sum.device;
  record.kernels = sum.kernels;
  record.busy_ns = sum.busy_ns;
  record.host_begin_ns = flusher.session->cupti.taken_at_ns;
  record.host_end_ns = MonotonicNs();
  record.family = static_cast<uint8_t>(sum.family);
  WriteDevice(flusher, sum.device);
  Put(flusher, trace::BlockKind::kForeignKernels, record);
}

void WriteRun(void* context, const cupti::ForeignRun& run) {
  Flusher& flusher = *static_cast<Flusher*>(context);
  trace::ForeignRun record{};
  record.device = run.device;
  record.stream = run.stream;
  record.gpu_begin_ns = ToDevice(*flusher.session, run.device, run.begin_ns);
  record.gpu_end_ns = record.gpu_begin_ns + (run.end_ns - run.begin_ns);
  record.busy_ns = run.busy_ns;
  record.kernels = run.kernels;
  record.family = static_cast<uint8_t>(run.family);
  WriteDevice(flusher, run.device);
  Put(flusher, trace::BlockKind::kForeignRuns, record);
}

void TakeForeign(Flusher& flusher) {
  CuptiClock& clock = flusher.session->cupti;
  DoorOf(*flusher.session)->take_foreign({&flusher, &WriteSum, &WriteRun});
  clock.taken_at_ns = MonotonicNs();
}

}  // namespace

uint32_t OpenTicket(Session& session) {
  const cupti::Door* door = DoorOf(session);
  ThreadState* thread = CurrentThread(&session);
  if (door == nullptr || thread == nullptr) return 0;
  const uint32_t ticket = door->open(thread->serial);
  return ticket == 0 ? 0 : kTicketPool << 20 | ticket;
}

void CloseTicket(Session& session, uint32_t pair) { DoorOf(session)->close(pair & kNumberMask); }
void ShareTicket(Session& session, uint32_t pair) { DoorOf(session)->share(pair & kNumberMask); }
void ReleaseTicket(Session& session, uint32_t pair) {
  DoorOf(session)->release(pair & kNumberMask);
}

void StartCupti(Flusher& flusher) {
  Session& session = *flusher.session;
  CuptiClock& clock = session.cupti;
  if (clock.was_tried || session.options.timing != TimingChoice::kCupti) return;
  const TimingBackend now = session.clock.backend.load(std::memory_order_acquire);
  if (now == TimingBackend::kUndecided) return;  // the driver is not there yet
  clock.was_tried = true;
  const cupti::Door* door = FindDoor();
  const char* refusal =
      door == nullptr ? "libmfutrace_cupti.so is not beside libmfutrace.so" : door->start();
  if (refusal != nullptr) {
    session.clock.reason = refusal;
    flusher.timing_is_written = false;
    return;
  }
  // Before the first ticket can be read; the trace is told with the first sample.
  const ClockPair pair = ReadClocks(*door);
  clock.host_minus_cupti_ns =
      pair.host_min_ns + (pair.host_max_ns - pair.host_min_ns) / 2 - pair.cupti_ns;
  clock.door.store(door, std::memory_order_release);
  clock.is_running = true;
  clock.taken_at_ns = MonotonicNs();
  session.clock.reason = "asked for by MFUTRACE_TIMING";
  session.clock.backend.store(TimingBackend::kCupti, std::memory_order_release);
}

void ResumeCupti(Flusher& flusher) {
  Session& session = *flusher.session;
  CuptiClock& clock = session.cupti;
  const cupti::Door* door = DoorOf(session);
  if (door == nullptr || clock.is_running) return;
  const char* refusal = door->start();
  if (refusal != nullptr) {
    session.clock.reason = refusal;
    session.clock.backend.store(
        session.options.has_one_connection ? TimingBackend::kCount : TimingBackend::kEvents,
        std::memory_order_release);
    return;
  }
  clock.is_running = true;
  clock.sampled_at_ns = 0;
  clock.taken_at_ns = MonotonicNs();
}

void FlushCupti(Flusher& flusher, bool is_last) {
  CuptiClock& clock = flusher.session->cupti;
  if (!clock.is_running) return;
  DoorOf(*flusher.session)->flush(is_last);
  if (!flusher.is_open) return;
  const int64_t now_ns = MonotonicNs();
  const bool is_new = clock.sampled_at_ns == 0;
  if (is_new || is_last || now_ns - clock.sampled_at_ns >= kMinuteNs) SampleCupti(flusher);
  if (now_ns - clock.taken_at_ns >= kSecondNs) TakeForeign(flusher);
}

void StopCupti(Flusher& flusher) {
  CuptiClock& clock = flusher.session->cupti;
  if (!clock.is_running) return;
  clock.is_running = false;
  const cupti::Door* door = DoorOf(*flusher.session);
  door->stop();
  if (flusher.is_open) TakeForeign(flusher);
  const uint64_t lost = door->lost();
  if (lost != 0) Count(Counter::kKernelsLost, lost);
}

cupti::TicketState ReadTicket(Session& session, uint32_t pair, int32_t device, bool give_up,
                              int64_t& begin_ns, int64_t& end_ns) {
  cupti::TicketReading reading{};
  const cupti::TicketState state = DoorOf(session)->read(pair & kNumberMask, give_up, &reading);
  if (state != cupti::TicketState::kTimed) return state;
  begin_ns = ToDevice(session, device, reading.begin_ns);
  end_ns = begin_ns + (reading.end_ns - reading.begin_ns);
  return state;
}

}  // namespace mfutrace::interpose
