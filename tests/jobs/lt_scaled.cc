// Products of cublasLtMatmul that carry more than their matrices: scales of every mode, biases,
// auxiliary matrices, batches by stride and by pointers, formats from f4 to f64, orders, emulation.
// No two have the same dimensions. Moves a matrix too, which is no product.
#include <cublasLt.h>

#include <cstdint>
#include <cstdio>

#include "check.h"

namespace {

using jobs::Check;

constexpr int kNone = -1;

struct Product {
  const char* what;
  uint64_t m, n, k;
  cudaDataType a, b, c, d;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  cudaDataType scalar = CUDA_R_32F;
  bool transposed = true;  // A, as narrow formats want it
  int scale_a = kNone, scale_b = kNone;
  int scale_d = kNone;      // read for D
  int scale_d_out = kNone;  // written beside D
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  int bias = kNone, aux = kNone;
  double beta = 0;
  int32_t batch = 1;
  bool shares_a = false;
  bool by_pointers = false;
  bool is_row_order = false;
  bool emulates = false;
};

constexpr auto kF4 = CUDA_R_4F_E2M1;
constexpr auto kE4 = CUDA_R_8F_E4M3;
constexpr auto kE5 = CUDA_R_8F_E5M2;
constexpr auto kBf16 = CUDA_R_16BF;
constexpr auto kF16 = CUDA_R_16F;
constexpr auto kF32 = CUDA_R_32F;
constexpr auto kF64 = CUDA_R_64F;

constexpr Product kProducts[] = {
    {.what = "nvfp4",
     .m = 256,
     .n = 512,
     .k = 1024,
     .a = kF4,
     .b = kF4,
     .c = kBf16,
     .d = kBf16,
     .scale_a = 1,
     .scale_b = 1},
    {.what = "nvfp4 to nvfp4",
     .m = 272,
     .n = 528,
     .k = 1040,
     .a = kF4,
     .b = kF4,
     .c = kBf16,
     .d = kF4,
     .scale_a = 1,
     .scale_b = 1,
     .scale_d = 0,
     .scale_d_out = 1},
    {.what = "mxfp8",
     .m = 288,
     .n = 544,
     .k = 1056,
     .a = kE4,
     .b = kE5,
     .c = kBf16,
     .d = kBf16,
     .scale_a = 2,
     .scale_b = 2,
     .beta = 1},
    {.what = "mxfp8 to mxfp8",
     .m = 304,
     .n = 560,
     .k = 1072,
     .a = kE4,
     .b = kE4,
     .c = kBf16,
     .d = kE4,
     .scale_a = 2,
     .scale_b = 2,
     .scale_d_out = 2,
     .batch = 3},
    {.what = "fp8 by tensor",
     .m = 320,
     .n = 576,
     .k = 1088,
     .a = kE4,
     .b = kE4,
     .c = kBf16,
     .d = kE4,
     .scale_a = 0,
     .scale_b = 0,
     .scale_d = 0,
     .epilogue = CUBLASLT_EPILOGUE_GELU_AUX_BIAS,
     .bias = kBf16,
     .aux = kE4},
    {.what = "fp8 without scales",
     .m = 336,
     .n = 592,
     .k = 1104,
     .a = kE5,
     .b = kE4,
     .c = kF16,
     .d = kF16,
     .epilogue = CUBLASLT_EPILOGUE_BIAS},
    {.what = "fp8 by row",
     .m = 352,
     .n = 608,
     .k = 1120,
     .a = kE4,
     .b = kE4,
     .c = kBf16,
     .d = kBf16,
     .scale_a = 3,
     .scale_b = 3,
     .epilogue = CUBLASLT_EPILOGUE_BIAS,
     .batch = 2,
     .shares_a = true},
    {.what = "fp8 by block",
     .m = 368,
     .n = 624,
     .k = 1136,
     .a = kE4,
     .b = kE4,
     .c = kF32,
     .d = kF32,
     .scale_a = 4,
     .scale_b = 5,
     .epilogue = CUBLASLT_EPILOGUE_BIAS},
    {.what = "relu with mask",
     .m = 101,
     .n = 203,
     .k = 307,
     .a = kBf16,
     .b = kBf16,
     .c = kBf16,
     .d = kBf16,
     .epilogue = CUBLASLT_EPILOGUE_RELU_AUX_BIAS,
     .batch = 5},
    {.what = "gradient of gelu",
     .m = 104,
     .n = 208,
     .k = 312,
     .a = kF16,
     .b = kF16,
     .c = kF16,
     .d = kF16,
     .transposed = false,
     .epilogue = CUBLASLT_EPILOGUE_DGELU_BGRAD,
     .beta = 2},
    {.what = "bias gradient of b",
     .m = 109,
     .n = 211,
     .k = 313,
     .a = kBf16,
     .b = kBf16,
     .c = kF32,
     .d = kF32,
     .transposed = false,
     .epilogue = CUBLASLT_EPILOGUE_BGRADB,
     .bias = kF32},
    {.what = "bias gradient of a",
     .m = 110,
     .n = 212,
     .k = 314,
     .a = kF16,
     .b = kF16,
     .c = kF16,
     .d = kF16,
     .transposed = false,
     .epilogue = CUBLASLT_EPILOGUE_BGRADA},
    {.what = "pointers",
     .m = 113,
     .n = 217,
     .k = 319,
     .a = kBf16,
     .b = kBf16,
     .c = kBf16,
     .d = kBf16,
     .transposed = false,
     .batch = 7,
     .by_pointers = true},
    {.what = "rows",
     .m = 127,
     .n = 223,
     .k = 331,
     .a = kF16,
     .b = kF16,
     .c = kF16,
     .d = kF16,
     .compute = CUBLAS_COMPUTE_16F,
     .scalar = kF16,
     .transposed = false,
     .is_row_order = true},
    {.what = "bytes",
     .m = 128,
     .n = 224,
     .k = 352,
     .a = CUDA_R_8I,
     .b = CUDA_R_8I,
     .c = CUDA_R_8I,
     .d = CUDA_R_8I,
     .compute = CUBLAS_COMPUTE_32I,
     .epilogue = CUBLASLT_EPILOGUE_BIAS},
    {.what = "emulated f32",
     .m = 131,
     .n = 227,
     .k = 337,
     .a = kF32,
     .b = kF32,
     .c = kF32,
     .d = kF32,
     .compute = CUBLAS_COMPUTE_32F_EMULATED_16BFX9},
    {.what = "emulated f64",
     .m = 137,
     .n = 229,
     .k = 347,
     .a = kF64,
     .b = kF64,
     .c = kF64,
     .d = kF64,
     .compute = CUBLAS_COMPUTE_64F_EMULATED_FIXEDPOINT,
     .scalar = kF64,
     .emulates = true},
    {.what = "tf32",
     .m = 139,
     .n = 233,
     .k = 349,
     .a = kF32,
     .b = kF32,
     .c = kF32,
     .d = kF32,
     .compute = CUBLAS_COMPUTE_32F_FAST_TF32},
};

template <typename Value>
void Set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute, Value value) {
  Check(cublasLtMatmulDescSetAttribute(desc, attribute, &value, sizeof value));
}
template <typename Value>
void Set(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, Value value) {
  Check(cublasLtMatrixLayoutSetAttribute(layout, attribute, &value, sizeof value));
}

