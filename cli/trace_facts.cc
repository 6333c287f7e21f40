// A visitor that counts.
#include "cli/trace_facts.h"

#include <sys/stat.h>

#include <algorithm>
#include <unordered_map>

namespace mfutrace::cli {
namespace {

using trace::BlockKind;

class Gatherer final : public trace::Visitor {
 public:
  explicit Gatherer(TraceFacts& facts) : facts_(facts) {}

  void OnHeader(const trace::FileHeader& header) override {
    facts_.header = header;
    See(header.start_monotonic_ns);
  }
  void OnBlock(const trace::BlockHeader& block, uint64_t) override {
    facts_.bytes_by_kind[static_cast<BlockKind>(block.kind)] += sizeof block + block.payload_bytes;
  }
  void OnString(uint32_t id, absl::string_view text) override { strings_[id] = std::string(text); }
  void OnFact(absl::string_view key, absl::string_view value) override {
    facts_.facts[std::string(key)] = std::string(value);
  }
  void OnDevice(const trace::DeviceRecord& record) override {
    TraceFacts::Device device;
    device.record = record;
    device.name = Text(record.name);
    device.bus_id = Text(record.bus_id);
    facts_.devices.push_back(std::move(device));
  }
  void OnLane(const trace::LaneRecord&) override { ++facts_.lanes; }
  void OnThread(const trace::ThreadRecord&) override { ++facts_.threads; }
  void OnCommunicator(const trace::CommunicatorRecord& record) override {
    facts_.communicators.insert(record.index);
  }
  void OnGemmSignature(const trace::GemmSignature& signature) override {
    ++facts_.gemm_signatures;
    entries_[signature.id] = Text(signature.entry);
  }
  void OnCollectiveSignature(const trace::CollectiveSignature& signature) override {
    ++facts_.collective_signatures;
    entries_[signature.id] = Text(signature.entry);
  }
  void OnOpaqueSignature(const trace::OpaqueSignature& signature) override {
    ++facts_.opaque_signatures;
    entries_[signature.id] = Text(signature.entry);
  }
  void OnCall(const trace::Call& call) override {
    ++facts_.calls;
    if (call.is_timed) ++facts_.timed;
    if ((call.flags & trace::kCaptured) != 0) ++facts_.captured;
    if (call.is_collective) ++facts_.collectives;
    calls_[call.signature] += 1;
    See(call.host_end_ns);
  }
  void OnCount(const trace::CountRecord& record) override {
    facts_.counted[static_cast<trace::CountReason>(record.reason)] += record.calls;
    calls_[record.signature] += record.calls;
    See(record.host_end_ns);
  }
  void OnCounter(const trace::CounterRecord& record) override {
    facts_.counters[Text(record.name)] = record.value;
  }
  void OnHostClock(const trace::HostClockRecord& record) override {
    facts_.widest_host_clock_ns = std::max(facts_.widest_host_clock_ns, record.residual_ns);
    See(record.monotonic_ns);
  }
  void OnWindow(const trace::WindowRecord& record) override {
    if (record.event == static_cast<uint8_t>(trace::WindowEvent::kOpened)) {
      facts_.windows.push_back({record, std::nullopt});
    } else if (!facts_.windows.empty() && facts_.windows.back().opened.number == record.number) {
      facts_.windows.back().closed = record;
    }
    See(record.monotonic_ns);
  }
  void OnClockSample(const trace::ClockSampleRecord& record) override {
    ++facts_.clock_samples;
    facts_.widest_clock_sample_ns =
        std::max(facts_.widest_clock_sample_ns, record.host_max_ns - record.host_min_ns);
  }
  void OnEnd(const trace::EndRecord& record) override {
    facts_.has_end = true;
    facts_.end = record;
    See(record.monotonic_ns);
  }

  void Finish() {
    for (const auto& [signature, calls] : calls_) {
      const auto entry = entries_.find(signature);
      facts_.calls_by_entry[entry == entries_.end() ? "?" : entry->second] += calls;
    }
  }

 private:
  std::string Text(uint32_t id) const {
    const auto found = strings_.find(id);
    return found == strings_.end() ? "" : found->second;
  }
  void See(int64_t monotonic_ns) {
    facts_.last_monotonic_ns = std::max(facts_.last_monotonic_ns, monotonic_ns);
  }

  TraceFacts& facts_;
  std::unordered_map<uint32_t, std::string> strings_;
  std::unordered_map<uint32_t, std::string> entries_;
  std::unordered_map<uint32_t, uint64_t> calls_;
};

}  // namespace

uint64_t TraceFacts::CallsInAll() const {
  uint64_t all = calls;
  for (const auto& [reason, count] : counted) all += count;
  return all;
}

uint64_t TraceFacts::CallBytes() const {
  uint64_t bytes = 0;
  for (const auto& [kind, size] : bytes_by_kind) {
    if (kind >= BlockKind::kCalls && kind <= BlockKind::kCounts) bytes += size;
  }
  return bytes;
}

absl::StatusOr<TraceFacts> ReadTraceFacts(const std::string& path) {
  TraceFacts facts;
  facts.path = path;
  struct stat info;
  if (stat(path.c_str(), &info) == 0) facts.file_bytes = static_cast<uint64_t>(info.st_size);
  Gatherer gatherer(facts);
  absl::StatusOr<trace::Outcome> outcome = trace::ReadTrace(path, gatherer);
  if (!outcome.ok()) return outcome.status();
  facts.outcome = *std::move(outcome);
  gatherer.Finish();
  return facts;
}

}  // namespace mfutrace::cli
