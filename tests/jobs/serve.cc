// An inference server: requests come over time and are batched continuously, prompts in chunks or
// whole, decodes by CUDA graphs or one by one, speculatively with a draft model if asked. Prints
// what it did, phase by phase, as one JSON object.
//
//   --requests N  --seed S  --batch B      most sequences at a time
//   --chunk T      tokens of a step; prompts are cut, and prefills and decodes mixed (0: whole)
//   --graphs       decodes of a step without prefill are CUDA graphs
//   --prefix P     so many first tokens of every second prompt are shared, and cached
//   --draft K      K tokens are drafted a step, --accept PERCENT of which are right
//   --only prefill|decode   one side of a disaggregated server: the other does the rest
//   --spread       prompts whose lengths stay apart
//   --pause US     after every eighth request there is none for so long
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "serve_model.h"

namespace {

using jobs::Check;
using jobs::Share;

struct Options {
  int requests = 16, seed = 1, batch = 4, chunk = 0, prefix = 0, draft = 0, accept = 70;
  int pause_us = 20000;
  bool graphs = false, spread = false;
  std::string only;
};

// The same numbers everywhere (Numerical Recipes' constants).
class Random {
 public:
  explicit Random(int seed) : state_(static_cast<uint32_t>(seed)) {}
  int Below(int limit) {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<int>((state_ >> 8) % static_cast<uint32_t>(limit));
  }

 private:
  uint32_t state_;
};

struct Request {
  int prompt = 0;
  int output = 0;  // tokens wanted
  int cached = 0;  // tokens whose keys are there
  int produced = 0;
  bool is_prefilled() const { return cached >= prompt; }
};

struct Acceptance {
  long sequence_steps = 0, drafted = 0, accepted = 0;
  // Of sequences that have another step.
  long known = 0, drafted_known = 0, accepted_known = 0;
};

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto number = [&] { return ++i < argc ? std::atoi(argv[i]) : 0; };
    if (name == "--requests")
      options.requests = number();
    else if (name == "--seed")
      options.seed = number();
    else if (name == "--batch")
      options.batch = number();
    else if (name == "--chunk")
      options.chunk = number();
    else if (name == "--prefix")
      options.prefix = number();
    else if (name == "--draft")
      options.draft = number();
    else if (name == "--accept")
      options.accept = number();
    else if (name == "--pause")
      options.pause_us = number();
    else if (name == "--graphs")
      options.graphs = true;
    else if (name == "--spread")
      options.spread = true;
    else if (name == "--only" && i + 1 < argc)
      options.only = argv[++i];
    else {
      std::fprintf(stderr, "serve: unknown option %s\n", name.c_str());
      std::exit(2);
    }
  }
  return options;
}

class Server {
 public:
  Server(const Options& options, cudnnHandle_t cudnn, cublasHandle_t cublas, cudaStream_t stream)
      : options_(options),
        random_(options.seed),
        target_({.name = "target"}, kMostKeys, cudnn, cublas, stream),
        draft_({.name = "draft", .layers = 2, .hidden = 128, .heads = 4, .kv_heads = 2, .ffn = 256},
               kMostKeys, cudnn, cublas, stream) {
    for (int i = 0; i < options.requests; ++i) waiting_.push_back(NewRequest(i));
  }

  void Serve() {
    while (!waiting_.empty() || !running_.empty()) {
      Admit();
      if (options_.draft > 0) {
        PrefillWhole();
        Speculate();
      } else if (options_.chunk > 0) {
        MixedStep();
      } else {
        PrefillWhole();
        Decode();
      }
      Retire();
    }
  }

  void Print() const {
    std::printf("{\"phases\": {");
    const char* comma = "";
    for (const jobs::Decoder* decoder : {&target_, &draft_}) {
      for (const auto& [name, truth] : decoder->truth()) {
        std::printf(
            "%s\"%s\": {\"passes\": %llu, \"attention_calls\": %llu, \"tokens\": %llu, "
            "\"generated\": %llu, "
            "\"context\": %llu, \"flop\": %llu, \"kv_bytes\": %llu}",
            comma, name.c_str(), Wide(truth.passes), Wide(truth.attention_calls),
            Wide(truth.tokens), Wide(truth.generated), Wide(truth.context), Wide(truth.flop),
            Wide(truth.kv_bytes));
        comma = ", ";
      }
    }
    std::printf(
        "}, \"sequence_steps\": %ld, \"drafted\": %ld, \"accepted\": %ld, \"known\": %ld, "
        "\"drafted_known\": %ld, \"accepted_known\": %ld, \"prefix_tokens\": %ld}\n",
        acceptance_.sequence_steps, acceptance_.drafted, acceptance_.accepted, acceptance_.known,
        acceptance_.drafted_known, acceptance_.accepted_known, prefix_tokens_);
  }

