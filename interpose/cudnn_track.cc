// See cudnn_track.h. One lock for all: descriptors are made when graphs are built, not when they
// run, and nothing is called while it is held.
#include "interpose/cudnn_track.h"

#include <cudnn.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "interpose/cudnn_attributes.h"
#include "interpose/lock.h"
#include "interpose/memory.h"

namespace mfutrace::interpose {
namespace {

constexpr uint32_t kMaxItems = 16384;  // descriptors that are alive or part of one that is
constexpr uint32_t kBuckets = 8192;    // a power of two
constexpr uint32_t kMaxPorts = 28;
constexpr uint32_t kMaxListed = 48;

// An attribute's number of its own meaning.
constexpr int kHeuristicResults = 202;
constexpr int kPointwiseMode = 0;
constexpr int kPointwiseAxis = 9;
constexpr int kPointwiseAlpha1 = 754;
constexpr int kPointwiseAlpha2 = 755;
constexpr int kGraphOperations = 801;
constexpr int kTensorDtype = 901;
constexpr int kTensorDims = 902;
constexpr int kTensorStrides = 903;
constexpr int kTensorVectorCount = 904;
constexpr int kTensorUid = 906;
constexpr int kTensorIsVirtual = 907;
constexpr int kTensorIsByValue = 908;
constexpr int kTensorRagged = 913;
constexpr int kMoeMode = 2900;

struct Item {
  struct Port {
    Item* tensor;
    int16_t attribute;
  };

