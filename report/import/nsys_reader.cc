// See nsys_reader.h. Order of work: GPU events (they say which devices and kernels there are), then
// API calls, then NVTX ranges. Schema: the comments of the exported tables themselves.
#include "report/import/nsys_reader.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "report/import/kineto_collector.h"

namespace mfutrace::report {
namespace {

constexpr char kKernels[] = "CUPTI_ACTIVITY_KIND_KERNEL";
constexpr char kCopies[] = "CUPTI_ACTIVITY_KIND_MEMCPY";
constexpr char kSets[] = "CUPTI_ACTIVITY_KIND_MEMSET";
constexpr char kGraphs[] = "CUPTI_ACTIVITY_KIND_GRAPH_TRACE";
constexpr char kApiCalls[] = "CUPTI_ACTIVITY_KIND_RUNTIME";
constexpr char kRanges[] = "NVTX_EVENTS";

// Event types of ranges with both ends: push/pop and start/end, and the same read from text logs.
constexpr char kRangeTypes[] = "59,60,70,71";

// A "global id" holds node, virtual machine, process and thread: 8, 8, 24 and 24 bits.
constexpr uint64_t kThreadMask = (uint64_t{1} << 24) - 1;
constexpr int kNodeShift = 48;

// "[[4, 8], [], [8, 2]]" -> the collector's form, which ends arguments in ';' and numbers in ','.
// A list of lists (an argument that is a list of tensors) ends each tensor in '/'.
std::string DimsOf(absl::string_view sizes) {
  std::string dims;
  int depth = 0;
  for (const char c : sizes) {
    if (c == '[') {
      ++depth;
    } else if (c == ']') {
      if (depth == 2 || depth == 3) {
        if (!dims.empty() && absl::ascii_isdigit(static_cast<unsigned char>(dims.back()))) {
          dims += ',';
        }
        dims += depth == 2 ? ';' : '/';
      }
      if (--depth == 0) break;
    } else if (absl::ascii_isdigit(static_cast<unsigned char>(c))) {
      dims += c;
    } else if (c == ',' && depth >= 2 && !dims.empty() &&
               absl::ascii_isdigit(static_cast<unsigned char>(dims.back()))) {
      dims += ',';
    }
  }
  return dims;
}

class Reader {
 public:
  Reader(const SqliteFile& file, NsysTrace* trace)
      : file_(file), trace_(trace), collector_(&trace->raw) {}

  absl::Status Read() {
    if (!file_.HasTable("StringIds")) {
      return absl::InvalidArgumentError(
          "is an SQLite file, but no export of Nsight Systems (it has no table StringIds)");
    }
    for (const auto& read :
         {&Reader::ReadKernels, &Reader::ReadCopies, &Reader::ReadGraphs, &Reader::ReadApiCalls,
          &Reader::ReadRanges, &Reader::ReadGpus, &Reader::ReadHost}) {
      if (absl::Status status = (this->*read)(); !status.ok()) return status;
    }
    FindMainProcesses();
    return absl::OkStatus();
  }

 private:
  // The column, or what stands for it in schemas without it.
  std::string Column(absl::string_view table, absl::string_view column,
                     absl::string_view otherwise) const {
    return std::string(file_.HasColumn(table, column) ? column : otherwise);
  }

  absl::Status ReadStrings(const std::string& where) {
    return file_.ForEach(absl::StrCat("SELECT id, value FROM StringIds WHERE ", where),
                         [&](const SqliteRow& row) {
                           strings_.try_emplace(row.Integer(0), std::string(row.Text(1)));
                         });
  }

  const std::string& String(int64_t id) const {
    static const std::string kNone;
    const auto found = strings_.find(id);
    return found == strings_.end() ? kNone : found->second;
  }

  int32_t DeviceIndex(int64_t id, uint64_t process) {
    const uint64_t node = process >> kNodeShift;
    const auto [found, is_new] =
        device_index_.try_emplace({node, id}, static_cast<int32_t>(trace_->devices.size()));
    if (is_new) {
      NsysTrace::Device device;
      device.id = static_cast<int32_t>(id);
      device.node = node;
      trace_->devices.push_back(std::move(device));
    }
    return found->second;
  }

  // Correlation ids are counted up by each process for itself.
  int64_t Correlation(uint64_t process, int64_t id) {
    if (!has_processes_) process = 0;
    const uint64_t index = process_index_.try_emplace(process, process_index_.size()).first->second;
    return static_cast<int64_t>(index << 40) + id;
  }

  void Begin(Category category, const SqliteRow& row) {
    KinetoEvent& event = collector_.event;
    event.Clear();
    event.phase = 'X';
    event.category = category;
    event.begin_ns = row.Integer(0);
    event.duration_ns = row.Integer(1) - row.Integer(0);
    event.has_begin = !row.IsNull(0);
    event.has_bad_duration = row.IsNull(1);
  }

