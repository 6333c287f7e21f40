// TracePackets by hand. Field numbers are those of protos/perfetto/trace in Perfetto's repository;
// docs/reference/synthetic-track-event.md there is the guide for producers without its SDK.
#include "report/render/perfetto.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "report/analyze/rates.h"
#include "report/render/proto_writer.h"
#include "report/render/tracks.h"

namespace mfutrace::report {
namespace {

constexpr uint32_t kTracePacket = 1;
namespace packet {
constexpr uint32_t kTimestamp = 8, kSequence = 10, kTrackEvent = 11, kInternedData = 12,
                   kSequenceFlags = 13, kDefaults = 59, kTrackDescriptor = 60;
constexpr uint64_t kStateCleared = 1, kNeedsState = 2;
}  // namespace packet
namespace event {
constexpr uint32_t kAnnotations = 4, kType = 9, kNameId = 10, kTrack = 11, kDoubleValue = 44,
                   kFlowIds = 47, kCorrelation = 52;
constexpr uint64_t kBegin = 1, kEnd = 2, kCounter = 4;
}  // namespace event
namespace annotation {
constexpr uint32_t kDoubleValue = 5, kStringValue = 6, kUintValue = 3, kName = 10;
}  // namespace annotation
namespace descriptor {
constexpr uint32_t kUuid = 1, kName = 2, kProcess = 3, kParent = 5, kCounter = 8,
                   kChildOrdering = 11, kRank = 12, kDescription = 14, kMerge = 15;
constexpr uint64_t kExplicit = 3, kMergeNone = 2;
}  // namespace descriptor
constexpr uint32_t kProcessPid = 1, kProcessName = 6;
constexpr uint32_t kCounterUnit = 6, kCounterAxis = 7;
constexpr uint32_t kInternedNames = 2, kInternedId = 1, kInternedText = 2;

class Trace {
 public:
  std::string Take() { return std::move(bytes_); }

  void Packet(ProtoWriter packet) {
    if (is_first_) {
      packet.Varint(packet::kSequenceFlags, packet::kStateCleared | packet::kNeedsState);
      is_first_ = false;
    } else {
      packet.Varint(packet::kSequenceFlags, packet::kNeedsState);
    }
    packet.Varint(packet::kSequence, 1);
    ProtoWriter trace;
    trace.Message(kTracePacket, packet);
    bytes_ += trace.bytes();
  }

  void Descriptor(const ProtoWriter& track) {
    ProtoWriter packet;
    packet.Message(packet::kTrackDescriptor, track);
    Packet(std::move(packet));
  }

  void Event(int64_t time_ns, const ProtoWriter& event, const std::string* new_name = nullptr,
             uint64_t name_id = 0) {
    ProtoWriter packet;
    packet.Varint(packet::kTimestamp, static_cast<uint64_t>(time_ns));
    if (new_name != nullptr) {
      ProtoWriter name;
      name.Varint(kInternedId, name_id).Bytes(kInternedText, *new_name);
      ProtoWriter data;
      data.Message(kInternedNames, name);
      packet.Message(packet::kInternedData, data);
    }
    packet.Message(packet::kTrackEvent, event);
    Packet(std::move(packet));
  }

  // Name ids are announced in the packet that uses them first.
  std::pair<uint64_t, bool> NameId(const std::string& name) {
    const auto [found, is_new] = names_.try_emplace(name, names_.size() + 1);
    return {found->second, is_new};
  }

 private:
  std::string bytes_;
  bool is_first_ = true;
  std::map<std::string, uint64_t> names_;
};

struct Slice {
  Interval time;
  std::string name;
  uint64_t flow = 0;
  uint64_t correlation = 0;
  std::optional<double> mfu;
};

// Slices of one track, ordered by begin; those that would not nest are cut to the next one's begin.
void Emit(Trace& trace, uint64_t track, std::vector<Slice> slices) {
  std::stable_sort(slices.begin(), slices.end(), [](const Slice& a, const Slice& b) {
    return a.time.begin_ns != b.time.begin_ns ? a.time.begin_ns < b.time.begin_ns
                                              : a.time.end_ns > b.time.end_ns;
  });
  for (size_t i = 0; i < slices.size(); ++i) {
    const Slice& slice = slices[i];
    int64_t end_ns = slice.time.end_ns;
    if (i + 1 < slices.size()) end_ns = std::min(end_ns, slices[i + 1].time.begin_ns);
    const auto [name_id, is_new] = trace.NameId(slice.name);
    ProtoWriter begin;
    begin.Varint(event::kType, event::kBegin)
        .Varint(event::kTrack, track)
        .Varint(event::kNameId, name_id);
    if (slice.flow != 0) begin.Fixed64(event::kFlowIds, slice.flow);
    if (slice.correlation != 0) begin.Varint(event::kCorrelation, slice.correlation);
    if (slice.mfu.has_value()) {
      ProtoWriter mfu;
      mfu.Bytes(annotation::kName, "mfu").Double(annotation::kDoubleValue, *slice.mfu);
      begin.Message(event::kAnnotations, mfu);
    }
    trace.Event(slice.time.begin_ns, begin, is_new ? &slice.name : nullptr, name_id);
    ProtoWriter end;
    end.Varint(event::kType, event::kEnd).Varint(event::kTrack, track);
    trace.Event(std::max(end_ns, slice.time.begin_ns), end);
  }
}

class RankTracks {
 public:
  RankTracks(Trace& trace, const Tracks::Rank& rank, uint64_t number)
      : trace_(trace), rank_(rank), process_((number + 1) << 32), pid_(number + 1) {}

