// libcudnn_graph.so.9: creating, filling, finalizing and asking backend descriptors.
#include "cudnn/backend.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <unordered_set>

#include "cudnn/graph.h"

namespace simgpu::cudnn {
namespace {

// Engine 0 hands a plain product to cuBLASLt and cannot be put into a graph; engine 1 can all.
constexpr int64_t kCublasLtEngine = 0;
constexpr int64_t kOwnEngine = 1;

std::mutex descriptors_lock;
std::unordered_set<Descriptor*>& Descriptors() {
  static auto* all = new std::unordered_set<Descriptor*>;
  return *all;
}

bool IsPlainProduct(const Graph& graph) {
  if (graph.nodes.size() != 1 || !graph.nodes.front().is("MATMUL")) return false;
  const Node& node = graph.nodes.front();
  const Tensor& a = graph.tensor(node.port("matA"));
  const Tensor& b = graph.tensor(node.port("matB"));
  return node.port("mOverride") == 0 && node.port("nOverride") == 0 && a.type == b.type &&
         (a.type == CUDNN_DATA_HALF || a.type == CUDNN_DATA_BFLOAT16) &&
         a.elements() / a.FromLast(0) / a.FromLast(1) ==
             b.elements() / b.FromLast(0) / b.FromLast(1);
}

std::vector<int64_t> EnginesFor(const Graph& graph) {
  const char* nested = std::getenv("SIMGPU_CUDNN_NESTED");
  const bool may_nest = nested == nullptr || std::strcmp(nested, "0") != 0;
  if (may_nest && IsPlainProduct(graph)) return {kCublasLtEngine, kOwnEngine};
  return {kOwnEngine};
}

// A library from before plans could be written as text.
bool LacksPlanText(int name) {
  if (name != CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION) return false;
  const char* refuses = std::getenv("SIMGPU_CUDNN_NO_JSON");
  return refuses != nullptr && std::strcmp(refuses, "0") != 0;
}

// The rules of shapes that graphs of real jobs meet.
cudnnStatus_t FinalizeTensor(const Descriptor& tensor) {
  const std::vector<int64_t> dim = tensor.Integers(CUDNN_ATTR_TENSOR_DIMENSIONS);
  if (dim.empty() || dim.size() != tensor.Integers(CUDNN_ATTR_TENSOR_STRIDES).size()) {
    return Fail(CUDNN_STATUS_BAD_PARAM, "_nbDims != _nbStrides");
  }
  for (const int64_t extent : dim) {
    if (extent <= 0) return Fail(CUDNN_STATUS_BAD_PARAM, "dim <= 0");
  }
  for (const int name : {CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_ATTR_TENSOR_DATA_TYPE,
                         CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT}) {
    if (tensor.Find(name) == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM, "attribute not set");
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t FinalizeMatmul(const Descriptor& operation) {
  const Descriptor* a = operation.Child(CUDNN_ATTR_OPERATION_MATMUL_ADESC);
  const Descriptor* b = operation.Child(CUDNN_ATTR_OPERATION_MATMUL_BDESC);
  const Descriptor* c = operation.Child(CUDNN_ATTR_OPERATION_MATMUL_CDESC);
  if (a == nullptr || b == nullptr || c == nullptr ||
      operation.Child(CUDNN_ATTR_OPERATION_MATMUL_DESC) == nullptr) {
    return Fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "matrix not set");
  }
  const auto dims = [](const Descriptor* t) { return t->Integers(CUDNN_ATTR_TENSOR_DIMENSIONS); };
  const std::vector<int64_t> da = dims(a);
  const std::vector<int64_t> db = dims(b);
  const std::vector<int64_t> dc = dims(c);
  const size_t rank = dc.size();
  if (rank < 2 || da.size() != rank || db.size() != rank || da[rank - 1] != db[rank - 2] ||
      da[rank - 2] != dc[rank - 2] || db[rank - 1] != dc[rank - 1]) {
    return Fail(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "matrices do not fit");
  }
  return CUDNN_STATUS_SUCCESS;
}

// Extent of a convolution's result: cudnnGetConvolutionNdForwardOutputDim's formula.
cudnnStatus_t FinalizeConvolution(const Descriptor& operation, int conv, int x, int w, int y) {
  const Descriptor* parameters = operation.Child(conv);
  if (parameters == nullptr || operation.Child(x) == nullptr || operation.Child(w) == nullptr ||
      operation.Child(y) == nullptr) {
    return Fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "tensor not set");
  }
  const auto dims = [&](int name) {
    return operation.Child(name)->Integers(CUDNN_ATTR_TENSOR_DIMENSIONS);
  };
  const std::vector<int64_t> dx = dims(x);
  const std::vector<int64_t> dw = dims(w);
  const std::vector<int64_t> dy = dims(y);
  const auto numbers = [&](int name) { return parameters->Integers(name); };
  const std::vector<int64_t> before = numbers(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
  const std::vector<int64_t> after = numbers(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
  const std::vector<int64_t> stride = numbers(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
  const std::vector<int64_t> dilation = numbers(CUDNN_ATTR_CONVOLUTION_DILATIONS);
  const size_t spatial = dx.size() - 2;
  bool fits = dx.size() > 2 && dw.size() == dx.size() && dy.size() == dx.size() &&
              before.size() == spatial && after.size() == spatial && stride.size() == spatial &&
              dilation.size() == spatial && dx[0] == dy[0] && dw[0] == dy[1] &&
              dx[1] % dw[1] == 0 && dy[1] % (dx[1] / dw[1]) == 0;
  for (size_t i = 0; fits && i < spatial; ++i) {
    const int64_t reach = (dw[i + 2] - 1) * dilation[i] + 1;
    fits = dy[i + 2] == (dx[i + 2] + before[i] + after[i] - reach) / stride[i] + 1;
  }
  return fits ? CUDNN_STATUS_SUCCESS : Fail(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "convolution");
}

cudnnStatus_t FinalizePlan(Descriptor* plan) {
  if (const Attribute* json = plan->Find(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION)) {
    const std::string text(reinterpret_cast<const char*>(json->bytes.data()), json->bytes.size());
    plan->graph = ReadPlan(text, &plan->engine);
    if (plan->graph == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM, "not a plan");
    return CUDNN_STATUS_SUCCESS;
  }
  const Descriptor* config = plan->Child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  if (config == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "no engine config");
  plan->graph = config->graph;
  plan->engine = config->engine;
  return CUDNN_STATUS_SUCCESS;
}

// What is derived from another descriptor takes its graph along.
cudnnStatus_t Inherit(Descriptor* to, int name) {
  const Descriptor* from = to->Child(name);
  if (from == nullptr || from->graph == nullptr) {
    return Fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "no operation graph");
  }
  to->graph = from->graph;
  to->engine = from->engine;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t Finalize(Descriptor* at) {
  switch (at->kind) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
      return FinalizeTensor(*at);
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
      return FinalizeMatmul(*at);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
      return FinalizeConvolution(*at, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
      return FinalizeConvolution(*at, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
      return FinalizeConvolution(*at, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY);
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR: {
      std::string why;
      at->graph = BuildGraph(*at, &why);
      return at->graph == nullptr ? Fail(CUDNN_STATUS_BAD_PARAM, why) : CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
      return Inherit(at, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR: {
      const cudnnStatus_t status = Inherit(at, CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
      at->engine = at->Integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1);
      if (status != CUDNN_STATUS_SUCCESS) return status;
      const std::vector<int64_t> engines = EnginesFor(*at->graph);
      return std::find(engines.begin(), engines.end(), at->engine) == engines.end()
                 ? Fail(CUDNN_STATUS_NOT_SUPPORTED, "no such engine")
                 : CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR:
      return Inherit(at, CUDNN_ATTR_ENGINECFG_ENGINE);
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
      return FinalizePlan(at);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR: {
      const Attribute* ids = at->Find(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
      const Attribute* pointers = at->Find(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
      const int64_t id_count = ids == nullptr ? 0 : ids->count;
      if (id_count != (pointers == nullptr ? 0 : pointers->count)) {
        return Fail(CUDNN_STATUS_BAD_PARAM, "as many pointers as ids");
      }
      return CUDNN_STATUS_SUCCESS;
    }
    default:
      return CUDNN_STATUS_SUCCESS;
  }
}

// Answers that are made, not kept.
std::vector<std::shared_ptr<const Descriptor>> Derived(const Descriptor& from, int name) {
  std::vector<std::shared_ptr<const Descriptor>> found;
  const auto make = [&](cudnnBackendDescriptorType_t kind, int64_t engine) {
    auto made = std::make_shared<Descriptor>();
    made->kind = kind;
    made->finalized = true;
    made->graph = from.graph;
    made->engine = engine;
    found.push_back(std::move(made));
  };
  if (from.graph == nullptr) return found;
  if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS) {
    for (const int64_t engine : EnginesFor(*from.graph)) {
      make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, engine);
    }
  } else if (name == CUDNN_ATTR_ENGINECFG_ENGINE) {
    make(CUDNN_BACKEND_ENGINE_DESCRIPTOR, from.engine);
  } else if (name == CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG) {
    make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, from.engine);
  } else if (name == CUDNN_ATTR_ENGINE_OPERATION_GRAPH) {
    make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, from.engine);
  }
  return found;
}

template <typename T>
Attribute Made(cudnnBackendAttributeType_t type, const std::vector<T>& values) {
  Attribute attribute;
  attribute.type = type;
  attribute.count = static_cast<int64_t>(values.size());
  attribute.bytes.resize(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(attribute.bytes.data(), values.data(), attribute.bytes.size());
  return attribute;
}

// What the library knows without having been told; null: nothing.
std::shared_ptr<Attribute> Answer(const Descriptor& at, int name) {
  const auto one = [](cudnnBackendAttributeType_t type, int64_t value) {
    return std::make_shared<Attribute>(Made<int64_t>(type, {value}));
  };
  switch (name) {
    case CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION: {
      const std::string text = WritePlan(*at.graph, at.engine);
      return std::make_shared<Attribute>(
          Made(CUDNN_TYPE_CHAR, std::vector<char>(text.begin(), text.end())));
    }
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
    case CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE:
      return one(CUDNN_TYPE_INT64, at.engine == kCublasLtEngine ? 0 : 1 << 16);
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
      return one(CUDNN_TYPE_INT64, at.engine);
    case CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT:
      return one(CUDNN_TYPE_INT64, static_cast<int64_t>(EnginesFor(*at.graph).size()));
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
      return std::make_shared<Attribute>(
          Made<int32_t>(CUDNN_TYPE_NUMERICAL_NOTE, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE}));
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
      return std::make_shared<Attribute>(Made<int32_t>(
          CUDNN_TYPE_BEHAVIOR_NOTE,
          {at.engine == kCublasLtEngine ? CUDNN_BEHAVIOR_NOTE_CUBLASLT_DEPENDENCY
                                        : CUDNN_BEHAVIOR_NOTE_SUPPORTS_CUDA_GRAPH_NATIVE_API}));
    case CUDNN_ATTR_TENSOR_VECTOR_COUNT:
      return one(CUDNN_TYPE_INT64, 1);
    case CUDNN_ATTR_TENSOR_IS_VIRTUAL:
    case CUDNN_ATTR_TENSOR_IS_BY_VALUE:
      return std::make_shared<Attribute>(Made<char>(CUDNN_TYPE_BOOLEAN, {0}));
    case CUDNN_ATTR_ENGINE_KNOB_INFO:
    case CUDNN_ATTR_ENGINECFG_KNOB_CHOICES:
    case CUDNN_ATTR_ENGINECFG_INTERMEDIATE_INFO:
    case CUDNN_ATTR_EXECUTION_PLAN_COMPUTED_INTERMEDIATE_UIDS:
      return std::make_shared<Attribute>();
    case CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION: {
      const std::string text = "{\"deviceVer\":900,\"warpSize\":32}";
      return std::make_shared<Attribute>(
          Made(CUDNN_TYPE_CHAR, std::vector<char>(text.begin(), text.end())));
    }
    default:
      return nullptr;
  }
}

// Descriptors are copied into those the caller made for them.
cudnnStatus_t GiveChildren(const std::vector<std::shared_ptr<const Descriptor>>& children,
                           int64_t requested, int64_t* count, void* elements) {
  const auto total = static_cast<int64_t>(children.size());
  if (requested == 0 || elements == nullptr) {
    if (count != nullptr) *count = total;
    return CUDNN_STATUS_SUCCESS;
  }
  const int64_t given = std::min(requested, total);
  auto* handles = static_cast<cudnnBackendDescriptor_t*>(elements);
  for (int64_t i = 0; i < given; ++i) {
    Descriptor* into = Read(handles[i]);
    const Descriptor& from = *children[static_cast<size_t>(i)];
    if (into == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "element");
    if (into->kind != from.kind) return Fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "element");
    *into = from;
  }
  if (count != nullptr) *count = given;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

Descriptor* Read(cudnnBackendDescriptor_t handle) {
  const std::lock_guard<std::mutex> held(descriptors_lock);
  auto* found = static_cast<Descriptor*>(handle);
  return Descriptors().count(found) != 0 ? found : nullptr;
}

}  // namespace simgpu::cudnn

using simgpu::cudnn::Answer;
using simgpu::cudnn::Attribute;
using simgpu::cudnn::AttributeFacts;
using simgpu::cudnn::Derived;
using simgpu::cudnn::Descriptor;
using simgpu::cudnn::Fail;
using simgpu::cudnn::Read;

extern "C" {

cudnnStatus_t CUDNNWINAPI cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t kind,
                                                       cudnnBackendDescriptor_t* descriptor) {
  if (descriptor == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "descriptor");
  if (kind < 0 || kind > CUDNN_BACKEND_OPERATION_SDPA_BWD_DESCRIPTOR) {
    return Fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "getSizeOfDescriptor");
  }
  auto* made = new Descriptor;
  made->kind = kind;
  const std::lock_guard<std::mutex> held(simgpu::cudnn::descriptors_lock);
  simgpu::cudnn::Descriptors().insert(made);
  *descriptor = made;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnBackendInitialize(cudnnBackendDescriptor_t descriptor) {
  Descriptor* found = Read(descriptor);
  if (found == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "nullptr == descriptor");
  const cudnnBackendDescriptorType_t kind = found->kind;
  *found = Descriptor{};
  found->kind = kind;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  Descriptor* found = Read(descriptor);
  if (found == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "nullptr == descriptor");
  const std::lock_guard<std::mutex> held(simgpu::cudnn::descriptors_lock);
  simgpu::cudnn::Descriptors().erase(found);
  delete found;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  Descriptor* found = Read(descriptor);
  if (found == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "nullptr == descriptor");
  if (found->finalized) return Fail(CUDNN_STATUS_BAD_PARAM, "ptrDesc->finalize()");
  if (const cudnnStatus_t status = simgpu::cudnn::Finalize(found)) return status;
  found->finalized = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                                   cudnnBackendAttributeName_t name,
                                                   cudnnBackendAttributeType_t type, int64_t count,
                                                   const void* elements) {
  Descriptor* found = Read(descriptor);
  if (found == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "nullptr == descriptor");
  const size_t width = simgpu::cudnn::BytesOf(type);
  if (found->finalized || !simgpu::cudnn::Owns(found->kind, name) ||
      simgpu::cudnn::LacksPlanText(name) || width == 0 || count < 0 ||
      (count > 0 && elements == nullptr)) {
    return Fail(CUDNN_STATUS_BAD_PARAM, "ptrDesc->set(attributeName, ...)");
  }
  const AttributeFacts* facts = simgpu::cudnn::FactsOf(name);
  if (facts != nullptr && facts->type != type) {
    return Fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "CUDNN_TYPE_... != attrType");
  }
  if (count == 0 && name == CUDNN_ATTR_TENSOR_DIMENSIONS) {
    return Fail(CUDNN_STATUS_BAD_PARAM, "setArray(_dimA, ...)");
  }
  Attribute attribute;
  attribute.type = type;
  attribute.count = count;
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    const auto* handles = static_cast<const cudnnBackendDescriptor_t*>(elements);
    for (int64_t i = 0; i < count; ++i) {
      const Descriptor* child = Read(handles[i]);
      if (child == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "element");
      // A kernel cache is handed over empty and filled later.
      if (!child->finalized && child->kind != CUDNN_BACKEND_KERNEL_CACHE_DESCRIPTOR) {
        return Fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "desc->isFinalized() == false");
      }
      if (name == CUDNN_ATTR_OPERATIONGRAPH_OPS && !simgpu::cudnn::IsOperation(child->kind)) {
        return Fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "not an operation");
      }
      attribute.children.push_back(std::make_shared<Descriptor>(*child));
    }
  } else if (name == CUDNN_ATTR_VARIANT_PACK_OVERRIDE_SHAPES ||
             name == CUDNN_ATTR_VARIANT_PACK_OVERRIDE_STRIDES) {
    // The value is the address of a std::vector<std::vector<int64_t>>, which is read at once.
    const auto& lists = *static_cast<const std::vector<std::vector<int64_t>>*>(elements);
    std::vector<int64_t> flat;
    for (const std::vector<int64_t>& list : lists) {
      flat.push_back(static_cast<int64_t>(list.size()));
      flat.insert(flat.end(), list.begin(), list.end());
    }
    attribute = simgpu::cudnn::Made(CUDNN_TYPE_INT64, flat);
  } else if (count > 0) {
    const auto* bytes = static_cast<const std::byte*>(elements);
    attribute.bytes.assign(bytes, bytes + static_cast<size_t>(count) * width);
  }
  found->attributes[name] = std::move(attribute);
  return CUDNN_STATUS_SUCCESS;
}

// The number that is there when nothing is requested, else the number given.
cudnnStatus_t CUDNNWINAPI cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor,
                                                   cudnnBackendAttributeName_t name,
                                                   cudnnBackendAttributeType_t type,
                                                   int64_t requested, int64_t* count,
                                                   void* elements) {
  const Descriptor* found = Read(descriptor);
  if (found == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "nullptr == descriptor");
  if (!found->finalized) return Fail(CUDNN_STATUS_NOT_INITIALIZED, "not finalized");
  if (!simgpu::cudnn::Owns(found->kind, name) || simgpu::cudnn::LacksPlanText(name)) {
    return Fail(CUDNN_STATUS_BAD_PARAM, "attributeName");
  }
  const AttributeFacts* facts = simgpu::cudnn::FactsOf(name);
  if (facts != nullptr && facts->type != type) {
    return Fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "CUDNN_TYPE_... != attrType");
  }
  if (name == CUDNN_ATTR_OPERATIONGRAPH_OPS ||
      found->kind == CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR) {
    return Fail(CUDNN_STATUS_NOT_SUPPORTED, "cannot be read");
  }
  const auto derived = Derived(*found, name);
  if (!derived.empty()) return simgpu::cudnn::GiveChildren(derived, requested, count, elements);
  const Attribute* attribute = found->Find(name);
  std::shared_ptr<Attribute> answer;
  if (attribute == nullptr) {
    answer = Answer(*found, name);
    if (answer == nullptr) return Fail(CUDNN_STATUS_NOT_SUPPORTED, "never set");
    attribute = answer.get();
  }
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    return simgpu::cudnn::GiveChildren(attribute->children, requested, count, elements);
  }
  if (requested == 0 || elements == nullptr) {
    if (count != nullptr) *count = attribute->count;
    return CUDNN_STATUS_SUCCESS;
  }
  const int64_t given = std::min(requested, attribute->count);
  if (given > 0) {
    std::memcpy(elements, attribute->bytes.data(),
                static_cast<size_t>(given) * simgpu::cudnn::BytesOf(type));
  }
  if (count != nullptr) *count = given;
  return CUDNN_STATUS_SUCCESS;
}

}  // extern "C"
