// See kineto_handler.h.
#include "report/import/kineto_handler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace mfutrace::report {
namespace {

constexpr size_t kMaxGroupRanks = 1 << 20;

// Operands' texts are kept in one, a line each.
void AppendLine(absl::string_view text, std::string* lines) {
  for (const char c : text) lines->push_back(c == '\n' ? ' ' : c);
  lines->push_back('\n');
}

}  // namespace

bool KinetoHandler::Key(const char* text, uint32_t size, bool) {
  const Place place = depth_ == 0 ? Place::kSkipped : places_[depth_ - 1];
  key_ = place == Place::kSkipped ? Field::kOther : FieldOf({text, size});
  return true;
}

bool KinetoHandler::EndObject(uint32_t) {
  switch (places_[--depth_]) {
    case Place::kEvent:
      collector_.EndEvent();
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

bool KinetoHandler::EndArray(uint32_t) {
  switch (places_[--depth_]) {
    case Place::kDim:
      collector_.event.dims.push_back(';');
      break;
    case Place::kTensor:
      collector_.event.dims.push_back('/');
      break;
    default:
      break;
  }
  key_ = Field::kOther;
  return true;
}

bool KinetoHandler::Enter(bool is_object) {
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

KinetoHandler::Place KinetoHandler::ObjectIn(Place below) {
  switch (below) {
    case Place::kTop:
      return key_ == Field::kDistributedInfo ? Place::kJob : Place::kSkipped;
    case Place::kEvents:
      collector_.event.Clear();
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

KinetoHandler::Place KinetoHandler::ArrayIn(Place below) {
  switch (below) {
    case Place::kTop:
      if (key_ == Field::kTraceEvents) {
        trace_->has_events_list = true;
        return Place::kEvents;
      }
      return key_ == Field::kDeviceProperties ? Place::kDevices : Place::kSkipped;
    case Place::kArgs:
      if (key_ == Field::kInputDims) {
        collector_.event.dims.clear();
        collector_.event.has_dims = true;
        return Place::kDims;
      }
      if (key_ == Field::kInputTypes) {
        collector_.event.types.clear();
        return Place::kTypes;
      }
      if (key_ == Field::kConcreteInputs) {
        collector_.event.concrete.clear();
        return Place::kConcrete;
      }
      if (key_ == Field::kGroupRanks) {
        collector_.event.collective.group_ranks.clear();
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

bool KinetoHandler::Scalar(absl::string_view text, bool is_null) {
  if (depth_ == 0) return true;
  switch (places_[depth_ - 1]) {
    case Place::kEvent:
      collector_.SetField(key_, text);
      break;
    case Place::kArgs:
      if (!is_null) collector_.SetArg(key_, text);
      break;
    case Place::kDims:  // a scalar argument in some versions: no dimensions
      collector_.event.dims.push_back(';');
      break;
    case Place::kDim:
    case Place::kTensor:
      absl::StrAppend(&collector_.event.dims, text, ",");
      break;
    case Place::kTypes:
      AppendLine(text, &collector_.event.types);
      break;
    case Place::kConcrete:
      AppendLine(text, &collector_.event.concrete);
      break;
    case Place::kRanksText:
      absl::StrAppend(&collector_.event.collective.group_ranks, text, ",");
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

}  // namespace mfutrace::report
