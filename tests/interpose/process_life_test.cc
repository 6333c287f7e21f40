// What a process does to itself: fork, full disks, folders that cannot be made, kills.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>

#include "interpose/session.h"
#include "session_fixture.h"

#if defined(__SANITIZE_THREAD__)
#define MFU_SKIP_UNDER_TSAN() \
  GTEST_SKIP() << "the thread sanitizer does not follow a fork of several threads"
#else
#define MFU_SKIP_UNDER_TSAN() static_cast<void>(0)
#endif

namespace mfutrace::interpose {
namespace {

using ProcessLife = SessionTest;

int WaitFor(pid_t child) {
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

// The child is left alone: no file of its own, none of the parent's touched.
TEST_F(ProcessLife, AChildWithoutCallsChangesNothing) {
  MFU_SKIP_UNDER_TSAN();
  for (int i = 0; i < 100; ++i) Gemm(1);
  const pid_t child = fork();
  if (child == 0) {
    usleep(20'000);
    EndSessionForTesting();
    _exit(0);
  }
  for (int i = 0; i < 100; ++i) Gemm(2);
  EXPECT_EQ(WaitFor(child), 0);
  End();
  const ReadBack read = ReadOnly();
  EXPECT_TRUE(read.outcome.damage.empty()) << read.outcome.damage;
  EXPECT_EQ(read.Total(), 200u);
}

// Forks while other threads are inside the recorder, holding its locks as often as not.
TEST_F(ProcessLife, AChildThatCallsHasItsOwnTrace) {
  MFU_SKIP_UNDER_TSAN();
  constexpr int kChildren = 8;
  std::atomic<bool> is_done{false};
  std::atomic<uint64_t> made{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (uint64_t i = 0; !is_done; ++i) {
        Gemm(1 + i);  // always a new signature: always under the lock
        made.fetch_add(1);
        if (i % 64 == 0) usleep(100);
      }
    });
  }
  std::vector<pid_t> children;
  for (int i = 0; i < kChildren; ++i) {
    usleep(3000);
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);  // a deadlock ends as a signal
      for (int j = 0; j < 50; ++j) Gemm(4242);
      EndSessionForTesting();
      _exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) EXPECT_EQ(WaitFor(child), 0);
  is_done = true;
  for (std::thread& thread : threads) thread.join();
  End();
  const std::vector<std::string> files = Files();
  EXPECT_EQ(files.size(), 1u + kChildren);
  int of_children = 0;
  for (const std::string& file : files) {
    const ReadBack read = Read(file);
    EXPECT_TRUE(read.outcome.ended_in_order) << file;
    if (read.header.pid == static_cast<uint32_t>(getpid())) {
      EXPECT_EQ(read.Total(), made.load());
      continue;
    }
    ++of_children;
    EXPECT_EQ(read.Total(), 50u);
    ASSERT_EQ(read.gemms.size(), 1u);
    EXPECT_EQ(read.gemms.begin()->second.m, 4242u);
    EXPECT_EQ(read.facts.at("parent_pid"), std::to_string(getpid()));
  }
  EXPECT_EQ(of_children, kChildren);
}

// exit() in the child of a fork, with handlers inherited from the parent's session.
TEST_F(ProcessLife, ExitHandlersOfTheParentDoNothingInTheChild) {
  MFU_SKIP_UNDER_TSAN();
  Gemm(1);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    Gemm(2);
    exit(0);
  }
  EXPECT_EQ(WaitFor(child), 0);
  End();
  const std::vector<std::string> files = Files();
  ASSERT_EQ(files.size(), 2u);
  for (const std::string& file : files) {
    const ReadBack read = Read(file);
    EXPECT_TRUE(read.outcome.ended_in_order);
    EXPECT_EQ(read.Total(), 1u);
  }
}

TEST_F(ProcessLife, AKilledProcessLeavesWhatWasFlushed) {
  MFU_SKIP_UNDER_TSAN();
  const pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 1000; ++i) Gemm(3);
    usleep(100'000);  // many flush periods of 5 ms
    raise(SIGKILL);
  }
  const int status = WaitFor(child);
  ASSERT_TRUE(WIFSIGNALED(status));
  const ReadBack read = ReadOnly();
  EXPECT_FALSE(read.outcome.ended_in_order);
  EXPECT_EQ(read.Total(), 1000u);
}

TEST_F(ProcessLife, AFileSizeLimitNeitherKillsNorStopsTheJob) {
  MFU_SKIP_UNDER_TSAN();
  const pid_t child = fork();
  if (child == 0) {
    // SIGXFSZ keeps its default action, which would end the process.
    const rlimit limit{16384, 16384};
    setrlimit(RLIMIT_FSIZE, &limit);
    for (uint64_t i = 0; i < 20000; ++i) {
      Gemm(1 + i);
      if (i % 1000 == 0) usleep(5000);
    }
    usleep(50'000);
    const bool has_stopped = !Observing();
    EndSessionForTesting();
    _exit(has_stopped ? 0 : 1);
  }
  EXPECT_EQ(WaitFor(child), 0);
  const ReadBack read = ReadOnly();
  EXPECT_LE(read.file_bytes, 16384u);
  EXPECT_TRUE(read.outcome.damage.empty()) << read.outcome.damage;  // cut back to whole blocks
}

TEST_F(ProcessLife, AFolderThatCannotBeMadeEndsTheSessionQuietly) {
  const std::string file = folder_ + "/a_file";
  close(open(file.c_str(), O_CREAT | O_WRONLY, 0600));
  Set("MFUTRACE_OUT", file + "/below");
  Gemm(1);
  for (int i = 0; i < 400 && Observing(); ++i) usleep(5000);
  EXPECT_FALSE(Observing());
  Gemm(1);
}

TEST_F(ProcessLife, SaysOnceWhyThereIsNoTrace) {
  MFU_SKIP_UNDER_TSAN();
  const std::string file = folder_ + "/a_file";
  close(open(file.c_str(), O_CREAT | O_WRONLY, 0600));
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(pipe_ends[1], STDERR_FILENO);
    setenv("MFUTRACE_OUT", (file + "/below").c_str(), 1);
    setenv("MFUTRACE_QUIET", "0", 1);
    for (int i = 0; i < 20; ++i) {
      Gemm(1);
      usleep(5000);
    }
    EndSessionForTesting();
    _exit(0);
  }
  close(pipe_ends[1]);
  EXPECT_EQ(WaitFor(child), 0);
  char buffer[4096] = "";
  const ssize_t bytes = read(pipe_ends[0], buffer, sizeof buffer - 1);
  close(pipe_ends[0]);
  ASSERT_GT(bytes, 0);
  const std::string said(buffer, static_cast<size_t>(bytes));
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_EQ(said.find("mfutrace[" + std::to_string(child) + "]: no trace: cannot create "), 0u)
      << said;
  EXPECT_NE(said.find("a part of the path is not a directory"), std::string::npos) << said;
}

TEST_F(ProcessLife, ExitHandlerDrains) {
  MFU_SKIP_UNDER_TSAN();
  Set("MFUTRACE_FLUSH_MS", "60000");
  const pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 10; ++i) Gemm(3);
    exit(7);
  }
  const int status = WaitFor(child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
  const ReadBack read = ReadOnly();
  EXPECT_TRUE(read.outcome.ended_in_order);
  EXPECT_EQ(read.Total(), 10u);
}

}  // namespace
}  // namespace mfutrace::interpose
