// One rank's share of a GPT: its buffers, and the library calls of its forward and backward pass.
//
// Only calls of vendor libraries are made: matrix products (cuBLAS for attention projections and
// logits, cuBLASLt for the MLP) and collectives. What a framework runs as kernels of its own
// (embedding, layer norm, activation, softmax, cross entropy, Adam and, by default, attention) is
// left out, so the figures in the buffers mean nothing; their sizes and the order of calls are
// right.
#pragma once

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace jobs {

struct GptConfig {
  int64_t layers = 4;
  int64_t hidden = 512;
  int64_t heads = 8;
  int64_t ffn = 0;  // 0: four times hidden
  int64_t seq = 1024;
  int64_t batch = 4;  // sequences of one micro-batch of one data-parallel rank
  int64_t micro_batches = 1;
  int64_t vocab = 32000;
  int64_t tp = 1;
  int64_t dp = 1;
  int64_t pp = 1;
  int64_t steps = 4;
  uint64_t seed = 1;
  bool swiglu = false;           // fc1 makes gate and up in one product of twice the columns
  bool attention_gemms = false;  // unfused attention through cublasGemmStridedBatchedEx
  bool use_graph = false;        // capture the step once, replay it
  cudaDataType_t type = CUDA_R_16BF;
};

struct Communicators {
  ncclComm_t world = nullptr;
  ncclComm_t tp = nullptr;
  ncclComm_t dp = nullptr;
  ncclComm_t pp = nullptr;
};

// A weight W[out, in] and its gradient (float, a slice of the layer's bucket).
struct Linear {
  int64_t in = 0;
  int64_t out = 0;
  void* weight = nullptr;
  float* gradient = nullptr;
};

class GptShard {
 public:
  GptShard(const GptConfig& config, const Communicators& communicators, bool is_first_stage,
           bool is_last_stage, cudaStream_t compute, cudaStream_t reduce);

  void ForwardMicroBatch();
  // `reduces_gradients`: the last micro-batch, after which each bucket is ready to be reduced.
  void BackwardMicroBatch(bool reduces_gradients);
  // Clears all gradients on the compute stream.
  void ZeroGradients();
  // Makes the compute stream wait for the gradient reductions in flight.
  void JoinReductions();

  // What a pipeline neighbour sends and receives: one micro-batch of hidden states.
  void* hidden_states() { return x_; }
  void* hidden_gradients() { return dx_; }
  size_t hidden_count() const { return static_cast<size_t>(config_.hidden * tokens_); }
  ncclDataType_t nccl_type() const;

 private:
  enum class Library { kCublas, kCublasLt };

  void* Allocate(int64_t elements, int64_t bytes_each);
  Linear MakeLinear(int64_t in, int64_t out, float** bucket);
  void Multiply(Library library, cublasOperation_t op_a, cublasOperation_t op_b, int64_t m,
                int64_t n, int64_t k, const void* a, int64_t lda, const void* b, int64_t ldb,
                float beta, void* d, cudaDataType_t d_type);
  void MultiplyPerHead(cublasOperation_t op_a, cublasOperation_t op_b, int64_t m, int64_t n,
                       int64_t k, const void* a, const void* b, void* d);
  void Forward(Library library, const Linear& linear, const void* in, void* out);
  void InputGradient(Library library, const Linear& linear, const void* d_out, void* d_in);
  void WeightGradient(Library library, const Linear& linear, const void* in, const void* d_out);
  void SumOverTensorParallel(void* buffer, int64_t elements, ncclDataType_t type, ncclRedOp_t op);
  void ReduceBucket(float* bucket, int64_t elements);

  struct Layer {
    Linear qkv, out, fc1, fc2;
    float* bucket = nullptr;
    int64_t bucket_elements = 0;
    void *qkv_out, *context, *fc1_out, *activation;  // local shares; reused by every micro-batch
  };

  void ForwardLayer(Layer& layer);
  void BackwardLayer(Layer& layer);

  GptConfig config_;
  Communicators communicators_;
  bool is_first_stage_;
  bool is_last_stage_;
  cudaStream_t compute_;
  cudaStream_t reduce_;
  cudaEvent_t bucket_ready_ = nullptr;
  cudaEvent_t reduced_ = nullptr;
  cublasHandle_t cublas_ = nullptr;
  cublasLtHandle_t cublas_lt_ = nullptr;
  void* workspace_ = nullptr;
  int64_t tokens_;
  int64_t bytes_each_;
  std::vector<Layer> layers_;
  Linear logits_;
  float* logits_bucket_ = nullptr;
  void *x_, *dx_, *logits_out_ = nullptr, *d_qkv_, *d_context_, *d_fc1_, *d_activation_;
  void *scores_ = nullptr, *d_scores_ = nullptr;
  float* token_sums_ = nullptr;
};

}  // namespace jobs
