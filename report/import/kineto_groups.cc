// See kineto_groups.h. Sizes follow nccl-tests: the whole buffer of one rank, gathered or
// unreduced.
#include "report/import/kineto_groups.h"

#include <algorithm>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "report/import/kineto_ops.h"
#include "shapes/label.h"
#include "shapes/traffic.h"

namespace mfutrace::report {
namespace {

constexpr size_t kMaxRanksText = 48;

// A range lists the tensors it sends; record_param_comms lists one tensor (or list) and scalars,
// which have no dimensions.
int64_t SentElements(const RawOperands& operands) {
  int64_t sum = 0;
  for (const std::vector<int64_t>& dims : operands.dims) {
    if (dims.empty()) continue;
    const int64_t elements = ElementsOf(dims);
    if (elements < 0 || sum > kMaxElements - elements) return -1;
    sum += elements;
  }
  return sum > 0 ? sum : -1;
}

std::optional<uint64_t> BytesOf(int64_t elements, shapes::Dtype dtype) {
  const uint64_t bits = shapes::BitsOf(dtype);
  if (elements < 0 || bits == 0) return std::nullopt;
  const auto count = static_cast<uint64_t>(elements);
  if (count > std::numeric_limits<uint64_t>::max() / bits) return std::nullopt;
  return (count * bits + 7) / 8;
}

}  // namespace

void CollectiveFacts::Add(const RawCollective& raw) {
  if (group.name.empty() && !raw.group_name.empty()) {
    group.name = raw.group_name;
    group.description = raw.group_description;
    group.ranks = RanksOf(raw.group_ranks);
    if (raw.group_size > 0) group.size = static_cast<uint32_t>(raw.group_size);
  }
  if (raw.name.empty() || kind != shapes::CollectiveKind::kUnknown) return;
  kind = CollectiveOfTorch(raw.name);
  dtype = DtypeOfTorch(raw.dtype);
  in_elements = raw.in_elements;
  out_elements = raw.out_elements;
  is_from_metadata = kind != shapes::CollectiveKind::kUnknown;
}

void CollectiveFacts::Add(const RawSignature& range) {
  if (kind == shapes::CollectiveKind::kUnknown && absl::StartsWith(range.name, "nccl:")) {
    kind = CollectiveOfTorch(range.name);
    is_from_metadata = kind != shapes::CollectiveKind::kUnknown;
  }
  if (in_elements >= 0) return;
  const int64_t elements = SentElements(range.operands);
  if (elements < 0) return;
  in_elements = elements;
  for (const std::string& type : range.operands.types) {
    if (dtype == shapes::Dtype::kUnknown) dtype = DtypeOfTorch(type);
  }
}

void CollectiveFacts::AddKernel(absl::string_view kernel_name) {
  if (kind == shapes::CollectiveKind::kUnknown) kind = CollectiveOfKernel(kernel_name);
  // "ncclKernel_SendRecv_RING_SIMPLE_Sum_int8_t(...)": the rest names algorithm and types.
  const std::vector<absl::string_view> words = absl::StrSplit(kernel_name, absl::ByAnyChar("_("));
  kernel_word = std::string(words[words.size() > 1 ? 1 : 0]);
}

Op CollectiveFacts::ToOp() const {
  using Kind = shapes::CollectiveKind;
  shapes::Collective collective;
  collective.kind = kind;
  collective.dtype = dtype;
  collective.rank_count = group.size;
  const int64_t ranks = group.size;
  int64_t count = in_elements;
  switch (kind) {
    case Kind::kReduceScatter:
      count = out_elements >= 0                 ? out_elements
              : (ranks > 0 && in_elements >= 0) ? in_elements / ranks
                                                : -1;
      break;
    case Kind::kAllToAll:
    case Kind::kScatter:
      count = ranks > 0 && in_elements >= 0 ? in_elements / ranks : -1;
      break;
    case Kind::kRecv:
      count = std::max(in_elements, out_elements);
      break;
    default:
      break;
  }
  const bool has_count = count >= 0;
  if (has_count) collective.count = static_cast<uint64_t>(count);

  Op op;
  op.kind = shapes::OpKind::kCollective;
  op.collective = kind;
  op.dtype = std::string(shapes::NameOf(dtype));
  op.provenance = is_from_metadata         ? shapes::Provenance::kExact
                  : kind != Kind::kUnknown ? shapes::Provenance::kKernel
                                           : shapes::Provenance::kNone;
  if (has_count) {
    op.algorithm_bytes = shapes::AlgorithmBytes(collective);
    op.bus_bytes = shapes::BusBytes(collective);
  }
  // Where the whole buffer was recorded, its size needs no number of ranks.
  if (!op.algorithm_bytes && (kind == Kind::kReduceScatter || kind == Kind::kAllToAll)) {
    op.algorithm_bytes = BytesOf(in_elements, dtype);
  }
  if (!op.algorithm_bytes && kind == Kind::kAllGather) {
    op.algorithm_bytes = BytesOf(out_elements, dtype);
  }
  if (kind == Kind::kUnknown) {
    op.label = absl::StrCat("nccl ", kernel_word);
  } else if (has_count) {
    op.label = std::string(shapes::LabelOf(collective).text());
  } else {
    op.label = std::string(shapes::NameOf(kind));
    if (dtype != shapes::Dtype::kUnknown) absl::StrAppend(&op.label, " ", op.dtype);
    if (op.algorithm_bytes) {
      op.label += ' ';
      op.label += shapes::HumanBytes(*op.algorithm_bytes).text();
    }
  }
  return op;
}

uint32_t GroupTable::Add(Communicator communicator, const std::string& key, int32_t rank) {
  const auto index = static_cast<uint32_t>(communicators_->size());
  if (!communicator.ranks.empty()) {
    communicator.size = static_cast<uint32_t>(communicator.ranks.size());
    const auto found = std::find(communicator.ranks.begin(), communicator.ranks.end(), rank);
    if (rank >= 0 && found != communicator.ranks.end()) {
      communicator.rank = static_cast<int32_t>(found - communicator.ranks.begin());
    }
    // Names are counted up by every process for itself in some set-ups: the ranks tell apart.
    communicator.id = absl::StrCat(communicator.id, ":", RanksText(communicator.ranks));
  }
  // torch's word for a group that nobody named.
  if (communicator.name == "undefined") communicator.name.clear();
  communicators_->push_back(std::move(communicator));
  by_key_.emplace(key, index);
  return index;
}

void GroupTable::AddConfigured(const std::vector<RawGroup>& groups, int32_t rank) {
  for (const RawGroup& group : groups) {
    if (group.name.empty() || by_key_.contains(group.name)) continue;
    if (!group.backend.empty() && !absl::StrContains(group.backend, "nccl")) continue;
    Communicator communicator;
    communicator.id = group.name;
    communicator.name = group.description;
    communicator.ranks = group.ranks;
    if (group.size > 0) communicator.size = static_cast<uint32_t>(group.size);
    Add(std::move(communicator), group.name, rank);
  }
}

uint32_t GroupTable::IndexOf(const GroupFacts& group, int32_t rank) {
  const std::string key = group.name.empty() ? "\nunknown" : group.name;
  if (const auto found = by_key_.find(key); found != by_key_.end()) return found->second;
  Communicator communicator;
  communicator.id = group.name.empty() ? "unknown" : group.name;
  communicator.name = group.description;
  communicator.ranks = group.ranks;
  communicator.size = group.size;
  return Add(std::move(communicator), key, rank);
}

uint32_t GroupTable::Custom() {
  const std::string key = "\ncustom";
  if (const auto found = by_key_.find(key); found != by_key_.end()) return found->second;
  Communicator communicator;
  communicator.id = "custom";
  communicator.name = "custom communication kernels";
  return Add(std::move(communicator), key, -1);
}

uint32_t GroupTable::NextSequence(uint32_t communicator) {
  if (sequences_.size() <= communicator) sequences_.resize(communicator + 1);
  return ++sequences_[communicator];
}

std::vector<int32_t> RanksOf(absl::string_view text) {
  absl::ConsumePrefix(&text, "[");
  absl::ConsumeSuffix(&text, "]");
  std::vector<int32_t> ranks;
  for (absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    int32_t rank = -1;
    if (!absl::SimpleAtoi(part, &rank) || rank < 0) return {};
    ranks.push_back(rank);
  }
  return ranks;
}

std::string RanksText(const std::vector<int32_t>& ranks) {
  if (ranks.size() < 2) return absl::StrJoin(ranks, ",");
  const int32_t step = ranks[1] - ranks[0];
  bool is_even = step > 0 && ranks.size() > 2;
  for (size_t i = 1; i < ranks.size(); ++i) is_even = is_even && ranks[i] - ranks[i - 1] == step;
  if (is_even) {
    const std::string range = absl::StrCat(ranks.front(), "-", ranks.back());
    return step == 1 ? range : absl::StrCat(range, "/", step);
  }
  std::string text = absl::StrJoin(ranks, ",");
  if (text.size() <= kMaxRanksText) return text;
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return absl::StrCat(text.substr(0, 16), "...", absl::Hex(hash, absl::kZeroPad16));
}

}  // namespace mfutrace::report
