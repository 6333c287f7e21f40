// Runs test bodies as processes of a simulated node and reads what the node logged.
//
// Each rank is forked before anything touches CUDA, gets its own SIMGPU_* environment, and ends
// with _exit, so that one test binary can hold nodes of many kinds. Expectations that fail in a
// rank fail the test.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace simgpu_test {

struct LogLine {
  uint64_t seq = 0;
  int pid = 0;
  int device = 0;
  uint64_t stream = 0;
  int64_t start_ns = 0;
  int64_t end_ns = 0;
  std::string kind;
  std::string function;
  std::map<std::string, std::string> dims;
  uint64_t flop = 0;
  uint64_t bytes = 0;
  bool queued = false;
  bool graph = false;
  int64_t enqueue_ns = 0;
  int64_t lasted_ns() const { return end_ns - start_ns; }
};
using Log = std::vector<LogLine>;

// `op` started exactly when `before` had ended, or when the host gave it, if that was later: what a
// dependency means however slow the host of the test is.
testing::AssertionResult StartsBehind(const LogLine& op, const LogLine& before);
// `op` started when the host gave it: nothing held it.
testing::AssertionResult StartsAtOnce(const LogLine& op);

Log Only(const Log& log, const std::string& kind);

// Memory that all ranks of a node share, zero at first.
struct Board {
  char bytes[256];
  std::atomic<int64_t> numbers[64];
  std::atomic<int> ready;
};

using Environment = std::map<std::string, std::string>;

struct NodeRun {
  std::vector<Log> logs;         // by rank
  std::vector<int> statuses;     // as waitpid gives them
  std::vector<int64_t> numbers;  // what the ranks left on the board
  std::string folder;            // logs and peaks.toml, until the test ends
};

// Expects every rank to end with status 0 unless `may_die`.
NodeRun RunNode(int ranks, const Environment& environment,
                const std::function<void(int rank, Board* board)>& body, bool may_die = false);
// One process, its log.
Log RunOne(const Environment& environment, const std::function<void()>& body);

int64_t NowNs();
void Pause(int64_t ns);
// Returns when `number` is no longer zero.
void Await(const std::atomic<int64_t>& number);
// A kernel that lasts exactly `duration_ns` on `stream`.
void Spin(cudaStream_t stream, int64_t duration_ns);
cudaStream_t NewStream(unsigned flags = cudaStreamNonBlocking);
cudaEvent_t NewEvent(unsigned flags = cudaEventDefault);

}  // namespace simgpu_test
