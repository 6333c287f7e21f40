// See graph_contents.h.
#include "interpose/graph_contents.h"

#include <cstring>

#include "interpose/counters.h"
#include "interpose/memory.h"
#include "interpose/recorder.h"
#include "interpose/session.h"

namespace mfutrace::interpose {
namespace {

uint64_t KeyOf(const void* handle) { return reinterpret_cast<uintptr_t>(handle); }

bool Reserve(GraphContents& contents, uint32_t more) {
  if (contents.capacity - contents.count >= more) return true;
  uint32_t capacity = contents.capacity == 0 ? 128 : contents.capacity;
  while (capacity - contents.count < more) capacity *= 2;
  auto* items = static_cast<GraphItem*>(MapPages(capacity * sizeof(GraphItem)));
  if (items == nullptr) {
    Count(Counter::kGraphPartsLost, more);
    return false;
  }
  if (contents.count != 0) {
    std::memcpy(items, contents.items, contents.count * sizeof(GraphItem));
  }
  UnmapPages(contents.items, contents.capacity * sizeof(GraphItem));
  contents.items = items;
  contents.capacity = capacity;
  return true;
}

void Add(GraphContents& to, const GraphItem& item) {
  if (Reserve(to, 1)) to.items[to.count++] = item;
}

// All of `from`, which is on; as parts of `node` where there is one.
void AddAll(GraphContents& to, const GraphContents* from, const void* node, Condition condition) {
  if (from == nullptr || !Reserve(to, from->count)) return;
  for (uint32_t i = 0; i < from->count; ++i) {
    GraphItem item = from->items[i];
    if (item.is_off) continue;
    if (node != nullptr) item.node = node;
    if (condition > item.condition) item.condition = condition;
    to.items[to.count++] = item;
  }
}

// A graph and the bodies of its conditional nodes, which may have such nodes themselves.
void AddWhole(Graphs& graphs, GraphContents& to, uint64_t key, const void* node,
              Condition condition) {
  AddAll(to, graphs.graphs.Find(key), node, condition);
  if (graphs.bodies == 0) return;
  graphs.graphs.ForEach([&](const GraphContents& body) {
    if (body.parent != key) return;
    AddWhole(graphs, to, body.key.load(std::memory_order_relaxed), node,
             condition > body.condition ? condition : body.condition);
  });
}

void Drop(Graphs& graphs, GraphContents* contents) {
  if (contents == nullptr) return;
  if (contents->parent != 0) --graphs.bodies;
  GraphTable::Drop(*contents);
}

void RemoveItemsOf(GraphContents& contents, const void* node) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < contents.count; ++i) {
    if (contents.items[i].node != node) contents.items[kept++] = contents.items[i];
  }
  contents.count = kept;
}

// Equal signatures as one part each, in the order of their first.
uint32_t PartsOf(const GraphContents& contents, CompoundPart* parts, uint32_t* slots,
                 uint32_t slot_mask) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < contents.count; ++i) {
    const GraphItem& item = contents.items[i];
    if (item.is_off) continue;
    const auto condition = static_cast<uint32_t>(item.condition);
    uint32_t at = (item.signature * 3 + condition) * 0x9e3779b9u & slot_mask;
    while (slots[at] != 0 && (parts[slots[at] - 1].signature != item.signature ||
                              parts[slots[at] - 1].condition != condition)) {
      at = (at + 1) & slot_mask;
    }
    if (slots[at] == 0) {
      slots[at] = ++count;
      parts[count - 1] = {item.signature, 0, condition};
    }
    parts[slots[at] - 1].count += item.count;
  }
  return count;
}

// What a launch of the executable is recorded as from now on.
void Sign(GraphContents& executable) {
  uint32_t signature = 0;
  if (executable.count != 0) {
    uint32_t slot_count = 64;
    while (slot_count < executable.count * 2) slot_count *= 2;
    const size_t bytes = sizeof(CompoundPart) * executable.count + sizeof(uint32_t) * slot_count;
    void* memory = MapPages(bytes);
    if (memory != nullptr) {
      auto* parts = static_cast<CompoundPart*>(memory);
      auto* slots = reinterpret_cast<uint32_t*>(parts + executable.count);
      const uint32_t count = PartsOf(executable, parts, slots, slot_count - 1);
      if (count != 0) signature = InternCompound(Entry::k_cuGraphLaunch, parts, count, nullptr);
      UnmapPages(memory, bytes);
    }
    if (signature == 0) {
      signature = InternOpaque(Entry::k_cuGraphLaunch, "no memory left for what the graph holds");
    }
  }
  executable.signature.store(signature, std::memory_order_release);
}

}  // namespace

GraphContents* GraphTable::Find(uint64_t key) const {
  const uint64_t hash = key * 0x9e3779b97f4a7c15;
  GraphContents* contents = buckets_[hash >> 54].load(std::memory_order_acquire);
  static_assert(kBuckets == 1024);  // what the shift by 54 leaves
  while (contents != nullptr && contents->key.load(std::memory_order_acquire) != key) {
    contents = contents->next;
  }
  return contents;
}

