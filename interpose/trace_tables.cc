// Writes strings, signatures, lanes, devices and the like ahead of the calls that refer to them.
//
// Flusher thread only. Strings go first and records of one kind together: a block costs 24 bytes,
// and switching kinds for every record would double the tables.
#include <cstring>
#include <type_traits>

#include "interpose/clock.h"
#include "interpose/device_lengths.h"
#include "interpose/flusher_state.h"
#include "interpose/text.h"
#include "trace/contract.h"

namespace mfutrace::interpose {
namespace {

using trace::BlockKind;

template <typename Record>
void Put(Flusher& flusher, BlockKind kind, const Record& record) {
  if (void* to = flusher.writer.Append(kind, sizeof record)) {
    std::memcpy(to, &record, sizeof record);
  }
}

uint32_t WriteString(Flusher& flusher, const char* text) {
  trace::StringHeader head{};
  head.id = ++flusher.next_string;
  head.bytes = static_cast<uint32_t>(std::strlen(text));
  flusher.writer.AppendVariable(BlockKind::kStrings, &head, sizeof head, text, head.bytes);
  return head.id;
}

// Signature facts are format.h's structs with the kind in place of the id and an Entry in place of
// its string (recorder.cc).
struct SignatureHead {
  uint32_t kind;
  uint32_t entry;
};

SignatureHead HeadOf(const Facts& facts) {
  SignatureHead head{};
  std::memcpy(&head, &facts, sizeof head);
  return head;
}

// A text with static storage, whose pointer the facts hold.
uint32_t StaticString(Flusher& flusher, uint64_t word) {
  const char* reason = nullptr;
  std::memcpy(&reason, &word, sizeof reason);
  if (reason == nullptr) return 0;
  for (uint32_t i = 0; i < Flusher::kMaxReasons; ++i) {
    if (flusher.reasons[i] == reason) return flusher.reason_strings[i];
    if (flusher.reasons[i] == nullptr) {
      flusher.reasons[i] = reason;
      return flusher.reason_strings[i] = WriteString(flusher, reason);
    }
  }
  return 0;
}

template <typename Signature>
void WriteSignaturesOfKind(Flusher& flusher, BlockKind kind, uint32_t end) {
  for (uint32_t id = flusher.signatures_written + 1; id <= end; ++id) {
    const Facts& facts = flusher.session->signatures.At(id);
    const SignatureHead head = HeadOf(facts);
    if (head.kind != static_cast<uint32_t>(kind)) continue;
    Signature signature{};
    static_assert(sizeof signature <= sizeof facts);
    std::memcpy(&signature, &facts, sizeof signature);
    signature.id = id;
    signature.entry = flusher.entry_strings[head.entry];
    if constexpr (std::is_same_v<Signature, trace::OpaqueSignature>) {
      signature.reason = StaticString(flusher, facts.words[1]);
      signature.reserved = 0;
    }
    if constexpr (std::is_same_v<Signature, trace::CompoundSignature>) {
      signature.label = StaticString(flusher, facts.words[4]);
    }
    Put(flusher, kind, signature);
  }
}

// The lists of the compounds up to `end`. Their parts have smaller ids and stand in the file by
// now.
void WriteCompoundMembers(Flusher& flusher, uint32_t end) {
  for (uint32_t id = flusher.signatures_written + 1; id <= end; ++id) {
    const Facts& facts = flusher.session->signatures.At(id);
    if (HeadOf(facts).kind != static_cast<uint32_t>(BlockKind::kCompoundSignatures)) continue;
    const CompoundPart* parts = flusher.session->compounds.Find({facts.words[2], facts.words[3]});
    const auto count = static_cast<uint32_t>(facts.words[1]);
    for (uint32_t i = 0; parts != nullptr && i < count; ++i) {
      Put(flusher, BlockKind::kCompoundMembers,
          trace::CompoundMember{id, parts[i].signature, parts[i].count, parts[i].condition, 0});
    }
  }
}

void WriteSignatures(Flusher& flusher) {
  const uint32_t end = flusher.session->signatures.size();
  if (flusher.signatures_written == end) return;
  WriteSequenceLengths(flusher);
  for (uint32_t id = flusher.signatures_written + 1; id <= end; ++id) {
    const Facts& facts = flusher.session->signatures.At(id);
    const SignatureHead head = HeadOf(facts);
    uint32_t& string = flusher.entry_strings[head.entry];
    if (string == 0) string = WriteString(flusher, NameOf(static_cast<Entry>(head.entry)));
    if (head.kind == static_cast<uint32_t>(BlockKind::kOpaqueSignatures)) {
      StaticString(flusher, facts.words[1]);
    }
    if (head.kind == static_cast<uint32_t>(BlockKind::kCompoundSignatures)) {
      StaticString(flusher, facts.words[4]);
    }
  }
  WriteSignaturesOfKind<trace::GemmSignature>(flusher, BlockKind::kGemmSignatures, end);
  WriteSignaturesOfKind<trace::CollectiveSignature>(flusher, BlockKind::kCollectiveSignatures, end);
  WriteSignaturesOfKind<trace::OpaqueSignature>(flusher, BlockKind::kOpaqueSignatures, end);
  WriteSignaturesOfKind<trace::MatrixSignature>(flusher, BlockKind::kMatrixSignatures, end);
  WriteSignaturesOfKind<trace::AttentionSignature>(flusher, BlockKind::kAttentionSignatures, end);
  WriteSignaturesOfKind<trace::ConvolutionSignature>(flusher, BlockKind::kConvolutionSignatures,
                                                     end);
  WriteSignaturesOfKind<trace::RnnSignature>(flusher, BlockKind::kRnnSignatures, end);
  WriteSignaturesOfKind<trace::CompoundSignature>(flusher, BlockKind::kCompoundSignatures, end);
  WriteCompoundMembers(flusher, end);
  flusher.signatures_written = end;
}

void WriteThreads(Flusher& flusher) {
  Session& session = *flusher.session;
  const uint32_t count = session.thread_count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; ++i) {
    ThreadState* thread = session.threads[i].load(std::memory_order_acquire);
    if (thread->writing != ThreadState::Writing::kDue) continue;
    trace::ThreadRecord record{};
    record.thread = thread->tid;
    record.name = WriteString(flusher, thread->name);
    Put(flusher, BlockKind::kThreads, record);
    thread->writing = ThreadState::Writing::kDone;
  }
}

void WriteLanes(Flusher& flusher) {
  const uint32_t end = flusher.session->lanes.size();
  for (uint32_t id = flusher.lanes_written + 1; id <= end; ++id) {
    WriteDevice(flusher, static_cast<int32_t>(flusher.session->lanes.At(id).words[1]));
  }
  while (flusher.lanes_written < end) {
    const Facts& facts = flusher.session->lanes.At(++flusher.lanes_written);
    trace::LaneRecord lane{};
    lane.id = flusher.lanes_written;
    lane.device = static_cast<int32_t>(facts.words[1]);
    lane.stream = facts.words[2];
    lane.thread = static_cast<uint32_t>(facts.words[0]);
    Put(flusher, BlockKind::kLanes, lane);
  }
}

void WriteCommunicator(Flusher& flusher, uint32_t index, uint8_t event) {
  const uint32_t i = index - 1;
  const KeptCommunicator& kept =
      flusher.session->communicators[i / Session::kCommunicatorChunk].load(
          std::memory_order_acquire)[i % Session::kCommunicatorChunk];
  trace::CommunicatorRecord record{};
  record.index = index;
  record.rank = kept.rank;
  record.id = kept.id;
  record.parent_id = kept.parent_id;
  record.size = kept.size;
  record.device = kept.device;
  record.split_color = kept.split_color;
  record.split_index = kept.split_index;
  record.creation = index;
  record.event = event;
  if (kept.name[0] != '\0') record.name = WriteString(flusher, kept.name);
  Put(flusher, BlockKind::kCommunicators, record);
}

void WriteCommunicators(Flusher& flusher) {
  Session& session = *flusher.session;
  const uint32_t ends = session.communicator_end_count.load(std::memory_order_acquire);
  const uint32_t count = session.communicator_count.load(std::memory_order_acquire);
  while (flusher.communicators_written < count) {
    WriteCommunicator(flusher, ++flusher.communicators_written,
                      static_cast<uint8_t>(trace::CommunicatorEvent::kCreated));
  }
  const CommunicatorEnd* list = session.communicator_ends.load(std::memory_order_acquire);
  while (flusher.communicator_ends_written < ends) {
    const CommunicatorEnd& end = list[flusher.communicator_ends_written++];
    WriteCommunicator(flusher, end.index, end.event);
  }
}

const char* NameOf(TimingBackend backend) {
  return backend == TimingBackend::kCupti    ? "cupti"
         : backend == TimingBackend::kEvents ? "events"
                                             : "count";
}

void WriteTiming(Flusher& flusher) {
  const GpuClock& clock = flusher.session->clock;
  const TimingBackend backend = clock.backend.load(std::memory_order_acquire);
  // Undecided until the driver is found; the fact is written for what is true so far, and again.
  const bool is_undecided = backend == TimingBackend::kUndecided;
  const char* reason =
      is_undecided ? "no CUDA driver has been loaded into the process" : clock.reason;
  if (backend == flusher.backend_written && reason == flusher.reason_written) return;
  WriteFact(flusher.writer, trace::fact::kTimingBackend, NameOf(backend));
  WriteFact(flusher.writer, trace::fact::kTimingReason, reason);
  trace::TimingChange change{};
  change.monotonic_ns = is_undecided ? flusher.session->start_monotonic_ns : clock.changed_ns;
  change.backend = WriteString(flusher, NameOf(backend));
  change.reason = WriteString(flusher, reason);
  Put(flusher, BlockKind::kTimingChanges, change);
  flusher.reason_written = reason;
  flusher.backend_written = backend;
  const Driver* driver = DriverOf(*flusher.session);
  int version = 0;
  if (driver != nullptr && driver->driver_get_version != nullptr &&
      driver->driver_get_version(&version) == cuda::kSuccess) {
    char number[24];
    WriteFact(flusher.writer, trace::fact::kDriverVersion,
              Text(number, sizeof number).Add(int64_t{version}).c_str());
  }
}

}  // namespace

