// Operation graphs of every kind that frameworks hand to cuDNN's backend API, each executed once,
// on a stream of its own. No two extents of a shape are equal.
//
//   job_cudnn_graphs [--list | --graphs | CASE ...]
//
// --graphs: some of them captured and put into CUDA graphs instead, replayed and updated.
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "cudnn_sdpa.h"

namespace {

using jobs::Check;
using jobs::Graph;
using jobs::Sdpa;

struct Case {
  std::string name;
  std::function<void(Graph*)> build;
};

constexpr auto kForward = CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
constexpr auto kData = CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
constexpr auto kFilter = CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR;

Case Conv(const std::string& name, cudnnBackendDescriptorType_t kind, const jobs::Dims& x,
          const jobs::Dims& w, const jobs::Dims& y, const jobs::Convolution& convolution) {
  return {name, [=](Graph* graph) {
            graph->Convolve(kind, graph->Real(x), graph->Real(w), graph->Real(y), convolution);
          }};
}

// The product [b, m, k] x [b, k, n], with bias and activation or without.
void Product(Graph* graph, bool epilogue) {
  const int64_t a = graph->Real({3, 64, 96});
  const int64_t b = graph->Real({3, 96, 80});
  if (!epilogue) {
    graph->Matmul(a, b, graph->Real({3, 64, 80}));
    return;
  }
  const int64_t c = graph->Virtual({3, 64, 80});
  graph->Matmul(a, b, c);
  const int64_t sum = graph->Pointwise(CUDNN_POINTWISE_ADD, c, graph->Real({1, 1, 80}));
  graph->Pointwise(CUDNN_POINTWISE_GELU_FWD, sum, 0, 0, graph->Real({3, 64, 80}));
}

void Normalize(Graph* graph) {
  const auto parameter = [&] { return graph->Real({1, 136, 1, 1}, CUDNN_DATA_FLOAT); };
  const int64_t x = graph->Real({8, 136, 1, 1});
  graph->Operation(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR,
                   {{CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, x},
                    {CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, parameter()},
                    {CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, parameter()},
                    {CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, graph->Scalar(1e-5F)},
                    {CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, graph->Real({8, 136, 1, 1})}});
}

// 90 tokens of five experts, one of which has none.
void Moe(Graph* graph) {
  const int64_t token = graph->Real({1, 90, 48});
  const int64_t weight = graph->Real({5, 48, 72});
  const int64_t offsets = graph->Integers({5, 1, 1}, {0, 17, 40, 40, 71});
  graph->Moe(token, weight, offsets, graph->Real({1, 90, 72}));
}

using SdpaBuilder = void (*)(const Sdpa&, Graph*);

Case Attention(const std::string& name, SdpaBuilder build, const Sdpa& sdpa) {
  return {name, [=](Graph* graph) { build(sdpa, graph); }};
}

// Each mask forward and backward.
std::vector<Case> Masks() {
  const std::vector<int32_t> lq = {33, 38}, lk = {47, 52};
  std::vector<std::pair<std::string, Sdpa>> all = {
      {"none", {}},
      {"causal", {.right = 0}},
      {"causal_bottom_right", {.bottom_right = true, .right = 0}},
      {"causal_bottom_right_short", {.sq = 56, .sk = 40, .bottom_right = true, .right = 0}},
      {"window", {.left = 9, .right = 0}},
      {"window_bottom_right", {.bottom_right = true, .left = 9, .right = 0}},
      {"band", {.left = 9, .right = 5}},
      {"band_bottom_right", {.bottom_right = true, .left = 9, .right = 5}},
      {"left_only", {.left = 9}},
      {"padding", {.lengths_q = lq, .lengths_k = lk}},
      {"padding_causal", {.right = 0, .lengths_q = lq, .lengths_k = lk}},
      {"padding_bottom_right",
       {.bottom_right = true, .right = 0, .lengths_q = lq, .lengths_k = lk}},
      {"padding_window_bottom_right",
       {.bottom_right = true, .left = 9, .right = 0, .lengths_q = lq, .lengths_k = lk}},
      {"empty_sequence", {.right = 0, .lengths_q = {33, 0}, .lengths_k = {47, 0}}},
      {"ragged", {.right = 0, .lengths_q = lq, .lengths_k = lk, .ragged = true}},
      {"dropout", {.right = 0, .dropout = true}},
      {"bias", {.right = 0, .bias = true}},
      {"alibi", {.right = 0, .alibi = true}},
      {"multi_head", {.hk = 12, .right = 0}},
      {"multi_query", {.hk = 1, .right = 0}},
      {"latent", {.hk = 12, .dqk = 192, .dv = 128, .right = 0}},
  };
  std::vector<Case> cases;
  for (const auto& [name, sdpa] : all) {
    cases.push_back(Attention("forward_" + name, jobs::BuildComposedForward, sdpa));
    cases.push_back(Attention("backward_" + name, jobs::BuildComposedBackward, sdpa));
  }
  return cases;
}

std::vector<Case> Cases() {
  std::vector<Case> cases = {
      Conv("fprop", kForward, {2, 24, 20, 18}, {40, 24, 3, 5}, {2, 40, 10, 18},
           {{1, 2}, {2, 1}, {1, 1}}),
      Conv("dgrad", kData, {2, 24, 20, 18}, {40, 24, 3, 5}, {2, 40, 10, 18},
           {{1, 2}, {2, 1}, {1, 1}}),
      Conv("wgrad", kFilter, {2, 24, 20, 18}, {40, 24, 3, 5}, {2, 40, 10, 18},
           {{1, 2}, {2, 1}, {1, 1}}),
      Conv("fprop_groups", kForward, {3, 24, 21, 19}, {40, 6, 3, 2}, {3, 40, 19, 18},
           {{0, 0}, {1, 1}, {1, 1}}),
      Conv("dgrad_groups", kData, {3, 24, 21, 19}, {40, 6, 3, 2}, {3, 40, 19, 18},
           {{0, 0}, {1, 1}, {1, 1}}),
      Conv("wgrad_groups", kFilter, {3, 24, 21, 19}, {40, 6, 3, 2}, {3, 40, 19, 18},
           {{0, 0}, {1, 1}, {1, 1}}),
      Conv("fprop_dilated", kForward, {2, 16, 25, 23}, {32, 16, 3, 4}, {2, 32, 21, 14},
           {{0, 0}, {1, 1}, {2, 3}}),
      Conv("fprop_3d", kForward, {2, 16, 7, 20, 18}, {32, 16, 2, 3, 5}, {2, 32, 6, 10, 18},
           {{0, 1, 2}, {1, 2, 1}, {1, 1, 1}}),
      Conv("dgrad_3d", kData, {2, 16, 7, 20, 18}, {32, 16, 2, 3, 5}, {2, 32, 6, 10, 18},
           {{0, 1, 2}, {1, 2, 1}, {1, 1, 1}}),
      Conv("wgrad_3d", kFilter, {2, 16, 7, 20, 18}, {32, 16, 2, 3, 5}, {2, 32, 6, 10, 18},
           {{0, 1, 2}, {1, 2, 1}, {1, 1, 1}}),
      {"matmul", [](Graph* graph) { Product(graph, false); }},
      {"matmul_epilogue", [](Graph* graph) { Product(graph, true); }},
      {"moe", Moe},
      {"unknown", Normalize},
      Attention("unified", jobs::BuildUnifiedForward, {}),
      Attention("unified_padding", jobs::BuildUnifiedForward,
                {.lengths_q = {33, 38}, .lengths_k = {47, 52}}),
      Attention("unified_paged", jobs::BuildUnifiedForward,
                {.sq = 1, .lengths_q = {1, 1}, .lengths_k = {47, 52}, .page = 8, .stats = false}),
      Attention("unified_backward", jobs::BuildUnifiedBackward, {}),
      Attention("unified_backward_padding", jobs::BuildUnifiedBackward,
                {.lengths_q = {33, 38}, .lengths_k = {47, 52}}),
      Attention(
          "composed_paged", jobs::BuildComposedForward,
          {.right = 0, .lengths_q = {33, 38}, .lengths_k = {47, 52}, .page = 8, .stats = false}),
  };
  for (Case& mask : Masks()) cases.push_back(std::move(mask));
  return cases;
}

const Case& Named(const std::vector<Case>& cases, const std::string& name) {
  for (const Case& found : cases) {
    if (found.name == name) return found;
  }
  std::fprintf(stderr, "no case %s\n", name.c_str());
  std::exit(2);
}

// A plan from text runs as the one it was written from, also where that one is gone.
void Deserialized(cudnnHandle_t handle, const Case& from) {
  std::string text;
  {
    Graph graph(handle);
    from.build(&graph);
    graph.Build();
    text = graph.Serialize();
  }
  Graph graph(handle);
  from.build(&graph);
  graph.Deserialize(text);
  graph.Execute();
}

// One plan, three shapes.
void Dynamic(cudnnHandle_t handle) {
  Graph graph(handle);
  Product(&graph, false);
  graph.Build();
  graph.Execute();
  for (const int64_t m : {40, 56}) {
    graph.Override(1, {3, m, 96});
    graph.Override(3, {3, m, 80});
    graph.Execute();
  }
}

// Refused for want of an address; then carried out.
void Refused(cudnnHandle_t handle, const Case& from) {
  Graph graph(handle);
  from.build(&graph);
  graph.Build();
  if (graph.RunWithout(2) == CUDNN_STATUS_SUCCESS) Check(CUDNN_STATUS_INTERNAL_ERROR);
  graph.Execute();
}

void Graphs(cudnnHandle_t handle, cudaStream_t stream, const std::vector<Case>& cases) {
  for (const char* name : {"fprop", "unified_padding", "forward_padding_causal"}) {
    Graph graph(handle);
    Named(cases, name).build(&graph);
    graph.Build();
    cudaGraph_t captured = nullptr;
    cudaGraphExec_t exec = nullptr;
    Check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    graph.Execute();
    Check(cudaStreamEndCapture(stream, &captured));
    Check(cudaGraphInstantiateWithFlags(&exec, captured, 0));
    for (int i = 0; i < 3; ++i) Check(cudaGraphLaunch(exec, stream));
    Check(cudaStreamSynchronize(stream));
    Check(cudaGraphExecDestroy(exec));
    Check(cudaGraphDestroy(captured));
  }
  Graph first(handle);
  Graph second(handle);
  for (Graph* graph : {&first, &second}) {
    Named(cases, graph == &first ? "dgrad" : "wgrad_groups").build(graph);
    graph->Build();
  }
  cudaGraph_t filled = nullptr;
  cudaGraphExec_t exec = nullptr;
  Check(cudaGraphCreate(&filled, 0));
  first.Populate(filled);
  Check(cudaGraphInstantiateWithFlags(&exec, filled, 0));
  Check(cudaGraphLaunch(exec, stream));
  Check(cudaGraphLaunch(exec, stream));
  Check(cudaStreamSynchronize(stream));
  Check(cudaGraphExecDestroy(exec));
  second.Update(filled);
  Check(cudaGraphInstantiateWithFlags(&exec, filled, 0));
  Check(cudaGraphLaunch(exec, stream));
  Check(cudaStreamSynchronize(stream));
  Check(cudaGraphExecDestroy(exec));
  Check(cudaGraphDestroy(filled));
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Case> cases = Cases();
  if (argc > 1 && std::strcmp(argv[1], "--list") == 0) {
    for (const Case& listed : cases) std::puts(listed.name.c_str());
    for (const char* name : {"deserialized", "dynamic", "refused"}) std::puts(name);
    return 0;
  }
  cudaStream_t stream = nullptr;
  cudnnHandle_t handle = nullptr;
  Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  Check(cudnnCreate(&handle));
  Check(cudnnSetStream(handle, stream));
  std::vector<std::string> wanted(argv + 1, argv + argc);
  if (!wanted.empty() && wanted.front() == "--graphs") {
    Graphs(handle, stream, cases);
    return 0;
  }
  if (wanted.empty()) {
    for (const Case& listed : cases) wanted.push_back(listed.name);
    for (const char* name : {"deserialized", "dynamic", "refused"}) wanted.emplace_back(name);
  }
  for (const std::string& name : wanted) {
    if (name == "deserialized") {
      Deserialized(handle, Named(cases, "forward_window"));
    } else if (name == "dynamic") {
      Dynamic(handle);
    } else if (name == "refused") {
      Refused(handle, Named(cases, "wgrad"));
    } else {
      Graph graph(handle);
      Named(cases, name).build(&graph);
      graph.Build();
      graph.Execute();
      Check(cudaStreamSynchronize(stream));
    }
  }
  Check(cudaStreamSynchronize(stream));
  Check(cudnnDestroy(handle));
  Check(cudaStreamDestroy(stream));
  return 0;
}
