// libcudart: graphs.
#include "cudart/driver.h"

using simgpu_cudart::GetDriver;
using simgpu_cudart::Keep;
using simgpu_cudart::ToStream;

namespace {

CUgraph ToGraph(cudaGraph_t graph) { return reinterpret_cast<CUgraph>(graph); }
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
