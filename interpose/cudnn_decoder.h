// How a graph becomes a CudnnWork: one pass over its operations. Parts: cudnn_work.cc (the pass),
// cudnn_products.cc (matrix products and convolutions), cudnn_attention.cc.
#pragma once

#include <cstring>

#include "interpose/cudnn_names.h"
#include "interpose/cudnn_work.h"

namespace mfutrace::interpose {

namespace cudnn_dims {

inline uint64_t Size(int64_t dim) { return dim > 0 ? static_cast<uint64_t>(dim) : 0; }

// A dimension counted from the last one, which is 0; missing leading ones are 1.
inline uint64_t FromEnd(const CudnnTensor& tensor, uint32_t position) {
  return position < tensor.rank ? Size(tensor.dims[tensor.rank - 1 - position]) : 1;
}

inline uint64_t ProductBefore(const CudnnTensor& tensor, uint32_t position) {
  uint64_t product = 1;
  for (uint32_t i = position; i < tensor.rank; ++i) {
    if (__builtin_mul_overflow(product, FromEnd(tensor, i), &product)) return UINT64_MAX;
  }
  return product;
}

inline bool SameDims(const CudnnTensor& a, const CudnnTensor& b) {
  return a.rank == b.rank && std::memcmp(a.dims, b.dims, sizeof(a.dims[0]) * a.rank) == 0;
}

}  // namespace cudnn_dims

class CudnnDecoder {
 public:
  CudnnDecoder(const CudnnGraph& graph, CudnnWork* work) : graph_(graph), work_(work) {}

  void Run();

 private:
  using Kind = CudnnOperation::Kind;
  static constexpr uint32_t kMaxProducts = 16;

  CudnnOperation* Add(Kind kind);
  void Node(uint32_t number);

  bool IsTaken(uint32_t number) const {
    for (uint32_t i = 0; i < taken_count_; ++i) {
      if (taken_[i] == number) return true;
    }
    return false;
  }

  // Where an operand's numbers are stored: behind a dequantisation, a reshape or a page table.
  const CudnnTensor& StoredAs(const CudnnTensor& operand) const;

  bool Matmul(uint32_t number);
  shapes::Dtype ResultDtype(int result) const;
  void Epilogue(int result, shapes::Gemm* gemm) const;
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
      operation->provenance = shapes::Provenance::kBound;
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

}  // namespace mfutrace::interpose
