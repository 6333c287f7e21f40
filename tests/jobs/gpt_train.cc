// A GPT training job in the calls of CUDA's own libraries: one process a rank, tensor, data and
// pipeline parallel, gradients reduced on a second stream while the backward pass goes on.
//
// A user's program to mfutrace's tests and demo: it knows nothing of either, and the same binary
// trains (figures that mean nothing) on a real GPU. What is left out of a step stands in
// gpt_model.h. With the default attention the products of a step are Megatron's formula without its
// attention term; --attention gemm issues attention unfused, as full rectangles.
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "check.h"
#include "gpt_model.h"
#include "parallel.h"

namespace jobs {
namespace {

constexpr char kUsage[] =
    "usage: gpt_train [--layers N] [--hidden N] [--heads N] [--ffn N] [--seq N] [--batch N]\n"
    "                 [--micro-batches N] [--vocab N] [--tp N] [--dp N] [--pp N] [--steps N]\n"
    "                 [--dtype bf16|fp16|fp32] [--swiglu] [--attention none|gemm] [--graph]\n"
    "                 [--seed N] [--rendezvous FILE]\n"
    "--batch counts the sequences of one micro-batch of one data-parallel rank. Ranks come from\n"
    "RANK, WORLD_SIZE and LOCAL_RANK; launch.py sets them.\n";

[[noreturn]] void Usage(const std::string& problem) {
  std::fprintf(stderr, "gpt_train: %s\n%s", problem.c_str(), kUsage);
  std::exit(2);
}

struct Options {
  GptConfig model;
  std::string rendezvous;
};

bool ParseNumber(const std::string& name, const char* value, GptConfig& model) {
  struct Entry {
    const char* name;
    int64_t* value;
  };
  const Entry entries[] = {
      {"--layers", &model.layers}, {"--hidden", &model.hidden},
      {"--heads", &model.heads},   {"--ffn", &model.ffn},
      {"--seq", &model.seq},       {"--batch", &model.batch},
      {"--vocab", &model.vocab},   {"--micro-batches", &model.micro_batches},
      {"--tp", &model.tp},         {"--dp", &model.dp},
      {"--pp", &model.pp},         {"--steps", &model.steps},
  };
  for (const Entry& entry : entries) {
    if (name != entry.name) continue;
    char* end = nullptr;
    *entry.value = std::strtoll(value, &end, 10);
    if (*end != '\0' || *entry.value < 1) Usage(name + ": not a positive number: " + value);
    return true;
  }
  return false;
}

Options Parse(int argc, char** argv) {
  Options options;
  GptConfig& model = options.model;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    }
    if (name == "--swiglu") {
      model.swiglu = true;
      continue;
    }
    if (name == "--graph") {
      model.use_graph = true;
      continue;
    }
    if (i + 1 == argc) Usage(name + ": unknown option, or its value is missing");
    const std::string value = argv[++i];
    if (name == "--rendezvous") {
      options.rendezvous = value;
    } else if (name == "--seed") {
      model.seed = std::strtoull(value.c_str(), nullptr, 10);
    } else if (name == "--attention" && (value == "none" || value == "gemm")) {
      model.attention_gemms = value == "gemm";
    } else if (name == "--dtype" && value == "bf16") {
      model.type = CUDA_R_16BF;
    } else if (name == "--dtype" && value == "fp16") {
      model.type = CUDA_R_16F;
    } else if (name == "--dtype" && value == "fp32") {
      model.type = CUDA_R_32F;
    } else if (!ParseNumber(name, value.c_str(), model)) {
      Usage(name + " " + value + ": not understood");
    }
  }
  if (model.ffn == 0) model.ffn = 4 * model.hidden;
  return options;
}

void Validate(const GptConfig& model, const Ranks& ranks) {
  if (model.hidden % model.heads != 0) Usage("--hidden must be a multiple of --heads");
  if (model.heads % model.tp != 0) Usage("--heads must be a multiple of --tp");
  if (model.ffn % model.tp != 0) Usage("--ffn must be a multiple of --tp");
  if (model.vocab % model.tp != 0) Usage("--vocab must be a multiple of --tp");
  if (model.layers % model.pp != 0) Usage("--layers must be a multiple of --pp");
  if (model.tp * model.dp * model.pp != ranks.world) {
    Usage("tp * dp * pp = " + std::to_string(model.tp * model.dp * model.pp) +
          ", but WORLD_SIZE is " + std::to_string(ranks.world));
  }
}

