// Non-blocking communicators, as c10d makes them with TORCH_NCCL_USE_COMM_NONBLOCKING: every call
// may answer that it is in progress, and the next one waits until it is not.
//
// usage (under launch.py, any number of ranks): nccl_non_blocking
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <unistd.h>

#include <cstdio>

#include "check.h"
#include "parallel.h"

namespace {

using jobs::Check;

// Until the communicator can be used again.
void Await(ncclComm_t communicator, ncclResult_t result) {
  while (result == ncclInProgress) {
    usleep(100);
    Check(ncclCommGetAsyncError(communicator, &result));
  }
  Check(result);
}

}  // namespace

int main() {
  const jobs::Ranks ranks = jobs::RanksFromEnvironment();
  jobs::UseOwnGpu(ranks);
  cudaStream_t stream = nullptr;
  void* buffer = nullptr;
  Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  Check(cudaMalloc(&buffer, 1 << 20));

  ncclComm_t world = nullptr;
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  config.commName = "patient";
  const ncclResult_t joined =
      jobs::JoinWorldWith(config, ranks, jobs::RendezvousPath("", ranks), &world);
  Await(world, joined);

  for (size_t i = 0; i < 5; ++i) {
    Await(world, ncclAllReduce(buffer, buffer, 201 + i, ncclFloat32, ncclSum, world, stream));
  }
  Check(ncclGroupStart());
  for (size_t i = 0; i < 2; ++i) {
    Check(ncclAllGather(buffer, buffer, 301 + i, ncclFloat16, world, stream));
  }
  Await(world, ncclGroupEnd());
  Check(cudaStreamSynchronize(stream));

  ncclComm_t part = nullptr;
  Await(world, ncclCommSplit(world, ranks.rank % 2, ranks.rank, &part, nullptr));
  Await(part, ncclReduceScatter(buffer, buffer, 401, ncclFloat32, ncclSum, part, stream));
  Check(cudaStreamSynchronize(stream));
  for (ncclComm_t one : {part, world}) {
    Await(one, ncclCommFinalize(one));
    Check(ncclCommDestroy(one));
  }
  if (ranks.rank == 0) std::printf("done\n");
  return 0;
}
