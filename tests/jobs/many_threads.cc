// Threads that come and go, and threads that all call at once.
//
// usage: many_threads [THREADS] [CALLS EACH] [AT A TIME]
// Every thread has a handle and a stream of its own, as frameworks give it.
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "blas.h"

namespace {

void Work(int calls, float* operands) {
  cublasHandle_t handle = nullptr;
  cudaStream_t stream = nullptr;
  const float alpha = 1, beta = 0;
  jobs::Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  jobs::Check(cublasCreate(&handle));
  jobs::Check(cublasSetStream(handle, stream));
  for (int i = 0; i < calls; ++i) {
    jobs::Check(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 16, 16, 16, &alpha, operands, 16,
                            operands, 16, &beta, operands, 16));
  }
  jobs::Check(cudaStreamSynchronize(stream));
  jobs::Check(cublasDestroy(handle));
  jobs::Check(cudaStreamDestroy(stream));
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2000;
  const int calls = argc > 2 ? std::atoi(argv[2]) : 5;
  const int at_a_time = argc > 3 ? std::atoi(argv[3]) : 8;
  float* operands = nullptr;
  jobs::Check(cudaMalloc(reinterpret_cast<void**>(&operands), 1 << 20));
  for (int started = 0; started < threads;) {
    std::vector<std::thread> batch;
    for (int i = 0; i < at_a_time && started < threads; ++i, ++started) {
      batch.emplace_back(Work, calls, operands);
    }
    for (std::thread& thread : batch) thread.join();
  }
  std::printf("%d calls\n", threads * calls);
  return 0;
}
