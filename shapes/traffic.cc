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

}  // namespace

std::optional<uint64_t> LeastBytes(const Gemm& gemm) {
  if (!HasWidth(gemm.a) || !HasWidth(gemm.b) || !HasWidth(gemm.d)) return std::nullopt;
  const bool reads_c = gemm.beta == BetaUse::kNonzero;
  if (reads_c && !HasWidth(gemm.c)) return std::nullopt;
  if (gemm.m == 0 || gemm.n == 0 || gemm.batch == 0) return 0;
  const uint64_t a_matrices = gemm.a_is_broadcast ? 1 : gemm.batch;
  const uint64_t b_matrices = gemm.b_is_broadcast ? 1 : gemm.batch;
  const uint64_t outputs = Product(gemm.batch, gemm.m, gemm.n);
  return Sum(OperandBytes(Product(a_matrices, gemm.m, gemm.k), gemm.a),
             OperandBytes(Product(b_matrices, gemm.k, gemm.n), gemm.b),
             OperandBytes(outputs, gemm.d), reads_c ? OperandBytes(outputs, gemm.c) : 0);
}

std::optional<uint64_t> LeastBytes(const Attention& attention) {
  if (!HasWidth(attention.dtype)) return std::nullopt;
  const Dtype dtype = attention.dtype;
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
  if (!HasWidth(convolution.dtype)) return std::nullopt;
  if (convolution.groups == 0) return 0;
  const auto volume = [](const std::array<uint64_t, 3>& sizes) {
    return Product(sizes[0], sizes[1], sizes[2]);
  };
  const uint64_t x = Product(convolution.batch, convolution.c_in, volume(convolution.in));
  const uint64_t y = Product(convolution.batch, convolution.c_out, volume(convolution.out));
  const uint64_t w =
      Product(convolution.c_out, convolution.c_in / convolution.groups, volume(convolution.filter));
  if (x == 0 || y == 0) return 0;
  return Sum(OperandBytes(x, convolution.dtype), OperandBytes(w, convolution.dtype),
             OperandBytes(y, convolution.dtype));
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