GraphContents* GraphTable::Make(uint64_t key) {
  if (key == 0) return nullptr;
  GraphContents* contents = Find(key);
  if (contents != nullptr) return contents;
  std::atomic<GraphContents*>& bucket = buckets_[key * 0x9e3779b97f4a7c15 >> 54];
  contents = bucket.load(std::memory_order_relaxed);
  while (contents != nullptr && contents->key.load(std::memory_order_relaxed) != 0) {
    contents = contents->next;
  }
  if (contents == nullptr) {
    // A page for the next ones of this bucket; they are never given back.
    constexpr uint32_t kAtOnce = 4096 / sizeof(GraphContents);
    contents = static_cast<GraphContents*>(MapPages(kAtOnce * sizeof(GraphContents)));
    if (contents == nullptr) return nullptr;
    for (uint32_t i = 0; i + 1 < kAtOnce; ++i) contents[i].next = &contents[i + 1];
    contents[kAtOnce - 1].next = bucket.load(std::memory_order_relaxed);
    bucket.store(contents, std::memory_order_release);
  }
  contents->key.store(key, std::memory_order_release);
  return contents;
}

void GraphTable::Drop(GraphContents& contents) {
  UnmapPages(contents.items, contents.capacity * sizeof(GraphItem));
  contents.items = nullptr;
  contents.count = contents.capacity = 0;
  contents.parent = 0;
  contents.node = nullptr;
  contents.condition = Condition::kAlways;
  contents.signature.store(0, std::memory_order_relaxed);
  contents.key.store(0, std::memory_order_release);
}

uint64_t CaptureIdOf(const Driver* driver, void* stream, const void** node) {
  if (driver == nullptr || driver->stream_get_capture_info == nullptr) return 0;
  int status = cuda::kCaptureStatusNone;
  uint64_t id = 0;
  void* graph = nullptr;
  const void* const* front = nullptr;
  size_t front_count = 0;
  // The front is asked for alone where it is wanted: with edges of certain kinds the driver refuses
  // to tell it in this form (CUDA_ERROR_LOSSY_QUERY).
  const bool wants_front = node != nullptr;
  if (driver->stream_get_capture_info(stream, &status, &id, &graph, wants_front ? &front : nullptr,
                                      wants_front ? &front_count : nullptr) != cuda::kSuccess ||
      status == cuda::kCaptureStatusNone) {
    return 0;
  }
  if (wants_front && front_count == 1) *node = front[0];
  return id;
}

void NoteCaptured(Session& session, uint64_t capture, uint32_t signature, const void* node) {
  Graphs& graphs = session.graphs;
  graphs.is_used.store(true, std::memory_order_relaxed);
  LockGuard guard(graphs.lock);
  GraphContents* contents = signature == 0 ? nullptr : graphs.captures.Make(capture);
  if (contents == nullptr) {
    Count(Counter::kGraphPartsLost);
    return;
  }
  Add(*contents, {node, signature, 1, Condition::kAlways, false});
}

void GraphFilled(Session& session, const void* graph, uint32_t signature) {
  Graphs& graphs = session.graphs;
  graphs.is_used.store(true, std::memory_order_relaxed);
  LockGuard guard(graphs.lock);
  GraphContents* contents = signature == 0 ? nullptr : graphs.graphs.Make(KeyOf(graph));
  if (contents == nullptr) {
    Count(Counter::kGraphPartsLost);
    return;
  }
  Add(*contents, {nullptr, signature, 1, Condition::kAlways, false});
}

void GraphRefilled(Session& session, const void* graph, uint32_t signature) {
  Graphs& graphs = session.graphs;
  {
    LockGuard guard(graphs.lock);
    GraphContents* contents = graphs.graphs.Find(KeyOf(graph));
    if (contents != nullptr) contents->count = 0;
  }
  GraphFilled(session, graph, signature);
}

void CaptureEnded(Session& session, uint64_t capture, const void* graph) {
  Graphs& graphs = session.graphs;
  LockGuard guard(graphs.lock);
  GraphContents* captured = graphs.captures.Find(capture);
  if (captured == nullptr) return;
  if (graph != nullptr) {
    // A capture into an existing graph, or one that children were added to meanwhile, adds to it.
    GraphContents* contents = graphs.graphs.Make(KeyOf(graph));
    if (contents != nullptr) AddAll(*contents, captured, nullptr, Condition::kAlways);
  }
  GraphTable::Drop(*captured);
}

void GraphCloned(Session& session, const void* clone, const void* original) {
  Graphs& graphs = session.graphs;
  LockGuard guard(graphs.lock);
  if (graphs.graphs.Find(KeyOf(original)) == nullptr) return;
  GraphContents* to = graphs.graphs.Make(KeyOf(clone));
  if (to == nullptr) return;
  AddWhole(graphs, *to, KeyOf(original), nullptr, Condition::kAlways);
  // The clone has nodes of its own, which nobody names to us.
  for (uint32_t i = 0; i < to->count; ++i) to->items[i].node = nullptr;
}

