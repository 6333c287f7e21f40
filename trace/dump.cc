// Text of each record, made on the way through the file. Keeps the strings of the file, to print
// names in place of ids, and nothing else.
#include "trace/dump.h"

#include <string>
#include <unordered_map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "shapes/dtype.h"
#include "shapes/label.h"
#include "trace/signatures.h"

namespace mfutrace::trace {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::string Quoted(absl::string_view text) {
  return absl::StrCat("\"", absl::Utf8SafeCEscape(text), "\"");
}

absl::string_view DtypeName(uint8_t value) {
  return View(shapes::NameOf(static_cast<shapes::Dtype>(value)));
}

absl::string_view NameOf(uint8_t value, std::initializer_list<absl::string_view> names) {
  return value < names.size() ? *(names.begin() + value) : absl::string_view("unknown");
}

absl::string_view ProvenanceName(uint8_t value) {
  return View(shapes::NameOf(static_cast<shapes::Provenance>(value)));
}

absl::string_view ScaleName(uint8_t value) {
  return NameOf(value, {"none", "scalar", "vec16_ue4m3", "vec32_ue8m0", "outer_vec", "vec128",
                        "block128x128", "per_batch_scalar"});
}

// What only some products have; empty for the others.
std::string ScalesAndEpilogue(const GemmSignature& record) {
  std::string text;
  if (record.scale_a != 0 || record.scale_b != 0 || record.scale_d != 0) {
    absl::StrAppend(&text, " scales=", ScaleName(record.scale_a), ",", ScaleName(record.scale_b),
                    ",", ScaleName(record.scale_d));
  }
  if (record.bias != 0) absl::StrAppend(&text, " bias=", DtypeName(record.bias));
  if (record.aux != 0) absl::StrAppend(&text, " aux=", DtypeName(record.aux));
  if (record.epilogue != 0) absl::StrAppend(&text, " epilogue=", record.epilogue);
  return text;
}

std::string Flags(uint8_t flags) {
  std::string text;
  if ((flags & kCaptured) != 0) absl::StrAppend(&text, " captured");
  if ((flags & kGrouped) != 0) absl::StrAppend(&text, " grouped");
  if (const int rest = flags & ~(kCaptured | kGrouped); rest != 0) {
    absl::StrAppend(&text, " flags=", absl::Hex(rest));
  }
  return text;
}

class Dumper : public Visitor {
 public:
  explicit Dumper(const std::function<void(absl::string_view)>& line) : line_(line) {}

  void OnHeader(const FileHeader& header) override {
    Line("header format=", header.format_version, " pid=", header.pid,
         " monotonic_ns=", header.start_monotonic_ns, " realtime_ns=", header.start_realtime_ns);
  }

  void OnString(uint32_t id, absl::string_view text) override {
    strings_[id] = std::string(text);
    Line("string ", id, " ", Quoted(text));
  }

  void OnFact(absl::string_view key, absl::string_view value) override {
    Line("fact ", absl::Utf8SafeCEscape(key), "=", Quoted(value));
  }

  void OnDevice(const DeviceRecord& device) override {
    Line("device ", device.ordinal, " ", Name(device.name), " bus=", Name(device.bus_id),
         " uuid=", Name(device.uuid), " cc=", device.compute_major, ".", device.compute_minor,
         " sms=", device.sm_count, " clock_khz=", device.clock_khz,
         " memory_bytes=", device.memory_bytes);
  }

  void OnLane(const LaneRecord& lane) override {
    Line("lane ", lane.id, " device=", lane.device, " stream=0x", absl::Hex(lane.stream),
         " thread=", lane.thread);
  }

  void OnThread(const ThreadRecord& thread) override {
    Line("thread ", thread.thread, " ", Name(thread.name));
  }

  void OnCommunicator(const CommunicatorRecord& record) override {
    Line("communicator ", record.index, " ",
         NameOf(record.event, {"created", "destroyed", "aborted", "finalized", "revoked"}),
         " id=0x", absl::Hex(record.id), " parent=0x", absl::Hex(record.parent_id),
         " rank=", record.rank, "/", record.size, " device=", record.device,
         " split=", record.split_index, " color=", record.split_color,
         " creation=", record.creation, " ", Name(record.name));
  }

