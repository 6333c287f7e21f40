// See cupti_clock.h.
#include "interpose/cupti_clock.h"

#include <cstring>

#include <dlfcn.h>
#include <time.h>

#include "interpose/clock.h"
#include "interpose/counters.h"
#include "interpose/cupti_others.h"
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
// Between two attempts where somebody else holds CUPTI: asking for its one place for subscribers
// takes that place for a moment.
constexpr int64_t kRetryNs = 10'000'000'000;
// After somebody has come: until they have gone is asked again.
constexpr int64_t kReturnNs = 1'000'000'000;

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

// What the bracket allows stays as it is: all times of a run then share one offset.
void TieClocks(CuptiClock& clock, const ClockPair& pair) {
  const int64_t least_ns = pair.host_min_ns - pair.cupti_ns - kNoiseNs;
  const int64_t most_ns = pair.host_max_ns - pair.cupti_ns + kNoiseNs;
  if (clock.host_minus_cupti_ns < least_ns || clock.host_minus_cupti_ns > most_ns) {
    clock.host_minus_cupti_ns = least_ns + (most_ns - least_ns) / 2;
  }
}

// Ties CUPTI's clock to the host's, and says in the trace how well, for every device.
void SampleCupti(Flusher& flusher) {
  Session& session = *flusher.session;
  CuptiClock& clock = session.cupti;
  const ClockPair pair = ReadClocks(*DoorOf(session));
  if (pair.cupti_ns == 0) return;
  const int64_t middle_ns = pair.host_min_ns + (pair.host_max_ns - pair.host_min_ns) / 2;
  TieClocks(clock, pair);
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

void WritePiece(void* context, const cupti::ForeignPiece& piece) {
  Flusher& flusher = *static_cast<Flusher*>(context);
  trace::ForeignEach record{};
  record.name = StringOf(flusher, piece.name);
  record.device = piece.device;
  record.gpu_begin_ns = ToDevice(*flusher.session, piece.device, piece.begin_ns);
  record.gpu_end_ns = record.gpu_begin_ns + (piece.end_ns - piece.begin_ns);
  record.stream = piece.stream;
  record.family = static_cast<uint8_t>(piece.family);
  WriteDevice(flusher, piece.device);
  Put(flusher, trace::BlockKind::kForeignEach, record);
}

void TakeForeign(Flusher& flusher) {
  CuptiClock& clock = flusher.session->cupti;
  DoorOf(*flusher.session)->take_foreign({&flusher, &WriteSum, &WriteRun, &WritePiece});
  clock.taken_at_ns = MonotonicNs();
}

bool CanUseEvents(const Session& session) {
  return !session.options.has_one_connection || session.options.force_events;
}

void FallBack(Session& session, const char* reason) {
  const TimingBackend backend =
      CanUseEvents(session) ? TimingBackend::kEvents : TimingBackend::kCount;
  ChangeTiming(session, backend, reason);
}

// The flusher's, as is the text: it says too why there are no events instead.
void Refuse(Session& session, const char* reason, bool may_pass) {
  CuptiClock& clock = session.cupti;
  clock.is_final = !may_pass;
  if (CanUseEvents(session)) {
    if (session.clock.reason != reason) FallBack(session, reason);
    return;
  }
  if (clock.refusal == reason && session.clock.reason == clock.refusal_text) return;
  clock.refusal = reason;
  Text(clock.refusal_text, sizeof clock.refusal_text)
      .Add("CUDA_DEVICE_MAX_CONNECTIONS=1, and ")
      .Add(reason);
  FallBack(session, clock.refusal_text);
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

void YieldCupti() {
  Session* session = SessionOfOpenCalls();
  if (session == nullptr) return;
  CuptiClock& clock = session->cupti;
  // It has the loader's lock, or what CUPTI needs: in the worst case it finds out by itself.
  for (int i = 0; i < 200 && clock.stage.load() == CuptiClock::Stage::kStarting; ++i) {
    constexpr timespec kPause = {0, 1'000'000};
    nanosleep(&kPause, nullptr);
  }
  auto running = CuptiClock::Stage::kRunning;
  if (!clock.stage.compare_exchange_strong(running, CuptiClock::Stage::kIdle)) return;
  FallBack(*session, "another profiler in the process uses CUPTI");
  DoorOf(*session)->stop();
  session->wake_flusher.Raise();
}

void StartCupti(Flusher& flusher) {
  Session& session = *flusher.session;
  CuptiClock& clock = session.cupti;
  const Options& options = session.options;
  const bool is_automatic = options.timing == TimingChoice::kAuto;
  if (clock.is_running || clock.is_final) return;
  if (!is_automatic && options.timing != TimingChoice::kCupti) return;
  const TimingBackend now = session.clock.backend.load(std::memory_order_acquire);
  if (now == TimingBackend::kUndecided) return;  // the driver is not there yet
  const int64_t now_ns = MonotonicNs();
  if (now_ns < clock.retry_at_ns) return;
  clock.retry_at_ns = now_ns + (OthersUseCupti() ? kReturnNs : kRetryNs);
  if (OthersUseCupti()) return Refuse(session, "another profiler in the process uses CUPTI", true);
  // Before the stage: it takes the loader's lock, which who comes may hold.
  if (clock.found_door == nullptr) clock.found_door = FindDoor();
  if (clock.found_door == nullptr) {
    return Refuse(session, "libmfutrace_cupti.so is not beside libmfutrace.so", false);
  }
  cupti::Settings settings{};
  settings.find = &RealDlsym != nullptr ? &RealDlsym : &dlsym;
  settings.is_automatic = is_automatic;
  settings.is_each = options.is_each_kernel;
  if (session.driver.driver_get_version == nullptr ||
      session.driver.driver_get_version(&settings.driver_version) != cuda::kSuccess) {
    settings.driver_version = 0;
  }
  clock.stage.store(CuptiClock::Stage::kStarting);
  cupti::Refusal refusal = {"another profiler in the process uses CUPTI", true};
  if (!OthersUseCupti()) refusal = clock.found_door->start(settings);
  if (refusal.reason != nullptr) {
    clock.stage.store(CuptiClock::Stage::kIdle);
    return Refuse(session, refusal.reason, refusal.may_pass);
  }
  // Before the first ticket can be read; the trace is told with the first sample.
  TieClocks(clock, ReadClocks(*clock.found_door));
  clock.sampled_at_ns = 0;
  clock.door.store(clock.found_door, std::memory_order_release);
  clock.is_running = true;
  clock.taken_at_ns = MonotonicNs();
  ChangeTiming(session, TimingBackend::kCupti,
               is_automatic ? "every kernel's own time" : "asked for by MFUTRACE_TIMING");
  clock.stage.store(CuptiClock::Stage::kRunning);
  if (OthersUseCupti()) YieldCupti();
}

void ResumeCupti(Flusher& flusher) {
  flusher.session->cupti.retry_at_ns = 0;
  StartCupti(flusher);
}

void FlushCupti(Flusher& flusher, bool is_last) {
  CuptiClock& clock = flusher.session->cupti;
  if (!clock.is_running) return;
  if (clock.stage.load() != CuptiClock::Stage::kRunning) {
    // Somebody made us give way. They may want it more than once.
    clock.is_running = false;
    clock.retry_at_ns = MonotonicNs() + kReturnNs;
    if (flusher.is_open) TakeForeign(flusher);
    return;
  }
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
  clock.retry_at_ns = 0;
  clock.stage.store(CuptiClock::Stage::kIdle);
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