void WriteTables(Flusher& flusher) {
  WriteTiming(flusher);
  WriteThreads(flusher);
  WriteCommunicators(flusher);
  WriteSignatures(flusher);
  WriteLanes(flusher);
  WriteLaunches(flusher);
}

uint32_t WriteTraceString(Flusher& flusher, const char* text) { return WriteString(flusher, text); }

void WriteDevice(Flusher& flusher, int32_t device) {
  if (device < 0 || device >= static_cast<int32_t>(GpuClock::kMaxDevices)) return;
  if (flusher.device_is_written[device]) return;
  flusher.device_is_written[device] = true;
  trace::DeviceRecord record{};
  record.ordinal = device;
  const Driver* driver = DriverOf(*flusher.session);
  int handle = 0;
  if (driver != nullptr && driver->device_get != nullptr &&
      driver->device_get(&handle, device) == cuda::kSuccess) {
    char text[256] = "";
    if (driver->device_get_name != nullptr &&
        driver->device_get_name(text, sizeof text, handle) == cuda::kSuccess) {
      record.name = WriteString(flusher, text);
    }
    if (driver->device_get_pci_bus_id != nullptr &&
        driver->device_get_pci_bus_id(text, sizeof text, handle) == cuda::kSuccess) {
      record.bus_id = WriteString(flusher, text);
    }
    uint8_t uuid[16] = {};
    if (driver->device_get_uuid != nullptr &&
        driver->device_get_uuid(uuid, handle) == cuda::kSuccess) {
      record.uuid = WriteString(flusher, Text(text, sizeof text).AddHex(uuid, 16).c_str());
    }
    const auto attribute = [driver, handle](int which) {
      int value = 0;
      if (driver->device_get_attribute == nullptr ||
          driver->device_get_attribute(&value, which, handle) != cuda::kSuccess) {
        return 0;
      }
      return value;
    };
    record.compute_major = attribute(cuda::kAttributeComputeMajor);
    record.compute_minor = attribute(cuda::kAttributeComputeMinor);
    record.sm_count = attribute(cuda::kAttributeMultiprocessorCount);
    record.clock_khz = attribute(cuda::kAttributeClockRate);
    if (driver->device_total_mem == nullptr ||
        driver->device_total_mem(&record.memory_bytes, handle) != cuda::kSuccess) {
      record.memory_bytes = 0;
    }
  }
  Put(flusher, BlockKind::kDevices, record);
}