  // Columns: start, end, device, stream, correlation, process.
  void AddGpuEvent(Category category, absl::string_view name, const SqliteRow& row) {
    Begin(category, row);
    KinetoEvent& event = collector_.event;
    const auto process = static_cast<uint64_t>(row.Integer(5));
    event.name.assign(name.data(), name.size());
    event.device = DeviceIndex(row.Integer(2), process);
    // Streams are numbered by context; contexts of one process share its device.
    event.stream = row.Integer(3);
    if (!row.IsNull(4)) event.correlation = Correlation(process, row.Integer(4));
    ++events_of_[{event.device, process}];
    collector_.EndEvent();
  }

  std::string GpuColumns(absl::string_view table) const {
    return absl::StrCat("start, end, deviceId, streamId, ", Column(table, "correlationId", "NULL"),
                        ", ", Column(table, "globalPid", "0"));
  }

  absl::Status ReadKernels() {
    if (!file_.HasTable(kKernels)) return absl::OkStatus();
    has_processes_ = file_.HasColumn(kKernels, "globalPid");
    const std::string name = Column(kKernels, "demangledName", "shortName");
    if (absl::Status status =
            ReadStrings(absl::StrCat("id IN (SELECT ", name, " FROM ", kKernels, ")"));
        !status.ok()) {
      return status;
    }
    return file_.ForEach(
        absl::StrCat("SELECT ", GpuColumns(kKernels), ", ", name, " FROM ", kKernels),
        [&](const SqliteRow& row) { AddGpuEvent(Category::kKernel, String(row.Integer(6)), row); });
  }

