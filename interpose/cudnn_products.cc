// Matrix products and convolutions of a graph. See cudnn_decoder.h.
#include "interpose/cudnn_decoder.h"

namespace mfutrace::interpose {

using namespace cudnn_dims;
using shapes::Dtype;
using shapes::Provenance;

// The format of the first stored tensor of that shape behind a product: epilogues change it.
Dtype CudnnDecoder::ResultDtype(int result) const {
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

// What the operations behind a product read and write besides, as far as a Gemm has a place for it:
// one vector, one matrix of the result's shape that is read, one that is written.
void CudnnDecoder::Epilogue(int result, shapes::Gemm* gemm) const {
  const CudnnTensor& own = graph_.tensors[result];
  const CudnnGraph::Set derived = graph_.DerivedFrom(result);
  const auto is_stored = [this](int tensor) {
    return tensor >= 0 && !graph_.tensors[tensor].is_virtual && !graph_.tensors[tensor].is_by_value;
  };
  for (uint32_t i = 0; i < graph_.node_count; ++i) {
    const CudnnNode& node = graph_.nodes[i];
    if (node.op != CudnnOp::kPointwise) continue;
    bool is_behind = false;
    for (uint32_t port = 0; port < node.port_count; ++port) {
      const CudnnLink& link = graph_.links[node.first_port + port];
      is_behind |= !IsWritten(link.port) && derived.Has(link.tensor);
    }
    for (uint32_t port = 0; is_behind && port < node.port_count; ++port) {
      const CudnnLink& link = graph_.links[node.first_port + port];
      if (IsWritten(link.port) || derived.Has(link.tensor) || !is_stored(link.tensor)) continue;
      const CudnnTensor& read = graph_.tensors[link.tensor];
      const bool is_vector = ProductBefore(read, 2) == 1 && gemm->bias == Dtype::kUnknown;
      if (SameDims(read, own)) {
        gemm->c = read.dtype;
        gemm->beta = shapes::BetaUse::kNonzero;
      } else if (is_vector && FromEnd(read, 1) == 1 && FromEnd(read, 0) == gemm->n) {
        gemm->bias = read.dtype;
        gemm->bias_is_along_n = true;
      } else if (is_vector && FromEnd(read, 0) == 1 && FromEnd(read, 1) == gemm->m) {
        gemm->bias = read.dtype;
      }
    }
  }
  uint32_t written = 0;
  for (uint32_t i = 0; i < graph_.tensor_count; ++i) {
    const CudnnTensor& tensor = graph_.tensors[i];
    if (!derived.Has(static_cast<int>(i)) || !is_stored(static_cast<int>(i))) continue;
    // A matrix of truth values is stored as a Gemm's would not be.
    if (!SameDims(tensor, own) || tensor.dtype == Dtype::kBool) continue;
    if (++written == 2) gemm->aux = tensor.dtype;
  }
}

bool CudnnDecoder::Matmul(uint32_t number) {
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
  gemm.a = StoredAs(*a).dtype;
  gemm.b = StoredAs(*b).dtype;
  gemm.d = ResultDtype(result);
  gemm.c = gemm.d;
  gemm.beta = shapes::BetaUse::kZero;  // nothing is added to what was there
  gemm.accumulate = graph_.nodes[number].accumulate;
  Epilogue(result, &gemm);
  const bool has_device_sizes = graph_.IndexAt(number, CudnnPort::kMOverride) >= 0 ||
                                graph_.IndexAt(number, CudnnPort::kNOverride) >= 0 ||
                                graph_.IndexAt(number, CudnnPort::kKOverride) >= 0 ||
                                a->is_ragged || b->is_ragged || c.is_ragged;
  if (has_device_sizes || has_softmax_) operation->provenance = Provenance::kBound;
  return true;
}

bool CudnnDecoder::Convolution(uint32_t number) {
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
  convolution.dtype = StoredAs(direction == Direction::kDataGradient ? *out : *in).dtype;
  return true;
}

uint32_t SpreadOverExperts(const CudnnOperation& operation, shapes::Gemm parts[2],
                           uint64_t counts[2]) {
  const uint64_t rows = operation.rows_are_k ? operation.gemm.k : operation.gemm.m;
  const uint64_t left_over = rows % operation.experts;
  uint32_t made = 0;
  const auto add = [&](uint64_t rows_of_each, uint64_t count) {
    if (count == 0) return;
    parts[made] = operation.gemm;
    (operation.rows_are_k ? parts[made].k : parts[made].m) = rows_of_each;
    counts[made++] = count;
  };
  add(rows / operation.experts + 1, left_over);
  add(rows / operation.experts, operation.experts - left_over);
  return made;
}

bool CudnnDecoder::Moe(uint32_t number) {
  const bool is_backward = graph_.nodes[number].op == CudnnOp::kMoeBackward;
  const CudnnTensor* token = graph_.At(number, CudnnPort::kToken);
  const CudnnTensor* weight = graph_.At(number, is_backward ? CudnnPort::kDw : CudnnPort::kWeight);
  const CudnnTensor* output = graph_.At(number, is_backward ? CudnnPort::kDy : CudnnPort::kOutput);
  if (token == nullptr || weight == nullptr || output == nullptr || weight->rank < 3) return false;
  // Rows per expert lie on the device; their sum is a dimension. Gathered rows are those of the
  // result, scattered ones those of the operand.
  const bool by_token = is_backward || graph_.nodes[number].scatters;
  CudnnOperation* operation = Add(Kind::kGemm);
  operation->experts = FromEnd(*weight, 2);
  operation->rows_are_k = is_backward;
  shapes::Gemm& gemm = operation->gemm;
  const uint64_t rows = FromEnd(by_token ? *token : *output, 1);
  gemm.m = is_backward ? FromEnd(*weight, 1) : rows;
  gemm.n = FromEnd(*weight, 0);
  gemm.k = is_backward ? rows : FromEnd(*weight, 1);
  gemm.a = StoredAs(*token).dtype;
  gemm.b = StoredAs(is_backward ? *output : *weight).dtype;
  gemm.d = is_backward ? weight->dtype : output->dtype;
  gemm.c = gemm.d;
  gemm.beta = shapes::BetaUse::kZero;
  gemm.accumulate = graph_.nodes[number].accumulate;
  return true;
}

}  // namespace mfutrace::interpose
