// cuBLAS and cuBLASLt: arithmetic against counting, durations against the description, statuses,
// nesting.
#include <cublasLt.h>
#include <cublas_v2.h>
#include <dlfcn.h>

#include <array>
#include <cmath>
#include <fstream>
#include <sstream>

#include "node.h"

namespace {
int g_lt_calls = 0;
}

// Stands in front of the library's own function, as a tool that intercepts would.
extern "C" cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                         const void* alpha, const void* a,
                                         cublasLtMatrixLayout_t a_layout, const void* b,
                                         cublasLtMatrixLayout_t b_layout, const void* beta,
                                         const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                                         cublasLtMatrixLayout_t d_layout,
                                         const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                                         size_t bytes, cudaStream_t stream) {
  ++g_lt_calls;
  static const auto real =
      reinterpret_cast<decltype(&cublasLtMatmul)>(dlsym(RTLD_NEXT, "cublasLtMatmul"));
  return real(handle, desc, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout,
              algorithm, workspace, bytes, stream);
}

namespace simgpu_test {
namespace {

// Multiplications and additions of a plain triple loop, counted one by one.
uint64_t CountReal(int m, int n, int k) {
  uint64_t count = 0;
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) {
      for (int p = 0; p < k; ++p) count += 2;
    }
  }
  return count;
}

struct Operands {
  void* a = nullptr;
  void* b = nullptr;
  void* c = nullptr;
  Operands() {
    for (void** pointer : {&a, &b, &c}) EXPECT_EQ(cudaMalloc(pointer, 1 << 20), cudaSuccess);
  }
};

cublasHandle_t NewHandle() {
  cublasHandle_t handle = nullptr;
  EXPECT_EQ(cublasCreate(&handle), CUBLAS_STATUS_SUCCESS);
  return handle;
}

