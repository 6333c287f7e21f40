// A program with a copy of cuBLAS inside, as far as its file shows: the functions are there, and
// nothing of them can be intercepted. They do nothing.
//
// usage: static_cublas
#include <cuda_runtime_api.h>

#include <cstdio>

extern "C" {
__attribute__((visibility("hidden"), noinline)) int cublasGemmEx() { return 0; }
__attribute__((visibility("hidden"), noinline)) int cublasLtMatmul() { return 0; }
}

int main() {
  void* memory = nullptr;
  const int failures = cudaMalloc(&memory, 1024) + cublasGemmEx() + cublasLtMatmul();
  std::printf("failures %d\n", failures);
  return failures;
}
