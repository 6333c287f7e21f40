// See gemm_model.h.
#include "cublaslt/gemm_model.h"

#include <cublasLt.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace simgpu {
namespace {

struct TypeFacts {
  cudaDataType type;
  int bits;
  const char* text;
  bool complex;
};

constexpr TypeFacts kTypes[] = {
    {CUDA_R_16F, 16, "f16", false},       {CUDA_R_16BF, 16, "bf16", false},
    {CUDA_R_32F, 32, "f32", false},       {CUDA_R_64F, 64, "f64", false},
    {CUDA_C_32F, 64, "c32", true},        {CUDA_C_64F, 128, "c64", true},
    {CUDA_R_8I, 8, "i8", false},          {CUDA_R_32I, 32, "i32", false},
    {CUDA_R_8U, 8, "u8", false},          {CUDA_C_8I, 16, "ci8", true},
    {CUDA_R_8F_E4M3, 8, "f8e4m3", false}, {CUDA_R_8F_E5M2, 8, "f8e5m2", false},
    {CUDA_R_4F_E2M1, 4, "f4e2m1", false},
};

const TypeFacts* Facts(cudaDataType type) {
  for (const TypeFacts& facts : kTypes) {
    if (facts.type == type) return &facts;
  }
  return nullptr;
}

bool IsF8(cudaDataType type) { return type == CUDA_R_8F_E4M3 || type == CUDA_R_8F_E5M2; }

uint64_t BitsOf(int type) {
  const TypeFacts* facts = Facts(static_cast<cudaDataType>(type));
  return facts == nullptr ? 0 : static_cast<uint64_t>(facts->bits);
}

uint64_t BytesOf(uint64_t elements, int type) { return (elements * BitsOf(type) + 7) / 8; }

// Scale factors of one matrix of `vectors` rows or columns of `length` elements each, counted one
// by one as cublasLtMatmulMatrixScale_t describes them.
uint64_t ScaleBytesOf(int mode, uint64_t vectors, uint64_t length) {
  const auto blocks = [](uint64_t elements, uint64_t block) {
    uint64_t count = 0;
    for (uint64_t first = 0; first < elements; first += block) ++count;
    return count;
  };
  switch (mode) {
    case CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3:
      return vectors * blocks(length, 16);
    case CUBLASLT_MATMUL_MATRIX_SCALE_VEC32_UE8M0:
      return vectors * blocks(length, 32);
    case CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F:
      return vectors * 4;
    case CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F:
      return vectors * blocks(length, 128) * 4;
    case CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F:
      return blocks(vectors, 128) * blocks(length, 128) * 4;
    default:
      return 0;
  }
}

// All matrices of a batch, with their scales; a scalar is one for all.
uint64_t OperandBytes(uint64_t matrices, uint64_t vectors, uint64_t length, int type, int mode) {
  const uint64_t scalar = mode == CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F ? 4 : 0;
  return BytesOf(matrices * vectors * length, type) +
         matrices * ScaleBytesOf(mode, vectors, length) + scalar;
}

bool ValidOperation(cublasOperation_t operation) {
  return operation == CUBLAS_OP_N || operation == CUBLAS_OP_T || operation == CUBLAS_OP_C;
}

char LetterOf(cublasOperation_t operation) {
  return operation == CUBLAS_OP_N ? 'N' : operation == CUBLAS_OP_T ? 'T' : 'C';
}

}  // namespace

int BytesOf(cudaDataType type) {
  const TypeFacts* facts = Facts(type);
  return facts == nullptr ? 0 : (facts->bits + 7) / 8;
}

const char* TextOf(cudaDataType type) {
  const TypeFacts* facts = Facts(type);
  return facts == nullptr ? "unknown" : facts->text;
}

bool IsComplex(cudaDataType type) {
  const TypeFacts* facts = Facts(type);
  return facts != nullptr && facts->complex;
}

namespace {

constexpr int kKindOfMode = 3;  // bits above: emulation, and how reductions may be done

bool IsSetTo(const char* name, const char* value) {
  const char* found = std::getenv(name);
  return found != nullptr && std::strcmp(found, value) == 0;
}

}  // namespace

