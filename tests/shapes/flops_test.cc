// FLOPs against public numbers, brute force and the edges of 64 bits.
#include "shapes/flops.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <tuple>

namespace mfutrace::shapes {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

Gemm RealGemm(uint64_t m, uint64_t n, uint64_t k, uint64_t batch = 1) {
  Gemm gemm;
  gemm.m = m;
  gemm.n = n;
  gemm.k = k;
  gemm.batch = batch;
  gemm.a = gemm.b = gemm.c = gemm.d = Dtype::kF32;
  return gemm;
}

Gemm ComplexGemm(uint64_t m, uint64_t n, uint64_t k, uint64_t batch = 1) {
  Gemm gemm = RealGemm(m, n, k, batch);
  gemm.a = gemm.b = gemm.c = gemm.d = Dtype::kC64F64;
  return gemm;
}

TEST(Flops, GemmCountsMultiplyAndAddAsTwo) {
  // torch test/test_flop_counter.py asserts the first two; blaspp flops.hh gives the third.
  EXPECT_EQ(ExecutedFlop(RealGemm(4, 6, 5)), 240u);
  EXPECT_EQ(ExecutedFlop(RealGemm(8, 10, 9)), 1440u);
  EXPECT_EQ(ExecutedFlop(RealGemm(7, 7, 7)), 686u);
  EXPECT_EQ(ExecutedFlop(RealGemm(4096, 4096, 4096)), 137438953472u);
  EXPECT_EQ(ExecutedFlop(RealGemm(1024, 512, 64, 16)), 1073741824u);
  // DeepBench's V100 table: published time times published TFLOPS.
  EXPECT_EQ(ExecutedFlop(RealGemm(1760, 16, 1760)), 99123200u);
  // fvcore test_matmul: 80000 multiply-adds.
  EXPECT_EQ(ExecutedFlop(RealGemm(20, 100, 10, 4)), 160000u);
}

TEST(Flops, ComplexGemmIsFourRealOnes) {
  // blaspp flops.hh (LAPACK Working Note 41).
  EXPECT_EQ(ExecutedFlop(ComplexGemm(128, 64, 32)), 2097152u);
  EXPECT_EQ(ExecutedFlop(ComplexGemm(255, 1, 513)), 1046520u);
  EXPECT_EQ(ExecutedFlop(ComplexGemm(333, 17, 4096)), 185499648u);
}

TEST(Flops, ComplexIsDecidedByTheOutputOrElseByTheFirstOperand) {
  Gemm gemm = ComplexGemm(2, 3, 4);
  gemm.d = Dtype::kUnknown;
  EXPECT_EQ(ExecutedFlop(gemm), 8u * 24);
  gemm.a = Dtype::kUnknown;
  EXPECT_EQ(ExecutedFlop(gemm), 2u * 24);
}

TEST(Flops, GaussProductExecutesThreeRealOnesAndIsNoRecompute) {
  Gemm gemm = ComplexGemm(1000, 17, 333);
  gemm.gauss_3m = true;
  EXPECT_EQ(ExecutedFlop(gemm), 33966000u);
  EXPECT_EQ(ModelFlop(gemm), 33966000u);
  EXPECT_EQ(ConventionalFlop(gemm), 45288000u);
  gemm = ComplexGemm(1024, 1024, 1024);
  gemm.gauss_3m = true;
  EXPECT_EQ(ExecutedFlop(gemm), 6442450944u);
  EXPECT_EQ(ConventionalFlop(gemm), 8589934592u);
}

TEST(Flops, EmptyGemmsAreZero) {
  EXPECT_EQ(ExecutedFlop(RealGemm(0, 5, 5)), 0u);
  EXPECT_EQ(ExecutedFlop(RealGemm(5, 0, 5)), 0u);
  EXPECT_EQ(ExecutedFlop(RealGemm(5, 5, 0)), 0u);
  EXPECT_EQ(ExecutedFlop(RealGemm(5, 5, 5, 0)), 0u);
  EXPECT_EQ(ExecutedFlop(RealGemm(kMax, kMax, kMax, 0)), 0u);
  EXPECT_EQ(ExecutedFlop(RealGemm(kMax, kMax, 0)), 0u);
  EXPECT_EQ(ExecutedFlop(Gemm{}), 0u);
}

TEST(Flops, SaturateInsteadOfWrapping) {
  EXPECT_EQ(ExecutedFlop(RealGemm(kMax, 1, 1)), kMax);
  EXPECT_EQ(ExecutedFlop(RealGemm(uint64_t{1} << 32, uint64_t{1} << 31, 1)), kMax);
  EXPECT_EQ(ExecutedFlop(RealGemm(uint64_t{1} << 31, uint64_t{1} << 31, 1)), uint64_t{1} << 63);
  EXPECT_EQ(ExecutedFlop(RealGemm(kMax / 2, 1, 1)), kMax - 1);
  EXPECT_EQ(ExecutedFlop(ComplexGemm(kMax, kMax, kMax, kMax)), kMax);
}

Attention Square(uint64_t heads_q, uint64_t seq, uint64_t d, Mask mask) {
  Attention attention;
  attention.batch = 1;
  attention.heads_q = heads_q;
  attention.heads_kv = heads_q;
  attention.seq_q = attention.seq_k = seq;
  attention.head_dim_qk = attention.head_dim_v = d;
  attention.dtype = Dtype::kBf16;
  attention.mask = mask;
  return attention;
}

uint64_t PairsByHand(const Attention& attention) {
  const auto rows = static_cast<int64_t>(attention.seq_q);
  const auto keys = static_cast<int64_t>(attention.seq_k);
  uint64_t pairs = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const bool is_top_left =
        attention.mask == Mask::kCausalTopLeft || attention.mask == Mask::kWindowTopLeft;
    const bool is_causal =
        attention.mask == Mask::kCausalTopLeft || attention.mask == Mask::kCausalBottomRight;
    const int64_t diagonal = is_top_left ? row : row + keys - rows;
    for (int64_t key = 0; key < keys; ++key) {
      if (attention.mask == Mask::kUnknown) {
        ++pairs;
        continue;
      }
      if (is_causal && key > diagonal) continue;
      if (attention.window_left >= 0 && key < diagonal - attention.window_left) continue;
      if (attention.window_right >= 0 && key > diagonal + attention.window_right) continue;
      ++pairs;
    }
  }
  return pairs;
}

