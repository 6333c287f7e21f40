// libcudnn_graph.so.9: running a plan on a stream, and as a node of a CUDA graph.
#include <cstring>
#include <memory>

#include "cudnn/backend.h"
#include "cudnn/count.h"
#include "cudnn/cublaslt_engine.h"
#include "cudnn/graph.h"
#include "cudnn/handle.h"

namespace simgpu::cudnn {
namespace {

double ReadScalar(cudnnDataType_t type, const void* from) {
  switch (type) {
    case CUDNN_DATA_FLOAT: {
      float value = 0;
      std::memcpy(&value, from, sizeof value);
      return static_cast<double>(value);
    }
    case CUDNN_DATA_DOUBLE: {
      double value = 0;
      std::memcpy(&value, from, sizeof value);
      return value;
    }
    case CUDNN_DATA_INT32: {
      int32_t value = 0;
      std::memcpy(&value, from, sizeof value);
      return value;
    }
    case CUDNN_DATA_INT64: {
      int64_t value = 0;
      std::memcpy(&value, from, sizeof value);
      return static_cast<double>(value);
    }
    default:
      return 1;  // halves only scale
  }
}

// The variant pack against the graph: everything real needs an address.
cudnnStatus_t Bind(const Graph& graph, const Descriptor& pack, Bindings* bindings) {
  std::map<int64_t, void*> addresses;
  const std::vector<int64_t> uids = pack.Integers(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const std::vector<int64_t> pointers = pack.Integers(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  for (size_t i = 0; i < uids.size(); ++i)
    addresses[uids[i]] = reinterpret_cast<void*>(pointers[i]);
  for (const auto& [uid, tensor] : graph.tensors) {
    if (tensor.is_virtual) continue;
    const auto found = addresses.find(uid);
    if (found == addresses.end() || found->second == nullptr) {
      return Fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER,
                  "no pointer for tensor " + std::to_string(uid));
    }
    if (tensor.by_value) {
      bindings->scalars[uid] = ReadScalar(tensor.type, found->second);
    } else {
      bindings->device[uid] = found->second;
    }
  }
  const std::vector<int64_t> overridden =
      pack.Integers(CUDNN_ATTR_VARIANT_PACK_OVERRIDE_UNIQUE_IDS);
  const std::vector<int64_t> shapes = pack.Integers(CUDNN_ATTR_VARIANT_PACK_OVERRIDE_SHAPES);
  auto at = shapes.begin();
  for (const int64_t uid : overridden) {
    if (at == shapes.end() || shapes.end() - at <= *at) {
      return Fail(CUDNN_STATUS_NOT_SUPPORTED_INVALID_DYNAMIC_SHAPE, "fewer shapes than ids");
    }
    bindings->shapes[uid] = {at + 1, at + 1 + *at};
    at += 1 + *at;
  }
  return CUDNN_STATUS_SUCCESS;
}

Work MakeWork(const char* function, std::shared_ptr<const Graph> graph, const Bindings& bindings) {
  Work work;
  work.kind = OpKind::kGraph;
  work.function = CallerScope::Outermost(function);
  work.hardware_queue = true;
  work.describe = [graph = std::move(graph), bindings](Work* into) {
    const Counted counted = Count(*graph, bindings);
    into->kind = counted.kind;
    into->dims = counted.dims;
    into->flop = counted.flop;
    into->bytes = counted.bytes;
    into->duration_ns = FindApi()->GemmDuration(counted.format, counted.m, counted.n, counted.k,
                                                counted.batch, counted.flop, counted.bytes);
  };
  return work;
}

struct Call {
  const Handle* handle = nullptr;
  const Descriptor* plan = nullptr;
  Bindings bindings;
};

cudnnStatus_t Understand(const char* function, cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                         cudnnBackendDescriptor_t pack_handle, Call* call) {
  call->handle = Find(handle);
  call->plan = Read(plan);
  const Descriptor* pack = Read(pack_handle);
  if (call->handle == nullptr || call->plan == nullptr || pack == nullptr) {
    return Fail(CUDNN_STATUS_BAD_PARAM, "handle, plan or variant pack");
  }
  if (call->plan->kind != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR ||
      pack->kind != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR) {
    return Fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "plan or variant pack");
  }
  if (!call->plan->finalized || !pack->finalized) {
    return Fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "plan or variant pack");
  }
  if (FindApi()->ShouldFail(function)) return Fail(CUDNN_STATUS_EXECUTION_FAILED, "told to fail");
  return Bind(*call->plan->graph, *pack, &call->bindings);
}

// True if the plan's engine is the one that calls cuBLASLt.
bool IsNested(const Descriptor& plan) { return plan.engine == 0; }

cudnnStatus_t RunNested(const char* function, const Call& call) {
  const CallerScope caller(CallerScope::Outermost(function));
  const Graph& graph = *call.plan->graph;
  const Node& node = graph.nodes.front();
  const auto tensor = [&](const char* key) {
    Tensor found = graph.tensor(node.port(key));
    const auto shape = call.bindings.shapes.find(found.uid);
    if (shape != call.bindings.shapes.end()) found.dim = shape->second;
    return found;
  };
  const auto data = [&](const char* key) {
    return const_cast<void*>(call.bindings.device.at(node.port(key)));
  };
  return RunOnCublasLt(tensor("matA"), tensor("matB"), tensor("matC"), data("matA"), data("matB"),
                       data("matC"), call.handle->stream);
}

}  // namespace
}  // namespace simgpu::cudnn

