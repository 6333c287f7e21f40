// Makes the library calls of a list, one line each: what a model's step asks of cuBLAS and cuDNN,
// without the model.
//
//   replay_calls FILE
//
//   gemm ENTRY M N K BATCH COUNT     ENTRY: ex, lt, strided; bf16, sums in f32
//   grouped COUNT M N K [M N K ...]  one group a triple
//   attention PASS HEADS_Q HEADS_KV D_QK D_V MASK COUNT BATCH S_Q S_K [BATCH S_Q S_K ...]
//       PASS: fwd, bwd; MASK: none, causal_tl, causal_br; a cuDNN graph for each triple
//
// Every line is called COUNT times. Operands are addresses that nobody reads: a simulated library
// looks at shapes alone, and shapes here are of any size.
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "check.h"
#include "cudnn_sdpa.h"

namespace {

using jobs::Check;

constexpr float kOne = 1;
constexpr float kZero = 0;

struct Shape {
  int64_t m = 0, n = 0, k = 0;
};

class Libraries {
 public:
  Libraries() {
    Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    Check(cublasCreate(&blas_));
    Check(cublasSetStream(blas_, stream_));
    Check(cublasLtCreate(&lt_));
    Check(cudnnCreate(&dnn_));
    Check(cudnnSetStream(dnn_, stream_));
    Check(cudaMalloc(&memory_, 1 << 20));
  }
  Libraries(const Libraries&) = delete;
  Libraries& operator=(const Libraries&) = delete;
  ~Libraries() {
    Check(cudaStreamSynchronize(stream_));
    Check(cudnnDestroy(dnn_));
    Check(cublasLtDestroy(lt_));
    Check(cublasDestroy(blas_));
  }

