// See inspector.h. Format: the README of NCCL's profiler plugin "inspector", versions 4.0 to 5.2;
// from 4.3 on a line of "dump_stats" carries header and metadata for the records behind it.
#include "report/import/inspector.h"

#include <rapidjson/document.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "report/import/kineto_ops.h"
#include "shapes/label.h"
#include "shapes/op.h"
#include "shapes/traffic.h"

namespace mfutrace::report {
namespace {

using Json = rapidjson::Value;

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kMaxLineBytes = 16 << 20;  // verbose lines hold all channels; more is no log
constexpr int64_t kMaxUs = std::numeric_limits<int64_t>::max() / 4000;

const Json* Member(const Json& object, const char* name) {
  if (!object.IsObject()) return nullptr;
  const auto found = object.FindMember(name);
  return found == object.MemberEnd() ? nullptr : &found->value;
}

std::string TextOf(const Json* value) {
  return value != nullptr && value->IsString() ? value->GetString() : "";
}

std::optional<int64_t> IntegerOf(const Json* value) {
  if (value == nullptr || !value->IsInt64()) return std::nullopt;
  return value->GetInt64();
}

// Microseconds, whole or with decimals.
std::optional<int64_t> NanosOf(const Json* value) {
  if (value == nullptr) return std::nullopt;
  if (value->IsInt64() && value->GetInt64() >= 0 && value->GetInt64() < kMaxUs) {
    return value->GetInt64() * 1000;
  }
  if (value->IsDouble() && value->GetDouble() >= 0 &&
      value->GetDouble() < static_cast<double>(kMaxUs)) {
    return static_cast<int64_t>(value->GetDouble() * 1000 + 0.5);
  }
  return std::nullopt;
}

// What one record says.
struct Record {
  std::string communicator;
  std::string name;
  std::string host;
  int64_t pid = 0;
  int64_t rank = -1;
  int64_t ranks = 0;
  std::optional<int64_t> written_ns;
  std::string operation;
  std::optional<int64_t> sequence;
  int64_t peer = -1;
  int64_t bytes = -1;
  std::optional<int64_t> time_ns;
  std::string timed_by;
  std::optional<int64_t> begin_ns;  // of its first kernel
};

// First begin of the kernels of a verbose record.
std::optional<int64_t> KernelBegin(const Json& record, const Json& perf) {
  const Json* trace = Member(perf, "event_trace_ts");
  if (trace == nullptr) trace = Member(record, "event_trace_ts");
  if (trace == nullptr) return std::nullopt;
  const Json* kernels = Member(*trace, "kernel_events");
  std::optional<int64_t> first_ns;
  if (kernels == nullptr || !kernels->IsArray()) return first_ns;
  for (const Json& kernel : kernels->GetArray()) {
    const std::optional<int64_t> begin_ns = NanosOf(Member(kernel, "kernel_start_ts"));
    if (begin_ns.value_or(0) == 0) continue;
    first_ns = std::min(*begin_ns, first_ns.value_or(*begin_ns));
  }
  return first_ns;
}

shapes::Collective CollectiveOf(const Record& record) {
  shapes::Collective collective;
  collective.kind = CollectiveOfTorch(record.operation);
  collective.dtype = shapes::Dtype::kU8;  // counted in bytes; formats are not told
  collective.count = static_cast<uint64_t>(std::max<int64_t>(0, record.bytes));
  collective.rank_count = static_cast<uint32_t>(std::max<int64_t>(0, record.ranks));
  return collective;
}

Op OpOf(const Record& record, uint32_t communicator) {
  const shapes::Collective collective = CollectiveOf(record);
  Op op;
  op.kind = shapes::OpKind::kCollective;
  op.collective = collective.kind;
  op.provenance = shapes::Provenance::kExact;
  op.communicator = communicator;
  op.peer = static_cast<int32_t>(record.peer);
  op.dtype = std::string(shapes::NameOf(shapes::Dtype::kUnknown));
  if (record.bytes >= 0) {
    op.algorithm_bytes = shapes::AlgorithmBytes(collective);
    op.bus_bytes = shapes::BusBytes(collective);
  }
  const bool is_known = collective.kind != shapes::CollectiveKind::kUnknown;
  op.label = is_known ? std::string(shapes::NameOf(collective.kind))
                      : absl::StrCat("nccl ", record.operation);
  if (op.algorithm_bytes) {
    op.label += ' ';
    op.label += shapes::HumanBytes(*op.algorithm_bytes).text();
  }
  return op;
}

class Collector {
 public:
  explicit Collector(std::string path) : path_(std::move(path)) {}