  void OnGemmSignature(const GemmSignature& record) override {
    const shapes::Label label = shapes::LabelOf(GemmOf(record));
    Line("signature ", record.id, " ", Name(record.entry), " ", View(label.text()),
         " c=", DtypeName(record.c), " d=", DtypeName(record.d),
         " accumulate=", DtypeName(record.accumulate), " compute=", record.compute_code,
         " beta=", NameOf(record.beta, {"unknown", "zero", "nonzero"}), " flags=", record.flags,
         " ", ProvenanceName(record.provenance), ScalesAndEpilogue(record));
  }

  void OnCollectiveSignature(const CollectiveSignature& record) override {
    Line("signature ", record.id, " ", Name(record.entry), " ",
         View(shapes::NameOf(static_cast<shapes::CollectiveKind>(record.kind))), " ",
         DtypeName(record.dtype), " count=", record.count, " communicator=", record.communicator,
         " peer=", record.peer, " reduction=", record.reduction, " ",
         ProvenanceName(record.provenance));
  }

  void OnOpaqueSignature(const OpaqueSignature& record) override {
    Line("signature ", record.id, " ", Name(record.entry), " opaque ", Name(record.reason));
  }

  void OnMatrixSignature(const MatrixSignature& record) override {
    Line("signature ", record.id, " ", Name(record.entry), " matrix routine=", record.routine, " ",
         DtypeName(record.dtype), ">", DtypeName(record.result), " m=", record.m, " n=", record.n,
         " k=", record.k, " batch=", record.batch, " accumulate=", DtypeName(record.accumulate),
         " math=", record.math, " side=", NameOf(record.side, {"left", "right", "unknown"}),
         " beta=", NameOf(record.beta, {"unknown", "zero", "nonzero"}), " flags=", record.flags,
         " compute=", record.compute_code, " ", ProvenanceName(record.provenance));
  }

  void OnSequenceLengths(const SequenceLengths& record) override {
    Line("lengths ", record.list, ": ", record.seq_q, " queries ", record.seq_k, " keys x",
         record.count);
  }

  void OnAttentionSignature(const AttentionSignature& record) override {
    const shapes::Label label = shapes::LabelOf(AttentionOf(record));
    Line("signature ", record.id, " ", Name(record.entry), " ", View(label.text()),
         " flags=", record.flags, " ", ProvenanceName(record.provenance),
         record.lengths == 0 ? "" : absl::StrCat(" lengths=", record.lengths));
  }

  void OnConvolutionSignature(const ConvolutionSignature& record) override {
    const shapes::Label label = shapes::LabelOf(ConvolutionOf(record));
    Line("signature ", record.id, " ", Name(record.entry), " ", View(label.text()), " ",
         ProvenanceName(record.provenance));
  }

  void OnRnnSignature(const RnnSignature& record) override {
    Line("signature ", record.id, " ", Name(record.entry), " rnn ",
         NameOf(record.cell, {"unknown", "vanilla", "lstm", "gru"}), " ",
         NameOf(record.pass, {"fwd", "bwd_data", "bwd_weights"}), " ", DtypeName(record.dtype),
         " steps=", record.steps, " input=", record.input_size, " hidden=", record.hidden_size,
         " projection=", record.projection_size, " layers=", record.layers,
         " directions=", record.directions, " flags=", record.flags, " ",
         ProvenanceName(record.provenance));
  }

  void OnCompoundSignature(const CompoundSignature& record) override {
    Line("signature ", record.id, " ", Name(record.entry), " compound of ", record.member_count,
         " ", Name(record.label), " hash=0x", absl::Hex(record.hash_high, absl::kZeroPad16),
         absl::Hex(record.hash_low, absl::kZeroPad16));
  }

  void OnCompoundMember(const CompoundMember& record) override {
    std::string text = absl::StrCat("member of ", record.compound, ": signature ", record.signature,
                                    " x", record.count);
    if (record.condition != static_cast<uint32_t>(Condition::kAlways)) {
      absl::StrAppend(
          &text, " ",
          NameOf(static_cast<uint8_t>(record.condition), {"always", "at_most_once", "any_number"}));
    }
    Line(text);
  }

  void OnLaunchSequence(const LaunchSequence& record) override {
    Line("launch_sequence lane=", record.lane, " host=", record.host_begin_ns,
         " communicator=", record.communicator, " sequence=", record.sequence,
         " count=", record.count);
  }

