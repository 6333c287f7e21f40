// The visitor that turns one native file into timelines.
#include "report/model/load.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "report/model/load_kernels.h"
#include "report/model/load_signatures.h"
#include "report/model/load_windows.h"
#include "report/model/ops_of.h"
#include "trace/contract.h"
#include "trace/reader.h"

namespace mfutrace::report {
namespace {

namespace fact = trace::fact;

// What becomes one Timeline, with the maps from the file's numbers to the timeline's.
struct DeviceBuilder {
  Timeline timeline;
  absl::flat_hash_map<uint32_t, uint32_t> op_of_signature;
  absl::flat_hash_map<uint32_t, uint32_t> communicator_of_index;
  absl::flat_hash_map<uint64_t, uint32_t> stream_of_handle;
  // Last work of a group of collectives, by stream and communicator: the calls of a group share it.
  absl::flat_hash_map<uint64_t, uint32_t> last_grouped_work;
  // By signature and by lane: both are numbered densely, and every call asks for them.
  struct CallKind {
    uint32_t op = kNoIndex;
    bool is_known = false;  // looked up before
    bool is_opaque = false;
    bool is_compound = false;
  };
  std::vector<CallKind> kinds;
  std::vector<uint32_t> stream_of_lane;
  std::vector<int64_t> clock_widths_ns;
  bool has_host_window = false;
};

// Numbers beyond this are taken for damage where a table is indexed by them.
constexpr uint32_t kMostDense = 1u << 20;
// Of a timed call, the usual kind.
constexpr uint64_t kBytesPerCall = sizeof(trace::TimedCallRecord);

class Loader : public trace::Visitor {
 public:
  Loader(std::string path, uint64_t file_bytes)
      : path_(std::move(path)), calls_expected_(file_bytes / kBytesPerCall) {}

  void OnHeader(const trace::FileHeader& header) override { header_ = header; }
  void OnString(uint32_t id, absl::string_view text) override { strings_[id] = std::string(text); }
  void OnFact(absl::string_view key, absl::string_view value) override {
    facts_[std::string(key)] = std::string(value);
  }
  void OnDevice(const trace::DeviceRecord& device) override { devices_[device.ordinal] = device; }
  void OnLane(const trace::LaneRecord& lane) override {
    lanes_[lane.id] = lane;
    if (lane.id == last_lane_.id) last_lane_ = lane;
    for (auto& [ordinal, device] : builders_) {
      if (lane.id < device->stream_of_lane.size()) device->stream_of_lane[lane.id] = kNoIndex;
    }
  }
  void OnCommunicator(const trace::CommunicatorRecord& communicator) override {
    communicators_[communicator.index] = communicator;
  }
  void OnGemmSignature(const trace::GemmSignature& record) override { signatures_.Add(record); }
  void OnMatrixSignature(const trace::MatrixSignature& record) override { signatures_.Add(record); }
  void OnAttentionSignature(const trace::AttentionSignature& record) override {
    signatures_.Add(record);
  }
  void OnConvolutionSignature(const trace::ConvolutionSignature& record) override {
    signatures_.Add(record);
  }
  void OnRnnSignature(const trace::RnnSignature& record) override { signatures_.Add(record); }
  void OnCollectiveSignature(const trace::CollectiveSignature& record) override {
    const auto found = communicators_.find(record.communicator);
    const bool is_known = found != communicators_.end() && found->second.size > 0;
    signatures_.Add(record, is_known ? static_cast<uint32_t>(found->second.size) : uint32_t{0});
  }
  void OnOpaqueSignature(const trace::OpaqueSignature& record) override { signatures_.Add(record); }
  void OnCompoundSignature(const trace::CompoundSignature& record) override {
    signatures_.Add(record);
  }
  void OnCompoundMember(const trace::CompoundMember& record) override { signatures_.Add(record); }
  void OnSequenceLengths(const trace::SequenceLengths& record) override { signatures_.Add(record); }
  void OnCall(const trace::Call& call) override;
  void OnForeignRun(const trace::ForeignRun& run) override;
  void OnForeignEach(const trace::ForeignEach& each) override;
  void OnForeignKernels(const trace::ForeignKernels& sum) override {
    constexpr uint8_t kCopy = 2;
    if (sum.family != kCopy) other_kernels_.AddSum(sum, String(sum.name));
  }
  void OnKernelLaunches(const trace::KernelLaunches& launches) override {
    other_kernels_.AddLaunches(launches, String(launches.name));
  }
  void OnTimingChange(const trace::TimingChange& change) override {
    timing_changes_.push_back({change.monotonic_ns, String(change.backend), String(change.reason)});
  }
  void OnCount(const trace::CountRecord& count) override;
  void OnCounter(const trace::CounterRecord& counter) override {
    counters_[String(counter.name)] = counter.value;
  }
  void OnClockSample(const trace::ClockSampleRecord& sample) override {
    Device(sample.device).clock_widths_ns.push_back(sample.host_max_ns - sample.host_min_ns);
  }
  void OnWindow(const trace::WindowRecord& record) override {
    if (record.event == static_cast<uint8_t>(trace::WindowEvent::kOpened)) {
      windows_.push_back({record, std::nullopt});
    } else if (!windows_.empty() && windows_.back().opened.number == record.number) {
      windows_.back().closed = record;
    }
  }
  void OnEnd(const trace::EndRecord& end) override {
    end_ = end;
    has_end_ = true;
  }