  void Ex(const Shape& s) {
    Check(cublasGemmEx_64(blas_, CUBLAS_OP_T, CUBLAS_OP_N, s.m, s.n, s.k, &kOne, memory_,
                          CUDA_R_16BF, s.k, memory_, CUDA_R_16BF, s.k, &kZero, memory_, CUDA_R_16BF,
                          s.m, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
  }

  void Strided(const Shape& s, int64_t batch) {
    Check(cublasGemmStridedBatchedEx_64(blas_, CUBLAS_OP_N, CUBLAS_OP_N, s.m, s.n, s.k, &kOne,
                                        memory_, CUDA_R_16BF, s.m, s.m * s.k, memory_, CUDA_R_16BF,
                                        s.k, s.k * s.n, &kZero, memory_, CUDA_R_16BF, s.m,
                                        s.m * s.n, batch, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
  }

  // Row-major, as a framework's tensors are.
  void Lt(const Shape& s) {
    cublasLtMatmulDesc_t operation = nullptr;
    Check(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    cublasLtMatrixLayout_t a = Layout(s.m, s.k);
    cublasLtMatrixLayout_t b = Layout(s.k, s.n);
    cublasLtMatrixLayout_t d = Layout(s.m, s.n);
    Check(cublasLtMatmul(lt_, operation, &kOne, memory_, a, memory_, b, &kZero, memory_, d, memory_,
                         d, nullptr, nullptr, 0, stream_));
    for (cublasLtMatrixLayout_t layout : {a, b, d}) Check(cublasLtMatrixLayoutDestroy(layout));
    Check(cublasLtMatmulDescDestroy(operation));
  }

  void Grouped(const std::vector<Shape>& shapes) {
    const size_t count = shapes.size();
    std::vector<cublasOperation_t> ops(count, CUBLAS_OP_N);
    std::vector<int64_t> m, n, k, sizes(count, 1);
    for (const Shape& s : shapes) {
      m.push_back(s.m);
      n.push_back(s.n);
      k.push_back(s.k);
    }
    const std::vector<float> ones(count, 1), zeros(count, 0);
    auto* operands = static_cast<void**>(memory_);
    Check(cublasGemmGroupedBatchedEx_64(
        blas_, ops.data(), ops.data(), m.data(), n.data(), k.data(), ones.data(), operands,
        CUDA_R_16BF, m.data(), operands, CUDA_R_16BF, k.data(), zeros.data(), operands, CUDA_R_16BF,
        m.data(), static_cast<int64_t>(count), sizes.data(), CUBLAS_COMPUTE_32F));
  }

  void Attention(const jobs::Sdpa& sdpa, bool is_backward, int64_t count) {
    jobs::Graph graph(dnn_);
    (is_backward ? jobs::BuildComposedBackward : jobs::BuildComposedForward)(sdpa, &graph);
    graph.Build();
    for (int64_t i = 0; i < count; ++i) graph.Execute();
  }

  cudaStream_t stream() const { return stream_; }

 private:
  static cublasLtMatrixLayout_t Layout(int64_t rows, int64_t columns) {
    cublasLtMatrixLayout_t layout = nullptr;
    Check(cublasLtMatrixLayoutCreate(&layout, CUDA_R_16BF, static_cast<uint64_t>(rows),
                                     static_cast<uint64_t>(columns), columns));
    const int32_t order = CUBLASLT_ORDER_ROW;
    Check(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_ORDER, &order,
                                           sizeof order));
    return layout;
  }

  cudaStream_t stream_ = nullptr;
  cublasHandle_t blas_ = nullptr;
  cublasLtHandle_t lt_ = nullptr;
  cudnnHandle_t dnn_ = nullptr;
  void* memory_ = nullptr;
};

[[noreturn]] void Refuse(const char* file, int number, const std::string& line) {
  std::fprintf(stderr, "%s:%d: not a call: %s\n", file, number, line.c_str());
  std::exit(2);
}

// Calls made by one line; 0 for a line that is none.
int64_t Replay(Libraries& libraries, std::istringstream words) {
  std::string what;
  words >> what;
  if (what == "gemm") {
    std::string entry;
    Shape s;
    int64_t batch = 0, count = 0;
    words >> entry >> s.m >> s.n >> s.k >> batch >> count;
    if (!words || (entry != "ex" && entry != "lt" && entry != "strided")) return 0;
    if (batch != 1 && entry != "strided") return 0;
    for (int64_t i = 0; i < count; ++i) {
      if (entry == "ex") libraries.Ex(s);
      if (entry == "lt") libraries.Lt(s);
      if (entry == "strided") libraries.Strided(s, batch);
    }
    return count;
  }
  if (what == "grouped") {
    int64_t count = 0;
    words >> count;
    std::vector<Shape> shapes;
    for (Shape s; words >> s.m >> s.n >> s.k;) shapes.push_back(s);
    if (shapes.empty()) return 0;
    for (int64_t i = 0; i < count; ++i) libraries.Grouped(shapes);
    return count;
  }
  if (what == "attention") {
    std::string pass, mask;
    jobs::Sdpa sdpa;
    int64_t count = 0;
    int64_t graphs = 0;
    words >> pass >> sdpa.hq >> sdpa.hk >> sdpa.dqk >> sdpa.dv >> mask >> count;
    if (pass != "fwd" && pass != "bwd") return 0;
    if (mask != "none" && mask != "causal_tl" && mask != "causal_br") return 0;
    if (mask != "none") sdpa.right = 0;
    sdpa.bottom_right = mask == "causal_br";
    for (; words >> sdpa.b >> sdpa.sq >> sdpa.sk; ++graphs) {
      libraries.Attention(sdpa, pass == "bwd", count);
    }
    return graphs * count;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: replay_calls FILE\n");
    return 2;
  }
  std::ifstream file(argv[1]);
  if (!file) {
    std::fprintf(stderr, "%s: cannot be read\n", argv[1]);
    return 2;
  }
  Libraries libraries;
  int64_t calls = 0;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    const int64_t made = Replay(libraries, std::istringstream(line));
    if (made <= 0) Refuse(argv[1], number, line);
    calls += made;
  }
  Check(cudaStreamSynchronize(libraries.stream()));
  std::printf("%lld calls\n", static_cast<long long>(calls));
  return 0;
}
