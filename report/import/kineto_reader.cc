// See kineto_reader.h. The format has no specification: keys and spellings are read off traces of
// PyTorch 1.8 to 2.9 (libkineto output_json.cpp writes them).
#include "report/import/kineto_reader.h"

#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "report/import/json_repair.h"
#include "report/import/kineto_ops.h"

namespace mfutrace::report {
namespace {

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxGroupRanks = 1 << 20;

// Text as RapidJSON takes it: one character at a time, NUL at the end.
class RepairedStream {
 public:
  using Ch = char;

  explicit RepairedStream(ByteSource* source) : source_(source), raw_(kReadBytes) { Refill(); }

  Ch Peek() const { return at_ < end_ ? *at_ : '\0'; }
  Ch Take() {
    if (at_ == end_) return '\0';
    const Ch c = *at_++;
    if (at_ == end_) Refill();
    return c;
  }
  size_t Tell() const { return consumed_ + static_cast<size_t>(at_ - text_.data()); }

  // Writing into the text in place is not for streams.
  Ch* PutBegin() { return nullptr; }
  void Put(Ch) {}
  void Flush() {}
  size_t PutEnd(Ch*) { return 0; }

  const absl::Status& status() const { return status_; }
  uint64_t repairs() const { return repair_.repairs(); }

 private:
  void Refill() {
    consumed_ += text_.size();
    text_.clear();
    while (text_.empty() && !has_ended_) {
      absl::StatusOr<size_t> got = source_->Read(raw_.data(), raw_.size());
      if (!got.ok()) status_ = got.status();
      if (!got.ok() || *got == 0) {
        has_ended_ = true;
        repair_.Finish(&text_);
      } else {
        repair_.Append(absl::string_view(raw_.data(), *got), &text_);
      }
    }
    at_ = text_.data();
    end_ = at_ + text_.size();
  }