  void Write() {
    ProtoWriter process;
    process.Varint(kProcessPid, pid_).Bytes(kProcessName, rank_.name);
    ProtoWriter track;
    track.Varint(descriptor::kUuid, process_)
        .Message(descriptor::kProcess, process)
        .Bytes(descriptor::kDescription, rank_.description);
    trace_.Descriptor(track);
    const uint64_t mfu = Counter("MFU %", "%", "mfu", 1);
    const uint64_t exposed = Counter("exposed communication %", "%", "exposed", 2);
    for (const Tracks::Step& step : rank_.steps) {
      Value(mfu, step.time.begin_ns, step.mfu_percent);
      Value(exposed, step.time.begin_ns, step.exposed_percent);
    }
    if (!rank_.steps.empty()) {
      Value(mfu, rank_.steps.back().time.end_ns, rank_.steps.back().mfu_percent);
      Value(exposed, rank_.steps.back().time.end_ns, rank_.steps.back().exposed_percent);
      const uint64_t steps = Track("steps", process_, 3);
      std::vector<Slice> slices;
      for (const Tracks::Step& step : rank_.steps) {
        Slice slice;
        slice.time = step.time;
        slice.name = step.name;
        slice.mfu = step.mfu_percent;
        slices.push_back(std::move(slice));
      }
      Emit(trace_, steps, std::move(slices));
    }
    // A child of a process is shown beside it, not below: streams get a parent of their own.
    const uint64_t group = Track("GPU streams", process_, 4);
    for (const auto& [name, works] : rank_.streams) {
      std::vector<Slice> slices;
      for (const Tracks::Work& work : works) {
        Slice slice;
        slice.time = work.time;
        slice.name = *work.name;
        slice.flow = work.flow;
        slice.correlation = work.collective;
        slices.push_back(std::move(slice));
      }
      Emit(trace_, Track(name, group, next_), std::move(slices));
    }
    if (!rank_.exposed.empty()) {
      std::vector<Slice> slices;
      for (const Interval& piece : rank_.exposed) {
        Slice slice;
        slice.time = piece;
        slice.name = "exposed communication";
        slices.push_back(std::move(slice));
      }
      Emit(trace_, Track("exposed communication", process_, 5), std::move(slices));
    }
    if (!rank_.host_calls.empty()) {
      std::vector<Slice> slices;
      for (const Tracks::Work& call : rank_.host_calls) {
        Slice slice;
        slice.time = call.time;
        slice.name = *call.name;
        slice.flow = call.flow;
        slices.push_back(std::move(slice));
      }
      Emit(trace_, Track("host calls", process_, 6), std::move(slices));
    }
  }

 private:
  uint64_t Track(const std::string& name, uint64_t parent, uint64_t order) {
    const uint64_t uuid = process_ + next_++;
    ProtoWriter track;
    track.Varint(descriptor::kUuid, uuid)
        .Bytes(descriptor::kName, name)
        .Varint(descriptor::kParent, parent)
        .Varint(descriptor::kChildOrdering, descriptor::kExplicit)
        .Varint(descriptor::kRank, order)
        .Varint(descriptor::kMerge, descriptor::kMergeNone);
    trace_.Descriptor(track);
    return uuid;
  }
  uint64_t Counter(const std::string& name, const std::string& unit, const std::string& axis,
                   uint64_t order) {
    const uint64_t uuid = process_ + next_++;
    ProtoWriter counter;
    counter.Bytes(kCounterUnit, unit).Bytes(kCounterAxis, axis);
    ProtoWriter track;
    track.Varint(descriptor::kUuid, uuid)
        .Bytes(descriptor::kName, name)
        .Varint(descriptor::kParent, process_)
        .Message(descriptor::kCounter, counter)
        .Varint(descriptor::kRank, order);
    trace_.Descriptor(track);
    return uuid;
  }
  void Value(uint64_t track, int64_t time_ns, std::optional<double> value) {
    if (!value.has_value()) return;
    ProtoWriter counter;
    counter.Varint(event::kType, event::kCounter)
        .Varint(event::kTrack, track)
        .Double(event::kDoubleValue, *value);
    trace_.Event(time_ns, counter);
  }

  Trace& trace_;
  const Tracks::Rank& rank_;
  uint64_t process_;
  uint64_t pid_;
  uint64_t next_ = 1;
};

}  // namespace

std::string RenderPerfetto(const RunResult& result) {
  const Tracks tracks = TracksOf(result);
  Trace trace;
  for (size_t i = 0; i < tracks.ranks.size(); ++i) RankTracks(trace, tracks.ranks[i], i).Write();
  return trace.Take();
}

}  // namespace mfutrace::report
