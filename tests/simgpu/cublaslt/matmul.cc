// libcublasLt.so.13: handles, cublasLtMatmul, and the algorithm heuristic.
#include <cublasLt.h>

#include <cstring>
#include <utility>

#include "cublaslt/descriptors.h"
#include "cublaslt/gemm_model.h"

namespace simgpu {
namespace {

const LtHandle* Handle(cublasLtHandle_t handle) {
  const auto* found = reinterpret_cast<const LtHandle*>(handle);
  return found != nullptr && found->magic == LtHandle::kMagic ? found : nullptr;
}

bool IsPlain(const MatrixLayout& layout) {
  return layout.order == CUBLASLT_ORDER_COL || layout.order == CUBLASLT_ORDER_ROW;
}

// What a layout's leading dimension must reach; blocked orders have rules of their own and are let
// be.
bool LeadingDimensionValid(const MatrixLayout& layout) {
  if (!IsPlain(layout)) return layout.ld > 0;
  const uint64_t least = layout.order == CUBLASLT_ORDER_COL ? layout.rows : layout.cols;
  return layout.ld > 0 && static_cast<uint64_t>(layout.ld) >= least;
}

// Scale factors: the mode as set, or a scalar where only the pointer is; -1 for none.
int ScaleMode(int32_t mode, uint64_t pointer) { return mode != 0 || pointer != 0 ? mode : -1; }

// The epilogues' operands, each value of the header by name.
GemmExtras ExtrasOf(const MatmulDesc& desc, const MatrixLayout& a, const MatrixLayout& c,
                    const MatrixLayout& d) {
  GemmExtras extras;
  extras.scale_a = ScaleMode(desc.scale_modes[0], desc.scales[0]);
  extras.scale_b = ScaleMode(desc.scale_modes[1], desc.scales[1]);
  extras.scale_d = ScaleMode(desc.scale_modes[5], desc.d_out_scale);
  if (extras.scale_d < 0) extras.scale_d = ScaleMode(desc.scale_modes[3], desc.scales[3]);
  extras.epilogue = desc.epilogue;
  bool has_bias = false;
  bool has_mask = false;
  bool has_matrix = false;
  switch (desc.epilogue) {
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_GELU_BIAS:
    case CUBLASLT_EPILOGUE_BGRADA:
    case CUBLASLT_EPILOGUE_BGRADB:
      has_bias = true;
      break;
    case CUBLASLT_EPILOGUE_RELU_AUX:
    case CUBLASLT_EPILOGUE_DRELU:
      has_mask = true;
      break;
    case CUBLASLT_EPILOGUE_RELU_AUX_BIAS:
    case CUBLASLT_EPILOGUE_DRELU_BGRAD:
      has_bias = has_mask = true;
      break;
    case CUBLASLT_EPILOGUE_GELU_AUX:
    case CUBLASLT_EPILOGUE_DGELU:
      has_matrix = true;
      break;
    case CUBLASLT_EPILOGUE_GELU_AUX_BIAS:
    case CUBLASLT_EPILOGUE_DGELU_BGRAD:
      has_bias = has_matrix = true;
      break;
    default:
      break;
  }
  extras.aux_is_mask = has_mask;
  if (has_matrix) {
    extras.aux_type = desc.aux_type >= 0 ? desc.aux_type : static_cast<int>(d.type);
  }
  if (has_bias) {
    const bool is_f8 = a.type == CUDA_R_8F_E4M3 || a.type == CUDA_R_8F_E5M2;
    const bool stores_16_bits = d.type == CUDA_R_16F || d.type == CUDA_R_16BF;
    int type = static_cast<int>(d.type);
    if (is_f8 && !stores_16_bits) type = c.type == CUDA_R_16F ? CUDA_R_16F : CUDA_R_16BF;
    if (d.type == CUDA_R_8I) type = desc.scale_type;
    extras.bias_type = desc.bias_type >= 0 ? desc.bias_type : type;
  }
  return extras;
}

Scalar BetaOf(const MatmulDesc& desc, const void* beta) {
  switch (desc.pointer_mode) {
    case CUBLASLT_POINTER_MODE_HOST:
    case CUBLASLT_POINTER_MODE_ALPHA_DEVICE_VECTOR_BETA_HOST:
      return ScalarAt(beta, static_cast<cudaDataType>(desc.scale_type));
    case CUBLASLT_POINTER_MODE_ALPHA_DEVICE_VECTOR_BETA_ZERO:
      return Scalar::kZero;
    default:
      return Scalar::kOnDevice;
  }
}

// Descriptors -> one product. INVALID_VALUE where they contradict each other.
cublasStatus_t Understand(const MatmulDesc* desc, const MatrixLayout* a, const MatrixLayout* b,
                          const MatrixLayout* c, const MatrixLayout* d, GemmCall* call) {
  if (desc == nullptr || a == nullptr || b == nullptr || c == nullptr || d == nullptr) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  call->trans_a = static_cast<cublasOperation_t>(desc->trans_a);
  call->trans_b = static_cast<cublasOperation_t>(desc->trans_b);
  const bool flip_a = call->trans_a != CUBLAS_OP_N;
  const bool flip_b = call->trans_b != CUBLAS_OP_N;
  const uint64_t m = flip_a ? a->cols : a->rows;
  const uint64_t k = flip_a ? a->rows : a->cols;
  const uint64_t n = flip_b ? b->rows : b->cols;
  const uint64_t k_of_b = flip_b ? b->cols : b->rows;
  for (const MatrixLayout* layout : {a, b, c, d}) {
    if (!LeadingDimensionValid(*layout) || layout->batch_count != d->batch_count ||
        layout->batch_mode != d->batch_mode) {
      return CUBLAS_STATUS_INVALID_VALUE;
    }
  }
  if (k != k_of_b || d->rows != m || d->cols != n || c->rows != m || c->cols != n ||
      d->batch_count < 1) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  call->m = static_cast<int64_t>(m);
  call->n = static_cast<int64_t>(n);
  call->k = static_cast<int64_t>(k);
  call->batch = d->batch_count;
  call->compute = static_cast<cublasComputeType_t>(desc->compute);
  call->a_type = static_cast<cudaDataType>(a->type);
  call->b_type = static_cast<cudaDataType>(b->type);
  call->c_type = static_cast<cudaDataType>(c->type);
  call->d_type = static_cast<cudaDataType>(d->type);
  call->has_d = true;
  call->stride_a = a->batch_stride;
  call->stride_b = b->batch_stride;
  call->pointer_array = d->batch_mode == CUBLASLT_BATCH_MODE_POINTER_ARRAY;
  call->emulated = AsksForEmulation(*call, CUBLAS_DEFAULT_MATH) ||
                   (desc->emulation != 0 && a->type != CUDA_R_16F);
  call->extras = ExtrasOf(*desc, *a, *c, *d);
  return CUBLAS_STATUS_SUCCESS;
}

// FP8 and FP4 products exist only transposed times plain, in multiples of sixteen; FP4 also only
// with a scale for every block of sixteen (cuBLAS documentation, cublasLtMatmul, "to use FP8
// kernels").
Format Supported(const GemmCall& call) {
  const Format format = FormatOf(call, false);
  if (format == Format::kCount) return format;
  if (FindApi()->settings().device.peak_flop_per_s[static_cast<int>(format)] <= 0)
    return Format::kCount;
  if (format == Format::kF4 && (call.extras.scale_a != CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3 ||
                                call.extras.scale_b != CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3)) {
    return Format::kCount;
  }
  if (format == Format::kF8 || format == Format::kF4) {
    const bool shape = call.m % 16 == 0 && call.n % 16 == 0 && call.k % 16 == 0;
    if (call.trans_a != CUBLAS_OP_T || call.trans_b != CUBLAS_OP_N || !shape) return Format::kCount;
  }
  return format;
}

}  // namespace
}  // namespace simgpu

