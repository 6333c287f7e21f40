// Decoder layers of an inference server: cuBLAS products and cuDNN attention over paged keys, with
// lengths, page tables and offsets in GPU memory, as vLLM keeps them. Counts what it asks for by
// its own arithmetic, query by query, so that the job knows the truth.
#pragma once

#include <cublas_v2.h>
#include <cudnn.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cudnn_builder.h"

namespace jobs {

struct DecoderConfig {
  std::string name;
  int layers = 4;
  int hidden = 256;
  int heads = 8;
  int kv_heads = 2;
  int head_dim = 32;
  int ffn = 512;
  int vocab = 1024;
};

// One sequence's share of a pass.
struct Share {
  int queries = 0;
  int keys = 0;         // with the queries
  bool samples = true;  // its last query's logits are wanted
};

// What a phase of one model did.
struct PhaseTruth {
  uint64_t passes = 0;
  uint64_t attention_calls = 0;
  uint64_t tokens = 0;
  uint64_t generated = 0;  // sequences with one query
  uint64_t context = 0;
  uint64_t flop = 0;
  uint64_t kv_bytes = 0;
};

class Decoder {
 public:
  Decoder(const DecoderConfig& config, int most_keys, cudnnHandle_t cudnn, cublasHandle_t cublas,
          cudaStream_t stream);

  // Runs a pass over these sequences and adds it to truth[name + " " + phase]. With `all_logits`
  // every query's logits are computed.
  void Run(const std::string& phase, const std::vector<Share>& shares, bool all_logits = false);
  // The same, one query each, by replaying a CUDA graph of the next power of two of sequences.
  void Replay(const std::vector<Share>& shares);

  const std::map<std::string, PhaseTruth>& truth() const { return truth_; }

 private:
  struct Attention {
    std::unique_ptr<Graph> graph;
    int sequences = 0;
    int queries = 0;
  };
  struct Captured {
    cudaGraphExec_t executable = nullptr;
    uint64_t flop = 0;  // of the products
  };

  Attention& AttentionFor(int sequences, int queries);
  void SetLengths(Attention& attention, const std::vector<Share>& shares);
  // Returns the FLOPs of the products.
  uint64_t Layers(Attention& attention, int tokens, int logits);
  uint64_t Multiply(int out, int tokens, int in);
  void Count(const std::string& phase, const std::vector<Share>& shares, uint64_t products);

  DecoderConfig config_;
  int most_keys_;
  cudnnHandle_t cudnn_;
  cublasHandle_t cublas_;
  cudaStream_t stream_;
  void* memory_ = nullptr;
  std::map<std::pair<int, int>, Attention> attention_;
  std::map<int, Captured> captured_;
  std::map<std::string, PhaseTruth> truth_;
};

}  // namespace jobs
