// See options.h.
#include "interpose/options.h"

#include <cstdlib>
#include <cstring>

#include <unistd.h>

#include "interpose/say.h"
#include "interpose/text.h"
#include "trace/contract.h"

namespace mfutrace::interpose {
namespace {

namespace env = trace::env;

bool IsSet(const char* name) {
  const char* value = getenv(name);
  return value != nullptr && *value != '\0' && std::strcmp(value, "0") != 0;
}

void SayBadValue(const char* name, const char* value) {
  char buffer[512];
  Text text(buffer, sizeof buffer);
  text.Add("'").Add(value).Add("' is not understood; the default is used");
  char name_and_sign[64];
  Say(Saying::kBadOption, Text(name_and_sign, sizeof name_and_sign).Add(name).Add("=").c_str(),
      text.c_str());
}

uint64_t NumberOf(const char* name, uint64_t by_default, uint64_t least, uint64_t most) {
  const char* value = getenv(name);
  if (value == nullptr || *value == '\0') return by_default;
  uint64_t number = 0;
  if (!ParseSize(value, number)) {
    SayBadValue(name, value);
    return by_default;
  }
  return number < least ? least : number > most ? most : number;
}

TimingChoice TimingOf(const char* value) {
  if (value == nullptr || *value == '\0' || std::strcmp(value, "auto") == 0) {
    return TimingChoice::kAuto;
  }
  if (std::strcmp(value, "events") == 0) return TimingChoice::kEvents;
  if (std::strcmp(value, "count") == 0) return TimingChoice::kCount;
  if (std::strcmp(value, "cupti") == 0) return TimingChoice::kCupti;
  SayBadValue(env::kTiming, value);
  return TimingChoice::kAuto;
}

bool IsEach(const char* value) {
  if (value == nullptr || *value == '\0' || std::strcmp(value, "sum") == 0) return false;
  if (std::strcmp(value, "each") == 0) return true;
  SayBadValue(env::kKernels, value);
  return false;
}

uint8_t FamiliesOf(const char* list) {
  if (list == nullptr || *list == '\0') return kAllFamilies;
  uint8_t families = 0;
  for (const char* at = list; *at != '\0';) {
    const size_t bytes = std::strcspn(at, ",");
    const auto is = [at, bytes](const char* name) {
      return std::strlen(name) == bytes && std::memcmp(at, name, bytes) == 0;
    };
    if (is("cublas")) {
      families |= kCublas;
    } else if (is("cublaslt")) {
      families |= kCublasLt;
    } else if (is("cudnn")) {
      families |= kCudnn;
    } else if (is("nccl")) {
      families |= kNccl;
    } else if (bytes != 0) {
      SayBadValue(env::kOnly, list);
    }
    at += bytes;
    if (*at == ',') ++at;
  }
  return families == 0 ? uint8_t{kAllFamilies} : families;
}

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr SampleChoice kDefaultSample = {60 * kSecondNs, 10 * kSecondNs, 60 * kSecondNs};
constexpr double kDefaultBudget = 0.005;

// Digits at `at`, which moves behind them; -1 without any.
int64_t TakeNumber(const char*& at) {
  int64_t number = -1;
  for (; *at >= '0' && *at <= '9'; ++at) {
    if (number > INT32_MAX) return -1;
    number = (number < 0 ? 0 : number * 10) + (*at - '0');
  }
  return number;
}

// 0 if there is no time at `at`.
int64_t TakeTime(const char*& at) {
  static constexpr struct {
    char unit[3];
    int64_t ns;
  } kUnits[] = {
      {"ms", kSecondNs / 1000}, {"s", kSecondNs}, {"m", 60 * kSecondNs}, {"h", 3600 * kSecondNs}};
  const int64_t number = TakeNumber(at);
  for (const auto& [unit, ns] : kUnits) {
    const size_t bytes = std::strlen(unit);
    if (std::strncmp(at, unit, bytes) != 0) continue;
    at += bytes;
    return number > INT64_MAX / ns || number < 0 ? 0 : number * ns;
  }
  return 0;
}

void ReadSample(Options& options) {
  const char* text = getenv(env::kSample);
  options.sample = kDefaultSample;
  const bool is_given = text != nullptr && *text != '\0';
  const bool is_good = is_given && ParseSample(text, options.sample);
  if (is_given && !is_good) SayBadValue(env::kSample, text);
  Text(options.sample_text, sizeof options.sample_text).Add(is_good ? text : "default");
  text = getenv(env::kOverheadBudget);
  options.overhead_budget = kDefaultBudget;
  if (text != nullptr && *text != '\0' && !ParseBudget(text, options.overhead_budget)) {
    SayBadValue(env::kOverheadBudget, text);
  }
}

uint32_t PowerOfTwoFrom(uint64_t number) {
  uint32_t power = 1;
  while (power < number) power *= 2;
  return power;
}

// The job may change its directory before the first flush, so the path is made absolute now.
void ReadFolder(char* folder, size_t capacity) {
  const char* wanted = getenv(env::kOut);
  if (wanted == nullptr || *wanted == '\0') wanted = "mfutrace-traces";
  Text path(folder, capacity);
  if (*wanted != '/') {
    char here[2048];
    // Without a current directory (removed, or too deep) the relative path is the best there is.
    if (getcwd(here, sizeof here) != nullptr) path.Add(here).Add("/");
  }
  path.Add(wanted);
}

}  // namespace

bool ParseSize(const char* text, uint64_t& value) {
  uint64_t number = 0;
  const char* at = text;
  if (*at < '0' || *at > '9') return false;
  for (; *at >= '0' && *at <= '9'; ++at) {
    const uint64_t digit = static_cast<uint64_t>(*at - '0');
    if (number > (UINT64_MAX - digit) / 10) return false;
    number = number * 10 + digit;
  }
  uint64_t factor = 1;
  switch (*at) {
    case 'k':
    case 'K':
      factor = uint64_t{1} << 10;
      break;
    case 'm':
    case 'M':
      factor = uint64_t{1} << 20;
      break;
    case 'g':
    case 'G':
      factor = uint64_t{1} << 30;
      break;
    default:
      break;
  }
  if (factor != 1) ++at;
  if (*at != '\0' || number > UINT64_MAX / factor) return false;
  value = number * factor;
  return true;
}

bool ParseSample(const char* text, SampleChoice& choice) {
  if (std::strcmp(text, "default") == 0) {
    choice = kDefaultSample;
  } else if (std::strcmp(text, "all") == 0) {
    choice = {INT64_MAX, 0, 0};
  } else if (std::strcmp(text, "none") == 0) {
    choice = {0, 0, 0};
  } else {
    const char* at = text;
    const int64_t on_ns = TakeTime(at);
    if (*at != '/') return false;
    ++at;
    const int64_t period_ns = TakeTime(at);
    if (*at != '\0' || on_ns <= 0 || on_ns > period_ns) return false;
    choice = {0, on_ns, period_ns};
  }
  return true;
}

bool ParseBudget(const char* text, double& budget) {
  if (std::strcmp(text, "off") == 0) {
    budget = -1;
    return true;
  }
  const char* at = text;
  const int64_t whole = TakeNumber(at);
  int64_t parts = 0;  // of ten thousand
  if (whole < 0 || whole > 100) return false;
  if (*at == '.') {
    const char* first = ++at;
    parts = TakeNumber(at);
    if (parts < 0 || at - first > 4) return false;
    for (const char* end = first + 4; at != end; --end) parts *= 10;
  }
  if (*at == '%') ++at;
  if (*at != '\0') return false;
  budget = (static_cast<double>(whole) + static_cast<double>(parts) / 10000) / 100;
  return true;
}

uint8_t FamilyOf(const char* function_name) {
  if (std::strncmp(function_name, "cublasLt", 8) == 0) return kCublasLt;
  if (std::strncmp(function_name, "cublas", 6) == 0) return kCublas;
  if (std::strncmp(function_name, "cudnn", 5) == 0) return kCudnn;
  if (std::strncmp(function_name, "nccl", 4) == 0) return kNccl;
  return 0;
}

void ReadOptions(Options& options) {
  options.is_quiet = IsSet(env::kQuiet);
  SayNothing(options.is_quiet);
  options.is_disabled = IsSet(env::kDisable);
  if (options.is_disabled) return;
  options.force_events = IsSet(env::kForceEvents);
  options.copies_lengths = IsSet(env::kDeviceLengths);
  const char* connections = getenv("CUDA_DEVICE_MAX_CONNECTIONS");
  options.has_one_connection = connections != nullptr && std::strcmp(connections, "1") == 0;
  options.timing = TimingOf(getenv(env::kTiming));
  options.is_each_kernel = IsEach(getenv(env::kKernels));
  options.families = FamiliesOf(getenv(env::kOnly));
  options.ring_records = PowerOfTwoFrom(NumberOf(env::kRingRecords, 4096, 2, 1u << 20));
  options.event_pairs = static_cast<uint32_t>(NumberOf(env::kEvents, 4096, 1, 1u << 18));
  options.flush_ns = static_cast<int64_t>(NumberOf(env::kFlushMs, 250, 1, 60000)) * 1000000;
  options.max_file_bytes = NumberOf(env::kMaxSize, UINT64_MAX, 0, UINT64_MAX);
  ReadSample(options);
  ReadFolder(options.folder, sizeof options.folder);
}

}  // namespace mfutrace::interpose
