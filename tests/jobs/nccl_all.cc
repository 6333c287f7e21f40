// Every collective of NCCL's host interface once or more, with sizes that tell them apart.
//
// usage (under launch.py, any number of ranks): nccl_all
// Alone, in groups, several in one group on one stream, and in one group on two streams.
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstdio>

#include "check.h"
#include "parallel.h"

namespace {

using jobs::Check;

constexpr size_t kBytes = 16u << 20;

}  // namespace

int main() {
  const jobs::Ranks ranks = jobs::RanksFromEnvironment();
  jobs::UseOwnGpu(ranks);
  ncclComm_t world = jobs::JoinWorld(ranks, jobs::RendezvousPath("", ranks));
  ncclComm_t twin = nullptr;
  Check(ncclCommSplit(world, 0, ranks.rank, &twin, nullptr));
  cudaStream_t first = nullptr, second = nullptr;
  void *in = nullptr, *out = nullptr;
  Check(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking));
  Check(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
  Check(cudaMalloc(&in, kBytes));
  Check(cudaMalloc(&out, kBytes));
  const int next = (ranks.rank + 1) % ranks.world;
  const int previous = (ranks.rank + ranks.world - 1) % ranks.world;

  for (int round = 0; round < 3; ++round) {
    Check(ncclAllReduce(in, out, 1001, ncclFloat32, ncclSum, world, first));
    Check(ncclAllReduce(in, in, 1002, ncclBfloat16, ncclMax, world, first));
    Check(ncclAllGather(in, out, 1003, ncclFloat16, world, first));
    Check(ncclReduceScatter(in, out, 1004, ncclFloat32, ncclAvg, world, first));
    Check(ncclBroadcast(in, out, 1005, ncclInt8, 0, world, first));
    Check(ncclBcast(in, 1006, ncclUint8, ranks.world - 1, world, first));
    Check(ncclReduce(in, out, 1007, ncclFloat64, ncclProd, 0, world, first));
    Check(ncclAlltoAll(in, out, 1008, ncclInt32, world, first));
    Check(ncclGather(in, out, 1009, ncclFloat16, 0, world, first));
    Check(ncclScatter(in, out, 1010, ncclFloat32, ranks.world - 1, world, first));

    // A ring shift: both directions in one group, or the ranks would wait for each other.
    Check(ncclGroupStart());
    Check(ncclSend(in, 2001, ncclFloat32, next, world, first));
    Check(ncclRecv(out, 2001, ncclFloat32, previous, world, first));
    Check(ncclGroupEnd());

    // Two reductions fused in one group on one stream, nested groups.
    Check(ncclGroupStart());
    Check(ncclGroupStart());
    Check(ncclAllReduce(in, out, 3001, ncclFloat32, ncclSum, world, first));
    Check(ncclGroupEnd());
    Check(ncclAllReduce(in, out, 3002, ncclFloat32, ncclSum, world, first));
    Check(ncclGroupEnd());

    // One group, two communicators, two streams.
    Check(ncclGroupStart());
    Check(ncclAllReduce(in, out, 4001, ncclFloat32, ncclSum, world, first));
    Check(ncclAllReduce(in, out, 4002, ncclFloat32, ncclSum, twin, second));
    Check(ncclGroupEnd());
    Check(cudaStreamSynchronize(first));
    Check(cudaStreamSynchronize(second));
  }
  Check(ncclCommDestroy(twin));
  Check(ncclCommDestroy(world));
  if (ranks.rank == 0) std::printf("done\n");
  return 0;
}
