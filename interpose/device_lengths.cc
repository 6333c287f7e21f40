// See device_lengths.h.
#include "interpose/device_lengths.h"

#include <cstring>

#include "interpose/flusher_state.h"
#include "interpose/memory.h"
#include "interpose/session.h"

namespace mfutrace::interpose {
namespace {

constexpr uint64_t kAlignment = 16;

uint64_t ElementBytes(const DeviceLengths::Side& side) { return side.is_wide ? 8 : 4; }

uint64_t BytesOf(const DeviceLengths::Side& side, uint32_t sequences) {
  if (side.data == nullptr) return 0;
  const uint64_t elements = uint64_t{sequences} + (side.is_offsets ? 1 : 0);
  return (elements * ElementBytes(side) + kAlignment - 1) / kAlignment * kAlignment;
}

bool AreSame(const DeviceLengths::Side& q, const DeviceLengths::Side& k) {
  return q.data == k.data && q.is_wide == k.is_wide && q.is_offsets == k.is_offsets;
}

bool CanCopy(const Driver& driver) {
  return driver.mem_host_alloc != nullptr && driver.memcpy_dtoh_async != nullptr &&
         driver.event_create != nullptr && driver.event_record != nullptr &&
         driver.event_query != nullptr && driver.ctx_get_current != nullptr &&
         driver.ctx_set_current != nullptr && driver.thread_exchange_capture_mode != nullptr;
}

// Allocations and event creation are no business of another thread's capture.
class RelaxedCapture {
 public:
  explicit RelaxedCapture(const Driver& driver) : driver_(driver) {
    is_relaxed_ = driver_.thread_exchange_capture_mode(&mode_) == cuda::kSuccess;
  }
  ~RelaxedCapture() {
    if (is_relaxed_) driver_.thread_exchange_capture_mode(&mode_);
  }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  const Driver& driver_;
  int mode_ = cuda::kCaptureModeRelaxed;
  bool is_relaxed_ = false;
};

bool HasMemory(LengthsCopies& ring, const Driver& driver) {
  if (ring.memory != nullptr) return true;
  if (ring.has_failed) return false;
  ring.has_failed = true;
  const RelaxedCapture relaxed(driver);
  void* memory = nullptr;
  void* copies = MapPages(sizeof(LengthsCopy) * LengthsCopies::kCopies);
  if (copies == nullptr || driver.mem_host_alloc(&memory, LengthsCopies::kBytes,
                                                 cuda::kHostAllocPortable) != cuda::kSuccess) {
    UnmapPages(copies, sizeof(LengthsCopy) * LengthsCopies::kCopies);
    return false;
  }
  ring.copies = static_cast<LengthsCopy*>(copies);
  ring.memory = static_cast<uint8_t*>(memory);
  ring.has_failed = false;
  return true;
}

LengthsCopy& CopyAt(LengthsCopies& ring, uint64_t index) {
  return ring.copies[index % LengthsCopies::kCopies];
}

// The next copy with room for so many bytes in one piece, which begins at `place`; nullptr if there
// is none. Under the lock.
LengthsCopy* Take(LengthsCopies& ring, uint64_t bytes, uint8_t*& place) {
  const uint64_t end = ring.end.load(std::memory_order_relaxed);
  while (ring.begin != end &&
         CopyAt(ring, ring.begin).state.load(std::memory_order_acquire) == LengthsCopy::kFree) {
    ++ring.begin;
  }
  if (end - ring.begin == LengthsCopies::kCopies) return nullptr;
  // What lies before the oldest copy in use ends where the one before it did.
  const uint64_t oldest = ring.begin == end ? ring.memory_end
                          : ring.begin == 0 ? 0
                                            : CopyAt(ring, ring.begin - 1).end;
  uint64_t from = ring.memory_end;
  const uint64_t left = LengthsCopies::kBytes - from % LengthsCopies::kBytes;
  if (left < bytes) from += left;
  if (from + bytes - oldest > LengthsCopies::kBytes) return nullptr;
  ring.memory_end = from + bytes;
  LengthsCopy& copy = CopyAt(ring, end);
  copy.end = ring.memory_end;
  copy.state.store(LengthsCopy::kTaken, std::memory_order_relaxed);
  ring.end.store(end + 1, std::memory_order_release);
  place = ring.memory + from % LengthsCopies::kBytes;
  return &copy;
}

bool HasEvent(LengthsCopy& copy, const Driver& driver) {
  void* context = nullptr;
  if (driver.ctx_get_current(&context) != cuda::kSuccess || context == nullptr) return false;
  if (copy.event != nullptr && copy.event_context == context) return true;
  if (copy.event != nullptr && driver.event_destroy != nullptr) driver.event_destroy(copy.event);
  copy.event = nullptr;
  copy.event_context = context;
  const RelaxedCapture relaxed(driver);
  if (driver.event_create(&copy.event, cuda::kEventDisableTiming) == cuda::kSuccess) return true;
  copy.event = nullptr;
  return false;
}

bool Enqueue(const Driver& driver, const DeviceLengths::Side& side, uint32_t sequences,
             uint8_t* place, void* stream) {
  const uint64_t elements = uint64_t{sequences} + (side.is_offsets ? 1 : 0);
  return driver.memcpy_dtoh_async(place, reinterpret_cast<uintptr_t>(side.data),
                                  elements * ElementBytes(side), stream) == cuda::kSuccess;
}

uint64_t Mixed(uint64_t sum, uint64_t value, uint64_t factor) {
  sum = (sum ^ value) * factor;
  return sum ^ (sum >> 29);
}

bool Append(LengthsCopies& ring, const trace::SequenceLengths& run) {
  if (ring.pending_count == ring.pending_capacity) {
    const uint32_t capacity = ring.pending_capacity == 0 ? 4096 : ring.pending_capacity * 2;
    void* memory = MapPages(sizeof(trace::SequenceLengths) * capacity);
    if (memory == nullptr) return false;
    if (ring.pending_count != 0) {
      std::memcpy(memory, ring.pending, sizeof(trace::SequenceLengths) * ring.pending_count);
    }
    UnmapPages(ring.pending, sizeof(trace::SequenceLengths) * ring.pending_capacity);
    ring.pending = static_cast<trace::SequenceLengths*>(memory);
    ring.pending_capacity = capacity;
  }
  ring.pending[ring.pending_count++] = run;
  return true;
}

// The runs of a copy, behind the pending ones; their number is still 0. False if they make no
// sense.
bool AppendRuns(LengthsCopies& ring, const LengthsCopy& copy) {
  trace::SequenceLengths run{};
  for (uint32_t i = 0; i < copy.from.sequences; ++i) {
    uint32_t q = 0;
    uint32_t k = 0;
    if (!LengthAt(copy.from.q, copy.q, i, copy.attention.seq_q, q) ||
        !LengthAt(copy.from.k, copy.k, i, copy.attention.seq_k, k)) {
      return false;
    }
    if (run.count != 0 && run.seq_q == q && run.seq_k == k) {
      ++run.count;
      continue;
    }
    if (run.count != 0 && !Append(ring, run)) return false;
    run = {0, q, k, 1};
  }
  return run.count == 0 || Append(ring, run);
}

// The number of the list whose runs begin at `first` of the pending ones; those are taken back if
// there is such a list already. 0 if there is no room for more lists.
uint32_t NumberOf(LengthsCopies& ring, uint32_t first) {
  constexpr uint32_t kSlots = LengthsCopies::kMaxLists * 2;
  if (ring.lists == nullptr) {
    ring.lists =
        static_cast<LengthsCopies::List*>(MapPages(sizeof(LengthsCopies::List) * uint64_t{kSlots}));
    if (ring.lists == nullptr) return 0;
  }
  // 128 bits of fingerprint: equal ones are taken for equal lists. Odd constants, any would do.
  uint64_t low = ring.pending_count - first;
  uint64_t high = ~low;
  for (uint32_t i = first; i < ring.pending_count; ++i) {
    const trace::SequenceLengths& run = ring.pending[i];
    const uint64_t lengths = run.seq_q | uint64_t{run.seq_k} << 32;
    low = Mixed(Mixed(low, lengths, 0x9e3779b97f4a7c15), run.count, 0xbf58476d1ce4e5b9);
    high = Mixed(Mixed(high, run.count, 0x94d049bb133111eb), lengths, 0xd6e8feb86659fd93);
  }
  uint32_t slot = static_cast<uint32_t>(low >> 40) % kSlots;
  for (; ring.lists[slot].number != 0; slot = (slot + 1) % kSlots) {
    if (ring.lists[slot].low != low || ring.lists[slot].high != high) continue;
    ring.pending_count = first;
    return ring.lists[slot].number;
  }
  if (ring.list_count == LengthsCopies::kMaxLists) return 0;
  ring.lists[slot] = {low, high, ++ring.list_count};
  for (uint32_t i = first; i < ring.pending_count; ++i) ring.pending[i].list = ring.list_count;
  return ring.list_count;
}

// The exact signature of a copy that has arrived; 0 if the lengths cannot be used.
uint32_t SignatureOf(Flusher& flusher, const LengthsCopy& copy) {
  LengthsCopies& ring = flusher.session->lengths;
  // A full file takes no calls, so it needs no lists for them.
  if (flusher.is_open && flusher.writer.state() != trace::Writer::State::kOpen) return 0;
  const uint32_t first = ring.pending_count;
  if (!AppendRuns(ring, copy)) {
    ring.pending_count = first;
    Count(Counter::kLengthsUnusable);
    return 0;
  }
  const uint32_t list = NumberOf(ring, first);
  if (list == 0) {
    ring.pending_count = first;
    Count(Counter::kLengthsLost);
    return 0;
  }
  const Facts facts =
      FactsOfAttention(copy.attention, list, copy.entry, shapes::Provenance::kExact);
  return flusher.session->signatures.Intern(facts, HashOf(facts));
}

enum class Arrival : uint8_t { kUnderWay, kThere, kNever };

Arrival Ask(Session& session, const LengthsCopy& copy) {
  if (session.is_abandoned.load(std::memory_order_acquire)) return Arrival::kNever;
  if (session.clock.current_context != copy.event_context) {
    session.clock.current_context = nullptr;
    if (session.driver.ctx_set_current(copy.event_context) != cuda::kSuccess) {
      return Arrival::kNever;
    }
    session.clock.current_context = copy.event_context;
  }
  const int result = session.driver.event_query(copy.event);
  return result == cuda::kSuccess         ? Arrival::kThere
         : result == cuda::kErrorNotReady ? Arrival::kUnderWay
                                          : Arrival::kNever;
}

}  // namespace

uint32_t CopyLengths(Session& session, const Driver& driver, const shapes::Attention& attention,
                     const DeviceLengths& lengths, Entry entry, void* stream) {
  LengthsCopies& ring = session.lengths;
  const uint64_t q_bytes = BytesOf(lengths.q, lengths.sequences);
  const bool is_one = AreSame(lengths.q, lengths.k);
  const uint64_t bytes = q_bytes + (is_one ? 0 : BytesOf(lengths.k, lengths.sequences));
  uint8_t* place = nullptr;
  LengthsCopy* copy = nullptr;
  uint64_t number = 0;
  if (bytes != 0 && bytes <= LengthsCopies::kBytes / 4 && CanCopy(driver) &&
      ring.lock.TryAcquire()) {
    if (HasMemory(ring, driver)) copy = Take(ring, bytes, place);
    number = ring.end.load(std::memory_order_relaxed) - 1;
    const bool is_half_full = number - ring.begin > LengthsCopies::kCopies / 2;
    ring.lock.Release();
    if (is_half_full || copy == nullptr) session.wake_flusher.Raise();
  }
  if (copy == nullptr) {
    Count(Counter::kLengthsNotCopied);
    return 0;
  }
  copy->entry = entry;
  copy->from = lengths;
  copy->attention = attention;
  copy->q = place;
  copy->k = is_one ? place : place + q_bytes;
  const bool has_event = HasEvent(*copy, driver);
  const bool is_enqueued =
      has_event &&
      (lengths.q.data == nullptr || Enqueue(driver, lengths.q, lengths.sequences, place, stream)) &&
      (is_one || lengths.k.data == nullptr ||
       Enqueue(driver, lengths.k, lengths.sequences, place + q_bytes, stream));
  const bool is_recorded = has_event && driver.event_record(copy->event, stream) == cuda::kSuccess;
  if (!is_enqueued || !is_recorded) {
    Count(Counter::kLengthsNotCopied);
    // One of two copies may be under way: its event tells when the room is free again. Where the
    // event itself was refused nothing will tell, so the room stays taken: the context is broken.
    if (is_recorded || !has_event) {
      copy->state.store(is_recorded ? LengthsCopy::kDropped : LengthsCopy::kFree,
                        std::memory_order_release);
    }
    return 0;
  }
  return static_cast<uint32_t>(number % LengthsCopies::kCopies) + 1;
}

void DropLengths(Session& session, uint32_t copy) {
  session.lengths.copies[copy - 1].state.store(LengthsCopy::kDropped, std::memory_order_release);
}

bool ReadLengths(Flusher& flusher, uint32_t number, bool give_up, uint32_t& signature) {
  LengthsCopy& copy = flusher.session->lengths.copies[number - 1];
  switch (Ask(*flusher.session, copy)) {
    case Arrival::kUnderWay:
      if (!give_up) return false;
      Count(Counter::kLengthsNotCopied);
      copy.state.store(LengthsCopy::kDropped, std::memory_order_release);
      return true;
    case Arrival::kNever:
      Count(Counter::kLengthsNotCopied);
      break;
    case Arrival::kThere:
      if (const uint32_t exact = SignatureOf(flusher, copy); exact != 0) signature = exact;
      break;
  }
  copy.state.store(LengthsCopy::kFree, std::memory_order_release);
  return true;
}

void WriteSequenceLengths(Flusher& flusher) {
  LengthsCopies& ring = flusher.session->lengths;
  for (uint32_t i = 0; i < ring.pending_count; ++i) {
    if (void* to = flusher.writer.Append(trace::BlockKind::kSequenceLengths,
                                         sizeof(trace::SequenceLengths))) {
      std::memcpy(to, &ring.pending[i], sizeof(trace::SequenceLengths));
    }
  }
  ring.pending_count = 0;
}

void SweepLengths(Session& session) {
  LengthsCopies& ring = session.lengths;
  const uint64_t end = ring.end.load(std::memory_order_acquire);
  const uint64_t begin = end > LengthsCopies::kCopies ? end - LengthsCopies::kCopies : 0;
  for (uint64_t i = begin; i < end; ++i) {
    LengthsCopy& copy = CopyAt(ring, i);
    if (copy.state.load(std::memory_order_acquire) != LengthsCopy::kDropped) continue;
    if (Ask(session, copy) == Arrival::kUnderWay) continue;
    copy.state.store(LengthsCopy::kFree, std::memory_order_release);
  }
}

bool LengthAt(const DeviceLengths::Side& side, const uint8_t* bytes, uint32_t sequence,
              uint64_t longest, uint32_t& length) {
  if (side.data == nullptr) {
    length = static_cast<uint32_t>(longest);
    return longest <= UINT32_MAX;
  }
  const auto element = [&side, bytes](uint64_t index) {
    int64_t wide = 0;
    int32_t narrow = 0;
    if (side.is_wide) {
      std::memcpy(&wide, bytes + index * sizeof wide, sizeof wide);
      return wide;
    }
    std::memcpy(&narrow, bytes + index * sizeof narrow, sizeof narrow);
    return int64_t{narrow};
  };
  int64_t value = element(sequence);
  if (side.is_offsets) {
    const int64_t next = element(uint64_t{sequence} + 1);
    if (value < 0 || next < value || side.divisor == 0) return false;
    const uint64_t units = static_cast<uint64_t>(next - value);
    if (units % side.divisor != 0) return false;
    value = static_cast<int64_t>(units / side.divisor);
  }
  if (value < 0 || static_cast<uint64_t>(value) > longest || value > int64_t{UINT32_MAX}) {
    return false;
  }
  length = static_cast<uint32_t>(value);
  return true;
}

}  // namespace mfutrace::interpose
