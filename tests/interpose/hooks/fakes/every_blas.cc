// A libcublas in which every function of the table exists and succeeds, whatever it is called with;
// the getters that observers need are real. For tests that compare what was recorded with what was
// given.
#include <cublas_api.h>

#include <cstdio>

extern "C" {

int EveryFunction() { return 0; }

// One definition under all names: C linkage looks at the name alone. The table's other libraries
// are left out by an empty macro.
#define MFU_FAKE_kCublas(symbol) \
  __asm__(".globl " #symbol "\n.type " #symbol ", @function\n.set " #symbol ", EveryFunction\n");
#define MFU_FAKE_kCuda(symbol)
#define MFU_FAKE_kCupti(symbol)
#define MFU_FAKE_kCublasLt(symbol)
#define MFU_FAKE_kCudnn(symbol)
#define MFU_FAKE_kNccl(symbol)
#define MFU_ENTRY(symbol, library, ...) MFU_FAKE_##library(symbol)
#include "interpose/entry_points.def"
#undef MFU_ENTRY

cublasStatus_t cublasGetStream_v2(cublasHandle_t, cudaStream_t* stream) {
  *stream = reinterpret_cast<cudaStream_t>(0x77);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetPointerMode_v2(cublasHandle_t, cublasPointerMode_t* mode) {
  *mode = CUBLAS_POINTER_MODE_HOST;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetMathMode(cublasHandle_t, cublasMath_t* mode) {
  *mode = CUBLAS_DEFAULT_MATH;
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
