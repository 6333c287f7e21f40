// Attention of a graph: one node or, as cudnn-frontend composes it, matrix products joined by a
// softmax: two forward, five backward. The composed forms are those of cudnn-frontend 1.23
// (node/scaled_dot_product_flash_attention.h). See cudnn_decoder.h.
#include "interpose/cudnn_decoder.h"
#include "interpose/cudnn_mask.h"

namespace mfutrace::interpose {

using namespace cudnn_dims;
using shapes::Dtype;
using shapes::Provenance;

void CudnnDecoder::Lengths(CudnnLengths* lengths, const CudnnTensor* sizes,
                           const CudnnTensor& operand, uint32_t token_position) const {
  if (sizes != nullptr) {
    lengths->is_set = true;
    lengths->is_offsets = false;
    lengths->uid = sizes->uid;
    lengths->is_wide = sizes->dtype == Dtype::kI64;
  } else if (operand.is_ragged && !lengths->is_set) {
    const int offsets = graph_.IndexOf(operand.ragged_uid);
    lengths->is_set = true;
    lengths->is_offsets = true;
    lengths->uid = operand.ragged_uid;
    lengths->is_wide = offsets >= 0 && graph_.tensors[offsets].dtype == Dtype::kI64;
    lengths->divisor = token_position < operand.rank ? Size(operand.strides[token_position]) : 0;
  }
}

bool CudnnDecoder::UnifiedAttention(uint32_t number) {
  const CudnnNode& node = graph_.nodes[number];
  const CudnnTensor* q = graph_.At(number, CudnnPort::kQ);
  const CudnnTensor* k = graph_.At(number, CudnnPort::kK);
  const CudnnTensor* v = graph_.At(number, CudnnPort::kV);
  if (q == nullptr || k == nullptr || v == nullptr) return false;
  if (q->rank != 4 || k->rank != 4 || v->rank != 4) return false;
  const CudnnTensor* pages = graph_.At(number, CudnnPort::kPageTableK);
  CudnnOperation* operation = Add(Kind::kAttention);
  shapes::Attention& attention = operation->attention;
  attention.pass =
      node.op == CudnnOp::kSdpaForward ? shapes::Pass::kForward : shapes::Pass::kBackward;
  attention.batch = Size(q->dims[0]);
  attention.heads_q = Size(q->dims[1]);
  attention.heads_kv = Size(k->dims[1]);
  attention.seq_q = Size(q->dims[2]);
  attention.head_dim_qk = Size(q->dims[3]);
  // Keys come as they are stored, or transposed for the product; V likewise.
  const bool k_is_transposed = k->dims[3] != q->dims[3];
  const uint64_t key_rows = Size(k->dims[k_is_transposed ? 3 : 2]);
  const bool v_is_transposed = Size(v->dims[2]) != key_rows && Size(v->dims[3]) == key_rows;
  attention.head_dim_v = Size(v->dims[v_is_transposed ? 2 : 3]);
  attention.seq_k = key_rows;
  if (pages != nullptr && __builtin_mul_overflow(key_rows, FromEnd(*pages, 1), &attention.seq_k)) {
    attention.seq_k = UINT64_MAX;
  }
  attention.dtype = StoredAs(*q).dtype;
  attention.writes_logsumexp =
      attention.pass == shapes::Pass::kForward && graph_.IndexAt(number, CudnnPort::kStats) >= 0;
  CudnnMask& mask = operation->mask;
  mask.is_unknown = node.has_unknown_key || graph_.IndexAt(number, CudnnPort::kBlockMask) >= 0;
  ReadCudnnMask(graph_, static_cast<int>(number), nullptr, &mask);
  Lengths(&mask.queries, graph_.At(number, CudnnPort::kSeqLenQ), *q, 2);
  Lengths(&mask.keys, graph_.At(number, CudnnPort::kSeqLenK), *k, k_is_transposed ? 3 : 2);
  Finish(operation);
  // How much of the pages is in use is on the device, whether or not lengths are told.
  if (pages != nullptr) operation->provenance = Provenance::kBound;
  return true;
}

// The other four products of a composed backward pass: dP beside S; dV from P; dQ and dK from dS.
bool CudnnDecoder::IsBackward(uint32_t scores, const CudnnGraph::Set& from_scores,
                              uint64_t* head_dim_v) {
  const CudnnTensor& s = *graph_.At(scores, CudnnPort::kMatC);
  const uint64_t head_dim = FromEnd(*graph_.At(scores, CudnnPort::kMatA), 0);
  for (uint32_t i = 0; i < product_count_; ++i) {
    const uint32_t other = products_[i];
    const CudnnTensor* dp = graph_.At(other, CudnnPort::kMatC);
    const CudnnTensor* d_out = graph_.At(other, CudnnPort::kMatA);
    if (other == scores || dp == nullptr || d_out == nullptr || !SameDims(*dp, s)) continue;
    if (from_scores.Has(graph_.IndexAt(other, CudnnPort::kMatA))) continue;
    const CudnnGraph::Set from_dp = graph_.DerivedFrom(graph_.IndexAt(other, CudnnPort::kMatC));
    *head_dim_v = FromEnd(*d_out, 0);
    uint32_t dv = UINT32_MAX, dq = UINT32_MAX, dk = UINT32_MAX;
    for (uint32_t j = 0; j < product_count_; ++j) {
      const uint32_t third = products_[j];
      const int operand = graph_.IndexAt(third, CudnnPort::kMatA);
      const CudnnTensor* c = graph_.At(third, CudnnPort::kMatC);
      if (third == scores || third == other || c == nullptr || !from_scores.Has(operand)) continue;
      const uint64_t rows = FromEnd(*c, 1);
      const uint64_t cols = FromEnd(*c, 0);
      if (!from_dp.Has(operand)) {
        if (rows == FromEnd(s, 0) && cols == *head_dim_v) dv = third;
      } else if (dq == UINT32_MAX && rows == FromEnd(s, 1) && cols == head_dim &&
                 FromEnd(graph_.tensors[operand], 0) == FromEnd(s, 0)) {
        dq = third;
      } else if (rows == FromEnd(s, 0) && cols == head_dim) {
        dk = third;
      }
    }
    if (dv == UINT32_MAX || dq == UINT32_MAX || dk == UINT32_MAX) continue;
    for (const uint32_t taken : {scores, other, dv, dq, dk}) Take(taken);
    return true;
  }
  return false;
}

void CudnnDecoder::ComposedAttention(uint32_t scores) {
  if (IsTaken(scores)) return;
  const CudnnTensor* q = graph_.At(scores, CudnnPort::kMatA);
  const CudnnTensor* k = graph_.At(scores, CudnnPort::kMatB);
  const int result = graph_.IndexAt(scores, CudnnPort::kMatC);
  if (q == nullptr || k == nullptr || result < 0) return;
  const CudnnTensor& s = graph_.tensors[result];
  if (!s.is_virtual || s.rank < 3 || q->rank != s.rank || k->rank != s.rank) return;
  const CudnnGraph::Set from_scores = graph_.DerivedFrom(result);
  // A softmax lies behind it.
  bool has_softmax = false;
  for (uint32_t i = 0; i < graph_.node_count && !has_softmax; ++i) {
    const CudnnNode& node = graph_.nodes[i];
    const bool is_softmax =
        node.op == CudnnOp::kSoftmax ||
        (node.op == CudnnOp::kPointwise && node.pointwise == CudnnPointwise::kExp);
    has_softmax = is_softmax && from_scores.Has(graph_.IndexAt(i, CudnnPort::kX));
  }
  if (!has_softmax) return;
  has_softmax_ = true;  // products that stay alone may be masked by it
  uint64_t head_dim_v = 0;
  shapes::Pass pass = shapes::Pass::kBackward;
  if (!IsBackward(scores, from_scores, &head_dim_v)) {
    pass = shapes::Pass::kForward;
    uint32_t values = UINT32_MAX;
    uint32_t readers = 0;
    for (uint32_t i = 0; i < product_count_; ++i) {
      if (!from_scores.Has(graph_.IndexAt(products_[i], CudnnPort::kMatA))) continue;
      values = products_[i];
      ++readers;
    }
    const CudnnTensor* out = readers == 1 ? graph_.At(values, CudnnPort::kMatC) : nullptr;
    if (out == nullptr || FromEnd(*out, 1) != FromEnd(s, 1)) return;
    head_dim_v = FromEnd(*out, 0);
    Take(scores);
    Take(values);
  }
  CudnnOperation* operation = Add(Kind::kAttention);
  shapes::Attention& attention = operation->attention;
  attention.pass = pass;
  attention.batch = s.rank == 3 ? 1 : ProductBefore(s, 3);
  attention.heads_q = FromEnd(s, 2);
  attention.heads_kv = FromEnd(*k, 2);
  attention.seq_q = FromEnd(s, 1);
  attention.seq_k = FromEnd(s, 0);
  attention.head_dim_qk = FromEnd(*q, 0);
  attention.head_dim_v = head_dim_v;
  attention.dtype = StoredAs(*q).dtype;
  for (uint32_t i = 0; i < graph_.tensor_count && pass == shapes::Pass::kForward; ++i) {
    const CudnnTensor& tensor = graph_.tensors[i];
    attention.writes_logsumexp |= from_scores.Has(static_cast<int>(i)) && !tensor.is_virtual &&
                                  FromEnd(tensor, 0) == 1 && FromEnd(tensor, 1) == FromEnd(s, 1) &&
                                  FromEnd(tensor, 2) == FromEnd(s, 2);
  }
  CudnnMask& mask = operation->mask;
  ReadCudnnMask(graph_, -1, &from_scores, &mask);
  const uint32_t rank = s.rank;
  Lengths(&mask.queries, graph_.At(scores, CudnnPort::kMOverride), StoredAs(*q), rank - 2);
  Lengths(&mask.keys, graph_.At(scores, CudnnPort::kNOverride), StoredAs(*k), rank - 1);
  Finish(operation);
}

}  // namespace mfutrace::interpose