using simgpu::cudnn::Call;
using simgpu::cudnn::Fail;
using simgpu::cudnn::IsNested;
using simgpu::cudnn::MakeWork;

extern "C" {

cudnnStatus_t CUDNNWINAPI cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                              cudnnBackendDescriptor_t pack) {
  constexpr const char* kName = "cudnnBackendExecute";
  Call call;
  if (const cudnnStatus_t status = simgpu::cudnn::Understand(kName, handle, plan, pack, &call)) {
    return status;
  }
  if (IsNested(*call.plan)) return RunNested(kName, call);
  return Enqueue(*call.handle, MakeWork(kName, call.plan->graph, call.bindings));
}

cudnnStatus_t CUDNNWINAPI cudnnBackendPopulateCudaGraph(cudnnHandle_t handle,
                                                        cudnnBackendDescriptor_t plan,
                                                        cudnnBackendDescriptor_t pack,
                                                        cudaGraph_t graph) {
  constexpr const char* kName = "cudnnBackendPopulateCudaGraph";
  Call call;
  if (const cudnnStatus_t status = simgpu::cudnn::Understand(kName, handle, plan, pack, &call)) {
    return status;
  }
  if (IsNested(*call.plan)) {
    return Fail(CUDNN_STATUS_NOT_SUPPORTED_CUDA_GRAPH_NATIVE_API, "engine calls cuBLASLt");
  }
  return simgpu::FindApi()->AddGraphNode(graph, MakeWork(kName, call.plan->graph, call.bindings)) ==
                 CUDA_SUCCESS
             ? CUDNN_STATUS_SUCCESS
             : Fail(CUDNN_STATUS_BAD_PARAM, "graph");
}

cudnnStatus_t CUDNNWINAPI cudnnBackendUpdateCudaGraph(cudnnHandle_t handle,
                                                      cudnnBackendDescriptor_t plan,
                                                      cudnnBackendDescriptor_t pack,
                                                      cudaGraph_t graph) {
  constexpr const char* kName = "cudnnBackendUpdateCudaGraph";
  Call call;
  if (const cudnnStatus_t status = simgpu::cudnn::Understand(kName, handle, plan, pack, &call)) {
    return status;
  }
  return simgpu::FindApi()->ReplaceGraphNode(
             graph, MakeWork(kName, call.plan->graph, call.bindings)) == CUDA_SUCCESS
             ? CUDNN_STATUS_SUCCESS
             : Fail(CUDNN_STATUS_BAD_PARAM_CUDA_GRAPH_MISMATCH, "graph");
}

}  // extern "C"
