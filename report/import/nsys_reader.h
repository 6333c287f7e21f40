// First half of the import of Nsight Systems' SQLite exports: tables -> the same flat records that
// the Kineto import reads from JSON, so that kineto_join.cc makes Timelines of both.
//
// Tables and columns differ between the schemas of twenty versions; what a file does not have is
// left out. Rows are taken one at a time: memory is bounded by the records, not by the file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "report/import/kineto_reader.h"
#include "report/import/sqlite_file.h"

namespace mfutrace::report {

struct NsysTrace {
  RawTrace raw;  // devices by their place in `devices`
  struct Device {
    int32_t id = 0;               // Nsight's number of the GPU
    uint64_t node = 0;            // reports of several nodes in one export: numbers repeat there
    uint64_t main_process = 0;    // with most GPU events on it
    std::vector<StepMark> steps;  // of that process
    uint64_t whole_graphs = 0;    // launches of graphs that were recorded as one piece
  };
  std::vector<Device> devices;
  std::map<std::string, uint64_t> nccl_calls;  // ranges of NCCL's own, by name
  uint64_t nccl_payloads = 0;                  // of them, with arguments (not decoded)
};

absl::Status ReadNsys(const SqliteFile& file, NsysTrace* trace);

// "ProfilerStep#3", "iteration 12", "train_step": ranges that people mark steps with.
bool IsStepName(absl::string_view text);

}  // namespace mfutrace::report