 private:
  static constexpr int kMostKeys = 512;
  static unsigned long long Wide(uint64_t value) { return value; }

  Request NewRequest(int i) {
    Request request;
    request.prompt = options_.spread ? 20 + 90 * (i % options_.batch) : 9 + random_.Below(90);
    request.output = 4 + random_.Below(24);
    if (options_.only == "decode") request.cached = request.prompt;
    if (options_.prefix > 0 && i % 2 == 1 && request.prompt > options_.prefix) {
      request.cached = options_.prefix;
      prefix_tokens_ += options_.prefix;
    }
    return request;
  }

  void Admit() {
    while (static_cast<int>(running_.size()) < options_.batch && !waiting_.empty()) {
      running_.push_back(waiting_.front());
      waiting_.pop_front();
      if (++admitted_ % 8 == 0) usleep(static_cast<useconds_t>(options_.pause_us));
    }
  }

  void PrefillWhole() {
    std::vector<Share> shares;
    for (Request& request : running_) {
      if (request.is_prefilled()) continue;
      shares.push_back({request.prompt - request.cached, request.prompt});
      request.cached = request.prompt;
      request.produced = 1;
    }
    if (shares.empty()) return;
    target_.Run("prefill", shares);
    if (options_.draft > 0) draft_.Run("prefill", shares);
  }

  void Decode() {
    if (options_.only == "prefill") return;
    std::vector<Share> shares;
    for (Request& request : running_) {
      shares.push_back({1, ++request.cached});
      ++request.produced;
    }
    if (options_.graphs) {
      target_.Replay(shares);
    } else {
      target_.Run("decode", shares);
    }
  }

  // Decodes first, then as much of the prompts as fits.
  void MixedStep() {
    std::vector<Share> shares;
    int left = options_.chunk;
    bool has_one = false, has_more = false;
    for (Request& request : running_) {
      const int wanted = request.is_prefilled() ? 1 : request.prompt - request.cached;
      const int queries = std::min(wanted, left);
      if (queries == 0) continue;
      left -= queries;
      request.cached += queries;
      const bool samples = request.is_prefilled();
      if (samples) ++request.produced;
      shares.push_back({queries, request.cached, samples});
      (queries == 1 ? has_one : has_more) = true;
    }
    if (has_one && !has_more && options_.graphs) {
      target_.Replay(shares);
    } else {
      target_.Run(has_one && has_more ? "mixed" : has_more ? "prefill" : "decode", shares);
    }
  }

  void Speculate() {
    const int drafts = options_.draft;
    // One pass more than drafts, for the keys of the last one.
    for (int pass = 0; pass <= drafts; ++pass) {
      std::vector<Share> shares;
      for (const Request& request : running_) shares.push_back({1, request.cached + pass + 1});
      draft_.Run("decode", shares);
    }
    std::vector<Share> shares;
    for (const Request& request : running_)
      shares.push_back({drafts + 1, request.cached + drafts + 1});
    target_.Run("verify", shares, true);
    for (Request& request : running_) {
      int accepted = 0;
      while (accepted < drafts && random_.Below(100) < options_.accept) ++accepted;
      request.cached += accepted + 1;
      request.produced += accepted + 1;
      ++acceptance_.sequence_steps;
      acceptance_.drafted += drafts;
      acceptance_.accepted += accepted;
      if (IsDone(request)) continue;
      ++acceptance_.known;
      acceptance_.drafted_known += drafts;
      acceptance_.accepted_known += accepted;
    }
  }

  bool IsDone(const Request& request) const {
    if (options_.only == "prefill") return request.is_prefilled();
    return request.produced >= request.output;
  }

  void Retire() {
    std::vector<Request> left;
    for (const Request& request : running_) {
      if (!IsDone(request)) left.push_back(request);
    }
    running_ = left;
  }

  Options options_;
  Random random_;
  jobs::Decoder target_;
  jobs::Decoder draft_;
  std::deque<Request> waiting_;
  std::vector<Request> running_;
  Acceptance acceptance_;
  long prefix_tokens_ = 0;
  int admitted_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const Options options = Parse(argc, argv);
  cudaStream_t stream = nullptr;
  cublasHandle_t cublas = nullptr;
  cudnnHandle_t cudnn = nullptr;
  Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  Check(cublasCreate(&cublas));
  Check(cublasSetStream(cublas, stream));
  Check(cudnnCreate(&cudnn));
  Check(cudnnSetStream(cudnn, stream));
  Server server(options, cudnn, cublas, stream);
  server.Serve();
  server.Print();
  return 0;
}
