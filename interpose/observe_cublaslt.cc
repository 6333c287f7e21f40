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
using shapes::MathMode;
using shapes::ScaleMode;
using shapes::Transpose;

// Attributes and values that older headers lack, by number (cublasLt.h of cuBLAS 13.1). A library
// that does not know one answers CUBLAS_STATUS_INVALID_VALUE, which reads here as "not set".
constexpr int kLayoutBatchMode = 8;
constexpr int kScaleModeA = 31;
constexpr int kScaleModeB = 32;
constexpr int kScaleModeD = 34;
constexpr int kScalePointerDOut = 36;
constexpr int kScaleModeDOut = 37;
constexpr int kEmulationDescriptor = 38;

// Other batch modes keep their dimensions on the device (grouped layouts, cuBLAS 13.3).
constexpr uint32_t kBatchStrided = 0;
constexpr uint32_t kBatchPointerArray = 1;
// CUBLASLT_ORDER_COL32_2R_4R4. Rows and columns mean the same in all orders up to it; what a later
// one means is not known.
constexpr int32_t kLastKnownOrder = 4;

// Scale modes of the vendor are ours less one (op.h), up to this one.
constexpr int32_t kLastScaleMode = 6;

// Bits of cublasLtEpilogue_t: its values are sums of these.
constexpr uint32_t kEpilogueRelu = 2 | 8;               // forward, gradient: aux is a bit mask
constexpr uint32_t kEpilogueBias = 4 | 16 | 256 | 512;  // bias, or a gradient of it, is there
constexpr uint32_t kEpilogueAux = 128;

// A descriptor and the function of its library that reads it.
struct Descriptor {
  using Get = cublasStatus_t (*)(const void*, int, void*, size_t, size_t*);
  Get get;
  Pointer pointer;

  template <typename Value>
  bool Read(int attribute, Value* value) const {
    return ReadBytes(attribute, value, sizeof(*value));
  }
  // What an attribute holds, or `absent` where the library does not know it.
  template <typename Value>
  Value ReadOr(int attribute, Value absent) const {
    Value value = absent;
    return ReadBytes(attribute, &value, sizeof(value)) ? value : absent;
  }
  [[gnu::noinline]] bool ReadBytes(int attribute, void* value, size_t bytes) const {
    size_t written = 0;
    return get(pointer, attribute, value, bytes, &written) == CUBLAS_STATUS_SUCCESS;
  }
};

struct Layout {
  Dtype dtype = Dtype::kUnknown;
  uint64_t rows = 0;
  uint64_t cols = 0;
  int32_t batch = 1;
  int64_t batch_stride = 0;
  uint32_t batch_mode = kBatchStrided;
};

