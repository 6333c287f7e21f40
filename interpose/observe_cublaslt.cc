// Reads cublasLtMatmul back from its descriptors, with the public Get functions of the library that
// is being called (about 5 ns each). Nothing is tracked when descriptors are made: those that the
// Init functions build on the stack never pass through a function at all.
#include <cublasLt.h>

#include "interpose/observe.h"
#include "interpose/observe_types.h"

namespace mfutrace::interpose::observe {
namespace {

using shapes::BetaUse;
using shapes::Dtype;
using shapes::Transpose;

using LayoutGetter = decltype(&::cublasLtMatrixLayoutGetAttribute);
using DescriptionGetter = decltype(&::cublasLtMatmulDescGetAttribute);

// CUBLASLT_MATRIX_LAYOUT_BATCH_MODE and its values, by number: cuBLAS 13. Other modes keep their
// dimensions on the device (grouped layouts, cuBLAS 13.3).
constexpr auto kLayoutBatchMode = static_cast<cublasLtMatrixLayoutAttribute_t>(8);
constexpr uint32_t kBatchStrided = 0;
constexpr uint32_t kBatchPointerArray = 1;

struct Layout {
  Dtype dtype = Dtype::kUnknown;
  uint64_t rows = 0;
  uint64_t cols = 0;
  int32_t batch = 1;
  int64_t batch_stride = 0;
  uint32_t batch_mode = kBatchStrided;
};

template <typename Value>
bool ReadAttribute(LayoutGetter get, Pointer layout, cublasLtMatrixLayoutAttribute_t attribute,
                   Value* value) {
  size_t written = 0;
  return get(static_cast<cublasLtMatrixLayout_t>(const_cast<void*>(layout)), attribute, value,
             sizeof(*value), &written) == CUBLAS_STATUS_SUCCESS;
}

template <typename Value>
bool ReadAttribute(DescriptionGetter get, Pointer description,
                   cublasLtMatmulDescAttributes_t attribute, Value* value) {
  size_t written = 0;
  return get(static_cast<cublasLtMatmulDesc_t>(const_cast<void*>(description)), attribute, value,
             sizeof(*value), &written) == CUBLAS_STATUS_SUCCESS;
}

bool ReadLayout(LayoutGetter get, Pointer pointer, Layout* layout) {
  if (pointer == nullptr) return false;
  uint32_t type = 0;
  if (!ReadAttribute(get, pointer, CUBLASLT_MATRIX_LAYOUT_TYPE, &type) ||
      !ReadAttribute(get, pointer, CUBLASLT_MATRIX_LAYOUT_ROWS, &layout->rows) ||
      !ReadAttribute(get, pointer, CUBLASLT_MATRIX_LAYOUT_COLS, &layout->cols) ||
      !ReadAttribute(get, pointer, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &layout->batch)) {
    return false;
  }
  layout->dtype = DtypeOfCuda(static_cast<int>(type));
  // Unknown to libraries before 13, whose batches are all strided.
  if (!ReadAttribute(get, pointer, kLayoutBatchMode, &layout->batch_mode)) {
    layout->batch_mode = kBatchStrided;
  }
  if (layout->batch_mode > kBatchPointerArray || layout->batch < 1) return false;
  return layout->batch == 1 ||
         ReadAttribute(get, pointer, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                       &layout->batch_stride);
}

bool IsBroadcast(const Layout& layout) {
  return layout.batch > 1 && layout.batch_mode == kBatchStrided && layout.batch_stride == 0;
}

BetaUse ReadBeta(int32_t pointer_mode, Pointer beta, Dtype scale) {
  switch (pointer_mode) {
    case CUBLASLT_POINTER_MODE_HOST:
    case CUBLASLT_POINTER_MODE_ALPHA_DEVICE_VECTOR_BETA_HOST:
      return BetaAt(beta, scale);
    case CUBLASLT_POINTER_MODE_ALPHA_DEVICE_VECTOR_BETA_ZERO:
      return BetaUse::kZero;
    default:
      return BetaUse::kUnknown;
  }
}

}  // namespace

bool ReadLtMatmul(const VendorLibrary& library, const LtMatmulArguments& arguments,
                  shapes::Gemm* gemm, uint32_t* compute_code) {
  const auto get_layout =
      reinterpret_cast<LayoutGetter>(library.Get(Getter::k_cublasLtMatrixLayoutGetAttribute));
  const auto get_description =
      reinterpret_cast<DescriptionGetter>(library.Get(Getter::k_cublasLtMatmulDescGetAttribute));
  if (get_layout == nullptr || get_description == nullptr || arguments.description == nullptr) {
    return false;
  }
  Layout a;
  Layout b;
  Layout d;
  int32_t compute = 0;
  int32_t op_a = 0;
  int32_t op_b = 0;
  int32_t scale = 0;
  int32_t pointer_mode = 0;
  if (!ReadLayout(get_layout, arguments.layout_a, &a) ||
      !ReadLayout(get_layout, arguments.layout_b, &b) ||
      !ReadLayout(get_layout, arguments.layout_d, &d) ||
      !ReadAttribute(get_description, arguments.description, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE,
                     &compute) ||
      !ReadAttribute(get_description, arguments.description, CUBLASLT_MATMUL_DESC_TRANSA, &op_a) ||
      !ReadAttribute(get_description, arguments.description, CUBLASLT_MATMUL_DESC_TRANSB, &op_b) ||
      !ReadAttribute(get_description, arguments.description, CUBLASLT_MATMUL_DESC_SCALE_TYPE,
                     &scale) ||
      !ReadAttribute(get_description, arguments.description, CUBLASLT_MATMUL_DESC_POINTER_MODE,
                     &pointer_mode)) {
    return false;
  }
  // C's layout matters for its format alone; without beta it may be missing.
  uint32_t type_c = 0;
  const bool has_c =
      arguments.layout_c != nullptr &&
      ReadAttribute(get_layout, arguments.layout_c, CUBLASLT_MATRIX_LAYOUT_TYPE, &type_c);

  *gemm = {};
  gemm->m = d.rows;
  gemm->n = d.cols;
  gemm->op_a = TransposeOf(op_a);
  gemm->op_b = TransposeOf(op_b);
  if (gemm->op_a == Transpose::kUnknown) return false;
  gemm->k = gemm->op_a == Transpose::kNo ? a.cols : a.rows;
  gemm->batch = static_cast<uint64_t>(d.batch);
  gemm->a = a.dtype;
  gemm->b = b.dtype;
  gemm->c = has_c ? DtypeOfCuda(static_cast<int>(type_c)) : d.dtype;
  gemm->d = d.dtype;
  gemm->a_is_broadcast = IsBroadcast(a);
  gemm->b_is_broadcast = IsBroadcast(b);
  const Arithmetic arithmetic = ArithmeticOf(compute, a.dtype, 0);
  gemm->accumulate = arithmetic.accumulate;
  gemm->math = arithmetic.math;
  gemm->beta = ReadBeta(pointer_mode, arguments.beta, DtypeOfCuda(scale));
  *compute_code = static_cast<uint32_t>(compute);
  return true;
}

void LtMatmul::Before(HookedCall& call, Pointer, Pointer description, Pointer, Pointer,
                      Pointer layout_a, Pointer, Pointer layout_b, Pointer beta, Pointer,
                      Pointer layout_c, Pointer, Pointer layout_d, Pointer, Pointer, int64_t,
                      Pointer stream) {
  shapes::Gemm gemm;
  uint32_t compute_code = 0;
  uint32_t signature = 0;
  if (ReadLtMatmul(*call.library, {description, beta, layout_a, layout_b, layout_c, layout_d},
                   &gemm, &compute_code)) {
    signature = InternGemm(gemm, compute_code, call.entry, shapes::Provenance::kExact);
  } else {
    Count(Counter::kUnreadableLayouts);
    signature = InternOpaque(call.entry, "descriptors not readable");
  }
  Begin(call, signature, const_cast<void*>(stream));
}

}  // namespace mfutrace::interpose::observe
