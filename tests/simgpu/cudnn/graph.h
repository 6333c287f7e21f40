// An operation graph without its descriptors: what a plan executes and what its JSON says. A graph
// made from descriptors and one read from JSON are the same to all that follows.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace simgpu::cudnn {

struct Descriptor;

struct Tensor {
  int64_t uid = 0;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  std::vector<int64_t> dim;
  std::vector<int64_t> stride;
  bool is_virtual = false;
  bool by_value = false;
  int64_t vector_count = 1;
  int64_t vector_dim = -1;
  int64_t alignment = 16;
  int64_t reordering = 0;
  int64_t ragged = 0;  // uid of the offsets; 0: none

  int64_t elements() const;
  // Extent of a dimension counted from the last one: 0 is the innermost.
  int64_t FromLast(size_t back) const { return back < dim.size() ? dim[dim.size() - 1 - back] : 1; }
};

struct Node {
  std::string operation;                 // "CUDNN_BACKEND_OPERATION_..._DESCRIPTOR"
  std::map<std::string, int64_t> ports;  // key in the JSON -> uid
  std::map<std::string, std::vector<int64_t>> numbers;
  std::map<std::string, double> reals;
  std::map<std::string, std::string> words;

  // 0: no such port, which is no uid of the simulator's graphs
  int64_t port(const char* key) const;
  bool is(const char* short_name) const;      // "MATMUL"
  bool is_pointwise(const char* mode) const;  // "EXP"
};

struct Graph {
  std::map<int64_t, Tensor> tensors;
  std::vector<Node> nodes;

  const Tensor& tensor(int64_t uid) const { return tensors.at(uid); }
  const Node* ProducerOf(int64_t uid) const;
};

// From a finalized OPERATIONGRAPH descriptor's operations; null and `why` where they contradict.
std::shared_ptr<const Graph> BuildGraph(const Descriptor& operation_graph, std::string* why);

// The whole text of a plan, and back; null where the text is not such a plan.
std::string WritePlan(const Graph& graph, int64_t engine);
std::shared_ptr<const Graph> ReadPlan(const std::string& text, int64_t* engine);

const char* TextOf(cudnnDataType_t type);  // "bf16"
int64_t BitsOf(cudnnDataType_t type);      // 0: unknown

}  // namespace simgpu::cudnn
