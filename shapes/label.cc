// Builds labels into the fixed array of Label: no allocation, and every number by integer
// arithmetic, so that all ranks get the same text.
#include "shapes/label.h"

#include "shapes/label_text.h"
#include "shapes/saturating.h"
#include "shapes/traffic.h"

namespace mfutrace::shapes {

std::string_view SuffixOf(MathMode math) {
  switch (math) {
    case MathMode::kTf32:
      return "(tf32)";
    case MathMode::kReducedF16:
      return "(f16)";
    case MathMode::kReducedBf16:
      return "(bf16)";
    case MathMode::kEmulatedBf16x9:
      return "(bf16x9)";
    case MathMode::kEmulatedFixedPoint:
      return "(fixed)";
    case MathMode::kPedantic:
      return "(pedantic)";
    case MathMode::kDefault:
      break;
  }
  return "";
}

namespace {

// The names that recipes go by; scalars are what FP8 has anyway.
std::string_view ScaleSuffix(const Gemm& gemm) {
  switch (gemm.scale_a) {
    case ScaleMode::kVec16Ue4m3:
      return gemm.a == Dtype::kF4E2M1 ? "(nvfp4)" : "(vec16)";
    case ScaleMode::kVec32Ue8m0:
      return gemm.a == Dtype::kF4E2M1                               ? "(mxfp4)"
             : gemm.a == Dtype::kF6E2M3 || gemm.a == Dtype::kF6E3M2 ? "(mxfp6)"
                                                                    : "(mxfp8)";
    case ScaleMode::kOuterVec:
      return "(rowwise)";
    case ScaleMode::kVec128:
    case ScaleMode::kBlock128x128:
      return "(block128)";
    case ScaleMode::kNone:
    case ScaleMode::kScalar:
    case ScaleMode::kPerBatchScalar:
      return "";
    case ScaleMode::kUnknown:
      break;
  }
  return "(scale?)";
}

std::string_view MathSuffix(const Gemm& gemm) {
  if (gemm.math != MathMode::kDefault) return SuffixOf(gemm.math);
  if (gemm.scale_a != ScaleMode::kNone) return ScaleSuffix(gemm);
  const bool is_f16 = gemm.a == Dtype::kF16 || gemm.a == Dtype::kC16F16;
  return is_f16 && gemm.accumulate == Dtype::kF16 ? "(acc16)" : "";
}

std::string_view Letter(Transpose op) {
  switch (op) {
    case Transpose::kNo:
      return "N";
    case Transpose::kYes:
      return "T";
    case Transpose::kConjugate:
      return "C";
    case Transpose::kUnknown:
      break;
  }
  return "";
}

}  // namespace

void PutMask(Text& text, const Attention& attention) {
  switch (attention.mask) {
    case Mask::kUnknown:
      text.Put(" mask?");
      return;
    case Mask::kNone:
      text.Put(" full");
      break;
    case Mask::kWindowTopLeft:
      text.Put(" band-tl");
      break;
    // On a square both alignments are one mask; elsewhere the label says which.
    case Mask::kCausalTopLeft:
      text.Put(attention.seq_q == attention.seq_k ? " causal" : " causal-tl");
      break;
    case Mask::kCausalBottomRight:
      text.Put(attention.seq_q == attention.seq_k ? " causal" : " causal-br");
      break;
  }
  const bool may_look_ahead =
      attention.mask == Mask::kNone || attention.mask == Mask::kWindowTopLeft;
  const bool has_right_window = may_look_ahead && attention.window_right >= 0;
  if (attention.window_left < 0 && !has_right_window) return;
  const auto limit = [&text](int64_t keys) {
    if (keys < 0) {
      text.Put("inf");
    } else {
      text.Put(static_cast<uint64_t>(keys));
    }
  };
  text.Put(" w");
  limit(attention.window_left);
  if (!may_look_ahead) return;
  text.Put("/");
  limit(attention.window_right);
}

namespace {

// "64x56x56": channels, then the dimensions that are in use.
void PutMap(Text& text, uint64_t channels, const std::array<uint64_t, 3>& sizes,
            const std::array<bool, 3>& is_used) {
  text.Put(channels);
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (is_used[i]) text.Put("x").Put(sizes[i]);
  }
}

}  // namespace

Label LabelOf(const Gemm& gemm) {
  Text text;
  text.Put("gemm ").Put(NameOf(gemm.a));
  if (gemm.b != gemm.a) text.Put("*").Put(NameOf(gemm.b));
  text.Put(MathSuffix(gemm));
  if (gemm.d != gemm.a && gemm.d != Dtype::kUnknown) text.Put(">").Put(NameOf(gemm.d));
  text.Put(" ").Put(gemm.m).Put("x").Put(gemm.n).Put("x").Put(gemm.k);
  if (gemm.batch != 1) text.Put(" b").Put(gemm.batch);
  if (gemm.op_a != Transpose::kUnknown && gemm.op_b != Transpose::kUnknown) {
    text.Put(" ").Put(Letter(gemm.op_a)).Put(Letter(gemm.op_b));
  }
  if (gemm.gauss_3m) text.Put(" 3m");
  return text.label();
}

