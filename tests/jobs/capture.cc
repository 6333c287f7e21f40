// Captures products into a graph with a global-mode capture, slowly enough that background threads
// get their turn, and replays the graph.
//
// A query that CUDA forbids during such a capture, from any thread, would invalidate it and
// cudaStreamEndCapture would fail. usage: capture [ROUNDS] [MILLISECONDS PER CAPTURE] [REPLAYS]
// [meddle] `meddle`: a thread of the job's own makes such queries, and the job fails.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "blas.h"

namespace {

void QueryForEver() {
  cudaEvent_t event = nullptr;
  jobs::Check(cudaEventCreate(&event));
  jobs::Check(cudaEventRecord(event, nullptr));
  for (;; usleep(1000)) cudaEventQuery(event);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 5;
  const useconds_t slow_us = argc > 2 ? static_cast<useconds_t>(std::atoi(argv[2])) * 1000 : 20000;
  const int replays = argc > 3 ? std::atoi(argv[3]) : 3;
  jobs::Blas blas;
  if (argc > 4) {
    std::thread(QueryForEver).detach();
    usleep(20000);
  }
  for (int round = 0; round < rounds; ++round) {
    // Work in flight before the capture, so that somebody may want to ask about its events.
    for (int i = 0; i < 10; ++i) blas.Multiply(256, 128, 64);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t replay = nullptr;
    jobs::Check(cudaStreamBeginCapture(blas.stream(), cudaStreamCaptureModeGlobal));
    for (int i = 0; i < 4; ++i) {
      blas.Multiply(96, 64, 32);
      usleep(slow_us / 4);
    }
    jobs::Check(cudaStreamEndCapture(blas.stream(), &graph));
    jobs::Check(cudaGraphInstantiate(&replay, graph, 0));
    for (int i = 0; i < replays; ++i) jobs::Check(cudaGraphLaunch(replay, blas.stream()));
    blas.Wait();
    jobs::Check(cudaGraphExecDestroy(replay));
    jobs::Check(cudaGraphDestroy(graph));
  }
  std::printf("%d captures of 4 calls, %d calls outside\n", rounds, rounds * 10);
  return 0;
}
