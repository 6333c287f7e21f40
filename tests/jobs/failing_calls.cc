// Calls that the vendor's library refuses, between calls that it takes. Prints every status and
// errno, which must be the same whoever listens; 6 products succeed.
#include <cublasLt.h>
#include <nccl.h>

#include <cerrno>
#include <cstdio>

#include "blas.h"

namespace {

void Print(const char* what, int status) {
  std::printf("%s: status %d, errno %d\n", what, status, errno);
  errno = E2BIG;  // a value nobody sets by accident
}

}  // namespace

int main() {
  jobs::Blas blas;
  const float alpha = 1, beta = 0;
  const auto multiply = [&](cublasHandle_t handle, int m, int n, int k, int lda) {
    return cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &alpha, blas.a(), lda, blas.b(),
                       k, &beta, blas.c(), m);
  };
  errno = E2BIG;
  for (int i = 0; i < 3; ++i) {
    Print("good product", multiply(blas.handle(), 64, 32, 16, 64));
    Print("no handle", multiply(nullptr, 64, 32, 16, 64));
    Print("negative m", multiply(blas.handle(), -64, 32, 16, 64));
    Print("negative k", multiply(blas.handle(), 64, 32, -16, 64));
    Print("leading dimension too small", multiply(blas.handle(), 64, 32, 16, 8));
    Print("good product", multiply(blas.handle(), 64, 16, 32, 64));
  }
  Print("cublasLt without a handle",
        cublasLtMatmul(nullptr, nullptr, &alpha, blas.a(), nullptr, blas.b(), nullptr, &beta,
                       blas.c(), nullptr, blas.c(), nullptr, nullptr, nullptr, 0, nullptr));
  Print("reduction without a communicator",
        ncclAllReduce(blas.a(), blas.b(), 16, ncclFloat32, ncclSum, nullptr, blas.stream()));
  blas.Wait();
  return 0;
}
