// What NVIDIA's cuDNN 9.19 wrote about its plans (reference graphs), and graphs made by hand in the
// same form: the decoded operation must have the FLOPs that the dimensions say, counted here.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "shapes/flops.h"
#include "shapes/traffic.h"
#include "tests/interpose/cudnn/graph_text.h"

namespace mfutrace::interpose {
namespace {

using shapes::Attention;
using shapes::ConvDirection;
using shapes::Dtype;
using shapes::ExecutedFlop;
using shapes::Gemm;
using shapes::LeastBytes;
using shapes::Mask;
using shapes::ModelFlop;
using shapes::Pass;
using shapes::Provenance;
using Kind = CudnnOperation::Kind;

struct Resolved {
  Attention attention;
  Provenance provenance = Provenance::kNone;
  bool has_lengths = false;
};
Resolved Resolve(const CudnnOperation& operation, const TestPack& pack = {}) {
  Resolved resolved;
  resolved.provenance =
      ResolveCudnnAttention(operation, pack.pack(), &resolved.attention, &resolved.has_lengths);
  return resolved;
}

// The reference graphs were all made with these sizes (b = 4, 16 query heads, 4 key heads, 1024
// tokens, 128 wide), except for the convolutions and the decode step.
constexpr uint64_t kReferenceHeads = 4 * 16;
bool Causal(int64_t query, int64_t key) { return key <= query; }

class Reference : public testing::Test {
 protected:
  const CudnnOperation* Load(const std::string& name) {
    const auto text = ReferenceGraph(name);
    if (!text) return nullptr;
    decoded_ = DecodeText(*text);
    EXPECT_TRUE(decoded_.is_readable);
    EXPECT_EQ(decoded_.work.count, 1u);
    return &decoded_.work.operations[0];
  }
  Decoded decoded_;
};
#define LOAD_OR_SKIP(operation, name)                                                      \
  const CudnnOperation* const operation = Load(name);                                      \
  if (operation == nullptr) {                                                              \
    GTEST_SKIP() << "no reference graph json_" << name << ".json under " << MFU_SHARED_DIR \
                 << "/experiments";                                                        \
  }

TEST_F(Reference, ConvolutionForward) {
  LOAD_OR_SKIP(operation, "conv_fprop");
  ASSERT_EQ(operation->kind, Kind::kConvolution);
  EXPECT_EQ(operation->provenance, Provenance::kExact);
  EXPECT_EQ(operation->convolution.direction, ConvDirection::kForward);
  EXPECT_EQ(operation->convolution.dtype, Dtype::kF16);
  // 16 images of 64 x 64 pixels, 128 -> 256 channels, 3 x 3 taps.
  EXPECT_EQ(ExecutedFlop(operation->convolution), 2ull * 16 * 256 * 64 * 64 * 128 * 3 * 3);
}

TEST_F(Reference, ConvolutionDataGradient) {
  LOAD_OR_SKIP(operation, "conv_dgrad");
  ASSERT_EQ(operation->kind, Kind::kConvolution);
  EXPECT_EQ(operation->convolution.direction, ConvDirection::kDataGradient);
  EXPECT_EQ(operation->convolution.c_in, 128u);
  EXPECT_EQ(operation->convolution.c_out, 256u);
  EXPECT_EQ(ExecutedFlop(operation->convolution), 2ull * 16 * 256 * 64 * 64 * 128 * 3 * 3);
}

TEST_F(Reference, AttentionWithoutMask) {
  LOAD_OR_SKIP(operation, "sdpa_full");
  ASSERT_EQ(operation->kind, Kind::kAttention);
  const Resolved run = Resolve(*operation);
  EXPECT_EQ(run.provenance, Provenance::kExact);
  EXPECT_EQ(run.attention.mask, Mask::kNone);
  EXPECT_EQ(run.attention.heads_kv, 4u);
  EXPECT_EQ(run.attention.dtype, Dtype::kBf16);
  EXPECT_TRUE(run.attention.writes_logsumexp);
  EXPECT_FALSE(decoded_.work.needs_pack);
  EXPECT_EQ(ExecutedFlop(run.attention), 2ull * kReferenceHeads * 1024 * 1024 * (128 + 128));
}

TEST_F(Reference, CausalAttention) {
  LOAD_OR_SKIP(operation, "sdpa_causal");
  ASSERT_EQ(operation->kind, Kind::kAttention);
  const Resolved run = Resolve(*operation);
  EXPECT_EQ(run.provenance, Provenance::kExact);
  EXPECT_EQ(run.attention.mask, Mask::kCausalTopLeft);
  EXPECT_EQ(run.attention.heads_q, 16u);
  EXPECT_EQ(run.attention.heads_kv, 4u);
  EXPECT_TRUE(run.attention.writes_logsumexp);
  const uint64_t pairs = CountPairs(1024, 1024, Causal);
  EXPECT_EQ(ExecutedFlop(run.attention), 2 * kReferenceHeads * pairs * (128 + 128));
}

TEST_F(Reference, WindowComesFromTheVariantPack) {
  LOAD_OR_SKIP(operation, "sdpa_causal_swa256");
  ASSERT_EQ(operation->kind, Kind::kAttention);
  EXPECT_TRUE(decoded_.work.needs_pack);
  for (const int width : {256, 1, 5000}) {
    const Resolved run = Resolve(*operation, TestPack().Float(14, static_cast<float>(width)));
    EXPECT_EQ(run.provenance, Provenance::kExact);
    const uint64_t pairs = CountPairs(1024, 1024, [width](int64_t query, int64_t key) {
      return key <= query && key + width > query;
    });
    EXPECT_EQ(ExecutedFlop(run.attention), 2 * kReferenceHeads * pairs * (128 + 128)) << width;
  }
  EXPECT_EQ(Resolve(*operation).provenance, Provenance::kBound) << "width not known";
}

TEST_F(Reference, LengthsOfSequencesAreOnTheDevice) {
  for (const std::string name : {"sdpa_causal_varlen", "sdpa_ragged"}) {
    LOAD_OR_SKIP(operation, name);
    ASSERT_EQ(operation->kind, Kind::kAttention);
    const Resolved run = Resolve(*operation);
    EXPECT_EQ(run.provenance, Provenance::kBound) << name;
    EXPECT_TRUE(run.has_lengths) << name;
    EXPECT_EQ(run.attention.mask, Mask::kCausalTopLeft) << name;
    EXPECT_EQ(operation->mask.queries.uid, 11) << name;
    EXPECT_EQ(operation->mask.keys.uid, 12) << name;
    EXPECT_FALSE(operation->mask.keys.is_wide);
    EXPECT_FALSE(operation->mask.keys.is_offsets);
    // All sequences as long as they can be.
    const uint64_t pairs = CountPairs(1024, 1024, Causal);
    EXPECT_EQ(ExecutedFlop(run.attention), 2 * kReferenceHeads * pairs * (128 + 128)) << name;
  }
}

TEST_F(Reference, PagedDecodeStep) {
  LOAD_OR_SKIP(operation, "sdpa_paged_decode");
  ASSERT_EQ(operation->kind, Kind::kAttention);
  const Resolved run = Resolve(*operation);
  EXPECT_EQ(run.provenance, Provenance::kBound);
  EXPECT_TRUE(run.has_lengths);
  EXPECT_EQ(operation->mask.keys.uid, 12);
  // One query a sequence, up to 16 pages of 64 keys.
  EXPECT_EQ(ExecutedFlop(run.attention), 2ull * 4 * 16 * 1 * (16 * 64) * (128 + 128));
  EXPECT_FALSE(run.attention.writes_logsumexp);
}

TEST_F(Reference, CausalBackward) {
  LOAD_OR_SKIP(operation, "sdpa_bwd_causal");
  ASSERT_EQ(operation->kind, Kind::kAttention);
  const Resolved run = Resolve(*operation);
  EXPECT_EQ(run.provenance, Provenance::kExact);
  EXPECT_EQ(run.attention.pass, Pass::kBackward);
  EXPECT_EQ(run.attention.mask, Mask::kCausalTopLeft);
  EXPECT_EQ(run.attention.heads_kv, 4u);
  const uint64_t pairs = CountPairs(1024, 1024, Causal);
  // Five products: S, dP, dV, dQ, dK.
  EXPECT_EQ(ExecutedFlop(run.attention), 2 * kReferenceHeads * pairs * 5 * 128);
  EXPECT_EQ(ModelFlop(run.attention), 2 * kReferenceHeads * pairs * 4 * 128);
}

// --- by hand ------------------------------------------------------------------------------------

TEST(CudnnGraphByHand, MatmulWithBroadcastOperandAndEpilogue) {
  GraphText graph;
  GraphText::TensorOptions result;
  result.dtype = "HALF";
  graph.Tensor("1", {6, 70, 30})
      .Tensor("2", {1, 30, 50})
      .Virtual("3", {6, 70, 50})
      .Tensor("4", {1, 1, 50})
      .Tensor("5", {6, 70, 50}, result)
      .Node("MATMUL", R"("matA":"1","matB":"2","matC":"3")")
      .Pointwise("ADD", R"("X":"3","B":"4","Y":"5")");
  const Decoded decoded = DecodePlan(graph.plan_text());
  ASSERT_TRUE(decoded.is_readable);
  ASSERT_EQ(decoded.work.count, 1u);
  const CudnnOperation& operation = decoded.work.operations[0];
  ASSERT_EQ(operation.kind, Kind::kGemm);
  EXPECT_EQ(operation.provenance, Provenance::kExact);
  EXPECT_EQ(operation.gemm.m, 70u);
  EXPECT_EQ(operation.gemm.n, 50u);
  EXPECT_EQ(operation.gemm.k, 30u);
  EXPECT_EQ(operation.gemm.batch, 6u);
  EXPECT_FALSE(operation.gemm.a_is_broadcast);
  EXPECT_TRUE(operation.gemm.b_is_broadcast);
  EXPECT_EQ(operation.gemm.a, Dtype::kBf16);
  EXPECT_EQ(operation.gemm.d, Dtype::kF16);
  EXPECT_EQ(operation.gemm.accumulate, Dtype::kF32);
  EXPECT_EQ(ExecutedFlop(operation.gemm), 2ull * 6 * 70 * 50 * 30);
  // Both operands, the bias of 50 elements and the result.
  EXPECT_EQ(LeastBytes(operation.gemm), 2u * (6 * 70 * 30 + 30 * 50 + 50 + 6 * 70 * 50));
}

TEST(CudnnGraphByHand, WhatAnEpilogueReadsAndWritesIsInTheBytes) {
  GraphText::TensorOptions wide;
  wide.dtype = "FLOAT";
  GraphText graph;  // D = gelu(A B + C + a number a row), kept before and after gelu
  graph.Tensor("1", {6, 70, 30})
      .Tensor("2", {6, 30, 50})
      .Virtual("3", {6, 70, 50})
      .Tensor("4", {6, 70, 50}, wide)
      .Virtual("5", {6, 70, 50})
      .Tensor("6", {1, 70, 1})
      .Tensor("7", {6, 70, 50})
      .Tensor("8", {6, 70, 50})
      .Node("MATMUL", R"("matA":"1","matB":"2","matC":"3")")
      .Pointwise("ADD", R"("X":"3","B":"4","Y":"5")")
      .Pointwise("ADD", R"("X":"5","B":"6","Y":"7")")
      .Pointwise("GELU_FWD", R"("X":"7","Y":"8")");
  const Decoded decoded = DecodePlan(graph.plan_text());
  ASSERT_EQ(decoded.work.count, 1u);
  EXPECT_EQ(LeastBytes(decoded.work.operations[0].gemm),
            2u * (6 * 70 * 30 + 6 * 30 * 50 + 70 + 2 * 6 * 70 * 50) + 4u * 6 * 70 * 50);
}

TEST(CudnnGraphByHand, RowsOfExpertsAddUpHoweverTheyAreSpread) {
  CudnnOperation operation;
  for (const uint64_t experts : {1u, 3u, 5u, 91u}) {
    for (const bool rows_are_k : {false, true}) {
      operation.gemm = {};
      operation.gemm.m = 90;
      operation.gemm.n = 72;
      operation.gemm.k = 90;
      operation.experts = experts;
      operation.rows_are_k = rows_are_k;
      Gemm parts[2];
      uint64_t counts[2] = {};
      const uint32_t made = SpreadOverExperts(operation, parts, counts);
      uint64_t flop = 0, all = 0;
      for (uint32_t i = 0; i < made; ++i) {
        flop += counts[i] * ExecutedFlop(parts[i]);
        all += counts[i];
      }
      EXPECT_EQ(all, experts);
      EXPECT_EQ(flop, 2u * 90 * 72 * 90);
    }
  }
}

TEST(CudnnGraphByHand, BlockScaledOperandsCountInTheirStoredFormat) {
  GraphText graph;
  GraphText::TensorOptions fp8;
  fp8.dtype = "FP8_E4M3";
  GraphText::TensorOptions scale;
  scale.dtype = "FP8_E8M0";
  graph.Tensor("1", {1, 128, 64}, fp8)
      .Tensor("2", {1, 64, 256}, fp8)
      .Tensor("3", {1, 128, 2}, scale)
      .Tensor("4", {1, 2, 256}, scale)
      .Virtual("5", {1, 128, 64})
      .Virtual("6", {1, 64, 256})
      .Tensor("7", {1, 128, 256})
      .Node("BLOCK_SCALE_DEQUANTIZE", R"("X":"1","scale":"3","Y":"5")")
      .Node("BLOCK_SCALE_DEQUANTIZE", R"("X":"2","scale":"4","Y":"6")")
      .Node("MATMUL", R"("matA":"5","matB":"6","matC":"7")");
  const Decoded decoded = DecodeText(graph.text());
  ASSERT_EQ(decoded.work.count, 1u);
  EXPECT_EQ(decoded.work.operations[0].gemm.a, Dtype::kF8E4M3);
  EXPECT_EQ(decoded.work.operations[0].gemm.b, Dtype::kF8E4M3);
  EXPECT_EQ(decoded.work.operations[0].gemm.d, Dtype::kBf16);
}

TEST(CudnnGraphByHand, GroupedStridedDilatedConvolutionIn3d) {
  GraphText graph;  // 24 -> 36 channels in 4 groups: 6 of them a filter
  graph.Tensor("1", {2, 24, 9, 17, 21})
      .Tensor("2", {36, 6, 3, 5, 7})
      .Tensor("3", {2, 36, 4, 7, 8})
      .Node("CONVOLUTION_FORWARD",
            R"("X":"1","W":"2","Y":"3","stride":[2,2,2],"dilation":[1,1,1],"pad":[1,1,1])");
  const Decoded decoded = DecodeText(graph.text());
  ASSERT_EQ(decoded.work.count, 1u);
  const CudnnOperation& operation = decoded.work.operations[0];
  ASSERT_EQ(operation.kind, Kind::kConvolution);
  EXPECT_EQ(operation.convolution.groups, 4u);
  EXPECT_EQ(ExecutedFlop(operation.convolution), 2ull * 2 * 36 * 4 * 7 * 8 * 6 * 3 * 5 * 7);
}

TEST(CudnnGraphByHand, FilterGradient) {
  GraphText graph;
  graph.Tensor("1", {8, 16, 14, 15})
      .Tensor("2", {32, 16, 3, 2})
      .Tensor("3", {8, 32, 12, 13})
      .Node("CONVOLUTION_BACKWARD_FILTER", R"("X":"1","dW":"2","dY":"3")");
  const Decoded decoded = DecodeText(graph.text());
  ASSERT_EQ(decoded.work.count, 1u);
  const CudnnOperation& operation = decoded.work.operations[0];
  ASSERT_EQ(operation.kind, Kind::kConvolution);
  EXPECT_EQ(operation.convolution.direction, ConvDirection::kFilterGradient);
  EXPECT_EQ(ExecutedFlop(operation.convolution), 2ull * 8 * 32 * 12 * 13 * 16 * 3 * 2);
}

TEST(CudnnGraphByHand, FusedConvolutionsAreSeveralOperations) {
  GraphText graph;
  graph.Tensor("1", {8, 16, 14, 15})
      .Tensor("2", {32, 16, 1, 1})
      .Virtual("3", {8, 32, 14, 15})
      .Virtual("4", {8, 32, 14, 15})
      .Tensor("5", {8, 8, 3, 3})
      .Tensor("6", {8, 8, 14, 15})
      .Node("CONVOLUTION_FORWARD", R"("X":"1","W":"2","Y":"3")")
      .Pointwise("RELU_FWD", R"("X":"3","Y":"4")")
      .Node("CONVOLUTION_FORWARD", R"("X":"4","W":"5","Y":"6")");
  const Decoded decoded = DecodeText(graph.text());
  ASSERT_EQ(decoded.work.count, 2u);
  EXPECT_EQ(ExecutedFlop(decoded.work.operations[0].convolution), 2ull * 8 * 32 * 14 * 15 * 16);
  EXPECT_EQ(ExecutedFlop(decoded.work.operations[1].convolution), 2ull * 8 * 8 * 14 * 15 * 8 * 9);
}

TEST(CudnnGraphByHand, ExpertsRowsAddUp) {
  GraphText graph;  // 8 experts, 512 tokens of 96, results of 160
  graph.Tensor("1", {1, 512, 96})
      .Tensor("2", {8, 96, 160})
      .Tensor("3", {8, 1, 1})
      .Tensor("4", {1, 512, 160})
      .Node("MOE_GROUPED_MATMUL", R"("mode":"CUDNN_MOE_GROUPED_MATMUL_MODE_NONE","token":"1",)"
                                  R"("weight":"2","firstTokenOffset":"3","output":"4")");
  const Decoded decoded = DecodeText(graph.text());
  ASSERT_EQ(decoded.work.count, 1u);
  EXPECT_EQ(decoded.work.operations[0].experts, 8u);
  Gemm parts[2];
  uint64_t counts[2] = {};
  ASSERT_EQ(SpreadOverExperts(decoded.work.operations[0], parts, counts), 1u);
  // Tokens and results once, all eight weights.
  EXPECT_EQ(counts[0] * LeastBytes(parts[0]).value_or(0),
            2u * (512 * 96 + 8 * 96 * 160 + 512 * 160));
  EXPECT_EQ(decoded.work.operations[0].provenance, Provenance::kExact);
  EXPECT_EQ(ExecutedFlop(decoded.work.operations[0].gemm), 2ull * 512 * 96 * 160);

  GraphText scatter;  // two rows of a token add up to one of the result
  scatter.Tensor("1", {1, 512, 96})
      .Tensor("2", {8, 96, 160})
      .Tensor("4", {1, 256, 160})
      .Node("MOE_GROUPED_MATMUL", R"("mode":"CUDNN_MOE_GROUPED_MATMUL_MODE_SCATTER","token":"1",)"
                                  R"("weight":"2","topK":2,"output":"4")");
  EXPECT_EQ(ExecutedFlop(DecodeText(scatter.text()).work.operations[0].gemm),
            2ull * 512 * 96 * 160);
  GraphText gather;
  gather.Tensor("1", {1, 256, 96})
      .Tensor("2", {8, 96, 160})
      .Tensor("3", {1, 512, 1})
      .Tensor("4", {1, 512, 160})
      .Node("MOE_GROUPED_MATMUL", R"("mode":"CUDNN_MOE_GROUPED_MATMUL_MODE_GATHER","token":"1",)"
                                  R"("weight":"2","tokenIndex":"3","output":"4")");
  EXPECT_EQ(ExecutedFlop(DecodeText(gather.text()).work.operations[0].gemm), 2ull * 512 * 96 * 160);
}

TEST(CudnnGraphByHand, WhatIsNotKnownIsNamed) {
  GraphText graph;
  graph.Tensor("1", {4, 70, 30})
      .Tensor("2", {4, 30, 50})
      .Virtual("3", {4, 70, 50})
      .Tensor("4", {4, 70, 50})
      .Node("MATMUL", R"("matA":"1","matB":"2","matC":"3")")
      .Node("TELEPORT", R"("X":"3","Y":"4")");
  const Decoded decoded = DecodeText(graph.text());
  ASSERT_EQ(decoded.work.count, 2u);
  EXPECT_EQ(decoded.work.operations[0].kind, Kind::kGemm);
  EXPECT_EQ(ExecutedFlop(decoded.work.operations[0].gemm), 2ull * 4 * 70 * 50 * 30);
  ASSERT_EQ(decoded.work.operations[1].kind, Kind::kNamed);
  EXPECT_STREQ(decoded.work.operations[1].name, "cudnn graph: TELEPORT");
  EXPECT_EQ(decoded.work.operations[1].provenance, Provenance::kNone);
}

TEST(CudnnGraphByHand, GraphsWithoutAProductSaySo) {
  GraphText graph;
  graph.Tensor("1", {4, 70, 30})
      .Virtual("2", {4, 70, 30})
      .Tensor("3", {4, 70, 1})
      .Node("NORM_FORWARD", R"("X":"1","Y":"2")")
      .Node("REDUCTION", R"("X":"2","Y":"3")")
      .Node("REDUCTION", R"("X":"2","Y":"3")");
  const Decoded decoded = DecodeText(graph.text());
  ASSERT_EQ(decoded.work.count, 1u);
  EXPECT_EQ(decoded.work.operations[0].kind, Kind::kNamed);
  EXPECT_STREQ(decoded.work.operations[0].name,
               "cudnn graph, no matrix product: NORM_FORWARD+REDUCTION");
}

TEST(CudnnGraphByHand, MoreThanFitsIsSaid) {
  GraphText graph;
  graph.Tensor("1", {70, 30}).Tensor("2", {30, 50});
  for (int i = 0; i < 12; ++i) {
    const std::string result = std::to_string(10 + i);
    graph.Tensor(result, {70, 50});
    graph.Node("MATMUL", R"("matA":"1","matB":"2","matC":")" + result + "\"");
  }
  const Decoded decoded = DecodeText(graph.text());
  ASSERT_EQ(decoded.work.count, CudnnWork::kMaxOperations);
  EXPECT_EQ(decoded.work.operations[0].kind, Kind::kGemm);
  EXPECT_EQ(decoded.work.operations[CudnnWork::kMaxOperations - 1].kind, Kind::kNamed);
}

}  // namespace
}  // namespace mfutrace::interpose
