// Every kind of signature record -> Op, against counts made by hand or published.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "report/model/load.h"
#include "tests/report/native_trace.h"

namespace mfutrace::report {
namespace {

using shapes::Dtype;
using shapes::OpKind;
using shapes::Provenance;
using test::NativeTrace;
using trace::BlockKind;

template <typename Enum>
uint8_t Byte(Enum value) {
  return static_cast<uint8_t>(value);
}

// A file whose only call has signature `call_of`; gives the Op of it.
class Signatures : public testing::Test {
 protected:
  Signatures() : file_(test::FreshFolder() + "/a.mfut") {
    file_.Device(0, "NVIDIA H100 80GB HBM3");
    file_.Lane(1, 0, 0);
  }

  Op OpOfCall(uint32_t call_of) {
    file_.Call(call_of, 1, 10, 20, 100, 200);
    file_.End();
    file_.Close();
    const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(file_.path());
    EXPECT_TRUE(timelines.ok()) << timelines.status();
    if (!timelines.ok() || timelines->front().ops.size() != 1) {
      ADD_FAILURE() << "not one operation";
      return Op();
    }
    return timelines->front().ops.front();
  }

  void Attention(uint32_t id, uint32_t lengths = 0, uint8_t flags = 0) {
    trace::AttentionSignature record = {};
    record.id = id;
    record.entry = file_.String("cudnnBackendExecute");
    record.batch = 3;
    record.heads_q = 8;
    record.heads_kv = 2;
    record.seq_q = 16;
    record.seq_k = 20;
    record.head_dim_qk = 64;
    record.head_dim_v = 32;
    record.window_left = record.window_right = -1;
    record.dtype = Byte(Dtype::kF16);
    record.mask = Byte(shapes::Mask::kCausalBottomRight);
    record.flags = flags;
    record.lengths = lengths;
    file_.Add(BlockKind::kAttentionSignatures, record);
  }

  void Convolution(uint32_t id) {
    trace::ConvolutionSignature record = {};
    record.id = id;
    record.entry = file_.String("cudnnConvolutionForward");
    record.batch = 32;
    record.c_in = 3;
    record.c_out = 64;
    record.groups = 1;
    const uint32_t in[3] = {224, 224, 1}, filter[3] = {7, 7, 1}, out[3] = {112, 112, 1};
    for (int i = 0; i < 3; ++i) {
      record.in[i] = in[i];
      record.filter[i] = filter[i];
      record.out[i] = out[i];
    }
    record.dtype = Byte(Dtype::kF16);
    file_.Add(BlockKind::kConvolutionSignatures, record);
  }

  trace::MatrixSignature Syrk(uint32_t id) {
    trace::MatrixSignature record = {};
    record.id = id;
    record.entry = file_.String("cublasSsyrk_v2");
    record.n = 64;
    record.k = 32;
    record.batch = 1;
    record.dtype = record.result = record.accumulate = Byte(Dtype::kF32);
    record.routine = Byte(shapes::MatrixRoutine::kSyrk);
    record.side = Byte(shapes::Side::kUnknown);
    record.beta = Byte(shapes::BetaUse::kZero);
    return record;
  }

  trace::RnnSignature Lstm(uint32_t id) {
    trace::RnnSignature record = {};
    record.id = id;
    record.entry = file_.String("cudnnRNNForward");
    record.steps = 40;
    record.input_size = 24;
    record.hidden_size = 16;
    record.layers = 2;
    record.directions = 2;
    record.dtype = Byte(Dtype::kF32);
    record.cell = Byte(shapes::RnnCell::kLstm);
    return record;
  }

  // A compound whose members are (signature, count).
  void Compound(uint32_t id, const std::vector<std::pair<uint32_t, uint64_t>>& members,
                const std::string& entry, const std::string& label = "", int lost_members = 0) {
    trace::CompoundSignature record = {};
    record.id = id;
    record.entry = file_.String(entry);
    record.label = label.empty() ? 0 : file_.String(label);
    record.member_count =
        static_cast<uint32_t>(members.size()) + static_cast<uint32_t>(lost_members);
    file_.Add(BlockKind::kCompoundSignatures, record);
    for (const auto& [signature, count] : members) {
      file_.Add(BlockKind::kCompoundMembers, trace::CompoundMember{id, signature, count, 0, 0});
    }
  }