// Planar complex layouts need nothing of their own: rows, columns and type are those of the complex
// matrix, wherever its imaginary half lies.
bool ReadLayout(const Descriptor& descriptor, Layout* layout) {
  if (descriptor.pointer == nullptr) return false;
  uint32_t type = 0;
  if (!descriptor.Read(CUBLASLT_MATRIX_LAYOUT_TYPE, &type) ||
      !descriptor.Read(CUBLASLT_MATRIX_LAYOUT_ROWS, &layout->rows) ||
      !descriptor.Read(CUBLASLT_MATRIX_LAYOUT_COLS, &layout->cols) ||
      !descriptor.Read(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &layout->batch)) {
    return false;
  }
  layout->dtype = DtypeOfCuda(static_cast<int>(type));
  const int32_t order = descriptor.ReadOr(CUBLASLT_MATRIX_LAYOUT_ORDER, int32_t{0});
  layout->batch_mode = descriptor.ReadOr(kLayoutBatchMode, kBatchStrided);
  if (order < 0 || order > kLastKnownOrder || layout->batch_mode > kBatchPointerArray ||
      layout->batch < 1) {
    return false;
  }
  return layout->batch == 1 ||
         descriptor.Read(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &layout->batch_stride);
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

// The vendor's 0 is the default and means a scalar; whether there is one, the pointer tells.
ScaleMode ReadScale(const Descriptor& matmul, int mode_attribute, int pointer_attribute) {
  const int32_t mode = matmul.ReadOr(mode_attribute, int32_t{0});
  if (mode == 0) {
    const void* scale = matmul.ReadOr<const void*>(pointer_attribute, nullptr);
    return scale == nullptr ? ScaleMode::kNone : ScaleMode::kScalar;
  }
  if (mode < 0 || mode > kLastScaleMode) return ScaleMode::kUnknown;
  return static_cast<ScaleMode>(mode + 1);
}

// FP8, FP6, FP4: the formats that may have scales. Calls with others are spared eight questions.
bool IsNarrow(Dtype dtype) { return dtype >= Dtype::kF8E4M3 && dtype <= Dtype::kF4E2M1; }

void ReadScales(const Descriptor& matmul, shapes::Gemm* gemm) {
  if (!IsNarrow(gemm->a) && !IsNarrow(gemm->b) && !IsNarrow(gemm->d)) return;
  gemm->scale_a = ReadScale(matmul, kScaleModeA, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER);
  gemm->scale_b = ReadScale(matmul, kScaleModeB, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER);
  // Scales that the call writes beside D, else those it is given for D.
  gemm->scale_d = ReadScale(matmul, kScaleModeDOut, kScalePointerDOut);
  if (gemm->scale_d == ScaleMode::kNone) {
    gemm->scale_d = ReadScale(matmul, kScaleModeD, CUBLASLT_MATMUL_DESC_D_SCALE_POINTER);
  }
}

// Format of a bias that nobody gave one (cublasLt.h, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, and the
// tables under cublasLtMatmul in the cuBLAS documentation): D's, but alpha's for products of
// integers that store i8, and a 16-bit one for FP8 products whose D is not 16-bit.
Dtype DefaultBias(const shapes::Gemm& gemm, Dtype scale) {
  if (gemm.accumulate == Dtype::kI32) return gemm.d == Dtype::kI8 ? scale : gemm.d;
  if (!IsNarrow(gemm.a) || gemm.d == Dtype::kF16 || gemm.d == Dtype::kBf16) return gemm.d;
  return gemm.c == Dtype::kF16 ? Dtype::kF16 : Dtype::kBf16;
}

void ReadEpilogue(const Descriptor& matmul, Dtype scale, shapes::Gemm* gemm) {
  const auto epilogue =
      matmul.ReadOr(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{CUBLASLT_EPILOGUE_DEFAULT});
  gemm->epilogue = static_cast<uint16_t>(epilogue);
  if ((epilogue & kEpilogueBias) != 0) {
    const int32_t type = matmul.ReadOr(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, int32_t{-1});
    gemm->bias = type >= 0 ? DtypeOfCuda(type) : DefaultBias(*gemm, scale);
  }
  if ((epilogue & kEpilogueAux) != 0) {
    const int32_t type = matmul.ReadOr(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, int32_t{-1});
    gemm->aux = (epilogue & kEpilogueRelu) != 0 ? Dtype::kBool
                : type >= 0                     ? DtypeOfCuda(type)
                                                : gemm->d;
  }
}

// An emulation descriptor belongs to an emulated compute type (NVIDIA's LtDgemmEmulated sample).
// Whether it turns emulation on beside a plain one is not documented: the product is flagged, since
// it may run faster than the native peak. Its count is the same.
MathMode MathOf(const Descriptor& matmul, MathMode math, Dtype operand) {
  if (math != MathMode::kDefault) return math;
  const bool is_f32 = operand == Dtype::kF32 || operand == Dtype::kC32F32;
  const bool is_f64 = operand == Dtype::kF64 || operand == Dtype::kC64F64;
  if (!is_f32 && !is_f64) return math;
  if (matmul.ReadOr<const void*>(kEmulationDescriptor, nullptr) == nullptr) return math;
  return is_f32 ? MathMode::kEmulatedBf16x9 : MathMode::kEmulatedFixedPoint;
}

}  // namespace

