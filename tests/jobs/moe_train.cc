// Training steps of a mixture of experts, expert parallel: a router, an all-to-all of tokens, the
// local experts' products in one grouped call, the way back, and the gradients. Routing is skewed
// and seeded, and every rank knows every rank's. Each rank prints what it did as one line of JSON.
//
//   --steps N --layers L --tokens T   tokens of each rank
//   --experts E --topk K --skew S     expert i is chosen as (i + 1)^-S, S in tenths
//   --library cublas|cudnn            whose grouped product: rows on the host, or on the device
#include <cublas_v2.h>
#include <cudnn.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "cudnn_builder.h"
#include "parallel.h"

namespace {

using jobs::Check;

struct Options {
  int steps = 3, layers = 2, tokens = 96, experts = 8, topk = 2, skew = 10;
  int hidden = 128, ffn = 256, seed = 1;
  std::string library = "cublas";
};

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const int value = std::atoi(argv[i + 1]);
    if (name == "--steps") {
      options.steps = value;
    } else if (name == "--layers") {
      options.layers = value;
    } else if (name == "--tokens") {
      options.tokens = value;
    } else if (name == "--experts") {
      options.experts = value;
    } else if (name == "--topk") {
      options.topk = value;
    } else if (name == "--skew") {
      options.skew = value;
    } else if (name == "--library") {
      options.library = argv[i + 1];
    } else {
      std::fprintf(stderr, "moe_train: unknown option %s\n", name.c_str());
      std::exit(2);
    }
  }
  return options;
}

// The same numbers on every rank (Numerical Recipes' constants).
class Random {
 public:
  explicit Random(uint32_t seed) : state_(seed * 2654435761u + 1) {}
  double Next() {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<double>(state_ >> 8) / static_cast<double>(1u << 24);
  }

 private:
  uint32_t state_;
};

// Rows of each expert that the tokens of one rank give in one layer of one step.
std::vector<int> Route(const Options& options, int rank, int step, int layer) {
  Random random(static_cast<uint32_t>(((options.seed * 64 + rank) * 256 + step) * 64 + layer));
  std::vector<double> weight;
  for (int i = 0; i < options.experts; ++i) weight.push_back(std::pow(i + 1, -options.skew / 10.0));
  std::vector<int> rows(static_cast<size_t>(options.experts), 0);
  for (int token = 0; token < options.tokens; ++token) {
    std::vector<double> left = weight;
    for (int k = 0; k < options.topk; ++k) {
      double all = 0;
      for (const double w : left) all += w;
      double at = random.Next() * all;
      size_t expert = 0;
      while (expert + 1 < left.size() && (at >= left[expert] || left[expert] == 0)) {
        at -= left[expert++];
      }
      while (left[expert] == 0) --expert;
      left[expert] = 0;
      ++rows[expert];
    }
  }
  return rows;
}

class Trainer {
 public:
  Trainer(const Options& options, const jobs::Ranks& ranks, ncclComm_t ep, cudaStream_t stream)
      : options_(options), ranks_(ranks), ep_(ep), stream_(stream) {
    Check(cublasCreate(&cublas_));
    Check(cublasSetStream(cublas_, stream));
    Check(cudnnCreate(&cudnn_));
    Check(cudnnSetStream(cudnn_, stream));
    Check(cudaMalloc(&memory_, size_t{256} << 20));
    local_ = options.experts / ranks.world;
    rows_by_expert_.resize(static_cast<size_t>(local_), 0);
    const std::vector<void*> pointers(static_cast<size_t>(local_), memory_);
    Check(cudaMalloc(&pointers_, pointers.size() * sizeof(void*)));
    Check(cudaMemcpy(pointers_, pointers.data(), pointers.size() * sizeof(void*),
                     cudaMemcpyHostToDevice));
  }

  void Step(int step) {
    for (int layer = 0; layer < options_.layers; ++layer) Layer(step, layer);
    Check(cudaStreamSynchronize(stream_));
  }

