// libcuda.so.1: nodes of graphs, added one by one, replaced and turned off in executables.
//
// Node types: kernel, memset, memcpy (device to device), host, empty, child graph, conditional. A
// conditional node's kernels do not set its handle: the handle keeps its default value, which says
// which body runs, or how often the body of a loop.
#include <cuda.h>

#include <algorithm>
#include <cstring>

#include "engine/objects.h"

namespace simgpu {
namespace {

Graph* FindOwn(CUgraph handle) {
  auto* graph = reinterpret_cast<Graph*>(handle);
  return All().graphs.count(graph) != 0 ? graph : nullptr;
}

GraphExec* FindExec(CUgraphExec handle) {
  auto* exec = reinterpret_cast<GraphExec*>(handle);
  return All().execs.count(exec) != 0 ? exec : nullptr;
}

bool Has(const Graph& graph, const Node* wanted) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [wanted](const auto& node) { return node.get() == wanted; });
}

CUresult Add(CUgraphNode* out, CUgraph handle, const CUgraphNode* dependencies, size_t count,
             Node node) {
  Graph* graph = FindOwn(handle);
  if (out == nullptr || graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i) {
    auto* before = reinterpret_cast<Node*>(dependencies[i]);
    if (!Has(*graph, before)) return CUDA_ERROR_INVALID_VALUE;
    node.after.push_back(before);
  }
  node.device = CurrentContext() == nullptr ? 0 : CurrentContext()->device;
  graph->nodes.push_back(std::make_unique<Node>(std::move(node)));
  *out = reinterpret_cast<CUgraphNode>(graph->nodes.back().get());
  return CUDA_SUCCESS;
}

CUresult MakeKernelNode(const CUDA_KERNEL_NODE_PARAMS& params, Node* node) {
  node->type = CU_GRAPH_NODE_TYPE_KERNEL;
  return MakeKernel("cuGraphAddKernelNode", params.func,
                    {params.gridDimX, params.gridDimY, params.gridDimZ},
                    {params.blockDimX, params.blockDimY, params.blockDimZ}, &node->work);
}

CUresult MakeMemsetNode(CUdeviceptr to, size_t width, size_t height, unsigned element_size,
                        Node* node) {
  node->type = CU_GRAPH_NODE_TYPE_MEMSET;
  if (to == 0 || width == 0 || height == 0) return CUDA_ERROR_INVALID_VALUE;
  const DeviceDescription& d = GetSettings().device;
  node->work.kind = OpKind::kMemset;
  node->work.function = "cuGraphAddMemsetNode";
  node->work.bytes = width * height * element_size;
  node->work.duration_ns = ScaledKernelNs(
      d.kernel_overhead_ns + static_cast<double>(node->work.bytes) / d.memory_bytes_per_s * 1e9);
  return CUDA_SUCCESS;
}

Node MakeMemcpyNode(const CUDA_MEMCPY3D& params) {
  Node node;
  node.type = CU_GRAPH_NODE_TYPE_MEMCPY;
  const DeviceDescription& d = GetSettings().device;
  node.work.kind = OpKind::kMemcpy;
  node.work.function = "cuGraphAddMemcpyNode";
  node.work.bytes = params.WidthInBytes * params.Height * params.Depth;
  node.work.duration_ns = ScaledKernelNs(
      d.kernel_overhead_ns + static_cast<double>(node.work.bytes) / d.memory_bytes_per_s * 1e9);
  return node;
}

Node MakeHostNode(CUhostFn function, void* argument) {
  Node node;
  node.type = CU_GRAPH_NODE_TYPE_HOST;
  node.work.kind = OpKind::kHost;
  node.work.function = "cuGraphAddHostNode";
  node.work.host_call = [function, argument] { function(argument); };
  return node;
}

Node MakeEmptyNode() {
  Node node;
  node.type = CU_GRAPH_NODE_TYPE_EMPTY;
  node.work.kind = OpKind::kMarker;
  return node;
}