  ByteSource* source_;
  std::vector<char> raw_;
  JsonRepair repair_;
  std::string text_;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  size_t consumed_ = 0;
  bool has_ended_ = false;
  absl::Status status_;
};

// Where in the document a value stands.
enum class Place : uint8_t {
  kSkipped,
  kTop,
  kEvents,
  kEvent,
  kArgs,
  kDims,       // "Input Dims"
  kDim,        // one argument's
  kTensor,     // one tensor's, in an argument that is a list of tensors
  kTypes,      // "Input type"
  kConcrete,   // "Concrete Inputs"
  kRanksText,  // "Process Group Ranks" written as an array
  kDevices,
  kDevice,
  kJob,  // distributedInfo
  kGroups,
  kGroup,
  kRanks,
};

enum class Field : uint8_t {
  kOther,
  kTraceEvents,
  kDeviceProperties,
  kDistributedInfo,
  kHostName,
  kPhase,
  kCategory,
  kName,
  kProcess,
  kThread,
  kTime,
  kDuration,
  kArgs,
  kCorrelation,
  kExternalId,
  kDevice,
  kStream,
  kInputDims,
  kInputTypes,
  kConcreteInputs,
  kCollectiveName,
  kCollectiveDtype,
  kInElements,
  kOutElements,
  kGroupSize,
  kGroupName,
  kGroupDescription,
  kGroupRanks,
  kId,
  kMemory,
  kRank,
  kWorldSize,
  kGroupConfig,
  kConfigName,
  kConfigDescription,
  kConfigBackend,
  kConfigSize,
  kConfigRanks,
};

// All keys in one table: the place decides which of them mean anything.
Field FieldOf(absl::string_view text) {
  static const auto* const kFields = new absl::flat_hash_map<absl::string_view, Field>{
      {"traceEvents", Field::kTraceEvents},
      {"deviceProperties", Field::kDeviceProperties},
      {"distributedInfo", Field::kDistributedInfo},
      {"host_name", Field::kHostName},
      {"ph", Field::kPhase},
      {"cat", Field::kCategory},
      {"name", Field::kName},
      {"pid", Field::kProcess},
      {"tid", Field::kThread},
      {"ts", Field::kTime},
      {"dur", Field::kDuration},
      {"args", Field::kArgs},
      {"correlation", Field::kCorrelation},
      {"External id", Field::kExternalId},
      {"external id", Field::kExternalId},
      {"device", Field::kDevice},
      {"stream", Field::kStream},
      {"Input Dims", Field::kInputDims},
      {"Input dims", Field::kInputDims},
      {"Input type", Field::kInputTypes},
      {"Concrete Inputs", Field::kConcreteInputs},
      {"Collective name", Field::kCollectiveName},
      {"dtype", Field::kCollectiveDtype},
      {"In msg nelems", Field::kInElements},
      {"Out msg nelems", Field::kOutElements},
      {"Group size", Field::kGroupSize},
      {"Process Group Name", Field::kGroupName},
      {"Process Group Description", Field::kGroupDescription},
      {"Process Group Ranks", Field::kGroupRanks},
      {"id", Field::kId},
      {"totalGlobalMem", Field::kMemory},
      {"rank", Field::kRank},
      {"world_size", Field::kWorldSize},
      {"pg_config", Field::kGroupConfig},
      {"pg_name", Field::kConfigName},
      {"pg_desc", Field::kConfigDescription},
      {"backend_config", Field::kConfigBackend},
      {"pg_size", Field::kConfigSize},
      {"ranks", Field::kConfigRanks},
  };
  const auto found = kFields->find(text);
  return found == kFields->end() ? Field::kOther : found->second;
}

enum class Category : uint8_t { kOther, kKernel, kCopy, kLaunch, kOperator, kAnnotation };

Category CategoryOf(absl::string_view text) {
  // Capitals and short names: PyTorch before 1.13.
  if (text == "kernel" || text == "Kernel") return Category::kKernel;
  if (text == "cpu_op" || text == "Operator") return Category::kOperator;
  if (text == "cuda_runtime" || text == "cuda_driver" || text == "Runtime") {
    return Category::kLaunch;
  }
  if (text == "gpu_memcpy" || text == "gpu_memset" || text == "Memcpy" || text == "Memset") {
    return Category::kCopy;
  }
  if (text == "user_annotation") return Category::kAnnotation;
  const std::string lower = absl::AsciiStrToLower(text);
  if (lower == "concurrent_kernel") return Category::kKernel;
  if (absl::EndsWith(lower, "_runtime") || absl::EndsWith(lower, "_driver")) {
    return Category::kLaunch;
  }
  return Category::kOther;
}

int64_t IntegerOr(absl::string_view text, int64_t otherwise) {
  int64_t value = 0;
  return absl::SimpleAtoi(text, &value) ? value : otherwise;
}

// The fields of the event being read. Texts are reused, so that events allocate nothing.
struct Event {
  std::string name;
  std::string process;
  std::string thread;
  std::string dims;      // arguments end in ';', numbers in ',', tensors of a list in '/'
  std::string types;     // each ends in '\n'
  std::string concrete;  // each ends in '\n'
  RawCollective collective;
  int64_t begin_ns = 0;
  int64_t duration_ns = 0;
  int64_t correlation = kNoId;
  int64_t external_id = kNoId;
  int64_t device = -1;
  int64_t stream = -1;
  Category category = Category::kOther;
  char phase = 0;
  bool has_begin = false;
  bool has_duration = false;
  bool has_dims = false;

  void Clear() {
    for (std::string* text :
         {&name, &process, &thread, &dims, &types, &concrete, &collective.name, &collective.dtype,
          &collective.group_name, &collective.group_description, &collective.group_ranks}) {
      text->clear();
    }
    collective.in_elements = collective.out_elements = collective.group_size = -1;
    begin_ns = duration_ns = 0;
    correlation = external_id = kNoId;
    device = stream = -1;
    category = Category::kOther;
    phase = 0;
    has_begin = has_duration = has_dims = false;
  }
};

RawOperands OperandsOf(const Event& event) {
  RawOperands operands;
  if (event.has_dims && !event.dims.empty()) {
    for (absl::string_view argument : absl::StrSplit(absl::StripSuffix(event.dims, ";"), ';')) {
      std::vector<int64_t> dims;
      const bool is_list = absl::StrContains(argument, '/');
      int64_t elements = 0;
      for (absl::string_view tensor : absl::StrSplit(argument, '/')) {
        int64_t product = 1;
        for (absl::string_view number : absl::StrSplit(tensor, ',', absl::SkipEmpty())) {
          dims.push_back(IntegerOr(number, -1));
          product *= std::max<int64_t>(0, dims.back());
        }
        if (!tensor.empty()) elements += product;
      }
      if (is_list) dims = {elements};
      operands.dims.push_back(std::move(dims));
      operands.is_tensor_list.push_back(is_list);
    }
  }
  operands.types = absl::StrSplit(absl::StripSuffix(event.types, "\n"), '\n');
  operands.concrete = absl::StrSplit(absl::StripSuffix(event.concrete, "\n"), '\n');
  return operands;
}

class Handler {
 public:
  explicit Handler(RawTrace* trace) : trace_(trace) {}