  absl::Status ReadCopies() {
    for (const char* table : {kCopies, kSets}) {
      if (!file_.HasTable(table)) continue;
      const char* name = table == kCopies ? "Memcpy" : "Memset";
      const absl::Status status =
          file_.ForEach(absl::StrCat("SELECT ", GpuColumns(table), " FROM ", table),
                        [&](const SqliteRow& row) { AddGpuEvent(Category::kCopy, name, row); });
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status ReadGraphs() {
    if (!file_.HasTable(kGraphs)) return absl::OkStatus();
    return file_.ForEach(
        absl::StrCat("SELECT ", GpuColumns(kGraphs), " FROM ", kGraphs), [&](const SqliteRow& row) {
          AddGpuEvent(Category::kKernel, "CUDA graph", row);
          ++trace_->devices[static_cast<size_t>(collector_.event.device)].whole_graphs;
        });
  }

  absl::Status ReadApiCalls() {
    if (!file_.HasTable(kApiCalls)) return absl::OkStatus();
    absl::flat_hash_set<int64_t> graph_launches;
    absl::Status status =
        file_.ForEach("SELECT id FROM StringIds WHERE value LIKE '%GraphLaunch%'",
                      [&](const SqliteRow& row) { graph_launches.insert(row.Integer(0)); });
    if (!status.ok()) return status;
    return file_.ForEach(
        absl::StrCat("SELECT start, end, globalTid, correlationId, nameId FROM ", kApiCalls),
        [&](const SqliteRow& row) {
          Begin(Category::kLaunch, row);
          KinetoEvent& event = collector_.event;
          const auto thread = static_cast<uint64_t>(row.Integer(2));
          event.thread = absl::StrCat(thread);
          if (graph_launches.contains(row.Integer(4))) event.name = "GraphLaunch";
          if (!row.IsNull(3))
            event.correlation = Correlation(thread & ~kThreadMask, row.Integer(3));
          collector_.EndEvent();
        });
  }

  absl::Status ReadRanges() {
    if (!file_.HasTable(kRanges)) return absl::OkStatus();
    const bool has_ids = file_.HasColumn(kRanges, "textId");
    if (has_ids) {
      absl::Status status = ReadStrings(absl::StrCat("id IN (SELECT textId FROM ", kRanges, ")"));
      if (!status.ok()) return status;
    }
    const std::string payload = Column(kRanges, "binaryData", "NULL");
    const std::string json = Column(kRanges, "jsonText", "NULL");
    return file_.ForEach(
        absl::StrCat("SELECT start, end, globalTid, text, ", has_ids ? "textId" : "NULL", ", (",
                     payload, " IS NOT NULL OR ", json, " IS NOT NULL) FROM ", kRanges,
                     " WHERE end IS NOT NULL AND eventType IN (", kRangeTypes, ")"),
        [&](const SqliteRow& row) {
          const absl::string_view text =
              row.IsNull(3) ? absl::string_view(String(row.Integer(4))) : row.Text(3);
          AddRange(text, row);
        });
  }

  void AddRange(absl::string_view text, const SqliteRow& row) {
    const auto thread = static_cast<uint64_t>(row.Integer(2));
    if (IsStepName(text)) {
      steps_of_[thread & ~kThreadMask].push_back(
          {std::string(text), {row.Integer(0), row.Integer(1)}});
      return;
    }
    if (absl::StartsWith(text, "nccl") && !absl::StrContains(text, ':')) {
      ++trace_->nccl_calls[std::string(text)];
      trace_->nccl_payloads += row.Integer(5) != 0 ? 1u : 0u;
    }
    // torch.autograd.profiler.emit_nvtx: "aten::mm, seq = 7, op_id = 9, sizes = [[2, 3], [3, 4]]".
    const size_t comma = text.find(", ");
    const absl::string_view name = text.substr(0, comma);
    if (!absl::StrContains(name, "::") && !absl::StrContains(name, "nccl:") &&
        name != "record_param_comms") {
      return;
    }
    Begin(Category::kOperator, row);
    KinetoEvent& event = collector_.event;
    event.name.assign(name.data(), name.size());
    event.thread = absl::StrCat(thread);
    constexpr absl::string_view kSizes = ", sizes = ";
    if (const size_t at = text.find(kSizes); at != absl::string_view::npos) {
      event.dims = DimsOf(text.substr(at + kSizes.size()));
      event.has_dims = true;
    }
    collector_.EndEvent();
  }

  absl::Status ReadGpus() {
    if (!file_.HasTable("TARGET_INFO_GPU")) return absl::OkStatus();
    return file_.ForEach(
        absl::StrCat("SELECT ", Column("TARGET_INFO_GPU", "id", "-1"), ", name, ",
                     Column("TARGET_INFO_GPU", "totalMemory", "0"), " FROM TARGET_INFO_GPU"),
        [&](const SqliteRow& row) {
          for (size_t i = 0; i < trace_->devices.size(); ++i) {
            if (trace_->devices[i].id != row.Integer(0)) continue;
            trace_->raw.devices.push_back(
                {static_cast<int32_t>(i), std::string(row.Text(1)),
                 static_cast<uint64_t>(std::max<int64_t>(0, row.Integer(2)))});
          }
        });
  }

  absl::Status ReadHost() {
    constexpr char kTable[] = "TARGET_INFO_SYSTEM_ENV";
    if (!file_.HasTable(kTable)) return absl::OkStatus();
    return file_.ForEach(absl::StrCat("SELECT value FROM ", kTable, " WHERE name='Hostname'"),
                         [&](const SqliteRow& row) {
                           if (trace_->raw.host.empty())
                             trace_->raw.host = std::string(row.Text(0));
                         });
  }

  void FindMainProcesses() {
    std::vector<uint64_t> most(trace_->devices.size(), 0);
    for (const auto& [key, events] : events_of_) {
      const auto device = static_cast<size_t>(key.first);
      if (events <= most[device]) continue;
      most[device] = events;
      trace_->devices[device].main_process = key.second;
    }
    for (NsysTrace::Device& device : trace_->devices) {
      const auto steps = steps_of_.find(device.main_process);
      if (steps == steps_of_.end()) continue;
      device.steps = steps->second;
      std::stable_sort(
          device.steps.begin(), device.steps.end(),
          [](const StepMark& a, const StepMark& b) { return a.time.begin_ns < b.time.begin_ns; });
    }
  }

  const SqliteFile& file_;
  NsysTrace* trace_;
  KinetoCollector collector_;
  absl::flat_hash_map<int64_t, std::string> strings_;
  std::map<std::pair<uint64_t, int64_t>, int32_t> device_index_;
  absl::flat_hash_map<uint64_t, uint64_t> process_index_;
  std::map<std::pair<int64_t, uint64_t>, uint64_t> events_of_;  // by device and process
  std::map<uint64_t, std::vector<StepMark>> steps_of_;          // by process
  bool has_processes_ = true;
};

}  // namespace

bool IsStepName(absl::string_view text) {
  std::string name = absl::AsciiStrToLower(text);
  while (!name.empty() && !absl::ascii_isalpha(static_cast<unsigned char>(name.back()))) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(name.back())) &&
        !absl::StrContains(" #_:=-()[].", name.back())) {
      return false;
    }
    name.pop_back();
  }
  for (const absl::string_view word :
       {"profilerstep", "step", "train_step", "training_step", "train step", "training step",
        "iteration", "iter", "train_iteration", "training iteration", "global_step"}) {
    if (name == word) return true;
  }
  return false;
}

absl::Status ReadNsys(const SqliteFile& file, NsysTrace* trace) {
  return Reader(file, trace).Read();
}

}  // namespace mfutrace::report