TEST(Flops, KeptPairsEqualACountOneByOne) {
  uint64_t cases = 0;
  for (const Mask mask : {Mask::kUnknown, Mask::kNone, Mask::kCausalTopLeft,
                          Mask::kCausalBottomRight, Mask::kWindowTopLeft}) {
    for (uint64_t rows = 0; rows <= 9; ++rows) {
      for (uint64_t keys = 0; keys <= 9; ++keys) {
        for (int64_t left = -1; left <= 11; ++left) {
          for (int64_t right = -1; right <= 11; ++right) {
            Attention attention = Square(1, 1, 1, mask);
            attention.seq_q = rows;
            attention.seq_k = keys;
            attention.window_left = left;
            attention.window_right = right;
            ASSERT_EQ(KeptPairs(attention), PairsByHand(attention))
                << "mask " << static_cast<int>(mask) << " " << rows << "x" << keys << " window "
                << left << "/" << right;
            ++cases;
          }
        }
      }
    }
  }
  EXPECT_EQ(cases, 5u * 10 * 10 * 13 * 13);
}

TEST(Flops, AlignmentOfTheMaskDecidesNonSquareAttention) {
  Attention decode = Square(32, 8192, 128, Mask::kCausalBottomRight);
  decode.heads_kv = 8;
  decode.seq_q = 1;
  EXPECT_EQ(ExecutedFlop(decode), 134217728u);
  decode.mask = Mask::kCausalTopLeft;
  EXPECT_EQ(ExecutedFlop(decode), 16384u);  // sees one key
}

TEST(Flops, CausalAttentionCountsTheTriangleWithItsDiagonal) {
  // cuDNN frontend's SDPA benchmark: 8 x 16 heads, 4096 squared, d 128.
  Attention attention = Square(16, 4096, 128, Mask::kCausalTopLeft);
  attention.batch = 8;
  EXPECT_EQ(ExecutedFlop(attention), 549890031616u);
  attention.pass = Pass::kBackward;
  EXPECT_EQ(ExecutedFlop(attention), 1374725079040u);
  // PyTorch's counter takes the full rectangle: torch test_flop_counter.py, test_sdpa.
  Attention pytorch = Square(8, 128, 64, Mask::kCausalTopLeft);
  pytorch.batch = 4;
  EXPECT_EQ(FullRectangleFlop(pytorch), 134217728u);
  EXPECT_EQ(ExecutedFlop(pytorch), 67633152u);
  pytorch.seq_k = 256;
  EXPECT_EQ(FullRectangleFlop(pytorch), 268435456u);
  EXPECT_EQ(ExecutedFlop(pytorch), 67633152u);
}

TEST(Flops, BackwardExecutesFiveProductsAndModelsFour) {
  Attention attention = Square(128, 4096, 192, Mask::kNone);
  attention.head_dim_v = 128;
  attention.pass = Pass::kBackward;
  EXPECT_EQ(ExecutedFlop(attention), 3573412790272u);
  EXPECT_EQ(ModelFlop(attention), 2748779069440u);
  attention.pass = Pass::kForward;
  EXPECT_EQ(2 * ModelFlop(attention), 2748779069440u);
  EXPECT_EQ(ModelFlop(attention), ExecutedFlop(attention));
}

