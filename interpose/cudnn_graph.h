// A cuDNN operation graph as plain numbers, whatever it was read from: the JSON text of an
// execution plan (cudnn_json.h) or descriptors that were watched while they were made
// (cudnn_track.h).
//
// No CUDA and no vendor header here. A graph lives in scratch pages while its plan is being read;
// what is kept of it is a CudnnWork (cudnn_work.h). Tables are bounded: a graph that does not fit
// is not readable.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shapes/dtype.h"

namespace mfutrace::interpose {

enum class CudnnOp : uint8_t {
  kOther,  // no name we know: may compute
  kMatmul,
  kConvolutionForward,
  kConvolutionData,
  kConvolutionFilter,
  kSdpaForward,
  kSdpaBackward,
  kMoe,
  kMoeBackward,
  kPointwise,
  kSoftmax,
  kBandMask,
  kPaddingMask,
  kPagedLoad,
  kDequantize,
  kReshape,
  kOddMask,   // masks whose kept pairs we cannot tell
  kHarmless,  // known, and no matrix product
};

// What a tensor is to an operation. Names: the keys of the plan's JSON.
enum class CudnnPort : uint8_t {
  kOther,
  kX,
  kB,
  kT,
  kW,
  kDx,  // gradients that are results, or, dY, operands
  kDw,
  kDy,
  kMatA,
  kMatB,
  kMOverride,
  kNOverride,
  kKOverride,
  kQ,
  kK,
  kV,
  kScale,
  kBlockMask,
  kPageTableK,
  kSeqLenQ,
  kSeqLenK,
  kToken,
  kTokenIndex,
  kWeight,
  kLeftBound,
  kShiftRightBound,
  kHarmless,  // known, and without a say in how much is computed
  // From here on, and kDx and kDw: what an operation writes.
  kY,
  kMatC,
  kO,
  kStats,
  kOutput,
  kDQ,
  kDK,
  kDV,
};

// The pointwise modes that masks and attention are made of.
enum class CudnnPointwise : uint8_t {
  kOther,
  kAdd,
  kSub,
  kIdentity,
  kExp,
  kGenIndex,
  kSelect,
  kAnd,
  kGreater,
  kGreaterEqual,
  kLess,
  kLessEqual,
};

struct CudnnTensor {
  static constexpr uint32_t kMaxRank = 8;  // CUDNN_DIM_MAX

  int64_t uid = 0;
  int64_t ragged_uid = 0;
  int64_t dims[kMaxRank] = {};
  int64_t strides[kMaxRank] = {};
  uint8_t rank = 0;
  int16_t producer = -1;  // the operation that writes it
  shapes::Dtype dtype = shapes::Dtype::kUnknown;
  bool is_virtual = false;
  bool is_by_value = false;
  bool is_ragged = false;
  bool is_vectorized = false;  // elements are vectors along one dimension
};

struct CudnnNode {
  const char* name = nullptr;  // of an operation: lives as long as the text that was read
  uint32_t name_bytes = 0;
  uint16_t first_port = 0;
  uint16_t port_count = 0;
  int16_t parent = -1;  // the operation that has this one inside
  int8_t axis = -1;
  CudnnOp op = CudnnOp::kOther;
  CudnnPointwise pointwise = CudnnPointwise::kOther;
  shapes::Dtype accumulate = shapes::Dtype::kUnknown;
  bool is_scaled = false;        // alpha1 or alpha2 is not 1
  bool has_unknown_key = false;  // something about it that we do not know the meaning of
  bool scatters = false;         // MoE: rows of the result are sums
};

struct CudnnLink {
  int64_t uid = 0;
  int16_t tensor = -1;  // its number; -1 = no such tensor in the graph
  CudnnPort port = CudnnPort::kOther;
};

bool IsWritten(CudnnPort port);
bool IsProduct(CudnnOp op);

struct CudnnGraph {
  static constexpr uint32_t kMaxTensors = 512;
  static constexpr uint32_t kMaxNodes = 256;
  static constexpr uint32_t kMaxLinks = 2048;

  CudnnTensor tensors[kMaxTensors];
  CudnnNode nodes[kMaxNodes];
  CudnnLink links[kMaxLinks];
  uint32_t tensor_count;
  uint32_t node_count;
  uint32_t link_count;

  int IndexOf(int64_t uid) const;  // of a tensor; -1 if there is none
  // To be called once when all tensors, nodes and links are there.
  void Connect();
  // After that: the number of the tensor at a port, -1 if there is none; and the tensor itself.
  int IndexAt(uint32_t node, CudnnPort port) const;
  const CudnnTensor* At(uint32_t node, CudnnPort port) const;

  // Tensors that are computed from one of them without a further matrix product, and itself.
  struct Set {
    uint64_t words[kMaxTensors / 64] = {};
    bool Has(int tensor) const {
      return tensor >= 0 && (words[tensor / 64] >> (tensor % 64) & 1) != 0;
    }
    void Add(int tensor) { words[tensor / 64] |= uint64_t{1} << (tensor % 64); }
  };
  Set DerivedFrom(int tensor) const;
};

// "MATMUL" of CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR.
CudnnOp CudnnOpNamed(const char* name, size_t bytes);
CudnnPort CudnnPortNamed(const char* key, size_t bytes);             // "matA"
CudnnPointwise CudnnPointwiseNamed(const char* name, size_t bytes);  // "CUDNN_POINTWISE_ADD"
shapes::Dtype CudnnDtypeNamed(const char* name, size_t bytes);       // "CUDNN_DATA_HALF"

}  // namespace mfutrace::interpose