bool Tf32Allowed(int math_mode) {
  if (IsSetTo("NVIDIA_TF32_OVERRIDE", "0")) return false;
  return (math_mode & kKindOfMode) == CUBLAS_TF32_TENSOR_OP_MATH;
}

bool AsksForEmulation(const GemmCall& call, int math_mode) {
  if ((math_mode & kKindOfMode) == CUBLAS_PEDANTIC_MATH) {
    return call.compute == CUBLAS_COMPUTE_32F_EMULATED_16BFX9 ||
           call.compute == CUBLAS_COMPUTE_64F_EMULATED_FIXEDPOINT;
  }
  if (call.a_type == CUDA_R_32F || call.a_type == CUDA_C_32F) {
    return call.compute == CUBLAS_COMPUTE_32F_EMULATED_16BFX9 ||
           (call.compute == CUBLAS_COMPUTE_32F &&
            ((math_mode & CUBLAS_FP32_EMULATED_BF16X9_MATH) != 0 ||
             IsSetTo("CUBLAS_EMULATE_SINGLE_PRECISION", "1")));
  }
  if (call.a_type == CUDA_R_64F || call.a_type == CUDA_C_64F) {
    return call.compute == CUBLAS_COMPUTE_64F_EMULATED_FIXEDPOINT ||
           (call.compute == CUBLAS_COMPUTE_64F &&
            ((math_mode & CUBLAS_FP64_EMULATED_FIXEDPOINT_MATH) != 0 ||
             IsSetTo("CUBLAS_EMULATE_DOUBLE_PRECISION", "1")));
  }
  return false;
}

// The combinations of the cuBLAS documentation's tables for cublasGemmEx and cublasLtMatmul,
// thinned to the types above.
Format FormatOf(const GemmCall& call, bool tf32_math) {
  const cudaDataType a = call.a_type;
  const cudaDataType c = call.has_d ? call.d_type : call.c_type;
  const bool same = a == call.b_type;
  switch (call.compute) {
    case CUBLAS_COMPUTE_64F:
    case CUBLAS_COMPUTE_64F_PEDANTIC:
    case CUBLAS_COMPUTE_64F_EMULATED_FIXEDPOINT:
      if (same && a == c && (a == CUDA_R_64F || a == CUDA_C_64F)) return Format::kF64Tensor;
      return Format::kCount;
    case CUBLAS_COMPUTE_32I:
    case CUBLAS_COMPUTE_32I_PEDANTIC:
      if (same && a == CUDA_R_8I && (c == CUDA_R_32I || c == CUDA_R_8I)) return Format::kI8;
      return Format::kCount;
    case CUBLAS_COMPUTE_16F:
    case CUBLAS_COMPUTE_16F_PEDANTIC:
      return same && a == CUDA_R_16F && c == CUDA_R_16F ? Format::kF16 : Format::kCount;
    case CUBLAS_COMPUTE_32F:
    case CUBLAS_COMPUTE_32F_PEDANTIC:
    case CUBLAS_COMPUTE_32F_FAST_16F:
    case CUBLAS_COMPUTE_32F_FAST_16BF:
    case CUBLAS_COMPUTE_32F_FAST_TF32:
    case CUBLAS_COMPUTE_32F_EMULATED_16BFX9:
      break;
    default:
      return Format::kCount;
  }
  if (same && a == c && (a == CUDA_R_32F || a == CUDA_C_32F)) {
    switch (call.compute) {
      case CUBLAS_COMPUTE_32F_FAST_16F:
        return Format::kF16;
      case CUBLAS_COMPUTE_32F_FAST_16BF:
        return Format::kBf16;
      case CUBLAS_COMPUTE_32F_FAST_TF32:
        return IsSetTo("NVIDIA_TF32_OVERRIDE", "0") ? Format::kF32 : Format::kTf32;
      case CUBLAS_COMPUTE_32F:
        return tf32_math ? Format::kTf32 : Format::kF32;
      default:
        return Format::kF32;
    }
  }
  if (call.compute != CUBLAS_COMPUTE_32F && call.compute != CUBLAS_COMPUTE_32F_PEDANTIC) {
    return Format::kCount;
  }
  if (same && a == CUDA_R_16F && (c == a || c == CUDA_R_32F)) return Format::kF16;
  if (same && a == CUDA_R_16BF && (c == a || c == CUDA_R_32F)) return Format::kBf16;
  if (same && a == CUDA_R_8I && c == CUDA_R_32F) return Format::kI8;
  const bool is_f4 = same && a == CUDA_R_4F_E2M1;
  if (is_f4 && (c == CUDA_R_16F || c == CUDA_R_16BF || c == CUDA_R_32F || c == a)) {
    return Format::kF4;
  }
  if (IsF8(a) && IsF8(call.b_type) && !(a == CUDA_R_8F_E5M2 && same)) {
    if (c == CUDA_R_16F || c == CUDA_R_16BF || c == CUDA_R_32F || IsF8(c)) return Format::kF8;
  }
  return Format::kCount;
}

