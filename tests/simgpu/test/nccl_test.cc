// Collectives between processes: common ends, sends and receives, groups, splits, loss of a rank.
#include <nccl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "node.h"

namespace {
int g_broadcasts = 0;
}

extern "C" ncclResult_t pncclBroadcast(const void*, void*, size_t, ncclDataType_t, int, ncclComm_t,
                                       cudaStream_t);

// Stands in front of the library's own function, as a tool that intercepts would.
extern "C" ncclResult_t ncclBroadcast(const void* from, void* to, size_t count, ncclDataType_t type,
                                      int root, ncclComm_t comm, cudaStream_t stream) {
  ++g_broadcasts;
  return pncclBroadcast(from, to, count, type, root, comm, stream);
}

namespace simgpu_test {
namespace {

constexpr int64_t kMs = 1'000'000;

ncclComm_t Join(int rank, int size, Board* board) {
  ncclUniqueId id;
  if (rank == 0) {
    EXPECT_EQ(ncclGetUniqueId(&id), ncclSuccess);
    std::memcpy(board->bytes, &id, sizeof id);
    board->ready = 1;
  }
  while (board->ready == 0) Pause(100'000);
  std::memcpy(&id, board->bytes, sizeof id);
  ncclComm_t comm = nullptr;
  EXPECT_EQ(ncclCommInitRank(&comm, size, id, rank), ncclSuccess);
  return comm;
}

const Environment kSmall = {{"SIMGPU_DEVICE", "small"}};  // 10 GB/s links, 10 us per collective

int RendezvousFiles(const std::string& folder) {
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().rfind("simgpu-", 0) == 0) ++found;
  }
  return found;
}

TEST(Nccl, AnAllReduceEndsForAllWhenTheLastHasCome) {
  const NodeRun run = RunNode(2, kSmall, [](int rank, Board* board) {
    const ncclComm_t comm = Join(rank, 2, board);
    const cudaStream_t stream = NewStream();
    if (rank == 1) {
      Await(board->numbers[0]);  // a call that waited for its peer would never come back
      Pause(30 * kMs);
    }
    EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 1'000'000, ncclFloat, ncclSum, comm, stream),
              ncclSuccess);
    board->numbers[rank] = 1;
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(ncclCommDestroy(comm), ncclSuccess);
  });
  ASSERT_EQ(run.logs[0].size(), 1u);
  ASSERT_EQ(run.logs[1].size(), 1u);
  const LogLine& early = run.logs[0][0];
  const LogLine& late = run.logs[1][0];
  EXPECT_EQ(early.end_ns, late.end_ns);
  EXPECT_GT(late.start_ns - early.start_ns, 20 * kMs);
  // 2 (n-1)/n * 4 MB over 10 GB/s after 10 us, from the moment the later one started.
  EXPECT_EQ(late.lasted_ns(), 10'000 + 400'000);
  EXPECT_EQ(late.bytes, 4'000'000u);
  EXPECT_EQ(late.function, "ncclAllReduce");
  EXPECT_EQ(late.dims.at("op"), "sum");
  EXPECT_EQ(late.dims.at("dtype"), "f32");
  EXPECT_EQ(late.dims.at("seq"), "1");
  EXPECT_EQ(late.dims.at("comm"), early.dims.at("comm"));
  EXPECT_EQ(RendezvousFiles(run.folder), 0);
}

TEST(Nccl, BusBytesFollowTheFactorsOfNcclTests) {
  const NodeRun run = RunNode(4, kSmall, [](int rank, Board* board) {
    const ncclComm_t comm = Join(rank, 4, board);
    const cudaStream_t s = NewStream();
    const size_t n = 1000;
    EXPECT_EQ(ncclAllReduce(nullptr, nullptr, n, ncclBfloat16, ncclAvg, comm, s), ncclSuccess);
    EXPECT_EQ(ncclAllGather(nullptr, nullptr, n, ncclFloat64, comm, s), ncclSuccess);
    EXPECT_EQ(ncclReduceScatter(nullptr, nullptr, n, ncclInt32, ncclMax, comm, s), ncclSuccess);
    EXPECT_EQ(ncclBcast(nullptr, n, ncclInt8, 2, comm, s), ncclSuccess);
    EXPECT_EQ(ncclReduce(nullptr, nullptr, n, ncclHalf, ncclSum, 0, comm, s), ncclSuccess);
    EXPECT_EQ(ncclAlltoAll(nullptr, nullptr, n, ncclFloat, comm, s), ncclSuccess);
    EXPECT_EQ(g_broadcasts, 1);  // ncclBcast goes through the public ncclBroadcast
    EXPECT_EQ(cudaStreamSynchronize(s), cudaSuccess);
  });
  const uint64_t expected[] = {2 * 3 * 2000 / 4, 3 * 8000, 3 * 4000, 1000, 2000, 3 * 4000};
  const char* names[] = {"ncclAllReduce", "ncclAllGather", "ncclReduceScatter",
                         "ncclBcast",     "ncclReduce",    "ncclAlltoAll"};
  for (const Log& log : run.logs) {
    ASSERT_EQ(log.size(), 6u);
    for (size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(log[i].bytes, expected[i]) << i;
      EXPECT_EQ(log[i].function, names[i]);
      EXPECT_EQ(log[i].dims.at("seq"), std::to_string(i + 1));
      EXPECT_EQ(log[i].end_ns, run.logs[0][i].end_ns);
      if (i > 0) {
        EXPECT_GE(log[i].start_ns, log[i - 1].end_ns);
      }
    }
    EXPECT_EQ(log[3].dims.at("root"), "2");
  }
}