class Trainer {
 public:
  Trainer(const GptConfig& model, const Ranks& ranks, const std::string& rendezvous)
      : model_(model), ranks_(ranks), stage_(ranks.rank / (model.tp * model.dp)) {
    Check(cudaStreamCreateWithFlags(&compute_, cudaStreamNonBlocking));
    Check(cudaStreamCreateWithFlags(&reduce_, cudaStreamNonBlocking));
    if (ranks_.world > 1) Connect(rendezvous);
    shard_ = new GptShard(model_, communicators_, stage_ == 0, stage_ == model_.pp - 1, compute_,
                          reduce_);
    const size_t tokens = static_cast<size_t>(model_.seq * model_.batch * model_.micro_batches);
    token_bytes_ = tokens * sizeof(int32_t);
    Check(cudaMallocHost(reinterpret_cast<void**>(&host_tokens_), token_bytes_));
    Check(cudaMalloc(&tokens_, token_bytes_));
    Check(cudaMallocHost(reinterpret_cast<void**>(&host_loss_), sizeof(float)));
    Check(cudaMalloc(reinterpret_cast<void**>(&loss_), 2 * sizeof(float)));
    Check(cudaMemsetAsync(loss_, 0, 2 * sizeof(float), compute_));
    uint64_t state = model_.seed;
    for (size_t i = 0; i < tokens; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth, MMIX
      host_tokens_[i] = static_cast<int32_t>((state >> 33) % static_cast<uint64_t>(model_.vocab));
    }
    Check(cudaStreamSynchronize(compute_));
  }

  ~Trainer() {
    delete shard_;
    for (ncclComm_t part : {communicators_.pp, communicators_.dp, communicators_.tp}) {
      if (part != nullptr) Check(ncclCommDestroy(part));
    }
    if (communicators_.world != nullptr) Check(ncclCommDestroy(communicators_.world));
  }

  void Run() {
    cudaGraphExec_t replay = nullptr;
    if (model_.use_graph) replay = Capture();
    for (int64_t step = 1; step <= model_.steps; ++step) {
      const auto begin = std::chrono::steady_clock::now();
      if (replay != nullptr) {
        Check(cudaGraphLaunch(replay, compute_));
      } else {
        IssueStep();
      }
      Check(cudaStreamSynchronize(compute_));
      const std::chrono::duration<double, std::milli> took =
          std::chrono::steady_clock::now() - begin;
      if (ranks_.rank == 0) {
        std::printf("step %lld/%lld  loss %.4f  %.2f ms\n", static_cast<long long>(step),
                    static_cast<long long>(model_.steps), static_cast<double>(*host_loss_),
                    took.count());
        std::fflush(stdout);
      }
    }
    if (replay != nullptr) Check(cudaGraphExecDestroy(replay));
  }

 private:
  void Connect(const std::string& rendezvous) {
    const int tp = static_cast<int>(model_.tp);
    const int dp = static_cast<int>(model_.dp);
    const int pp = static_cast<int>(model_.pp);
    const int tp_rank = ranks_.rank % tp;
    const int dp_rank = ranks_.rank / tp % dp;
    communicators_.world = JoinWorld(ranks_, rendezvous);
    communicators_.tp =
        Split(communicators_.world, ranks_.rank / tp, tp_rank, tp, "TENSOR_MODEL_PARALLEL_GROUP");
    communicators_.dp = Split(communicators_.world, static_cast<int>(stage_) * tp + tp_rank,
                              dp_rank, dp, "DATA_PARALLEL_GROUP");
    communicators_.pp = Split(communicators_.world, dp_rank * tp + tp_rank,
                              static_cast<int>(stage_), pp, "PIPELINE_MODEL_PARALLEL_GROUP");
  }

