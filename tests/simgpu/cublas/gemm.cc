// libcublas.so.13: the common path of its GEMMs, and the call into the public cublasLtMatmul.
//
// The nested call goes through the PLT on purpose: a tool that intercepts both libraries sees both,
// and one that counts both counts double.
#include "cublas/gemm.h"

#include <cublasLt.h>

namespace simgpu {
namespace {

cublasStatus_t ThroughLt(BlasHandle* handle, const GemmCall& call) {
  cublasLtMatmulDescOpaque_t desc;
  cublasLtMatrixLayoutOpaque_t a;
  cublasLtMatrixLayoutOpaque_t b;
  cublasLtMatrixLayoutOpaque_t c;
  const bool has_half_scalars =
      call.compute == CUBLAS_COMPUTE_16F || call.compute == CUBLAS_COMPUTE_16F_PEDANTIC;
  cublasLtMatmulDescInit(&desc, call.compute, has_half_scalars ? CUDA_R_16F : CUDA_R_32F);
  const cublasOperation_t trans_a = call.trans_a;
  const cublasOperation_t trans_b = call.trans_b;
  cublasLtMatmulDescSetAttribute(&desc, CUBLASLT_MATMUL_DESC_TRANSA, &trans_a, sizeof trans_a);
  cublasLtMatmulDescSetAttribute(&desc, CUBLASLT_MATMUL_DESC_TRANSB, &trans_b, sizeof trans_b);
  const auto extent = [](int64_t value) { return static_cast<uint64_t>(value); };
  const bool flip_a = trans_a != CUBLAS_OP_N;
  const bool flip_b = trans_b != CUBLAS_OP_N;
  cublasLtMatrixLayoutInit(&a, call.a_type, extent(flip_a ? call.k : call.m),
                           extent(flip_a ? call.m : call.k), call.lda);
  cublasLtMatrixLayoutInit(&b, call.b_type, extent(flip_b ? call.n : call.k),
                           extent(flip_b ? call.k : call.n), call.ldb);
  cublasLtMatrixLayoutInit(&c, call.c_type, extent(call.m), extent(call.n), call.ldc);
  const auto batch = static_cast<int32_t>(call.batch);
  const auto set = [batch](cublasLtMatrixLayout_t layout, int64_t stride) {
    cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch,
                                     sizeof batch);
    cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
                                     sizeof stride);
  };
  set(&a, call.stride_a);
  set(&b, call.stride_b);
  set(&c, call.stride_c);
  const auto pointer_mode = static_cast<int32_t>(handle->pointer_mode);
  cublasLtMatmulDescSetAttribute(&desc, CUBLASLT_MATMUL_DESC_POINTER_MODE, &pointer_mode,
                                 sizeof pointer_mode);
  const CallerScope caller(call.function);
  return cublasLtMatmul(reinterpret_cast<cublasLtHandle_t>(handle), &desc, call.alpha, call.a, &a,
                        call.b, &b, call.beta, call.c, &c, call.c, &c, nullptr, nullptr, 0,
                        handle->stream);
}

bool IsHalf(cudaDataType type) { return type == CUDA_R_16F || type == CUDA_R_16BF; }

}  // namespace

cublasStatus_t RunGemm(cublasHandle_t raw_handle, const GemmCall& asked, bool may_nest) {
  BlasHandle* handle = Find(raw_handle);
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  GemmCall call = asked;
  if (handle->pointer_mode == CUBLAS_POINTER_MODE_HOST) {
    call.beta_use = BetaOnHost(call.beta, call.compute, call.c_type);
  }
  if (FindApi()->ShouldFail(call.function)) return CUBLAS_STATUS_EXECUTION_FAILED;
  if (!ArgumentsValid(call)) return CUBLAS_STATUS_INVALID_VALUE;
  if (call.m == 0 || call.n == 0 || call.batch == 0) return CUBLAS_STATUS_SUCCESS;
  if (call.alpha == nullptr || call.beta == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  call.emulated = AsksForEmulation(call, handle->math_mode);
  const Format format = FormatOf(call, Tf32Allowed(handle->math_mode));
  if (format == Format::kCount) return CUBLAS_STATUS_NOT_SUPPORTED;
  const Settings& settings = FindApi()->settings();
  if (settings.device.peak_flop_per_s[static_cast<int>(format)] <= 0)
    return CUBLAS_STATUS_ARCH_MISMATCH;
  const bool addressed = call.a != nullptr && call.b != nullptr && call.c != nullptr;
  if (may_nest && settings.nested_gemm && addressed && IsHalf(call.a_type) && call.k > 0) {
    return ThroughLt(handle, call);
  }
  return EnqueueGemm(call, format, handle->stream);
}

}  // namespace simgpu