TEST(Nccl, WorkBehindACollectiveWaitsAndOtherStreamsDoNot) {
  const NodeRun run = RunNode(2, kSmall, [](int rank, Board* board) {
    const ncclComm_t comm = Join(rank, 2, board);
    const cudaStream_t behind = NewStream();
    const cudaStream_t beside = NewStream();
    if (rank == 1) Await(board->numbers[0]);
    EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 8, ncclFloat, ncclSum, comm, behind), ncclSuccess);
    Spin(behind, 2 * kMs);
    Spin(beside, 2 * kMs);
    if (rank == 0) {
      EXPECT_EQ(cudaStreamQuery(behind), cudaErrorNotReady);
    }
    board->numbers[rank] = 1;
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  const Log kernels = Only(run.logs[0], "kernel");
  const Log transfers = Only(run.logs[0], "collective");
  ASSERT_EQ(kernels.size(), 2u);
  ASSERT_EQ(transfers.size(), 1u);
  EXPECT_TRUE(StartsAtOnce(kernels[0]));  // beside: resolved, so logged, first
  EXPECT_TRUE(StartsBehind(kernels[1], transfers[0]));
}

TEST(Nccl, ABusyHostDoesNotHoldItsPeers) {
  const NodeRun run = RunNode(2, kSmall, [](int rank, Board* board) {
    const ncclComm_t comm = Join(rank, 2, board);
    const cudaStream_t stream = NewStream();
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 8, ncclFloat, ncclSum, comm, stream), ncclSuccess);
    }
    if (rank == 0) Pause(1000 * kMs);  // computes on the host; never looks at the GPU
    const int64_t before_ns = NowNs();
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    board->numbers[rank] = NowNs() - before_ns;
  });
  EXPECT_LT(run.numbers[1], 700 * kMs);
  EXPECT_EQ(run.logs[0].size(), 20u);
}