void GraphDestroyed(Session& session, const void* graph) {
  Graphs& graphs = session.graphs;
  LockGuard guard(graphs.lock);
  Drop(graphs, graphs.graphs.Find(KeyOf(graph)));
  // Bodies in its bodies go in the next pass.
  for (uint32_t before = 0; before != graphs.bodies;) {
    before = graphs.bodies;
    graphs.graphs.ForEach([&](GraphContents& body) {
      if (body.parent != 0 && graphs.graphs.Find(body.parent) == nullptr) Drop(graphs, &body);
    });
  }
}

void NodeDestroyed(Session& session, const void* node) {
  Graphs& graphs = session.graphs;
  LockGuard guard(graphs.lock);
  graphs.graphs.ForEach([&](GraphContents& contents) {
    RemoveItemsOf(contents, node);
    if (contents.node == node && contents.parent != 0) Drop(graphs, &contents);
  });
}

void ChildAdded(Session& session, const void* graph, const void* node, const void* child) {
  Graphs& graphs = session.graphs;
  LockGuard guard(graphs.lock);
  if (graphs.graphs.Find(KeyOf(child)) == nullptr) return;
  GraphContents* to = graphs.graphs.Make(KeyOf(graph));
  if (to != nullptr) AddWhole(graphs, *to, KeyOf(child), node, Condition::kAlways);
}

void BodyAdded(Session& session, const void* graph, const void* node, const void* body,
               Condition condition) {
  Graphs& graphs = session.graphs;
  graphs.is_used.store(true, std::memory_order_relaxed);  // they must be forgotten with the graph
  LockGuard guard(graphs.lock);
  // The graph itself has an entry even if it is empty: its bodies are alive as long as that is.
  if (graphs.graphs.Make(KeyOf(graph)) == nullptr) return;
  GraphContents* contents = graphs.graphs.Make(KeyOf(body));
  if (contents == nullptr) return;
  if (contents->parent == 0) ++graphs.bodies;
  contents->parent = KeyOf(graph);
  contents->node = node;
  contents->condition = condition;
}

void GraphInstantiated(Session& session, const void* executable, const void* graph) {
  Graphs& graphs = session.graphs;
  LockGuard guard(graphs.lock);
  GraphContents* old = graphs.executables.Find(KeyOf(executable));
  if (old != nullptr) old->count = 0;
  const GraphContents* from = graphs.graphs.Find(KeyOf(graph));
  if (old == nullptr && from == nullptr) return;
  GraphContents* to = graphs.executables.Make(KeyOf(executable));
  if (to == nullptr) return;
  AddWhole(graphs, *to, KeyOf(graph), nullptr, Condition::kAlways);
  Sign(*to);
}

void ExecutableDestroyed(Session& session, const void* executable) {
  Graphs& graphs = session.graphs;
  LockGuard guard(graphs.lock);
  GraphContents* contents = graphs.executables.Find(KeyOf(executable));
  if (contents != nullptr) GraphTable::Drop(*contents);
}

void ExecutableChildReplaced(Session& session, const void* executable, const void* node,
                             const void* child) {
  Graphs& graphs = session.graphs;
  LockGuard guard(graphs.lock);
  const GraphContents* from = graphs.graphs.Find(KeyOf(child));
  GraphContents* to = graphs.executables.Find(KeyOf(executable));
  if (to == nullptr && from != nullptr) to = graphs.executables.Make(KeyOf(executable));
  if (to == nullptr) return;
  RemoveItemsOf(*to, node);
  if (from != nullptr) AddWhole(graphs, *to, KeyOf(child), node, Condition::kAlways);
  Sign(*to);
}

void ExecutableNodeEnabled(Session& session, const void* executable, const void* node,
                           bool is_enabled) {
  Graphs& graphs = session.graphs;
  LockGuard guard(graphs.lock);
  GraphContents* contents = graphs.executables.Find(KeyOf(executable));
  if (contents == nullptr) return;
  bool has_changed = false;
  for (uint32_t i = 0; i < contents->count; ++i) {
    GraphItem& item = contents->items[i];
    if (item.node != node || item.is_off == !is_enabled) continue;
    item.is_off = !is_enabled;
    has_changed = true;
  }
  if (has_changed) Sign(*contents);
}

void LaunchCaptured(Session& session, uint64_t capture, const void* executable, const void* node) {
  Graphs& graphs = session.graphs;
  LockGuard guard(graphs.lock);
  const GraphContents* from = graphs.executables.Find(KeyOf(executable));
  GraphContents* to = from == nullptr ? nullptr : graphs.captures.Make(capture);
  if (to != nullptr) AddAll(*to, from, node, Condition::kAlways);
}

}  // namespace mfutrace::interpose
