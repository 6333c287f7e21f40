// The arithmetic of shapes/ put into Ops.
#include "report/model/ops_of.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "shapes/flops.h"
#include "shapes/label.h"
#include "shapes/matrix.h"
#include "shapes/rnn.h"
#include "shapes/saturating.h"
#include "shapes/sequences.h"
#include "shapes/traffic.h"

namespace mfutrace::report {
namespace {

template <typename Shape>
Op Labelled(const Shape& shape, shapes::OpKind kind, shapes::Provenance provenance) {
  Op op;
  op.label = std::string(shapes::LabelOf(shape).text());
  op.kind = kind;
  op.provenance = provenance;
  return op;
}

template <typename Shape>
Op Counted(const Shape& shape, shapes::OpKind kind, shapes::Provenance provenance) {
  Op op = Labelled(shape, kind, provenance);
  op.flop_executed = shapes::ExecutedFlop(shape);
  op.flop_model = shapes::ModelFlop(shape);
  op.flop_full_attention = op.flop_executed;
  op.bytes_least = shapes::LeastBytes(shape);
  return op;
}

Op Unknown(Op op) {
  op.flop_executed = op.flop_model = op.flop_full_attention = std::nullopt;
  op.provenance = shapes::Provenance::kNone;
  return op;
}

// The mask's own doubt on top of how its lengths are known.
shapes::Provenance WithMask(shapes::Provenance provenance, shapes::Mask mask) {
  return mask == shapes::Mask::kUnknown ? std::max(provenance, shapes::Provenance::kBound)
                                        : provenance;
}

bool NeedsSide(shapes::MatrixRoutine routine) {
  return routine == shapes::MatrixRoutine::kSymm || routine == shapes::MatrixRoutine::kHemm ||
         routine == shapes::MatrixRoutine::kTrmm || routine == shapes::MatrixRoutine::kTrsm;
}

void AddTimes(const std::optional<uint64_t>& figure, uint64_t count, std::optional<uint64_t>& sum) {
  if (!figure) sum.reset();
  if (sum) *sum = shapes::Sum(*sum, shapes::Product(*figure, count));
}

}  // namespace

Op OpOf(const shapes::Gemm& gemm, shapes::Provenance provenance) {
  Op op = Counted(gemm, shapes::OpKind::kGemm, provenance);
  op.dtype = std::string(shapes::NameOf(gemm.a));
  if (gemm.b != gemm.a) op.dtype += "," + std::string(shapes::NameOf(gemm.b));
  op.rate = shapes::RateOf(gemm);
  OpDetail detail;
  detail.gemm = gemm;
  op.detail = std::make_shared<const OpDetail>(std::move(detail));
  return op;
}

Op OpOf(const shapes::Attention& attention, shapes::Provenance provenance) {
  Op op = Counted(attention, shapes::OpKind::kAttention, WithMask(provenance, attention.mask));
  op.dtype = std::string(shapes::NameOf(attention.dtype));
  op.flop_full_attention = shapes::FullRectangleFlop(attention);
  op.rate = shapes::RateOf(attention.dtype);
  OpDetail detail;
  detail.attention = attention;
  detail.lengths_are_bounds =
      provenance >= shapes::Provenance::kBound && attention.mask != shapes::Mask::kUnknown;
  op.detail = std::make_shared<const OpDetail>(std::move(detail));
  return op;
}

Op OpOf(const shapes::Attention& attention, std::span<const shapes::SequenceRun> runs,
        shapes::Provenance provenance) {
  Op op;
  op.label = std::string(shapes::LabelOf(attention, runs).text());
  op.kind = shapes::OpKind::kAttention;
  op.provenance = WithMask(provenance, attention.mask);
  op.dtype = std::string(shapes::NameOf(attention.dtype));
  op.flop_executed = shapes::ExecutedFlop(attention, runs);
  op.flop_model = shapes::ModelFlop(attention, runs);
  op.flop_full_attention = shapes::FullRectangleFlop(attention, runs);
  op.bytes_least = shapes::LeastBytes(attention, runs);
  op.rate = shapes::RateOf(attention.dtype);
  OpDetail detail;
  detail.attention = attention;
  detail.lengths.assign(runs.begin(), runs.end());
  op.detail = std::make_shared<const OpDetail>(std::move(detail));
  return op;
}

Op OpOf(const shapes::Convolution& convolution, shapes::Provenance provenance) {
  Op op = Counted(convolution, shapes::OpKind::kConvolution, provenance);
  op.dtype = std::string(shapes::NameOf(convolution.dtype));
  op.rate = shapes::RateOf(convolution.dtype);
  return op;
}

Op OpOf(const shapes::Matrix& matrix, shapes::Provenance provenance) {
  Op op = Counted(matrix, shapes::OpKind::kMatrix, provenance);
  op.dtype = std::string(shapes::NameOf(matrix.dtype));
  op.rate = shapes::RateOf(matrix);
  const bool is_known =
      shapes::NameOf(matrix.routine) != shapes::NameOf(shapes::MatrixRoutine::kUnknown) &&
      !(NeedsSide(matrix.routine) && matrix.side != shapes::Side::kLeft &&
        matrix.side != shapes::Side::kRight);
  return is_known ? op : Unknown(std::move(op));
}

Op OpOf(const shapes::Rnn& rnn, shapes::Provenance provenance) {
  Op op = Counted(rnn, shapes::OpKind::kRnn, provenance);
  op.dtype = std::string(shapes::NameOf(rnn.dtype));
  op.rate = shapes::RateOf(rnn);
  const bool is_known = shapes::NameOf(rnn.cell) != shapes::NameOf(shapes::RnnCell::kUnknown);
  return is_known ? op : Unknown(std::move(op));
}

Op OpOf(const shapes::Collective& collective, shapes::Provenance provenance) {
  Op op = Labelled(collective, shapes::OpKind::kCollective, provenance);
  op.dtype = std::string(shapes::NameOf(collective.dtype));
  op.collective = collective.kind;
  op.peer = collective.peer;
  op.algorithm_bytes = shapes::AlgorithmBytes(collective);
  op.bus_bytes = shapes::BusBytes(collective);
  return op;
}

namespace {

// "grouped gemm bf16 8 groups, 4096x512x1024"; empty unless all parts are products.
std::string GroupedLabel(const std::vector<OpPart>& parts, const std::string& dtype) {
  uint64_t m = 0;
  uint64_t least[2] = {UINT64_MAX, UINT64_MAX};  // of n and k
  uint64_t most[2] = {0, 0};
  for (const OpPart& part : parts) {
    if (!part.gemm) return "";
    m = shapes::Sum(m, shapes::Product(part.gemm->m, part.count));
    const uint64_t shared[2] = {part.gemm->n, part.gemm->k};
    for (int i = 0; i < 2; ++i) {
      least[i] = std::min(least[i], shared[i]);
      most[i] = std::max(most[i], shared[i]);
    }
  }
  const auto range = [](uint64_t low, uint64_t high) {
    return low == high ? absl::StrCat(low) : absl::StrCat(low, "-", high);
  };
  return absl::StrCat("grouped gemm ", dtype, " ", parts.size(),
                      parts.size() == 1 ? " group, " : " groups, ", m, "x",
                      range(least[0], most[0]), "x", range(least[1], most[1]));
}

std::string JoinedLabel(const std::vector<OpPart>& parts) {
  constexpr size_t kMaxNamed = 3;
  const size_t named = parts.size() <= kMaxNamed + 1 ? parts.size() : kMaxNamed;
  std::string label;
  for (size_t i = 0; i < named; ++i) {
    absl::StrAppend(&label, i == 0 ? "" : " + ", parts[i].op.label);
    if (parts[i].count != 1) absl::StrAppend(&label, " x", parts[i].count);
  }
  if (named < parts.size()) absl::StrAppend(&label, " + ", parts.size() - named, " more");
  return label;
}

}  // namespace

Op OpOf(const std::vector<OpPart>& parts) {
  Op sum;
  if (parts.empty()) return sum;
  sum.provenance = shapes::Provenance::kExact;
  sum.flop_executed = sum.flop_model = sum.flop_full_attention = sum.bytes_least = 0;
  const Op* most = nullptr;  // part with most FLOPs
  uint64_t most_flop = 0;
  bool is_one_kind = true;
  bool is_one_dtype = true;
  bool is_one_rate = true;
  for (const OpPart& part : parts) {
    AddTimes(part.op.flop_executed, part.count, sum.flop_executed);
    AddTimes(part.op.flop_model, part.count, sum.flop_model);
    AddTimes(part.op.flop_full_attention, part.count, sum.flop_full_attention);
    AddTimes(part.op.bytes_least, part.count, sum.bytes_least);
    sum.provenance = std::max(sum.provenance, part.op.provenance);
    is_one_kind = is_one_kind && part.op.kind == parts.front().op.kind;
    const uint64_t flop = shapes::Product(part.op.flop_executed.value_or(0), part.count);
    if (most != nullptr && flop > 0 && most_flop > 0) {
      is_one_dtype = is_one_dtype && part.op.dtype == most->dtype;
      is_one_rate = is_one_rate && part.op.rate == most->rate;
    }
    if (most == nullptr || flop > most_flop) {
      most = &part.op;
      most_flop = flop;
    }
  }
  sum.kind = (is_one_kind || sum.flop_executed) ? most->kind : shapes::OpKind::kOpaque;
  if (is_one_dtype) sum.dtype = most->dtype;
  if (is_one_rate) sum.rate = most->rate;
  OpDetail detail;
  for (const OpPart& part : parts) detail.parts.push_back({part.op.detail, part.count});
  sum.detail = std::make_shared<const OpDetail>(std::move(detail));
  sum.label = GroupedLabel(parts, sum.dtype);
  if (sum.label.empty()) sum.label = JoinedLabel(parts);
  return sum;
}

std::string CommandTitle(absl::string_view arguments) {
  constexpr size_t kMaxChars = 60;
  std::string title;
  for (absl::string_view word : absl::StrSplit(arguments, '\0', absl::SkipEmpty())) {
    if (title.empty()) {
      const size_t slash = word.rfind('/');
      if (slash != absl::string_view::npos) word.remove_prefix(slash + 1);
    } else {
      title += ' ';
    }
    title.append(word.data(), word.size());
    if (title.size() > kMaxChars) {
      title.resize(kMaxChars - 3);
      return title + "...";
    }
  }
  return title;
}

}  // namespace mfutrace::report
