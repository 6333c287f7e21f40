// The words of a plan's JSON. Tables hold their texts in place: a pointer costs a relocation, which
// is larger than the word.
#include <cstring>

#include "interpose/cudnn_graph.h"

namespace mfutrace::interpose {
namespace {

using shapes::Dtype;

struct OpName {
  char name[28];
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
  char name[19];
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

// Keys as cuDNN 9.19 writes them; those of later versions' operations after the attributes' names.
struct PortName {
  char name[17];
  CudnnPort port;
};
constexpr PortName kPortNames[] = {
    {"X", CudnnPort::kX},
    {"B", CudnnPort::kB},
    {"T", CudnnPort::kT},
    {"W", CudnnPort::kW},
    {"Y", CudnnPort::kY},
    {"dX", CudnnPort::kDx},
    {"dW", CudnnPort::kDw},
    {"dY", CudnnPort::kDy},
    {"matA", CudnnPort::kMatA},
    {"matB", CudnnPort::kMatB},
    {"matC", CudnnPort::kMatC},
    {"mOverride", CudnnPort::kMOverride},
    {"nOverride", CudnnPort::kNOverride},
    {"kOverride", CudnnPort::kKOverride},
    {"Q", CudnnPort::kQ},
    {"K", CudnnPort::kK},
    {"V", CudnnPort::kV},
    {"O", CudnnPort::kO},
    {"stats", CudnnPort::kStats},
    {"scale", CudnnPort::kScale},
    {"blockMask", CudnnPort::kBlockMask},
    {"pageTableK", CudnnPort::kPageTableK},
    {"pageTableV", CudnnPort::kHarmless},
    {"seqLenQ", CudnnPort::kSeqLenQ},
    {"seqLenQDesc", CudnnPort::kSeqLenQ},
    {"seqLenKV", CudnnPort::kSeqLenK},
    {"seqLenKVDesc", CudnnPort::kSeqLenK},
    {"dODesc", CudnnPort::kHarmless},
    {"dQDesc", CudnnPort::kDQ},
    {"dKDesc", CudnnPort::kDK},
    {"dVDesc", CudnnPort::kDV},
    {"dO", CudnnPort::kHarmless},
    {"dQ", CudnnPort::kDQ},
    {"dK", CudnnPort::kDK},
    {"dV", CudnnPort::kDV},
    {"token", CudnnPort::kToken},
    {"tokenIndex", CudnnPort::kTokenIndex},
    {"weight", CudnnPort::kWeight},
    {"firstTokenOffset", CudnnPort::kHarmless},
    {"tokenKs", CudnnPort::kHarmless},
    {"container", CudnnPort::kX},
    {"sequence", CudnnPort::kHarmless},
    {"pageTable", CudnnPort::kHarmless},
    {"output", CudnnPort::kOutput},
    {"doutput", CudnnPort::kDy},
    {"dOutput", CudnnPort::kDy},
    {"dweight", CudnnPort::kDw},
    {"dWeight", CudnnPort::kDw},
    {"leftBound", CudnnPort::kLeftBound},
    {"shiftRightBound", CudnnPort::kShiftRightBound},
    {"max", CudnnPort::kHarmless},
    {"sumExp", CudnnPort::kHarmless},
    {"sink", CudnnPort::kHarmless},
    {"dropoutSeed", CudnnPort::kHarmless},
    {"dropoutOffset", CudnnPort::kHarmless},
};

struct PointwiseName {
  char name[14];
  CudnnPointwise mode;
};
constexpr PointwiseName kPointwiseNames[] = {
    {"ADD", CudnnPointwise::kAdd},
    {"SUB", CudnnPointwise::kSub},
    {"IDENTITY", CudnnPointwise::kIdentity},
    {"EXP", CudnnPointwise::kExp},
    {"GEN_INDEX", CudnnPointwise::kGenIndex},
    {"BINARY_SELECT", CudnnPointwise::kSelect},
    {"LOGICAL_AND", CudnnPointwise::kAnd},
    {"CMP_GT", CudnnPointwise::kGreater},
    {"CMP_GE", CudnnPointwise::kGreaterEqual},
    {"CMP_LT", CudnnPointwise::kLess},
    {"CMP_LE", CudnnPointwise::kLessEqual},
};

bool Equals(const char* name, const char* text, size_t bytes) {
  return std::strlen(name) == bytes && std::memcmp(name, text, bytes) == 0;
}

// The rest of a text that begins with `prefix`; nullptr if it does not.
const char* Behind(const char* prefix, const char* text, size_t* bytes) {
  const size_t length = std::strlen(prefix);
  if (*bytes < length || std::memcmp(text, prefix, length) != 0) return nullptr;
  *bytes -= length;
  return text + length;
}

}  // namespace

CudnnOp CudnnOpNamed(const char* name, size_t bytes) {
  for (const OpName& known : kOpNames) {
    if (Equals(known.name, name, bytes)) return known.op;
  }
  return CudnnOp::kOther;
}

Dtype CudnnDtypeNamed(const char* name, size_t bytes) {
  const char* rest = Behind("CUDNN_DATA_", name, &bytes);
  for (const DtypeName& known : kDtypeNames) {
    if (rest != nullptr && Equals(known.name, rest, bytes)) return known.dtype;
  }
  return Dtype::kUnknown;
}

CudnnPort CudnnPortNamed(const char* key, size_t bytes) {
  for (const PortName& known : kPortNames) {
    if (Equals(known.name, key, bytes)) return known.port;
  }
  return CudnnPort::kOther;
}

CudnnPointwise CudnnPointwiseNamed(const char* name, size_t bytes) {
  const char* rest = Behind("CUDNN_POINTWISE_", name, &bytes);
  for (const PointwiseName& known : kPointwiseNames) {
    if (rest != nullptr && Equals(known.name, rest, bytes)) return known.mode;
  }
  return CudnnPointwise::kOther;
}

}  // namespace mfutrace::interpose