  void Print() const {
    std::string rows;
    for (const long count : rows_by_expert_) {
      rows += (rows.empty() ? "" : ", ") + std::to_string(count);
    }
    std::printf(
        "{\"rank\": %d, \"rows_by_expert\": [%s], \"idle\": %ld, \"calls\": %ld, "
        "\"flop\": %llu, \"expert_flop\": %llu, \"sent_bytes\": %ld, "
        "\"received_bytes\": %ld, \"worst\": %.17g}\n",
        ranks_.rank, rows.c_str(), idle_, calls_,
        static_cast<unsigned long long>(flop_ + expert_flop_),
        static_cast<unsigned long long>(expert_flop_), sent_bytes_, received_bytes_, worst_);
  }

 private:
  void Layer(int step, int layer) {
    const int hidden = options_.hidden;
    Multiply(3 * hidden, options_.tokens, hidden);
    Multiply(options_.experts, options_.tokens, hidden);  // the router
    std::vector<std::vector<int>> routed;
    for (int rank = 0; rank < ranks_.world; ++rank) {
      routed.push_back(Route(options_, rank, step, layer));
    }
    Exchange(routed, false);
    std::vector<int> rows(static_cast<size_t>(local_), 0);
    int most = 0, all = 0;
    for (int e = 0; e < local_; ++e) {
      int& of_expert = rows[static_cast<size_t>(e)];
      for (const std::vector<int>& from : routed) {
        of_expert += from[static_cast<size_t>(ranks_.rank * local_ + e)];
      }
      rows_by_expert_[static_cast<size_t>(e)] += of_expert;
      if (of_expert == 0) ++idle_;
      most = std::max(most, of_expert);
      all += of_expert;
    }
    ++calls_;
    if (all > 0) worst_ = std::max(worst_, static_cast<double>(most) * local_ / all);
    Experts(2 * options_.ffn, rows, hidden);
    Experts(hidden, rows, options_.ffn);
    Exchange(routed, true);
    // Backward: the same exchanges, data and weight gradients.
    Exchange(routed, false);
    if (options_.library == "cublas") {
      Experts(options_.ffn, rows, hidden);
      Gradients(hidden, rows, options_.ffn);
      Experts(hidden, rows, 2 * options_.ffn);
      Gradients(2 * options_.ffn, rows, hidden);
    }
    Exchange(routed, true);
    Multiply(hidden, options_.tokens, 3 * hidden);
  }

  void Multiply(int m, int n, int k) {
    const float alpha = 1, beta = 0;
    Check(cublasGemmEx(cublas_, CUBLAS_OP_T, CUBLAS_OP_N, m, n, k, &alpha, memory_, CUDA_R_16BF, k,
                       memory_, CUDA_R_16BF, k, &beta, memory_, CUDA_R_16BF, m, CUBLAS_COMPUTE_32F,
                       CUBLAS_GEMM_DEFAULT));
    flop_ += Product(m, n, k);
  }

  static uint64_t Product(int m, int n, int k) {
    return uint64_t{2} * static_cast<uint64_t>(m) * static_cast<uint64_t>(n) *
           static_cast<uint64_t>(k);
  }

  void Experts(int out, const std::vector<int>& rows, int in) {
    for (const int count : rows) expert_flop_ += Product(out, count, in);
    if (options_.library == "cudnn") {
      OnDevice(out, rows, in);
      return;
    }
    const std::vector<int> m(rows.size(), out), k(rows.size(), in);
    Grouped(CUBLAS_OP_T, CUBLAS_OP_N, m, rows, k, k, k);
  }

  void Gradients(int out, const std::vector<int>& rows, int in) {
    for (const int count : rows) expert_flop_ += Product(out, count, in);
    const std::vector<int> m(rows.size(), out), n(rows.size(), in);
    Grouped(CUBLAS_OP_N, CUBLAS_OP_T, m, n, rows, m, n);
  }

