// See kineto_fields.h. The format has no specification: spellings are read off traces of
// PyTorch 1.8 to 2.9 (libkineto's output_json.cpp writes them).
#include "report/import/kineto_fields.h"

#include <array>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace mfutrace::report {

namespace {

struct Spelling {
  absl::string_view key;
  Field field;
};

constexpr Spelling kSpellings[] = {
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
constexpr size_t kLongestKey = 25;

// Keys by length: every value of a trace has one, and most lengths have one or two spellings.
const std::array<std::vector<Spelling>, kLongestKey + 1>& SpellingsByLength() {
  static const auto* const kTable = [] {
    auto* table = new std::array<std::vector<Spelling>, kLongestKey + 1>;
    for (const Spelling& spelling : kSpellings) (*table)[spelling.key.size()].push_back(spelling);
    return table;
  }();
  return *kTable;
}

}  // namespace

Field FieldOf(absl::string_view key) {
  if (key.size() > kLongestKey) return Field::kOther;
  for (const Spelling& spelling : SpellingsByLength()[key.size()]) {
    if (spelling.key == key) return spelling.field;
  }
  return Field::kOther;
}

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

}  // namespace mfutrace::report
