// libcudart: graphs.
#include "cudart/driver.h"

using simgpu_cudart::GetDriver;
using simgpu_cudart::Keep;
using simgpu_cudart::ToStream;

namespace {

CUgraph ToGraph(cudaGraph_t graph) { return reinterpret_cast<CUgraph>(graph); }
CUgraphNode ToNode(cudaGraphNode_t node) { return reinterpret_cast<CUgraphNode>(node); }
CUgraphExec ToExec(cudaGraphExec_t exec) { return reinterpret_cast<CUgraphExec>(exec); }

}  // namespace

extern "C" {

cudaError_t CUDARTAPI cudaGraphCreate(cudaGraph_t* graph, unsigned flags) {
  SIM_FORWARD(cuGraphCreate(reinterpret_cast<CUgraph*>(graph), flags));
}

cudaError_t CUDARTAPI cudaGraphDestroy(cudaGraph_t graph) {
  SIM_FORWARD(cuGraphDestroy(ToGraph(graph)));
}

cudaError_t CUDARTAPI cudaGraphClone(cudaGraph_t* clone, cudaGraph_t graph) {
  SIM_FORWARD(cuGraphClone(reinterpret_cast<CUgraph*>(clone), ToGraph(graph)));
}

cudaError_t CUDARTAPI cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  SIM_FORWARD(cuGraphGetNodes(ToGraph(graph), reinterpret_cast<CUgraphNode*>(nodes), count));
}

cudaError_t CUDARTAPI cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
  SIM_FORWARD(cuGraphNodeGetType(reinterpret_cast<CUgraphNode>(node),
                                 reinterpret_cast<CUgraphNodeType*>(type)));
}

cudaError_t CUDARTAPI cudaGraphAddMemsetNode(cudaGraphNode_t* node, cudaGraph_t graph,
                                             const cudaGraphNode_t* dependencies, size_t count,
                                             const cudaMemsetParams* params) {
  if (params == nullptr) return Keep(cudaErrorInvalidValue);
  const CUDA_MEMSET_NODE_PARAMS ours = {simgpu_cudart::ToDevice(params->dst),
                                        params->pitch,
                                        params->value,
                                        params->elementSize,
                                        params->width,
                                        params->height};
  SIM_FORWARD(cuGraphAddMemsetNode(reinterpret_cast<CUgraphNode*>(node), ToGraph(graph),
                                   reinterpret_cast<const CUgraphNode*>(dependencies), count, &ours,
                                   nullptr));
}

cudaError_t CUDARTAPI cudaGraphAddHostNode(cudaGraphNode_t* node, cudaGraph_t graph,
                                           const cudaGraphNode_t* dependencies, size_t count,
                                           const cudaHostNodeParams* params) {
  if (params == nullptr) return Keep(cudaErrorInvalidValue);
  const CUDA_HOST_NODE_PARAMS ours = {params->fn, params->userData};
  SIM_FORWARD(cuGraphAddHostNode(reinterpret_cast<CUgraphNode*>(node), ToGraph(graph),
                                 reinterpret_cast<const CUgraphNode*>(dependencies), count, &ours));
}

cudaError_t CUDARTAPI cudaGraphAddEmptyNode(cudaGraphNode_t* node, cudaGraph_t graph,
                                            const cudaGraphNode_t* dependencies, size_t count) {
  SIM_FORWARD(cuGraphAddEmptyNode(reinterpret_cast<CUgraphNode*>(node), ToGraph(graph),
                                  reinterpret_cast<const CUgraphNode*>(dependencies), count));
}

cudaError_t CUDARTAPI cudaGraphAddChildGraphNode(cudaGraphNode_t* node, cudaGraph_t graph,
                                                 const cudaGraphNode_t* dependencies, size_t count,
                                                 cudaGraph_t child) {
  SIM_FORWARD(cuGraphAddChildGraphNode(reinterpret_cast<CUgraphNode*>(node), ToGraph(graph),
                                       reinterpret_cast<const CUgraphNode*>(dependencies), count,
                                       ToGraph(child)));
}