CUresult MakeChildNode(CUgraph child, Node* node) {
  const Graph* graph = FindOwn(child);
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  node->type = CU_GRAPH_NODE_TYPE_GRAPH;
  node->child = std::make_shared<Graph>(CopyGraph(*graph));
  return CUDA_SUCCESS;
}

CUresult MakeConditionalNode(CUDA_CONDITIONAL_NODE_PARAMS* params, Node* node) {
  for (const Graph* graph : All().graphs) {
    for (const auto& condition : graph->conditions) {
      if (reinterpret_cast<uintptr_t>(condition.get()) == params->handle) {
        node->condition = condition;
      }
    }
  }
  if (node->condition == nullptr || params->size == 0) return CUDA_ERROR_INVALID_VALUE;
  node->type = CU_GRAPH_NODE_TYPE_CONDITIONAL;
  node->condition_type = params->type;
  for (unsigned i = 0; i < params->size; ++i) {
    node->bodies.push_back(std::make_shared<Graph>());
    node->bodies.back()->is_body = true;
    All().graphs.insert(node->bodies.back().get());
    node->body_handles.push_back(reinterpret_cast<CUgraph>(node->bodies.back().get()));
  }
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace simgpu

using simgpu::Add;
using simgpu::All;
using simgpu::Entered;
using simgpu::FindExec;
using simgpu::FindOwn;
using simgpu::Graph;
using simgpu::GraphExec;
using simgpu::Node;

extern "C" {

CUresult CUDAAPI cuGraphAddKernelNode(CUgraphNode* node, CUgraph graph,
                                      const CUgraphNode* dependencies, size_t count,
                                      const CUDA_KERNEL_NODE_PARAMS* params) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  Node made;
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult status = simgpu::MakeKernelNode(*params, &made)) return status;
  return Add(node, graph, dependencies, count, std::move(made));
}

CUresult CUDAAPI cuGraphAddMemsetNode(CUgraphNode* node, CUgraph graph,
                                      const CUgraphNode* dependencies, size_t count,
                                      const CUDA_MEMSET_NODE_PARAMS* params, CUcontext) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Node made;
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult status = simgpu::MakeMemsetNode(params->dst, params->width, params->height,
                                                     params->elementSize, &made)) {
    return status;
  }
  return Add(node, graph, dependencies, count, std::move(made));
}

CUresult CUDAAPI cuGraphAddMemcpyNode(CUgraphNode* node, CUgraph graph,
                                      const CUgraphNode* dependencies, size_t count,
                                      const CUDA_MEMCPY3D* params, CUcontext) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Add(node, graph, dependencies, count, simgpu::MakeMemcpyNode(*params));
}

CUresult CUDAAPI cuGraphAddHostNode(CUgraphNode* node, CUgraph graph,
                                    const CUgraphNode* dependencies, size_t count,
                                    const CUDA_HOST_NODE_PARAMS* params) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (params == nullptr || params->fn == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Add(node, graph, dependencies, count, simgpu::MakeHostNode(params->fn, params->userData));
}

CUresult CUDAAPI cuGraphAddEmptyNode(CUgraphNode* node, CUgraph graph,
                                     const CUgraphNode* dependencies, size_t count) {
  const Entered entered;
  if (entered.status()) return entered.status();
  return Add(node, graph, dependencies, count, simgpu::MakeEmptyNode());
}

CUresult CUDAAPI cuGraphAddChildGraphNode(CUgraphNode* node, CUgraph graph,
                                          const CUgraphNode* dependencies, size_t count,
                                          CUgraph child) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Node made;
  if (const CUresult status = simgpu::MakeChildNode(child, &made)) return status;
  return Add(node, graph, dependencies, count, std::move(made));
}

