// Turns staged records into blocks of calls, each kind in its narrowest form that fits.
//
// Flusher thread only. A block has one device and one kind, so the stage is written device by
// device (records of one lane have one device: their order stays), and a plain call between two
// collectives is written as a collective without a sequence number, 4 bytes more, rather than in a
// block of its own, 48 bytes more.
#include <cstring>

#include "interpose/flusher_state.h"

namespace mfutrace::interpose {
namespace {

using trace::BlockKind;

// A new block's header and prefix cost as much as 12 sequence numbers.
constexpr uint32_t kRunWorthABlock =
    (sizeof(trace::BlockHeader) + sizeof(trace::CallPrefix)) / sizeof(uint32_t);

struct Range {
  int64_t least = INT64_MAX;
  void Add(int64_t value) {
    if (value < least) least = value;
  }
  // A base from which `value` can be told in 32 bits.
  int64_t BaseFor(int64_t value) const {
    return value >= least && value - least <= int64_t{UINT32_MAX} ? least : value;
  }
};

bool FitsIn32(int64_t value) { return value >= 0 && value <= int64_t{UINT32_MAX}; }

struct DeviceStage {
  Flusher& flusher;
  int32_t device;
  Range host;
  Range gpu;

  bool IsMine(const Staged& staged) const { return staged.record.device == device; }