  // Exchanges with pipeline neighbours, all in one group so that two stages cannot block each
  // other.
  void Exchange(bool send_forward, bool receive_forward, bool send_backward,
                bool receive_backward) {
    const bool has_previous = stage_ > 0;
    const bool has_next = stage_ < model_.pp - 1;
    const int previous = static_cast<int>(stage_) - 1;
    const int next = static_cast<int>(stage_) + 1;
    if (communicators_.pp == nullptr) return;
    const size_t count = shard_->hidden_count();
    Check(ncclGroupStart());
    if (send_forward && has_next) Send(shard_->hidden_states(), count, next);
    if (receive_backward && has_next) Receive(shard_->hidden_gradients(), count, next);
    if (send_backward && has_previous) Send(shard_->hidden_gradients(), count, previous);
    if (receive_forward && has_previous) Receive(shard_->hidden_states(), count, previous);
    Check(ncclGroupEnd());
  }
  void Send(void* buffer, size_t count, int peer) {
    Check(ncclSend(buffer, count, shard_->nccl_type(), peer, communicators_.pp, compute_));
  }
  void Receive(void* buffer, size_t count, int peer) {
    Check(ncclRecv(buffer, count, shard_->nccl_type(), peer, communicators_.pp, compute_));
  }

  // One forward, one backward (1F1B), in Megatron's order.
  void IssueStep() {
    if (stage_ == 0) {
      Check(cudaMemcpyAsync(tokens_, host_tokens_, token_bytes_, cudaMemcpyHostToDevice, compute_));
    }
    shard_->ZeroGradients();
    const int64_t total = model_.micro_batches;
    const int64_t ahead = model_.pp - 1 - stage_;
    const int64_t warmup = ahead < total ? ahead : total;
    const int64_t steady = total - warmup;
    int64_t backwards = 0;
    for (int64_t i = 0; i < warmup; ++i) {
      Exchange(false, true, false, false);
      shard_->ForwardMicroBatch();
      Exchange(true, false, false, false);
    }
    if (steady > 0) Exchange(false, true, false, false);
    for (int64_t i = 0; i < steady; ++i) {
      shard_->ForwardMicroBatch();
      Exchange(true, false, false, true);
      shard_->BackwardMicroBatch(++backwards == total);
      Exchange(false, i + 1 < steady, true, false);
    }
    for (int64_t i = 0; i < warmup; ++i) {
      Exchange(false, false, false, true);
      shard_->BackwardMicroBatch(++backwards == total);
      Exchange(false, false, true, false);
    }
    shard_->JoinReductions();
    if (communicators_.world != nullptr) {
      Check(ncclAllReduce(loss_ + 1, loss_ + 1, 1, ncclFloat32, ncclSum, communicators_.world,
                          compute_));  // norm of all gradients
    }
    Check(cudaMemcpyAsync(host_loss_, loss_, sizeof(float), cudaMemcpyDeviceToHost, compute_));
  }

  cudaGraphExec_t Capture() {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t replay = nullptr;
    Check(cudaStreamBeginCapture(compute_, cudaStreamCaptureModeThreadLocal));
    IssueStep();
    Check(cudaStreamEndCapture(compute_, &graph));
    Check(cudaGraphInstantiate(&replay, graph, 0));
    Check(cudaGraphDestroy(graph));
    return replay;
  }

  GptConfig model_;
  Ranks ranks_;
  int64_t stage_;
  Communicators communicators_;
  cudaStream_t compute_ = nullptr;
  cudaStream_t reduce_ = nullptr;
  GptShard* shard_ = nullptr;
  size_t token_bytes_ = 0;
  int32_t* host_tokens_ = nullptr;
  void* tokens_ = nullptr;
  float* host_loss_ = nullptr;
  float* loss_ = nullptr;
};

int Main(int argc, char** argv) {
  const Options options = Parse(argc, argv);
  const Ranks ranks = RanksFromEnvironment();
  Validate(options.model, ranks);
  UseOwnGpu(ranks);
  const std::string rendezvous = RendezvousPath(options.rendezvous, ranks);
  Trainer trainer(options.model, ranks, rendezvous);
  trainer.Run();
  return 0;
}

}  // namespace
}  // namespace jobs

int main(int argc, char** argv) { return jobs::Main(argc, argv); }
