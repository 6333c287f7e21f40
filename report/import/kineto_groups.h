// Collectives and process groups of a Kineto trace: metadata, in whichever of its forms, -> Ops and
// Communicators. Used by kineto_join.cc only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "report/import/kineto_reader.h"
#include "report/model/timeline.h"
#include "shapes/op.h"

namespace mfutrace::report {

// What a collective's metadata says of its process group. Empty name: it says nothing.
struct GroupFacts {
  std::string name;
  std::string description;
  std::vector<int32_t> ranks;
  uint32_t size = 0;
};

// What is known about one collective; sources are added best first, and fill only what is missing.
struct CollectiveFacts {
  GroupFacts group;
  shapes::CollectiveKind kind = shapes::CollectiveKind::kUnknown;
  shapes::Dtype dtype = shapes::Dtype::kUnknown;
  int64_t in_elements = -1;
  int64_t out_elements = -1;
  std::string kernel_word;        // "SendRecv"; what the kernel's name calls it
  bool is_from_metadata = false;  // else the kernel's name is all there is

  void Add(const RawCollective& raw);   // metadata of the kernel or of record_param_comms
  void Add(const RawSignature& range);  // operands of record_param_comms or a nccl: range
  void AddKernel(absl::string_view kernel_name);
  Op ToOp() const;
};

// The communicators of one timeline.
class GroupTable {
 public:
  explicit GroupTable(std::vector<Communicator>* communicators) : communicators_(communicators) {}

  // distributedInfo.pg_config; groups of other back ends than NCCL are left out.
  void AddConfigured(const std::vector<RawGroup>& groups, int32_t rank);
  uint32_t IndexOf(const GroupFacts& group, int32_t rank);
  // Kernels of communication libraries that have no process groups.
  uint32_t Custom();
  // 1 for the first call on a communicator, then counting up.
  uint32_t NextSequence(uint32_t communicator);

 private:
  uint32_t Add(Communicator communicator, const std::string& key, int32_t rank);

  std::vector<Communicator>* communicators_;
  absl::flat_hash_map<std::string, uint32_t> by_key_;
  std::vector<uint32_t> sequences_;
};

// "[0, 1, 2]" -> ranks; empty if it is cut short ("...") or no list.
std::vector<int32_t> RanksOf(absl::string_view text);

// {0,1,2,3} -> "0-3", {0,2,4} -> "0-4/2", others with commas; a long list ends in a hash.
std::string RanksText(const std::vector<int32_t>& ranks);

}  // namespace mfutrace::report