TEST(Gemm, FlopsEqualACountedTripleLoop) {
  const Log log = RunOne({}, [] {
    const Operands x;
    const cublasHandle_t handle = NewHandle();
    const float one_f[2] = {1, 0};
    const double one_d[2] = {1, 0};
    const auto* f = static_cast<const float*>(x.a);
    const auto* d = static_cast<const double*>(x.a);
    const auto* cf = static_cast<const cuComplex*>(x.a);
    const auto* cd = static_cast<const cuDoubleComplex*>(x.a);
    const auto* one_cf = reinterpret_cast<const cuComplex*>(one_f);
    const auto* one_cd = reinterpret_cast<const cuDoubleComplex*>(one_d);
    const auto n = CUBLAS_OP_N;
    const auto t = CUBLAS_OP_T;
    EXPECT_EQ(
        cublasSgemm(handle, n, n, 5, 7, 11, one_f, f, 5, f, 11, one_f, static_cast<float*>(x.c), 5),
        CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasDgemm(handle, t, n, 13, 3, 2, one_d, d, 2, d, 2, one_d,
                          static_cast<double*>(x.c), 13),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasCgemm(handle, n, t, 4, 6, 8, one_cf, cf, 4, cf, 6, one_cf,
                          static_cast<cuComplex*>(x.c), 4),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasZgemm3m(handle, n, n, 4, 6, 8, one_cd, cd, 4, cd, 8, one_cd,
                            static_cast<cuDoubleComplex*>(x.c), 4),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasGemmStridedBatchedEx(handle, n, n, 16, 8, 24, one_f, x.a, CUDA_R_16BF, 16, 384,
                                         x.b, CUDA_R_16BF, 24, 192, one_f, x.c, CUDA_R_16BF, 16,
                                         128, 9, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasSgemm_64(handle, n, n, 5, 7, 11, one_f, f, 5, f, 11, one_f,
                             static_cast<float*>(x.c), 5),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  ASSERT_EQ(log.size(), 6u);
  EXPECT_EQ(log[0].flop, CountReal(5, 7, 11));
  EXPECT_EQ(log[1].flop, CountReal(13, 3, 2));
  EXPECT_EQ(log[2].flop,
            4 * CountReal(4, 6, 8));  // (a+bi)(c+di): 4 products, 2 sums; added: 2 sums
  EXPECT_EQ(log[3].flop, 3 * CountReal(4, 6, 8));  // three real matrix products
  EXPECT_EQ(log[4].flop, 9 * CountReal(16, 8, 24));
  EXPECT_EQ(log[4].bytes, 9u * 2 * (16 * 24 + 24 * 8 + 2 * 16 * 8));  // beta 1 reads C
  EXPECT_EQ(log[0].bytes, 4u * (5 * 11 + 11 * 7 + 2 * 5 * 7));
  EXPECT_EQ(log[4].dims.at("dtype"), "bf16");
  EXPECT_EQ(log[4].dims.at("batch"), "9");
  EXPECT_EQ(log[1].dims.at("ta"), "T");
  EXPECT_EQ(log[1].dims.at("beta"), "nonzero");
  EXPECT_EQ(log[0].function, "cublasSgemm_v2");
  EXPECT_EQ(log[5].function, "cublasSgemm_v2_64");
}

TEST(Gemm, NeverBeatsThePeakAndComesCloseWhenLarge) {
  const double peak = 989.4e12;
  const Log log = RunOne({{"SIMGPU_GEMM_EFFICIENCY", "0.8"}}, [] {
    const Operands x;
    const cublasHandle_t handle = NewHandle();
    const float one = 1;
    for (const int size : {128, 512, 2048, 8192}) {
      EXPECT_EQ(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, size, size, size, &one, x.a,
                             CUDA_R_16BF, size, x.b, CUDA_R_16BF, size, &one, x.c, CUDA_R_16BF,
                             size, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
                CUBLAS_STATUS_SUCCESS);
    }
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  ASSERT_EQ(log.size(), 4u);
  double before = 0;
  for (const LogLine& line : log) {
    const double share =
        static_cast<double>(line.flop) / static_cast<double>(line.lasted_ns()) * 1e9 / peak;
    EXPECT_GT(share, before);
    before = share;
  }
  EXPECT_LT(before, 0.8);
  EXPECT_GT(before, 0.7);
}

TEST(Gemm, TimeScaleShrinksDurationsAndRaisesThePeaksAlike) {
  const auto run = [](const std::string& scale) {
    return RunNode(1, {{"SIMGPU_TIME_SCALE", scale}}, [](int, Board*) {
      const Operands x;
      const cublasHandle_t handle = NewHandle();
      const float one = 1;
      EXPECT_EQ(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 4096, 4096, 4096, &one,
                            static_cast<float*>(x.a), 4096, static_cast<float*>(x.b), 4096, &one,
                            static_cast<float*>(x.c), 4096),
                CUBLAS_STATUS_SUCCESS);
      EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    });
  };
  const NodeRun slow = run("1");
  const NodeRun fast = run("50");
  ASSERT_EQ(slow.logs[0].size(), 1u);
  ASSERT_EQ(fast.logs[0].size(), 1u);
  EXPECT_NEAR(static_cast<double>(slow.logs[0][0].lasted_ns()),
              50.0 * static_cast<double>(fast.logs[0][0].lasted_ns()), 50);
  std::stringstream slow_peaks;
  std::stringstream fast_peaks;
  slow_peaks << std::ifstream(slow.folder + "/peaks.toml").rdbuf();
  fast_peaks << std::ifstream(fast.folder + "/peaks.toml").rdbuf();
  EXPECT_NE(slow_peaks.str().find("bf16 = 989400000000000,"), std::string::npos)
      << slow_peaks.str();
  EXPECT_NE(fast_peaks.str().find("bf16 = 49470000000000000,"), std::string::npos)
      << fast_peaks.str();
  EXPECT_NE(fast_peaks.str().find("name = \"SimGPU H100\""), std::string::npos);
}

TEST(Gemm, FailsWithTheVendorsStatusAndLogsNothing) {
  const Log log = RunOne({{"SIMGPU_FAIL", "cublasSgemm_v2:2"}}, [] {
    const Operands x;
    cublasHandle_t handle = NewHandle();
    const float one = 1;
    auto* c = static_cast<float*>(x.c);
    const auto gemm = [&](cublasHandle_t h, int m, int n, int k, int lda, int ldb, int ldc,
                          const float* alpha) {
      return cublasSgemm(h, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, alpha, c, lda, c, ldb, &one, c, ldc);
    };
    EXPECT_EQ(gemm(nullptr, 4, 4, 4, 4, 4, 4, &one), CUBLAS_STATUS_NOT_INITIALIZED);
    EXPECT_EQ(gemm(handle, -1, 4, 4, 4, 4, 4, &one), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(gemm(handle, 4, 4, 4, 4, 4, 4, &one), CUBLAS_STATUS_EXECUTION_FAILED);  // as told
    EXPECT_EQ(gemm(handle, 4, 4, 4, 3, 4, 4, &one), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(gemm(handle, 4, 4, 4, 4, 3, 4, &one), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(gemm(handle, 4, 4, 4, 4, 4, 3, &one), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(gemm(handle, 4, 4, 4, 4, 4, 4, nullptr), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(gemm(handle, 0, 4, 4, 4, 4, 4, &one), CUBLAS_STATUS_SUCCESS);  // nothing to do
    EXPECT_EQ(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, &one, c, CUDA_R_16BF, 4, c,
                           CUDA_R_16F, 4, &one, c, CUDA_R_16BF, 4, CUBLAS_COMPUTE_32F,
                           CUBLAS_GEMM_DEFAULT),
              CUBLAS_STATUS_NOT_SUPPORTED);
    cudaStream_t stream = NewStream();
    EXPECT_EQ(cublasSetStream(handle, stream), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
    EXPECT_EQ(gemm(handle, 4, 4, 4, 4, 4, 4, &one), CUBLAS_STATUS_EXECUTION_FAILED);
    EXPECT_EQ(cublasDestroy(handle), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(gemm(handle, 4, 4, 4, 4, 4, 4, &one), CUBLAS_STATUS_NOT_INITIALIZED);
    EXPECT_EQ(cublasDestroy(handle), CUBLAS_STATUS_NOT_INITIALIZED);
  });
  EXPECT_TRUE(log.empty());
}

TEST(Gemm, HalfProductsCallThePublicLtFunctionUnlessToldNotTo) {
  for (const std::string nested : {"1", "0"}) {
    const Log log = RunOne({{"SIMGPU_CUBLAS_NESTED", nested}}, [&] {
      const Operands x;
      const cublasHandle_t handle = NewHandle();
      const float one = 1;
      EXPECT_EQ(cublasGemmEx(handle, CUBLAS_OP_T, CUBLAS_OP_N, 8, 16, 32, &one, x.a, CUDA_R_16F, 32,
                             x.b, CUDA_R_16F, 32, &one, x.c, CUDA_R_16F, 8, CUBLAS_COMPUTE_32F,
                             CUBLAS_GEMM_DEFAULT),
                CUBLAS_STATUS_SUCCESS);
      EXPECT_EQ(g_lt_calls, nested == "1" ? 1 : 0);
      EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    });
    ASSERT_EQ(log.size(), 1u);  // one product, however many functions it went through
    EXPECT_EQ(log[0].function, "cublasGemmEx");
    EXPECT_EQ(log[0].dims.at("m"), "8");
    EXPECT_EQ(log[0].dims.at("n"), "16");
    EXPECT_EQ(log[0].dims.at("k"), "32");
    EXPECT_EQ(log[0].flop, CountReal(8, 16, 32));
  }
}

TEST(Gemm, MathModeAndComputeTypeChooseTheArithmetic) {
  const Log log = RunOne({}, [] {
    const Operands x;
    const cublasHandle_t handle = NewHandle();
    const float one = 1;
    auto* c = static_cast<float*>(x.c);
    const auto gemm = [&] {
      EXPECT_EQ(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 512, 512, 512, &one, c, 512, c, 512,
                            &one, c, 512),
                CUBLAS_STATUS_SUCCESS);
    };
    gemm();
    EXPECT_EQ(cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH), CUBLAS_STATUS_SUCCESS);
    gemm();
    EXPECT_EQ(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 512, 512, 512, &one, c, CUDA_R_32F,
                           512, c, CUDA_R_32F, 512, &one, c, CUDA_R_32F, 512,
                           CUBLAS_COMPUTE_32F_PEDANTIC, CUBLAS_GEMM_DEFAULT),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  ASSERT_EQ(log.size(), 3u);
  EXPECT_EQ(log[0].dims.at("math"), "f32");
  EXPECT_EQ(log[1].dims.at("math"), "tf32");
  EXPECT_EQ(log[2].dims.at("math"), "f32");
  EXPECT_LT(log[1].lasted_ns(), log[0].lasted_ns());
}

struct LtProduct {
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t a = nullptr;
  cublasLtMatrixLayout_t b = nullptr;
  cublasLtMatrixLayout_t d = nullptr;
  LtProduct(cudaDataType type, cudaDataType out, uint64_t m, uint64_t n, uint64_t k,
            bool transposed) {
    EXPECT_EQ(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F),
              CUBLAS_STATUS_SUCCESS);
    const int32_t op = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    EXPECT_EQ(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &op, sizeof op),
              CUBLAS_STATUS_SUCCESS);
    const uint64_t rows = transposed ? k : m;
    EXPECT_EQ(
        cublasLtMatrixLayoutCreate(&a, type, rows, transposed ? m : k, static_cast<int64_t>(rows)),
        CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&b, type, k, n, static_cast<int64_t>(k)),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&d, out, m, n, static_cast<int64_t>(m)),
              CUBLAS_STATUS_SUCCESS);
  }
  cublasStatus_t Run(cublasLtHandle_t handle, const Operands& x, cudaStream_t stream) const {
    const float one = 1;
    return cublasLtMatmul(handle, desc, &one, x.a, a, x.b, b, &one, x.c, d, x.c, d, nullptr,
                          nullptr, 0, stream);
  }
};

TEST(Lt, RunsWhatTheDescriptorsSayAndRefusesContradictions) {
  const Log log = RunOne({}, [] {
    const Operands x;
    cublasLtHandle_t handle = nullptr;
    ASSERT_EQ(cublasLtCreate(&handle), CUBLAS_STATUS_SUCCESS);
    const cudaStream_t stream = NewStream();
    LtProduct good(CUDA_R_16BF, CUDA_R_32F, 48, 32, 64, true);
    EXPECT_EQ(good.Run(handle, x, stream), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(LtProduct(CUDA_R_8F_E4M3, CUDA_R_16BF, 48, 32, 64, true).Run(handle, x, stream),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(LtProduct(CUDA_R_8F_E4M3, CUDA_R_16BF, 48, 32, 64, false).Run(handle, x, stream),
              CUBLAS_STATUS_NOT_SUPPORTED);  // FP8 wants A transposed
    EXPECT_EQ(LtProduct(CUDA_R_8F_E4M3, CUDA_R_16BF, 40, 32, 64, true).Run(handle, x, stream),
              CUBLAS_STATUS_NOT_SUPPORTED);  // and multiples of 16
    EXPECT_EQ(good.Run(nullptr, x, stream), CUBLAS_STATUS_NOT_INITIALIZED);
    const uint64_t rows = 63;
    EXPECT_EQ(
        cublasLtMatrixLayoutSetAttribute(good.b, CUBLASLT_MATRIX_LAYOUT_ROWS, &rows, sizeof rows),
        CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(good.Run(handle, x, stream), CUBLAS_STATUS_INVALID_VALUE);
    // A cuBLAS handle serves as a cuBLASLt handle.
    const cublasHandle_t blas = NewHandle();
    LtProduct again(CUDA_R_16F, CUDA_R_16F, 16, 16, 16, false);
    EXPECT_EQ(again.Run(reinterpret_cast<cublasLtHandle_t>(blas), x, stream),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  ASSERT_EQ(log.size(), 3u);
  EXPECT_EQ(log[0].flop, CountReal(48, 32, 64));
  EXPECT_EQ(log[0].function, "cublasLtMatmul");
  EXPECT_EQ(log[0].dims.at("out"), "f32");
  EXPECT_EQ(log[1].dims.at("math"), "f8");
  EXPECT_EQ(log[2].dims.at("dtype"), "f16");
}

TEST(Lt, AttributesComeBackAsTheyWentIn) {
  RunOne({}, [] {
    cublasLtMatmulDescOpaque_t desc;
    ASSERT_EQ(cublasLtMatmulDescInit(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
    for (int id = 0; id <= CUBLASLT_MATMUL_DESC_EMULATION_DESCRIPTOR; ++id) {
      const auto attribute = static_cast<cublasLtMatmulDescAttributes_t>(id);
      size_t size = 0;
      if (cublasLtMatmulDescGetAttribute(&desc, attribute, nullptr, 0, &size) !=
          CUBLAS_STATUS_SUCCESS)
        continue;
      std::array<unsigned char, 8> sent{};
      for (size_t i = 0; i < size; ++i)
        sent[i] = static_cast<unsigned char>(id + static_cast<int>(i) + 1);
      EXPECT_EQ(cublasLtMatmulDescSetAttribute(&desc, attribute, sent.data(), size),
                CUBLAS_STATUS_SUCCESS);
      EXPECT_EQ(cublasLtMatmulDescSetAttribute(&desc, attribute, sent.data(), size + 1),
                CUBLAS_STATUS_INVALID_VALUE);
    }
    for (int id = 0; id <= CUBLASLT_MATMUL_DESC_EMULATION_DESCRIPTOR; ++id) {
      const auto attribute = static_cast<cublasLtMatmulDescAttributes_t>(id);
      std::array<unsigned char, 8> found{};
      size_t size = 0;
      if (cublasLtMatmulDescGetAttribute(&desc, attribute, found.data(), 8, &size) !=
          CUBLAS_STATUS_SUCCESS)
        continue;
      for (size_t i = 0; i < size; ++i)
        EXPECT_EQ(found[i], static_cast<unsigned char>(id + static_cast<int>(i) + 1));
    }
    EXPECT_EQ(cublasLtMatmulDescGetAttribute(&desc, static_cast<cublasLtMatmulDescAttributes_t>(30),
                                             nullptr, 0, nullptr),
              CUBLAS_STATUS_INVALID_VALUE);
  });
}

}  // namespace
}  // namespace simgpu_test
