// A stand-in for libcublas and libcublasLt of one major version, for tests of the hooks: no GPU, no
// arithmetic; it says which version was called, with what errno, and can call itself, throw and
// jump. FAKE_VERSION is the soname's number. Compiled against the vendor's headers, like any
// caller.
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <cublasLt.h>
#include <cublas_v2.h>

namespace {
int g_calls = 0;
void (*g_callback)() = nullptr;

cublasStatus_t Called(const char* function, int64_t m) {
  ++g_calls;
  std::printf("fake %d %s m=%lld errno=%d\n", FAKE_VERSION, function, static_cast<long long>(m),
              errno);
  errno = 40 + FAKE_VERSION;
  return m < 0 ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_SUCCESS;
}
}  // namespace

extern "C" {

// The number of the library behind a pointer to it; tests look it up by handle.
int FakeVersion() { return FAKE_VERSION; }
int FakeCalls() { return g_calls; }
void FakeOnCall(void (*callback)()) { g_callback = callback; }

// A handle is any pointer; its stream is the pointer itself, so that tests can tell whose it was.
cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, cudaStream_t* stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  *stream = reinterpret_cast<cudaStream_t>(reinterpret_cast<char*>(handle) + FAKE_VERSION);
  return CUBLAS_STATUS_SUCCESS;
}

// Odd handles have scalars on the device; handles with bit 1 set have TF32 on.
cublasStatus_t cublasGetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t* mode) {
  const bool is_odd = (reinterpret_cast<uintptr_t>(handle) & 1) != 0;
  *mode = is_odd ? CUBLAS_POINTER_MODE_DEVICE : CUBLAS_POINTER_MODE_HOST;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t* mode) {
  const bool has_tf32 = (reinterpret_cast<uintptr_t>(handle) & 2) != 0;
  *mode = has_tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int, int,
                              const float*, const float*, int, const float*, int, const float*,
                              float*, int) {
  return Called("cublasSgemm_v2", m);
}

cublasStatus_t cublasSgemm_v2_64(cublasHandle_t, cublasOperation_t, cublasOperation_t, int64_t m,
                                 int64_t, int64_t, const float*, const float*, int64_t,
                                 const float*, int64_t, const float*, float*, int64_t) {
  return Called("cublasSgemm_v2_64", m);
}

cublasStatus_t cublasZgemmStridedBatched(cublasHandle_t, cublasOperation_t, cublasOperation_t,
                                         int m, int, int, const cuDoubleComplex*,
                                         const cuDoubleComplex*, int, long long,
                                         const cuDoubleComplex*, int, long long,
                                         const cuDoubleComplex*, cuDoubleComplex*, int, long long c,
                                         int batch) {
  // The last arguments lie on the stack: they must arrive where they were put.
  std::printf("fake stack arguments stride_c=%lld batch=%d\n", c, batch);
  return Called("cublasZgemmStridedBatched", m);
}

cublasStatus_t cublasGemmStridedBatchedEx_64(cublasHandle_t, cublasOperation_t, cublasOperation_t,
                                             int64_t m, int64_t, int64_t, const void*, const void*,
                                             cudaDataType, int64_t, long long, const void*,
                                             cudaDataType, int64_t, long long, const void*, void*,
                                             cudaDataType, int64_t ldc, long long c, int64_t batch,
                                             cublasComputeType_t compute, cublasGemmAlgo_t algo) {
  std::printf("fake stack arguments ldc=%lld stride_c=%lld batch=%lld compute=%d algo=%d\n",
              static_cast<long long>(ldc), c, static_cast<long long>(batch), compute, algo);
  return Called("cublasGemmStridedBatchedEx_64", m);
}

// Calls a public function of its own library through the PLT, as libcublas 13 does with cublasLt.
cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t a, cublasOperation_t b, int m,
                            int n, int k, const void*, const void*, cudaDataType, int lda,
                            const void*, cudaDataType, int ldb, const void*, void*, cudaDataType,
                            int ldc, cublasComputeType_t, cublasGemmAlgo_t) {
  Called("cublasGemmEx", m);
  return cublasSgemm_v2(handle, a, b, m, n, k, nullptr, nullptr, lda, nullptr, ldb, nullptr,
                        nullptr, ldc);
}

// Leaves by whatever way the callback chooses.
cublasStatus_t cublasHgemm(cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int, int,
                           const __half*, const __half*, int, const __half*, int, const __half*,
                           __half*, int) {
  const cublasStatus_t status = Called("cublasHgemm", m);
  if (g_callback != nullptr) g_callback();
  return status;
}

}  // extern "C"