TEST(Nccl, SendsMeetTheirReceives) {
  const NodeRun run = RunNode(3, kSmall, [](int rank, Board* board) {
    const ncclComm_t comm = Join(rank, 3, board);
    const cudaStream_t stream = NewStream();
    if (rank == 1) {
      Await(board->numbers[0]);
      Pause(30 * kMs);
    }
    // A chain, twice: 0 -> 1 -> 2. Only neighbours wait for each other.
    for (int round = 0; round < 2; ++round) {
      if (rank > 0) {
        EXPECT_EQ(ncclRecv(nullptr, 1000, ncclFloat, rank - 1, comm, stream), ncclSuccess);
      }
      if (rank < 2) {
        EXPECT_EQ(ncclSend(nullptr, 1000, ncclFloat, rank + 1, comm, stream), ncclSuccess);
      }
      board->numbers[rank] = 1;
    }
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  });
  ASSERT_EQ(run.logs[0].size(), 2u);
  ASSERT_EQ(run.logs[1].size(), 4u);
  ASSERT_EQ(run.logs[2].size(), 2u);
  EXPECT_EQ(run.logs[0][0].end_ns, run.logs[1][0].end_ns);
  EXPECT_EQ(run.logs[1][1].end_ns, run.logs[2][0].end_ns);
  EXPECT_EQ(run.logs[1][0].lasted_ns(), 10'000 + 400);  // 4000 bytes at 10 GB/s after 10 us
  EXPECT_GT(run.logs[0][0].lasted_ns(), 20 * kMs);
  EXPECT_EQ(run.logs[1][0].function, "ncclRecv");
  EXPECT_EQ(run.logs[1][0].dims.at("peer"), "0");
  EXPECT_EQ(run.logs[1][2].dims.at("seq"), "2");
}

TEST(Nccl, AGroupIsOneInterval) {
  const NodeRun run = RunNode(2, kSmall, [](int rank, Board* board) {
    const ncclComm_t comm = Join(rank, 2, board);
    const cudaStream_t stream = NewStream();
    ASSERT_EQ(ncclGroupStart(), ncclSuccess);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 1'000'000, ncclFloat, ncclSum, comm, stream),
                ncclSuccess);
    }
    ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
    // Exchange: without a group this would be a deadlock.
    ASSERT_EQ(ncclGroupStart(), ncclSuccess);
    EXPECT_EQ(ncclSend(nullptr, 2'500, ncclFloat, 1 - rank, comm, stream), ncclSuccess);
    EXPECT_EQ(ncclRecv(nullptr, 2'500, ncclFloat, 1 - rank, comm, stream), ncclSuccess);
    ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
    EXPECT_EQ(ncclGroupEnd(), ncclInvalidUsage);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  });
  for (const Log& log : run.logs) {
    ASSERT_EQ(log.size(), 5u);
    for (size_t i = 1; i < 3; ++i) {
      EXPECT_EQ(log[i].start_ns, log[0].start_ns);
      EXPECT_EQ(log[i].end_ns, log[0].end_ns);
    }
    EXPECT_EQ(log[2].dims.at("seq"), "3");
    EXPECT_EQ(log[0].dims.at("fused"), "3");
    EXPECT_EQ(log[3].end_ns, log[4].end_ns);
    EXPECT_EQ(log[3].end_ns, run.logs[0][3].end_ns);
  }
  const int64_t starts[] = {run.logs[0][0].start_ns, run.logs[1][0].start_ns};
  EXPECT_EQ(run.logs[0][0].end_ns - std::max(starts[0], starts[1]), 10'000 + 3 * 400'000);
}

TEST(Nccl, SplitsIntoColoursOrderedByKey) {
  const NodeRun run = RunNode(4, kSmall, [](int rank, Board* board) {
    const ncclComm_t world = Join(rank, 4, board);
    ncclComm_t pair = nullptr;
    // Even and odd ranks; keys turn the order round.
    ASSERT_EQ(ncclCommSplit(world, rank % 2, -rank, &pair, nullptr), ncclSuccess);
    int size = 0;
    int mine = -1;
    ASSERT_EQ(ncclCommCount(pair, &size), ncclSuccess);
    ASSERT_EQ(ncclCommUserRank(pair, &mine), ncclSuccess);
    EXPECT_EQ(size, 2);
    EXPECT_EQ(mine, rank < 2 ? 1 : 0);
    ncclComm_t none = pair;
    ASSERT_EQ(ncclCommSplit(world, rank == 3 ? NCCL_SPLIT_NOCOLOR : 5, 0, &none, nullptr),
              ncclSuccess);
    EXPECT_EQ(none == nullptr, rank == 3);
    const cudaStream_t stream = NewStream();
    EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 8, ncclFloat, ncclSum, pair, stream), ncclSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(ncclCommDestroy(pair), ncclSuccess);
    EXPECT_EQ(ncclCommDestroy(world), ncclSuccess);
    EXPECT_EQ(ncclCommDestroy(world), ncclInvalidArgument);
  });
  const auto key = [&](size_t rank) { return run.logs[rank].at(0).dims.at("comm"); };
  EXPECT_EQ(key(0), key(2));
  EXPECT_EQ(key(1), key(3));
  EXPECT_NE(key(0), key(1));
  EXPECT_EQ(RendezvousFiles(run.folder), 0);
}

TEST(Nccl, OneProcessMayHoldAllRanks) {
  const Log log = RunOne(kSmall, [] {
    ncclComm_t comms[3] = {};
    const int devices[3] = {2, 0, 1};
    ASSERT_EQ(ncclCommInitAll(comms, 3, devices), ncclSuccess);
    ASSERT_EQ(ncclGroupStart(), ncclSuccess);
    for (const ncclComm_t comm : comms) {
      EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 8, ncclFloat, ncclSum, comm, nullptr), ncclSuccess);
    }
    ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
    for (const int device : devices) {
      ASSERT_EQ(cudaSetDevice(device), cudaSuccess);
      EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    }
  });
  ASSERT_EQ(log.size(), 3u);
  EXPECT_EQ(log[0].end_ns, log[2].end_ns);
  EXPECT_EQ(log[0].device + log[1].device + log[2].device, 3);
}