  NativeTrace file_;
};

// Rows of a causal mask to the bottom right of 16 queries and 20 keys see 5, 6 ... 20 keys.
constexpr uint64_t kPairs = 200;
constexpr uint64_t kAttentionFlop = 2 * 3 * 8 * kPairs * (64 + 32);
// torch's formula on the first layer of ResNet, batch 32.
constexpr uint64_t kConvolutionFlop = 7552892928;

TEST_F(Signatures, Matrix) {
  file_.Add(BlockKind::kMatrixSignatures, Syrk(1));
  const Op op = OpOfCall(1);
  EXPECT_EQ(op.kind, OpKind::kMatrix);
  EXPECT_EQ(op.label, "syrk f32 n64 k32");
  EXPECT_EQ(op.dtype, "f32");
  EXPECT_EQ(op.flop_executed, 32u * 64 * 65);  // LAPACK Working Note 41
  EXPECT_EQ(op.bytes_least, 4u * (64 * 32 + 64 * 65 / 2));
  EXPECT_EQ(op.rate, shapes::PeakRate::kF32);
  EXPECT_EQ(op.provenance, Provenance::kExact);
}

TEST_F(Signatures, MatrixOfAnUnknownRoutineHasNoFlops) {
  trace::MatrixSignature record = Syrk(1);
  record.routine = 200;  // of a newer mfutrace
  file_.Add(BlockKind::kMatrixSignatures, record);
  const Op op = OpOfCall(1);
  EXPECT_FALSE(op.flop_executed.has_value());
  EXPECT_FALSE(op.bytes_least.has_value());
  EXPECT_EQ(op.provenance, Provenance::kNone);
}

TEST_F(Signatures, MatrixOfAnUnknownSideHasNoFlops) {
  trace::MatrixSignature record = Syrk(1);
  record.routine = Byte(shapes::MatrixRoutine::kTrsm);
  record.m = 8;
  file_.Add(BlockKind::kMatrixSignatures, record);
  const Op op = OpOfCall(1);
  EXPECT_FALSE(op.flop_executed.has_value());
  EXPECT_EQ(op.provenance, Provenance::kNone);
}

TEST_F(Signatures, Attention) {
  Attention(1);
  const Op op = OpOfCall(1);
  EXPECT_EQ(op.kind, OpKind::kAttention);
  EXPECT_EQ(op.label, "sdpa f16 b3 h8/2 s16/20 d64/32 causal-br");
  EXPECT_EQ(op.flop_executed, kAttentionFlop);
  EXPECT_EQ(op.flop_model, kAttentionFlop);
  EXPECT_EQ(op.flop_full_attention, 2u * 3 * 8 * 320 * (64 + 32));
  EXPECT_EQ(op.bytes_least, 2u * 3 * (8 * 16 * (64 + 32) + 2 * 20 * (64 + 32)));
  EXPECT_EQ(op.rate, shapes::PeakRate::kF16);
  EXPECT_EQ(op.provenance, Provenance::kExact);
}

TEST_F(Signatures, AttentionWhoseLengthsStayOnTheDeviceIsAnUpperBound) {
  Attention(1, 0, trace::kLengthsOnDevice);
  const Op op = OpOfCall(1);
  EXPECT_EQ(op.flop_executed, kAttentionFlop);
  EXPECT_EQ(op.provenance, Provenance::kBound);
  ASSERT_TRUE(op.detail != nullptr && op.detail->attention.has_value());
  EXPECT_TRUE(op.detail->lengths_are_bounds);
  EXPECT_EQ(op.detail->attention->heads_q, 8u);
}

TEST_F(Signatures, AttentionOverAListCountsEachSequence) {
  for (const trace::SequenceLengths& run :
       {trace::SequenceLengths{7, 1, 100, 4}, trace::SequenceLengths{7, 16, 20, 1},
        trace::SequenceLengths{8, 5, 5, 5}}) {  // the last one of another list
    file_.Add(BlockKind::kSequenceLengths, run);
  }
  // Read back from the device: exact, although they lie there.
  Attention(1, 7, trace::kLengthsOnDevice);
  const Op op = OpOfCall(1);
  EXPECT_EQ(op.label, "sdpa f16 varlen b5 q20 k420 h8/2 d64/32 causal-br");
  EXPECT_EQ(op.kind, OpKind::kAttention);
  EXPECT_EQ(op.flop_executed, 2u * 8 * (4 * 100 + kPairs) * (64 + 32));
  EXPECT_EQ(op.flop_full_attention, 2u * 8 * (4 * 100 + 320) * (64 + 32));
  EXPECT_EQ(op.bytes_least, 2u * (8 * 20 * (64 + 32) + 2 * 420 * (64 + 32)));
  EXPECT_EQ(op.provenance, Provenance::kExact);
  ASSERT_NE(op.detail, nullptr);
  EXPECT_FALSE(op.detail->lengths_are_bounds);
  ASSERT_EQ(op.detail->lengths.size(), 2u);
  EXPECT_EQ(op.detail->lengths[1].seq_k, 20u);
}

TEST_F(Signatures, AttentionOverAListThatIsNotThereIsAnUpperBound) {
  Attention(1, 9);
  const Op op = OpOfCall(1);
  EXPECT_EQ(op.flop_executed, kAttentionFlop);
  EXPECT_EQ(op.provenance, Provenance::kBound);
}

TEST_F(Signatures, Convolution) {
  Convolution(1);
  const Op op = OpOfCall(1);
  EXPECT_EQ(op.kind, OpKind::kConvolution);
  EXPECT_EQ(op.label, "conv fwd f16 b32 3x224x224 > 64x112x112 f7x7");
  EXPECT_EQ(op.flop_executed, kConvolutionFlop);
  EXPECT_EQ(op.bytes_least, 2u * (32 * 3 * 224 * 224 + 64 * 3 * 7 * 7 + 32 * 64 * 112 * 112));
  EXPECT_EQ(op.dtype, "f16");
  EXPECT_EQ(op.rate, shapes::PeakRate::kF16);
}

TEST_F(Signatures, Rnn) {
  file_.Add(BlockKind::kRnnSignatures, Lstm(1));
  const Op op = OpOfCall(1);
  EXPECT_EQ(op.kind, OpKind::kRnn);
  EXPECT_EQ(op.label, "lstm fwd f32 40 steps 24>16 l2 bi");
  // Two directions; 4 gates of 16 rows: 24 + 16 columns in the first layer, 32 + 16 behind it.
  EXPECT_EQ(op.flop_executed, 2u * 40 * 2 * (4 * 16 * (24 + 16) + 4 * 16 * (32 + 16)));
  EXPECT_TRUE(op.bytes_least.has_value());
  EXPECT_EQ(op.dtype, "f32");
  EXPECT_EQ(op.provenance, Provenance::kExact);
}

TEST_F(Signatures, RnnOfAnUnknownCellHasNoFlops) {
  trace::RnnSignature record = Lstm(1);
  record.cell = 9;
  file_.Add(BlockKind::kRnnSignatures, record);
  const Op op = OpOfCall(1);
  EXPECT_FALSE(op.flop_executed.has_value());
  EXPECT_EQ(op.provenance, Provenance::kNone);
}

TEST_F(Signatures, OpaqueIsNamedWithItsReason) {
  trace::OpaqueSignature record = {};
  record.id = 1;
  record.entry = file_.String("cudnnBackendExecute");
  record.reason = file_.String("plan not readable");
  file_.Add(BlockKind::kOpaqueSignatures, record);
  const Op op = OpOfCall(1);
  EXPECT_EQ(op.kind, OpKind::kOpaque);
  EXPECT_EQ(op.label, "cudnnBackendExecute (plan not readable)");
  EXPECT_FALSE(op.flop_executed.has_value());
}

TEST_F(Signatures, CompoundOfProductsIsAGroup) {
  file_.Gemm(1, 100, 512, 64);
  file_.Gemm(2, 28, 512, 64);
  Compound(3, {{1, 2}, {2, 1}}, "cublasGemmGroupedBatchedEx");
  const Op op = OpOfCall(3);
  EXPECT_EQ(op.kind, OpKind::kGemm);
  EXPECT_EQ(op.label, "grouped gemm bf16 2 groups, 228x512x64");
  EXPECT_EQ(op.flop_executed, 2u * 228 * 512 * 64);
  EXPECT_EQ(op.bytes_least, 2u * (228 * 64 + 3 * 64 * 512 + 228 * 512));
  EXPECT_EQ(op.rate, shapes::PeakRate::kBf16);
  ASSERT_NE(op.detail, nullptr);
  ASSERT_EQ(op.detail->parts.size(), 2u);
  EXPECT_EQ(op.detail->parts[0].count, 2u);
  ASSERT_TRUE(op.detail->parts[1].detail->gemm.has_value());
  EXPECT_EQ(op.detail->parts[1].detail->gemm->m, 28u);
}

TEST_F(Signatures, CompoundOfAnyKindsIsTheirSum) {
  Convolution(1);
  Attention(2);
  file_.Gemm(3, 4, 8, 16, Dtype::kF16);
  Compound(4, {{1, 1}, {2, 2}, {3, 1}}, "cudnnBackendExecute");
  const Op op = OpOfCall(4);
  EXPECT_EQ(op.kind, OpKind::kConvolution);  // most of the FLOPs
  EXPECT_EQ(op.label,
            "cudnn graph: conv fwd f16 b32 3x224x224 > 64x112x112 f7x7 + "
            "sdpa f16 b3 h8/2 s16/20 d64/32 causal-br x2 + gemm f16 4x8x16 NN");
  EXPECT_EQ(op.flop_executed, kConvolutionFlop + 2 * kAttentionFlop + 2 * 4 * 8 * 16);
  EXPECT_EQ(op.dtype, "f16");
  EXPECT_EQ(op.rate, shapes::PeakRate::kF16);
  EXPECT_EQ(op.provenance, Provenance::kExact);
}

// A launch of a CUDA graph with an if node counts its body once, as a bound.
TEST_F(Signatures, ABranchOfAGraphIsABound) {
  file_.Gemm(1, 100, 512, 64);
  file_.Gemm(2, 28, 512, 64);
  Compound(3, {{1, 2}}, "cuGraphLaunch", "", 1);
  file_.Add(
      BlockKind::kCompoundMembers,
      trace::CompoundMember{3, 2, 1, static_cast<uint32_t>(trace::Condition::kAtMostOnce), 0});
  const Op op = OpOfCall(3);
  EXPECT_EQ(op.flop_executed, 2u * 228 * 512 * 64);
  EXPECT_EQ(op.provenance, Provenance::kBound);
}

// How often a loop runs nobody knows, so the launch's sum is unknown and not too low.
TEST_F(Signatures, ALoopOfAGraphIsUnknown) {
  file_.Gemm(1, 100, 512, 64);
  file_.Gemm(2, 28, 512, 64);
  Compound(3, {{1, 2}}, "cuGraphLaunch", "", 1);
  file_.Add(BlockKind::kCompoundMembers,
            trace::CompoundMember{3, 2, 1, static_cast<uint32_t>(trace::Condition::kAnyNumber), 0});
  const Op op = OpOfCall(3);
  EXPECT_EQ(op.flop_executed, std::nullopt);
  EXPECT_EQ(op.bytes_least, std::nullopt);
  EXPECT_NE(op.label.find("loop of gemm bf16 28x512x64"), std::string::npos) << op.label;
}

TEST_F(Signatures, CompoundIsABoundWhereAMemberIs) {
  Convolution(1);
  Attention(2, 0, trace::kLengthsOnDevice);
  Compound(3, {{1, 1}, {2, 1}}, "cudnnBackendExecute", "two of them");
  const Op op = OpOfCall(3);
  EXPECT_EQ(op.label, "two of them");
  EXPECT_EQ(op.flop_executed, kConvolutionFlop + kAttentionFlop);
  EXPECT_EQ(op.provenance, Provenance::kBound);
}

TEST_F(Signatures, CompoundWithAnUnknownMemberIsUnknownAndNamesIt) {
  Convolution(1);
  trace::OpaqueSignature record = {};
  record.id = 2;
  record.entry = file_.String("cudnnBackendExecute");
  record.reason = file_.String("RESAMPLE_FWD");
  file_.Add(BlockKind::kOpaqueSignatures, record);
  Compound(3, {{1, 1}, {2, 1}}, "cudnnBackendExecute");
  const Op op = OpOfCall(3);
  EXPECT_EQ(op.kind, OpKind::kOpaque);
  EXPECT_FALSE(op.flop_executed.has_value());
  EXPECT_FALSE(op.flop_model.has_value());
  EXPECT_FALSE(op.bytes_least.has_value());
  EXPECT_EQ(op.provenance, Provenance::kNone);
  EXPECT_EQ(op.label, "cudnn graph: conv fwd f16 b32 3x224x224 > 64x112x112 f7x7 + RESAMPLE_FWD");
}

TEST_F(Signatures, CompoundThatLostMembersIsUnknown) {
  file_.Gemm(1, 100, 512, 64);
  Compound(2, {{1, 1}}, "cublasGemmGroupedBatchedEx", "", 1);
  const Op op = OpOfCall(2);
  EXPECT_FALSE(op.flop_executed.has_value());
  EXPECT_EQ(op.provenance, Provenance::kNone);
}

TEST_F(Signatures, CompoundThatHoldsItselfIsUnknown) {
  file_.Gemm(1, 100, 512, 64);
  Compound(2, {{1, 1}, {2, 3}}, "cudnnBackendExecute");
  EXPECT_FALSE(OpOfCall(2).flop_executed.has_value());
}

TEST_F(Signatures, SaturatedMembersDoNotWrap) {
  file_.Gemm(1, UINT32_MAX, UINT32_MAX, UINT32_MAX);
  Compound(2, {{1, UINT64_MAX}, {1, UINT64_MAX}}, "cublasGemmGroupedBatchedEx");
  const Op op = OpOfCall(2);
  EXPECT_EQ(op.flop_executed, UINT64_MAX);
  EXPECT_EQ(op.bytes_least, UINT64_MAX);
}

}  // namespace
}  // namespace mfutrace::report
