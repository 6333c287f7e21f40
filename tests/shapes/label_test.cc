// Labels: the texts people read in tables, and what must and must not share one.
#include "shapes/label.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace mfutrace::shapes {
namespace {

template <typename Op>
std::string TextOf(const Op& op) {
  const Label label = LabelOf(op);
  return std::string(label.text());
}

std::string Bytes(uint64_t bytes) {
  const Label label = HumanBytes(bytes);
  return std::string(label.text());
}

Gemm Bf16Gemm() {
  Gemm gemm;
  gemm.m = 8192;
  gemm.n = 14336;
  gemm.k = 4096;
  gemm.a = gemm.b = gemm.c = gemm.d = Dtype::kBf16;
  gemm.accumulate = Dtype::kF32;
  return gemm;
}

TEST(Label, GemmGivesFormatAndSizesInTheCallersOrder) {
  EXPECT_EQ(TextOf(Bf16Gemm()), "gemm bf16 8192x14336x4096");
}

TEST(Label, GemmGivesBatchLayoutAndArithmeticWhereTheyMatter) {
  Gemm gemm;
  gemm.m = gemm.n = gemm.k = 64;
  gemm.batch = 12;
  gemm.a = gemm.b = gemm.c = gemm.d = Dtype::kF32;
  gemm.math = MathMode::kTf32;
  gemm.op_a = Transpose::kYes;
  gemm.op_b = Transpose::kNo;
  EXPECT_EQ(TextOf(gemm), "gemm f32(tf32) 64x64x64 b12 TN");
  gemm.op_b = Transpose::kUnknown;
  EXPECT_EQ(TextOf(gemm), "gemm f32(tf32) 64x64x64 b12");
}

TEST(Label, GemmsOfDifferentArithmeticDoNotShareALabel) {
  Gemm gemm = Bf16Gemm();
  gemm.d = Dtype::kF32;
  EXPECT_EQ(TextOf(gemm), "gemm bf16>f32 8192x14336x4096");
  gemm = Bf16Gemm();
  gemm.a = Dtype::kF8E4M3;
  gemm.b = Dtype::kF8E5M2;
  EXPECT_EQ(TextOf(gemm), "gemm f8_e4m3*f8_e5m2>bf16 8192x14336x4096");
  gemm = Bf16Gemm();
  gemm.a = gemm.b = gemm.d = gemm.accumulate = Dtype::kF16;
  EXPECT_EQ(TextOf(gemm), "gemm f16(acc16) 8192x14336x4096");
  gemm = Bf16Gemm();
  gemm.a = gemm.b = gemm.d = Dtype::kC32F32;
  gemm.gauss_3m = true;
  EXPECT_EQ(TextOf(gemm), "gemm c32 8192x14336x4096 3m");
}

TEST(Label, AttentionGivesHeadsSequencesAndMask) {
  Attention attention;
  attention.batch = 2;
  attention.heads_q = 32;
  attention.heads_kv = 8;
  attention.seq_q = attention.seq_k = 4096;
  attention.head_dim_qk = attention.head_dim_v = 128;
  attention.dtype = Dtype::kBf16;
  attention.mask = Mask::kCausalTopLeft;
  EXPECT_EQ(TextOf(attention), "sdpa bf16 b2 h32/8 s4096 d128 causal");
  attention.mask = Mask::kCausalBottomRight;
  EXPECT_EQ(TextOf(attention), "sdpa bf16 b2 h32/8 s4096 d128 causal");
  attention.seq_q = 1;
  attention.window_left = 127;
  EXPECT_EQ(TextOf(attention), "sdpa bf16 b2 h32/8 s1/4096 d128 causal-br w127");
  attention.mask = Mask::kNone;
  attention.pass = Pass::kBackward;
  attention.heads_kv = 32;
  attention.head_dim_v = 64;
  EXPECT_EQ(TextOf(attention), "sdpa bwd bf16 b2 h32 s1/4096 d128/64 full w127/inf");
  attention.mask = Mask::kWindowTopLeft;
  attention.window_right = 5;
  EXPECT_EQ(TextOf(attention), "sdpa bwd bf16 b2 h32 s1/4096 d128/64 band-tl w127/5");
  attention.mask = Mask::kUnknown;
  EXPECT_EQ(TextOf(attention), "sdpa bwd bf16 b2 h32 s1/4096 d128/64 mask?");
}

TEST(Label, ScaledProductsGoByTheNameOfTheirRecipe) {
  Gemm gemm;
  gemm.m = 128;
  gemm.n = 64;
  gemm.k = 32;
  gemm.a = gemm.b = Dtype::kF8E4M3;
  gemm.d = Dtype::kBf16;
  gemm.accumulate = Dtype::kF32;
  gemm.scale_a = gemm.scale_b = ScaleMode::kScalar;
  EXPECT_EQ(TextOf(gemm), "gemm f8_e4m3>bf16 128x64x32");
  gemm.scale_a = ScaleMode::kVec32Ue8m0;
  EXPECT_EQ(TextOf(gemm), "gemm f8_e4m3(mxfp8)>bf16 128x64x32");
  gemm.scale_a = ScaleMode::kOuterVec;
  EXPECT_EQ(TextOf(gemm), "gemm f8_e4m3(rowwise)>bf16 128x64x32");
  gemm.scale_a = ScaleMode::kBlock128x128;
  EXPECT_EQ(TextOf(gemm), "gemm f8_e4m3(block128)>bf16 128x64x32");
  gemm.scale_a = ScaleMode::kUnknown;
  EXPECT_EQ(TextOf(gemm), "gemm f8_e4m3(scale?)>bf16 128x64x32");
  gemm.a = gemm.b = Dtype::kF4E2M1;
  gemm.scale_a = ScaleMode::kVec16Ue4m3;
  EXPECT_EQ(TextOf(gemm), "gemm f4_e2m1(nvfp4)>bf16 128x64x32");
  gemm.scale_a = ScaleMode::kVec32Ue8m0;
  EXPECT_EQ(TextOf(gemm), "gemm f4_e2m1(mxfp4)>bf16 128x64x32");
}

TEST(Label, ConvolutionGivesBothMapsAndTheFilter) {
  Convolution convolution;
  convolution.batch = 32;
  convolution.c_in = 3;
  convolution.c_out = 64;
  convolution.in = {224, 224, 1};
  convolution.filter = {7, 7, 1};
  convolution.out = {112, 112, 1};
  convolution.dtype = Dtype::kF16;
  EXPECT_EQ(TextOf(convolution), "conv fwd f16 b32 3x224x224 > 64x112x112 f7x7");
  convolution.direction = ConvDirection::kFilterGradient;
  convolution.groups = 3;
  EXPECT_EQ(TextOf(convolution), "conv wgrad f16 b32 3x224x224 > 64x112x112 f7x7 g3");
  convolution.is_transposed = true;
  convolution.direction = ConvDirection::kDataGradient;
  EXPECT_EQ(TextOf(convolution), "convt dgrad f16 b32 3x224x224 > 64x112x112 f7x7 g3");
}

TEST(Label, CollectivesGiveTheWholeBuffer) {
  Collective collective;
  collective.kind = CollectiveKind::kAllReduce;
  collective.dtype = Dtype::kBf16;
  collective.count = uint64_t{256} << 20;
  collective.rank_count = 8;
  EXPECT_EQ(TextOf(collective), "allreduce bf16 512 MiB");
  collective.kind = CollectiveKind::kAllGather;
  EXPECT_EQ(TextOf(collective), "allgather bf16 4 GiB");
  collective.rank_count = 0;
  EXPECT_EQ(TextOf(collective), "allgather bf16 count 268435456");
}

TEST(Label, LongTextIsCutAndNotWrittenBeyond) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  Convolution convolution;
  convolution.batch = convolution.c_in = convolution.c_out = kMax;
  convolution.in = convolution.filter = convolution.out = {kMax, kMax, kMax};
  const Label label = LabelOf(convolution);
  EXPECT_EQ(label.size, label.chars.size());
}

TEST(Label, BytesAreBinaryWithOneDecimalAtMost) {
  EXPECT_EQ(Bytes(0), "0 B");
  EXPECT_EQ(Bytes(17), "17 B");
  EXPECT_EQ(Bytes(1023), "1023 B");
  EXPECT_EQ(Bytes(1024), "1 KiB");
  EXPECT_EQ(Bytes(1536), "1.5 KiB");
  EXPECT_EQ(Bytes(uint64_t{512} << 20), "512 MiB");
  EXPECT_EQ(Bytes((uint64_t{1} << 30) * 3 / 2), "1.5 GiB");
  EXPECT_EQ(Bytes((uint64_t{1} << 20) - 1), "1 MiB");  // not "1024 KiB"
  EXPECT_EQ(Bytes(std::numeric_limits<uint64_t>::max()), "16 EiB");
}

}  // namespace
}  // namespace mfutrace::shapes
