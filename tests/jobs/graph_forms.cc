// CUDA graphs in all the ways a program of the runtime API makes and launches them.
//
// usage: graph_forms FORM [REPLAYS] [CAPTURES]; FORM is one of those in main. Every form captures
// products of shapes of its own, so that one credited in another's place changes the sum.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "blas.h"

namespace {

int g_replays = 5;
int g_captures = 10;

class Forms : public jobs::Blas {
 public:
  template <typename Body>
  cudaGraph_t Capture(cudaStreamCaptureMode mode, Body body) {
    jobs::Check(cudaStreamBeginCapture(stream(), mode));
    body();
    cudaGraph_t graph = nullptr;
    jobs::Check(cudaStreamEndCapture(stream(), &graph));
    return graph;
  }
  // `count` products whose first dimension is `m`.
  cudaGraph_t Products(int m, int count) {
    return Capture(cudaStreamCaptureModeThreadLocal, [&] {
      for (int i = 0; i < count; ++i) Multiply(m, 64, 32 + 16 * i);
    });
  }
  static cudaGraphExec_t Instantiate(cudaGraph_t graph) {
    cudaGraphExec_t exec = nullptr;
    jobs::Check(cudaGraphInstantiateWithFlags(&exec, graph, 0));
    return exec;
  }
  void Launch(cudaGraphExec_t exec, int times) {
    for (int i = 0; i < times; ++i) {
      jobs::Check(cudaGraphLaunch(exec, stream()));
      if (i % 100 == 99) Wait();
    }
    Wait();
  }
  void End(cudaGraphExec_t exec, cudaGraph_t graph) {
    if (exec != nullptr) jobs::Check(cudaGraphExecDestroy(exec));
    if (graph != nullptr) jobs::Check(cudaGraphDestroy(graph));
  }
};

// One after another, so that handles are used again.
void Loop(Forms& forms) {
  for (int i = 0; i < g_captures; ++i) {
    cudaGraph_t graph = forms.Products(64 + 16 * i, 4);
    cudaGraphExec_t exec = Forms::Instantiate(graph);
    forms.Launch(exec, g_replays);
    forms.End(exec, graph);
  }
}

void Modes(Forms& forms) {
  int m = 96;
  for (cudaStreamCaptureMode mode : {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal,
                                     cudaStreamCaptureModeRelaxed}) {
    cudaGraph_t graph = forms.Capture(mode, [&] { forms.Multiply(m += 32, 48, 80); });
    cudaGraphExec_t exec = Forms::Instantiate(graph);
    forms.Launch(exec, g_replays);
    forms.End(exec, graph);
  }
}

// A second stream joins the capture, a second thread issues into it, a third one launches.
void Threads(Forms& forms) {
  cudaStream_t side = nullptr;
  cudaEvent_t fork = nullptr, join = nullptr;
  jobs::Check(cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking));
  jobs::Check(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
  jobs::Check(cudaEventCreateWithFlags(&join, cudaEventDisableTiming));
  cudaGraph_t graph = forms.Capture(cudaStreamCaptureModeRelaxed, [&] {
    forms.Multiply(128, 64, 32);
    jobs::Check(cudaEventRecord(fork, forms.stream()));
    std::thread([&] {
      cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
      jobs::Check(cudaThreadExchangeStreamCaptureMode(&mode));
      jobs::Check(cudaStreamWaitEvent(side, fork, 0));
      jobs::Check(cublasSetStream(forms.handle(), side));
      forms.Multiply(256, 64, 32);
      jobs::Check(cudaEventRecord(join, side));
      jobs::Check(cublasSetStream(forms.handle(), forms.stream()));
    }).join();
    jobs::Check(cudaStreamWaitEvent(forms.stream(), join, 0));
    forms.Multiply(512, 64, 32);
  });
  cudaGraphExec_t exec = Forms::Instantiate(graph);
  forms.Launch(exec, 1);
  std::thread([&] { forms.Launch(exec, g_replays); }).join();
  forms.End(exec, graph);
}

// Two executables of one graph, launched after the graph is gone and its handle may be another's.
void Executables(Forms& forms) {
  cudaGraph_t graph = forms.Products(112, 3);
  cudaGraphExec_t first = Forms::Instantiate(graph);
  cudaGraphExec_t second = Forms::Instantiate(graph);
  forms.End(nullptr, graph);
  cudaGraph_t other = forms.Products(176, 2);
  cudaGraphExec_t third = Forms::Instantiate(other);
  forms.Launch(first, g_replays);
  forms.Launch(second, 2);
  forms.End(first, nullptr);
  forms.Launch(second, 1);
  forms.Launch(third, 1);
  forms.End(second, nullptr);
  forms.End(third, other);
}

// Under every flag that changes what an executable may be used for.
void Variants(Forms& forms) {
  int m = 416;
  for (const unsigned flags : {unsigned{0}, unsigned{cudaGraphInstantiateFlagAutoFreeOnLaunch},
                               unsigned{cudaGraphInstantiateFlagUseNodePriority},
                               unsigned{cudaGraphInstantiateFlagDeviceLaunch}}) {
    cudaGraph_t graph = forms.Products(m += 16, 2);
    cudaGraphExec_t exec = nullptr;
    jobs::Check(cudaGraphInstantiateWithFlags(&exec, graph, flags));
    forms.Launch(exec, g_replays);
    forms.End(exec, graph);
    graph = forms.Products(m += 16, 1);
    jobs::Check(cudaGraphInstantiate(&exec, graph, flags));
    forms.Launch(exec, g_replays);
    forms.End(exec, graph);
  }
}

void Clone(Forms& forms) {
  cudaGraph_t graph = forms.Products(144, 3);
  cudaGraph_t clone = nullptr;
  jobs::Check(cudaGraphClone(&clone, graph));
  forms.End(nullptr, graph);
  cudaGraphExec_t exec = Forms::Instantiate(clone);
  forms.Launch(exec, g_replays);
  forms.End(exec, clone);
}

// A graph made by hand: memset, host function, the same child twice; a node taken out again; then
// captured as a whole into another one.
void Child(Forms& forms) {
  cudaGraph_t child = forms.Products(160, 2);
  cudaGraph_t graph = nullptr;
  cudaGraphNode_t nodes[5] = {};
  jobs::Check(cudaGraphCreate(&graph, 0));
  cudaMemsetParams memset = {};
  memset.dst = forms.c();
  memset.elementSize = 4;
  memset.width = 64;
  memset.height = 1;
  jobs::Check(cudaGraphAddMemsetNode(&nodes[0], graph, nullptr, 0, &memset));
  jobs::Check(cudaGraphAddChildGraphNode(&nodes[1], graph, nodes, 1, child));
  cudaGraphNodeParams params = {};
  params.type = cudaGraphNodeTypeGraph;
  params.graph.graph = child;
  jobs::Check(cudaGraphAddNode(&nodes[2], graph, &nodes[1], nullptr, 1, &params));
  jobs::Check(cudaGraphAddChildGraphNode(&nodes[3], graph, &nodes[2], 1, child));
  cudaHostNodeParams host = {};
  host.fn = [](void*) {};
  jobs::Check(cudaGraphAddHostNode(&nodes[4], graph, &nodes[2], 1, &host));
  jobs::Check(cudaGraphDestroyNode(nodes[3]));
  forms.End(nullptr, child);
  cudaGraphExec_t exec = Forms::Instantiate(graph);
  forms.Launch(exec, g_replays);
  cudaGraph_t outer = forms.Capture(cudaStreamCaptureModeGlobal, [&] {
    forms.Multiply(208, 64, 32);
    jobs::Check(cudaGraphLaunch(exec, forms.stream()));
  });
  cudaGraphExec_t outer_exec = Forms::Instantiate(outer);
  forms.Launch(outer_exec, 2);
  forms.End(outer_exec, outer);
  forms.End(exec, graph);
}

void Update(Forms& forms) {
  cudaGraph_t first = forms.Products(192, 2);
  cudaGraph_t second = forms.Products(224, 2);
  cudaGraph_t longer = forms.Products(240, 3);
  cudaGraphExec_t exec = Forms::Instantiate(first);
  forms.Launch(exec, 1);
  cudaGraphExecUpdateResultInfo info = {};
  jobs::Check(cudaGraphExecUpdate(exec, second, &info));
  forms.Launch(exec, g_replays);
  // Another topology is refused, and the executable stays what it is.
  if (cudaGraphExecUpdate(exec, longer, &info) != cudaErrorGraphExecUpdateFailure) std::exit(1);
  cudaGetLastError();
  forms.Launch(exec, 1);
  forms.End(exec, nullptr);

  cudaGraph_t parent = nullptr;
  cudaGraphNode_t node = nullptr;
  jobs::Check(cudaGraphCreate(&parent, 0));
  jobs::Check(cudaGraphAddChildGraphNode(&node, parent, nullptr, 0, first));
  exec = Forms::Instantiate(parent);
  forms.Launch(exec, 1);
  jobs::Check(cudaGraphExecChildGraphNodeSetParams(exec, node, second));
  forms.Launch(exec, 2);
  forms.End(exec, parent);
  for (cudaGraph_t graph : {first, second, longer}) forms.End(nullptr, graph);
}

// A captured kernel is turned off in one launch of three.
void Enabled(Forms& forms) {
  cudaGraph_t graph = forms.Products(272, 2);
  cudaGraphNode_t nodes[2] = {};
  size_t count = 2;
  jobs::Check(cudaGraphGetNodes(graph, nodes, &count));
  cudaGraphExec_t exec = Forms::Instantiate(graph);
  forms.Launch(exec, 1);
  jobs::Check(cudaGraphNodeSetEnabled(exec, nodes[1], 0));
  forms.Launch(exec, 1);
  jobs::Check(cudaGraphNodeSetEnabled(exec, nodes[1], 1));
  forms.Launch(exec, 1);
  forms.End(exec, graph);
}

// A capture that adds to a graph; one that fails, one that is never launched: both ran nothing.
void Unused(Forms& forms) {
  cudaGraph_t graph = forms.Products(288, 1);
  jobs::Check(cudaStreamBeginCaptureToGraph(forms.stream(), graph, nullptr, nullptr, 0,
                                            cudaStreamCaptureModeGlobal));
  forms.Multiply(304, 64, 32);
  jobs::Check(cudaStreamEndCapture(forms.stream(), &graph));
  cudaGraphExec_t exec = Forms::Instantiate(graph);
  forms.Launch(exec, g_replays);
  forms.End(exec, graph);

  jobs::Check(cudaStreamBeginCapture(forms.stream(), cudaStreamCaptureModeGlobal));
  forms.Multiply(320, 64, 32);
  if (cudaStreamSynchronize(forms.stream()) == cudaSuccess) std::exit(1);  // forbidden
  if (cudaStreamEndCapture(forms.stream(), &graph) == cudaSuccess) std::exit(1);
  cudaGetLastError();
  forms.End(nullptr, forms.Products(336, 2));
}

// Bodies that run not at all and three times.
void Conditional(Forms& forms) {
  cudaGraph_t graph = nullptr;
  jobs::Check(cudaGraphCreate(&graph, 0));
  int m = 352;
  for (unsigned times : {0u, 1u, 3u}) {
    cudaGraphConditionalHandle handle = 0;
    jobs::Check(cudaGraphConditionalHandleCreate(&handle, graph, times, 1));
    cudaGraphNodeParams params = {};
    params.type = cudaGraphNodeTypeConditional;
    params.conditional.handle = handle;
    params.conditional.type = times > 1 ? cudaGraphCondTypeWhile : cudaGraphCondTypeIf;
    params.conditional.size = 1;
    cudaGraphNode_t node = nullptr;
    jobs::Check(cudaGraphAddNode(&node, graph, nullptr, nullptr, 0, &params));
    cudaGraph_t body = params.conditional.phGraph_out[0];
    jobs::Check(cudaStreamBeginCaptureToGraph(forms.stream(), body, nullptr, nullptr, 0,
                                              cudaStreamCaptureModeRelaxed));
    forms.Multiply(m, 64, 32);
    m += 16;
    jobs::Check(cudaStreamEndCapture(forms.stream(), &body));
  }
  cudaGraphExec_t exec = Forms::Instantiate(graph);
  forms.Launch(exec, g_replays);
  forms.End(exec, graph);
}

}  // namespace

int main(int argc, char** argv) {
  const struct {
    const char* name;
    void (*run)(Forms&);
  } all[] = {{"loop", Loop},        {"modes", Modes},
             {"threads", Threads},  {"clone", Clone},
             {"child", Child},      {"executables", Executables},
             {"update", Update},    {"enabled", Enabled},
             {"unused", Unused},    {"conditional", Conditional},
             {"variants", Variants}};
  if (argc > 2) g_replays = std::atoi(argv[2]);
  if (argc > 3) g_captures = std::atoi(argv[3]);
  for (const auto& form : all) {
    if (argc < 2 || std::strcmp(argv[1], form.name) != 0) continue;
    Forms forms;
    forms.Multiply(400, 64, 32);  // not in a graph
    form.run(forms);
    forms.Wait();
    return 0;
  }
  std::fputs("usage: graph_forms FORM [REPLAYS] [CAPTURES]\n", stderr);
  return 2;
}
