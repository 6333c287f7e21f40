// See load_signatures.h.
#include "report/model/load_signatures.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "trace/signatures.h"

namespace mfutrace::report {
namespace {

// Compounds of compounds are not written today; a damaged file may have a circle of them.
constexpr int kMaxDepth = 4;

constexpr char kGraphLaunch[] = "cuGraphLaunch";  // entry of a launch (docs/FORMAT.md)
// Label that interpose/observe_cudnn_graph gives to products of experts whose rows lie on the
// device: its parts share them out evenly.
constexpr char kExpertsLabel[] = "moe grouped matmul";

shapes::Provenance ProvenanceOf(uint8_t value) {
  const auto provenance = static_cast<shapes::Provenance>(value);
  return std::min(provenance, shapes::Provenance::kNone);
}

// A part of a CUDA graph that does not run with each launch. What may run once is counted as if it
// did, an upper bound; how often a loop's body runs nothing tells.
void Restrict(trace::Condition condition, OpPart& part) {
  if (condition == trace::Condition::kAlways) return;
  if (condition == trace::Condition::kAtMostOnce) {
    part.op.provenance = std::max(part.op.provenance, shapes::Provenance::kBound);
    return;
  }
  part.op.provenance = shapes::Provenance::kNone;
  part.op.label = absl::StrCat("loop of ", part.op.label);
  part.op.flop_executed = part.op.flop_model = part.op.flop_full_attention = std::nullopt;
  part.op.bytes_least = std::nullopt;
  part.gemm.reset();
}

}  // namespace

std::string SignatureTable::String(uint32_t id) const {
  const auto found = strings_.find(id);
  return found == strings_.end() ? std::string() : found->second;
}

SignatureTable::Signature& SignatureTable::Put(uint32_t id, uint32_t entry, Op op) {
  Signature& signature = signatures_[id];
  signature = Signature();
  signature.op = std::move(op);
  signature.entry = String(entry);
  return signature;
}

void SignatureTable::Add(const trace::GemmSignature& record) {
  const shapes::Gemm gemm = trace::GemmOf(record);
  Put(record.id, record.entry, OpOf(gemm, ProvenanceOf(record.provenance))).gemm = gemm;
}

void SignatureTable::Add(const trace::MatrixSignature& record) {
  Put(record.id, record.entry, OpOf(trace::MatrixOf(record), ProvenanceOf(record.provenance)));
}

void SignatureTable::Add(const trace::AttentionSignature& record) {
  const shapes::Attention attention = trace::AttentionOf(record);
  shapes::Provenance provenance = ProvenanceOf(record.provenance);
  if (record.lengths != 0) {
    const auto found = lengths_.find(record.lengths);
    if (found != lengths_.end()) {
      Put(record.id, record.entry, OpOf(attention, found->second, provenance));
      return;
    }
  }
  // The dimensions are then the longest that the sequences may be.
  if (record.lengths != 0 || (record.flags & trace::kLengthsOnDevice) != 0) {
    provenance = std::max(provenance, shapes::Provenance::kBound);
  }
  Op op = OpOf(attention, provenance);
  if (record.lengths != 0 || (record.flags & trace::kLengthsOnDevice) != 0) {
    OpDetail detail = *op.detail;
    detail.lengths_are_bounds = true;
    op.detail = std::make_shared<const OpDetail>(std::move(detail));
  }
  Put(record.id, record.entry, std::move(op));
}

void SignatureTable::Add(const trace::ConvolutionSignature& record) {
  Put(record.id, record.entry, OpOf(trace::ConvolutionOf(record), ProvenanceOf(record.provenance)));
}

void SignatureTable::Add(const trace::RnnSignature& record) {
  Put(record.id, record.entry, OpOf(trace::RnnOf(record), ProvenanceOf(record.provenance)));
}

void SignatureTable::Add(const trace::OpaqueSignature& record) {
  Signature& signature = Put(record.id, record.entry, Op());
  signature.reason = String(record.reason);
  signature.op.label = signature.entry.empty() ? "unnamed" : signature.entry;
  if (!signature.reason.empty()) absl::StrAppend(&signature.op.label, " (", signature.reason, ")");
}

void SignatureTable::Add(const trace::CollectiveSignature& record, uint32_t rank_count) {
  shapes::Collective collective = trace::CollectiveOf(record);
  collective.rank_count = rank_count;
  Put(record.id, record.entry, OpOf(collective, ProvenanceOf(record.provenance))).communicator =
      record.communicator;
}

void SignatureTable::Add(const trace::CompoundSignature& record) {
  Signature& signature = Put(record.id, record.entry, Op());
  signature.is_compound = true;
  signature.member_count = record.member_count;
  signature.op.label = String(record.label);
}

void SignatureTable::Add(const trace::CompoundMember& record) {
  const auto found = signatures_.find(record.compound);
  if (found != signatures_.end()) found->second.members.push_back(record);
}

void SignatureTable::Add(const trace::SequenceLengths& record) {
  lengths_[record.list].push_back(trace::RunOf(record));
}

Op SignatureTable::CompoundOp(const Signature& compound, int depth) const {
  std::vector<OpPart> parts;
  parts.reserve(compound.members.size());
  for (const trace::CompoundMember& member : compound.members) {
    const auto found = signatures_.find(member.signature);
    OpPart part;
    part.count = member.count;
    part.op.label = "?";
    if (found != signatures_.end()) {
      const Signature& signature = found->second;
      if (!signature.is_compound) {
        part.op = signature.op;
        part.gemm = signature.gemm;
        if (!signature.reason.empty()) part.op.label = signature.reason;
      } else if (depth < kMaxDepth) {
        part.op = CompoundOp(signature, depth + 1);
      }
    }
    Restrict(static_cast<trace::Condition>(member.condition), part);
    parts.push_back(std::move(part));
  }
  // Members that the file has lost are not worth nothing.
  if (parts.size() < compound.member_count || parts.empty()) {
    OpPart rest;
    rest.op.label = "?";
    parts.push_back(std::move(rest));
  }
  Op op = OpOf(parts);
  OpDetail detail = *op.detail;
  detail.is_graph_launch = absl::StartsWith(compound.entry, kGraphLaunch);
  detail.rows_are_spread = compound.op.label == kExpertsLabel;
  op.detail = std::make_shared<const OpDetail>(std::move(detail));
  if (!compound.op.label.empty()) {
    op.label = compound.op.label;
  } else if (depth == 0 && absl::StartsWith(compound.entry, "cudnn")) {
    op.label = absl::StrCat("cudnn graph: ", op.label);
  }
  return op;
}

std::optional<Op> SignatureTable::Find(uint32_t id) const {
  const auto found = signatures_.find(id);
  if (found == signatures_.end()) return std::nullopt;
  return found->second.is_compound ? CompoundOp(found->second, 0) : found->second.op;
}

uint32_t SignatureTable::CommunicatorOf(uint32_t id) const {
  const auto found = signatures_.find(id);
  return found == signatures_.end() ? 0 : found->second.communicator;
}

bool SignatureTable::IsCompound(uint32_t id) const {
  const auto found = signatures_.find(id);
  return found != signatures_.end() && found->second.is_compound;
}

std::vector<uint32_t> SignatureTable::MembersOf(uint32_t compound) const {
  std::vector<uint32_t> members;
  const auto found = signatures_.find(compound);
  if (found == signatures_.end()) return members;
  for (const trace::CompoundMember& member : found->second.members) {
    members.push_back(member.signature);
  }
  return members;
}

}  // namespace mfutrace::report
