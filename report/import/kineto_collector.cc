// See kineto_collector.h.
#include "report/import/kineto_collector.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "report/import/kineto_ops.h"
#include "report/import/serving_marks.h"

namespace mfutrace::report {
namespace {

// Times beyond these would overflow as differences; a trace that has them is damaged.
constexpr int64_t kMaxTime = int64_t{1} << 62;

RawOperands OperandsOf(const KinetoEvent& event) {
  RawOperands operands;
  if (event.has_dims && !event.dims.empty()) {
    for (absl::string_view argument : absl::StrSplit(absl::StripSuffix(event.dims, ";"), ';')) {
      std::vector<int64_t> dims;
      const bool is_list = absl::StrContains(argument, '/');
      int64_t elements = 0;
      for (absl::string_view tensor : absl::StrSplit(argument, '/')) {
        const size_t first = dims.size();
        for (absl::string_view number : absl::StrSplit(tensor, ',', absl::SkipEmpty())) {
          dims.push_back(IntegerOr(number, -1));
        }
        const int64_t product =
            tensor.empty() ? 0 : ElementsOf(absl::MakeConstSpan(dims).subspan(first));
        const bool is_known = elements >= 0 && product >= 0 && product <= kMaxElements - elements;
        elements = is_known ? elements + product : -1;
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

}  // namespace

void KinetoCollector::SetField(Field field, absl::string_view text) {
  switch (field) {
    case Field::kPhase:
      event.phase = text.size() == 1 ? text[0] : '\0';
      break;
    case Field::kCategory:
      event.category = CategoryOf(text);
      break;
    case Field::kName:
      event.name.assign(text.data(), text.size());
      break;
    case Field::kProcess:
      event.process.assign(text.data(), text.size());
      break;
    case Field::kThread:
      event.thread.assign(text.data(), text.size());
      break;
    case Field::kTime:
      event.has_begin = NanosOfMicros(text, &event.begin_ns);
      break;
    case Field::kDuration:
      event.has_bad_duration = !NanosOfMicros(text, &event.duration_ns);
      break;
    default:
      break;
  }
}

void KinetoCollector::SetArg(Field field, absl::string_view text) {
  RawCollective& collective = event.collective;
  const auto set = [&](std::string* target) { target->assign(text.data(), text.size()); };
  switch (field) {
    case Field::kCorrelation:
      event.correlation = IntegerOr(text, kNoId);
      break;
    case Field::kExternalId:
      event.external_id = IntegerOr(text, kNoId);
      break;
    case Field::kDevice:
      event.device = IntegerOr(text, -1);
      break;
    case Field::kStream:
      event.stream = IntegerOr(text, -1);
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

void KinetoCollector::EndEvent() {
  ++trace_->events;
  if (event.phase != 'X' || event.category == Category::kOther) return;
  if (!event.has_begin || event.has_bad_duration || event.duration_ns < 0 ||
      event.begin_ns < -kMaxTime || event.begin_ns > kMaxTime - event.duration_ns) {
    ++trace_->events_without_time;
    return;
  }
  switch (event.category) {
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

Interval KinetoCollector::EventTime() const {
  return {event.begin_ns, event.begin_ns + event.duration_ns};
}

void KinetoCollector::WidenHostWindow() {
  const Interval time = EventTime();
  Interval& window = trace_->host_window;
  if (!has_host_window_) window = time;
  has_host_window_ = true;
  window.begin_ns = std::min(window.begin_ns, time.begin_ns);
  window.end_ns = std::max(window.end_ns, time.end_ns);
}

void KinetoCollector::AddGpuEvent() {
  RawGpuEvent gpu;
  gpu.time = EventTime();
  gpu.correlation = event.correlation;
  gpu.external_id = event.external_id;
  gpu.name = trace_->kernel_names.IndexOf(event.name);
  gpu.is_copy = event.category == Category::kCopy;
  if (!event.collective.name.empty()) gpu.collective = CollectiveIndex();
  // Kineto also writes the device as the process and the stream as the thread.
  const int64_t device = event.device >= 0 ? event.device : IntegerOr(event.process, 0);
  const int64_t stream = event.stream >= 0 ? event.stream : IntegerOr(event.thread, 0);
  gpu.device = static_cast<int32_t>(device);
  gpu.stream = static_cast<int32_t>(stream);
  trace_->gpu_events.push_back(gpu);
}

void KinetoCollector::AddLaunch() {
  if (event.correlation == kNoId) return;
  RawLaunch launch;
  launch.correlation = event.correlation;
  launch.begin_ns = event.begin_ns;
  launch.thread = ThreadIndex();
  launch.is_graph = absl::StrContains(event.name, "GraphLaunch");
  trace_->launches.push_back(launch);
}

void KinetoCollector::AddOperator() {
  const absl::string_view name = event.name;
  if (absl::StartsWith(name, "ProfilerStep")) {
    trace_->steps.push_back({event.name, EventTime()});
    return;
  }
  if (absl::StartsWith(name, "execute_")) {
    if (std::optional<ServingStep> step = ServingStepNamed(name); step.has_value()) {
      step->host_time = EventTime();
      trace_->serving_steps.push_back(*std::move(step));
      return;
    }
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
  if (event.category != Category::kOperator) return;
  trace_->has_shapes |= event.has_dims;
  const OpInterest interest = InterestIn(name);
  if (interest == OpInterest::kCounted) {
    trace_->ops.push_back(NewOp());
  } else if (interest == OpInterest::kKnownUncounted) {
    ++trace_->uncounted_ops[event.name];
  }
}

RawOp KinetoCollector::NewOp() {
  RawOp op;
  op.time = EventTime();
  op.external_id = event.external_id;
  op.thread = ThreadIndex();
  const std::string key = absl::StrCat(event.name, "\n", event.has_dims ? "d" : "", event.dims,
                                       "\n", event.types, "\t", event.concrete);
  const auto [found, is_new] =
      signatures_.try_emplace(key, static_cast<uint32_t>(trace_->signatures.size()));
  if (is_new) trace_->signatures.push_back({event.name, OperandsOf(event)});
  op.signature = found->second;
  return op;
}

uint32_t KinetoCollector::CollectiveIndex() {
  const RawCollective& c = event.collective;
  const std::string key =
      absl::StrCat(c.name, "\n", c.dtype, "\n", c.group_name, "\n", c.group_description, "\n",
                   c.group_ranks, "\n", c.in_elements, "\n", c.out_elements, "\n", c.group_size);
  const auto [found, is_new] =
      collectives_.try_emplace(key, static_cast<uint32_t>(trace_->collectives.size()));
  if (is_new) trace_->collectives.push_back(c);
  return found->second;
}

uint32_t KinetoCollector::ThreadIndex() {
  return threads_.IndexOf(absl::StrCat(event.process, "/", event.thread));
}

int64_t ElementsOf(absl::Span<const int64_t> dims) {
  int64_t product = 1;
  for (const int64_t dim : dims) {
    if (dim < 0 || (dim > 0 && product > kMaxElements / dim)) return -1;
    product *= dim;
  }
  return product;
}

uint32_t TextTable::IndexOf(absl::string_view text) {
  const auto found = indices_.find(text);
  if (found != indices_.end()) return found->second;
  const auto index = static_cast<uint32_t>(texts_.size());
  texts_.emplace_back(text);
  indices_.emplace(texts_.back(), index);
  return index;
}

}  // namespace mfutrace::report