class Products {
 public:
  Products() {
    Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    Check(cublasLtCreate(&handle_));
    Check(cudaMalloc(&memory_, size_t{64} << 20));
  }

  void Run(const Product& product) {
    const cublasLtMatrixLayout_t a =
        product.transposed ? Layout(product, product.a, product.k, product.m, product.shares_a)
                           : Layout(product, product.a, product.m, product.k, product.shares_a);
    const cublasLtMatrixLayout_t b = Layout(product, product.b, product.k, product.n, false);
    const cublasLtMatrixLayout_t c = Layout(product, product.c, product.m, product.n, false);
    const cublasLtMatrixLayout_t d = Layout(product, product.d, product.m, product.n, false);
    const cublasLtMatmulDesc_t desc = Description(product);
    const double one[2] = {1, 0}, beta[2] = {product.beta, 0};
    const float one_f = 1, beta_f = static_cast<float>(product.beta);
    const uint16_t half = 0x3c00, zero = 0;
    const void* alpha_at = &one_f;
    const void* beta_at = &beta_f;
    if (product.scalar == CUDA_R_64F) {
      alpha_at = one;
      beta_at = beta;
    } else if (product.scalar == CUDA_R_16F) {
      alpha_at = &half;
      beta_at = &zero;
    }
    const cublasStatus_t status =
        cublasLtMatmul(handle_, desc, alpha_at, memory_, a, memory_, b, beta_at, memory_, c,
                       memory_, d, nullptr, nullptr, 0, stream_);
    std::printf("%s: status %d\n", product.what, static_cast<int>(status));
    Check(status);
    Check(cublasLtMatmulDescDestroy(desc));
    for (const auto layout : {a, b, c, d}) Check(cublasLtMatrixLayoutDestroy(layout));
  }

