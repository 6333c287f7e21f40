// The calls of one rank's layers. Row-major activations [tokens, features] are column-major
// [features, tokens] to cuBLAS, so a layer Y = X W^T is D = op(W) X with m = out, n = tokens, k =
// in.
#include "gpt_model.h"

#include "check.h"

namespace jobs {
namespace {

constexpr size_t kWorkspaceBytes = 32u << 20;  // NVIDIA's recommendation for Hopper

constexpr int64_t BytesOf(cudaDataType_t type) { return type == CUDA_R_32F ? 4 : 2; }

// The product's shape, types and transpositions, as cuBLASLt wants them: in opaque descriptors.
struct LtProblem {
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;

  ~LtProblem() {
    Check(cublasLtMatrixLayoutDestroy(d));
    Check(cublasLtMatrixLayoutDestroy(b));
    Check(cublasLtMatrixLayoutDestroy(a));
    Check(cublasLtMatmulDescDestroy(operation));
  }
};

cublasLtMatrixLayout_t Layout(cudaDataType_t type, int64_t rows, int64_t columns, int64_t ld) {
  cublasLtMatrixLayout_t layout = nullptr;
  Check(cublasLtMatrixLayoutCreate(&layout, type, static_cast<uint64_t>(rows),
                                   static_cast<uint64_t>(columns), ld));
  return layout;
}

}  // namespace

GptShard::GptShard(const GptConfig& config, const Communicators& communicators, bool is_first_stage,
                   bool is_last_stage, cudaStream_t compute, cudaStream_t reduce)
    : config_(config),
      communicators_(communicators),
      is_first_stage_(is_first_stage),
      is_last_stage_(is_last_stage),
      compute_(compute),
      reduce_(reduce),
      tokens_(config.seq * config.batch),
      bytes_each_(BytesOf(config.type)) {
  Check(cublasCreate(&cublas_));
  Check(cublasSetStream(cublas_, compute_));
  Check(cublasLtCreate(&cublas_lt_));
  Check(cudaEventCreateWithFlags(&bucket_ready_, cudaEventDisableTiming));
  Check(cudaEventCreateWithFlags(&reduced_, cudaEventDisableTiming));
  workspace_ = Allocate(static_cast<int64_t>(kWorkspaceBytes), 1);

  const int64_t hidden = config_.hidden;
  const int64_t ffn_local = config_.ffn / config_.tp;
  const int64_t fc1_local = config_.swiglu ? 2 * ffn_local : ffn_local;
  for (int64_t i = 0; i < config_.layers / config_.pp; ++i) {
    Layer layer;
    layer.bucket_elements = hidden * (4 * hidden / config_.tp + fc1_local + ffn_local);
    layer.bucket = static_cast<float*>(Allocate(layer.bucket_elements, sizeof(float)));
    float* next = layer.bucket;
    layer.qkv = MakeLinear(hidden, 3 * hidden / config_.tp, &next);
    layer.out = MakeLinear(hidden / config_.tp, hidden, &next);
    layer.fc1 = MakeLinear(hidden, fc1_local, &next);
    layer.fc2 = MakeLinear(ffn_local, hidden, &next);
    layer.qkv_out = Allocate(layer.qkv.out * tokens_, bytes_each_);
    layer.context = Allocate(layer.out.in * tokens_, bytes_each_);
    layer.fc1_out = Allocate(fc1_local * tokens_, bytes_each_);
    layer.activation = Allocate(ffn_local * tokens_, bytes_each_);
    layers_.push_back(layer);
  }
  x_ = Allocate(hidden * tokens_, bytes_each_);
  dx_ = Allocate(hidden * tokens_, bytes_each_);
  d_qkv_ = Allocate(3 * hidden / config_.tp * tokens_, bytes_each_);
  d_context_ = Allocate(hidden / config_.tp * tokens_, bytes_each_);
  d_fc1_ = Allocate(fc1_local * tokens_, bytes_each_);
  d_activation_ = Allocate(ffn_local * tokens_, bytes_each_);
  token_sums_ = static_cast<float*>(Allocate(tokens_, sizeof(float)));
  if (config_.attention_gemms) {
    const int64_t heads_local = config_.heads / config_.tp;
    const int64_t elements = config_.batch * heads_local * config_.seq * config_.seq;
    scores_ = Allocate(elements, bytes_each_);
    d_scores_ = Allocate(elements, bytes_each_);
  }
  if (is_last_stage_) {
    const int64_t vocab_local = config_.vocab / config_.tp;
    logits_bucket_ = static_cast<float*>(Allocate(hidden * vocab_local, sizeof(float)));
    float* next = logits_bucket_;
    logits_ = MakeLinear(hidden, vocab_local, &next);
    logits_out_ = Allocate(vocab_local * tokens_, bytes_each_);
  }
}

ncclDataType_t GptShard::nccl_type() const {
  switch (config_.type) {
    case CUDA_R_16F:
      return ncclFloat16;
    case CUDA_R_32F:
      return ncclFloat32;
    default:
      return ncclBfloat16;
  }
}

void* GptShard::Allocate(int64_t elements, int64_t bytes_each) {
  void* buffer = nullptr;
  const size_t bytes = static_cast<size_t>(elements * bytes_each);
  Check(cudaMalloc(&buffer, bytes));
  Check(cudaMemsetAsync(buffer, 0, bytes, compute_));
  return buffer;
}

Linear GptShard::MakeLinear(int64_t in, int64_t out, float** bucket) {
  Linear linear{in, out, Allocate(in * out, bytes_each_), *bucket};
  *bucket += in * out;
  return linear;
}

void GptShard::Multiply(Library library, cublasOperation_t op_a, cublasOperation_t op_b, int64_t m,
                        int64_t n, int64_t k, const void* a, int64_t lda, const void* b,
                        int64_t ldb, float beta, void* d, cudaDataType_t d_type) {
  const float alpha = 1.0f;
  if (library == Library::kCublas) {
    Check(cublasGemmEx(cublas_, op_a, op_b, static_cast<int>(m), static_cast<int>(n),
                       static_cast<int>(k), &alpha, a, config_.type, static_cast<int>(lda), b,
                       config_.type, static_cast<int>(ldb), &beta, d, d_type, static_cast<int>(m),
                       CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
    return;
  }
  LtProblem problem;
  Check(cublasLtMatmulDescCreate(&problem.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  Check(cublasLtMatmulDescSetAttribute(problem.operation, CUBLASLT_MATMUL_DESC_TRANSA, &op_a,
                                       sizeof op_a));
  Check(cublasLtMatmulDescSetAttribute(problem.operation, CUBLASLT_MATMUL_DESC_TRANSB, &op_b,
                                       sizeof op_b));
  problem.a = Layout(config_.type, op_a == CUBLAS_OP_N ? m : k, op_a == CUBLAS_OP_N ? k : m, lda);
  problem.b = Layout(config_.type, op_b == CUBLAS_OP_N ? k : n, op_b == CUBLAS_OP_N ? n : k, ldb);
  problem.d = Layout(d_type, m, n, m);
  Check(cublasLtMatmul(cublas_lt_, problem.operation, &alpha, a, problem.a, b, problem.b, &beta, d,
                       problem.d, d, problem.d, nullptr, workspace_, kWorkspaceBytes, compute_));
}

void GptShard::MultiplyPerHead(cublasOperation_t op_a, cublasOperation_t op_b, int64_t m, int64_t n,
                               int64_t k, const void* a, const void* b, void* d) {
  const float alpha = 1.0f;
  const float beta = 0.0f;
  const int64_t heads = config_.batch * config_.heads / config_.tp;
  const int lda = static_cast<int>(op_a == CUBLAS_OP_N ? m : k);
  const int ldb = static_cast<int>(op_b == CUBLAS_OP_N ? k : n);
  Check(cublasGemmStridedBatchedEx(cublas_, op_a, op_b, static_cast<int>(m), static_cast<int>(n),
                                   static_cast<int>(k), &alpha, a, config_.type, lda, m * k, b,
                                   config_.type, ldb, k * n, &beta, d, config_.type,
                                   static_cast<int>(m), m * n, static_cast<int>(heads),
                                   CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
}

void GptShard::Forward(Library library, const Linear& linear, const void* in, void* out) {
  Multiply(library, CUBLAS_OP_T, CUBLAS_OP_N, linear.out, tokens_, linear.in, linear.weight,
           linear.in, in, linear.in, 0.0f, out, config_.type);
}

void GptShard::InputGradient(Library library, const Linear& linear, const void* d_out, void* d_in) {
  Multiply(library, CUBLAS_OP_N, CUBLAS_OP_N, linear.in, tokens_, linear.out, linear.weight,
           linear.in, d_out, linear.out, 0.0f, d_in, config_.type);
}

void GptShard::WeightGradient(Library library, const Linear& linear, const void* in,
                              const void* d_out) {
  // Accumulated in float over the micro-batches, as Megatron's fused weight gradient does.
  Multiply(library, CUBLAS_OP_N, CUBLAS_OP_T, linear.in, linear.out, tokens_, in, linear.in, d_out,
           linear.out, 1.0f, linear.gradient, CUDA_R_32F);
}

void GptShard::SumOverTensorParallel(void* buffer, int64_t elements, ncclDataType_t type,
                                     ncclRedOp_t op) {
  if (communicators_.tp == nullptr) return;
  Check(ncclAllReduce(buffer, buffer, static_cast<size_t>(elements), type, op, communicators_.tp,
                      compute_));
}

void GptShard::ReduceBucket(float* bucket, int64_t elements) {
  if (communicators_.dp == nullptr) return;
  Check(cudaEventRecord(bucket_ready_, compute_));
  Check(cudaStreamWaitEvent(reduce_, bucket_ready_, 0));
  Check(ncclAllReduce(bucket, bucket, static_cast<size_t>(elements), ncclFloat32, ncclAvg,
                      communicators_.dp, reduce_));
}

void GptShard::JoinReductions() {
  if (communicators_.dp == nullptr) return;
  Check(cudaEventRecord(reduced_, reduce_));
  Check(cudaStreamWaitEvent(compute_, reduced_, 0));
}

void GptShard::ZeroGradients() {
  for (const Layer& layer : layers_) {
    Check(cudaMemsetAsync(layer.bucket, 0,
                          static_cast<size_t>(layer.bucket_elements) * sizeof(float), compute_));
  }
  if (is_last_stage_) {
    Check(cudaMemsetAsync(logits_bucket_, 0,
                          static_cast<size_t>(logits_.in * logits_.out) * sizeof(float), compute_));
  }
}

void GptShard::ForwardLayer(Layer& layer) {
  const int64_t seq = config_.seq;
  const int64_t head = config_.hidden / config_.heads;
  Forward(Library::kCublas, layer.qkv, x_, layer.qkv_out);
  if (config_.attention_gemms) {
    MultiplyPerHead(CUBLAS_OP_T, CUBLAS_OP_N, seq, seq, head, layer.qkv_out, layer.qkv_out,
                    scores_);
    MultiplyPerHead(CUBLAS_OP_N, CUBLAS_OP_N, head, seq, seq, layer.qkv_out, scores_,
                    layer.context);
  }
  Forward(Library::kCublas, layer.out, layer.context, x_);
  SumOverTensorParallel(x_, config_.hidden * tokens_, nccl_type(), ncclSum);
  Forward(Library::kCublasLt, layer.fc1, x_, layer.fc1_out);
  Forward(Library::kCublasLt, layer.fc2, layer.activation, x_);
  SumOverTensorParallel(x_, config_.hidden * tokens_, nccl_type(), ncclSum);
}

void GptShard::BackwardLayer(Layer& layer) {
  const int64_t seq = config_.seq;
  const int64_t head = config_.hidden / config_.heads;
  InputGradient(Library::kCublasLt, layer.fc2, dx_, d_activation_);
  WeightGradient(Library::kCublasLt, layer.fc2, layer.activation, dx_);
  InputGradient(Library::kCublasLt, layer.fc1, d_fc1_, dx_);
  SumOverTensorParallel(dx_, config_.hidden * tokens_, nccl_type(), ncclSum);
  WeightGradient(Library::kCublasLt, layer.fc1, x_, d_fc1_);
  InputGradient(Library::kCublas, layer.out, dx_, d_context_);
  WeightGradient(Library::kCublas, layer.out, layer.context, dx_);
  if (config_.attention_gemms) {
    // Gradients of scores, values, queries and keys; no recompute, the scores are kept.
    MultiplyPerHead(CUBLAS_OP_T, CUBLAS_OP_N, seq, seq, head, layer.qkv_out, d_context_, d_scores_);
    MultiplyPerHead(CUBLAS_OP_N, CUBLAS_OP_T, head, seq, seq, d_context_, scores_, d_qkv_);
    MultiplyPerHead(CUBLAS_OP_N, CUBLAS_OP_N, head, seq, seq, layer.qkv_out, d_scores_, d_qkv_);
    MultiplyPerHead(CUBLAS_OP_N, CUBLAS_OP_T, head, seq, seq, layer.qkv_out, d_scores_, d_qkv_);
  }
  InputGradient(Library::kCublas, layer.qkv, d_qkv_, dx_);
  SumOverTensorParallel(dx_, config_.hidden * tokens_, nccl_type(), ncclSum);
  WeightGradient(Library::kCublas, layer.qkv, x_, d_qkv_);
}

void GptShard::ForwardMicroBatch() {
  // The embedding is split over the vocabulary: each rank looks up its own rows, the rest is zero.
  if (is_first_stage_) {
    SumOverTensorParallel(x_, config_.hidden * tokens_, nccl_type(), ncclSum);
  }
  for (Layer& layer : layers_) ForwardLayer(layer);
  if (!is_last_stage_) return;
  Forward(Library::kCublas, logits_, x_, logits_out_);
  // Cross entropy over a split vocabulary: maximum, predicted logit, sum of exponentials per token.
  SumOverTensorParallel(token_sums_, tokens_, ncclFloat32, ncclMax);
  SumOverTensorParallel(token_sums_, tokens_, ncclFloat32, ncclSum);
  SumOverTensorParallel(token_sums_, tokens_, ncclFloat32, ncclSum);
}

void GptShard::BackwardMicroBatch(bool reduces_gradients) {
  if (is_last_stage_) {
    InputGradient(Library::kCublas, logits_, logits_out_, dx_);
    SumOverTensorParallel(dx_, config_.hidden * tokens_, nccl_type(), ncclSum);
    WeightGradient(Library::kCublas, logits_, x_, logits_out_);
    if (reduces_gradients) ReduceBucket(logits_bucket_, logits_.in * logits_.out);
  }
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) {
    BackwardLayer(*layer);
    if (reduces_gradients) ReduceBucket(layer->bucket, layer->bucket_elements);
  }
}

}  // namespace jobs
