// Least bytes of an operation, and the sizes and bus factors of nccl-tests (its doc/PERFORMANCE.md
// and, for Gather, Scatter and SendRecv, its source).
#include "shapes/traffic.h"

#include "shapes/saturating.h"

namespace mfutrace::shapes {
namespace {

// Bytes of one operand; unknown formats have no width, and a width is never assumed.
uint64_t OperandBytes(uint64_t elements, Dtype dtype) {
  return Saturate((static_cast<Wide>(elements) * BitsOf(dtype) + 7) / 8);
}

bool HasWidth(Dtype dtype) { return BitsOf(dtype) != 0; }

// Elements of the whole buffer as nccl-tests counts them; nullopt if it cannot be known.
std::optional<uint64_t> WholeCount(const Collective& collective) {
  switch (collective.kind) {
    case CollectiveKind::kAllReduce:
    case CollectiveKind::kBroadcast:
    case CollectiveKind::kReduce:
    case CollectiveKind::kSend:
    case CollectiveKind::kRecv:
      return collective.count;
    case CollectiveKind::kAllGather:
    case CollectiveKind::kReduceScatter:
    case CollectiveKind::kAllToAll:
    case CollectiveKind::kGather:
    case CollectiveKind::kScatter:
      if (collective.rank_count == 0) return std::nullopt;
      return Product(collective.count, collective.rank_count);
    case CollectiveKind::kUnknown:
      break;
  }
  return std::nullopt;
}

uint64_t CeilDiv(uint64_t value, uint64_t by) { return value / by + (value % by != 0 ? 1 : 0); }

// `matrices` of rows x inner, scaled along `inner`, in a batch of `batch`.
std::optional<uint64_t> ScaleBytesOf(ScaleMode mode, uint64_t rows, uint64_t inner,
                                     uint64_t matrices, uint64_t batch) {
  switch (mode) {
    case ScaleMode::kNone:
      return 0;
    case ScaleMode::kScalar:
      return 4;
    case ScaleMode::kPerBatchScalar:
      return Product(4, batch);
    case ScaleMode::kVec16Ue4m3:
      return Product(matrices, rows, CeilDiv(inner, 16));
    case ScaleMode::kVec32Ue8m0:
      return Product(matrices, rows, CeilDiv(inner, 32));
    case ScaleMode::kVec128:
      return Product(4, matrices, rows, CeilDiv(inner, 128));
    case ScaleMode::kOuterVec:
      return Product(4, matrices, rows);
    case ScaleMode::kBlock128x128:
      return Product(4, matrices, CeilDiv(rows, 128), CeilDiv(inner, 128));
    case ScaleMode::kUnknown:
      break;
  }
  return std::nullopt;
}

constexpr uint16_t kBiasGradientOfB = 512;  // cublasLtEpilogue_t: CUBLASLT_EPILOGUE_BGRADB

}  // namespace

std::optional<uint64_t> ScaleBytes(const Gemm& gemm) {
  const uint64_t a_matrices = gemm.a_is_broadcast ? 1 : gemm.batch;
  const uint64_t b_matrices = gemm.b_is_broadcast ? 1 : gemm.batch;
  const std::optional<uint64_t> a =
      ScaleBytesOf(gemm.scale_a, gemm.m, gemm.k, a_matrices, gemm.batch);
  const std::optional<uint64_t> b =
      ScaleBytesOf(gemm.scale_b, gemm.n, gemm.k, b_matrices, gemm.batch);
  const std::optional<uint64_t> d =
      ScaleBytesOf(gemm.scale_d, gemm.n, gemm.m, gemm.batch, gemm.batch);
  if (!a.has_value() || !b.has_value() || !d.has_value()) return std::nullopt;
  return Sum(*a, *b, *d);
}

uint64_t EpilogueBytes(const Gemm& gemm) {
  const bool is_bias_of_columns = gemm.bias_is_along_n || (gemm.epilogue & kBiasGradientOfB) != 0;
  const uint64_t bias = OperandBytes(is_bias_of_columns ? gemm.n : gemm.m, gemm.bias);
  const uint64_t column =
      gemm.aux == Dtype::kBool ? CeilDiv(gemm.m, 8) : OperandBytes(gemm.m, gemm.aux);
  return Sum(bias, Product(gemm.batch, gemm.n, column));
}

std::optional<uint64_t> LeastBytes(const Gemm& gemm) {
  if (!HasWidth(gemm.a) || !HasWidth(gemm.b) || !HasWidth(gemm.d)) return std::nullopt;
  const bool reads_c = gemm.beta == BetaUse::kNonzero;
  if (reads_c && !HasWidth(gemm.c)) return std::nullopt;
  const std::optional<uint64_t> scales = ScaleBytes(gemm);
  if (!scales.has_value()) return std::nullopt;
  if (gemm.m == 0 || gemm.n == 0 || gemm.batch == 0) return 0;
  const uint64_t a_matrices = gemm.a_is_broadcast ? 1 : gemm.batch;
  const uint64_t b_matrices = gemm.b_is_broadcast ? 1 : gemm.batch;
  const uint64_t outputs = Product(gemm.batch, gemm.m, gemm.n);
  return Sum(OperandBytes(Product(a_matrices, gemm.m, gemm.k), gemm.a),
             OperandBytes(Product(b_matrices, gemm.k, gemm.n), gemm.b),
             OperandBytes(outputs, gemm.d), reads_c ? OperandBytes(outputs, gemm.c) : 0, *scales,
             EpilogueBytes(gemm));
}

std::optional<uint64_t> LeastBytes(const Attention& attention) {
  const Dtype dtype = StoredAs(attention.dtype);
  if (!HasWidth(dtype)) return std::nullopt;
  const uint64_t q_rows = Product(attention.batch, attention.heads_q, attention.seq_q);
  const uint64_t kv_rows = Product(attention.batch, attention.heads_kv, attention.seq_k);
  const uint64_t q = OperandBytes(Product(q_rows, attention.head_dim_qk), dtype);
  const uint64_t k = OperandBytes(Product(kv_rows, attention.head_dim_qk), dtype);
  const uint64_t v =
      attention.v_is_view_of_k ? 0 : OperandBytes(Product(kv_rows, attention.head_dim_v), dtype);
  const uint64_t o = OperandBytes(Product(q_rows, attention.head_dim_v), dtype);
  const uint64_t logsumexp = OperandBytes(q_rows, Dtype::kF32);
  if (attention.pass == Pass::kForward) {
    return Sum(q, k, v, o, attention.writes_logsumexp ? logsumexp : 0);
  }
  // Reads q, k, v, o, do, logsumexp; writes dq, dk, dv.
  return Sum(Product(2, q), Product(2, k), Product(2, v), Product(2, o), logsumexp);
}

std::optional<uint64_t> LeastBytes(const Convolution& convolution) {
  const Dtype dtype = StoredAs(convolution.dtype);
  if (!HasWidth(dtype)) return std::nullopt;
  if (convolution.groups == 0) return 0;
  const auto volume = [](const std::array<uint64_t, 3>& sizes) {
    return Product(sizes[0], sizes[1], sizes[2]);
  };
  const uint64_t x = Product(convolution.batch, convolution.c_in, volume(convolution.in));
  const uint64_t y = Product(convolution.batch, convolution.c_out, volume(convolution.out));
  const uint64_t w =
      Product(convolution.c_out, convolution.c_in / convolution.groups, volume(convolution.filter));
  if (x == 0 || y == 0) return 0;
  return Sum(OperandBytes(x, dtype), OperandBytes(w, dtype), OperandBytes(y, dtype));
}

std::optional<uint64_t> AlgorithmBytes(const Collective& collective) {
  if (!HasWidth(collective.dtype)) return std::nullopt;
  const std::optional<uint64_t> count = WholeCount(collective);
  if (!count.has_value()) return std::nullopt;
  return OperandBytes(*count, collective.dtype);
}

std::optional<uint64_t> BusBytes(const Collective& collective) {
  const std::optional<uint64_t> bytes = AlgorithmBytes(collective);
  if (!bytes.has_value()) return std::nullopt;
  uint64_t factor = 1;
  switch (collective.kind) {
    case CollectiveKind::kAllReduce:
      factor = 2;
      break;
    case CollectiveKind::kAllGather:
    case CollectiveKind::kReduceScatter:
    case CollectiveKind::kAllToAll:
    case CollectiveKind::kGather:
    case CollectiveKind::kScatter:
      break;
    default:
      return bytes;
  }
  if (collective.rank_count == 0) return std::nullopt;
  return Saturate(static_cast<Wide>(*bytes) * factor * (collective.rank_count - 1) /
                  collective.rank_count);
}

std::optional<uint64_t> ReductionAdds(const Collective& collective) {
  switch (collective.kind) {
    case CollectiveKind::kUnknown:
      return std::nullopt;
    case CollectiveKind::kAllReduce:
    case CollectiveKind::kReduceScatter:
    case CollectiveKind::kReduce: {
      const std::optional<uint64_t> count = WholeCount(collective);
      if (!count.has_value() || collective.rank_count == 0) return std::nullopt;
      return Product(*count, collective.rank_count - 1);
    }
    default:
      return 0;
  }
}

}  // namespace mfutrace::shapes
