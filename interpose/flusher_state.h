// What the flusher thread keeps between rounds. Private to flusher.cc, trace_tables.cc and
// call_blocks.cc; valid when zeroed.
#pragma once

#include <cstdint>

#include "interpose/counter_values.h"
#include "interpose/gpu_clock_state.h"
#include "interpose/ring.h"
#include "interpose/session.h"
#include "interpose/tally.h"
#include "trace/writer.h"

namespace mfutrace::interpose {

// A record whose GPU time is known, or known not to come.
struct Staged {
  RingRecord record;
  int64_t gpu_begin_ns;
  int64_t gpu_end_ns;
  bool is_timed;
};

struct Flusher {
  static constexpr uint32_t kStageCapacity = 8192;
  static constexpr uint32_t kMaxReasons = 64;

  Session* session;
  trace::Writer writer;
  bool is_open;     // the trace has been created
  bool has_failed;  // and can no longer be written
  char path[4096];

  // How far the tables of the session are in the file.
  uint32_t next_string;
  uint32_t entry_strings[kEntryCount];
  const char* reasons[kMaxReasons];  // static strings of opaque signatures
  uint32_t reason_strings[kMaxReasons];
  uint32_t signatures_written;
  uint32_t lanes_written;
  uint32_t communicators_written;
  uint32_t communicator_ends_written;
  bool device_is_written[GpuClock::kMaxDevices];
  TimingBackend backend_written;
  const char* reason_written;
  uint32_t counter_strings[kCounterCount];
  uint64_t counters_written[kCounterCount];
  int64_t host_clock_written_ns;  // when; 0 = never
  int64_t counts_since_ns;        // start of the window of the next kCounts
  int64_t untimed_since_ns;       // the same of calls outside the windows
  int64_t limited_since_ns;
  int64_t limited_written_ns;

  Tally limited;  // calls beyond the size limit

  Staged* stage;
  uint32_t staged;
  trace::CallPrefix open_prefix;  // of the block of calls being written
  trace::BlockKind open_kind;     // 0 = none
};

// flusher.cc. The trace is created at the first call; false if it cannot be.
bool OpenTrace(Flusher& flusher);
uint64_t TotalCalls(Session& session);  // successful ones of the process

// trace_tables.cc: whatever records may refer to and is not in the file yet.
void WriteTables(Flusher& flusher);
void WriteDevice(Flusher& flusher, int32_t device);
uint32_t WriteTraceString(Flusher& flusher, const char* text);  // its id
void WriteCounters(Flusher& flusher);
void WriteHostClock(Flusher& flusher);
void WriteClockSample(Flusher& flusher, int32_t device, int64_t gpu_ns, int64_t host_min_ns,
                      int64_t host_max_ns);

// call_blocks.cc: writes and empties the stage; counts become kCounts records.
void WriteStage(Flusher& flusher);
void WriteCounts(Flusher& flusher, Tally& tally, trace::CountReason reason, int64_t begin_ns,
                 int64_t end_ns);

}  // namespace mfutrace::interpose