  // False if the line is no record.
  bool AddLine(std::string& line) {
    rapidjson::Document document;
    document.ParseInsitu(line.data());
    if (document.HasParseError() || !document.IsObject()) return false;
    if (const Json* header = Member(document, "header"); header != nullptr) TakeHeader(*header);
    if (const Json* metadata = Member(document, "metadata"); metadata != nullptr) {
      TakeMetadata(*metadata);
    }
    if (const Json* perf = Member(document, "coll_perf"); perf != nullptr) {
      Take(document, *perf, "coll");
    } else if (const Json* p2p = Member(document, "p2p_perf"); p2p != nullptr) {
      Take(document, *p2p, "p2p");
    }
    return true;
  }

  bool has_records() const { return records_ > 0; }

  std::vector<Timeline> Finish(uint64_t bad_lines) {
    std::vector<Timeline> timelines;
    for (auto& [key, device] : devices_) {
      FinishDevice(device);
      timelines.push_back(std::move(device.timeline));
    }
    if (bad_lines > 0) {
      Quality& quality = timelines.front().quality;
      quality.damaged_files = 1;
      quality.notes.push_back(
          absl::StrCat(path_.substr(path_.rfind('/') + 1), ": ", bad_lines,
                       " lines are no JSON (process killed while it wrote?); using the others"));
    }
    return timelines;
  }

 private:
  struct Device {
    Timeline timeline;
    std::map<std::string, uint32_t> communicators;
    std::map<std::tuple<std::string, uint32_t, int64_t, int64_t>, uint32_t> ops;
    std::map<uint32_t, CountedCalls> sums;  // by operation: time without place
    // By communicator and operation, which NCCL numbers apart.
    struct Numbers {
      int64_t first = std::numeric_limits<int64_t>::max();
      int64_t last = std::numeric_limits<int64_t>::min();
      int64_t count = 0;
    };
    std::map<std::pair<uint32_t, std::string>, Numbers> numbers;
    bool has_window = false;
    uint64_t by_cpu = 0;
  };

  void TakeHeader(const Json& header) {
    record_.communicator = TextOf(Member(header, "id"));
    record_.name = TextOf(Member(header, "comm_name"));
    record_.rank = IntegerOf(Member(header, "rank")).value_or(-1);
    record_.ranks = IntegerOf(Member(header, "n_ranks")).value_or(0);
  }
  void TakeMetadata(const Json& metadata) {
    record_.host = TextOf(Member(metadata, "hostname"));
    record_.pid = IntegerOf(Member(metadata, "pid")).value_or(0);
    record_.written_ns = NanosOf(Member(metadata, "dump_timestamp_us"));
  }

  void Take(const Json& document, const Json& perf, const std::string& kind) {
    const auto field = [&](const char* name) {
      return Member(perf, absl::StrCat(kind, "_", name).c_str());
    };
    record_.operation = TextOf(Member(perf, kind.c_str()));
    record_.sequence = IntegerOf(field("sn"));
    record_.peer = IntegerOf(field("peer")).value_or(-1);
    record_.bytes = IntegerOf(field("msg_size_bytes")).value_or(-1);
    record_.time_ns = NanosOf(field("exec_time_us"));
    record_.timed_by = TextOf(field("timing_source"));
    record_.begin_ns = KernelBegin(document, perf);
    if (record_.operation.empty()) return;
    ++records_;
    Add(DeviceOf(record_));
  }

