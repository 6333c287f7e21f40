// The arithmetic of shapes/ put into Ops.
#include "report/model/ops_of.h"

#include <string_view>

#include "absl/strings/str_split.h"
#include "shapes/flops.h"
#include "shapes/label.h"
#include "shapes/matrix.h"
#include "shapes/rnn.h"
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
  op.algorithm_bytes = shapes::AlgorithmBytes(collective);
  op.bus_bytes = shapes::BusBytes(collective);
  return op;
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
