// See graph.h: descriptors to graph. The JSON is in plan_json.cc.
#include "cudnn/graph.h"

#include <cstring>

#include "cudnn/backend.h"
#include "cudnn/names.h"

namespace simgpu::cudnn {
namespace {

// The descriptors that hold an operation's parameters.
constexpr int kParameters[] = {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                               CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
                               CUDNN_ATTR_OPERATION_MATMUL_DESC,
                               CUDNN_ATTR_OPERATION_REDUCTION_DESC,
                               CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC,
                               CUDNN_ATTR_OPERATION_RNG_DESC};

Tensor ReadTensor(const Descriptor& from, Graph* graph) {
  Tensor to;
  to.uid = from.Integer(CUDNN_ATTR_TENSOR_UNIQUE_ID, 0);
  to.type = static_cast<cudnnDataType_t>(from.Integer(CUDNN_ATTR_TENSOR_DATA_TYPE, 0));
  to.dim = from.Integers(CUDNN_ATTR_TENSOR_DIMENSIONS);
  to.stride = from.Integers(CUDNN_ATTR_TENSOR_STRIDES);
  to.is_virtual = from.Integer(CUDNN_ATTR_TENSOR_IS_VIRTUAL, 0) != 0;
  to.by_value = from.Integer(CUDNN_ATTR_TENSOR_IS_BY_VALUE, 0) != 0;
  to.vector_count = from.Integer(CUDNN_ATTR_TENSOR_VECTOR_COUNT, 1);
  to.vector_dim = from.Integer(CUDNN_ATTR_TENSOR_VECTORIZED_DIMENSION, -1);
  to.alignment = from.Integer(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 16);
  to.reordering = from.Integer(CUDNN_ATTR_TENSOR_REORDERING_MODE, 0);
  if (const Descriptor* offsets = from.Child(CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC)) {
    const Tensor ragged = ReadTensor(*offsets, graph);
    to.ragged = ragged.uid;
    graph->tensors[ragged.uid] = ragged;
  }
  return to;
}

// One attribute under its key. A descriptor's parameters lie flat in the operation's JSON.
void ReadAttribute(const AttributeFacts& facts, const Descriptor& from, Node* node) {
  switch (facts.type) {
    case CUDNN_TYPE_DATA_TYPE:
      node->words[facts.key] = NameOfDataType(from.Integer(facts.name, 0));
      break;
    case CUDNN_TYPE_POINTWISE_MODE:
      node->words[facts.key] = NameOfPointwise(from.Integer(facts.name, 0));
      break;
    case CUDNN_TYPE_CONVOLUTION_MODE:
      node->words[facts.key] = from.Integer(facts.name, 0) == CUDNN_CONVOLUTION
                                   ? "CUDNN_CONVOLUTION"
                                   : "CUDNN_CROSS_CORRELATION";
      break;
    case CUDNN_TYPE_REDUCTION_OPERATOR_TYPE:
      node->words[facts.key] = NameOfReduction(from.Integer(facts.name, 0));
      break;
    case CUDNN_TYPE_RNG_DISTRIBUTION:
      node->words[facts.key] = "CUDNN_RNG_DISTRIBUTION_BERNOULLI";
      break;
    case CUDNN_TYPE_MOE_GROUPED_MATMUL_MODE:
      node->words[facts.key] = NameOfMoeMode(from.Integer(facts.name, 0));
      break;
    case CUDNN_TYPE_NORM_MODE:
      node->words[facts.key] = NameOfNorm(from.Integer(facts.name, 0));
      break;
    case CUDNN_TYPE_NORM_FWD_PHASE:
      node->words[facts.key] = from.Integer(facts.name, 0) == CUDNN_NORM_FWD_INFERENCE
                                   ? "CUDNN_NORM_FWD_INFERENCE"
                                   : "CUDNN_NORM_FWD_TRAINING";
      break;
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_FLOAT:
      node->reals[facts.key] = from.Real(facts.name, 0);
      break;
    default:
      node->numbers[facts.key] = from.Integers(facts.name);
      break;
  }
}

void ReadParameters(const Descriptor& parameters, Node* node) {
  for (const AttributeFacts& facts : FactsOfOwner(parameters.kind)) {
    if (facts.key == nullptr || parameters.Find(facts.name) == nullptr) continue;
    ReadAttribute(facts, parameters, node);
  }
  // Equal paddings are one list.
  const auto lower = node->numbers.find("pad_lower");
  if (lower != node->numbers.end() && node->numbers["pad_upper"] == lower->second) {
    node->numbers["pad"] = lower->second;
    node->numbers.erase("pad_lower");
    node->numbers.erase("pad_upper");
  }
}

// A convolution's groups follow from its shapes; they are named where there are several.
void AddGroupCount(const Graph& graph, Node* node) {
  if (node->operation.find("CONVOLUTION") == std::string::npos) return;
  const int64_t x = node->port("X") != 0 ? node->port("X") : node->port("dX");
  const int64_t w = node->port("W") != 0 ? node->port("W") : node->port("dW");
  const int64_t groups = graph.tensor(x).dim[1] / graph.tensor(w).dim[1];
  if (groups > 1) node->numbers["groupCount"] = {groups};
}

bool ReadOperation(const Descriptor& operation, Graph* graph, std::string* why) {
  Node node;
  node.operation = OperationName(operation.kind);
  for (const int name : kParameters) {
    if (const Descriptor* parameters = operation.Child(name)) ReadParameters(*parameters, &node);
  }
  for (const auto& [name, attribute] : operation.attributes) {
    const AttributeFacts* facts = FactsOf(name);
    if (facts != nullptr && facts->key != nullptr && facts->type != CUDNN_TYPE_BACKEND_DESCRIPTOR) {
      ReadAttribute(*facts, operation, &node);
    }
    for (const auto& child : attribute.children) {
      if (child->kind != CUDNN_BACKEND_TENSOR_DESCRIPTOR) continue;
      const Tensor tensor = ReadTensor(*child, graph);
      const auto [at, fresh] = graph->tensors.emplace(tensor.uid, tensor);
      if (!fresh && at->second.dim != tensor.dim) {
        *why = "tensor " + std::to_string(tensor.uid) + " has two shapes";
        return false;
      }
      // Ports that the simulator knows no key for still belong to the graph.
      std::string key = "desc" + std::to_string(name);
      if (name == CUDNN_ATTR_OPERATION_RNG_SEED)
        key = "seedTensor";  // or a number, so without facts
      if (facts != nullptr && facts->key != nullptr) key = facts->key;
      node.ports[key] = tensor.uid;
    }
  }
  AddGroupCount(*graph, &node);
  graph->nodes.push_back(std::move(node));
  return true;
}

}  // namespace

int64_t Tensor::elements() const {
  int64_t product = 1;
  for (const int64_t extent : dim) product *= extent;
  return product;
}

int64_t Node::port(const char* key) const {
  const auto found = ports.find(key);
  return found == ports.end() ? 0 : found->second;
}

bool Node::is(const char* short_name) const {
  return operation == "CUDNN_BACKEND_OPERATION_" + std::string(short_name) + "_DESCRIPTOR";
}

bool Node::is_pointwise(const char* mode) const {
  const auto found = words.find("pointwiseMode");
  return is("POINTWISE") && found != words.end() &&
         found->second == "CUDNN_POINTWISE_" + std::string(mode);
}

const Node* Graph::ProducerOf(int64_t uid) const {
  for (const Node& node : nodes) {
    for (const char* key : {"Y", "matC", "O", "output"}) {
      if (node.port(key) == uid) return &node;
    }
  }
  return nullptr;
}

std::shared_ptr<const Graph> BuildGraph(const Descriptor& operation_graph, std::string* why) {
  const Attribute* operations = operation_graph.Find(CUDNN_ATTR_OPERATIONGRAPH_OPS);
  if (operations == nullptr || operations->children.empty()) {
    *why = "no operations";
    return nullptr;
  }
  auto graph = std::make_shared<Graph>();
  for (const auto& operation : operations->children) {
    if (!ReadOperation(*operation, graph.get(), why)) return nullptr;
  }
  return graph;
}

}  // namespace simgpu::cudnn
