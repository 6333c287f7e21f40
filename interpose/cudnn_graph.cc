// See cudnn_graph.h.
#include "interpose/cudnn_graph.h"

#include <cstring>

namespace mfutrace::interpose {
namespace {

using shapes::Dtype;

struct OpName {
  const char* name;
  CudnnOp op;
};
// cudnnBackendDescriptorType_t of cuDNN 9.19 without prefix and suffix, and what
// cudnn-frontend 1.23 names for later versions.
constexpr OpName kOpNames[] = {
    {"MATMUL", CudnnOp::kMatmul},
    {"CONVOLUTION_FORWARD", CudnnOp::kConvolutionForward},
    {"CONVOLUTION_BACKWARD_DATA", CudnnOp::kConvolutionData},
    {"CONVOLUTION_BACKWARD_FILTER", CudnnOp::kConvolutionFilter},
    {"SDPA_FWD", CudnnOp::kSdpaForward},
    {"SDPA_BWD", CudnnOp::kSdpaBackward},
    {"MOE_GROUPED_MATMUL", CudnnOp::kMoe},
    {"MOE_GROUPED_MATMUL_BWD", CudnnOp::kMoeBackward},
    {"POINTWISE", CudnnOp::kPointwise},
    {"SOFTMAX", CudnnOp::kSoftmax},
    {"DIAGONAL_BAND_MASK", CudnnOp::kBandMask},
    {"PADDING_MASK", CudnnOp::kPaddingMask},
    {"PAGED_CACHE_LOAD", CudnnOp::kPagedLoad},
    {"BLOCK_SCALE_DEQUANTIZE", CudnnOp::kDequantize},
    {"RESHAPE", CudnnOp::kReshape},
    {"TRANSPOSE", CudnnOp::kReshape},
    {"EXPAND_BAND_MATRIX", CudnnOp::kOddMask},
    {"CONTRACT_BAND_MATRIX", CudnnOp::kOddMask},
    {"SPECULATIVE_MASK", CudnnOp::kOddMask},
    {"REDUCTION", CudnnOp::kHarmless},
    {"BLOCK_SCALE_QUANTIZE", CudnnOp::kHarmless},
    {"RNG", CudnnOp::kHarmless},
    {"NORM_FORWARD", CudnnOp::kHarmless},
    {"NORM_BACKWARD", CudnnOp::kHarmless},
    {"GEN_STATS", CudnnOp::kHarmless},
    {"BN_FINALIZE_STATISTICS", CudnnOp::kHarmless},
    {"BN_BWD_WEIGHTS", CudnnOp::kHarmless},
    {"RESAMPLE_FWD", CudnnOp::kHarmless},
    {"RESAMPLE_BWD", CudnnOp::kHarmless},
    {"CONCAT", CudnnOp::kHarmless},
    {"SIGNAL", CudnnOp::kHarmless},
    {"SLICE", CudnnOp::kHarmless},
};

struct DtypeName {
  const char* name;
  Dtype dtype;
};
constexpr DtypeName kDtypeNames[] = {
    // cudnnDataType_t
    {"FLOAT", Dtype::kF32},
    {"DOUBLE", Dtype::kF64},
    {"HALF", Dtype::kF16},
    {"BFLOAT16", Dtype::kBf16},
    {"INT8", Dtype::kI8},
    {"INT8x4", Dtype::kI8},
    {"INT8x32", Dtype::kI8},
    {"UINT8", Dtype::kU8},
    {"UINT8x4", Dtype::kU8},
    {"INT32", Dtype::kI32},
    {"INT64", Dtype::kI64},
    {"UINT32", Dtype::kU32},
    {"BOOLEAN", Dtype::kBool},
    {"FP8_E4M3", Dtype::kF8E4M3},
    {"FP8_E5M2", Dtype::kF8E5M2},
    {"FP8_E8M0", Dtype::kF8Ue8m0},
    {"FP4_E2M1", Dtype::kF4E2M1},
    {"INT4", Dtype::kI4},
    {"UINT4", Dtype::kU4},
    {"FAST_FLOAT_FOR_FP8", Dtype::kF32},  // a compute type: fewer bits of the sum are kept
    {"COMPLEX_FP32", Dtype::kC32F32},
    {"COMPLEX_FP64", Dtype::kC64F64},
};

bool Equals(const char* name, const char* text, size_t bytes) {
  return std::strlen(name) == bytes && std::memcmp(name, text, bytes) == 0;
}

}  // namespace

CudnnOp CudnnOpNamed(const char* name, size_t bytes) {
  for (const OpName& known : kOpNames) {
    if (Equals(known.name, name, bytes)) return known.op;
  }
  return CudnnOp::kOther;
}

Dtype CudnnDtypeNamed(const char* name, size_t bytes) {
  constexpr char kPrefix[] = "CUDNN_DATA_";
  constexpr size_t kPrefixBytes = sizeof kPrefix - 1;
  if (bytes < kPrefixBytes || std::memcmp(name, kPrefix, kPrefixBytes) != 0) return Dtype::kUnknown;
  for (const DtypeName& known : kDtypeNames) {
    if (Equals(known.name, name + kPrefixBytes, bytes - kPrefixBytes)) return known.dtype;
  }
  return Dtype::kUnknown;
}

bool IsProduct(CudnnOp op) { return op >= CudnnOp::kMatmul && op <= CudnnOp::kMoeBackward; }

bool IsWritten(CudnnPort port) {
  return port >= CudnnPort::kY || port == CudnnPort::kDx || port == CudnnPort::kDw;
}

int CudnnGraph::IndexOf(int64_t uid) const {
  for (uint32_t i = 0; i < tensor_count; ++i) {
    if (tensors[i].uid == uid) return static_cast<int>(i);
  }
  return -1;
}

void CudnnGraph::Connect() {
  for (uint32_t node = 0; node < node_count; ++node) {
    for (uint32_t i = 0; i < nodes[node].port_count; ++i) {
      CudnnLink& link = links[nodes[node].first_port + i];
      const int index = IndexOf(link.uid);
      link.tensor = static_cast<int16_t>(index);
      if (index >= 0 && IsWritten(link.port)) tensors[index].producer = static_cast<int16_t>(node);
    }
  }
}

int CudnnGraph::IndexAt(uint32_t node, CudnnPort port) const {
  const CudnnNode& owner = nodes[node];
  for (uint32_t i = 0; i < owner.port_count; ++i) {
    const CudnnLink& link = links[owner.first_port + i];
    if (link.port == port) return link.tensor;
  }
  return -1;
}

const CudnnTensor* CudnnGraph::At(uint32_t node, CudnnPort port) const {
  const int index = IndexAt(node, port);
  return index >= 0 ? &tensors[index] : nullptr;
}

CudnnGraph::Set CudnnGraph::DerivedFrom(int tensor) const {
  Set set;
  if (tensor < 0) return set;
  set.Add(tensor);
  for (bool has_grown = true; has_grown;) {
    has_grown = false;
    for (uint32_t number = 0; number < node_count; ++number) {
      const CudnnNode& node = nodes[number];
      if (IsProduct(node.op)) continue;
      const CudnnLink* ports = links + node.first_port;
      bool is_reached = false;
      for (uint32_t i = 0; i < node.port_count; ++i) {
        is_reached |= !IsWritten(ports[i].port) && set.Has(ports[i].tensor);
      }
      for (uint32_t i = 0; is_reached && i < node.port_count; ++i) {
        if (!IsWritten(ports[i].port) || ports[i].tensor < 0 || set.Has(ports[i].tensor)) continue;
        set.Add(ports[i].tensor);
        has_grown = true;
      }
    }
  }
  return set;
}

}  // namespace mfutrace::interpose
