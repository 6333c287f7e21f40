// See cudnn_work.h. Attention arrives either as one node or, as cudnn-frontend composes it, as
// matrix products joined by a softmax: two forward, five backward. The composed forms are those of
// cudnn-frontend 1.23 (node/scaled_dot_product_flash_attention.h).
#include "interpose/cudnn_work.h"

#include <cstring>

#include "interpose/cudnn_mask.h"
#include "interpose/cudnn_names.h"

namespace mfutrace::interpose {
namespace {

using shapes::Dtype;
using shapes::Provenance;
using Kind = CudnnOperation::Kind;

constexpr uint32_t kMaxProducts = 16;

uint64_t Size(int64_t dim) { return dim > 0 ? static_cast<uint64_t>(dim) : 0; }

// A dimension counted from the last one, which is 0; missing leading ones are 1.
uint64_t FromEnd(const CudnnTensor& tensor, uint32_t position) {
  return position < tensor.rank ? Size(tensor.dims[tensor.rank - 1 - position]) : 1;
}

uint64_t ProductBefore(const CudnnTensor& tensor, uint32_t position) {
  uint64_t product = 1;
  for (uint32_t i = position; i < tensor.rank; ++i) {
    if (__builtin_mul_overflow(product, FromEnd(tensor, i), &product)) return UINT64_MAX;
  }
  return product;
}

bool SameDims(const CudnnTensor& a, const CudnnTensor& b) {
  return a.rank == b.rank && std::memcmp(a.dims, b.dims, sizeof(a.dims[0]) * a.rank) == 0;
}

// Where an operand's numbers are stored: behind a dequantisation, a reshape or a page table.
const CudnnTensor& StoredAs(const CudnnGraph& graph, const CudnnTensor& operand) {
  const CudnnTensor* tensor = &operand;
  for (int hop = 0; hop < 4 && tensor->is_virtual && tensor->producer >= 0; ++hop) {
    const auto producer = static_cast<uint32_t>(tensor->producer);
    const CudnnNode& node = graph.nodes[producer];
    const bool keeps_numbers = node.op == CudnnOp::kDequantize || node.op == CudnnOp::kReshape ||
                               node.op == CudnnOp::kPagedLoad ||
                               (node.op == CudnnOp::kPointwise &&
                                node.pointwise == CudnnPointwise::kIdentity && !node.is_scaled);
    const CudnnTensor* source = keeps_numbers ? graph.At(producer, CudnnPort::kX) : nullptr;
    if (source == nullptr) break;
    tensor = source;
  }
  return *tensor;
}

class Decoder {
 public:
  Decoder(const CudnnGraph& graph, CudnnWork* work) : graph_(graph), work_(work) {}

  void Run() {
    work_->count = 0;
    work_->needs_pack = false;
    for (uint32_t i = 0; i < graph_.node_count; ++i) {
      if (graph_.nodes[i].op == CudnnOp::kMatmul && product_count_ < kMaxProducts) {
        products_[product_count_++] = i;
      }
    }
    for (uint32_t i = 0; i < product_count_; ++i) ComposedAttention(products_[i]);
    for (uint32_t i = 0; i < graph_.node_count; ++i) {
      if (graph_.nodes[i].parent < 0) Node(i);
    }
    if (work_->count == 0) {
      CudnnNames names("cudnn graph, no matrix product: ");
      for (uint32_t i = 0; i < graph_.node_count; ++i) {
        names.Add(graph_.nodes[i].name, graph_.nodes[i].name_bytes);
      }
      Add(Kind::kNamed)->name = names.Keep();
    } else if (other_names_.count() != 0) {
      Add(Kind::kNamed)->name = other_names_.Keep();
    }
  }

 private:
  CudnnOperation* Add(Kind kind) {
    if (work_->count == CudnnWork::kMaxOperations) {
      // The last place is for the name of what did not fit.
      CudnnOperation* last = &work_->operations[CudnnWork::kMaxOperations - 1];
      *last = {};
      last->provenance = Provenance::kNone;
      last->name = "cudnn graph: more operations than are kept";
      return &dropped_;
    }
    CudnnOperation* operation = &work_->operations[work_->count++];
    *operation = {};
    operation->kind = kind;
    if (kind == Kind::kNamed) operation->provenance = Provenance::kNone;
    if (kind == Kind::kConvolution) operation->convolution = {};
    if (kind == Kind::kAttention) operation->attention = {};
    return operation;
  }

  void Node(uint32_t number) {
    const CudnnNode& node = graph_.nodes[number];
    bool is_read = true;
    switch (node.op) {
      case CudnnOp::kMatmul:
        is_read = IsTaken(number) || Matmul(number);
        break;
      case CudnnOp::kConvolutionForward:
      case CudnnOp::kConvolutionData:
      case CudnnOp::kConvolutionFilter:
        is_read = Convolution(number);
        break;
      case CudnnOp::kSdpaForward:
      case CudnnOp::kSdpaBackward:
        is_read = UnifiedAttention(number);
        break;
      case CudnnOp::kMoe:
      case CudnnOp::kMoeBackward:
        is_read = Moe(number);
        break;
      case CudnnOp::kOther:
        is_read = false;
        break;
      default:
        break;
    }
    if (!is_read) other_names_.Add(node.name, node.name_bytes);
  }