  // One process may drive several GPUs; its ranks in one communicator tell them apart.
  Device& DeviceOf(const Record& record) {
    const auto process = std::make_pair(record.host, record.pid);
    uint32_t& index = device_of_rank_[{process, record.communicator, record.rank}];
    if (index == 0) index = ++ranks_in_[{process, record.communicator}];
    Device& device = devices_[{process, index}];
    Timeline& timeline = device.timeline;
    if (timeline.path.empty()) {
      timeline.path = path_;
      timeline.source = SourceKind::kInspector;
      timeline.host = record.host;
      timeline.pid = static_cast<uint32_t>(record.pid);
      timeline.timing = "nccl-inspector";
      timeline.timing_reason = "durations by NCCL's profiler interface";
    }
    return device;
  }

  uint32_t CommunicatorIn(Device& device) const {
    const auto [found, is_new] = device.communicators.try_emplace(
        record_.communicator, static_cast<uint32_t>(device.timeline.communicators.size()));
    if (is_new) {
      Communicator communicator;
      communicator.id = record_.communicator;
      communicator.name = record_.name;
      communicator.size = static_cast<uint32_t>(std::max<int64_t>(0, record_.ranks));
      communicator.rank = static_cast<int32_t>(record_.rank);
      device.timeline.communicators.push_back(std::move(communicator));
    }
    return found->second;
  }

  void Add(Device& device) {
    Timeline& timeline = device.timeline;
    const uint32_t communicator = CommunicatorIn(device);
    const auto [found, is_new] =
        device.ops.try_emplace({record_.operation, communicator, record_.bytes, record_.peer},
                               static_cast<uint32_t>(timeline.ops.size()));
    if (is_new) timeline.ops.push_back(OpOf(record_, communicator));
    const uint32_t op = found->second;
    if (record_.sequence) {
      Device::Numbers& numbers = device.numbers[{communicator, record_.operation}];
      numbers.first = std::min(numbers.first, *record_.sequence);
      numbers.last = std::max(numbers.last, *record_.sequence);
      ++numbers.count;
    }
    if (absl::StrContains(record_.timed_by, "cpu")) ++device.by_cpu;
    if (record_.written_ns) {
      const int64_t end_ns = *record_.written_ns;
      Extend(device, {end_ns - record_.time_ns.value_or(0), end_ns});
    }
    if (record_.begin_ns && record_.time_ns) {
      AddTimed(device, op, communicator);
    } else {
      CountedCalls& sum = device.sums[op];
      // One call without a duration leaves the sum unknown.
      if (sum.calls == 0) sum.time_ns = 0;
      sum.op = op;
      ++sum.calls;
      if (!record_.time_ns) sum.time_ns.reset();
      if (sum.time_ns && record_.time_ns) *sum.time_ns += *record_.time_ns;
    }
  }

  void AddTimed(Device& device, uint32_t op, uint32_t communicator) const {
    Timeline& timeline = device.timeline;
    Work work;
    work.time = {*record_.begin_ns, *record_.begin_ns + *record_.time_ns};
    work.op = op;
    work.communicator = communicator;
    work.stream = communicator;
    work.work_class = WorkClass::kCommunication;
    OpCall call;
    call.op = op;
    call.host_begin_ns = work.time.begin_ns;
    call.host_end_ns = work.time.end_ns;
    call.work = static_cast<uint32_t>(timeline.works.size());
    call.sequence = static_cast<uint32_t>(record_.sequence.value_or(0));
    timeline.works.push_back(work);
    timeline.calls.push_back(call);
    Extend(device, work.time);
  }