CUresult CUDAAPI cuGraphAddNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                                const CUgraphEdgeData*, size_t count, CUgraphNodeParams* params) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Node made;
  CUresult status = CUDA_SUCCESS;
  switch (params->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL: {
      CUDA_KERNEL_NODE_PARAMS kernel = {};
      static_assert(sizeof kernel == sizeof params->kernel);
      std::memcpy(&kernel, &params->kernel, sizeof kernel);
      status = simgpu::MakeKernelNode(kernel, &made);
      break;
    }
    case CU_GRAPH_NODE_TYPE_MEMSET:
      status = simgpu::MakeMemsetNode(params->memset.dst, params->memset.width,
                                      params->memset.height, params->memset.elementSize, &made);
      break;
    case CU_GRAPH_NODE_TYPE_MEMCPY:
      made = simgpu::MakeMemcpyNode(params->memcpy.copyParams);
      break;
    case CU_GRAPH_NODE_TYPE_HOST:
      made = simgpu::MakeHostNode(params->host.fn, params->host.userData);
      break;
    case CU_GRAPH_NODE_TYPE_EMPTY:
      made = simgpu::MakeEmptyNode();
      break;
    case CU_GRAPH_NODE_TYPE_GRAPH:
      status = simgpu::MakeChildNode(params->graph.graph, &made);
      break;
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
      status = simgpu::MakeConditionalNode(&params->conditional, &made);
      break;
    default:
      status = CUDA_ERROR_NOT_SUPPORTED;
  }
  if (status != CUDA_SUCCESS) return status;
  status = Add(node, graph, dependencies, count, std::move(made));
  if (status == CUDA_SUCCESS && params->type == CU_GRAPH_NODE_TYPE_CONDITIONAL) {
    params->conditional.phGraph_out = reinterpret_cast<Node*>(*node)->body_handles.data();
  }
  return status;
}

CUresult CUDAAPI cuGraphConditionalHandleCreate(CUgraphConditionalHandle* handle, CUgraph owner,
                                                CUcontext, unsigned value, unsigned) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Graph* graph = FindOwn(owner);
  if (handle == nullptr || graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  graph->conditions.push_back(std::make_shared<simgpu::Condition>(simgpu::Condition{value}));
  *handle = reinterpret_cast<uintptr_t>(graph->conditions.back().get());
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuGraphDestroyNode(CUgraphNode handle) {
  const Entered entered;
  if (entered.status()) return entered.status();
  auto* node = reinterpret_cast<Node*>(handle);
  for (Graph* graph : All().graphs) {
    if (!simgpu::Has(*graph, node)) continue;
    for (const auto& other : graph->nodes) std::erase(other->after, node);
    std::erase_if(graph->nodes, [node](const auto& owned) { return owned.get() == node; });
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

CUresult CUDAAPI cuGraphExecChildGraphNodeSetParams(CUgraphExec exec_handle, CUgraphNode handle,
                                                    CUgraph child) {
  const Entered entered;
  if (entered.status()) return entered.status();
  GraphExec* exec = FindExec(exec_handle);
  const Graph* graph = FindOwn(child);
  Node* node = exec == nullptr ? nullptr : exec->Find(reinterpret_cast<Node*>(handle));
  if (node == nullptr || graph == nullptr || node->child == nullptr) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  node->child = std::make_shared<Graph>(simgpu::CopyGraph(*graph));
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                          CUgraphNodeParams* params) {
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (params->type != CU_GRAPH_NODE_TYPE_GRAPH) return CUDA_ERROR_NOT_SUPPORTED;
  return cuGraphExecChildGraphNodeSetParams(exec, node, params->graph.graph);
}

CUresult CUDAAPI cuGraphNodeSetEnabled(CUgraphExec exec_handle, CUgraphNode handle,
                                       unsigned is_enabled) {
  const Entered entered;
  if (entered.status()) return entered.status();
  GraphExec* exec = FindExec(exec_handle);
  Node* node = exec == nullptr ? nullptr : exec->Find(reinterpret_cast<Node*>(handle));
  if (node == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (node->type != CU_GRAPH_NODE_TYPE_KERNEL && node->type != CU_GRAPH_NODE_TYPE_MEMSET &&
      node->type != CU_GRAPH_NODE_TYPE_MEMCPY) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  node->is_off = is_enabled == 0;
  return CUDA_SUCCESS;
}

}  // extern "C"
