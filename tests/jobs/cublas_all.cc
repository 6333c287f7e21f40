// Every matrix-product entry point of cuBLAS and cuBLASLt that mfutrace counts, with distinct
// shapes.
//
// Prints one line a call: entry point, m, n, k, batch, "real" or "complex", so that a test knows
// what was meant without asking anyone.
#include <cuComplex.h>
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstdio>

#include "check.h"

namespace {

using jobs::Check;

constexpr cublasOperation_t kN = CUBLAS_OP_N;
constexpr cublasOperation_t kT = CUBLAS_OP_T;

cublasHandle_t g_handle = nullptr;
cudaStream_t g_stream = nullptr;
void* g_operands[3] = {};
int g_shapes = 0;

struct Shape {
  int m, n, k, batch;
};

// Shapes that no other call has: one multiple of 8 more each time.
Shape NextShape(const char* entry, bool is_complex, bool is_batched) {
  ++g_shapes;
  const Shape shape = {8 * g_shapes, 16 + 8 * g_shapes, 32 + 8 * g_shapes,
                       is_batched ? 2 + g_shapes % 3 : 1};
  std::printf("%s %d %d %d %d %s\n", entry, shape.m, shape.n, shape.k, shape.batch,
              is_complex ? "complex" : "real");
  return shape;
}

template <typename T>
T One();
template <>
float One() {
  return 1;
}
template <>
double One() {
  return 1;
}
template <>
cuComplex One() {
  return make_cuComplex(1, 0);
}
template <>
cuDoubleComplex One() {
  return make_cuDoubleComplex(1, 0);
}
template <>
__half One() {
  return __half(__half_raw{0x3c00});
}

template <typename T, typename Function>
void Typed(const char* entry, Function* function, bool is_complex) {
  const Shape s = NextShape(entry, is_complex, false);
  const T alpha = One<T>(), beta = One<T>();
  Check(function(g_handle, kT, kN, s.m, s.n, s.k, &alpha, static_cast<T*>(g_operands[0]), s.k,
                 static_cast<T*>(g_operands[1]), s.k, &beta, static_cast<T*>(g_operands[2]), s.m));
}

template <typename T, typename Function>
void TypedBatched(const char* entry, Function* function, bool is_complex) {
  const Shape s = NextShape(entry, is_complex, true);
  const T alpha = One<T>(), beta = One<T>();
  Check(function(g_handle, kN, kT, s.m, s.n, s.k, &alpha, static_cast<T*>(g_operands[0]), s.m,
                 s.m * s.k, static_cast<T*>(g_operands[1]), s.n, s.n * s.k, &beta,
                 static_cast<T*>(g_operands[2]), s.m, s.m * s.n, s.batch));
}

#define MFU_TYPED(T, name, is_complex)           \
  Typed<T>(#name "_v2", &name##_v2, is_complex); \
  Typed<T>(#name "_v2_64", &name##_v2_64, is_complex)
#define MFU_TYPED_BATCHED(T, name, is_complex) \
  TypedBatched<T>(#name, &name, is_complex);   \
  TypedBatched<T>(#name "_64", &name##_64, is_complex)

struct Formats {
  cudaDataType_t ab, c;
  cublasComputeType_t compute;
};

void Ex(const Formats& f) {
  const float alpha = 1, beta = 0;
  const double alpha_double = 1, beta_double = 0;
  const bool is_double = f.compute == CUBLAS_COMPUTE_64F;
  const void* one = is_double ? static_cast<const void*>(&alpha_double) : &alpha;
  const void* zero = is_double ? static_cast<const void*>(&beta_double) : &beta;
  const bool is_complex = f.ab == CUDA_C_32F || f.ab == CUDA_C_64F;
  void *a = g_operands[0], *b = g_operands[1], *c = g_operands[2];
  Shape s = NextShape("cublasGemmEx", is_complex, false);
  Check(cublasGemmEx(g_handle, kT, kN, s.m, s.n, s.k, one, a, f.ab, s.k, b, f.ab, s.k, zero, c, f.c,
                     s.m, f.compute, CUBLAS_GEMM_DEFAULT));
  s = NextShape("cublasGemmEx_64", is_complex, false);
  Check(cublasGemmEx_64(g_handle, kT, kN, s.m, s.n, s.k, one, a, f.ab, s.k, b, f.ab, s.k, zero, c,
                        f.c, s.m, f.compute, CUBLAS_GEMM_DEFAULT));
  s = NextShape("cublasGemmStridedBatchedEx", is_complex, true);
  Check(cublasGemmStridedBatchedEx(g_handle, kT, kN, s.m, s.n, s.k, one, a, f.ab, s.k, s.m * s.k, b,
                                   f.ab, s.k, s.k * s.n, zero, c, f.c, s.m, s.m * s.n, s.batch,
                                   f.compute, CUBLAS_GEMM_DEFAULT));
  s = NextShape("cublasGemmStridedBatchedEx_64", is_complex, true);
  Check(cublasGemmStridedBatchedEx_64(g_handle, kT, kN, s.m, s.n, s.k, one, a, f.ab, s.k, 0, b,
                                      f.ab, s.k, s.k * s.n, zero, c, f.c, s.m, s.m * s.n, s.batch,
                                      f.compute, CUBLAS_GEMM_DEFAULT));
}

cublasLtMatrixLayout_t Layout(cudaDataType_t type, int rows, int columns, bool is_row_major,
                              int batch) {
  cublasLtMatrixLayout_t layout = nullptr;
  Check(cublasLtMatrixLayoutCreate(&layout, type, static_cast<uint64_t>(rows),
                                   static_cast<uint64_t>(columns), is_row_major ? columns : rows));
  const auto set = [&](cublasLtMatrixLayoutAttribute_t what, auto value) {
    Check(cublasLtMatrixLayoutSetAttribute(layout, what, &value, sizeof value));
  };
  if (is_row_major) set(CUBLASLT_MATRIX_LAYOUT_ORDER, int32_t{CUBLASLT_ORDER_ROW});
  if (batch > 1) {
    set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, int32_t{batch});
    set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, int64_t{rows} * columns);
  }
  return layout;
}

void Lt(cublasLtHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, bool is_row_major,
        bool is_batched) {
  const Shape s = NextShape("cublasLtMatmul", false, is_batched);
  const float alpha = 1, beta = 0;
  cublasLtMatmulDesc_t operation = nullptr;
  Check(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  Check(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a));
  Check(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b));
  const bool a_is_plain = op_a == kN;
  const bool b_is_plain = op_b == kN;
  cublasLtMatrixLayout_t a =
      Layout(CUDA_R_16BF, a_is_plain ? s.m : s.k, a_is_plain ? s.k : s.m, is_row_major, s.batch);
  cublasLtMatrixLayout_t b =
      Layout(CUDA_R_16BF, b_is_plain ? s.k : s.n, b_is_plain ? s.n : s.k, is_row_major, s.batch);
  cublasLtMatrixLayout_t d = Layout(CUDA_R_16BF, s.m, s.n, is_row_major, s.batch);
  Check(cublasLtMatmul(handle, operation, &alpha, g_operands[0], a, g_operands[1], b, &beta,
                       g_operands[2], d, g_operands[2], d, nullptr, nullptr, 0, g_stream));
  for (cublasLtMatrixLayout_t layout : {a, b, d}) Check(cublasLtMatrixLayoutDestroy(layout));
  Check(cublasLtMatmulDescDestroy(operation));
}

}  // namespace

int main() {
  Check(cudaStreamCreateWithFlags(&g_stream, cudaStreamNonBlocking));
  for (void*& operand : g_operands) Check(cudaMalloc(&operand, 64u << 20));
  Check(cublasCreate(&g_handle));
  Check(cublasSetStream(g_handle, g_stream));

  MFU_TYPED(float, cublasSgemm, false);
  MFU_TYPED(double, cublasDgemm, false);
  MFU_TYPED(cuComplex, cublasCgemm, true);
  MFU_TYPED(cuDoubleComplex, cublasZgemm, true);
  Typed<__half>("cublasHgemm", &cublasHgemm, false);
  Typed<__half>("cublasHgemm_64", &cublasHgemm_64, false);
  MFU_TYPED_BATCHED(float, cublasSgemmStridedBatched, false);
  MFU_TYPED_BATCHED(double, cublasDgemmStridedBatched, false);
  MFU_TYPED_BATCHED(cuComplex, cublasCgemmStridedBatched, true);
  MFU_TYPED_BATCHED(cuDoubleComplex, cublasZgemmStridedBatched, true);
  MFU_TYPED_BATCHED(__half, cublasHgemmStridedBatched, false);
  Ex({CUDA_R_16BF, CUDA_R_16BF, CUBLAS_COMPUTE_32F});
  Ex({CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F});
  Ex({CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32});
  Ex({CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F});

  cublasLtHandle_t lt = nullptr;
  Check(cublasLtCreate(&lt));
  Lt(lt, kN, kN, false, false);
  Lt(lt, kT, kN, false, false);
  Lt(lt, kN, kT, false, true);
  Lt(lt, kT, kT, false, true);
  Lt(lt, kN, kN, true, false);
  Check(cudaStreamSynchronize(g_stream));
  Check(cublasLtDestroy(lt));
  Check(cublasDestroy(g_handle));
  return 0;
}
