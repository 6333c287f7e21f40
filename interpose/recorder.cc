// See recorder.h. The path of every intercepted call: one probe of the thread's caches, two
// readings of the clock, one push into the thread's ring. Locks and system calls only where
// something is new.
#include "interpose/recorder.h"

#include <cstddef>
#include <cstring>

#include "interpose/clock.h"
#include "interpose/graph_contents.h"
#include "interpose/memory.h"
#include "interpose/session.h"
#include "interpose/text.h"
#include "trace/format.h"

namespace mfutrace::interpose {
namespace {

using trace::BlockKind;

// A signature's bytes are the record it becomes, with the block kind for its id and the Entry for
// its string; the flusher fills in both (trace_tables.cc).
template <typename Signature>
Facts FactsOf(const Signature& signature) {
  static_assert(sizeof(Signature) <= sizeof(Facts));
  Facts facts{};
  std::memcpy(&facts, &signature, sizeof signature);
  return facts;
}

uint64_t HeadOf(BlockKind kind, Entry entry) {
  return static_cast<uint64_t>(kind) | uint64_t{static_cast<uint32_t>(entry)} << 32;
}

// Dimensions of the vendors' calls fit; one that does not cannot be written, only bounded.
uint32_t Narrow(uint64_t dimension) {
  return dimension > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(dimension);
}

int32_t NarrowSigned(int64_t width) {
  return width > INT32_MAX ? INT32_MAX : static_cast<int32_t>(width < -1 ? -1 : width);
}

template <typename Enumerator>
uint64_t Byte(Enumerator value) {
  return static_cast<uint8_t>(value);
}

uint32_t Intern(const Facts& facts) {
  Session* session = ObservedSession();
  if (session == nullptr) return 0;
  const uint64_t hash = HashOf(facts);
  ThreadState* thread = CurrentThread(session);
  CachedSignature* cached = nullptr;
  if (thread != nullptr) {
    cached = &thread->signatures[hash % ThreadState::kCachedSignatures];
    if (cached->id != 0 && cached->facts == facts) [[likely]]
      return cached->id;
  }
  const ErrnoGuard keep_errno;
  const uint32_t id = session->signatures.Intern(facts, hash);
  if (id == 0) {
    Count(Counter::kSignaturesLost);
  } else if (cached != nullptr) {
    cached->facts = facts;
    cached->id = id;
  }
  return id;
}

// A device that the session can tell apart; others are unknown.
int32_t KnownDevice(int32_t device) {
  return device >= 0 && device < static_cast<int32_t>(GpuClock::kMaxDevices) ? device : -1;
}

int32_t CurrentDevice(const Driver* driver) {
  int device = -1;
  if (driver == nullptr || driver->ctx_get_device == nullptr) return -1;
  if (driver->ctx_get_device(&device) != cuda::kSuccess) return -1;
  return KnownDevice(device);
}

// The context that a stream belongs to, and its device: usually the current one, but NCCL takes
// streams of other devices too. Handles 0 to 2 are default streams, of the current context.
void* ContextOf(const Driver& driver, void* stream, Capture capture, int32_t& device) {
  void* current = nullptr;
  if (driver.ctx_get_current == nullptr || driver.ctx_get_current(&current) != cuda::kSuccess) {
    return nullptr;
  }
  void* context = current;
  if (reinterpret_cast<uintptr_t>(stream) > 2 && capture == Capture::kNo &&
      driver.stream_get_ctx != nullptr && driver.ctx_push_current != nullptr &&
      driver.ctx_pop_current != nullptr &&
      driver.stream_get_ctx(stream, &context) == cuda::kSuccess && context != current &&
      context != nullptr) {
    if (driver.ctx_push_current(context) == cuda::kSuccess) {
      device = CurrentDevice(&driver);
      void* popped = nullptr;
      driver.ctx_pop_current(&popped);
    }
  }
  return context;
}

// In place of a host time that nobody asks for.
constexpr int64_t kNotRead = 1;

void CountOnly(Session& session, uint32_t signature, int32_t device, uint32_t flags) {
  session.dropped.Add(signature, device, flags);
  Count(Counter::kCallsDropped);
}

// Counts the call and sends its record, or counts what becomes of it. Takes over the bracket's
// share.
void Push(Session& session, ThreadState* thread, const OpenCall& call, Bracket bracket) {
  if (!session.has_exit_handler.load(std::memory_order_relaxed)) [[unlikely]]
    RegisterExit(session);
  if (thread == nullptr) {
    session.calls_elsewhere.fetch_add(1, std::memory_order_relaxed);
  } else {
    thread->calls.store(thread->calls.load(std::memory_order_relaxed) + 1,
                        std::memory_order_relaxed);
  }
  if (call.is_counted && call.lengths == 0 && call.signature != 0 &&
      session.untimed.TryAdd(call.signature, call.device, call.flags)) {
    return DiscardBracket(bracket);
  }
  if (thread != nullptr && call.signature != 0 && call.lane != 0) [[likely]] {
    // Filled in place: a record built elsewhere and copied would wait for its own stores.
    if (RingRecord* record = thread->ring.Claim()) [[likely]] {
      record->signature = call.signature;
      record->lane = call.lane;
      record->pair = bracket.pair;
      record->sequence = call.sequence;
      record->host_begin_ns = call.host_begin_ns;
      record->host_end_ns = call.host_end_ns;
      record->flags = call.flags;
      if (call.lengths != 0) [[unlikely]] {
        record->flags |= RingRecord::kHasLengths;
        record->sequence = call.lengths;
      }
      record->device = call.device;
      if (call.is_counted) [[unlikely]] {
        record->flags |= RingRecord::kIsCounted;
        record->host_begin_ns = record->host_end_ns = MonotonicNs();
      }
      if (thread->ring.Publish()) session.wake_flusher.Raise();
      return;
    }
  }
  CountOnly(session, call.signature, call.device, call.flags);
  if (call.lengths != 0) DropLengths(session, call.lengths);
  DiscardBracket(bracket);
}

struct Place {
  const Driver* driver = nullptr;
  const CachedLane* lane = nullptr;
  bool is_timed = false;  // an event pair may be recorded now
};

// Fills what is known of the call before the vendor's function runs.
Place Find(Session& session, uint32_t signature, void* stream, uint32_t sequence, OpenCall& call) {
  Place place;
  call.signature = signature;
  call.sequence = sequence;
  // Read once: what a call begins as, it ends as.
  call.is_counted = !session.windows.is_open.load(std::memory_order_relaxed);
  place.driver = DriverOf(session);
  const Capture capture = CaptureOf(place.driver, stream);
  if (capture == Capture::kYes) [[unlikely]] {
    call.flags |= trace::kCaptured;
    call.capture = CaptureIdOf(place.driver, stream);
  }
  ThreadState* thread = CurrentThread(&session);
  if (thread == nullptr) {
    call.device = CurrentDevice(place.driver);
    return place;
  }
  place.lane = LaneOf(session, *thread, place.driver, stream, capture);
  if (place.lane == nullptr) return place;
  call.lane = place.lane->id;
  call.device = place.lane->device;
  if (call.is_counted) return place;
  if (session.clock.backend.load(std::memory_order_acquire) < TimingBackend::kEvents) return place;
  place.is_timed = capture == Capture::kNo;
  if (!place.is_timed) Count(Counter::kUntimedCapturing);
  return place;
}

void FindLaneAgain(Session& session, ThreadState& thread, void* stream, OpenCall& call) {
  const Driver* driver = DriverOf(session);
  if (CurrentDevice(driver) < 0) return;
  const CachedLane* lane = LaneOf(session, thread, driver, stream, CaptureOf(driver, stream));
  if (lane == nullptr) return;
  call.lane = lane->id;
  call.device = lane->device;
}

}  // namespace

const CachedLane* LaneOf(Session& session, ThreadState& thread, const Driver* driver, void* stream,
                         Capture capture) {
  const uint64_t handle = reinterpret_cast<uintptr_t>(stream);
  const int32_t current_device = CurrentDevice(driver);
  const uint64_t hash = (handle ^ static_cast<uint64_t>(current_device)) * 0x9e3779b97f4a7c15;
  CachedLane& lane = thread.lanes[hash >> 60];
  static_assert(ThreadState::kCachedLanes == 16);  // what the shift by 60 leaves
  const bool is_live = lane.pool == nullptr || !lane.pool->is_dead.load(std::memory_order_relaxed);
  if (lane.id != 0 && lane.stream == handle && lane.current_device == current_device && is_live)
      [[likely]] {
    return &lane;
  }
  int32_t device = current_device;
  SeeStream(session, handle);
  EventPool* pool = nullptr;
  if (driver != nullptr) {
    void* context = ContextOf(*driver, stream, capture, device);
    if (context != nullptr && device >= 0 &&
        session.clock.backend.load(std::memory_order_acquire) >= TimingBackend::kEvents) {
      pool = PoolOf(session, context, device);
    }
  }
  Facts facts{};
  facts.words[0] = uint64_t{thread.serial} << 32 | thread.tid;
  facts.words[1] = static_cast<uint64_t>(int64_t{device});
  facts.words[2] = handle;
  lane.id = session.lanes.Intern(facts, HashOf(facts));
  if (lane.id == 0 || lane.id > 0xffffff) {
    lane.id = 0;
    Count(Counter::kLanesLost);
    return nullptr;
  }
  lane.stream = handle;
  lane.pool = pool;
  lane.device = device;
  lane.current_device = current_device;
  return &lane;
}

bool Observing() { return ObservedSession() != nullptr; }

bool IsWanted(Entry entry) {
  Session* session = ObservedSession();
  return session != nullptr &&
         session->is_wanted[static_cast<uint32_t>(entry)].load(std::memory_order_relaxed);
}

uint32_t InternGemm(const shapes::Gemm& gemm, uint32_t compute_code, Entry entry,
                    shapes::Provenance provenance) {
  // trace::GemmSignature put together in registers: this is the hottest of them, and a struct
  // written byte by byte could not be read back as words without a stall.
  Facts facts;
  facts.words[0] = HeadOf(BlockKind::kGemmSignatures, entry);
  facts.words[1] = gemm.m;
  facts.words[2] = gemm.n;
  facts.words[3] = gemm.k;
  facts.words[4] = gemm.batch;
  facts.words[5] = Byte(gemm.a) | Byte(gemm.b) << 8 | Byte(gemm.c) << 16 | Byte(gemm.d) << 24 |
                   Byte(gemm.accumulate) << 32 | Byte(gemm.math) << 40 | Byte(gemm.op_a) << 48 |
                   Byte(gemm.op_b) << 56;
  const uint64_t flags = (gemm.gauss_3m ? uint64_t{trace::kGauss3m} : 0) |
                         (gemm.a_is_broadcast ? uint64_t{trace::kABroadcast} : 0) |
                         (gemm.b_is_broadcast ? uint64_t{trace::kBBroadcast} : 0) |
                         (gemm.bias_is_along_n ? uint64_t{trace::kBiasAlongN} : 0);
  facts.words[6] =
      Byte(gemm.beta) | flags << 8 | Byte(provenance) << 16 | uint64_t{compute_code} << 32;
  facts.words[7] = Byte(gemm.scale_a) | Byte(gemm.scale_b) << 8 | Byte(gemm.scale_d) << 16 |
                   Byte(gemm.bias) << 24 | Byte(gemm.aux) << 32 | uint64_t{gemm.epilogue} << 48;
  static_assert(
      offsetof(trace::GemmSignature, m) == 8 && offsetof(trace::GemmSignature, a) == 40 &&
      offsetof(trace::GemmSignature, op_b) == 47 && offsetof(trace::GemmSignature, beta) == 48 &&
      offsetof(trace::GemmSignature, compute_code) == 52 &&
      offsetof(trace::GemmSignature, scale_a) == 56 && offsetof(trace::GemmSignature, aux) == 60 &&
      offsetof(trace::GemmSignature, epilogue) == 62);
  return Intern(facts);
}

uint32_t InternMatrix(const shapes::Matrix& matrix, uint32_t compute_code, Entry entry,
                      shapes::Provenance provenance) {
  trace::MatrixSignature signature{};
  signature.id = static_cast<uint32_t>(BlockKind::kMatrixSignatures);
  signature.entry = static_cast<uint32_t>(entry);
  signature.m = matrix.m;
  signature.n = matrix.n;
  signature.k = matrix.k;
  signature.batch = matrix.batch;
  signature.dtype = static_cast<uint8_t>(matrix.dtype);
  signature.result = static_cast<uint8_t>(matrix.result);
  signature.accumulate = static_cast<uint8_t>(matrix.accumulate);
  signature.math = static_cast<uint8_t>(matrix.math);
  signature.routine = static_cast<uint8_t>(matrix.routine);
  signature.side = static_cast<uint8_t>(matrix.side);
  signature.beta = static_cast<uint8_t>(matrix.beta);
  signature.flags = static_cast<uint8_t>(matrix.gauss_3m ? trace::kGauss3m : 0);
  signature.provenance = static_cast<uint8_t>(provenance);
  signature.compute_code = compute_code;
  return Intern(FactsOf(signature));
}

Facts FactsOfAttention(const shapes::Attention& attention, uint32_t lengths, Entry entry,
                       shapes::Provenance provenance) {
  trace::AttentionSignature signature{};
  signature.id = static_cast<uint32_t>(BlockKind::kAttentionSignatures);
  signature.entry = static_cast<uint32_t>(entry);
  signature.batch = Narrow(attention.batch);
  signature.heads_q = Narrow(attention.heads_q);
  signature.heads_kv = Narrow(attention.heads_kv);
  signature.seq_q = Narrow(attention.seq_q);
  signature.seq_k = Narrow(attention.seq_k);
  signature.head_dim_qk = Narrow(attention.head_dim_qk);
  signature.head_dim_v = Narrow(attention.head_dim_v);
  signature.window_left = NarrowSigned(attention.window_left);
  signature.window_right = NarrowSigned(attention.window_right);
  signature.dtype = static_cast<uint8_t>(attention.dtype);
  signature.mask = static_cast<uint8_t>(attention.mask);
  signature.pass = static_cast<uint8_t>(attention.pass);
  signature.flags =
      static_cast<uint8_t>((attention.writes_logsumexp ? trace::kWritesLogSumExp : 0) |
                           (attention.v_is_view_of_k ? trace::kVIsViewOfK : 0) |
                           (lengths == kLengthsOnDevice ? trace::kLengthsOnDevice : 0));
  signature.provenance = static_cast<uint8_t>(provenance);
  signature.lengths = lengths == kLengthsOnDevice ? 0 : lengths;
  return FactsOf(signature);
}

uint32_t InternAttention(const shapes::Attention& attention, uint32_t lengths, Entry entry,
                         shapes::Provenance provenance) {
  return Intern(FactsOfAttention(attention, lengths, entry, provenance));
}

uint32_t InternConvolution(const shapes::Convolution& convolution, Entry entry,
                           shapes::Provenance provenance) {
  trace::ConvolutionSignature signature{};
  signature.id = static_cast<uint32_t>(BlockKind::kConvolutionSignatures);
  signature.entry = static_cast<uint32_t>(entry);
  signature.batch = Narrow(convolution.batch);
  signature.c_in = Narrow(convolution.c_in);
  signature.c_out = Narrow(convolution.c_out);
  signature.groups = Narrow(convolution.groups);
  for (size_t i = 0; i < 3; ++i) {
    signature.in[i] = Narrow(convolution.in[i]);
    signature.filter[i] = Narrow(convolution.filter[i]);
    signature.out[i] = Narrow(convolution.out[i]);
  }
  signature.dtype = static_cast<uint8_t>(convolution.dtype);
  signature.direction = static_cast<uint8_t>(convolution.direction);
  signature.flags = convolution.is_transposed ? 1 : 0;
  signature.provenance = static_cast<uint8_t>(provenance);
  return Intern(FactsOf(signature));
}

uint32_t InternRnn(const shapes::Rnn& rnn, Entry entry, shapes::Provenance provenance) {
  trace::RnnSignature signature{};
  signature.id = static_cast<uint32_t>(BlockKind::kRnnSignatures);
  signature.entry = static_cast<uint32_t>(entry);
  signature.steps = rnn.steps;
  signature.input_size = Narrow(rnn.input_size);
  signature.hidden_size = Narrow(rnn.hidden_size);
  signature.projection_size = Narrow(rnn.projection_size);
  signature.layers = rnn.layers;
  signature.directions = rnn.directions;
  signature.dtype = static_cast<uint8_t>(rnn.dtype);
  signature.cell = static_cast<uint8_t>(rnn.cell);
  signature.pass = static_cast<uint8_t>(rnn.pass);
  signature.flags = rnn.skips_input ? 1 : 0;
  signature.provenance = static_cast<uint8_t>(provenance);
  return Intern(FactsOf(signature));
}

uint32_t InternCompound(Entry entry, const CompoundPart* parts, uint32_t count, const char* label) {
  Session* session = ObservedSession();
  if (session == nullptr) return 0;
  const ErrnoGuard keep_errno;
  const ListFingerprint fingerprint = FingerprintOf(parts, count);
  // The list before the signature that means it: the flusher finds it by its fingerprint.
  if (!session->compounds.Add(fingerprint, parts, count)) return 0;
  Facts facts{};
  facts.words[0] = HeadOf(BlockKind::kCompoundSignatures, entry);
  facts.words[1] = count;  // and no string for the label yet
  facts.words[2] = fingerprint.low;
  facts.words[3] = fingerprint.high;
  std::memcpy(&facts.words[4], &label, sizeof label);
  static_assert(offsetof(trace::CompoundSignature, member_count) == 8 &&
                offsetof(trace::CompoundSignature, hash_low) == 16 &&
                sizeof(trace::CompoundSignature) == 32);
  return Intern(facts);
}

uint32_t InternCollective(const shapes::Collective& collective, uint32_t communicator,
                          Entry entry) {
  trace::CollectiveSignature signature{};
  signature.id = static_cast<uint32_t>(BlockKind::kCollectiveSignatures);
  signature.entry = static_cast<uint32_t>(entry);
  signature.count = collective.count;
  signature.communicator = communicator;
  signature.peer = collective.peer;
  signature.kind = static_cast<uint8_t>(collective.kind);
  signature.dtype = static_cast<uint8_t>(collective.dtype);
  signature.reduction = collective.reduction;
  signature.provenance = static_cast<uint8_t>(shapes::Provenance::kExact);
  return Intern(FactsOf(signature));
}

uint32_t InternOpaque(Entry entry, const char* reason) {
  Facts facts{};
  facts.words[0] = HeadOf(BlockKind::kOpaqueSignatures, entry);
  std::memcpy(&facts.words[1], &reason, sizeof reason);
  return Intern(facts);
}

OpenCall BeginCall(uint32_t signature, void* stream, uint32_t sequence) {
  OpenCall call;
  Session* session = ObservedSession();
  if (session == nullptr) return call;
  const ErrnoGuard keep_errno;
  const Place place = Find(*session, signature, stream, sequence, call);
  if (place.is_timed) {
    call.bracket = OpenBracketOn(*session, *place.driver, place.lane->pool, stream);
  }
  call.host_begin_ns = call.is_counted ? kNotRead : MonotonicNs();
  return call;
}

OpenCall BeginAttention(const shapes::Attention& attention, const DeviceLengths& lengths,
                        Entry entry, void* stream) {
  const uint32_t signature =
      InternAttention(attention, kLengthsOnDevice, entry, shapes::Provenance::kBound);
  uint32_t copy = 0;
  Session* session = ObservedSession();
  if (session != nullptr && session->options.copies_lengths) {
    const ErrnoGuard keep_errno;
    const Driver* driver = DriverOf(*session);
    if (CaptureOf(driver, stream) == Capture::kNo) {
      copy = CopyLengths(*session, *driver, attention, lengths, entry, stream);
    }
  }
  OpenCall call = BeginCall(signature, stream);
  call.lengths = copy;
  return call;
}

void EndCall(OpenCall& call, void* stream, bool succeeded) {
  if (call.host_begin_ns == 0) return;
  const ErrnoGuard keep_errno;
  call.host_end_ns = call.is_counted ? kNotRead : MonotonicNs();
  if (!succeeded) {
    DiscardBracket(call.bracket);
    if (Session* session = SessionOfOpenCalls(); call.lengths != 0 && session != nullptr) {
      DropLengths(*session, call.lengths);
    }
    Count(Counter::kFailedCalls);
    return;
  }
  CloseBracket(call.bracket, stream);
  Session* session = SessionOfOpenCalls();
  if (session == nullptr) return;
  ThreadState* thread = CurrentThread(session);
  // The vendor's function may have made the thread's first context.
  if (call.device < 0 && thread != nullptr) FindLaneAgain(*session, *thread, stream, call);
  if (call.capture != 0) [[unlikely]] {
    const void* node = nullptr;
    CaptureIdOf(&session->driver, stream, &node);
    NoteCaptured(*session, call.capture, call.signature, node);
  }
  Push(*session, thread, call, call.bracket);
}

int64_t BeginProbe() {
  constexpr uint64_t kEvery = 1024;
  const ThreadState* thread = t_thread;
  if (thread == nullptr) return 0;
  const bool is_due = thread->calls.load(std::memory_order_relaxed) % kEvery == kEvery - 1;
  return is_due ? MonotonicNs() : 0;
}

void EndProbe(int64_t begun_ns, const OpenCall& call) {
  // A thread that lost its processor in between says nothing of our cost.
  constexpr int64_t kMostNs = 100'000;
  if (call.host_begin_ns <= kNotRead || call.host_end_ns <= kNotRead) return;
  const int64_t own_ns = call.host_begin_ns - begun_ns + MonotonicNs() - call.host_end_ns;
  if (own_ns > kMostNs) return;
  Count(Counter::kProbedNs, static_cast<uint64_t>(own_ns));
  Count(Counter::kProbedCalls);
}

OpenCall HoldCall(uint32_t signature, void* stream, uint32_t sequence) {
  OpenCall call;
  Session* session = ObservedSession();
  if (session == nullptr) return call;
  const ErrnoGuard keep_errno;
  Find(*session, signature, stream, sequence, call);
  call.flags |= trace::kGrouped;
  call.host_begin_ns = call.is_counted ? kNotRead : MonotonicNs();
  return call;
}

void RecordHeld(const OpenCall& held, Bracket bracket) {
  if (held.host_begin_ns == 0) {
    DiscardBracket(bracket);
    return;
  }
  const ErrnoGuard keep_errno;
  Session* session = SessionOfOpenCalls();
  if (session == nullptr) return;
  OpenCall call = held;
  if (call.host_end_ns == 0) call.host_end_ns = MonotonicNs();
  if (call.capture != 0) NoteCaptured(*session, call.capture, call.signature, nullptr);
  Push(*session, CurrentThread(session), call, bracket);
}

uint32_t RecordCommunicator(const CommunicatorFacts& facts) {
  Session* session = ObservedSession();
  if (session == nullptr) return 0;
  const ErrnoGuard keep_errno;
  LockGuard guard(session->communicator_lock);
  const uint32_t index = session->communicator_count.load(std::memory_order_relaxed);
  if (index == Session::kMaxCommunicators) return 0;
  std::atomic<KeptCommunicator*>& chunk =
      session->communicators[index / Session::kCommunicatorChunk];
  if (chunk.load(std::memory_order_relaxed) == nullptr) {
    void* memory = MapPages(sizeof(KeptCommunicator) * Session::kCommunicatorChunk);
    if (memory == nullptr) return 0;
    chunk.store(static_cast<KeptCommunicator*>(memory), std::memory_order_release);
  }
  KeptCommunicator& kept =
      chunk.load(std::memory_order_relaxed)[index % Session::kCommunicatorChunk];
  kept.id = facts.id;
  kept.parent_id = facts.parent_id;
  kept.rank = facts.rank;
  kept.size = facts.size;
  kept.device = facts.device;
  kept.split_color = facts.split_color;
  kept.split_index = facts.split_index;
  if (facts.name != nullptr) Text(kept.name, sizeof kept.name).Add(facts.name);
  session->communicator_count.store(index + 1, std::memory_order_release);
  return index + 1;
}

void RecordCommunicatorEnd(uint32_t index, uint8_t event) {
  Session* session = ObservedSession();
  if (session == nullptr) return;
  const ErrnoGuard keep_errno;
  LockGuard guard(session->communicator_lock);
  if (index == 0 || index > session->communicator_count.load(std::memory_order_relaxed)) return;
  CommunicatorEnd* ends = session->communicator_ends.load(std::memory_order_relaxed);
  if (ends == nullptr) {
    ends = static_cast<CommunicatorEnd*>(
        MapPages(sizeof(CommunicatorEnd) * Session::kMaxCommunicatorEnds));
    if (ends == nullptr) return;
    session->communicator_ends.store(ends, std::memory_order_release);
  }
  const uint32_t count = session->communicator_end_count.load(std::memory_order_relaxed);
  if (count == Session::kMaxCommunicatorEnds) return;
  ends[count] = CommunicatorEnd{index, event};
  session->communicator_end_count.store(count + 1, std::memory_order_release);
  session->wake_flusher.Raise();
}

}  // namespace mfutrace::interpose
