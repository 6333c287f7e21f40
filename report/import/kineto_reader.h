// First half of the Kineto import: JSON text -> flat records of what the second half (kineto.cc)
// needs. Knows the format's keys and spellings over the years; joins nothing, decides nothing.
//
// SAX, never a tree: memory is the records below (tens of bytes each), never the text. Numbers stay
// text until here, so that microseconds with decimals become exact integer nanoseconds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "report/import/byte_source.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

// A table of distinct texts.
class TextTable {
 public:
  uint32_t IndexOf(absl::string_view text);
  const std::string& TextOf(uint32_t index) const { return texts_[index]; }
  size_t size() const { return texts_.size(); }

 private:
  absl::flat_hash_map<std::string, uint32_t> indices_;
  std::vector<std::string> texts_;
};

// Element counts beyond this are taken for damage.
inline constexpr int64_t kMaxElements = int64_t{1} << 60;

// Product of dimensions; -1 if one is negative or the product is past kMaxElements.
int64_t ElementsOf(absl::Span<const int64_t> dims);

// What one event's `args` say about an operator's operands.
struct RawOperands {
  std::vector<std::vector<int64_t>> dims;  // one entry an argument; a list of tensors: see below
  std::vector<bool> is_tensor_list;        // then dims[i] holds one number: their elements
  std::vector<std::string> types;
  std::vector<std::string> concrete;
};

// What one event's `args` say about a collective. -1, empty: not there.
struct RawCollective {
  std::string name;  // "allreduce", "_allgather_base"
  std::string dtype;
  std::string group_name;
  std::string group_description;
  std::string group_ranks;  // "[0, 1]"
  int64_t in_elements = -1;
  int64_t out_elements = -1;
  int64_t group_size = -1;
};

inline constexpr int64_t kNoId = -1;

struct RawGpuEvent {
  Interval time;
  int64_t correlation = kNoId;
  int64_t external_id = kNoId;
  uint32_t name = 0;               // into RawTrace::kernel_names
  uint32_t collective = kNoIndex;  // into RawTrace::collectives
  int32_t device = 0;
  int32_t stream = 0;
  bool is_copy = false;  // copy or memset
};

struct RawLaunch {
  int64_t correlation = kNoId;
  int64_t begin_ns = 0;
  uint32_t thread = 0;
  bool is_graph = false;  // starts a whole graph
};

// An operator whose operands are worth keeping, or the CPU side of a collective.
struct RawOp {
  Interval time;
  int64_t external_id = kNoId;
  uint32_t thread = 0;
  uint32_t signature = kNoIndex;   // into RawTrace::signatures
  uint32_t collective = kNoIndex;  // into RawTrace::collectives
  bool is_range = false;           // the "nccl:..." annotation, not record_param_comms
};

struct RawSignature {
  std::string name;
  RawOperands operands;
};

struct RawDevice {
  int32_t id = -1;
  std::string name;
  uint64_t memory_bytes = 0;
};

struct RawGroup {
  std::string name;
  std::string description;
  std::string backend;
  int64_t size = -1;
  std::vector<int32_t> ranks;
};

struct RawTrace {
  SourceKind source = SourceKind::kKineto;
  std::vector<RawGpuEvent> gpu_events;
  std::vector<RawLaunch> launches;
  std::vector<RawOp> ops;       // counted operators
  std::vector<RawOp> comm_ops;  // record_param_comms and nccl: ranges
  std::vector<StepMark> steps;
  std::vector<ServingStep> serving_steps;
  std::vector<RawSignature> signatures;
  std::vector<RawCollective> collectives;
  std::vector<RawDevice> devices;
  std::vector<RawGroup> groups;
  TextTable kernel_names;
  absl::flat_hash_map<std::string, uint64_t>
      uncounted_ops;  // does tensor products, no formula here
  Interval host_window;
  std::string host;
  int32_t rank = -1;
  uint32_t world_size = 0;
  uint64_t events = 0;
  uint64_t repairs = 0;  // slips of JSON that were put right
  uint64_t events_without_time = 0;
  bool has_events_list = false;
  bool has_shapes = false;
};

// Reads one JSON document to its end. Errors say what is wrong with the text and where.
absl::Status ReadKineto(ByteSource* source, RawTrace* trace);

}  // namespace mfutrace::report