  void OnForeignKernels(const ForeignKernels& record) override {
    Line("foreign ", Name(record.name), " device=", record.device, " ",
         NameOf(record.family, {"kernel", "communication", "copy"}), " x", record.kernels,
         " busy_ns=", record.busy_ns, " host=", record.host_begin_ns, "..", record.host_end_ns);
  }

  void OnForeignRun(const ForeignRun& record) override {
    Line("foreign run device=", record.device, " stream=", record.stream, " ",
         NameOf(record.family, {"kernel", "communication", "copy"}), " x", record.kernels,
         " gpu=", record.gpu_begin_ns, "..", record.gpu_end_ns, " busy_ns=", record.busy_ns);
  }

  void OnForeignEach(const ForeignEach& record) override {
    Line("foreign each ", Name(record.name), " device=", record.device, " stream=", record.stream,
         " ", NameOf(record.family, {"kernel", "communication", "copy"}),
         " gpu=", record.gpu_begin_ns, "..", record.gpu_end_ns);
  }

  void OnKernelLaunches(const KernelLaunches& record) override {
    Line("kernel_launches ", Name(record.name), " x", record.launches);
  }

  void OnTimingChange(const TimingChange& record) override {
    Line("timing_change at=", record.monotonic_ns, " ", Name(record.backend), " (",
         Name(record.reason), ")");
  }

  void OnCall(const Call& call) override {
    std::string text =
        absl::StrCat(call.is_collective ? "collective " : "call ", call.signature,
                     " lane=", call.lane, " host=", call.host_begin_ns, "..", call.host_end_ns);
    if (call.is_timed) {
      absl::StrAppend(&text, " gpu=", call.gpu_begin_ns, "..", call.gpu_end_ns);
    }
    if (call.is_collective) absl::StrAppend(&text, " sequence=", call.sequence);
    Line(text, Flags(call.flags));
  }

  void OnCount(const CountRecord& record) override {
    Line("count ", record.signature, " ",
         NameOf(record.reason, {"dropped", "untimed", "size_limit"}), " calls=", record.calls,
         " device=", record.device, " host=", record.host_begin_ns, "..", record.host_end_ns,
         Flags(record.flags));
  }

  void OnCounter(const CounterRecord& record) override {
    Line("counter ", Name(record.name), "=", record.value);
  }

  void OnHostClock(const HostClockRecord& record) override {
    Line("host_clock monotonic_ns=", record.monotonic_ns, " realtime_ns=", record.realtime_ns,
         " residual_ns=", record.residual_ns);
  }

  void OnClockSample(const ClockSampleRecord& record) override {
    Line("clock_sample device=", record.device, " gpu_ns=", record.gpu_ns,
         " host=", record.host_min_ns, "..", record.host_max_ns);
  }

  void OnWindow(const WindowRecord& record) override {
    Line("window ", record.number, " ", NameOf(record.event, {"opened", "closed"}), " ",
         NameOf(record.reason, {"start", "schedule", "size_limit", "exit"}),
         " monotonic_ns=", record.monotonic_ns, " calls=", record.calls,
         " length_ns=", record.length_ns);
  }

  void OnWindowSequence(const WindowSequence& record) override {
    Line("window ", record.window, " communicator=", record.communicator,
         " sequence=", record.sequence);
  }

  void OnEnd(const EndRecord& record) override {
    Line("end ", NameOf(record.reason, {"exit", "size_limit", "write_error"}),
         " calls=", record.calls, " monotonic_ns=", record.monotonic_ns);
  }

 private:
  template <typename... Parts>
  void Line(const Parts&... parts) {
    line_(absl::StrCat(parts...));
  }

  // A string by its id: quoted, "-" for none, "#7" for one that the file never gave.
  std::string Name(uint32_t id) const {
    if (id == 0) return "-";
    const auto found = strings_.find(id);
    return found == strings_.end() ? absl::StrCat("#", id) : Quoted(found->second);
  }

  const std::function<void(absl::string_view)>& line_;
  std::unordered_map<uint32_t, std::string> strings_;
};

}  // namespace

absl::StatusOr<Outcome> Dump(const std::string& path,
                             const std::function<void(absl::string_view line)>& line) {
  Dumper dumper(line);
  return ReadTrace(path, dumper);
}

}  // namespace mfutrace::trace
