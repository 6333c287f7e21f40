// A plan as JSON, in the shape of libcudnn 9.19's CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION:
// the whole operation graph, the engine, and nothing of kernels that do not exist here.
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cudnn/graph.h"
#include "cudnn/names.h"

namespace simgpu::cudnn {
namespace {

// What cudnn calls the pattern it recognised; nothing here depends on it.
std::string FinalizeMode(const Graph& graph) {
  size_t products = 0;
  bool backward = false;
  for (const Node& node : graph.nodes) {
    if (node.is("SDPA_FWD")) return "UNIFIED_SDPA_FWD";
    if (node.is("SDPA_BWD")) return "UNIFIED_SDPA_BWD";
    if (node.is("CONVOLUTION_FORWARD"))
      return graph.nodes.size() == 1 ? "CONV_FORWARD" : "GENERIC_CONV_FUSION";
    if (node.is("CONVOLUTION_BACKWARD_DATA"))
      return graph.nodes.size() == 1 ? "CONV_BWD_DATA" : "GENERIC_CONV_FUSION";
    if (node.is("CONVOLUTION_BACKWARD_FILTER"))
      return graph.nodes.size() == 1 ? "CONV_BWD_FILTER" : "GENERIC_CONV_FUSION";
    products += node.is("MATMUL");
    backward |= node.is("RESHAPE");
  }
  if (products > 1) return backward ? "SDPA_BWD" : "SDPA_FWD";
  if (products == 1) return "BLAS_MATMUL";
  if (graph.nodes.size() == 1 && graph.nodes.front().is("NORM_FORWARD")) return "NORM_FWD_INFER";
  return "GENERIC_POINTWISE_FUSION";
}

std::string Quoted(const std::string& text) { return '"' + text + '"'; }

std::string List(const std::vector<int64_t>& values) {
  std::string text = "[";
  for (const int64_t value : values) text += (text.size() > 1 ? "," : "") + std::to_string(value);
  return text + "]";
}

std::string Real(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  const std::string written = text;
  return written.find_first_of(".en") == std::string::npos ? written + ".0" : written;
}

std::string WriteTensor(const Graph& graph, const Tensor& tensor) {
  std::string text = "{\"name\":" + Quoted(std::to_string(tensor.uid)) +
                     ",\"dataType\":" + Quoted(NameOfDataType(tensor.type)) +
                     ",\"dim\":" + List(tensor.dim) + ",\"stride\":" + List(tensor.stride) +
                     ",\"isVirtual\":" + (tensor.is_virtual ? "true" : "false") +
                     ",\"isByValue\":" + (tensor.by_value ? "true" : "false") +
                     ",\"vectCount\":" + std::to_string(tensor.vector_count) +
                     ",\"vectDim\":" + std::to_string(tensor.vector_dim) +
                     ",\"ptrAlignment\":" + std::to_string(tensor.alignment) +
                     ",\"reordering\":" + Quoted(NameOfReordering(tensor.reordering));
  if (tensor.ragged != 0) {
    text += ",\"isRagged\":[" + WriteTensor(graph, graph.tensor(tensor.ragged)) + "]";
  }
  return text + "}";
}

std::string WriteNode(const Node& node) {
  std::string text = "{\"operation\":" + Quoted(node.operation);
  for (const auto& [key, word] : node.words) text += "," + Quoted(key) + ":" + Quoted(word);
  for (const auto& [key, real] : node.reals) text += "," + Quoted(key) + ":" + Real(real);
  for (const auto& [key, numbers] : node.numbers) {
    text += "," + Quoted(key) + ":";
    if (key == "isDeterministic") {
      text += numbers.empty() || numbers.front() == 0 ? "false" : "true";
    } else if (key == "axis" || key == "topK" || key == "groupCount") {
      text += std::to_string(numbers.empty() ? 0 : numbers.front());
    } else {
      text += List(numbers);
    }
  }
  if (node.is("POINTWISE")) text += ",\"alpha1\":1.0,\"alpha2\":1.0";
  if (node.operation.find("CONVOLUTION") != std::string::npos)
    text += ",\"alpha\":1.0,\"beta\":0.0";
  for (const auto& [key, uid] : node.ports) {
    text += "," + Quoted(key) + ":" + Quoted(std::to_string(uid));
  }
  return text + "}";
}

// Only tensors that a port names are in the list; offsets stand inside their tensor.
std::string WriteTensors(const Graph& graph) {
  std::string text;
  for (const auto& [uid, tensor] : graph.tensors) {
    bool is_port = false;
    for (const Node& node : graph.nodes) {
      for (const auto& [key, port] : node.ports) is_port |= port == uid;
    }
    if (is_port) text += (text.empty() ? "" : ",") + WriteTensor(graph, tensor);
  }
  return text;
}

struct Value {
  enum class Kind { kNull, kBool, kNumber, kText, kList, kObject } kind = Kind::kNull;
  bool truth = false;
  double number = 0;
  std::string text;
  std::vector<Value> items;
  std::vector<std::pair<std::string, Value>> members;

  const Value& operator[](const char* key) const {
    static const Value none;
    for (const auto& [name, value] : members) {
      if (name == key) return value;
    }
    return none;
  }
  std::vector<int64_t> integers() const {
    std::vector<int64_t> values;
    if (kind == Kind::kNumber) values.push_back(static_cast<int64_t>(number));
    if (kind == Kind::kBool) values.push_back(truth);
    for (const Value& item : items) values.push_back(static_cast<int64_t>(item.number));
    return values;
  }
};

class Parser {
 public:
  explicit Parser(const std::string& text) : at_(text.c_str()) {}
  bool ok() const { return ok_; }

