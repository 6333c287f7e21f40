// The simulator's own record of what its devices did: one line per executed operation.
//
// Written by the engine with its lock held, at the moment an operation's times become known, with
// plain write(2), so that what was resolved survives _exit and SIGKILL. Nothing is written without
// SIMGPU_LOG.
#pragma once

#include <cstdint>
#include <string>

namespace simgpu {

struct Op;

class TruthLog {
 public:
  // Adds the line or lines of a resolved operation; markers and untimed events have none.
  void Add(const Op& op);
  // One write(2) for all lines since the last flush.
  void Flush();

 private:
  bool Open();

  int fd_ = -1;
  bool failed_ = false;
  uint64_t sequence_ = 0;
  std::string buffer_;
};

}  // namespace simgpu