  // What RapidJSON calls. False stops the parse.
  bool Null() { return Scalar({}, true); }
  bool Bool(bool value) { return Scalar(value ? "True" : "False", false); }
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) {
    return Scalar({text, size}, false);
  }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    return Scalar({text, size}, false);
  }
  // With numbers as strings these are not called.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(int64_t) { return false; }
  bool Uint64(uint64_t) { return false; }
  bool Double(double) { return false; }

  bool Key(const char* text, rapidjson::SizeType size, bool) {
    const Place place = depth_ == 0 ? Place::kSkipped : places_[depth_ - 1];
    key_ = place == Place::kSkipped ? Field::kOther : FieldOf({text, size});
    return true;
  }
  bool StartObject() { return Enter(true); }
  bool StartArray() { return Enter(false); }
  bool EndObject(rapidjson::SizeType) {
    switch (places_[--depth_]) {
      case Place::kEvent:
        EndEvent();
        break;
      case Place::kDevice:
        trace_->devices.push_back(std::exchange(device_, {}));
        break;
      case Place::kGroup:
        trace_->groups.push_back(std::exchange(group_, {}));
        break;
      default:
        break;
    }
    key_ = Field::kOther;
    return true;
  }
  bool EndArray(rapidjson::SizeType) {
    switch (places_[--depth_]) {
      case Place::kDim:
        event_.dims.push_back(';');
        break;
      case Place::kTensor:
        event_.dims.push_back('/');
        break;
      default:
        break;
    }
    key_ = Field::kOther;
    return true;
  }

  bool is_too_deep() const { return depth_ >= kMaxDepth; }

 private:
  bool Enter(bool is_object) {
    if (is_too_deep()) return false;
    const Place below = depth_ == 0 ? Place::kSkipped : places_[depth_ - 1];
    Place place = Place::kSkipped;
    if (depth_ == 0) {
      // Chrome's other form: a bare list of events.
      place = is_object ? Place::kTop : Place::kEvents;
      if (!is_object) trace_->has_events_list = true;
    } else {
      place = is_object ? ObjectIn(below) : ArrayIn(below);
    }
    places_[depth_++] = place;
    return true;
  }

  Place ObjectIn(Place below) {
    switch (below) {
      case Place::kTop:
        return key_ == Field::kDistributedInfo ? Place::kJob : Place::kSkipped;
      case Place::kEvents:
        event_.Clear();
        return Place::kEvent;
      case Place::kEvent:
        return key_ == Field::kArgs ? Place::kArgs : Place::kSkipped;
      case Place::kDevices:
        return Place::kDevice;
      case Place::kGroups:
        return Place::kGroup;
      default:
        return Place::kSkipped;
    }
  }

  Place ArrayIn(Place below) {
    switch (below) {
      case Place::kTop:
        if (key_ == Field::kTraceEvents) {
          trace_->has_events_list = true;
          return Place::kEvents;
        }
        return key_ == Field::kDeviceProperties ? Place::kDevices : Place::kSkipped;
      case Place::kArgs:
        if (key_ == Field::kInputDims) {
          event_.dims.clear();
          event_.has_dims = true;
          return Place::kDims;
        }
        if (key_ == Field::kInputTypes) {
          event_.types.clear();
          return Place::kTypes;
        }
        if (key_ == Field::kConcreteInputs) {
          event_.concrete.clear();
          return Place::kConcrete;
        }
        if (key_ == Field::kGroupRanks) {
          event_.collective.group_ranks.clear();
          return Place::kRanksText;
        }
        return Place::kSkipped;
      case Place::kDims:
        return Place::kDim;
      case Place::kDim:
        return Place::kTensor;
      case Place::kJob:
        if (key_ != Field::kGroupConfig) return Place::kSkipped;
        trace_->groups.clear();
        return Place::kGroups;
      case Place::kGroup:
        return key_ == Field::kConfigRanks ? Place::kRanks : Place::kSkipped;
      default:
        return Place::kSkipped;
    }
  }