// The two kinds of parameters have one layout but for kernels, whose function the runtime looks up.
cudaError_t CUDARTAPI cudaGraphAddNode(cudaGraphNode_t* node, cudaGraph_t graph,
                                       const cudaGraphNode_t* dependencies,
                                       const cudaGraphEdgeData* edges, size_t count,
                                       cudaGraphNodeParams* params) {
  if (params == nullptr || params->type == cudaGraphNodeTypeKernel) {
    return Keep(cudaErrorInvalidValue);
  }
  SIM_FORWARD(cuGraphAddNode(reinterpret_cast<CUgraphNode*>(node), ToGraph(graph),
                             reinterpret_cast<const CUgraphNode*>(dependencies),
                             reinterpret_cast<const CUgraphEdgeData*>(edges), count,
                             reinterpret_cast<CUgraphNodeParams*>(params)));
}

cudaError_t CUDARTAPI cudaGraphConditionalHandleCreate(cudaGraphConditionalHandle* handle,
                                                       cudaGraph_t graph, unsigned value,
                                                       unsigned flags) {
  CUcontext context = nullptr;
  if (const cudaError_t error = simgpu_cudart::EnsureContext()) return Keep(error);
  GetDriver()->cuCtxGetCurrent(&context);
  SIM_FORWARD(cuGraphConditionalHandleCreate(reinterpret_cast<CUgraphConditionalHandle*>(handle),
                                             ToGraph(graph), context, value, flags));
}

cudaError_t CUDARTAPI cudaGraphDestroyNode(cudaGraphNode_t node) {
  SIM_FORWARD(cuGraphDestroyNode(ToNode(node)));
}

cudaError_t CUDARTAPI cudaGraphExecChildGraphNodeSetParams(cudaGraphExec_t exec,
                                                           cudaGraphNode_t node,
                                                           cudaGraph_t child) {
  SIM_FORWARD(cuGraphExecChildGraphNodeSetParams(ToExec(exec), ToNode(node), ToGraph(child)));
}

cudaError_t CUDARTAPI cudaGraphNodeSetEnabled(cudaGraphExec_t exec, cudaGraphNode_t node,
                                              unsigned is_enabled) {
  SIM_FORWARD(cuGraphNodeSetEnabled(ToExec(exec), ToNode(node), is_enabled));
}

cudaError_t CUDARTAPI cudaStreamBeginCaptureToGraph(cudaStream_t stream, cudaGraph_t graph,
                                                    const cudaGraphNode_t* dependencies,
                                                    const cudaGraphEdgeData* edges, size_t count,
                                                    cudaStreamCaptureMode mode) {
  SIM_FORWARD(cuStreamBeginCaptureToGraph(ToStream(stream), ToGraph(graph),
                                          reinterpret_cast<const CUgraphNode*>(dependencies),
                                          reinterpret_cast<const CUgraphEdgeData*>(edges), count,
                                          static_cast<CUstreamCaptureMode>(mode)));
}

cudaError_t CUDARTAPI cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph,
                                                    unsigned long long flags) {
  SIM_FORWARD(
      cuGraphInstantiateWithFlags(reinterpret_cast<CUgraphExec*>(exec), ToGraph(graph), flags));
}

cudaError_t CUDARTAPI cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                           unsigned long long flags) {
  return cudaGraphInstantiateWithFlags(exec, graph, flags);
}

cudaError_t CUDARTAPI cudaGraphExecDestroy(cudaGraphExec_t exec) {
  SIM_FORWARD(cuGraphExecDestroy(ToExec(exec)));
}

cudaError_t CUDARTAPI cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                          cudaGraphExecUpdateResultInfo* info) {
  SIM_FORWARD(cuGraphExecUpdate(ToExec(exec), ToGraph(graph),
                                reinterpret_cast<CUgraphExecUpdateResultInfo*>(info)));
}

cudaError_t CUDARTAPI cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
  SIM_FORWARD(cuGraphUpload(ToExec(exec), ToStream(stream)));
}

cudaError_t CUDARTAPI cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  SIM_FORWARD(cuGraphLaunch(ToExec(exec), ToStream(stream)));
}

}  // extern "C"