Label LabelOf(const Attention& attention) {
  Text text;
  text.Put(attention.pass == Pass::kForward ? "sdpa " : "sdpa bwd ").Put(NameOf(attention.dtype));
  text.Put(" b").Put(attention.batch);
  text.Put(" h").PutPair(attention.heads_q, attention.heads_kv);
  text.Put(" s").PutPair(attention.seq_q, attention.seq_k);
  text.Put(" d").PutPair(attention.head_dim_qk, attention.head_dim_v);
  PutMask(text, attention);
  return text.label();
}

Label LabelOf(const Convolution& convolution) {
  constexpr std::string_view kDirections[] = {"fwd ", "dgrad ", "wgrad "};
  const size_t direction = static_cast<size_t>(convolution.direction);
  std::array<bool, 3> is_used = {};
  for (size_t i = 0; i < is_used.size(); ++i) {
    is_used[i] = convolution.in[i] != 1 || convolution.filter[i] != 1 || convolution.out[i] != 1;
  }
  Text text;
  text.Put(convolution.is_transposed ? "convt " : "conv ");
  text.Put(direction < std::size(kDirections) ? kDirections[direction] : std::string_view("? "));
  text.Put(NameOf(convolution.dtype)).Put(" b").Put(convolution.batch).Put(" ");
  PutMap(text, convolution.c_in, convolution.in, is_used);
  text.Put(" > ");
  PutMap(text, convolution.c_out, convolution.out, is_used);
  text.Put(" f");
  bool is_first = true;
  for (size_t i = 0; i < is_used.size(); ++i) {
    if (!is_used[i]) continue;
    if (!is_first) text.Put("x");
    text.Put(convolution.filter[i]);
    is_first = false;
  }
  if (is_first) text.Put("1");
  if (convolution.groups != 1) text.Put(" g").Put(convolution.groups);
  return text.label();
}

Label LabelOf(const Collective& collective) {
  Text text;
  text.Put(NameOf(collective.kind)).Put(" ").Put(NameOf(collective.dtype)).Put(" ");
  const std::optional<uint64_t> bytes = AlgorithmBytes(collective);
  if (bytes.has_value()) {
    const Label size = HumanBytes(*bytes);
    text.Put(size.text());
  } else {
    text.Put("count ").Put(collective.count);
  }
  return text.label();
}

std::string_view NameOf(OpKind kind) {
  switch (kind) {
    case OpKind::kOpaque:
      return "opaque";
    case OpKind::kGemm:
      return "gemm";
    case OpKind::kAttention:
      return "attention";
    case OpKind::kConvolution:
      return "convolution";
    case OpKind::kRnn:
      return "rnn";
    case OpKind::kCollective:
      return "collective";
    case OpKind::kMatrix:
      return "matrix";
  }
  return "unknown";
}

std::string_view NameOf(Provenance provenance) {
  switch (provenance) {
    case Provenance::kExact:
      return "exact";
    case Provenance::kLauncher:
      return "launcher";
    case Provenance::kKernel:
      return "kernel";
    case Provenance::kBound:
      return "bound";
    case Provenance::kNone:
      return "none";
  }
  return "unknown";
}

std::string_view NameOf(CollectiveKind kind) {
  switch (kind) {
    case CollectiveKind::kUnknown:
      return "collective";
    case CollectiveKind::kAllReduce:
      return "allreduce";
    case CollectiveKind::kAllGather:
      return "allgather";
    case CollectiveKind::kReduceScatter:
      return "reducescatter";
    case CollectiveKind::kBroadcast:
      return "broadcast";
    case CollectiveKind::kReduce:
      return "reduce";
    case CollectiveKind::kSend:
      return "send";
    case CollectiveKind::kRecv:
      return "recv";
    case CollectiveKind::kAllToAll:
      return "alltoall";
    case CollectiveKind::kGather:
      return "gather";
    case CollectiveKind::kScatter:
      return "scatter";
  }
  return "unknown";
}

Label HumanBytes(uint64_t bytes) {
  constexpr std::string_view kUnits[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
  // Tenths of a unit, rounded half up; 1023.96 KiB is 1 MiB, not 1024 KiB.
  size_t unit = 0;
  Wide tenths = static_cast<Wide>(bytes) * 10;
  while (tenths >= 10240 && unit + 1 < std::size(kUnits)) {
    ++unit;
    const Wide scale = static_cast<Wide>(1) << (10 * unit);
    tenths = (static_cast<Wide>(bytes) * 10 + scale / 2) / scale;
  }
  Text text;
  text.Put(static_cast<uint64_t>(tenths / 10));
  if (tenths % 10 != 0) text.Put(".").Put(static_cast<uint64_t>(tenths % 10));
  text.Put(kUnits[unit]);
  return text.label();
}

}  // namespace mfutrace::shapes