  Value Read() {
    Skip();
    Value value;
    if (*at_ == '{' || *at_ == '[') {
      ReadMany(&value, *at_++ == '{');
    } else if (*at_ == '"') {
      value.kind = Value::Kind::kText;
      value.text = ReadText();
    } else if (Take("true") || Take("false")) {
      value.kind = Value::Kind::kBool;
      value.truth = at_[-2] == 'u';
    } else if (!Take("null")) {
      char* end = nullptr;
      value.kind = Value::Kind::kNumber;
      value.number = std::strtod(at_, &end);
      ok_ &= end != at_;
      at_ = end;
    }
    Skip();
    return value;
  }

 private:
  void Skip() {
    while (std::isspace(static_cast<unsigned char>(*at_)) != 0) ++at_;
  }
  bool Take(const std::string& word) {
    if (std::strncmp(at_, word.c_str(), word.size()) != 0) return false;
    at_ += word.size();
    return true;
  }
  std::string ReadText() {
    std::string text;
    for (++at_; *at_ != '"' && *at_ != '\0'; ++at_) {
      if (*at_ == '\\' && at_[1] != '\0') ++at_;
      text += *at_;
    }
    ok_ &= *at_ == '"';
    if (*at_ == '"') ++at_;
    return text;
  }
  void ReadMany(Value* value, bool object) {
    value->kind = object ? Value::Kind::kObject : Value::Kind::kList;
    const char close = object ? '}' : ']';
    Skip();
    while (ok_ && *at_ != close) {
      if (object) {
        ok_ &= *at_ == '"';
        if (!ok_) return;
        std::string key = ReadText();
        Skip();
        ok_ &= *at_ == ':';
        if (!ok_) return;
        ++at_;
        Value member = Read();
        value->members.emplace_back(std::move(key), std::move(member));
      } else {
        value->items.push_back(Read());
      }
      if (*at_ == ',') {
        ++at_;
        Skip();
      } else if (*at_ != close) {
        ok_ = false;
      }
    }
    if (*at_ == close) ++at_;
  }

  const char* at_;
  bool ok_ = true;
};

Tensor ReadTensor(const Value& from, Graph* graph) {
  Tensor to;
  to.uid = std::atoll(from["name"].text.c_str());
  to.type = static_cast<cudnnDataType_t>(DataTypeOf(from["dataType"].text));
  to.dim = from["dim"].integers();
  to.stride = from["stride"].integers();
  to.is_virtual = from["isVirtual"].truth;
  to.by_value = from["isByValue"].truth;
  to.vector_count = static_cast<int64_t>(from["vectCount"].number);
  to.vector_dim = static_cast<int64_t>(from["vectDim"].number);
  to.alignment = static_cast<int64_t>(from["ptrAlignment"].number);
  to.reordering = ReorderingOf(from["reordering"].text);
  for (const Value& offsets : from["isRagged"].items) {
    const Tensor ragged = ReadTensor(offsets, graph);
    to.ragged = ragged.uid;
    graph->tensors[ragged.uid] = ragged;
  }
  return to;
}

Node ReadNode(const Value& from) {
  Node node;
  for (const auto& [key, value] : from.members) {
    if (key == "operation") {
      node.operation = value.text;
    } else if (key == "alpha" || key == "beta" || key == "alpha1" || key == "alpha2") {
      continue;
    } else if (value.kind == Value::Kind::kText) {
      if (value.text.rfind("CUDNN_", 0) == 0) {
        node.words[key] = value.text;
      } else {
        node.ports[key] = std::atoll(value.text.c_str());
      }
    } else if (key == "bernoulli_dist_probability") {
      node.reals[key] = value.number;
    } else {
      node.numbers[key] = value.integers();
    }
  }
  return node;
}

}  // namespace

std::string WritePlan(const Graph& graph, int64_t engine) {
  std::string nodes;
  for (const Node& node : graph.nodes) nodes += (nodes.empty() ? "" : ",") + WriteNode(node);
  return "{\"cudnnVersion\":" + std::to_string(CUDNN_VERSION) +
         ",\"schemaVersion\":4,\"operationGraph\":{\"finalizeMode\":" +
         Quoted(FinalizeMode(graph)) + ",\"tensors\":[" + WriteTensors(graph) + "],\"nodes\":[" +
         nodes + "]},\"GPUProfile\":{\"deviceVer\":900,\"warpSize\":32},\"engine\":{\"engineId\":" +
         std::to_string(engine) + ",\"smVersion\":900,\"knobChoices\":{}}}";
}

std::shared_ptr<const Graph> ReadPlan(const std::string& text, int64_t* engine) {
  Parser parser(text);
  const Value plan = parser.Read();
  const Value& from = plan["operationGraph"];
  if (!parser.ok() || from["nodes"].items.empty()) return nullptr;
  auto graph = std::make_shared<Graph>();
  for (const Value& tensor : from["tensors"].items) {
    const Tensor read = ReadTensor(tensor, graph.get());
    if (read.uid == 0 || read.dim.empty()) return nullptr;
    graph->tensors[read.uid] = read;
  }
  for (const Value& node : from["nodes"].items) {
    graph->nodes.push_back(ReadNode(node));
    for (const auto& [key, uid] : graph->nodes.back().ports) {
      if (graph->tensors.count(uid) == 0) return nullptr;
    }
  }
  *engine = static_cast<int64_t>(plan["engine"]["engineId"].number);
  return graph;
}

}  // namespace simgpu::cudnn