  bool IsTaken(uint32_t number) const {
    for (uint32_t i = 0; i < taken_count_; ++i) {
      if (taken_[i] == number) return true;
    }
    return false;
  }

  // The format of the first stored tensor of that shape behind a product: epilogues change it.
  Dtype ResultDtype(int result) const {
    const CudnnTensor& own = graph_.tensors[result];
    if (!own.is_virtual) return own.dtype;
    const CudnnGraph::Set derived = graph_.DerivedFrom(result);
    for (uint32_t i = 0; i < graph_.tensor_count; ++i) {
      const CudnnTensor& tensor = graph_.tensors[i];
      if (derived.Has(static_cast<int>(i)) && !tensor.is_virtual && SameDims(tensor, own)) {
        return tensor.dtype;
      }
    }
    return own.dtype;
  }

  bool Matmul(uint32_t number) {
    const CudnnTensor* a = graph_.At(number, CudnnPort::kMatA);
    const CudnnTensor* b = graph_.At(number, CudnnPort::kMatB);
    const int result = graph_.IndexAt(number, CudnnPort::kMatC);
    if (a == nullptr || b == nullptr || result < 0 || a->rank < 2) return false;
    const CudnnTensor& c = graph_.tensors[result];
    CudnnOperation* operation = Add(Kind::kGemm);
    shapes::Gemm& gemm = operation->gemm;
    gemm.m = FromEnd(c, 1);
    gemm.n = FromEnd(c, 0);
    gemm.k = FromEnd(*a, 0);
    gemm.batch = ProductBefore(c, 2);
    gemm.a_is_broadcast = gemm.batch > 1 && ProductBefore(*a, 2) == 1;
    gemm.b_is_broadcast = gemm.batch > 1 && ProductBefore(*b, 2) == 1;
    gemm.a = StoredAs(graph_, *a).dtype;
    gemm.b = StoredAs(graph_, *b).dtype;
    gemm.d = ResultDtype(result);
    gemm.c = gemm.d;
    gemm.beta = shapes::BetaUse::kZero;  // nothing is added to what was there
    gemm.accumulate = graph_.nodes[number].accumulate;
    const bool has_device_sizes = graph_.IndexAt(number, CudnnPort::kMOverride) >= 0 ||
                                  graph_.IndexAt(number, CudnnPort::kNOverride) >= 0 ||
                                  graph_.IndexAt(number, CudnnPort::kKOverride) >= 0 ||
                                  a->is_ragged || b->is_ragged || c.is_ragged;
    if (has_device_sizes || has_softmax_) operation->provenance = Provenance::kBound;
    return true;
  }

  bool Convolution(uint32_t number);
  bool UnifiedAttention(uint32_t number);
  bool Moe(uint32_t number);
  void ComposedAttention(uint32_t scores);
  bool IsBackward(uint32_t scores, const CudnnGraph::Set& from_scores, uint64_t* head_dim_v);
  void Take(uint32_t number) {
    if (taken_count_ < kMaxProducts) taken_[taken_count_++] = number;
  }
  // Where the lengths of one side are, by its length tensor or else its ragged offsets.
  void Lengths(CudnnLengths* lengths, const CudnnTensor* sizes, const CudnnTensor& operand,
               uint32_t token_position) const;
  void Finish(CudnnOperation* operation) {
    const CudnnMask& mask = operation->mask;
    if (mask.is_unknown || mask.queries.is_set || mask.keys.is_set) {
      operation->provenance = Provenance::kBound;
    }
    work_->needs_pack |= mask.queries.is_set || mask.keys.is_set || mask.right.term_count != 0 ||
                         mask.left.term_count != 0;
  }

