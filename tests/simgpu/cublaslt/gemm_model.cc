// See gemm_model.h.
#include "cublaslt/gemm_model.h"

#include <algorithm>
#include <cstdio>

namespace simgpu {
namespace {

struct TypeFacts {
  cudaDataType type;
  int bytes;
  const char* text;
  bool complex;
};

constexpr TypeFacts kTypes[] = {
    {CUDA_R_16F, 2, "f16", false},        {CUDA_R_16BF, 2, "bf16", false},
    {CUDA_R_32F, 4, "f32", false},        {CUDA_R_64F, 8, "f64", false},
    {CUDA_C_32F, 8, "c32", true},         {CUDA_C_64F, 16, "c64", true},
    {CUDA_R_8I, 1, "i8", false},          {CUDA_R_32I, 4, "i32", false},
    {CUDA_R_8U, 1, "u8", false},          {CUDA_C_8I, 2, "ci8", true},
    {CUDA_R_8F_E4M3, 1, "f8e4m3", false}, {CUDA_R_8F_E5M2, 1, "f8e5m2", false},
};

const TypeFacts* Facts(cudaDataType type) {
  for (const TypeFacts& facts : kTypes) {
    if (facts.type == type) return &facts;
  }
  return nullptr;
}

bool IsF8(cudaDataType type) { return type == CUDA_R_8F_E4M3 || type == CUDA_R_8F_E5M2; }

bool ValidOperation(cublasOperation_t operation) {
  return operation == CUBLAS_OP_N || operation == CUBLAS_OP_T || operation == CUBLAS_OP_C;
}

char LetterOf(cublasOperation_t operation) {
  return operation == CUBLAS_OP_N ? 'N' : operation == CUBLAS_OP_T ? 'T' : 'C';
}

}  // namespace

int BytesOf(cudaDataType type) {
  const TypeFacts* facts = Facts(type);
  return facts == nullptr ? 0 : facts->bytes;
}

const char* TextOf(cudaDataType type) {
  const TypeFacts* facts = Facts(type);
  return facts == nullptr ? "unknown" : facts->text;
}

bool IsComplex(cudaDataType type) {
  const TypeFacts* facts = Facts(type);
  return facts != nullptr && facts->complex;
}

// The combinations of the cuBLAS documentation's tables for cublasGemmEx and cublasLtMatmul,
// thinned to the types above.
Format FormatOf(const GemmCall& call, bool tf32_math) {
  const cudaDataType a = call.a_type;
  const cudaDataType c = call.c_type;
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
        return Format::kTf32;
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

// Each operand once, C written and not read.
uint64_t LeastBytesOf(const GemmCall& call) {
  const auto m = static_cast<uint64_t>(call.m);
  const auto n = static_cast<uint64_t>(call.n);
  const auto k = static_cast<uint64_t>(call.k);
  return static_cast<uint64_t>(call.batch) * (m * k * static_cast<uint64_t>(BytesOf(call.a_type)) +
                                              k * n * static_cast<uint64_t>(BytesOf(call.b_type)) +
                                              m * n * static_cast<uint64_t>(BytesOf(call.c_type)));
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
  char dims[256];
  std::snprintf(dims, sizeof dims,
                "m=%lld,n=%lld,k=%lld,batch=%lld,dtype=%s,out=%s,math=%s,ta=%c,tb=%c,compute=%d",
                static_cast<long long>(call.m), static_cast<long long>(call.n),
                static_cast<long long>(call.k), static_cast<long long>(call.batch),
                TextOf(call.a_type), TextOf(call.c_type), NameOf(format), LetterOf(call.trans_a),
                LetterOf(call.trans_b), static_cast<int>(call.compute));
  work.dims = dims;
  work.duration_ns = api->GemmDuration(format, static_cast<uint64_t>(call.m),
                                       static_cast<uint64_t>(call.n), static_cast<uint64_t>(call.k),
                                       static_cast<uint64_t>(call.batch), work.flop, work.bytes);
  const CUstream handle = stream;
  return api->Enqueue(&handle, 1, std::move(work)) == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS
                                                                   : CUBLAS_STATUS_EXECUTION_FAILED;
}

// NameOf(Format) lives in the driver library; this one is for the BLAS libraries.
const char* NameOf(Format format) {
  static constexpr const char* kNames[] = {"f64", "f64_tensor", "f32", "tf32",
                                           "f16", "bf16",       "f8",  "i8"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kFormats);
  return kNames[static_cast<int>(format)];
}

}  // namespace simgpu