  bool Scalar(absl::string_view text, bool is_null) {
    if (depth_ == 0) return true;
    switch (places_[depth_ - 1]) {
      case Place::kEvent:
        EventField(text);
        break;
      case Place::kArgs:
        if (!is_null) ArgsField(text);
        break;
      case Place::kDims:  // a scalar argument in some versions: no dimensions
        event_.dims.push_back(';');
        break;
      case Place::kDim:
      case Place::kTensor:
        absl::StrAppend(&event_.dims, text, ",");
        break;
      case Place::kTypes:
        absl::StrAppend(&event_.types, text, "\n");
        break;
      case Place::kConcrete:
        absl::StrAppend(&event_.concrete, text, "\n");
        break;
      case Place::kRanksText:
        absl::StrAppend(&event_.collective.group_ranks, text, ",");
        break;
      case Place::kTop:
        if (key_ == Field::kHostName) trace_->host = std::string(text);
        break;
      case Place::kDevice:
        if (key_ == Field::kId) device_.id = static_cast<int32_t>(IntegerOr(text, -1));
        if (key_ == Field::kName) device_.name = std::string(text);
        if (key_ == Field::kMemory) {
          device_.memory_bytes = static_cast<uint64_t>(std::max<int64_t>(0, IntegerOr(text, 0)));
        }
        break;
      case Place::kJob:
        if (key_ == Field::kRank) trace_->rank = static_cast<int32_t>(IntegerOr(text, -1));
        if (key_ == Field::kWorldSize) {
          trace_->world_size = static_cast<uint32_t>(std::max<int64_t>(0, IntegerOr(text, 0)));
        }
        break;
      case Place::kGroup:
        if (key_ == Field::kConfigName) group_.name = std::string(text);
        if (key_ == Field::kConfigDescription) group_.description = std::string(text);
        if (key_ == Field::kConfigBackend) group_.backend = std::string(text);
        if (key_ == Field::kConfigSize) group_.size = IntegerOr(text, -1);
        break;
      case Place::kRanks:
        if (group_.ranks.size() < kMaxGroupRanks) {
          group_.ranks.push_back(static_cast<int32_t>(IntegerOr(text, -1)));
        }
        break;
      default:
        break;
    }
    return true;
  }

  void EventField(absl::string_view text) {
    switch (key_) {
      case Field::kPhase:
        event_.phase = text.size() == 1 ? text[0] : '\0';
        break;
      case Field::kCategory:
        event_.category = CategoryOf(text);
        break;
      case Field::kName:
        event_.name.assign(text.data(), text.size());
        break;
      case Field::kProcess:
        event_.process.assign(text.data(), text.size());
        break;
      case Field::kThread:
        event_.thread.assign(text.data(), text.size());
        break;
      case Field::kTime:
        event_.has_begin = NanosOfMicros(text, &event_.begin_ns);
        break;
      case Field::kDuration:
        event_.has_duration = NanosOfMicros(text, &event_.duration_ns);
        break;
      default:
        break;
    }
  }

  void ArgsField(absl::string_view text) {
    RawCollective& collective = event_.collective;
    const auto set = [&](std::string* field) { field->assign(text.data(), text.size()); };
    switch (key_) {
      case Field::kCorrelation:
        event_.correlation = IntegerOr(text, kNoId);
        break;
      case Field::kExternalId:
        event_.external_id = IntegerOr(text, kNoId);
        break;
      case Field::kDevice:
        event_.device = IntegerOr(text, -1);
        break;
      case Field::kStream:
        event_.stream = IntegerOr(text, -1);
        break;
      case Field::kCollectiveName:
        set(&collective.name);
        break;
      case Field::kCollectiveDtype:
        set(&collective.dtype);
        break;
      case Field::kInElements:
        collective.in_elements = IntegerOr(text, -1);
        break;
      case Field::kOutElements:
        collective.out_elements = IntegerOr(text, -1);
        break;
      case Field::kGroupSize:
        collective.group_size = IntegerOr(text, -1);
        break;
      case Field::kGroupName:
        set(&collective.group_name);
        break;
      case Field::kGroupDescription:
        set(&collective.group_description);
        break;
      case Field::kGroupRanks:
        set(&collective.group_ranks);
        break;
      default:
        break;
    }
  }

