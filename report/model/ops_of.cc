// The arithmetic of shapes/ put into Ops.
#include "report/model/ops_of.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "shapes/flops.h"
#include "shapes/label.h"
#include "shapes/matrix.h"
#include "shapes/rnn.h"
#include "shapes/saturating.h"
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
  return op;
}

Op OpOf(const shapes::Attention& attention, shapes::Provenance provenance) {
  Op op = Counted(attention, shapes::OpKind::kAttention, provenance);
  op.dtype = std::string(shapes::NameOf(attention.dtype));
  op.flop_full_attention = shapes::FullRectangleFlop(attention);
  op.rate = shapes::RateOf(attention.dtype);
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
  return op;
}

Op OpOf(const shapes::Rnn& rnn, shapes::Provenance provenance) {
  Op op = Counted(rnn, shapes::OpKind::kRnn, provenance);
  op.dtype = std::string(shapes::NameOf(rnn.dtype));
  op.rate = shapes::RateOf(rnn);
  return op;
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

Op OpOf(const std::vector<OpPart>& parts) {
  Op sum;
  if (parts.empty()) return sum;
  sum = parts.front().op;
  sum.label.clear();
  sum.flop_executed = sum.flop_model = sum.flop_full_attention = sum.bytes_least = 0;
  bool is_all_gemm = true;
  uint64_t m = 0;
  uint64_t least[2] = {UINT64_MAX, UINT64_MAX};  // of n and k
  uint64_t most[2] = {0, 0};
  for (const OpPart& part : parts) {
    AddTimes(part.op.flop_executed, part.count, sum.flop_executed);
    AddTimes(part.op.flop_model, part.count, sum.flop_model);
    AddTimes(part.op.flop_full_attention, part.count, sum.flop_full_attention);
    AddTimes(part.op.bytes_least, part.count, sum.bytes_least);
    sum.provenance = std::max(sum.provenance, part.op.provenance);
    if (part.op.rate != sum.rate) sum.rate.reset();
    if (part.op.kind != sum.kind) sum.kind = shapes::OpKind::kOpaque;
    if (part.op.dtype != sum.dtype) sum.dtype.clear();
    is_all_gemm = is_all_gemm && part.gemm.has_value();
    if (!part.gemm) continue;
    m = shapes::Sum(m, shapes::Product(part.gemm->m, part.count));
    const uint64_t shared[2] = {part.gemm->n, part.gemm->k};
    for (int i = 0; i < 2; ++i) {
      least[i] = std::min(least[i], shared[i]);
      most[i] = std::max(most[i], shared[i]);
    }
  }
  if (!is_all_gemm) return sum;
  const auto range = [](uint64_t low, uint64_t high) {
    return low == high ? absl::StrCat(low) : absl::StrCat(low, "-", high);
  };
  sum.label = absl::StrCat("grouped gemm ", sum.dtype, " ", parts.size(),
                           parts.size() == 1 ? " group, " : " groups, ", m, "x",
                           range(least[0], most[0]), "x", range(least[1], most[1]));
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
