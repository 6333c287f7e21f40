// Communicators that come and go: named, split by colour, left out of a split, split again,
// finalised, destroyed, aborted, revoked, shrunk. Each is used once, with a count of its own.
//
// usage (under launch.py, at least 2 ranks): nccl_lifecycle
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "check.h"
#include "parallel.h"

namespace {

using jobs::Check;

void Sum(ncclComm_t communicator, size_t count, void* buffer, cudaStream_t stream) {
  Check(ncclAllReduce(buffer, buffer, count, ncclFloat32, ncclSum, communicator, stream));
  Check(cudaStreamSynchronize(stream));
}

ncclComm_t SplitNamed(ncclComm_t parent, int color, int key, const char* name) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.commName = name;
  ncclComm_t part = nullptr;
  Check(ncclCommSplit(parent, color, key, &part, &config));
  return part;
}

}  // namespace

int main() {
  const jobs::Ranks ranks = jobs::RanksFromEnvironment();
  jobs::UseOwnGpu(ranks);
  cudaStream_t stream = nullptr;
  void* buffer = nullptr;
  Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  Check(cudaMalloc(&buffer, 1 << 20));
  ncclComm_t world = jobs::JoinWorld(ranks, jobs::RendezvousPath("", ranks));
  Sum(world, 101, buffer, stream);

  ncclComm_t halves = SplitNamed(world, ranks.rank % 2, ranks.rank, "halves");
  Sum(halves, 102, buffer, stream);
  ncclComm_t reversed = SplitNamed(world, 0, ranks.world - ranks.rank, "reversed");
  Sum(reversed, 103, buffer, stream);
  ncclComm_t inner = SplitNamed(reversed, 5, ranks.rank, "inner");
  Sum(inner, 104, buffer, stream);

  // The last rank stays out.
  ncclComm_t most = nullptr;
  const bool is_in = ranks.rank < ranks.world - 1;
  Check(ncclCommSplit(world, is_in ? 9 : NCCL_SPLIT_NOCOLOR, ranks.rank, &most, nullptr));
  if (is_in) Sum(most, 105, buffer, stream);

  if (most != nullptr) Check(ncclCommDestroy(most));
  Check(ncclCommFinalize(inner));
  Check(ncclCommDestroy(inner));
  Check(ncclCommAbort(reversed));
  Check(ncclCommDestroy(halves));

  // Memory that is made known to NCCL; nothing of it is a transfer.
  void* handle = nullptr;
  Check(ncclCommRegister(world, buffer, 1 << 20, &handle));
  Check(ncclCommDeregister(world, handle));
  for (int i = 0; i < 2; ++i) {
    ncclWindow_t window = nullptr;
    Check(ncclCommWindowRegister(world, buffer, 1 << 20, &window, NCCL_WIN_COLL_SYMMETRIC));
    Check(ncclCommWindowDeregister(world, window));
  }

  // A group that is estimated and not run, before one that is.
  ncclSimInfo_t estimate = NCCL_SIM_INFO_INITIALIZER;
  Check(ncclGroupStart());
  Check(ncclAllReduce(buffer, buffer, 108, ncclFloat32, ncclSum, world, stream));
  Check(ncclGroupSimulateEnd(&estimate));
  Sum(world, 106, buffer, stream);

  // Every other rank fails; the rest go on without them.
  Check(ncclCommRevoke(world, NCCL_REVOKE_DEFAULT));
  if (ranks.rank % 2 == 0) {
    std::vector<int> odd;
    for (int rank = 1; rank < ranks.world; rank += 2) odd.push_back(rank);
    if (ranks.rank == 0) std::reverse(odd.begin(), odd.end());  // a set: order tells nothing
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.commName = "survivors";
    ncclComm_t survivors = nullptr;
    Check(ncclCommShrink(world, odd.data(), static_cast<int>(odd.size()), &survivors, &config,
                         NCCL_SHRINK_DEFAULT));
    Sum(survivors, 107, buffer, stream);
    Check(ncclCommDestroy(survivors));
  }
  Check(ncclCommDestroy(world));
  if (ranks.rank == 0) std::printf("done\n");
  return 0;
}
