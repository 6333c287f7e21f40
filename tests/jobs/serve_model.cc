// See serve_model.h.
#include "serve_model.h"

#include <algorithm>

#include "cudnn_sdpa.h"

namespace jobs {
namespace {

constexpr int kPage = 16;
constexpr size_t kBytes = size_t{256} << 20;  // weights and activations: nothing looks at them

int NextPowerOfTwo(int value) {
  int power = 1;
  while (power < value) power *= 2;
  return power;
}

}  // namespace

Decoder::Decoder(const DecoderConfig& config, int most_keys, cudnnHandle_t cudnn,
                 cublasHandle_t cublas, cudaStream_t stream)
    : config_(config),
      most_keys_((most_keys + kPage - 1) / kPage * kPage),
      cudnn_(cudnn),
      cublas_(cublas),
      stream_(stream) {
  Check(cudaMalloc(&memory_, kBytes));
}

uint64_t Decoder::Multiply(int out, int tokens, int in) {
  const float alpha = 1, beta = 0;
  Check(cublasGemmEx(cublas_, CUBLAS_OP_T, CUBLAS_OP_N, out, tokens, in, &alpha, memory_,
                     CUDA_R_16BF, in, memory_, CUDA_R_16BF, in, &beta, memory_, CUDA_R_16BF, out,
                     CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
  return uint64_t{2} * static_cast<uint64_t>(out) * static_cast<uint64_t>(tokens) *
         static_cast<uint64_t>(in);
}

Decoder::Attention& Decoder::AttentionFor(int sequences, int queries) {
  Attention& attention = attention_[{sequences, queries}];
  if (attention.graph != nullptr) return attention;
  attention.sequences = sequences;
  attention.queries = queries;
  attention.graph = std::make_unique<Graph>(cudnn_);
  Sdpa sdpa;
  sdpa.b = sequences;
  sdpa.hq = config_.heads;
  sdpa.hk = config_.kv_heads;
  sdpa.sq = queries;
  sdpa.sk = most_keys_;
  sdpa.dqk = sdpa.dv = config_.head_dim;
  sdpa.bottom_right = true;
  sdpa.right = 0;
  sdpa.lengths_q.assign(static_cast<size_t>(sequences), 0);
  sdpa.lengths_k.assign(static_cast<size_t>(sequences), 0);
  sdpa.ragged = true;
  sdpa.page = kPage;
  sdpa.stats = false;
  BuildComposedForward(sdpa, attention.graph.get());
  attention.graph->Build();
  return attention;
}

// The graph's first tensors are lengths of queries and of keys, then offsets of queries.
void Decoder::SetLengths(Attention& attention, const std::vector<Share>& shares) {
  const auto count = static_cast<size_t>(attention.sequences);
  std::vector<int32_t> queries(count, 0), keys(count, 0), offsets(count + 1, 0);
  for (size_t i = 0; i < count; ++i) {
    if (i < shares.size()) {
      queries[i] = shares[i].queries;
      keys[i] = shares[i].keys;
    }
    offsets[i + 1] = offsets[i] + queries[i] * config_.heads * config_.head_dim;
  }
  const auto copy = [&](int64_t uid, const std::vector<int32_t>& values) {
    Check(cudaMemcpyAsync(attention.graph->address(uid), values.data(),
                          values.size() * sizeof(int32_t), cudaMemcpyHostToDevice, stream_));
  };
  copy(1, queries);
  copy(2, keys);
  copy(3, offsets);
  Check(cudaStreamSynchronize(stream_));  // the arrays are gone after this
}

uint64_t Decoder::Layers(Attention& attention, int tokens, int logits) {
  const int width = config_.heads * config_.head_dim;
  const int kv_width = config_.kv_heads * config_.head_dim;
  uint64_t flop = 0;
  for (int layer = 0; layer < config_.layers; ++layer) {
    flop += Multiply(width + 2 * kv_width, tokens, config_.hidden);
    attention.graph->Execute();
    flop += Multiply(config_.hidden, tokens, width);
    flop += Multiply(2 * config_.ffn, tokens, config_.hidden);
    flop += Multiply(config_.hidden, tokens, config_.ffn);
  }
  if (logits > 0) flop += Multiply(config_.vocab, logits, config_.hidden);
  return flop;
}

void Decoder::Count(const std::string& phase, const std::vector<Share>& shares, uint64_t products) {
  PhaseTruth& truth = truth_[config_.name + " " + phase];
  ++truth.passes;
  truth.attention_calls += static_cast<uint64_t>(config_.layers);
  uint64_t pairs = 0;
  for (const Share& share : shares) {
    truth.tokens += static_cast<uint64_t>(share.queries);
    if (share.queries == 1) ++truth.generated;
    truth.context += static_cast<uint64_t>(share.keys - share.queries);
    for (int query = 0; query < share.queries; ++query) {
      pairs += static_cast<uint64_t>(share.keys - share.queries + query + 1);
    }
    truth.kv_bytes += uint64_t{2} * 2 * static_cast<uint64_t>(share.keys) *
                      static_cast<uint64_t>(config_.kv_heads * config_.head_dim) *
                      static_cast<uint64_t>(config_.layers);
  }
  const uint64_t attention = 2 * pairs * 2 * static_cast<uint64_t>(config_.head_dim) *
                             static_cast<uint64_t>(config_.heads) *
                             static_cast<uint64_t>(config_.layers);
  truth.flop += products + attention;
}

void Decoder::Run(const std::string& phase, const std::vector<Share>& shares, bool all_logits) {
  int tokens = 0, logits = 0, most = 1;
  for (const Share& share : shares) {
    tokens += share.queries;
    logits += all_logits ? share.queries : (share.samples ? 1 : 0);
    most = std::max(most, share.queries);
  }
  Attention& attention = AttentionFor(NextPowerOfTwo(static_cast<int>(shares.size())),
                                      most == 1 ? 1 : NextPowerOfTwo(most));
  SetLengths(attention, shares);
  Count(phase, shares, Layers(attention, tokens, logits));
  Check(cudaStreamSynchronize(stream_));  // the sampled tokens
}

void Decoder::Replay(const std::vector<Share>& shares) {
  const int size = NextPowerOfTwo(static_cast<int>(shares.size()));
  Attention& attention = AttentionFor(size, 1);
  Captured& captured = captured_[size];
  if (captured.executable == nullptr) {
    cudaGraph_t graph = nullptr;
    Check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
    captured.flop = Layers(attention, size, size);
    Check(cudaStreamEndCapture(stream_, &graph));
    Check(cudaGraphInstantiate(&captured.executable, graph, 0));
    Check(cudaGraphDestroy(graph));
  }
  SetLengths(attention, shares);
  Check(cudaGraphLaunch(captured.executable, stream_));
  Check(cudaStreamSynchronize(stream_));
  Count("decode", shares, captured.flop);
}

}  // namespace jobs
