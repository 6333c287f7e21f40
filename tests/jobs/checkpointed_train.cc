// Training steps of a transformer that forgets activations and computes them again: all of a layer,
// its attention alone, or nothing. cuBLAS products and cuDNN attention, forward and backward.
// Prints what it did as one JSON object.
//
//   --recompute none|full|attention --steps N --layers L --seq S --batch B
#include <cublas_v2.h>
#include <cudnn.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "check.h"
#include "cudnn_sdpa.h"

namespace {

using jobs::Check;

struct Options {
  std::string recompute = "full";
  int steps = 5, layers = 3, seq = 96, batch = 2;
  int hidden = 256, heads = 4, ffn = 1024, vocab = 1536;
};

struct Truth {
  unsigned long long products = 0, attention = 0;  // executed
  unsigned long long recomputed_products = 0, recomputed_attention = 0;
  unsigned long long attention_model = 0;  // without the recompute inside a backward, either
};

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--recompute") {
      options.recompute = argv[i + 1];
    } else if (name == "--steps") {
      options.steps = std::atoi(argv[i + 1]);
    } else if (name == "--layers") {
      options.layers = std::atoi(argv[i + 1]);
    } else if (name == "--seq") {
      options.seq = std::atoi(argv[i + 1]);
    } else if (name == "--batch") {
      options.batch = std::atoi(argv[i + 1]);
    } else {
      std::fprintf(stderr, "checkpointed_train: unknown option %s\n", name.c_str());
      std::exit(2);
    }
  }
  return options;
}

class Trainer {
 public:
  Trainer(const Options& options, cudaStream_t stream)
      : options_(options), tokens_(options.seq * options.batch) {
    Check(cublasCreate(&cublas_));
    Check(cublasSetStream(cublas_, stream));
    Check(cudnnCreate(&cudnn_));
    Check(cudnnSetStream(cudnn_, stream));
    Check(cudaMalloc(&memory_, size_t{128} << 20));
    jobs::Sdpa sdpa;
    sdpa.b = options.batch;
    sdpa.hq = sdpa.hk = options.heads;
    sdpa.sq = sdpa.sk = options.seq;
    sdpa.dqk = sdpa.dv = options.hidden / options.heads;
    sdpa.right = 0;
    forward_ = std::make_unique<jobs::Graph>(cudnn_);
    backward_ = std::make_unique<jobs::Graph>(cudnn_);
    jobs::BuildComposedForward(sdpa, forward_.get());
    jobs::BuildComposedBackward(sdpa, backward_.get());
    forward_->Build();
    backward_->Build();
  }

  void Step() {
    for (int layer = 0; layer < options_.layers; ++layer) Forward(false);
    Product(options_.vocab, options_.hidden, false);
    Gradients(options_.vocab, options_.hidden);
    for (int layer = 0; layer < options_.layers; ++layer) {
      if (options_.recompute == "full") Forward(true);
      if (options_.recompute == "attention") Attend(true);
      Backward();
    }
  }
  const Truth& truth() const { return truth_; }

 private:
  void Forward(bool again) {
    const int hidden = options_.hidden;
    Product(3 * hidden, hidden, again);
    Attend(again);
    Product(hidden, hidden, again);
    Product(options_.ffn, hidden, again);
    Product(hidden, options_.ffn, again);
  }

  void Backward() {
    const int hidden = options_.hidden;
    Gradients(hidden, options_.ffn);
    Gradients(options_.ffn, hidden);
    Gradients(hidden, hidden);
    backward_->Execute();
    const unsigned long long pair = PairFlop();
    truth_.attention += 5 * pair;
    truth_.attention_model += 4 * pair;
    Gradients(3 * hidden, hidden);
  }

  // FLOPs of one product of queries and keys, or weights and values.
  unsigned long long PairFlop() const {
    unsigned long long pairs = 0;
    for (int query = 0; query < options_.seq; ++query) pairs += static_cast<unsigned>(query + 1);
    return 2 * pairs * static_cast<unsigned>(options_.batch) *
           static_cast<unsigned>(options_.hidden);
  }

  void Attend(bool again) {
    forward_->Execute();
    truth_.attention += 2 * PairFlop();
    (again ? truth_.recomputed_attention : truth_.attention_model) += 2 * PairFlop();
  }

  // Y = W X: weights [out, in], activations [in, tokens].
  void Product(int out, int in, bool again) {
    const unsigned long long flop = Multiply(CUBLAS_OP_T, CUBLAS_OP_N, out, tokens_, in, in, in);
    if (again) truth_.recomputed_products += flop;
  }
  void Gradients(int out, int in) {
    Multiply(CUBLAS_OP_N, CUBLAS_OP_N, in, tokens_, out, in, out);
    Multiply(CUBLAS_OP_N, CUBLAS_OP_T, in, out, tokens_, in, out);
  }
  unsigned long long Multiply(cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
                              int lda, int ldb) {
    const float alpha = 1, beta = 0;
    Check(cublasGemmEx(cublas_, op_a, op_b, m, n, k, &alpha, memory_, CUDA_R_16BF, lda, memory_,
                       CUDA_R_16BF, ldb, &beta, memory_, CUDA_R_16BF, m, CUBLAS_COMPUTE_32F,
                       CUBLAS_GEMM_DEFAULT));
    const unsigned long long flop =
        2ull * static_cast<unsigned>(m) * static_cast<unsigned>(n) * static_cast<unsigned>(k);
    truth_.products += flop;
    return flop;
  }

  Options options_;
  int tokens_;
  cublasHandle_t cublas_ = nullptr;
  cudnnHandle_t cudnn_ = nullptr;
  void* memory_ = nullptr;
  std::unique_ptr<jobs::Graph> forward_, backward_;
  Truth truth_;
};

}  // namespace

int main(int argc, char** argv) {
  const Options options = Parse(argc, argv);
  cudaStream_t stream = nullptr;
  Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  Trainer trainer(options, stream);
  for (int step = 0; step < options.steps; ++step) {
    trainer.Step();
    Check(cudaStreamSynchronize(stream));
  }
  const Truth& truth = trainer.truth();
  std::printf(
      "{\"products\": %llu, \"attention\": %llu, \"recomputed_products\": %llu, "
      "\"recomputed_attention\": %llu, \"attention_model\": %llu}\n",
      truth.products, truth.attention, truth.recomputed_products, truth.recomputed_attention,
      truth.attention_model);
  return 0;
}
