// A cuBLAS handle with a stream and operands, for jobs whose matter is not the product itself.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <cstddef>

#include "check.h"

namespace jobs {

class Blas {
 public:
  static constexpr int kMaxDimension = 1024;

  Blas() {
    constexpr size_t kBytes = sizeof(float) * kMaxDimension * kMaxDimension;
    Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    Check(cublasCreate(&handle_));
    Check(cublasSetStream(handle_, stream_));
    for (float** operand : {&a_, &b_, &c_}) {
      Check(cudaMalloc(reinterpret_cast<void**>(operand), kBytes));
    }
  }
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;

  // No dimension above kMaxDimension.
  void Multiply(int m, int n, int k) {
    const float alpha = 1, beta = 0;
    Check(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &alpha, a_, m, b_, k, &beta, c_,
                      m));
  }
  void MultiplyTimes(long calls, int m, int n, int k) {
    for (long i = 0; i < calls; ++i) {
      Multiply(m, n, k);
      if (i % 100 == 99) Wait();
    }
    Wait();
  }
  void Wait() { Check(cudaStreamSynchronize(stream_)); }

  cublasHandle_t handle() const { return handle_; }
  cudaStream_t stream() const { return stream_; }
  float* a() const { return a_; }
  float* b() const { return b_; }
  float* c() const { return c_; }

 private:
  cublasHandle_t handle_ = nullptr;
  cudaStream_t stream_ = nullptr;
  float *a_ = nullptr, *b_ = nullptr, *c_ = nullptr;
};

}  // namespace jobs