  void EndEvent() {
    ++trace_->events;
    if (event_.phase != 'X' || event_.category == Category::kOther) return;
    if (!event_.has_begin || event_.duration_ns < 0 ||
        event_.begin_ns > std::numeric_limits<int64_t>::max() - event_.duration_ns) {
      ++trace_->events_without_time;
      return;
    }
    switch (event_.category) {
      case Category::kKernel:
      case Category::kCopy:
        AddGpuEvent();
        break;
      case Category::kLaunch:
        WidenHostWindow();
        AddLaunch();
        break;
      case Category::kOperator:
      case Category::kAnnotation:
        WidenHostWindow();
        AddOperator();
        break;
      case Category::kOther:
        break;
    }
  }

  Interval EventTime() const { return {event_.begin_ns, event_.begin_ns + event_.duration_ns}; }

  void WidenHostWindow() {
    const Interval time = EventTime();
    Interval& window = trace_->host_window;
    if (!has_host_window_) window = time;
    has_host_window_ = true;
    window.begin_ns = std::min(window.begin_ns, time.begin_ns);
    window.end_ns = std::max(window.end_ns, time.end_ns);
  }

  void AddGpuEvent() {
    RawGpuEvent gpu;
    gpu.time = EventTime();
    gpu.correlation = event_.correlation;
    gpu.external_id = event_.external_id;
    gpu.name = trace_->kernel_names.IndexOf(event_.name);
    gpu.is_copy = event_.category == Category::kCopy;
    if (!event_.collective.name.empty()) gpu.collective = CollectiveIndex();
    // Kineto also writes the device as the process and the stream as the thread.
    const int64_t device = event_.device >= 0 ? event_.device : IntegerOr(event_.process, 0);
    const int64_t stream = event_.stream >= 0 ? event_.stream : IntegerOr(event_.thread, 0);
    gpu.device = static_cast<int32_t>(device);
    gpu.stream = static_cast<int32_t>(stream);
    trace_->gpu_events.push_back(gpu);
  }

  void AddLaunch() {
    if (event_.correlation == kNoId) return;
    RawLaunch launch;
    launch.correlation = event_.correlation;
    launch.begin_ns = event_.begin_ns;
    launch.thread = ThreadIndex();
    launch.is_graph = absl::StrContains(event_.name, "GraphLaunch");
    trace_->launches.push_back(launch);
  }

  void AddOperator() {
    const absl::string_view name = event_.name;
    if (absl::StartsWith(name, "ProfilerStep")) {
      trace_->steps.push_back({event_.name, EventTime()});
      return;
    }
    const bool is_comms = name == "record_param_comms";
    const bool is_range = absl::StartsWith(name, "nccl:");
    if (is_comms || is_range) {
      RawOp op = NewOp();
      op.collective = CollectiveIndex();
      op.is_range = is_range;
      trace_->comm_ops.push_back(op);
      return;
    }
    if (event_.category != Category::kOperator) return;
    trace_->has_shapes |= event_.has_dims;
    const OpInterest interest = InterestIn(name);
    if (interest == OpInterest::kCounted) {
      trace_->ops.push_back(NewOp());
    } else if (interest == OpInterest::kKnownUncounted) {
      ++trace_->uncounted_ops[event_.name];
    }
  }

  RawOp NewOp() {
    RawOp op;
    op.time = EventTime();
    op.external_id = event_.external_id;
    op.thread = ThreadIndex();
    const std::string key = absl::StrCat(event_.name, "\n", event_.has_dims ? "d" : "", event_.dims,
                                         "\n", event_.types, "\t", event_.concrete);
    const auto [found, is_new] =
        signatures_.try_emplace(key, static_cast<uint32_t>(trace_->signatures.size()));
    if (is_new) trace_->signatures.push_back({event_.name, OperandsOf(event_)});
    op.signature = found->second;
    return op;
  }

  uint32_t CollectiveIndex() {
    const RawCollective& c = event_.collective;
    const std::string key =
        absl::StrCat(c.name, "\n", c.dtype, "\n", c.group_name, "\n", c.group_description, "\n",
                     c.group_ranks, "\n", c.in_elements, "\n", c.out_elements, "\n", c.group_size);
    const auto [found, is_new] =
        collectives_.try_emplace(key, static_cast<uint32_t>(trace_->collectives.size()));
    if (is_new) trace_->collectives.push_back(c);
    return found->second;
  }