// A multiplication and an addition are two. A complex product is 4 + 2, its sum 2: eight; Gauss'
// form spends three real products of the matrices instead of four: six.
uint64_t FlopOf(const GemmCall& call) {
  const uint64_t per_term = !IsComplex(call.a_type) ? 2 : call.three_multiplications ? 6 : 8;
  return per_term * static_cast<uint64_t>(call.m) * static_cast<uint64_t>(call.n) *
         static_cast<uint64_t>(call.k) * static_cast<uint64_t>(call.batch);
}

uint64_t LeastBytesOf(const GemmCall& call) {
  const auto m = static_cast<uint64_t>(call.m);
  const auto n = static_cast<uint64_t>(call.n);
  const auto k = static_cast<uint64_t>(call.k);
  const auto batch = static_cast<uint64_t>(call.batch);
  const auto matrices = [&](int64_t stride) {
    return batch > 1 && stride == 0 && !call.pointer_array ? 1 : batch;
  };
  const GemmExtras& extras = call.extras;
  const int d_type = call.has_d ? call.d_type : call.c_type;
  uint64_t bytes = OperandBytes(matrices(call.stride_a), m, k, call.a_type, extras.scale_a) +
                   OperandBytes(matrices(call.stride_b), n, k, call.b_type, extras.scale_b) +
                   OperandBytes(batch, n, m, d_type, extras.scale_d);
  if (call.beta_use == Scalar::kNonzero) bytes += BytesOf(batch * m * n, call.c_type);
  if (extras.bias_type >= 0) {
    bytes += BytesOf(extras.epilogue == CUBLASLT_EPILOGUE_BGRADB ? n : m, extras.bias_type);
  }
  if (extras.aux_is_mask) {
    bytes += batch * n * ((m + 7) / 8);
  } else if (extras.aux_type >= 0) {
    bytes += BytesOf(batch * m * n, extras.aux_type);
  }
  return bytes;
}

Scalar ScalarAt(const void* value, cudaDataType type) {
  if (value == nullptr) return Scalar::kOnDevice;
  // Zero is all bits zero, but for the sign of each part.
  unsigned char bytes[16] = {};
  const auto size = static_cast<size_t>(BytesOf(type));
  std::memcpy(bytes, value, size);
  const size_t part = IsComplex(type) ? size / 2 : size;
  for (size_t i = 0; i < size; ++i) {
    const bool has_sign = type != CUDA_R_32I && i % part == part - 1;
    if ((bytes[i] & (has_sign ? 0x7f : 0xff)) != 0) return Scalar::kNonzero;
  }
  return Scalar::kZero;
}

