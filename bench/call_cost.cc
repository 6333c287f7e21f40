// Calls cublasGemmEx of a vendor that returns at once, and prints the median nanoseconds per call.
//
// Usage: bench_call_cost CALLS SHAPES PAUSE_US [graph|kernel]: CALLS calls in batches of 500 over
// SHAPES distinct shapes, with a pause between batches so that the library's flusher can keep up.
// `graph`: captures a hundred such calls instead, and the calls that are timed are launches of the
// graph. `kernel`: after one such call, launches of kernels that no library of interest makes. Run
// with and without the preloaded library; the difference is its cost. bench/run does both.
#include <cublas_v2.h>
#include <cuda.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr int kBatch = 500;

int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

void Multiply(int m) {
  const float one = 1, zero = 0;
  cublasGemmEx(reinterpret_cast<cublasHandle_t>(0x1000), CUBLAS_OP_T, CUBLAS_OP_N, m, 256, 512,
               &one, nullptr, CUDA_R_16BF, 512, nullptr, CUDA_R_16BF, 512, &zero, nullptr,
               CUDA_R_16BF, m, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
}

CUgraphExec Capture(int shapes) {
  constexpr int kCaptured = 100;
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  cuStreamBeginCapture(nullptr, CU_STREAM_CAPTURE_MODE_GLOBAL);
  for (int i = 0; i < kCaptured; ++i) Multiply(128 * (1 + i % shapes));
  cuStreamEndCapture(nullptr, &graph);
  cuGraphInstantiate(&exec, graph, 0);
  return exec;
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t calls = argc > 1 ? std::atoll(argv[1]) : 200'000;
  const int shapes = argc > 2 ? std::atoi(argv[2]) : 8;
  const unsigned pause_us = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 20'000;
  const bool is_kernel = argc > 4 && std::strcmp(argv[4], "kernel") == 0;
  const CUgraphExec exec = argc > 4 && !is_kernel ? Capture(shapes) : nullptr;
  if (is_kernel) Multiply(128);
  std::vector<double> ns_per_call;
  for (int64_t done = 0; done < calls; done += kBatch) {
    const int64_t begin_ns = NowNs();
    for (int i = 0; i < kBatch; ++i) {
      if (exec != nullptr) {
        cuGraphLaunch(exec, nullptr);
      } else if (is_kernel) {
        const auto function = reinterpret_cast<CUfunction>(uintptr_t{0x4000} + 64u * (i % shapes));
        cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr);
      } else {
        Multiply(128 * (1 + i % shapes));
      }
    }
    ns_per_call.push_back(static_cast<double>(NowNs() - begin_ns) / kBatch);
    if (pause_us != 0 && done % 2000 == 0) usleep(pause_us);
  }
  std::sort(ns_per_call.begin(), ns_per_call.end());
  const size_t n = ns_per_call.size();
  std::printf("median_ns %.1f p10_ns %.1f p90_ns %.1f\n", ns_per_call[n / 2], ns_per_call[n / 10],
              ns_per_call[n * 9 / 10]);
  return 0;
}