  std::vector<Timeline> Finish(const trace::Outcome& outcome);

 private:
  std::string String(uint32_t id) const {
    const auto found = strings_.find(id);
    return found == strings_.end() ? std::string() : found->second;
  }
  std::string Fact(std::string_view key) const {
    const auto found = facts_.find(std::string(key));
    return found == facts_.end() ? std::string() : found->second;
  }
  DeviceBuilder& Device(int32_t ordinal) {
    if (ordinal == last_ordinal_ && last_device_ != nullptr) return *last_device_;
    std::unique_ptr<DeviceBuilder>& device = builders_[ordinal];
    if (device == nullptr) {
      device = std::make_unique<DeviceBuilder>();
      // Most files are of one device; what is not used is never touched.
      if (builders_.size() == 1) {
        device->timeline.calls.reserve(static_cast<size_t>(calls_expected_));
        device->timeline.works.reserve(static_cast<size_t>(calls_expected_));
      }
    }
    last_ordinal_ = ordinal;
    last_device_ = device.get();
    return *device;
  }
  uint32_t CommunicatorIn(DeviceBuilder& device, uint32_t index);
  uint32_t OpIn(DeviceBuilder& device, uint32_t signature);
  DeviceBuilder::CallKind KindOf(DeviceBuilder& device, uint32_t signature);
  const trace::LaneRecord& LaneOf(uint32_t id);
  uint32_t StreamOf(DeviceBuilder& device, const trace::LaneRecord& lane);
  uint32_t WorkOf(DeviceBuilder& device, const trace::Call& call, const trace::LaneRecord& lane,
                  uint32_t op);
  void MergeUnknownDevice();
  void ReadSampling();
  void FinishDevice(int32_t ordinal, DeviceBuilder& device);
  void FinishProcess(const trace::Outcome& outcome, Quality& quality, OwnCost& own_cost);

