// Operations as plain numbers: the dimensions of one call, independent of the library that ran it.
//
// Interpose fills these from vendor arguments, importers from other tools' traces; flops.h,
// traffic.h and label.h interpret them. Trivially copyable, no pointers, value-initialised to
// "nothing known". Enumerator values are written into traces: append only.
#pragma once

#include <array>
#include <cstdint>

#include "shapes/dtype.h"

namespace mfutrace::shapes {

enum class OpKind : uint8_t {
  kOpaque = 0,  // seen and named, dimensions not understood
  kGemm = 1,
  kAttention = 2,
  kConvolution = 3,
  kRnn = 4,
  kCollective = 5,
  kMatrix = 6,  // BLAS routines other than plain products: symm, syrk, trsm, gemv, getrf ...
};

// How a count is known (METHOD, "Work"). Ordered from best to worst.
enum class Provenance : uint8_t {
  kExact = 0,     // arguments of the library call
  kLauncher = 1,  // struct of a host launcher
  kKernel = 2,    // kernel name and arguments
  kBound = 3,     // upper bound
  kNone = 4,      // seen, not understood
};

enum class Transpose : uint8_t { kNo = 0, kYes = 1, kConjugate = 2, kUnknown = 3 };

// Arithmetic that the caller asked for, where it differs from what the operand types say.
enum class MathMode : uint8_t {
  kDefault = 0,
  kTf32 = 1,         // f32 operands rounded to TF32
  kReducedF16 = 2,   // f32 operands rounded to f16 (CUBLAS_COMPUTE_32F_FAST_16F)
  kReducedBf16 = 3,  // f32 operands rounded to bf16
  kEmulatedBf16x9 = 4,
  kEmulatedFixedPoint = 5,
  kPedantic = 6,
};

enum class BetaUse : uint8_t { kUnknown = 0, kZero = 1, kNonzero = 2 };

// How an operand of a scaled product carries its scales (cublasLtMatmulMatrixScale_t, plus one; the
// vendor's 0, one f32, is told by kScalar only where a scale pointer is set).
enum class ScaleMode : uint8_t {
  kNone = 0,
  kScalar = 1,          // one f32
  kVec16Ue4m3 = 2,      // one f8_e4m3 for 16 elements along k: NVFP4
  kVec32Ue8m0 = 3,      // one f8_ue8m0 for 32 elements along k: MXFP8
  kOuterVec = 4,        // one f32 a row of A or column of B
  kVec128 = 5,          // one f32 for 128 elements along k
  kBlock128x128 = 6,    // one f32 a block
  kPerBatchScalar = 7,  // one f32 a batch entry
  kUnknown = 255,
};

// D[m,n] = alpha * op(A)[m,k] * op(B)[k,n] + beta * C[m,n], `batch` times.
struct Gemm {
  uint64_t m = 0;
  uint64_t n = 0;
  uint64_t k = 0;
  uint64_t batch = 1;
  Dtype a = Dtype::kUnknown;
  Dtype b = Dtype::kUnknown;
  Dtype c = Dtype::kUnknown;
  Dtype d = Dtype::kUnknown;
  Dtype accumulate = Dtype::kUnknown;
  MathMode math = MathMode::kDefault;
  Transpose op_a = Transpose::kUnknown;
  Transpose op_b = Transpose::kUnknown;
  BetaUse beta = BetaUse::kUnknown;
  bool gauss_3m = false;        // complex product by three real products
  bool a_is_broadcast = false;  // batch stride 0: one matrix for the whole batch
  bool b_is_broadcast = false;
  ScaleMode scale_a = ScaleMode::kNone;
  ScaleMode scale_b = ScaleMode::kNone;
  ScaleMode scale_d = ScaleMode::kNone;  // scales written with D
  Dtype bias = Dtype::kUnknown;          // of the epilogue's bias vector; kUnknown = none
  Dtype aux = Dtype::kUnknown;           // of the m x n auxiliary matrix; kUnknown = none, kBool =
                                         // a bit an element (ReLU's mask)
  bool bias_is_along_n = false;          // a bias of n elements; else of m
  uint16_t epilogue = 0;                 // the vendor's code (cublasLtEpilogue_t); 0 = not told
};

// BLAS and LAPACK-like routines that are not a plain product. FLOPs and operands: flops.h,
// traffic.h.
enum class MatrixRoutine : uint8_t {
  kUnknown = 0,
  kSymm = 1,
  kHemm = 2,
  kSyrk = 3,
  kHerk = 4,
  kSyr2k = 5,
  kHer2k = 6,
  kSyrkx = 7,
  kHerkx = 8,
  kTrmm = 9,
  kTrsm = 10,
  kGemv = 11,
  kGbmv = 12,
  kSymv = 13,
  kHemv = 14,
  kTrmv = 15,
  kTrsv = 16,
  kGer = 17,
  kSyr = 18,
  kHer = 19,
  kSyr2 = 20,
  kHer2 = 21,
  kGeam = 22,
  kDgmm = 23,
  kGetrf = 24,
  kGetrs = 25,
  kGetri = 26,
  kMatinv = 27,
  kGeqrf = 28,
  kGels = 29,
};

enum class Side : uint8_t { kLeft = 0, kRight = 1, kUnknown = 2 };

// Dimensions carry BLAS's own letters: m and n of the general operand or the result, k the inner
// dimension (rank-k updates) or the band or right-hand-side count where a routine has one. A
// routine without one of them leaves it 0. For symm, hemm, trmm, trsm the square operand has m rows
// on the left, n on the right.
struct Matrix {
  uint64_t m = 0;
  uint64_t n = 0;
  uint64_t k = 0;
  uint64_t batch = 1;
  Dtype dtype = Dtype::kUnknown;  // of the operands
  Dtype result = Dtype::kUnknown;
  Dtype accumulate = Dtype::kUnknown;
  MathMode math = MathMode::kDefault;
  MatrixRoutine routine = MatrixRoutine::kUnknown;
  Side side = Side::kUnknown;
  BetaUse beta = BetaUse::kUnknown;
  bool gauss_3m = false;
};

enum class RnnCell : uint8_t { kUnknown = 0, kVanilla = 1, kLstm = 2, kGru = 3 };
enum class RnnPass : uint8_t { kForward = 0, kBackwardData = 1, kBackwardWeights = 2 };

// A recurrent network over `steps` = sum over sequences of their lengths (batch x time if equal).
struct Rnn {
  uint64_t steps = 0;
  uint64_t input_size = 0;
  uint64_t hidden_size = 0;
  uint64_t projection_size = 0;  // 0 = none
  uint32_t layers = 0;
  uint32_t directions = 1;
  Dtype dtype = Dtype::kUnknown;
  RnnCell cell = RnnCell::kUnknown;
  RnnPass pass = RnnPass::kForward;
  bool skips_input = false;  // no input product in the first layer
};

enum class Mask : uint8_t {
  kUnknown = 0,
  kNone = 1,
  kCausalTopLeft = 2,      // query row i sees keys 0 .. i
  kCausalBottomRight = 3,  // query row i sees keys 0 .. i + s_k - s_q
  kWindowTopLeft = 4,      // its window alone, beside key i of query row i
};

enum class Pass : uint8_t { kForward = 0, kBackward = 1 };

// `count` sequences in a row whose queries and keys have these lengths.
struct SequenceRun {
  uint32_t seq_q = 0;
  uint32_t seq_k = 0;
  uint32_t count = 1;
};

// Scaled dot-product attention of `batch` sequences of equal length. Grouped queries: heads_q is a
// multiple of heads_kv. Windows count keys kept beside the diagonal key; -1 means no limit.
// Mask::kNone: the diagonal of a window ends at the last query and the last key.
struct Attention {
  uint64_t batch = 0;
  uint64_t heads_q = 0;
  uint64_t heads_kv = 0;
  uint64_t seq_q = 0;
  uint64_t seq_k = 0;
  uint64_t head_dim_qk = 0;
  uint64_t head_dim_v = 0;
  int64_t window_left = -1;
  int64_t window_right = -1;
  Dtype dtype = Dtype::kUnknown;
  Mask mask = Mask::kUnknown;
  Pass pass = Pass::kForward;
  bool writes_logsumexp = false;
  bool v_is_view_of_k = false;  // absorbed MLA decode: V is not read a second time
};

enum class ConvDirection : uint8_t { kForward = 0, kDataGradient = 1, kFilterGradient = 2 };

// A convolution over up to three spatial dimensions; unused dimensions are 1. `out` is the output
// of the forward pass also for gradients. For a transposed convolution `in` is its input, `out` its
// output, and c_in, c_out are its own.
struct Convolution {
  uint64_t batch = 0;
  uint64_t c_in = 0;
  uint64_t c_out = 0;
  uint64_t groups = 1;
  std::array<uint64_t, 3> in = {1, 1, 1};
  std::array<uint64_t, 3> filter = {1, 1, 1};
  std::array<uint64_t, 3> out = {1, 1, 1};
  Dtype dtype =
      Dtype::kUnknown;  // kTf32: of f32 operands that may be rounded (also Rnn, Attention)
  ConvDirection direction = ConvDirection::kForward;
  bool is_transposed = false;
};

enum class CollectiveKind : uint8_t {
  kUnknown = 0,
  kAllReduce = 1,
  kAllGather = 2,
  kReduceScatter = 3,
  kBroadcast = 4,
  kReduce = 5,
  kSend = 6,
  kRecv = 7,
  kAllToAll = 8,
  kGather = 9,
  kScatter = 10,
};

// `count` is the count argument of the NCCL call of that name: elements of the whole buffer for
// AllReduce, Broadcast, Reduce, Send and Recv; per rank for AllGather (sendcount), ReduceScatter
// (recvcount), AllToAll, Gather and Scatter (per peer).
struct Collective {
  uint64_t count = 0;
  uint32_t rank_count = 0;  // size of the communicator; 0 = unknown
  int32_t peer = -1;        // peer of Send and Recv, root of Broadcast, Reduce, Gather and Scatter
  CollectiveKind kind = CollectiveKind::kUnknown;
  Dtype dtype = Dtype::kUnknown;
  uint8_t reduction = 0;  // ncclRedOp_t of the call; meaningful for reductions only
};

}  // namespace mfutrace::shapes