TEST(Flops, WindowsKeepKeysBesideTheDiagonalOne) {
  Attention attention = Square(16, 1024, 128, Mask::kCausalBottomRight);
  attention.window_left = 255;
  EXPECT_EQ(KeptPairs(attention), 229504u);
  attention.window_left = 256;
  EXPECT_EQ(KeptPairs(attention), 230272u);
  attention.mask = Mask::kNone;
  attention.window_left = attention.window_right = 128;
  EXPECT_EQ(KeptPairs(attention), 246656u);
}

TEST(Flops, AttentionSaturatesAndIsZeroWhenEmpty) {
  Attention attention = Square(kMax, kMax, kMax, Mask::kNone);
  EXPECT_EQ(ExecutedFlop(attention), kMax);
  attention.batch = 0;
  EXPECT_EQ(ExecutedFlop(attention), 0u);
  EXPECT_EQ(ExecutedFlop(Attention{}), 0u);

  for (const Mask mask : {Mask::kCausalTopLeft, Mask::kCausalBottomRight}) {
    Attention triangle = Square(1, uint64_t{1} << 32, 1, mask);
    // s(s + 1) / 2 with s = 2^32 fits 64 bits although s(s + 1) does not.
    EXPECT_EQ(KeptPairs(triangle), (uint64_t{1} << 63) + (uint64_t{1} << 31));
    triangle = Square(1, kMax, 1, mask);
    EXPECT_EQ(KeptPairs(triangle), kMax);
    triangle.window_left = 0;
    EXPECT_EQ(KeptPairs(triangle), kMax);  // one key a row: exactly 2^64 - 1
    triangle.window_left = std::numeric_limits<int64_t>::max();
    EXPECT_EQ(KeptPairs(triangle), kMax);
    triangle = Square(1, 1, 1, mask);
    triangle.seq_q = kMax;
    EXPECT_EQ(KeptPairs(triangle), mask == Mask::kCausalTopLeft ? kMax : 1u);
  }
}

Convolution Conv2d(uint64_t batch, uint64_t c_in, uint64_t c_out, uint64_t in, uint64_t out,
                   uint64_t filter, uint64_t groups = 1) {
  Convolution convolution;
  convolution.batch = batch;
  convolution.c_in = c_in;
  convolution.c_out = c_out;
  convolution.groups = groups;
  convolution.in = {in, in, 1};
  convolution.out = {out, out, 1};
  convolution.filter = {filter, filter, 1};
  convolution.dtype = Dtype::kF16;
  return convolution;
}

TEST(Flops, ConvolutionCountsNominalTaps) {
  // torch's formula on ResNet layers; the groups are fvcore test_conv (162000 multiply-adds).
  EXPECT_EQ(ExecutedFlop(Conv2d(1, 64, 64, 56, 56, 3)), 231211008u);
  EXPECT_EQ(ExecutedFlop(Conv2d(32, 3, 64, 224, 112, 7)), 7552892928u);
  EXPECT_EQ(ExecutedFlop(Conv2d(5, 16, 8, 15, 15, 3, 8)), 324000u);
}

TEST(Flops, BothGradientsOfAConvolutionEqualItsForward) {
  Convolution depthwise = Conv2d(4, 256, 256, 28, 28, 3, 256);
  EXPECT_EQ(ExecutedFlop(depthwise), 14450688u);
  depthwise.direction = ConvDirection::kDataGradient;
  EXPECT_EQ(ExecutedFlop(depthwise), 14450688u);
  depthwise.direction = ConvDirection::kFilterGradient;
  EXPECT_EQ(ExecutedFlop(depthwise), 14450688u);
  EXPECT_EQ(ModelFlop(depthwise), 14450688u);
}

TEST(Flops, TransposedConvolutionCountsTapsPerInputPixel) {
  // torch test_flop_counter.py, test_conv_transpose: 4x4 input, 3 to 7 channels, 2x2 filter.
  Convolution transposed = Conv2d(1, 3, 7, 4, 5, 2);
  transposed.is_transposed = true;
  EXPECT_EQ(ExecutedFlop(transposed), 2688u);
}

TEST(Flops, ConvolutionSaturatesAndIsZeroWhenEmpty) {
  EXPECT_EQ(ExecutedFlop(Convolution{}), 0u);
  EXPECT_EQ(ExecutedFlop(Conv2d(1, 1, 1, 1, 1, 1, 0)), 0u);
  EXPECT_EQ(ExecutedFlop(Conv2d(kMax, 64, 64, 56, 56, 3)), kMax);
  EXPECT_EQ(ExecutedFlop(Conv2d(kMax, 64, 64, 56, 0, 3)), 0u);
}

}  // namespace
}  // namespace mfutrace::shapes