  const CudnnGraph& graph_;
  CudnnWork* work_;
  CudnnOperation dropped_;
  CudnnNames other_names_{"cudnn graph: "};
  uint32_t products_[kMaxProducts] = {};
  uint32_t product_count_ = 0;
  uint32_t taken_[kMaxProducts] = {};
  uint32_t taken_count_ = 0;
  bool has_softmax_ = false;
};

bool Decoder::Convolution(uint32_t number) {
  using Direction = shapes::ConvDirection;
  Direction direction = Direction::kForward;
  CudnnPort in_port = CudnnPort::kX;
  CudnnPort filter_port = CudnnPort::kW;
  CudnnPort out_port = CudnnPort::kY;
  if (graph_.nodes[number].op == CudnnOp::kConvolutionData) {
    direction = Direction::kDataGradient;
    in_port = CudnnPort::kDx;
    out_port = CudnnPort::kDy;
  } else if (graph_.nodes[number].op == CudnnOp::kConvolutionFilter) {
    direction = Direction::kFilterGradient;
    filter_port = CudnnPort::kDw;
    out_port = CudnnPort::kDy;
  }
  const CudnnTensor* in = graph_.At(number, in_port);
  const CudnnTensor* filter = graph_.At(number, filter_port);
  const CudnnTensor* out = graph_.At(number, out_port);
  if (in == nullptr || filter == nullptr || out == nullptr) return false;
  const uint32_t rank = in->rank;
  if (rank < 3 || rank > 5 || filter->rank != rank || out->rank != rank) return false;
  if (in->is_vectorized || filter->is_vectorized || out->is_vectorized) return false;
  const uint64_t filter_channels = Size(filter->dims[1]);
  if (filter_channels == 0 || Size(in->dims[1]) % filter_channels != 0) return false;
  shapes::Convolution& convolution = Add(Kind::kConvolution)->convolution;
  convolution.direction = direction;
  convolution.batch = Size(in->dims[0]);
  convolution.c_in = Size(in->dims[1]);
  convolution.c_out = Size(out->dims[1]);
  convolution.groups = convolution.c_in / filter_channels;
  for (uint32_t i = 2; i < rank; ++i) {
    convolution.in[i - 2] = Size(in->dims[i]);
    convolution.filter[i - 2] = Size(filter->dims[i]);
    convolution.out[i - 2] = Size(out->dims[i]);
  }
  // What is read, not what is written: a prologue or epilogue may change the latter.
  convolution.dtype = StoredAs(graph_, direction == Direction::kDataGradient ? *out : *in).dtype;
  return true;
}

bool Decoder::Moe(uint32_t number) {
  const bool is_backward = graph_.nodes[number].op == CudnnOp::kMoeBackward;
  const CudnnTensor* token = graph_.At(number, CudnnPort::kToken);
  const CudnnTensor* weight = graph_.At(number, is_backward ? CudnnPort::kDw : CudnnPort::kWeight);
  const CudnnTensor* output = graph_.At(number, is_backward ? CudnnPort::kDy : CudnnPort::kOutput);
  if (token == nullptr || weight == nullptr || output == nullptr || weight->rank < 3) return false;
  // Rows per expert lie on the device; their sum is a dimension. Gathered rows are those of the
  // result, scattered ones those of the operand.
  const bool by_token = is_backward || graph_.nodes[number].scatters;
  CudnnOperation* operation = Add(Kind::kGemm);
  operation->is_grouped = true;
  shapes::Gemm& gemm = operation->gemm;
  const uint64_t rows = FromEnd(by_token ? *token : *output, 1);
  gemm.m = is_backward ? FromEnd(*weight, 1) : rows;
  gemm.n = FromEnd(*weight, 0);
  gemm.k = is_backward ? rows : FromEnd(*weight, 1);
  gemm.a = StoredAs(graph_, *token).dtype;
  gemm.b = StoredAs(graph_, is_backward ? *output : *weight).dtype;
  gemm.d = is_backward ? weight->dtype : output->dtype;
  gemm.c = gemm.d;
  gemm.beta = shapes::BetaUse::kZero;
  gemm.accumulate = graph_.nodes[number].accumulate;
  return true;
}

void Decoder::Lengths(CudnnLengths* lengths, const CudnnTensor* sizes, const CudnnTensor& operand,
                      uint32_t token_position) const {
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

bool Decoder::UnifiedAttention(uint32_t number) {
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
  attention.dtype = StoredAs(graph_, *q).dtype;
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
bool Decoder::IsBackward(uint32_t scores, const CudnnGraph::Set& from_scores,
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

void Decoder::ComposedAttention(uint32_t scores) {
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
  attention.dtype = StoredAs(graph_, *q).dtype;
  for (uint32_t i = 0; i < graph_.tensor_count && pass == shapes::Pass::kForward; ++i) {
    const CudnnTensor& tensor = graph_.tensors[i];
    attention.writes_logsumexp |= from_scores.Has(static_cast<int>(i)) && !tensor.is_virtual &&
                                  FromEnd(tensor, 0) == 1 && FromEnd(tensor, 1) == FromEnd(s, 1) &&
                                  FromEnd(tensor, 2) == FromEnd(s, 2);
  }
  CudnnMask& mask = operation->mask;
  ReadCudnnMask(graph_, -1, &from_scores, &mask);
  const uint32_t rank = s.rank;
  Lengths(&mask.queries, graph_.At(scores, CudnnPort::kMOverride), StoredAs(graph_, *q), rank - 2);
  Lengths(&mask.keys, graph_.At(scores, CudnnPort::kNOverride), StoredAs(graph_, *k), rank - 1);
  Finish(operation);
}

}  // namespace

void DecodeCudnnGraph(const CudnnGraph& graph, CudnnWork* work) { Decoder(graph, work).Run(); }

}  // namespace mfutrace::interpose
