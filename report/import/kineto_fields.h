// Keys, categories and numbers of a Kineto trace: how each is spelled, over the years.
//
// Used by the reader's parts only (kineto_handler, kineto_collector).
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace mfutrace::report {

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

// All keys in one table: where a key stands decides which of them mean anything.
Field FieldOf(absl::string_view key);

enum class Category : uint8_t { kOther, kKernel, kCopy, kLaunch, kOperator, kAnnotation };

Category CategoryOf(absl::string_view text);

int64_t IntegerOr(absl::string_view text, int64_t otherwise);

// "1711964646000.1234" microseconds -> 1711964646000123 ns; beyond nanoseconds rounded half up.
// Exponents are understood. False for anything that is no finite number of int64 nanoseconds.
bool NanosOfMicros(absl::string_view text, int64_t* time_ns);

}  // namespace mfutrace::report