  // A change of order, as int8 products of older GPUs needed.
  void Transform() {
    cublasLtMatrixTransformDesc_t desc;
    cublasLtMatrixLayout_t from, to;
    Check(cublasLtMatrixTransformDescCreate(&desc, CUDA_R_32F));
    Check(cublasLtMatrixLayoutCreate(&from, CUDA_R_16F, 256, 320, 256));
    Check(cublasLtMatrixLayoutCreate(&to, CUDA_R_16F, 256, 320, 320));
    Set(to, CUBLASLT_MATRIX_LAYOUT_ORDER, static_cast<int32_t>(CUBLASLT_ORDER_ROW));
    const float one = 1, zero = 0;
    Check(cublasLtMatrixTransform(handle_, desc, &one, memory_, from, &zero, nullptr, nullptr,
                                  static_cast<char*>(memory_) + (1 << 20), to, stream_));
    Check(cublasLtMatrixLayoutDestroy(from));
    Check(cublasLtMatrixLayoutDestroy(to));
    Check(cublasLtMatrixTransformDescDestroy(desc));
  }

  void Wait() { Check(cudaStreamSynchronize(stream_)); }

 private:
  cublasLtMatrixLayout_t Layout(const Product& product, cudaDataType type, uint64_t rows,
                                uint64_t cols, bool is_shared) {
    cublasLtMatrixLayout_t layout;
    const auto leading = static_cast<int64_t>(product.is_row_order ? cols : rows);
    Check(cublasLtMatrixLayoutCreate(&layout, type, rows, cols, leading));
    if (product.is_row_order) {
      Set(layout, CUBLASLT_MATRIX_LAYOUT_ORDER, static_cast<int32_t>(CUBLASLT_ORDER_ROW));
    }
    if (product.batch == 1) return layout;
    Set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, product.batch);
    if (product.by_pointers) {
      Set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_MODE,
          static_cast<uint32_t>(CUBLASLT_BATCH_MODE_POINTER_ARRAY));
    } else if (!is_shared) {
      Set(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, static_cast<int64_t>(rows * cols));
    }
    return layout;
  }

  void SetScale(cublasLtMatmulDesc_t desc, int mode, cublasLtMatmulDescAttributes_t mode_attribute,
                cublasLtMatmulDescAttributes_t pointer_attribute) {
    if (mode == kNone) return;
    Set(desc, mode_attribute, static_cast<int32_t>(mode));
    Set(desc, pointer_attribute, memory_);
  }

  cublasLtMatmulDesc_t Description(const Product& product) {
    cublasLtMatmulDesc_t desc;
    Check(cublasLtMatmulDescCreate(&desc, product.compute, product.scalar));
    Set(desc, CUBLASLT_MATMUL_DESC_TRANSA,
        static_cast<int32_t>(product.transposed ? CUBLAS_OP_T : CUBLAS_OP_N));
    SetScale(desc, product.scale_a, CUBLASLT_MATMUL_DESC_A_SCALE_MODE,
             CUBLASLT_MATMUL_DESC_A_SCALE_POINTER);
    SetScale(desc, product.scale_b, CUBLASLT_MATMUL_DESC_B_SCALE_MODE,
             CUBLASLT_MATMUL_DESC_B_SCALE_POINTER);
    SetScale(desc, product.scale_d, CUBLASLT_MATMUL_DESC_D_SCALE_MODE,
             CUBLASLT_MATMUL_DESC_D_SCALE_POINTER);
    SetScale(desc, product.scale_d_out, CUBLASLT_MATMUL_DESC_D_OUT_SCALE_MODE,
             CUBLASLT_MATMUL_DESC_D_OUT_SCALE_POINTER);
    Set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, product.epilogue);
    if (product.epilogue != CUBLASLT_EPILOGUE_DEFAULT) {
      Set(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, memory_);
      Set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, memory_);
      Set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, int64_t{1024});
    }
    if (product.bias != kNone) Set(desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, product.bias);
    if (product.aux != kNone) Set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, product.aux);
    if (product.emulates) {
      Check(cublasLtEmulationDescInit(&emulation_));
      Set(desc, CUBLASLT_MATMUL_DESC_EMULATION_DESCRIPTOR, &emulation_);
    }
    return desc;
  }

  cudaStream_t stream_ = nullptr;
  cublasLtHandle_t handle_ = nullptr;
  void* memory_ = nullptr;
  cublasLtEmulationDescOpaque_t emulation_ = {};
};

}  // namespace

int main() {
  Products products;
  for (const Product& product : kProducts) products.Run(product);
  products.Transform();
  products.Wait();
  return 0;
}