  const void* handle;  // nullptr: destroyed, and only part of others
  Item* next;          // of its bucket, or of the free ones
  uint32_t references;
  CudnnRole role;
  bool is_broken;      // does not fit, or holds what is not known
  CudnnTensor tensor;  // of the roles that have it
  CudnnNode node;      // of an operation or parameters
  Item* other;         // a tensor's offsets, a carrier's graph, the rest of a graph's operations
  uint32_t count;      // of the operation's ports or the graph's operations
  union {
    Port ports[kMaxPorts];
    Item* items[kMaxListed];
  };
};

struct Table {
  Item* buckets[kBuckets];
  Item* free;
  uint32_t used;
  Item items[kMaxItems];
};

constinit std::atomic<bool> g_is_stopped{false};
constinit Table* g_table = nullptr;
constinit Lock g_lock;
constinit std::atomic<pid_t> g_owner{0};

// In a child of fork the lock may be held by a thread that does not exist, and no descriptor of the
// parent can be used.
class Guard {
 public:
  Guard() {
    const pid_t self = getpid();
    const pid_t owner = g_owner.load(std::memory_order_acquire);
    if (owner != self) {
      if (owner != 0) {
        g_lock.Reset();
        g_table = nullptr;
      }
      g_owner.store(self, std::memory_order_release);
    }
    g_lock.Acquire();
  }
  ~Guard() { g_lock.Release(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
};

Item** BucketOf(const void* handle) {
  const auto bits = reinterpret_cast<uintptr_t>(handle) * 0x9e3779b97f4a7c15u;
  return &g_table->buckets[(bits >> 40) % kBuckets];
}

Item* Find(const void* handle) {
  if (g_table == nullptr || handle == nullptr) return nullptr;
  Item* item = *BucketOf(handle);
  while (item != nullptr && item->handle != handle) item = item->next;
  return item;
}

Item* Take(CudnnRole role) {
  Item* item = g_table->free;
  if (item != nullptr) {
    g_table->free = item->next;
  } else if (g_table->used < kMaxItems) {
    item = &g_table->items[g_table->used++];
  } else {
    return nullptr;
  }
  std::memset(static_cast<void*>(item), 0, sizeof *item);
  item->references = 1;
  item->role = role;
  item->tensor = CudnnTensor();
  item->node = CudnnNode();
  return item;
}

// Depth of what refers to what is that of roles: carrier, graph, operation, tensor, offsets.
void Release(Item* item) {
  if (item == nullptr || --item->references != 0) return;
  for (uint32_t i = 0; i < item->count; ++i) {
    Release(item->role == CudnnRole::kOperation ? item->ports[i].tensor : item->items[i]);
  }
  Release(item->other);
  item->next = g_table->free;
  g_table->free = item;
}

Item* Share(Item* item) {
  if (item != nullptr) ++item->references;
  return item;
}

void Forget(Item* item) {
  Item** link = BucketOf(item->handle);
  while (*link != item) link = &(*link)->next;
  *link = item->next;
  item->handle = nullptr;
  Release(item);
}

// The item of a descriptor that is being filled. One that is part of another is final: the address
// has come back as a new descriptor's.
Item* Claim(const void* handle, CudnnRole role) {
  if (handle == nullptr) return nullptr;
  if (g_table == nullptr) {
    g_table = static_cast<Table*>(MapPages(sizeof(Table)));
    if (g_table == nullptr) return nullptr;
  }
  Item* item = Find(handle);
  const bool is_shared = item != nullptr && role != CudnnRole::kCarrier && item->references > 1;
  if (item != nullptr && item->role == role && !is_shared) return item;
  if (item != nullptr) Forget(item);
  item = Take(role);
  if (item == nullptr) return nullptr;
  item->handle = handle;
  Item** bucket = BucketOf(handle);
  item->next = *bucket;
  *bucket = item;
  return item;
}

template <typename Value>
Value First(const void* data, int64_t count) {
  Value value{};
  if (data != nullptr && count >= 1) std::memcpy(&value, data, sizeof value);
  return value;
}

bool CopyDims(const void* data, int64_t count, int64_t* dims) {
  if (data == nullptr || count < 1 || count > int64_t{CudnnTensor::kMaxRank}) return false;
  std::memcpy(dims, data, static_cast<size_t>(count) * sizeof(int64_t));
  return true;
}

void SetTensor(Item* item, int attribute, int64_t count, const void* data) {
  CudnnTensor& tensor = item->tensor;
  switch (attribute) {
    case kTensorUid:
      tensor.uid = First<int64_t>(data, count);
      break;
    case kTensorDtype:
      tensor.dtype = DtypeOfCudnn(First<int>(data, count));
      break;
    case kTensorDims:
      item->is_broken |= !CopyDims(data, count, tensor.dims);
      if (!item->is_broken) tensor.rank = static_cast<uint8_t>(count);
      break;
    case kTensorStrides:
      item->is_broken |= !CopyDims(data, count, tensor.strides);
      break;
    case kTensorVectorCount:
      tensor.is_vectorized = First<int64_t>(data, count) > 1;
      break;
    case kTensorIsVirtual:
      tensor.is_virtual = First<bool>(data, count);
      break;
    case kTensorIsByValue:
      tensor.is_by_value = First<bool>(data, count);
      break;
    case kTensorRagged: {
      Item* offsets = Find(First<const void*>(data, count));
      const bool is_tensor = offsets != nullptr && offsets->role == CudnnRole::kTensor &&
                             offsets->other == nullptr && offsets != item;
      item->is_broken |= !is_tensor;
      if (!is_tensor) break;
      Release(item->other);
      item->other = Share(offsets);
      tensor.is_ragged = true;
      tensor.ragged_uid = offsets->tensor.uid;
      break;
    }
    default:
      break;
  }
}

// Of an operation or of its parameters.
void SetNode(CudnnNode* node, int attribute, int type, int64_t count, const void* data) {
  if (type == CUDNN_TYPE_DATA_TYPE) {
    // CUDNN_DATA_FAST_FLOAT_FOR_FP8 is f32 of which fewer bits of the sum are kept.
    const int number = First<int>(data, count);
    node->accumulate = number == 14 ? shapes::Dtype::kF32 : DtypeOfCudnn(number);
  } else if (attribute == kPointwiseMode) {
    node->pointwise = CudnnPointwiseOf(First<int>(data, count));
  } else if (attribute == kPointwiseAxis) {
    const auto axis = First<int64_t>(data, count);
    if (axis >= 0 && axis < int64_t{CudnnTensor::kMaxRank}) node->axis = static_cast<int8_t>(axis);
  } else if (attribute == kPointwiseAlpha1 || attribute == kPointwiseAlpha2) {
    node->is_scaled |= type == CUDNN_TYPE_DOUBLE ? First<double>(data, count) != 1
                                                 : First<float>(data, count) != 1;
  } else if (attribute == kMoeMode) {
    node->scatters = First<int>(data, count) == 2;  // CUDNN_MOE_GROUPED_MATMUL_MODE_SCATTER
  }
}

void SetPort(Item* item, int attribute, Item* tensor) {
  if (CudnnPortOf(attribute) == CudnnPort::kOther) item->node.has_unknown_key = true;
  uint32_t at = 0;
  while (at < item->count && item->ports[at].attribute != attribute) ++at;
  if (at == kMaxPorts) {
    item->is_broken = true;
    return;
  }
  if (at == item->count) {
    ++item->count;
  } else {
    Release(item->ports[at].tensor);
  }
  item->ports[at] = {Share(tensor), static_cast<int16_t>(attribute)};
}

void SetOperation(Item* item, int attribute, int type, int64_t count, const void* data) {
  CudnnNode& node = item->node;
  node.name = CudnnOperationOf(attribute);
  node.name_bytes = static_cast<uint32_t>(std::strlen(node.name));
  node.op = CudnnOpNamed(node.name, node.name_bytes);
  if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    SetNode(&node, attribute, type, count, data);
    return;
  }
  Item* part = Find(First<const void*>(data, count));
  if (part == nullptr || part->is_broken) {
    item->is_broken = true;
  } else if (part->role == CudnnRole::kTensor) {
    SetPort(item, attribute, part);
  } else if (part->role == CudnnRole::kParameters) {
    node.accumulate = part->node.accumulate;
    node.pointwise = part->node.pointwise;
    node.axis = part->node.axis;
  }
}

void SetGraph(Item* item, int attribute, int64_t count, const void* data) {
  if (attribute != kGraphOperations || data == nullptr || item->count != 0) return;
  item->is_broken = count < 1 || count > int64_t{CudnnGraph::kMaxNodes};
  Item* list = item;
  for (int64_t i = 0; !item->is_broken && i < count; ++i) {
    if (list->count == kMaxListed) {
      list->other = Take(CudnnRole::kGraph);
      list = list->other;
    }
    const void* handle = nullptr;
    std::memcpy(&handle, static_cast<const char*>(data) + i * int64_t{sizeof handle},
                sizeof handle);
    Item* operation = Find(handle);
    item->is_broken = list == nullptr || operation == nullptr || operation->is_broken ||
                      operation->role != CudnnRole::kOperation;
    if (!item->is_broken) list->items[list->count++] = Share(operation);
  }
}

void Carry(const void* handle, Item* graph) {
  Share(graph);
  Item* carrier = Claim(handle, CudnnRole::kCarrier);
  if (carrier == nullptr) {
    Release(graph);
    return;
  }
  Release(carrier->other);
  carrier->other = graph;
}

Item* GraphOf(const void* handle) {
  Item* item = Find(handle);
  if (item == nullptr) return nullptr;
  return item->role == CudnnRole::kCarrier ? item->other
         : item->role == CudnnRole::kGraph ? item
                                           : nullptr;
}

bool AddTensor(const Item& item, CudnnGraph* graph) {
  if (item.other != nullptr && !AddTensor(*item.other, graph)) return false;
  if (graph->IndexOf(item.tensor.uid) >= 0) return true;
  if (graph->tensor_count == CudnnGraph::kMaxTensors || item.tensor.rank == 0) return false;
  graph->tensors[graph->tensor_count++] = item.tensor;
  return true;
}

bool AddNode(const Item& operation, CudnnGraph* graph) {
  if (graph->node_count == CudnnGraph::kMaxNodes ||
      graph->link_count + operation.count > CudnnGraph::kMaxLinks) {
    return false;
  }
  CudnnNode& node = graph->nodes[graph->node_count++];
  node = operation.node;
  node.first_port = static_cast<uint16_t>(graph->link_count);
  node.port_count = static_cast<uint16_t>(operation.count);
  for (uint32_t i = 0; i < operation.count; ++i) {
    const Item::Port& port = operation.ports[i];
    if (!AddTensor(*port.tensor, graph)) return false;
    graph->links[graph->link_count++] = {port.tensor->tensor.uid, -1, CudnnPortOf(port.attribute)};
  }
  return true;
}

}  // namespace

void TrackCudnnAttribute(const void* descriptor, int attribute, int type, int64_t count,
                         const void* data) {
  if (g_is_stopped.load(std::memory_order_relaxed)) return;
  const CudnnRole role = CudnnRoleOf(attribute);
  if (role == CudnnRole::kNone) return;
  const ErrnoGuard keep_errno;
  const Guard guard;
  if (role == CudnnRole::kCarrier) {
    if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR) return;
    Item* graph = GraphOf(First<const void*>(data, count));
    if (graph != nullptr) Carry(descriptor, graph);
    return;
  }
  Item* item = Claim(descriptor, role);
  if (item == nullptr) return;
  if (role == CudnnRole::kTensor) SetTensor(item, attribute, count, data);
  if (role == CudnnRole::kParameters) SetNode(&item->node, attribute, type, count, data);
  if (role == CudnnRole::kOperation) SetOperation(item, attribute, type, count, data);
  if (role == CudnnRole::kGraph) SetGraph(item, attribute, count, data);
}

void TrackCudnnAnswer(const void* from, int attribute, int type, int64_t count, const void* data) {
  if (g_is_stopped.load(std::memory_order_relaxed)) return;
  if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR || data == nullptr) return;
  if (CudnnRoleOf(attribute) != CudnnRole::kCarrier) return;
  const ErrnoGuard keep_errno;
  const Guard guard;
  Item* graph = GraphOf(from);
  for (int64_t i = 0; graph != nullptr && i < count; ++i) {
    const void* filled = nullptr;
    std::memcpy(&filled, static_cast<const char*>(data) + i * int64_t{sizeof filled},
                sizeof filled);
    // Knobs and other parts of an engine have no use for a graph, and do no harm with one.
    Carry(filled, graph);
    if (attribute != kHeuristicResults) break;
  }
}

void ForgetCudnnDescriptor(const void* descriptor) {
  if (g_is_stopped.load(std::memory_order_relaxed)) return;
  const ErrnoGuard keep_errno;
  const Guard guard;
  Item* item = Find(descriptor);
  if (item != nullptr) Forget(item);
}

bool TrackedCudnnGraph(const void* plan, CudnnGraph* graph) {
  const Guard guard;
  const Item* found = GraphOf(plan);
  if (found == nullptr || found->is_broken) return false;
  for (const Item* list = found; list != nullptr; list = list->other) {
    for (uint32_t i = 0; i < list->count; ++i) {
      if (!AddNode(*list->items[i], graph)) return false;
    }
  }
  graph->Connect();
  return graph->node_count != 0;
}

void StopTrackingCudnn() { g_is_stopped.store(true, std::memory_order_relaxed); }

}  // namespace mfutrace::interpose
