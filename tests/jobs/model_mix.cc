// One step of a made-up model that uses all of the libraries: convolutions by graph and by the
// older interface, an LSTM, attention forward and backward, a grouped product of cuBLAS, an FP8
// product of cuBLASLt.
#include <cublasLt.h>
#include <cublas_v2.h>

#include "cudnn_legacy.h"
#include "cudnn_sdpa.h"

namespace {

using jobs::Check;

constexpr float kOne = 1;
constexpr float kZero = 0;

void ConvolutionGraph(cudnnHandle_t handle, cudnnBackendDescriptorType_t kind) {
  jobs::Graph graph(handle);
  graph.Convolve(kind, graph.Real({4, 64, 30, 28}), graph.Real({96, 64, 3, 5}),
                 graph.Real({4, 96, 30, 26}), {{1, 1}, {1, 1}, {1, 1}});
  graph.Build();
  graph.Execute();
}

void Attention(cudnnHandle_t handle, bool backward) {
  const jobs::Sdpa sdpa = {
      .b = 2, .hq = 16, .hk = 4, .sq = 192, .sk = 256, .dqk = 128, .dv = 64, .right = 0};
  jobs::Graph graph(handle);
  (backward ? jobs::BuildComposedBackward : jobs::BuildComposedForward)(sdpa, &graph);
  graph.Build();
  graph.Execute();
}

void Grouped(cublasHandle_t handle, const jobs::Scratch& scratch) {
  const cublasOperation_t plain[] = {CUBLAS_OP_N, CUBLAS_OP_N, CUBLAS_OP_N};
  const int m[] = {64, 96, 160}, n[] = {48, 80, 112}, k[] = {32, 144, 176};
  const int counts[] = {2, 1, 3};
  std::vector<const void*> inputs(6, scratch.get());
  std::vector<void*> outputs(6, scratch.get());
  const float ones[] = {1, 1, 1}, zeros[] = {0, 0, 0};
  Check(cublasGemmGroupedBatchedEx(handle, plain, plain, m, n, k, ones, inputs.data(), CUDA_R_16BF,
                                   m, inputs.data(), CUDA_R_16BF, k, zeros, outputs.data(),
                                   CUDA_R_16BF, m, 3, counts, CUBLAS_COMPUTE_32F));
}

void Fp8(cublasLtHandle_t handle, const jobs::Scratch& scratch, cudaStream_t stream) {
  constexpr uint64_t kM = 128, kN = 96, kK = 160;
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
  const cublasOperation_t transposed = CUBLAS_OP_T;
  Check(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  Check(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                       sizeof transposed));
  Check(cublasLtMatrixLayoutCreate(&a, CUDA_R_8F_E4M3, kK, kM, kK));
  Check(cublasLtMatrixLayoutCreate(&b, CUDA_R_8F_E4M3, kK, kN, kK));
  Check(cublasLtMatrixLayoutCreate(&d, CUDA_R_16BF, kM, kN, kM));
  void* data = scratch.get();
  Check(cublasLtMatmul(handle, desc, &kOne, data, a, data, b, &kZero, data, d, data, d, nullptr,
                       nullptr, 0, stream));
  for (cublasLtMatrixLayout_t layout : {a, b, d}) Check(cublasLtMatrixLayoutDestroy(layout));
  Check(cublasLtMatmulDescDestroy(desc));
}

}  // namespace

int main() {
  cudaStream_t stream = nullptr;
  cudnnHandle_t dnn = nullptr;
  cublasHandle_t blas = nullptr;
  cublasLtHandle_t lt = nullptr;
  Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  Check(cudnnCreate(&dnn));
  Check(cudnnSetStream(dnn, stream));
  Check(cublasCreate(&blas));
  Check(cublasSetStream(blas, stream));
  Check(cublasLtCreate(&lt));
  const jobs::Scratch scratch;
  for (int step = 0; step < 3; ++step) {
    ConvolutionGraph(dnn, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    ConvolutionGraph(dnn, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
    ConvolutionGraph(dnn, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR);
    Check(Convolve(dnn, scratch, {{4, 48, 26, 24}, {80, 12, 3, 5}, {1, 2}, {2, 1}, {1, 1}, 4},
                   jobs::Pass::kForward));
    jobs::RunRecurrent(
        dnn, scratch,
        {.both_directions = true, .input = 96, .hidden = 128, .layers = 2, .lengths = {20, 17, 9}},
        true);
    Attention(dnn, false);
    Attention(dnn, true);
    Grouped(blas, scratch);
    Fp8(lt, scratch, stream);
    Check(cudaStreamSynchronize(stream));
  }
  Check(cublasLtDestroy(lt));
  Check(cublasDestroy(blas));
  Check(cudnnDestroy(dnn));
  Check(cudaStreamDestroy(stream));
  return 0;
}
