// The operations of one native file: its signature records put together into Ops, by id.
//
// A part of model/load. Records come in the file's order; what a record refers to came before it,
// only the members of a compound stand behind it, so Ops of compounds are made when asked for. A
// record of a damaged or newer file may refer to what is not there: then its FLOPs are unknown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "report/model/ops_of.h"
#include "report/model/timeline.h"
#include "trace/format.h"

namespace mfutrace::report {

class SignatureTable {
 public:
  using Strings = absl::flat_hash_map<uint32_t, std::string>;
  // `strings` outlives the table and has the strings that records name when they are added.
  explicit SignatureTable(const Strings& strings) : strings_(strings) {}

  void Add(const trace::GemmSignature& record);
  void Add(const trace::MatrixSignature& record);
  void Add(const trace::AttentionSignature& record);
  void Add(const trace::ConvolutionSignature& record);
  void Add(const trace::RnnSignature& record);
  void Add(const trace::OpaqueSignature& record);
  // `rank_count` is the size of its communicator; 0 = unknown.
  void Add(const trace::CollectiveSignature& record, uint32_t rank_count);
  void Add(const trace::CompoundSignature& record);
  void Add(const trace::CompoundMember& record);
  void Add(const trace::SequenceLengths& record);

  // nullopt for an id that the file does not have.
  std::optional<Op> Find(uint32_t id) const;
  // Index of a collective's communicator in the file; 0 for anything else.
  uint32_t CommunicatorOf(uint32_t id) const;
  bool IsCompound(uint32_t id) const;
  std::vector<uint32_t> MembersOf(uint32_t compound) const;

 private:
  struct Signature {
    Op op;
    std::optional<shapes::Gemm> gemm;
    std::string entry;
    std::string reason;         // of an opaque one
    uint32_t communicator = 0;  // index in the file
    bool is_compound = false;
    uint32_t member_count = 0;
    std::vector<trace::CompoundMember> members;
  };

  Signature& Put(uint32_t id, uint32_t entry, Op op);
  std::string String(uint32_t id) const;
  Op CompoundOp(const Signature& compound, int depth) const;

  const Strings& strings_;
  absl::flat_hash_map<uint32_t, Signature> signatures_;
  absl::flat_hash_map<uint32_t, std::vector<shapes::SequenceRun>> lengths_;
};

}  // namespace mfutrace::report