  uint32_t ThreadIndex() {
    return threads_.IndexOf(absl::StrCat(event_.process, "/", event_.thread));
  }

  RawTrace* trace_;
  std::array<Place, kMaxDepth> places_ = {};
  size_t depth_ = 0;
  Field key_ = Field::kOther;
  Event event_;
  RawDevice device_;
  RawGroup group_;
  TextTable threads_;
  absl::flat_hash_map<std::string, uint32_t> signatures_;
  absl::flat_hash_map<std::string, uint32_t> collectives_;
  bool has_host_window_ = false;
};

}  // namespace

bool NanosOfMicros(absl::string_view text, int64_t* time_ns) {
  *time_ns = 0;
  size_t at = 0;
  const bool is_negative = !text.empty() && text[0] == '-';
  if (is_negative) ++at;
  // The value is `digits` times a power of ten. Digits that int64 nanoseconds cannot hold lie below
  // a nanosecond where the number is one, and round it.
  constexpr uint64_t kMost = (static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) - 9) / 10;
  uint64_t digits = 0;
  int64_t power = 3;  // microseconds to nanoseconds
  char first_dropped = '0';
  bool has_digit = false;
  bool is_fraction = false;
  bool is_full = false;
  for (; at < text.size() && text[at] != 'e' && text[at] != 'E'; ++at) {
    if (text[at] == '.' && !is_fraction) {
      is_fraction = true;
      continue;
    }
    if (!absl::ascii_isdigit(static_cast<unsigned char>(text[at]))) return false;
    has_digit = true;
    if (!is_full && digits <= kMost) {
      digits = digits * 10 + static_cast<uint64_t>(text[at] - '0');
      if (is_fraction) --power;
      continue;
    }
    if (!is_full) first_dropped = text[at];
    is_full = true;
    if (!is_fraction) ++power;
  }
  if (!has_digit) return false;
  if (at < text.size()) {
    int32_t exponent = 0;
    if (!absl::SimpleAtoi(text.substr(at + 1), &exponent)) return false;
    power += exponent;
  }
  if (power == 0 && first_dropped >= '5') ++digits;
  for (; power > 0 && digits != 0; --power) {
    if (digits > kMost) return false;
    digits *= 10;
  }
  if (power < 0) {
    for (; power < -1 && digits != 0; ++power) digits /= 10;
    digits = (digits + 5) / 10;
  }
  if (digits > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
  *time_ns = is_negative ? -static_cast<int64_t>(digits) : static_cast<int64_t>(digits);
  return true;
}

uint32_t TextTable::IndexOf(absl::string_view text) {
  const auto found = indices_.find(text);
  if (found != indices_.end()) return found->second;
  const auto index = static_cast<uint32_t>(texts_.size());
  texts_.emplace_back(text);
  indices_.emplace(texts_.back(), index);
  return index;
}

absl::Status ReadKineto(ByteSource* source, RawTrace* trace) {
  RepairedStream stream(source);
  Handler handler(trace);
  rapidjson::Reader reader;
  const rapidjson::ParseResult result =
      reader.Parse<rapidjson::kParseNumbersAsStringsFlag>(stream, handler);
  trace->repairs = stream.repairs();
  // What the source could not read explains what the parser then missed.
  if (!stream.status().ok()) return stream.status();
  if (handler.is_too_deep()) {
    return absl::InvalidArgumentError(
        absl::StrCat("is nested deeper than ", kMaxDepth, " levels: not a profiler's trace"));
  }
  if (result.IsError()) {
    if (result.Code() == rapidjson::kParseErrorDocumentEmpty) {
      return absl::InvalidArgumentError("is empty");
    }
    if (stream.Peek() == '\0' && trace->has_events_list) {
      return absl::DataLossError(absl::StrCat("ends early, after ", trace->events,
                                              " events: the JSON is truncated (was the job killed "
                                              "while it wrote the trace?)"));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("is not JSON: ", rapidjson::GetParseError_En(result.Code()), " (byte ",
                     result.Offset(), ")"));
  }
  if (!trace->has_events_list) {
    return absl::InvalidArgumentError(
        "is JSON, but not a trace: it has no \"traceEvents\" (expected a PyTorch profiler trace)");
  }
  return absl::OkStatus();
}

}  // namespace mfutrace::report
