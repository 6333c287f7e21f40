// A program linked to the fake library by its own DT_NEEDED (the plain C++ program), calling
// through its own PLT. With another interposer preloaded too, both must see the call once.
#include <cstdio>

#include <cublas_v2.h>

int main() {
  const float beta = 2;
  for (int i = 1; i <= 2; ++i) {
    const int status =
        cublasSgemm_v2(reinterpret_cast<cublasHandle_t>(0x3000), CUBLAS_OP_C, CUBLAS_OP_N, i, 2, 3,
                       &beta, nullptr, 1, nullptr, 1, &beta, nullptr, 1);
    std::printf("status=%d\n", status);
  }
}
