// See cudnn_json.h. One pass over the text, no copies; recursion is bounded.
#include "interpose/cudnn_json.h"

#include <cstring>

namespace mfutrace::interpose {
namespace {

constexpr uint32_t kMaxDepth = 24;

struct Slice {
  const char* data = nullptr;
  size_t bytes = 0;
};

template <size_t kBytes>
bool Is(const Slice& slice, const char (&text)[kBytes]) {
  return slice.bytes == kBytes - 1 && std::memcmp(slice.data, text, kBytes - 1) == 0;
}

// A tensor's name is its uid in decimal; another name gets a number that no uid has.
int64_t UidOf(const Slice& name) {
  const bool is_negative = name.bytes > 1 && name.data[0] == '-';
  uint64_t number = 0;
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  bool is_number = name.bytes > 0 && name.bytes < 20;
  for (size_t i = 0; i < name.bytes; ++i) {
    const char c = name.data[i];
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    if (i == 0 && is_negative) continue;
    if (c < '0' || c > '9') is_number = false;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  if (!is_number) return static_cast<int64_t>(hash | uint64_t{1} << 63);
  return static_cast<int64_t>(is_negative ? 0 - number : number);
}

class PlanReader {
 public:
  PlanReader(const char* text, size_t bytes, CudnnGraph* graph)
      : at_(text), end_(text + bytes), graph_(graph) {}

  // The members of the plan, up to its graph.
  bool ReadPlan() {
    if (!Take('{')) return false;
    for (bool is_first = true; NextMember(is_first); is_first = false) {
      if (Is(key_, "operationGraph")) return ReadGraph();
      if (!Skip()) return false;
    }
    return false;
  }

  bool ReadGraph() {
    Space();
    if (at_ == end_ || *at_ != '{') return false;
    if (!Walk(-1, 0, nullptr) || graph_->node_count == 0) return false;
    graph_->Connect();
    return true;
  }

 private:
  void Space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }

  bool Take(char wanted) {
    Space();
    if (at_ == end_ || *at_ != wanted) return false;
    ++at_;
    return true;
  }

  // Between the elements of an array or the members of an object: false at its end, or where the
  // text makes no sense (is_bad_).
  bool Next(char closing, bool is_first) {
    if (is_bad_ || Take(closing)) return false;
    if (!is_first && !Take(',')) is_bad_ = true;
    return !is_bad_;
  }

  bool NextMember(bool is_first) {
    if (!Next('}', is_first)) return false;
    if (!String(&key_) || !Take(':')) is_bad_ = true;
    return !is_bad_;
  }

  bool String(Slice* slice) {
    if (!Take('"')) return false;
    slice->data = at_;
    for (; at_ != end_ && *at_ != '"'; ++at_) {
      if (*at_ == '\\' && ++at_ == end_) return false;
    }
    if (at_ == end_) return false;
    slice->bytes = static_cast<size_t>(at_ - slice->data);
    ++at_;
    return true;
  }

  // A number, true, false or null, as text.
  bool Bare(Slice* slice) {
    Space();
    slice->data = at_;
    while (at_ != end_ && *at_ != ',' && *at_ != ']' && *at_ != '}' && *at_ > ' ') ++at_;
    slice->bytes = static_cast<size_t>(at_ - slice->data);
    return slice->bytes != 0 && at_ != end_;
  }

  char Peek() {
    Space();
    return at_ != end_ ? *at_ : '\0';
  }

  // Over one value of any kind, without recursion.
  bool Skip() {
    uint32_t depth = 0;
    Slice ignored;
    do {
      switch (Peek()) {
        case '"':
          if (!String(&ignored)) return false;
          break;
        case '{':
        case '[':
          ++at_;
          ++depth;
          break;
        case '}':
        case ']':
          if (depth == 0) return false;
          ++at_;
          --depth;
          break;
        case ',':
        case ':':
          if (depth == 0) return false;
          ++at_;
          break;
        case '\0':
          return false;
        default:
          if (!Bare(&ignored)) {
            // A bare value that ends the text.
            return depth == 0 && ignored.bytes != 0;
          }
      }
    } while (depth != 0);
    return true;
  }

  bool Integers(int64_t* values, uint8_t* count) {
    if (!Take('[')) return false;
    uint32_t read = 0;
    for (bool is_first = true; Next(']', is_first); is_first = false) {
      Slice number;
      if (read == CudnnTensor::kMaxRank || !Bare(&number)) return false;
      uint64_t value = 0;
      const bool is_negative = number.data[0] == '-';
      for (size_t i = is_negative ? 1 : 0; i < number.bytes; ++i) {
        const char digit = number.data[i];
        if (digit < '0' || digit > '9' || value > (INT64_MAX - 9) / 10) return false;
        value = value * 10 + static_cast<uint64_t>(digit - '0');
      }
      values[read++] = static_cast<int64_t>(is_negative ? 0 - value : value);
    }
    *count = static_cast<uint8_t>(read);
    return !is_bad_;
  }

  bool AddLink(CudnnPort port, const Slice& name) {
    if (pending_count_ == kMaxPending) return false;
    pending_[pending_count_++] = {UidOf(name), -1, port};
    return true;
  }

  // One object or array. What turns out to be a tensor or a node is added to the graph; `tensor` is
  // where the tensor inside goes that the caller wants to know (a ragged offset).
  bool Walk(int parent, uint32_t depth, int64_t* tensor_uid) {
    if (depth == kMaxDepth) return false;
    if (Peek() == '[') {
      ++at_;
      for (bool is_first = true; Next(']', is_first); is_first = false) {
        const char kind = Peek();
        if (kind == '{' || kind == '[') {
          if (!Walk(parent, depth + 1, tensor_uid)) return false;
        } else if (!Skip()) {
          return false;
        }
      }
      return !is_bad_;
    }
    return WalkObject(parent, depth, tensor_uid);
  }

  bool WalkObject(int parent, uint32_t depth, int64_t* tensor_uid);
  bool WalkMember(CudnnNode* node, CudnnTensor* tensor, int parent, uint32_t depth);

  static constexpr uint32_t kMaxPending = 96;

  const char* at_;
  const char* end_;
  CudnnGraph* graph_;
  Slice key_;
  bool is_bad_ = false;
  CudnnLink pending_[kMaxPending];  // of the objects being read, innermost last
  uint32_t pending_count_ = 0;
};

bool PlanReader::WalkObject(int parent, uint32_t depth, int64_t* tensor_uid) {
  if (!Take('{')) return false;
  // A node's number is taken now, so that nodes inside it can name it; given back if it is none.
  CudnnNode node;
  CudnnTensor tensor;
  const uint32_t first_pending = pending_count_;
  const uint32_t first_node = graph_->node_count;
  int self = parent;
  for (bool is_first = true; NextMember(is_first); is_first = false) {
    if (!WalkMember(&node, &tensor, self, depth)) return false;
  }
  if (is_bad_) return false;
  if (node.name != nullptr) {
    if (graph_->node_count == CudnnGraph::kMaxNodes) return false;
    const uint32_t number = graph_->node_count++;
    for (uint32_t i = first_node; i < number; ++i) {
      if (graph_->nodes[i].parent == parent) graph_->nodes[i].parent = static_cast<int16_t>(number);
    }
    node.parent = static_cast<int16_t>(parent);
    node.first_port = static_cast<uint16_t>(graph_->link_count);
    node.port_count = static_cast<uint16_t>(pending_count_ - first_pending);
    if (graph_->link_count + node.port_count > CudnnGraph::kMaxLinks) return false;
    for (uint32_t i = first_pending; i < pending_count_; ++i) {
      CudnnLink& link = graph_->links[graph_->link_count++];
      link = pending_[i];
    }
    graph_->nodes[number] = node;
  } else if (tensor.rank != 0) {
    if (tensor_uid != nullptr) *tensor_uid = tensor.uid;
    if (graph_->IndexOf(tensor.uid) < 0) {
      if (graph_->tensor_count == CudnnGraph::kMaxTensors) return false;
      graph_->tensors[graph_->tensor_count++] = tensor;
    }
  }
  pending_count_ = first_pending;
  return true;
}

bool PlanReader::WalkMember(CudnnNode* node, CudnnTensor* tensor, int parent, uint32_t depth) {
  const Slice key = key_;
  Slice value;
  switch (Peek()) {
    case '"': {
      if (!String(&value)) return false;
      constexpr char kPrefix[] = "CUDNN_BACKEND_OPERATION_";
      constexpr char kSuffix[] = "_DESCRIPTOR";
      if (Is(key, "operation")) {
        if (value.bytes > sizeof kPrefix - 1 &&
            std::memcmp(value.data, kPrefix, sizeof kPrefix - 1) == 0) {
          value = {value.data + (sizeof kPrefix - 1), value.bytes - (sizeof kPrefix - 1)};
        }
        const size_t suffix = sizeof kSuffix - 1;
        if (value.bytes > suffix &&
            std::memcmp(value.data + value.bytes - suffix, kSuffix, suffix) == 0) {
          value.bytes -= suffix;
        }
        node->name = value.data;
        node->name_bytes = static_cast<uint32_t>(value.bytes);
        node->op = CudnnOpNamed(value.data, value.bytes);
        return true;
      }
      if (Is(key, "name")) {
        tensor->uid = UidOf(value);
        return true;
      }
      if (Is(key, "dataType")) {
        tensor->dtype = CudnnDtypeNamed(value.data, value.bytes);
        return true;
      }
      if (Is(key, "mathPrec")) {
        node->accumulate = CudnnDtypeNamed(value.data, value.bytes);
        return true;
      }
      if (value.bytes > 6 && std::memcmp(value.data, "CUDNN_", 6) == 0) {
        const CudnnPointwise mode = CudnnPointwiseNamed(value.data, value.bytes);
        if (mode != CudnnPointwise::kOther) node->pointwise = mode;
        if (Is(value, "CUDNN_MOE_GROUPED_MATMUL_MODE_SCATTER")) node->scatters = true;
        return true;
      }
      const CudnnPort port = CudnnPortNamed(key.data, key.bytes);
      if (port == CudnnPort::kOther) node->has_unknown_key = true;
      return AddLink(port, value);
    }
    case '{':
    case '[':
      if (Is(key, "dim")) return Integers(tensor->dims, &tensor->rank);
      if (Is(key, "stride") && node->name == nullptr) {
        // Of a tensor; a convolution's is read too, and means nothing to us.
        uint8_t ignored = 0;
        return Integers(tensor->strides, &ignored);
      }
      if (Is(key, "isRagged")) {
        tensor->is_ragged = true;
        return Walk(parent, depth + 1, &tensor->ragged_uid);
      }
      return Walk(parent, depth + 1, nullptr);
    default:
      if (!Bare(&value)) return false;
      if (Is(key, "axis") && value.bytes == 1 && value.data[0] >= '0' && value.data[0] <= '9') {
        node->axis = static_cast<int8_t>(value.data[0] - '0');
      } else if (Is(key, "isVirtual")) {
        tensor->is_virtual = Is(value, "true");
      } else if (Is(key, "vectCount")) {
        tensor->is_vectorized = !Is(value, "1");
      } else if (Is(key, "isByValue")) {
        tensor->is_by_value = Is(value, "true");
      } else if (Is(key, "alpha1") || Is(key, "alpha2")) {
        node->is_scaled |= !Is(value, "1.0") && !Is(value, "1");
      }
      return true;
  }
}

}  // namespace

bool ReadCudnnPlan(const char* text, size_t bytes, CudnnGraph* graph) {
  return PlanReader(text, bytes, graph).ReadPlan();
}

bool ReadCudnnGraph(const char* text, size_t bytes, CudnnGraph* graph) {
  return PlanReader(text, bytes, graph).ReadGraph();
}

}  // namespace mfutrace::interpose
