// libcuda.so.1: graphs as a whole. Their nodes are in cu_graph_node.cc.
#include <cuda.h>

#include <algorithm>
#include <cstring>

#include "engine/objects.h"

namespace simgpu {

namespace {

Graph* FindGraph(CUgraph handle) {
  auto* graph = reinterpret_cast<Graph*>(handle);
  if (All().graphs.count(graph) != 0) return graph;
  for (const auto& capture : All().captures) {
    if (capture->graph.get() == graph) return graph;  // being captured: may be looked at
  }
  return nullptr;
}

GraphExec* FindExec(CUgraphExec handle) {
  auto* exec = reinterpret_cast<GraphExec*>(handle);
  return All().execs.count(exec) != 0 ? exec : nullptr;
}

GraphExec MakeExec(const Graph& graph) {
  GraphExec exec;
  exec.graph = CopyGraph(graph);
  for (const auto& node : graph.nodes) exec.origins.push_back(node.get());
  return exec;
}

// The bodies of a graph's conditional nodes go with it.
void Forget(const Graph& graph) {
  for (const auto& node : graph.nodes) {
    for (const auto& body : node->bodies) {
      All().graphs.erase(body.get());
      Forget(*body);
    }
  }
}

CUresult Instantiate(CUgraphExec* exec, CUgraph handle) {
  if (exec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Graph* graph = FindGraph(handle);
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  auto* made = new GraphExec(MakeExec(*graph));
  All().execs.insert(made);
  *exec = reinterpret_cast<CUgraphExec>(made);
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace simgpu

using simgpu::All;
using simgpu::CopyGraph;
using simgpu::Entered;
using simgpu::FindExec;
using simgpu::FindGraph;
using simgpu::FindStream;
using simgpu::Forget;
using simgpu::Graph;
using simgpu::GraphExec;
using simgpu::Instantiate;
using simgpu::LaunchGraph;
using simgpu::Node;
using simgpu::Stream;

extern "C" {

CUresult CUDAAPI cuGraphCreate(CUgraph* graph, unsigned flags) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (graph == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  auto* made = new Graph;
  All().graphs.insert(made);
  *graph = reinterpret_cast<CUgraph>(made);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuGraphDestroy(CUgraph handle) {
  const Entered entered;
  if (entered.status()) return entered.status();
  auto* graph = reinterpret_cast<Graph*>(handle);
  if (All().graphs.count(graph) == 0 || graph->is_body) return CUDA_ERROR_INVALID_VALUE;
  All().graphs.erase(graph);
  Forget(*graph);
  delete graph;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuGraphClone(CUgraph* clone, CUgraph original) {
  const Entered entered;
  if (entered.status()) return entered.status();
  const Graph* graph = FindGraph(original);
  if (clone == nullptr || graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  auto* made = new Graph(CopyGraph(*graph));
  All().graphs.insert(made);
  *clone = reinterpret_cast<CUgraph>(made);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuGraphGetNodes(CUgraph handle, CUgraphNode* nodes, size_t* count) {
  const Entered entered;
  if (entered.status()) return entered.status();
  const Graph* graph = FindGraph(handle);
  if (count == nullptr || graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (nodes != nullptr) {
    const size_t room = *count;
    for (size_t i = 0; i < room; ++i) {
      nodes[i] =
          i < graph->nodes.size() ? reinterpret_cast<CUgraphNode>(graph->nodes[i].get()) : nullptr;
    }
    *count = std::min(room, graph->nodes.size());
  } else {
    *count = graph->nodes.size();
  }
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType* type) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (handle == nullptr || type == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *type = reinterpret_cast<const Node*>(handle)->type;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuGraphInstantiateWithFlags(CUgraphExec* exec, CUgraph graph, unsigned long long) {
  const Entered entered;
  if (entered.status()) return entered.status();
  return Instantiate(exec, graph);
}

CUresult CUDAAPI cuGraphInstantiateWithParams(CUgraphExec* exec, CUgraph graph,
                                              CUDA_GRAPH_INSTANTIATE_PARAMS* params) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult status = Instantiate(exec, graph);
  params->result_out = status ? CUDA_GRAPH_INSTANTIATE_ERROR : CUDA_GRAPH_INSTANTIATE_SUCCESS;
  return status;
}

CUresult CUDAAPI cuGraphExecDestroy(CUgraphExec handle) {
  const Entered entered;
  if (entered.status()) return entered.status();
  GraphExec* exec = FindExec(handle);
  if (exec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  All().execs.erase(exec);
  delete exec;
  return CUDA_SUCCESS;
}

// An update is possible where the two graphs have the same nodes in the same order.
CUresult CUDAAPI cuGraphExecUpdate(CUgraphExec exec_handle, CUgraph handle,
                                   CUgraphExecUpdateResultInfo* info) {
  const Entered entered;
  if (entered.status()) return entered.status();
  GraphExec* exec = FindExec(exec_handle);
  const Graph* graph = FindGraph(handle);
  if (exec == nullptr || graph == nullptr || info == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::memset(info, 0, sizeof *info);
  bool same = exec->graph.nodes.size() == graph->nodes.size();
  for (size_t i = 0; same && i < graph->nodes.size(); ++i) {
    same = exec->graph.nodes[i]->type == graph->nodes[i]->type &&
           exec->graph.nodes[i]->after.size() == graph->nodes[i]->after.size();
  }
  info->result = same ? CU_GRAPH_EXEC_UPDATE_SUCCESS : CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
  if (!same) return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
  exec->graph = CopyGraph(*graph);  // the nodes answer to the handles they always had
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuGraphUpload(CUgraphExec exec, CUstream handle) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Stream* stream = nullptr;
  if (FindExec(exec) == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return FindStream(handle, &stream);
}

CUresult CUDAAPI cuGraphLaunch(CUgraphExec exec_handle, CUstream handle) {
  const Entered entered;
  if (entered.status()) return entered.status();
  const GraphExec* exec = FindExec(exec_handle);
  if (exec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  return LaunchGraph(*exec, stream);
}

}  // extern "C"
