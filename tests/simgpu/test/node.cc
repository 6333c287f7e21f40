// See node.h.
#include "node.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace simgpu_test {
namespace {

LogLine Parse(const std::string& text) {
  std::vector<std::string> fields;
  std::stringstream stream(text);
  for (std::string field; std::getline(stream, field, '\t');) fields.push_back(field);
  LogLine line;
  EXPECT_EQ(fields.size(), 15u) << text;
  if (fields.size() != 15) return line;
  line.seq = std::stoull(fields[0]);
  line.pid = std::stoi(fields[1]);
  line.device = std::stoi(fields[3]);
  line.stream = std::stoull(fields[4], nullptr, 16);
  line.start_ns = std::stoll(fields[5]);
  line.end_ns = std::stoll(fields[6]);
  line.kind = fields[7];
  line.function = fields[8];
  std::stringstream dims(fields[9]);
  for (std::string part; std::getline(dims, part, ',');) {
    const size_t equals = part.find('=');
    if (equals != std::string::npos) line.dims[part.substr(0, equals)] = part.substr(equals + 1);
  }
  line.flop = std::stoull(fields[10]);
  line.bytes = std::stoull(fields[11]);
  line.queued = fields[12] == "1";
  line.graph = fields[13] == "1";
  line.enqueue_ns = std::stoll(fields[14]);
  return line;
}

Log ReadLog(const std::string& folder, int pid) {
  Log log;
  const std::string prefix = "truth." + std::to_string(pid) + ".";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().rfind(prefix, 0) != 0) continue;
    std::ifstream file(entry.path());
    for (std::string text; std::getline(file, text);) {
      if (text[0] != '#') log.push_back(Parse(text));
    }
  }
  return log;
}

std::string MakeFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "simgpu-test-XXXXXX").string();
  EXPECT_NE(mkdtemp(name.data()), nullptr);
  static std::vector<std::string>* const folders = [] {
    std::atexit([] {
      for (const std::string& folder : *folders) std::filesystem::remove_all(folder);
    });
    return new std::vector<std::string>;
  }();
  folders->push_back(name);
  return name;
}

}  // namespace

testing::AssertionResult StartsBehind(const LogLine& op, const LogLine& before) {
  const bool right = op.start_ns == std::max(op.enqueue_ns, before.end_ns) &&
                     op.queued == (before.end_ns > op.enqueue_ns);
  if (right) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "given at " << op.enqueue_ns << ", started at "
                                     << op.start_ns << ", the other ended at " << before.end_ns;
}

testing::AssertionResult StartsAtOnce(const LogLine& op) {
  if (op.start_ns == op.enqueue_ns && !op.queued) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "held " << op.start_ns - op.enqueue_ns << " ns";
}

Log Only(const Log& log, const std::string& kind) {
  Log found;
  for (const LogLine& line : log) {
    if (line.kind == kind) found.push_back(line);
  }
  return found;
}

NodeRun RunNode(int ranks, const Environment& environment,
                const std::function<void(int, Board*)>& body, bool may_die) {
  NodeRun run;
  run.folder = MakeFolder();
  void* shared =
      mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* board = static_cast<Board*>(shared);
  std::vector<pid_t> pids;
  for (int rank = 0; rank < ranks; ++rank) {
    const pid_t pid = fork();
    if (pid == 0) {
      for (const char* name :
           {"CUDA_DEVICE_MAX_CONNECTIONS", "SIMGPU_DEVICE", "SIMGPU_TIME_SCALE"}) {
        unsetenv(name);
      }
      setenv("SIMGPU_LOG", run.folder.c_str(), 1);
      setenv("SIMGPU_DIR", run.folder.c_str(), 1);
      setenv("SIMGPU_DEVICES", "8", 1);
      setenv("SIMGPU_TIMEOUT_S", "20", 1);
      setenv("RANK", std::to_string(rank).c_str(), 1);
      for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
      body(rank, board);
      fflush(nullptr);
      _exit(testing::Test::HasFailure() ? 1 : 0);
    }
    pids.push_back(pid);
  }
  for (const pid_t pid : pids) {
    int status = 0;
    waitpid(pid, &status, 0);
    run.statuses.push_back(status);
    run.logs.push_back(ReadLog(run.folder, pid));
    if (!may_die) {
      EXPECT_EQ(status, 0) << "rank " << run.statuses.size() - 1;
    }
  }
  for (const auto& number : board->numbers) run.numbers.push_back(number.load());
  munmap(shared, sizeof(Board));
  return run;
}

Log RunOne(const Environment& environment, const std::function<void()>& body) {
  return RunNode(1, environment, [&](int, Board*) { body(); }).logs[0];
}

int64_t NowNs() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

void Pause(int64_t ns) {
  const timespec pause{static_cast<time_t>(ns / 1'000'000'000),
                       static_cast<long>(ns % 1'000'000'000)};
  nanosleep(&pause, nullptr);
}

void Await(const std::atomic<int64_t>& number) {
  while (number.load() == 0) Pause(100'000);
}

void Spin(cudaStream_t stream, int64_t duration_ns) {
  ASSERT_EQ(cudaFree(nullptr), cudaSuccess);  // makes the context current
  static CUmodule module = nullptr;
  if (module == nullptr) {
    ASSERT_EQ(cuModuleLoadData(&module, "x"), CUDA_SUCCESS);
  }
  CUfunction function = nullptr;
  const std::string name = "spin_" + std::to_string(duration_ns);
  ASSERT_EQ(cuModuleGetFunction(&function, module, name.c_str()), CUDA_SUCCESS);
  ASSERT_EQ(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, nullptr, nullptr), CUDA_SUCCESS);
}

cudaStream_t NewStream(unsigned flags) {
  cudaStream_t stream = nullptr;
  EXPECT_EQ(cudaStreamCreateWithFlags(&stream, flags), cudaSuccess);
  return stream;
}

cudaEvent_t NewEvent(unsigned flags) {
  cudaEvent_t event = nullptr;
  EXPECT_EQ(cudaEventCreateWithFlags(&event, flags), cudaSuccess);
  return event;
}

}  // namespace simgpu_test
