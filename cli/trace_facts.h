// What one .mfut file says of itself, gathered in one read: for `mfutrace info`.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "report/model/load_windows.h"
#include "trace/format.h"
#include "trace/reader.h"

namespace mfutrace::cli {

struct TraceFacts {
  std::string path;
  uint64_t file_bytes = 0;
  trace::FileHeader header = {};
  trace::Outcome outcome;
  std::map<std::string, std::string> facts;

  struct Device {
    trace::DeviceRecord record = {};
    std::string name;
    std::string bus_id;
  };
  std::vector<Device> devices;
  uint64_t lanes = 0;
  uint64_t threads = 0;
  std::set<uint32_t> communicators;
  uint64_t gemm_signatures = 0;
  uint64_t collective_signatures = 0;
  uint64_t opaque_signatures = 0;

  uint64_t calls = 0;  // with a record of their own
  uint64_t timed = 0;
  uint64_t captured = 0;
  uint64_t collectives = 0;
  std::map<trace::CountReason, uint64_t> counted;  // without one
  std::map<std::string, uint64_t> calls_by_entry;
  std::map<std::string, uint64_t> counters;
  std::map<trace::BlockKind, uint64_t> bytes_by_kind;
  uint64_t clock_samples = 0;
  int64_t widest_clock_sample_ns = 0;
  int64_t last_monotonic_ns = 0;
  std::vector<report::RecordingWindow> windows;
  int64_t widest_host_clock_ns = 0;  // residual of the pairs of monotonic and wall time
  bool has_end = false;
  trace::EndRecord end = {};

  uint64_t CallsInAll() const;
  // Bytes of the blocks that hold call and count records.
  uint64_t CallBytes() const;
};

absl::StatusOr<TraceFacts> ReadTraceFacts(const std::string& path);

}  // namespace mfutrace::cli