  void Grouped(cublasOperation_t op_a, cublasOperation_t op_b, const std::vector<int>& m,
               const std::vector<int>& n, const std::vector<int>& k, const std::vector<int>& lda,
               const std::vector<int>& ldb) {
    const size_t count = m.size();
    const std::vector<cublasOperation_t> ops_a(count, op_a), ops_b(count, op_b);
    const std::vector<int> sizes(count, 1);
    const std::vector<float> ones(count, 1), zeros(count, 0);
    Check(cublasGemmGroupedBatchedEx(
        cublas_, ops_a.data(), ops_b.data(), m.data(), n.data(), k.data(), ones.data(), pointers_,
        CUDA_R_16BF, lda.data(), pointers_, CUDA_R_16BF, ldb.data(), zeros.data(), pointers_,
        CUDA_R_16BF, m.data(), static_cast<int>(count), sizes.data(), CUBLAS_COMPUTE_32F));
  }

  // Where each expert's rows begin lies on the device.
  void OnDevice(int out, const std::vector<int>& rows, int in) {
    std::vector<int32_t> offsets;
    int all = 0;
    for (const int count : rows) {
      offsets.push_back(all);
      all += count;
    }
    if (all == 0) return;
    jobs::Graph graph(cudnn_);
    const int64_t token = graph.Real({1, all, in});
    const int64_t weight = graph.Real({local_, in, out});
    const int64_t at = graph.Integers({local_, 1, 1}, offsets);
    graph.Moe(token, weight, at, graph.Real({1, all, out}));
    graph.Build();
    graph.Execute();
    Check(cudaStreamSynchronize(stream_));
  }

  // Tokens to their experts, or back.
  void Exchange(const std::vector<std::vector<int>>& routed, bool is_back) {
    if (ep_ == nullptr) return;
    const auto rows = [&](int from, int to) {
      int count = 0;
      for (int e = 0; e < local_; ++e) {
        count += routed[static_cast<size_t>(from)][static_cast<size_t>(to * local_ + e)];
      }
      return count;
    };
    Check(ncclGroupStart());
    for (int peer = 0; peer < ranks_.world; ++peer) {
      const long out = is_back ? rows(peer, ranks_.rank) : rows(ranks_.rank, peer);
      const long in = is_back ? rows(ranks_.rank, peer) : rows(peer, ranks_.rank);
      Check(ncclSend(memory_, static_cast<size_t>(out * options_.hidden), ncclBfloat16, peer, ep_,
                     stream_));
      Check(ncclRecv(memory_, static_cast<size_t>(in * options_.hidden), ncclBfloat16, peer, ep_,
                     stream_));
      sent_bytes_ += out * options_.hidden * 2;
      received_bytes_ += in * options_.hidden * 2;
    }
    Check(ncclGroupEnd());
  }

  Options options_;
  jobs::Ranks ranks_;
  ncclComm_t ep_;
  cudaStream_t stream_;
  cublasHandle_t cublas_ = nullptr;
  cudnnHandle_t cudnn_ = nullptr;
  void* memory_ = nullptr;
  void** pointers_ = nullptr;
  int local_ = 0;
  std::vector<long> rows_by_expert_;
  long idle_ = 0, calls_ = 0, sent_bytes_ = 0, received_bytes_ = 0;
  uint64_t flop_ = 0, expert_flop_ = 0;
  double worst_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const Options options = Parse(argc, argv);
  const jobs::Ranks ranks = jobs::RanksFromEnvironment();
  jobs::UseOwnGpu(ranks);
  cudaStream_t stream = nullptr;
  Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  ncclComm_t ep = nullptr;
  if (ranks.world > 1) {
    ncclComm_t world = jobs::JoinWorld(ranks, jobs::RendezvousPath("", ranks));
    ep = jobs::Split(world, 0, ranks.rank, ranks.world, "ep");
  }
  Trainer trainer(options, ranks, ep, stream);
  for (int step = 0; step < options.steps; ++step) trainer.Step(step);
  trainer.Print();
  return 0;
}