void WriteCounters(Flusher& flusher) {
  bool has_changed[kCounterCount] = {};
  for (uint32_t i = 0; i < kCounterCount; ++i) {
    const Counter counter = static_cast<Counter>(i);
    const uint64_t value = ValueOf(counter);
    has_changed[i] = value != flusher.counters_written[i];
    flusher.counters_written[i] = value;
    if (has_changed[i] && flusher.counter_strings[i] == 0) {
      flusher.counter_strings[i] = WriteString(flusher, NameOf(counter));
    }
  }
  for (uint32_t i = 0; i < kCounterCount; ++i) {
    if (!has_changed[i]) continue;
    trace::CounterRecord record{};
    record.name = flusher.counter_strings[i];
    record.value = flusher.counters_written[i];
    Put(flusher, BlockKind::kCounters, record);
  }
}

void WriteHostClock(Flusher& flusher) {
  // The pair with the least time between its two readings, of three.
  trace::HostClockRecord best{};
  int64_t best_gap_ns = INT64_MAX;
  for (int i = 0; i < 3; ++i) {
    const int64_t before_ns = MonotonicNs();
    const int64_t realtime_ns = RealtimeNs();
    const int64_t after_ns = MonotonicNs();
    if (after_ns - before_ns >= best_gap_ns) continue;
    best_gap_ns = after_ns - before_ns;
    best.monotonic_ns = before_ns + best_gap_ns / 2;
    best.realtime_ns = realtime_ns;
    best.residual_ns = best_gap_ns - best_gap_ns / 2;
  }
  Put(flusher, BlockKind::kHostClock, best);
  flusher.host_clock_written_ns = best.monotonic_ns;
}

void WriteClockSample(Flusher& flusher, int32_t device, int64_t gpu_ns, int64_t host_min_ns,
                      int64_t host_max_ns) {
  WriteDevice(flusher, device);
  trace::ClockSampleRecord sample{};
  sample.device = device;
  sample.gpu_ns = gpu_ns;
  sample.host_min_ns = host_min_ns;
  sample.host_max_ns = host_max_ns;
  Put(flusher, BlockKind::kClockSamples, sample);
}

}  // namespace mfutrace::interpose