// The documentation of cublasGemmEx: half products take half scalars, integer ones those of C's
// type (f32 for bytes), all others scalars of the compute type, complex if C is.
Scalar BetaOnHost(const void* beta, cublasComputeType_t compute, cudaDataType c) {
  switch (compute) {
    case CUBLAS_COMPUTE_16F:
    case CUBLAS_COMPUTE_16F_PEDANTIC:
      return ScalarAt(beta, CUDA_R_16F);
    case CUBLAS_COMPUTE_32I:
    case CUBLAS_COMPUTE_32I_PEDANTIC:
      return ScalarAt(beta, c == CUDA_R_32I ? CUDA_R_32I : CUDA_R_32F);
    case CUBLAS_COMPUTE_64F:
    case CUBLAS_COMPUTE_64F_PEDANTIC:
    case CUBLAS_COMPUTE_64F_EMULATED_FIXEDPOINT:
      return ScalarAt(beta, IsComplex(c) ? CUDA_C_64F : CUDA_R_64F);
    default:
      return ScalarAt(beta, IsComplex(c) ? CUDA_C_32F : CUDA_R_32F);
  }
}

const char* NameOf(Scalar scalar) {
  return scalar == Scalar::kZero ? "zero" : scalar == Scalar::kNonzero ? "nonzero" : "device";
}

bool ArgumentsValid(const GemmCall& call) {
  if (!ValidOperation(call.trans_a) || !ValidOperation(call.trans_b)) return false;
  if (call.m < 0 || call.n < 0 || call.k < 0 || call.batch < 0) return false;
  const int64_t rows_a = call.trans_a == CUBLAS_OP_N ? call.m : call.k;
  const int64_t rows_b = call.trans_b == CUBLAS_OP_N ? call.k : call.n;
  return call.lda >= std::max<int64_t>(1, rows_a) && call.ldb >= std::max<int64_t>(1, rows_b) &&
         call.ldc >= std::max<int64_t>(1, call.m);
}

cublasStatus_t EnqueueGemm(const GemmCall& call, Format format, cudaStream_t stream) {
  Api* api = FindApi();
  Work work;
  work.kind = OpKind::kGemm;
  work.function = CallerScope::Outermost(call.function);
  work.flop = FlopOf(call);
  work.bytes = LeastBytesOf(call);
  work.hardware_queue = true;
  const cudaDataType out = call.has_d ? call.d_type : call.c_type;
  char dims[256];
  std::snprintf(dims, sizeof dims,
                "m=%lld,n=%lld,k=%lld,batch=%lld,dtype=%s,out=%s,math=%s,ta=%c,tb=%c,compute=%d",
                static_cast<long long>(call.m), static_cast<long long>(call.n),
                static_cast<long long>(call.k), static_cast<long long>(call.batch),
                TextOf(call.a_type), TextOf(out), NameOf(format), LetterOf(call.trans_a),
                LetterOf(call.trans_b), static_cast<int>(call.compute));
  work.dims = std::string(dims) + ",beta=" + NameOf(call.beta_use);
  if (call.emulated) work.dims += ",emulated=yes";
  const GemmExtras& extras = call.extras;
  if (extras.epilogue != 0) {
    std::snprintf(
        dims, sizeof dims, ",b=%s,c=%s,scale_a=%d,scale_b=%d,scale_d=%d,epilogue=%u,bias=%s,aux=%s",
        TextOf(call.b_type), TextOf(call.c_type), extras.scale_a, extras.scale_b, extras.scale_d,
        extras.epilogue,
        extras.bias_type < 0 ? "none" : TextOf(static_cast<cudaDataType>(extras.bias_type)),
        extras.aux_is_mask    ? "mask"
        : extras.aux_type < 0 ? "none"
                              : TextOf(static_cast<cudaDataType>(extras.aux_type)));
    work.dims += dims;
  }
  work.duration_ns = api->GemmDuration(format, static_cast<uint64_t>(call.m),
                                       static_cast<uint64_t>(call.n), static_cast<uint64_t>(call.k),
                                       static_cast<uint64_t>(call.batch), work.flop, work.bytes);
  const CUstream handle = stream;
  return api->Enqueue(&handle, 1, std::move(work)) == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS
                                                                   : CUBLAS_STATUS_EXECUTION_FAILED;
}

// NameOf(Format) lives in the driver library; this one is for the BLAS libraries.
const char* NameOf(Format format) {
  static constexpr const char* kNames[] = {"f64",  "f64_tensor", "f32", "tf32", "f16",
                                           "bf16", "f8",         "i8",  "f4"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kFormats);
  return kNames[static_cast<int>(format)];
}

}  // namespace simgpu