bool ReadLtMatmul(const VendorLibrary& library, const LtMatmulArguments& arguments,
                  shapes::Gemm* gemm, uint32_t* compute_code) {
  const auto get_layout =
      reinterpret_cast<Descriptor::Get>(library.Get(Getter::k_cublasLtMatrixLayoutGetAttribute));
  const Descriptor matmul = {
      reinterpret_cast<Descriptor::Get>(library.Get(Getter::k_cublasLtMatmulDescGetAttribute)),
      arguments.description};
  if (get_layout == nullptr || matmul.get == nullptr || matmul.pointer == nullptr) return false;
  Layout a;
  Layout b;
  Layout d;
  int32_t compute = 0;
  int32_t op_a = 0;
  int32_t op_b = 0;
  int32_t scale = 0;
  int32_t pointer_mode = 0;
  if (!ReadLayout({get_layout, arguments.layout_a}, &a) ||
      !ReadLayout({get_layout, arguments.layout_b}, &b) ||
      !ReadLayout({get_layout, arguments.layout_d}, &d) ||
      !matmul.Read(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, &compute) ||
      !matmul.Read(CUBLASLT_MATMUL_DESC_TRANSA, &op_a) ||
      !matmul.Read(CUBLASLT_MATMUL_DESC_TRANSB, &op_b) ||
      !matmul.Read(CUBLASLT_MATMUL_DESC_SCALE_TYPE, &scale) ||
      !matmul.Read(CUBLASLT_MATMUL_DESC_POINTER_MODE, &pointer_mode)) {
    return false;
  }
  // C's layout matters for its format alone; without beta it may be missing.
  uint32_t type_c = 0;
  const bool has_c =
      arguments.layout_c != nullptr &&
      Descriptor{get_layout, arguments.layout_c}.Read(CUBLASLT_MATRIX_LAYOUT_TYPE, &type_c);

  *gemm = {};
  gemm->op_a = TransposeOf(op_a);
  gemm->op_b = TransposeOf(op_b);
  if (gemm->op_a == Transpose::kUnknown || gemm->op_b == Transpose::kUnknown) return false;
  const bool is_a_plain = gemm->op_a == Transpose::kNo;
  const bool is_b_plain = gemm->op_b == Transpose::kNo;
  gemm->m = d.rows;
  gemm->n = d.cols;
  gemm->k = is_a_plain ? a.cols : a.rows;
  gemm->batch = static_cast<uint64_t>(d.batch);
  // Layouts that contradict each other describe no product: either the call is about to fail, or
  // they mean something that is not known here.
  if ((is_a_plain ? a.rows : a.cols) != gemm->m || (is_b_plain ? b.cols : b.rows) != gemm->n ||
      (is_b_plain ? b.rows : b.cols) != gemm->k || a.batch != d.batch || b.batch != d.batch) {
    return false;
  }
  gemm->a = a.dtype;
  gemm->b = b.dtype;
  gemm->c = has_c ? DtypeOfCuda(static_cast<int>(type_c)) : d.dtype;
  gemm->d = d.dtype;
  gemm->a_is_broadcast = IsBroadcast(a);
  gemm->b_is_broadcast = IsBroadcast(b);
  const Arithmetic arithmetic = ArithmeticOf(compute, a.dtype, 0);
  gemm->accumulate = arithmetic.accumulate;
  gemm->math = MathOf(matmul, arithmetic.math, a.dtype);
  const Dtype scalar = DtypeOfCuda(scale);
  gemm->beta = ReadBeta(pointer_mode, arguments.beta, scalar);
  ReadScales(matmul, gemm);
  ReadEpilogue(matmul, scalar, gemm);
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