TEST(Nccl, RefusesBadArguments) {
  RunOne(kSmall, [] {
    ncclUniqueId id;
    ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
    ncclComm_t comm = nullptr;
    EXPECT_EQ(ncclCommInitRank(&comm, 0, id, 0), ncclInvalidArgument);
    EXPECT_EQ(ncclCommInitRank(&comm, 2, id, 2), ncclInvalidArgument);
    ncclUniqueId blank = {};
    EXPECT_EQ(ncclCommInitRank(&comm, 1, blank, 0), ncclInvalidArgument);
    ASSERT_EQ(ncclCommInitRank(&comm, 1, id, 0), ncclSuccess);
    EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 8, ncclFloat, ncclSum, nullptr, nullptr),
              ncclInvalidArgument);
    EXPECT_EQ(ncclBroadcast(nullptr, nullptr, 8, ncclFloat, 1, comm, nullptr), ncclInvalidArgument);
    EXPECT_EQ(ncclSend(nullptr, 8, ncclFloat, -1, comm, nullptr), ncclInvalidArgument);
    EXPECT_EQ(
        ncclAllReduce(nullptr, nullptr, 8, static_cast<ncclDataType_t>(13), ncclSum, comm, nullptr),
        ncclInvalidArgument);
    // A wrong call spoils its group.
    ASSERT_EQ(ncclGroupStart(), ncclSuccess);
    EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 8, ncclFloat, ncclSum, comm, nullptr), ncclSuccess);
    EXPECT_EQ(ncclSend(nullptr, 8, ncclFloat, 9, comm, nullptr), ncclInvalidArgument);
    EXPECT_EQ(ncclGroupEnd(), ncclInvalidArgument);
    EXPECT_STREQ(ncclGetErrorString(ncclInvalidArgument), "invalid argument");
  });
}

TEST(Nccl, TheLossOfARankIsAnErrorAndNotAHang) {
  const NodeRun run = RunNode(
      2, kSmall,
      [](int rank, Board* board) {
        const ncclComm_t comm = Join(rank, 2, board);
        if (rank == 1) raise(SIGKILL);
        const cudaStream_t stream = NewStream();
        EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 8, ncclFloat, ncclSum, comm, stream),
                  ncclSuccess);
        EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorLaunchTimeout);
        ncclResult_t error = ncclSuccess;
        EXPECT_EQ(ncclCommGetAsyncError(comm, &error), ncclSuccess);
        EXPECT_EQ(error, ncclRemoteError);
        EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
      },
      true);
  EXPECT_TRUE(WIFEXITED(run.statuses[0]) && WEXITSTATUS(run.statuses[0]) == 0);
  EXPECT_TRUE(WIFSIGNALED(run.statuses[1]));
  EXPECT_TRUE(run.logs[0].empty());  // it never ran
  EXPECT_EQ(RendezvousFiles(run.folder), 0);
}

TEST(Nccl, AnAbortFreesThePeersAndARankThatNeverCameATimeout) {
  Environment environment = kSmall;
  environment["SIMGPU_TIMEOUT_S"] = "2";
  const NodeRun run = RunNode(2, environment, [](int rank, Board* board) {
    const ncclComm_t comm = Join(rank, 2, board);
    const cudaStream_t stream = NewStream();
    if (rank == 1) {
      EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
      return;
    }
    EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 8, ncclFloat, ncclSum, comm, stream), ncclSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorLaunchTimeout);
    ncclUniqueId id;
    ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
    ncclComm_t lonely = nullptr;
    EXPECT_EQ(ncclCommInitRank(&lonely, 2, id, 0), ncclSystemError);
  });
  EXPECT_EQ(RendezvousFiles(run.folder), 0);
}

TEST(Nccl, CapturedCollectivesRunWithTheGraphs) {
  const NodeRun run = RunNode(2, kSmall, [](int rank, Board* board) {
    const ncclComm_t comm = Join(rank, 2, board);
    const cudaStream_t stream = NewStream();
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 8, ncclFloat, ncclSum, comm, stream), ncclSuccess);
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    cudaGraphExec_t exec = nullptr;
    ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    for (int i = 0; i < 3; ++i) ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  });
  for (const Log& log : run.logs) {
    ASSERT_EQ(log.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(log[i].graph);
      EXPECT_EQ(log[i].dims.at("seq"), std::to_string(i + 1));
      EXPECT_EQ(log[i].end_ns, run.logs[0][i].end_ns);
    }
  }
}

TEST(Nccl, OldRendezvousFilesAreSweptAway) {
  const NodeRun run = RunNode(1, {{"SIMGPU_TIMEOUT_S", "1"}}, [](int, Board*) {
    const std::string old =
        std::string(getenv("SIMGPU_DIR")) + "/simgpu-" + std::to_string(getuid()) + "-0123";
    std::ofstream(old) << "x";
    std::filesystem::last_write_time(
        old, std::filesystem::file_time_type::clock::now() - std::chrono::seconds(100));
    ncclUniqueId id;
    ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
    EXPECT_FALSE(std::filesystem::exists(old));
  });
}

TEST(Log, SurvivesAKill) {
  const NodeRun run = RunNode(
      1, {},
      [](int, Board*) {
        const cudaStream_t stream = NewStream();
        for (int i = 0; i < 10; ++i) Spin(stream, kMs);
        raise(SIGKILL);
      },
      true);
  EXPECT_TRUE(WIFSIGNALED(run.statuses[0]));
  EXPECT_EQ(run.logs[0].size(), 10u);
}

}  // namespace
}  // namespace simgpu_test
