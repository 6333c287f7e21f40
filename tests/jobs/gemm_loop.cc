// Calls one matrix product many times: the plainest job, for counting, trace size and overhead.
//
// Prints the number of calls made. --sync waits for the GPU every so many calls (0: only at the
// end).
#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "check.h"

namespace {

using jobs::Check;

struct Options {
  long calls = 1000;
  int m = 256;
  int n = 256;
  int k = 256;
  long sync = 100;
  std::string dtype = "bf16";
};

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--count") {
      options.calls = std::atol(value);
    } else if (name == "--m") {
      options.m = std::atoi(value);
    } else if (name == "--n") {
      options.n = std::atoi(value);
    } else if (name == "--k") {
      options.k = std::atoi(value);
    } else if (name == "--sync") {
      options.sync = std::atol(value);
    } else if (name == "--dtype") {
      options.dtype = value;
    } else {
      argc = 0;
    }
  }
  if (argc % 2 == 0 || (options.dtype != "bf16" && options.dtype != "fp16" &&
                        options.dtype != "fp32" && options.dtype != "fp64")) {
    std::fprintf(stderr,
                 "usage: gemm_loop [--count N] [--m N] [--n N] [--k N] [--sync EVERY]\n"
                 "                 [--dtype bf16|fp16|fp32|fp64]\n");
    std::exit(2);
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = Parse(argc, argv);
  const int m = options.m;
  const int n = options.n;
  const int k = options.k;
  const bool is_double = options.dtype == "fp64";
  const cudaDataType_t type = options.dtype == "bf16"   ? CUDA_R_16BF
                              : options.dtype == "fp16" ? CUDA_R_16F
                                                        : CUDA_R_32F;
  const size_t width = is_double ? 8 : 4;
  cublasHandle_t handle = nullptr;
  cudaStream_t stream = nullptr;
  void *a = nullptr, *b = nullptr, *c = nullptr;
  Check(cublasCreate(&handle));
  Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  Check(cublasSetStream(handle, stream));
  Check(cudaMalloc(&a, width * static_cast<size_t>(m) * static_cast<size_t>(k)));
  Check(cudaMalloc(&b, width * static_cast<size_t>(k) * static_cast<size_t>(n)));
  Check(cudaMalloc(&c, width * static_cast<size_t>(m) * static_cast<size_t>(n)));
  const float alpha = 1, beta = 0;
  const double alpha_double = 1, beta_double = 0;
  for (long call = 1; call <= options.calls; ++call) {
    if (is_double) {
      Check(cublasDgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &alpha_double,
                        static_cast<double*>(a), m, static_cast<double*>(b), k, &beta_double,
                        static_cast<double*>(c), m));
    } else {
      Check(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &alpha, a, type, m, b, type, k,
                         &beta, c, type, m, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
    }
    if (options.sync > 0 && call % options.sync == 0) Check(cudaStreamSynchronize(stream));
  }
  Check(cudaStreamSynchronize(stream));
  std::printf("%ld calls\n", options.calls);
  Check(cublasDestroy(handle));
  return 0;
}
