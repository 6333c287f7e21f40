// See cudnn_work.h and cudnn_decoder.h.
#include "interpose/cudnn_work.h"

#include "interpose/cudnn_decoder.h"

namespace mfutrace::interpose {

using shapes::Provenance;

void CudnnDecoder::Run() {
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

CudnnOperation* CudnnDecoder::Add(Kind kind) {
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

void CudnnDecoder::Node(uint32_t number) {
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

const CudnnTensor& CudnnDecoder::StoredAs(const CudnnTensor& operand) const {
  const CudnnTensor* tensor = &operand;
  for (int hop = 0; hop < 4 && tensor->is_virtual && tensor->producer >= 0; ++hop) {
    const auto producer = static_cast<uint32_t>(tensor->producer);
    const CudnnNode& node = graph_.nodes[producer];
    const bool keeps_numbers = node.op == CudnnOp::kDequantize || node.op == CudnnOp::kReshape ||
                               node.op == CudnnOp::kPagedLoad ||
                               (node.op == CudnnOp::kPointwise &&
                                node.pointwise == CudnnPointwise::kIdentity && !node.is_scaled);
    const CudnnTensor* source = keeps_numbers ? graph_.At(producer, CudnnPort::kX) : nullptr;
    if (source == nullptr) break;
    tensor = source;
  }
  return *tensor;
}

void DecodeCudnnGraph(const CudnnGraph& graph, CudnnWork* work) { CudnnDecoder(graph, work).Run(); }

}  // namespace mfutrace::interpose