  // Plain calls in a row from `begin` on, as far as it matters.
  bool StartsLongPlainRun(uint32_t begin, bool is_timed) const {
    uint32_t run = 0;
    for (uint32_t i = begin; i < flusher.staged && run < kRunWorthABlock; ++i) {
      const Staged& staged = flusher.stage[i];
      if (!IsMine(staged)) continue;
      if (staged.record.sequence != 0 || staged.is_timed != is_timed) return false;
      ++run;
    }
    return run == kRunWorthABlock;
  }
};

// Where the record goes in the open block of this kind, or in a new one with a fitting prefix.
void* Place(DeviceStage& stage, BlockKind kind, uint16_t bytes, const Staged& staged) {
  Flusher& flusher = stage.flusher;
  trace::CallPrefix& prefix = flusher.open_prefix;
  const RingRecord& record = staged.record;
  const bool fits = flusher.open_kind == kind && prefix.device == stage.device &&
                    flusher.writer.HasOpenBlock(kind, bytes) &&
                    FitsIn32(record.host_begin_ns - prefix.host_base_ns) &&
                    (!staged.is_timed || FitsIn32(staged.gpu_begin_ns - prefix.gpu_base_ns));
  if (!fits) {
    flusher.writer.EndBlock();
    prefix = trace::CallPrefix{};
    prefix.host_base_ns = stage.host.BaseFor(record.host_begin_ns);
    prefix.gpu_base_ns = staged.is_timed ? stage.gpu.BaseFor(staged.gpu_begin_ns) : 0;
    prefix.device = stage.device;
    flusher.open_kind = kind;
  }
  return flusher.writer.Append(kind, bytes, &prefix, sizeof prefix);
}

bool PutWide(Flusher& flusher, const Staged& staged, uint32_t lane_flags) {
  void* to = flusher.writer.Append(BlockKind::kWideCalls, sizeof(trace::WideCallRecord));
  if (to == nullptr) return false;
  trace::WideCallRecord wide{};
  wide.signature = staged.record.signature;
  wide.lane_flags = lane_flags;
  wide.host_begin_ns = staged.record.host_begin_ns;
  wide.host_end_ns = staged.record.host_end_ns;
  wide.gpu_begin_ns = staged.gpu_begin_ns;
  wide.gpu_end_ns = staged.gpu_end_ns;
  wide.sequence = staged.record.sequence;
  wide.is_timed = staged.is_timed ? 1 : 0;
  std::memcpy(to, &wide, sizeof wide);
  return true;
}

bool PutCall(DeviceStage& stage, uint32_t index) {
  Flusher& flusher = stage.flusher;
  const Staged& staged = flusher.stage[index];
  const RingRecord& record = staged.record;
  const uint32_t lane_flags = (record.lane & 0xffffff) | record.flags << 24;
  const int64_t host_duration_ns = record.host_end_ns - record.host_begin_ns;
  const int64_t gpu_duration_ns = staged.is_timed ? staged.gpu_end_ns - staged.gpu_begin_ns : 0;
  if (!FitsIn32(host_duration_ns) || !FitsIn32(gpu_duration_ns)) {
    flusher.open_kind = BlockKind{};
    return PutWide(flusher, staged, lane_flags);
  }
  const BlockKind plain = staged.is_timed ? BlockKind::kTimedCalls : BlockKind::kCalls;
  const BlockKind collective =
      staged.is_timed ? BlockKind::kTimedCollectives : BlockKind::kCollectives;
  const bool as_collective =
      record.sequence != 0 ||
      (flusher.open_kind == collective && !stage.StartsLongPlainRun(index, staged.is_timed));

  // The four kinds are prefixes of one another but for the order of the last fields.
  trace::TimedCollectiveRecord full{};
  uint16_t bytes = sizeof(trace::CallRecord);
  if (staged.is_timed) bytes = sizeof(trace::TimedCallRecord);
  const uint16_t sequence_at = bytes;
  if (as_collective) bytes = static_cast<uint16_t>(bytes + sizeof(uint32_t));
  uint8_t* to =
      static_cast<uint8_t*>(Place(stage, as_collective ? collective : plain, bytes, staged));
  if (to == nullptr) return false;
  full.call.signature = record.signature;
  full.call.lane_flags = lane_flags;
  full.call.host_begin_delta_ns =
      static_cast<uint32_t>(record.host_begin_ns - flusher.open_prefix.host_base_ns);
  full.call.host_duration_ns = static_cast<uint32_t>(host_duration_ns);
  full.gpu_begin_delta_ns =
      static_cast<uint32_t>(staged.gpu_begin_ns - flusher.open_prefix.gpu_base_ns);
  full.gpu_duration_ns = static_cast<uint32_t>(gpu_duration_ns);
  std::memcpy(to, &full, sequence_at);
  if (as_collective) std::memcpy(to + sequence_at, &record.sequence, sizeof record.sequence);
  return true;
}

void WriteDeviceStage(Flusher& flusher, int32_t device) {
  DeviceStage stage{flusher, device, {}, {}};
  for (uint32_t i = 0; i < flusher.staged; ++i) {
    const Staged& staged = flusher.stage[i];
    if (!stage.IsMine(staged)) continue;
    stage.host.Add(staged.record.host_begin_ns);
    if (staged.is_timed) stage.gpu.Add(staged.gpu_begin_ns);
  }
  for (uint32_t i = 0; i < flusher.staged; ++i) {
    const Staged& staged = flusher.stage[i];
    if (!stage.IsMine(staged) || PutCall(stage, i)) continue;
    if (flusher.writer.state() != trace::Writer::State::kFull) return;  // failed: nothing to keep
    flusher.limited.Add(staged.record.signature, device, staged.record.flags);
    Count(Counter::kBytesOverLimit);
  }
}

}  // namespace

void WriteStage(Flusher& flusher) {
  if (flusher.staged == 0) return;
  WriteTables(flusher);
  flusher.open_kind = BlockKind{};
  // Devices in the order of their first record; a process has few.
  bool is_done[GpuClock::kMaxDevices + 1] = {};
  for (uint32_t i = 0; i < flusher.staged; ++i) {
    const int32_t device = flusher.stage[i].record.device;
    bool& done = is_done[device + 1];
    if (done) continue;
    done = true;
    WriteDeviceStage(flusher, device);
  }
  flusher.staged = 0;
  flusher.writer.EndBlock();
  flusher.open_kind = BlockKind{};
}

void WriteCounts(Flusher& flusher, Tally& tally, trace::CountReason reason, int64_t begin_ns,
                 int64_t end_ns) {
  tally.TakeAll([&](uint32_t signature, int32_t device, uint32_t flags, uint64_t calls) {
    // Interned after this round's tables were written, perhaps.
    if (signature > flusher.signatures_written) WriteTables(flusher);
    WriteDevice(flusher, device);
    trace::CountRecord record{};
    record.signature = signature;
    record.device = device;
    record.calls = calls;
    record.host_begin_ns = begin_ns;
    record.host_end_ns = end_ns;
    record.reason = static_cast<uint8_t>(reason);
    record.flags = static_cast<uint8_t>(flags);
    if (void* to = flusher.writer.Append(BlockKind::kCounts, sizeof record)) {
      std::memcpy(to, &record, sizeof record);
    }
  });
}

}  // namespace mfutrace::interpose
