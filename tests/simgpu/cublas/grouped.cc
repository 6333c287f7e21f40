// libcublas.so.13: products of several shapes in one call, and the one of bytes with a bias. The
// shapes of a grouped call are host arrays, so that the log can name them all:
// groups=MxNxKxCOUNT/...
#include <string>
#include <utility>
#include <vector>

#include "cublas/gemm.h"
#include "cublas/routine.h"

namespace {

using simgpu::GemmCall;

template <typename Index>
struct Groups {
  const cublasOperation_t* op_a;
  const cublasOperation_t* op_b;
  const Index* m;
  const Index* n;
  const Index* k;
  const Index* lda;
  const Index* ldb;
  const Index* ldc;
  Index count;
  const Index* sizes;
};

// One launch for all groups: durations add up, as if the groups filled the device in turn.
template <typename Index>
cublasStatus_t Run(const char* function, cublasHandle_t raw_handle, const Groups<Index>& groups,
                   cudaDataType a_type, cudaDataType b_type, cudaDataType c_type,
                   cublasComputeType_t compute) {
  simgpu::BlasHandle* handle = simgpu::Find(raw_handle);
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  simgpu::Api* api = simgpu::FindApi();
  if (api->ShouldFail(function)) return CUBLAS_STATUS_EXECUTION_FAILED;
  if (groups.count < 0) return CUBLAS_STATUS_INVALID_VALUE;
  const bool tf32 = simgpu::Tf32Allowed(handle->math_mode);
  simgpu::Work work;
  std::string list;
  int64_t products = 0;
  const char* math = "";
  for (Index i = 0; i < groups.count; ++i) {
    GemmCall call;
    call.trans_a = groups.op_a[i];
    call.trans_b = groups.op_b[i];
    call.m = groups.m[i];
    call.n = groups.n[i];
    call.k = groups.k[i];
    call.batch = groups.sizes[i];
    call.lda = groups.lda[i];
    call.ldb = groups.ldb[i];
    call.ldc = groups.ldc[i];
    call.a_type = a_type;
    call.b_type = b_type;
    call.c_type = c_type;
    call.compute = compute;
    call.pointer_array = true;
    if (!simgpu::ArgumentsValid(call)) return CUBLAS_STATUS_INVALID_VALUE;
    const simgpu::Format format = simgpu::FormatOf(call, tf32);
    if (format == simgpu::Format::kCount) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (api->settings().device.peak_flop_per_s[static_cast<int>(format)] <= 0) {
      return CUBLAS_STATUS_ARCH_MISMATCH;
    }
    math = simgpu::NameOf(format);
    const auto extent = [](int64_t value) { return static_cast<uint64_t>(value); };
    const uint64_t flop = simgpu::FlopOf(call);
    const uint64_t bytes = simgpu::LeastBytesOf(call);
    work.flop += flop;
    work.bytes += bytes;
    work.duration_ns += api->GemmDuration(format, extent(call.m), extent(call.n), extent(call.k),
                                          extent(call.batch), flop, bytes);
    products += call.batch;
    list += (list.empty() ? "" : "/") + std::to_string(call.m) + "x" + std::to_string(call.n) +
            "x" + std::to_string(call.k) + "x" + std::to_string(call.batch);
  }
  if (products == 0) return CUBLAS_STATUS_SUCCESS;
  work.kind = simgpu::OpKind::kGemm;
  work.function = simgpu::CallerScope::Outermost(function);
  work.hardware_queue = true;
  work.dims = "groups=" + list + ",batch=" + std::to_string(products) +
              ",dtype=" + simgpu::TextOf(a_type) + ",out=" + simgpu::TextOf(c_type) +
              ",math=" + math + ",compute=" + std::to_string(compute);
  const CUstream stream = handle->stream;
  return api->Enqueue(&stream, 1, std::move(work)) == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS
                                                                   : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace

#define SIM_GROUPED(name, T, type, compute, index)                                             \
  cublasStatus_t CUBLASWINAPI name(                                                            \
      cublasHandle_t handle, const cublasOperation_t op_a[], const cublasOperation_t op_b[],   \
      const index m[], const index n[], const index k[], const T[], const T* const[],          \
      const index lda[], const T* const[], const index ldb[], const T[], T* const[],           \
      const index ldc[], index count, const index sizes[]) {                                   \
    return Run<index>(#name, handle, {op_a, op_b, m, n, k, lda, ldb, ldc, count, sizes}, type, \
                      type, type, compute);                                                    \
  }
#define SIM_GROUPED_EX(name, index)                                                              \
  cublasStatus_t CUBLASWINAPI name(                                                              \
      cublasHandle_t handle, const cublasOperation_t op_a[], const cublasOperation_t op_b[],     \
      const index m[], const index n[], const index k[], const void*, const void* const[],       \
      cudaDataType_t a_type, const index lda[], const void* const[], cudaDataType_t b_type,      \
      const index ldb[], const void*, void* const[], cudaDataType_t c_type, const index ldc[],   \
      index count, const index sizes[], cublasComputeType_t compute) {                           \
    return Run<index>(#name, handle, {op_a, op_b, m, n, k, lda, ldb, ldc, count, sizes}, a_type, \
                      b_type, c_type, compute);                                                  \
  }

extern "C" {

SIM_GROUPED(cublasSgemmGroupedBatched, float, CUDA_R_32F, CUBLAS_COMPUTE_32F, int)
SIM_GROUPED(cublasSgemmGroupedBatched_64, float, CUDA_R_32F, CUBLAS_COMPUTE_32F, int64_t)
SIM_GROUPED(cublasDgemmGroupedBatched, double, CUDA_R_64F, CUBLAS_COMPUTE_64F, int)
SIM_GROUPED(cublasDgemmGroupedBatched_64, double, CUDA_R_64F, CUBLAS_COMPUTE_64F, int64_t)
SIM_GROUPED_EX(cublasGemmGroupedBatchedEx, int)
SIM_GROUPED_EX(cublasGemmGroupedBatchedEx_64, int64_t)

// Unsigned bytes; the real library hands this to the public cublasLtMatmul, of which the log would
// not tell.
cublasStatus_t CUBLASWINAPI cublasUint8gemmBias(cublasHandle_t handle, cublasOperation_t op_a,
                                                cublasOperation_t op_b, cublasOperation_t op_c,
                                                int m, int n, int k, const unsigned char*, int,
                                                int lda, const unsigned char*, int, int ldb,
                                                unsigned char*, int, int ldc, int, int) {
  simgpu::RoutineCall call("cublasUint8gemmBias", simgpu::Routine::kGemm, CUDA_R_8U);
  call.Operation(op_a).Operation(op_b).Operation(op_c).Size(m, n, k);
  call.Operand(lda, op_a == CUBLAS_OP_N ? m : k, int64_t{m} * k);
  call.Operand(ldb, op_b == CUBLAS_OP_N ? k : n, int64_t{k} * n);
  return call.Operand(ldc, m, int64_t{m} * n).Run(handle);
}

}  // extern "C"