  std::string path_;
  uint64_t calls_expected_ = 0;
  trace::FileHeader header_ = {};
  absl::flat_hash_map<uint32_t, std::string> strings_;
  std::map<std::string, std::string> facts_;
  std::map<int32_t, trace::DeviceRecord> devices_;
  absl::flat_hash_map<uint32_t, trace::LaneRecord> lanes_;
  std::map<uint32_t, trace::CommunicatorRecord> communicators_;
  SignatureTable signatures_{strings_};
  std::map<int32_t, std::unique_ptr<DeviceBuilder>> builders_;
  trace::LaneRecord last_lane_ = {};
  int32_t last_ordinal_ = 0;
  DeviceBuilder* last_device_ = nullptr;
  std::map<std::string, uint64_t> counters_;
  std::vector<RecordingWindow> windows_;
  Sampling sampling_;  // of the process
  int64_t last_host_ns_ = 0;
  OtherKernels other_kernels_;
  std::vector<TimingPeriod> timing_changes_;
  trace::EndRecord end_ = {};
  bool has_end_ = false;
  uint64_t calls_seen_ = 0;
  uint64_t calls_without_signature_ = 0;
  absl::flat_hash_map<uint32_t, uint64_t> captured_;  // by signature
  absl::flat_hash_set<uint32_t> ran_;                 // compounds that ran
};

uint32_t Loader::CommunicatorIn(DeviceBuilder& device, uint32_t index) {
  const auto [found, is_new] = device.communicator_of_index.try_emplace(index, kNoIndex);
  if (!is_new) return found->second;
  const auto record = communicators_.find(index);
  if (record == communicators_.end()) return kNoIndex;
  found->second = static_cast<uint32_t>(device.timeline.communicators.size());
  Communicator communicator;
  communicator.id = absl::StrCat(absl::Hex(record->second.id, absl::kZeroPad16));
  communicator.name = String(record->second.name);
  communicator.size =
      record->second.size > 0 ? static_cast<uint32_t>(record->second.size) : uint32_t{0};
  communicator.rank = record->second.rank;
  device.timeline.communicators.push_back(std::move(communicator));
  return found->second;
}

uint32_t Loader::OpIn(DeviceBuilder& device, uint32_t id) {
  const auto [found, is_new] = device.op_of_signature.try_emplace(id, kNoIndex);
  if (!is_new) return found->second;
  std::optional<Op> op = signatures_.Find(id);
  if (!op) return kNoIndex;
  if (op->kind == shapes::OpKind::kCollective) {
    op->communicator = CommunicatorIn(device, signatures_.CommunicatorOf(id));
  }
  found->second = static_cast<uint32_t>(device.timeline.ops.size());
  device.timeline.ops.push_back(*std::move(op));
  return found->second;
}

DeviceBuilder::CallKind Loader::KindOf(DeviceBuilder& device, uint32_t signature) {
  const auto look_up = [&] {
    DeviceBuilder::CallKind kind;
    kind.op = OpIn(device, signature);
    kind.is_known = true;
    kind.is_opaque =
        kind.op != kNoIndex && device.timeline.ops[kind.op].kind == shapes::OpKind::kOpaque;
    kind.is_compound = signatures_.IsCompound(signature);
    return kind;
  };
  if (signature >= kMostDense) return look_up();
  if (signature >= device.kinds.size()) device.kinds.resize(signature + 1);
  DeviceBuilder::CallKind& kind = device.kinds[signature];
  if (!kind.is_known) kind = look_up();
  return kind;
}

// Of no device if the file does not have it.
const trace::LaneRecord& Loader::LaneOf(uint32_t id) {
  if (id == last_lane_.id && id != 0) return last_lane_;
  const auto found = lanes_.find(id);
  last_lane_ = {};
  last_lane_.device = -1;
  if (found != lanes_.end()) last_lane_ = found->second;
  return last_lane_;
}

uint32_t Loader::StreamOf(DeviceBuilder& device, const trace::LaneRecord& lane) {
  const auto look_up = [&] {
    return device.stream_of_handle
        .try_emplace(lane.stream, static_cast<uint32_t>(device.stream_of_handle.size()))
        .first->second;
  };
  if (lane.id == 0 || lane.id >= kMostDense) return look_up();
  if (lane.id >= device.stream_of_lane.size()) device.stream_of_lane.resize(lane.id + 1, kNoIndex);
  uint32_t& stream = device.stream_of_lane[lane.id];
  if (stream == kNoIndex) stream = look_up();
  return stream;
}

uint32_t Loader::WorkOf(DeviceBuilder& device, const trace::Call& call,
                        const trace::LaneRecord& lane, uint32_t op) {
  const uint32_t stream = StreamOf(device, lane);
  Work work;
  work.time = {call.gpu_begin_ns, std::max(call.gpu_begin_ns, call.gpu_end_ns)};
  work.launch_ns = call.host_begin_ns;
  work.op = op;
  work.stream = stream;
  if (call.is_collective) {
    work.work_class = WorkClass::kCommunication;
    work.communicator = device.timeline.ops[op].communicator;
  }
  const auto index = static_cast<uint32_t>(device.timeline.works.size());
  if ((call.flags & trace::kGrouped) != 0) {
    const uint64_t key = (uint64_t{stream} << 32) | work.communicator;
    const auto [last, is_new] = device.last_grouped_work.try_emplace(key, index);
    if (!is_new) {
      const Interval& same = device.timeline.works[last->second].time;
      if (same.begin_ns == work.time.begin_ns && same.end_ns == work.time.end_ns) {
        return last->second;
      }
      last->second = index;
    }
  }
  device.timeline.works.push_back(work);
  return index;
}

void Extend(DeviceBuilder& device, int64_t begin_ns, int64_t end_ns) {
  Interval& window = device.timeline.host_window;
  if (!device.has_host_window) {
    window = {begin_ns, std::max(begin_ns, end_ns)};
    device.has_host_window = true;
    return;
  }
  window.begin_ns = std::min(window.begin_ns, begin_ns);
  window.end_ns = std::max(window.end_ns, end_ns);
}

void Loader::OnCall(const trace::Call& call) {
  ++calls_seen_;
  last_host_ns_ = std::max(last_host_ns_, call.host_end_ns);
  const trace::LaneRecord& lane = LaneOf(call.lane);
  DeviceBuilder& device = Device(lane.device);
  const DeviceBuilder::CallKind kind = KindOf(device, call.signature);
  const uint32_t op = kind.op;
  if (op == kNoIndex) {
    ++calls_without_signature_;
    return;
  }
  Extend(device, call.host_begin_ns, call.host_end_ns);
  Timeline& timeline = device.timeline;
  OpCall out;
  out.op = op;
  out.host_begin_ns = call.host_begin_ns;
  out.host_end_ns = call.host_end_ns;
  out.sequence = call.sequence;
  out.is_captured = (call.flags & trace::kCaptured) != 0;
  if (!out.is_captured && kind.is_compound) ran_.insert(call.signature);
  if (out.is_captured) {
    ++captured_[call.signature];
    ++timeline.quality.captured;
  } else if (call.is_timed) {
    out.work = WorkOf(device, call, lane, op);
  } else if (!kind.is_opaque) {
    ++timeline.quality.untimed;
  }
  timeline.calls.push_back(out);
}

// Work of nobody's call: it occupies the device, and counts nothing.
void Loader::OnForeignRun(const trace::ForeignRun& run) {
  Device(run.device)
      .timeline.works.push_back(
          ForeignWork({run.gpu_begin_ns, run.gpu_end_ns}, run.stream, run.family));
}

void Loader::OnForeignEach(const trace::ForeignEach& each) {
  Work work = ForeignWork({each.gpu_begin_ns, each.gpu_end_ns}, each.stream, each.family);
  Timeline& timeline = Device(each.device).timeline;
  if (each.name != 0) work.kernel = other_kernels_.NameIn(timeline, each, String(each.name));
  timeline.works.push_back(work);
}

void Loader::OnCount(const trace::CountRecord& count) {
  calls_seen_ += count.calls;
  last_host_ns_ = std::max(last_host_ns_, count.host_end_ns);
  DeviceBuilder& device = Device(count.device);
  const uint32_t op = OpIn(device, count.signature);
  if (op == kNoIndex) {
    calls_without_signature_ += count.calls;
    return;
  }
  Extend(device, count.host_begin_ns, count.host_end_ns);
  Timeline& timeline = device.timeline;
  if ((count.flags & trace::kCaptured) != 0) {
    captured_[count.signature] += count.calls;
    timeline.quality.captured += count.calls;
    return;
  }
  if (signatures_.IsCompound(count.signature)) ran_.insert(count.signature);
  const auto reason = static_cast<trace::CountReason>(count.reason);
  // Whoever writes windows says first what was asked for.
  const bool is_outside = reason != trace::CountReason::kDropped && !Fact(fact::kSample).empty();
  if (is_outside) {
    timeline.sampling.calls_outside += count.calls;
  } else if (reason == trace::CountReason::kUntimed) {
    timeline.quality.untimed += count.calls;
  } else {
    timeline.quality.dropped += count.calls;
  }
  timeline.counted.push_back(
      {op, count.calls, {count.host_begin_ns, count.host_end_ns}, std::nullopt, is_outside});
}

// Calls whose device the library could not tell belong to the process's only device, if it has one.
void Loader::MergeUnknownDevice() {
  const auto unknown = builders_.find(-1);
  if (unknown == builders_.end() || builders_.size() != 1 || devices_.size() != 1) return;
  builders_[devices_.begin()->first] = std::move(unknown->second);
  builders_.erase(-1);
}

void Loader::ReadSampling() {
  sampling_ = SamplingOf(windows_, header_.start_monotonic_ns,
                         has_end_ ? end_.monotonic_ns : last_host_ns_);
  sampling_.asked = Fact(fact::kSample);
  const auto cost = counters_.find("timed_cost_ppm");
  if (cost != counters_.end()) sampling_.cost_ppm = cost->second;
  for (const auto& [ordinal, builder] : builders_) {
    sampling_.is_partial = sampling_.is_partial || builder->timeline.sampling.calls_outside > 0;
  }
}

void Loader::FinishDevice(int32_t ordinal, DeviceBuilder& device) {
  Timeline& timeline = device.timeline;
  const uint64_t calls_outside = timeline.sampling.calls_outside;
  timeline.sampling = sampling_;
  timeline.sampling.calls_outside = calls_outside;
  timeline.source = SourceKind::kNative;
  timeline.path = path_;
  timeline.has_shapes = true;
  timeline.pid = header_.pid;
  timeline.start_realtime_ns = header_.start_realtime_ns;
  timeline.host = Fact(fact::kHost);
  timeline.command = CommandTitle(Fact(fact::kCommandLine));
  timeline.role = Fact(fact::kRole);
  timeline.timing = Fact(fact::kTimingBackend);
  timeline.timing_reason = Fact(fact::kTimingReason);
  if (const std::string version = Fact(fact::kDriverVersion); !version.empty()) {
    timeline.versions["cuda_driver"] = version;
  }
  timeline.has_all_kernels = timing_changes_.empty()
                                 ? timeline.timing == "cupti"  // of before they were written
                                 : SeesAllKernels(timing_changes_, timeline.host_window);
  other_kernels_.Fill(timeline);
  int32_t number = 0;
  if (absl::SimpleAtoi(Fact(fact::kRank), &number) && number >= 0) timeline.rank = number;
  if (absl::SimpleAtoi(Fact(fact::kWorldSize), &number) && number > 0) {
    timeline.world_size = static_cast<uint32_t>(number);
  }
  if (absl::SimpleAtoi(Fact(fact::kRestart), &number) && number >= 0) {
    timeline.restart_attempt = number;
  }
  timeline.device.ordinal = ordinal;
  const auto record = devices_.find(ordinal);
  if (record != devices_.end()) {
    timeline.device.name = String(record->second.name);
    timeline.device.memory_bytes = record->second.memory_bytes;
  }
  for (const auto& [index, communicator] : communicators_) {
    if (communicator.device == ordinal || (communicator.device < 0 && builders_.size() == 1)) {
      CommunicatorIn(device, index);
    }
  }
  std::vector<int64_t>& widths_ns = device.clock_widths_ns;
  if (!widths_ns.empty()) {
    const auto middle = widths_ns.begin() + static_cast<std::ptrdiff_t>(widths_ns.size() / 2);
    std::nth_element(widths_ns.begin(), middle, widths_ns.end());
    timeline.clock_residual_ns = *middle / 2;
  }
  const auto by_host_begin = [](const OpCall& a, const OpCall& b) {
    return a.host_begin_ns < b.host_begin_ns;
  };
  if (!std::is_sorted(timeline.calls.begin(), timeline.calls.end(), by_host_begin)) {
    std::stable_sort(timeline.calls.begin(), timeline.calls.end(), by_host_begin);
  }
  if (timeline.sampling.is_partial) PlaceWindows(timeline);
}

void Loader::FinishProcess(const trace::Outcome& outcome, Quality& quality, OwnCost& own_cost) {
  const std::string file = std::filesystem::path(path_).filename().string();
  own_cost = TakeOwnCost(counters_);
  own_cost.process_ns = (has_end_ ? end_.monotonic_ns : last_host_ns_) - header_.start_monotonic_ns;
  for (const auto& [name, value] : counters_) {
    if (value != 0) quality.counters.emplace_back(name, value);
  }
  if (!outcome.damage.empty()) {
    quality.damaged_files = 1;
    quality.notes.push_back(absl::StrCat(file, ": ", outcome.damage, "; using what is before it, ",
                                         outcome.bytes_lost, " bytes are lost"));
  } else if (!outcome.ended_in_order) {
    quality.counters.emplace_back("files_without_end", 1);
  }
  if (outcome.blocks_skipped > 0) {
    quality.counters.emplace_back("blocks_of_unknown_kind", outcome.blocks_skipped);
  }
  if (calls_without_signature_ > 0) {
    quality.notes.push_back(
        absl::StrCat(file, ": ", calls_without_signature_,
                     " calls name a signature that the file does not have; they "
                     "are left out"));
  }
  for (const uint32_t compound : ran_) {
    for (const uint32_t member : signatures_.MembersOf(compound)) captured_.erase(member);
  }
  uint64_t never_ran = 0;
  for (const auto& [signature, calls] : captured_) never_ran += calls;
  if (never_ran > 0) {
    quality.notes.push_back(absl::StrCat(
        file, ": ", never_ran,
        " captured calls are in no CUDA graph whose launch was seen; nothing is counted for them"));
  }
  if (has_end_ && end_.calls > calls_seen_) {
    quality.notes.push_back(absl::StrCat(file, ": the process made ", end_.calls,
                                         " calls, the file has ", calls_seen_,
                                         "; figures are lower bounds"));
  }
  const bool is_limited =
      has_end_ && end_.reason == static_cast<uint8_t>(trace::EndReason::kSizeLimit);
  if (is_limited || sampling_.limit_ns.has_value()) {
    std::string when;
    if (sampling_.limit_ns.has_value()) {
      when =
          absl::StrCat(" ", *sampling_.limit_ns / 1'000'000'000, ".",
                       absl::Dec(*sampling_.limit_ns / 100'000'000 % 10), " s after its start, at ",
                       UtcText(header_.start_realtime_ns + *sampling_.limit_ns));
    }
    quality.notes.push_back(absl::StrCat(file, ": reached its size limit", when,
                                         "; later calls are counted without times (raise ",
                                         trace::env::kMaxSize, ")"));
  }
  if (has_end_ && end_.reason == static_cast<uint8_t>(trace::EndReason::kWriteError)) {
    quality.notes.push_back(absl::StrCat(file,
                                         ": a write failed (disk full?); what came after it "
                                         "is lost"));
  }
}

std::vector<Timeline> Loader::Finish(const trace::Outcome& outcome) {
  // A device that was only ever sampled for its clock did nothing worth a row.
  for (auto it = builders_.begin(); it != builders_.end();) {
    const Timeline& timeline = it->second->timeline;
    const bool is_unused =
        timeline.calls.empty() && timeline.counted.empty() && timeline.quality.captured == 0;
    it = is_unused ? builders_.erase(it) : std::next(it);
  }
  last_device_ = nullptr;
  MergeUnknownDevice();
  if (builders_.empty()) Device(devices_.empty() ? -1 : devices_.begin()->first);
  ReadSampling();
  std::vector<Timeline> timelines;
  for (auto& [ordinal, builder] : builders_) FinishDevice(ordinal, *builder);
  for (auto& [ordinal, builder] : builders_) timelines.push_back(std::move(builder->timeline));
  other_kernels_.FillLaunches(timelines.front());
  NoteTimingChanges(timing_changes_, header_.start_monotonic_ns,
                    std::filesystem::path(path_).filename().string(), timelines.front().quality);
  FinishProcess(outcome, timelines.front().quality, timelines.front().own_cost);
  return timelines;
}

}  // namespace

absl::StatusOr<std::vector<Timeline>> LoadNative(const std::string& path) {
  std::error_code error;
  const uintmax_t bytes = std::filesystem::file_size(path, error);
  Loader loader(path, error ? 0 : bytes);
  const absl::StatusOr<trace::Outcome> outcome = trace::ReadTrace(path, loader);
  if (!outcome.ok()) return outcome.status();
  return loader.Finish(*outcome);
}

}  // namespace mfutrace::report
