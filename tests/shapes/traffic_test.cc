// Least bytes and collective sizes against public numbers.
#include "shapes/traffic.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>

namespace mfutrace::shapes {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

Gemm GemmOf(uint64_t m, uint64_t n, uint64_t k, uint64_t batch, Dtype a, Dtype b, Dtype d) {
  Gemm gemm;
  gemm.m = m;
  gemm.n = n;
  gemm.k = k;
  gemm.batch = batch;
  gemm.a = a;
  gemm.b = b;
  gemm.c = gemm.d = d;
  gemm.beta = BetaUse::kZero;
  return gemm;
}

TEST(Traffic, GemmReadsEachOperandOnce) {
  // CUTLASS profiler, beta = 0.
  constexpr Dtype kF16 = Dtype::kF16;
  EXPECT_EQ(LeastBytes(GemmOf(4096, 4096, 4096, 1, kF16, kF16, kF16)), 100663296u);
  EXPECT_EQ(LeastBytes(GemmOf(1024, 512, 64, 16, kF16, kF16, kF16)), 19922944u);
  EXPECT_EQ(LeastBytes(GemmOf(8192, 8192, 8192, 1, Dtype::kF8E4M3, Dtype::kF8E4M3, Dtype::kBf16)),
            268435456u);
  EXPECT_EQ(LeastBytes(GemmOf(8192, 8192, 8192, 1, Dtype::kF4E2M1, Dtype::kF4E2M1, Dtype::kBf16)),
            201326592u);
}

TEST(Traffic, GemmReadsCOnlyForANonzeroBeta) {
  // blaspp flops.hh counts C read and written.
  Gemm gemm = GemmOf(128, 64, 32, 1, Dtype::kF64, Dtype::kF64, Dtype::kF64);
  gemm.beta = BetaUse::kNonzero;
  EXPECT_EQ(LeastBytes(gemm), 180224u);
  gemm.beta = BetaUse::kZero;
  EXPECT_EQ(LeastBytes(gemm), 180224u - 128 * 64 * 8);
  gemm.beta = BetaUse::kUnknown;
  EXPECT_EQ(LeastBytes(gemm), 180224u - 128 * 64 * 8);
  gemm = GemmOf(1000, 17, 333, 1, Dtype::kC64F64, Dtype::kC64F64, Dtype::kC64F64);
  gemm.beta = BetaUse::kNonzero;
  EXPECT_EQ(LeastBytes(gemm), 5962576u);
}

TEST(Traffic, BroadcastOperandsCountOnce) {
  Gemm gemm = GemmOf(10, 20, 30, 7, Dtype::kI8, Dtype::kI8, Dtype::kI8);
  EXPECT_EQ(LeastBytes(gemm), 7u * (300 + 600 + 200));
  gemm.b_is_broadcast = true;
  EXPECT_EQ(LeastBytes(gemm), 7u * (300 + 200) + 600);
  gemm.a_is_broadcast = true;
  EXPECT_EQ(LeastBytes(gemm), 7u * 200 + 300 + 600);
}

TEST(Traffic, HalfBytesAreRoundedUpPerOperand) {
  EXPECT_EQ(LeastBytes(GemmOf(1, 1, 3, 1, Dtype::kI4, Dtype::kI4, Dtype::kI32)), 2u + 2 + 4);
}

TEST(Traffic, UnknownFormatsHaveNoBytes) {
  Gemm gemm = GemmOf(4, 4, 4, 1, Dtype::kF16, Dtype::kUnknown, Dtype::kF16);
  EXPECT_EQ(LeastBytes(gemm), std::nullopt);
  gemm.b = Dtype::kF16;
  gemm.c = Dtype::kUnknown;
  EXPECT_EQ(LeastBytes(gemm), 96u);
  gemm.beta = BetaUse::kNonzero;
  EXPECT_EQ(LeastBytes(gemm), std::nullopt);
  EXPECT_EQ(LeastBytes(Attention{}), std::nullopt);
  EXPECT_EQ(LeastBytes(Convolution{}), std::nullopt);
}

TEST(Traffic, EmptyProblemsMoveNothingAndHugeOnesSaturate) {
  EXPECT_EQ(LeastBytes(GemmOf(0, 8, 8, 1, Dtype::kF16, Dtype::kF16, Dtype::kF16)), 0u);
  EXPECT_EQ(LeastBytes(GemmOf(8, 8, 8, 0, Dtype::kF16, Dtype::kF16, Dtype::kF16)), 0u);
  // k = 0 still writes D.
  EXPECT_EQ(LeastBytes(GemmOf(8, 8, 0, 1, Dtype::kF16, Dtype::kF16, Dtype::kF16)), 128u);
  EXPECT_EQ(LeastBytes(GemmOf(kMax, kMax, 1, 1, Dtype::kF64, Dtype::kF64, Dtype::kF64)), kMax);
}

TEST(Traffic, ScalesOfBlocksCountBesideTheirOperands) {
  // 4096 x 8192 x 2048 in NVFP4: 2048/16 = 128 scales of a byte for each of the 4096 + 8192 rows
  // and columns; elements take half a byte; D is bf16.
  Gemm gemm = GemmOf(4096, 8192, 2048, 1, Dtype::kF4E2M1, Dtype::kF4E2M1, Dtype::kBf16);
  const uint64_t plain = (4096u + 8192u) * 1024 + 4096u * 8192 * 2;
  EXPECT_EQ(LeastBytes(gemm), plain);
  gemm.scale_a = gemm.scale_b = ScaleMode::kVec16Ue4m3;
  EXPECT_EQ(LeastBytes(gemm), plain + (4096 + 8192) * 128);
  // MXFP8, k that fills no whole block: 100/32 is four blocks.
  gemm = GemmOf(48, 80, 100, 3, Dtype::kF8E4M3, Dtype::kF8E5M2, Dtype::kF16);
  gemm.scale_a = gemm.scale_b = ScaleMode::kVec32Ue8m0;
  EXPECT_EQ(LeastBytes(gemm), 3u * (4800 + 8000 + 48 * 80 * 2 + 48 * 4 + 80 * 4));
  // One A for the whole batch has one set of scales.
  gemm.a_is_broadcast = true;
  EXPECT_EQ(LeastBytes(gemm), 4800u + 48 * 4 + 3u * (8000 + 48 * 80 * 2 + 80 * 4));
  // D in FP8 with scales along its columns of 48: two blocks each.
  gemm.d = Dtype::kF8E4M3;
  gemm.scale_d = ScaleMode::kVec32Ue8m0;
  EXPECT_EQ(LeastBytes(gemm), 4800u + 48 * 4 + 3u * (8000 + 48 * 80 + 80 * 4 + 80 * 2));
}

TEST(Traffic, ScalesInF32) {
  Gemm gemm = GemmOf(300, 200, 500, 2, Dtype::kF8E4M3, Dtype::kF8E4M3, Dtype::kBf16);
  const uint64_t plain = 2u * (300 * 500 + 500 * 200 + 300 * 200 * 2);
  const auto with = [&](ScaleMode a, ScaleMode b) {
    gemm.scale_a = a;
    gemm.scale_b = b;
    return LeastBytes(gemm).value_or(0) - plain;
  };
  EXPECT_EQ(with(ScaleMode::kNone, ScaleMode::kNone), 0u);
  EXPECT_EQ(with(ScaleMode::kScalar, ScaleMode::kScalar), 8u);
  EXPECT_EQ(with(ScaleMode::kPerBatchScalar, ScaleMode::kScalar), 12u);
  EXPECT_EQ(with(ScaleMode::kOuterVec, ScaleMode::kOuterVec), 2u * 4 * (300 + 200));
  // 500/128 = 4 blocks along k; 300/128 = 3 and 200/128 = 2 across.
  EXPECT_EQ(with(ScaleMode::kVec128, ScaleMode::kBlock128x128), 2u * 4 * (300 * 4 + 2 * 4));
  EXPECT_EQ(with(ScaleMode::kBlock128x128, ScaleMode::kVec128), 2u * 4 * (3 * 4 + 200 * 4));
  gemm.scale_b = ScaleMode::kUnknown;
  EXPECT_EQ(LeastBytes(gemm), std::nullopt);
}

TEST(Traffic, EpiloguesReadABiasAndStoreTheirAuxiliaryMatrix) {
  Gemm gemm = GemmOf(100, 70, 30, 2, Dtype::kBf16, Dtype::kBf16, Dtype::kBf16);
  const uint64_t plain = 2u * 2 * (3000 + 2100 + 7000);
  gemm.epilogue = 4;  // BIAS
  gemm.bias = Dtype::kF32;
  EXPECT_EQ(LeastBytes(gemm), plain + 400);
  gemm.epilogue = 32 | 128 | 4;  // GELU_AUX_BIAS
  gemm.aux = Dtype::kBf16;
  EXPECT_EQ(LeastBytes(gemm), plain + 400 + 2 * 14000);
  gemm.epilogue = 2 | 128;  // RELU_AUX: 100 bits a column, in 13 bytes
  gemm.bias = Dtype::kUnknown;
  gemm.aux = Dtype::kBool;
  EXPECT_EQ(LeastBytes(gemm), plain + 2u * 70 * 13);
  gemm.epilogue = 512;  // BGRADB: one for each column of D
  gemm.bias = Dtype::kBf16;
  gemm.aux = Dtype::kUnknown;
  EXPECT_EQ(LeastBytes(gemm), plain + 140);
  gemm.epilogue = 0;
  gemm.bias_is_along_n = true;
  EXPECT_EQ(LeastBytes(gemm), plain + 140);
}

TEST(Traffic, AttentionReadsKeysAndValuesWithTheirOwnHeads) {
  Attention decode;
  decode.batch = 1;
  decode.heads_q = 32;
  decode.heads_kv = 8;
  decode.seq_q = 1;
  decode.seq_k = 8192;
  decode.head_dim_qk = decode.head_dim_v = 128;
  decode.dtype = Dtype::kBf16;
  decode.mask = Mask::kCausalBottomRight;
  EXPECT_EQ(LeastBytes(decode), 33570816u);
  decode.writes_logsumexp = true;
  EXPECT_EQ(LeastBytes(decode), 33570816u + 32 * 4);
  decode.pass = Pass::kBackward;
  decode.mask = Mask::kCausalTopLeft;
  EXPECT_EQ(LeastBytes(decode), 67141760u);
}

TEST(Traffic, AbsorbedLatentAttentionReadsItsKeysOnce) {
  Attention decode;
  decode.batch = 1;
  decode.heads_q = 128;
  decode.heads_kv = 1;
  decode.seq_q = 1;
  decode.seq_k = 4096;
  decode.head_dim_qk = 576;
  decode.head_dim_v = 512;
  decode.dtype = Dtype::kBf16;
  EXPECT_EQ(LeastBytes(decode), 9191424u);
  decode.v_is_view_of_k = true;
  EXPECT_EQ(LeastBytes(decode), 9191424u - 4096 * 512 * 2);
}

TEST(Traffic, ConvolutionMovesThreeTensors) {
  // 3x3 image, 3x3 filter, one channel, two bytes an element: 27 elements.
  Convolution convolution;
  convolution.batch = convolution.c_in = convolution.c_out = 1;
  convolution.in = convolution.filter = convolution.out = {3, 3, 1};
  convolution.dtype = Dtype::kF16;
  EXPECT_EQ(LeastBytes(convolution), 54u);
  convolution.direction = ConvDirection::kFilterGradient;
  EXPECT_EQ(LeastBytes(convolution), 54u);
  convolution.dtype = Dtype::kTf32;  // rounded on the way in, stored as f32
  EXPECT_EQ(LeastBytes(convolution), 108u);
}

Collective CollectiveOf(CollectiveKind kind, uint64_t count, Dtype dtype, uint32_t rank_count) {
  Collective collective;
  collective.kind = kind;
  collective.count = count;
  collective.dtype = dtype;
  collective.rank_count = rank_count;
  return collective;
}

TEST(Traffic, CollectiveSizesAreThoseOfNcclTests) {
  using Kind = CollectiveKind;
  // nccl-tests: size, bus bytes, additions of all ranks.
  const Collective all_reduce = CollectiveOf(Kind::kAllReduce, 67108864, Dtype::kBf16, 4);
  EXPECT_EQ(AlgorithmBytes(all_reduce), 134217728u);
  EXPECT_EQ(BusBytes(all_reduce), 201326592u);
  EXPECT_EQ(ReductionAdds(all_reduce), 201326592u);
  const Collective gather = CollectiveOf(Kind::kAllGather, 932067, Dtype::kF16, 72);
  EXPECT_EQ(AlgorithmBytes(gather), 134217648u);
  EXPECT_EQ(BusBytes(gather), 132353514u);
  EXPECT_EQ(ReductionAdds(gather), 0u);
  const Collective scatter = CollectiveOf(Kind::kReduceScatter, 932067, Dtype::kF16, 72);
  EXPECT_EQ(BusBytes(scatter), 132353514u);
  EXPECT_EQ(ReductionAdds(scatter), 4764726504u);
  const Collective send = CollectiveOf(Kind::kSend, 1048576, Dtype::kF32, 8);
  EXPECT_EQ(AlgorithmBytes(send), 4194304u);
  EXPECT_EQ(BusBytes(send), 4194304u);
}

TEST(Traffic, ASingleRankMovesNothingOverTheBus) {
  EXPECT_EQ(BusBytes(CollectiveOf(CollectiveKind::kAllReduce, 1048576, Dtype::kF32, 1)), 0u);
}

TEST(Traffic, UnknownCollectivesStayUnknown) {
  using Kind = CollectiveKind;
  EXPECT_EQ(AlgorithmBytes(CollectiveOf(Kind::kUnknown, 8, Dtype::kF32, 2)), std::nullopt);
  EXPECT_EQ(AlgorithmBytes(CollectiveOf(Kind::kAllReduce, 8, Dtype::kUnknown, 2)), std::nullopt);
  EXPECT_EQ(AlgorithmBytes(CollectiveOf(Kind::kAllReduce, 8, Dtype::kF32, 0)), 32u);
  EXPECT_EQ(BusBytes(CollectiveOf(Kind::kAllReduce, 8, Dtype::kF32, 0)), std::nullopt);
  EXPECT_EQ(AlgorithmBytes(CollectiveOf(Kind::kAllGather, 8, Dtype::kF32, 0)), std::nullopt);
  EXPECT_EQ(ReductionAdds(CollectiveOf(Kind::kReduce, 8, Dtype::kF32, 0)), std::nullopt);
  EXPECT_EQ(ReductionAdds(CollectiveOf(Kind::kUnknown, 8, Dtype::kF32, 2)), std::nullopt);
}

TEST(Traffic, CollectivesSaturate) {
  const Collective huge = CollectiveOf(CollectiveKind::kAllReduce, kMax, Dtype::kF64, 1u << 20);
  EXPECT_EQ(AlgorithmBytes(huge), kMax);
  EXPECT_EQ(BusBytes(huge), kMax);
  EXPECT_EQ(ReductionAdds(huge), kMax);
}

}  // namespace
}  // namespace mfutrace::shapes
