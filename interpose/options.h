// What the environment asks for, read once when the session starts, on the thread of the first
// intercepted call. trace/contract.h names the variables, docs/ENVIRONMENT.md explains them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "interpose/windows.h"

namespace mfutrace::interpose {

enum class TimingChoice : uint8_t { kAuto, kEvents, kCount, kCupti };

// Bits of MFUTRACE_ONLY.
enum Family : uint8_t { kCublas = 1, kCublasLt = 2, kNccl = 4, kCudnn = 8, kAllFamilies = 15 };

struct Options {
  bool is_disabled;
  bool is_quiet;
  bool force_events;
  bool copies_lengths;      // MFUTRACE_DEVICE_LENGTHS
  bool has_one_connection;  // CUDA_DEVICE_MAX_CONNECTIONS=1: events would serialise streams
  TimingChoice timing;
  bool is_each_kernel;  // MFUTRACE_KERNELS=each
  uint8_t families;
  uint32_t ring_records;  // power of two
  uint32_t event_pairs;   // per context
  int64_t flush_ns;
  SampleChoice sample;
  char sample_text[32];    // as asked for, if understood
  double overhead_budget;  // share of the job's pace; negative = no limit
  uint64_t max_file_bytes;
  char folder[3072];  // absolute
};

// Says so (say.h) where a value makes no sense, and goes on with the default.
void ReadOptions(Options& options);

// "256M" and the like; false if the text is not a number with an optional suffix K, M or G.
bool ParseSize(const char* text, uint64_t& value);

// "default", "all", "none" or "ON/PERIOD", times as 10s, 500ms, 2m or 1h; ON not longer than
// PERIOD.
bool ParseSample(const char* text, SampleChoice& choice);
// Percent with up to four decimals, also with the sign, or "off".
bool ParseBudget(const char* text, double& budget);

// Family of a function by its name's prefix; 0 = none of them.
uint8_t FamilyOf(const char* function_name);

}  // namespace mfutrace::interpose
