// What `mfutrace doctor` concludes from what it saw: one row a subject, each with what to do.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/watch.h"

namespace mfutrace::cli {

// What mfutrace-probe printed.
struct ProbeAnswer {
  std::string no_probe;   // why there is none
  std::string no_driver;  // why the driver does not answer
  int driver_version = 0;
  struct Device {
    std::string name;
    std::string capability;
  };
  std::vector<Device> devices;
  std::string no_cupti;
  std::string cupti_path;
  std::string cupti_version;
  bool is_cupti_free = false;
};
ProbeAnswer ParseProbe(const std::string& text);

struct Evidence {
  ProbeAnswer probe;
  std::string glibc;                             // of the job, or of this machine; empty = unknown
  std::string too_old;                           // why the loader cannot take the library
  std::string out_of_reach;                      // why the preload cannot reach the program
  std::map<std::string, std::string> profilers;  // variables of other profilers that are set
  std::vector<std::string> monitors;             // programs that may hold the GPU's counters
  std::string no_nccl_plugin;                    // why NCCL would not load ours
  bool has_command = false;
  Watched watched;
  std::map<std::string, uint64_t> calls_by_entry;
  uint64_t nccl_calls_by_plugin = 0;
  // Of the files that were mapped: which have a copy of a vendor's library inside.
  std::map<std::string, std::vector<std::string>> linked_into;  // "nccl" -> files
};

struct Row {
  std::string subject;
  std::string verdict;  // ok, NO, part, --
  std::string text;
  std::vector<std::string> help;
};
std::vector<Row> Diagnose(const Evidence& evidence);

std::string RowsAsText(const std::vector<Row>& rows);

// The libraries inside `path` that are linked statically: of "cublas", "cublasLt", "cudnn", "nccl".
std::vector<std::string> LibrariesInside(const std::string& path);

}  // namespace mfutrace::cli