extern "C" {

cublasStatus_t CUBLASWINAPI cublasLtCreate(cublasLtHandle_t* handle) {
  if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *handle = nullptr;
  simgpu::Api* api = simgpu::FindApi();
  if (api == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  auto* made = new simgpu::LtHandle;
  if (api->MakeContextCurrent(&made->device) != CUDA_SUCCESS) {
    delete made;
    return CUBLAS_STATUS_NOT_INITIALIZED;
  }
  *handle = reinterpret_cast<cublasLtHandle_t>(made);
  return CUBLAS_STATUS_SUCCESS;
}

// The few bytes stay, so that a use after this is told from a good one.
cublasStatus_t CUBLASWINAPI cublasLtDestroy(cublasLtHandle_t handle) {
  if (simgpu::Handle(handle) == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  reinterpret_cast<simgpu::LtHandle*>(handle)->magic = 0;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                           const void* alpha, const void* a,
                                           cublasLtMatrixLayout_t a_layout, const void* b,
                                           cublasLtMatrixLayout_t b_layout, const void* beta,
                                           const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                                           cublasLtMatrixLayout_t d_layout,
                                           const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                                           size_t workspace_bytes, cudaStream_t stream) {
  using namespace simgpu;
  if (Handle(handle) == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (FindApi()->ShouldFail("cublasLtMatmul")) return CUBLAS_STATUS_EXECUTION_FAILED;
  GemmCall call;
  call.function = "cublasLtMatmul";
  if (const cublasStatus_t status = Understand(Read(desc), Read(a_layout), Read(b_layout),
                                               Read(c_layout), Read(d_layout), &call)) {
    return status;
  }
  if (alpha == nullptr || beta == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  if (call.m == 0 || call.n == 0) return CUBLAS_STATUS_SUCCESS;
  if (a == nullptr || b == nullptr || d == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  if (workspace == nullptr && workspace_bytes != 0) return CUBLAS_STATUS_INVALID_VALUE;
  call.beta_use = BetaOf(*Read(desc), beta);
  static_cast<void>(algorithm);  // every algorithm takes the same time here
  static_cast<void>(c);          // may be null where beta is zero, which may be on the device
  const Format format = Supported(call);
  if (format == Format::kCount) return CUBLAS_STATUS_NOT_SUPPORTED;
  return EnqueueGemm(call, format, stream);
}

// Moves data and computes nothing.
cublasStatus_t CUBLASWINAPI cublasLtMatrixTransform(
    cublasLtHandle_t handle, cublasLtMatrixTransformDesc_t desc, const void* alpha, const void* a,
    cublasLtMatrixLayout_t a_layout, const void*, const void*, cublasLtMatrixLayout_t, void* c,
    cublasLtMatrixLayout_t c_layout, cudaStream_t stream) {
  using namespace simgpu;
  if (Handle(handle) == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  const MatrixLayout* from = Read(a_layout);
  const MatrixLayout* to = Read(c_layout);
  if (desc == nullptr || alpha == nullptr || a == nullptr || c == nullptr || from == nullptr ||
      to == nullptr || from->rows * from->cols != to->rows * to->cols) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  Api* api = FindApi();
  Work work;
  work.kind = OpKind::kKernel;
  work.function = "cublasLtMatrixTransform";
  work.dims = "kernel=transform,grid=1,block=1";
  const uint64_t elements = from->rows * from->cols * static_cast<uint64_t>(from->batch_count);
  const auto bytes_of = [](const MatrixLayout* layout) {
    return static_cast<uint64_t>(BytesOf(static_cast<cudaDataType>(layout->type)));
  };
  work.bytes = elements * (bytes_of(from) + bytes_of(to));
  work.hardware_queue = true;
  work.duration_ns = api->KernelDuration(static_cast<double>(work.bytes) * 1e9 /
                                         api->settings().device.memory_bytes_per_s);
  const CUstream queue = stream;
  return api->Enqueue(&queue, 1, std::move(work)) == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS
                                                                  : CUBLAS_STATUS_EXECUTION_FAILED;
}

cublasStatus_t CUBLASWINAPI cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a_layout,
    cublasLtMatrixLayout_t b_layout, cublasLtMatrixLayout_t c_layout,
    cublasLtMatrixLayout_t d_layout, cublasLtMatmulPreference_t preference, int requested,
    cublasLtMatmulHeuristicResult_t results[], int* returned) {
  using namespace simgpu;
  if (Handle(handle) == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (requested <= 0 || results == nullptr || returned == nullptr || preference == nullptr) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  *returned = 0;
  GemmCall call;
  if (const cublasStatus_t status = Understand(Read(desc), Read(a_layout), Read(b_layout),
                                               Read(c_layout), Read(d_layout), &call)) {
    return status;
  }
  if (Supported(call) == Format::kCount) return CUBLAS_STATUS_NOT_SUPPORTED;
  std::memset(&results[0], 0, sizeof results[0]);
  results[0].state = CUBLAS_STATUS_SUCCESS;
  results[0].wavesCount = 1;
  *returned = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtMatmulAlgoGetIds(cublasLtHandle_t handle, cublasComputeType_t,
                                                     cudaDataType_t, cudaDataType_t, cudaDataType_t,
                                                     cudaDataType_t, cudaDataType_t, int requested,
                                                     int ids[], int* returned) {
  if (simgpu::Handle(handle) == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (requested <= 0 || ids == nullptr || returned == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  ids[0] = 0;
  *returned = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtMatmulAlgoInit(cublasLtHandle_t handle, cublasComputeType_t,
                                                   cudaDataType_t, cudaDataType_t, cudaDataType_t,
                                                   cudaDataType_t, cudaDataType_t, int id,
                                                   cublasLtMatmulAlgo_t* algorithm) {
  if (simgpu::Handle(handle) == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (algorithm == nullptr || id != 0) return CUBLAS_STATUS_INVALID_VALUE;
  std::memset(algorithm, 0, sizeof *algorithm);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtMatmulAlgoCheck(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a_layout,
    cublasLtMatrixLayout_t b_layout, cublasLtMatrixLayout_t c_layout,
    cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algorithm,
    cublasLtMatmulHeuristicResult_t* result) {
  using namespace simgpu;
  if (Handle(handle) == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (algorithm == nullptr || result == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  GemmCall call;
  if (const cublasStatus_t status = Understand(Read(desc), Read(a_layout), Read(b_layout),
                                               Read(c_layout), Read(d_layout), &call)) {
    return status;
  }
  if (Supported(call) == Format::kCount) return CUBLAS_STATUS_NOT_SUPPORTED;
  std::memset(result, 0, sizeof *result);
  result->algo = *algorithm;
  result->wavesCount = 1;
  return CUBLAS_STATUS_SUCCESS;
}

size_t CUBLASWINAPI cublasLtGetVersion(void) { return CUBLAS_VERSION; }

size_t CUBLASWINAPI cublasLtGetCudartVersion(void) { return CUDART_VERSION; }

cublasStatus_t CUBLASWINAPI cublasLtGetProperty(libraryPropertyType type, int* value) {
  if (value == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  switch (type) {
    case MAJOR_VERSION:
      *value = CUBLAS_VER_MAJOR;
      return CUBLAS_STATUS_SUCCESS;
    case MINOR_VERSION:
      *value = CUBLAS_VER_MINOR;
      return CUBLAS_STATUS_SUCCESS;
    case PATCH_LEVEL:
      *value = CUBLAS_VER_PATCH;
      return CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

const char* CUBLASWINAPI cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_MAPPING_ERROR:
      return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_LICENSE_ERROR:
      return "CUBLAS_STATUS_LICENSE_ERROR";
  }
  return "CUBLAS_STATUS_UNKNOWN";
}

const char* CUBLASWINAPI cublasLtGetStatusString(cublasStatus_t status) {
  return cublasLtGetStatusName(status);
}

cublasStatus_t CUBLASWINAPI cublasLtHeuristicsCacheGetCapacity(size_t* capacity) {
  if (capacity == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *capacity = 8192;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtHeuristicsCacheSetCapacity(size_t) {
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