  static void Extend(Device& device, const Interval& time) {
    Interval& window = device.timeline.host_window;
    if (!device.has_window) window = time;
    device.has_window = true;
    window.begin_ns = std::min(window.begin_ns, time.begin_ns);
    window.end_ns = std::max(window.end_ns, time.end_ns);
  }

  static void FinishDevice(Device& device) {
    Timeline& timeline = device.timeline;
    Quality& quality = timeline.quality;
    for (auto& [op, sum] : device.sums) {
      sum.host_time = timeline.host_window;
      timeline.counted.push_back(sum);
    }
    std::stable_sort(
        timeline.calls.begin(), timeline.calls.end(),
        [](const OpCall& a, const OpCall& b) { return a.host_begin_ns < b.host_begin_ns; });
    int64_t missing = 0;
    for (const auto& [key, numbers] : device.numbers) {
      missing += std::max<int64_t>(0, numbers.last - numbers.first + 1 - numbers.count);
    }
    quality.notes.push_back(
        "NCCL Inspector records collectives alone: compute, FLOPs and MFU are unknown");
    if (timeline.works.empty()) {
      quality.notes.push_back(
          "the log tells how long collectives took, not when (NCCL_INSPECTOR_DUMP_VERBOSE=1 "
          "does): the window is that of its writing, and there is no time split");
    }
    if (missing > 0) {
      quality.counters.emplace_back("collectives_not_in_log", static_cast<uint64_t>(missing));
      quality.notes.push_back(
          "collectives are missing in the log by their numbers: small ones and those without GPU "
          "times are left out by default, and full buffers drop them silently");
    }
    if (device.by_cpu > 0) quality.counters.emplace_back("collectives_timed_by_cpu", device.by_cpu);
  }

  using Process = std::pair<std::string, int64_t>;
  const std::string path_;
  Record record_;
  uint64_t records_ = 0;
  std::map<std::tuple<Process, std::string, int64_t>, uint32_t> device_of_rank_;
  std::map<std::pair<Process, std::string>, uint32_t> ranks_in_;
  std::map<std::pair<Process, uint32_t>, Device> devices_;
};

}  // namespace

bool IsInspector(absl::string_view text) {
  const absl::string_view line = text.substr(0, text.find('\n'));
  if (!absl::StartsWith(line, "{") || !absl::StrContains(line, "\"header\"")) return false;
  for (const absl::string_view key : {"\"coll_perf\"", "\"p2p_perf\"", "\"dump_stats\""}) {
    if (absl::StrContains(line, key)) return true;
  }
  return false;
}

absl::StatusOr<std::vector<Timeline>> ImportInspector(ByteSource* source, const std::string& path) {
  Collector collector(path);
  std::string held;
  uint64_t bad_lines = 0;
  const auto take = [&](std::string line) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) return;
    if (!collector.AddLine(line)) ++bad_lines;
  };
  std::vector<char> buffer(kReadBytes);
  while (true) {
    const absl::StatusOr<size_t> got = source->Read(buffer.data(), buffer.size());
    if (!got.ok()) {
      if (!collector.has_records()) {
        return absl::Status(got.status().code(), absl::StrCat(path, ": ", got.status().message()));
      }
      ++bad_lines;  // what a damaged file held so far is good
      break;
    }
    if (*got == 0) break;
    held.append(buffer.data(), *got);
    size_t begin = 0;
    for (size_t end; (end = held.find('\n', begin)) != std::string::npos; begin = end + 1) {
      take(held.substr(begin, end - begin));
    }
    held.erase(0, begin);
    if (held.size() > kMaxLineBytes) {
      return absl::DataLossError(
          absl::StrCat(path, ": a line is longer than any of NCCL Inspector"));
    }
  }
  take(std::move(held));
  if (!collector.has_records()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": a log of NCCL Inspector without a single collective"));
  }
  return collector.Finish(bad_lines);
}

}  // namespace mfutrace::report
