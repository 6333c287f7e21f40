// Matrix routines and compounds through the recorder, the flusher and the reader: what was interned
// is what the file says, each list once and behind what it refers to.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "session_fixture.h"
#include "trace/reader.h"

namespace mfutrace::interpose {
namespace {

struct Reader : trace::Visitor {
  std::map<uint32_t, uint64_t> gemm_m;
  std::vector<trace::MatrixSignature> matrices;
  std::vector<trace::CompoundSignature> compounds;
  std::map<uint32_t, std::vector<trace::CompoundMember>> members;
  std::vector<trace::Call> calls;
  bool is_in_order = true;

  void OnGemmSignature(const trace::GemmSignature& gemm) override { gemm_m[gemm.id] = gemm.m; }
  void OnMatrixSignature(const trace::MatrixSignature& matrix) override {
    matrices.push_back(matrix);
  }
  void OnCompoundSignature(const trace::CompoundSignature& compound) override {
    compounds.push_back(compound);
  }
  void OnCompoundMember(const trace::CompoundMember& member) override {
    is_in_order = is_in_order && gemm_m.count(member.signature) == 1;
    members[member.compound].push_back(member);
  }
  void OnCall(const trace::Call& call) override {
    for (const auto& compound : compounds) {
      if (compound.id == call.signature) {
        is_in_order = is_in_order && members[compound.id].size() == compound.member_count;
      }
    }
    calls.push_back(call);
  }
};

class Compounds : public SessionTest {
 protected:
  static uint32_t Record(const std::vector<CompoundPart>& parts) {
    const uint32_t id = InternCompound(Entry::k_cublasSgemmGroupedBatched, parts.data(),
                                       static_cast<uint32_t>(parts.size()), nullptr);
    OpenCall call = BeginCall(id, nullptr);
    EndCall(call, nullptr, true);
    return id;
  }
};

TEST_F(Compounds, EachListIsWrittenOnce) {
  const std::vector<CompoundPart> first = {{Signature(10), 3}, {Signature(20), 1}};
  const std::vector<CompoundPart> swapped = {first[1], first[0]};
  const std::vector<CompoundPart> counted = {{Signature(10), 1}, {Signature(20), 3}};
  std::vector<CompoundPart> long_list;
  for (uint64_t m = 1; m <= 40000; ++m) long_list.push_back({Signature(m % 50 + 1), m});
  const uint32_t id = Record(first);
  EXPECT_NE(id, 0u);
  EXPECT_EQ(Record(first), id);
  EXPECT_EQ(Record({{Signature(10), 3}, {Signature(20), 1}}), id);
  EXPECT_NE(Record(swapped), id);
  EXPECT_NE(Record(counted), id);
  const uint32_t long_id = Record(long_list);
  Record({});
  End();
  Reader reader;
  ASSERT_TRUE(trace::ReadTrace(Files().front(), reader).ok());
  EXPECT_TRUE(reader.is_in_order);
  EXPECT_EQ(reader.calls.size(), 7u);
  EXPECT_EQ(reader.compounds.size(), 5u);
  ASSERT_EQ(reader.members[id].size(), 2u);
  EXPECT_EQ(reader.gemm_m[reader.members[id][0].signature], 10u);
  EXPECT_EQ(reader.members[id][0].count, 3u);
  EXPECT_EQ(reader.gemm_m[reader.members[id][1].signature], 20u);
  ASSERT_EQ(reader.members[long_id].size(), 40000u);
  for (uint64_t m = 1; m <= 40000; ++m) {
    EXPECT_EQ(reader.members[long_id][m - 1].count, m);
    EXPECT_EQ(reader.gemm_m[reader.members[long_id][m - 1].signature], m % 50 + 1);
  }
}

TEST_F(Compounds, FullTablesSayNo) {
  std::vector<CompoundPart> parts(60000, {Signature(1), 1});  // almost a megabyte
  uint32_t accepted = 0;
  for (uint64_t i = 0; i < 60; ++i) {
    parts[0].count = i + 2;
    if (Record(parts) != 0) ++accepted;
  }
  EXPECT_GT(accepted, 20u);
  EXPECT_LT(accepted, 40u);
}

TEST_F(Compounds, MatrixRoutinesKeepEveryField) {
  shapes::Matrix matrix;
  matrix.m = 2;
  matrix.n = 3;
  matrix.k = 5;
  matrix.batch = 7;
  matrix.dtype = shapes::Dtype::kC32F32;
  matrix.result = shapes::Dtype::kF16;
  matrix.accumulate = shapes::Dtype::kF32;
  matrix.math = shapes::MathMode::kTf32;
  matrix.routine = shapes::MatrixRoutine::kTrsm;
  matrix.side = shapes::Side::kRight;
  matrix.beta = shapes::BetaUse::kNonzero;
  matrix.gauss_3m = true;
  OpenCall call = BeginCall(
      InternMatrix(matrix, 68, Entry::k_cublasCtrsm_v2, shapes::Provenance::kExact), nullptr);
  EndCall(call, nullptr, true);
  End();
  Reader reader;
  ASSERT_TRUE(trace::ReadTrace(Files().front(), reader).ok());
  ASSERT_EQ(reader.matrices.size(), 1u);
  const trace::MatrixSignature& read = reader.matrices.front();
  EXPECT_EQ(read.m, 2u);
  EXPECT_EQ(read.n, 3u);
  EXPECT_EQ(read.k, 5u);
  EXPECT_EQ(read.batch, 7u);
  EXPECT_EQ(read.dtype, static_cast<uint8_t>(matrix.dtype));
  EXPECT_EQ(read.result, static_cast<uint8_t>(matrix.result));
  EXPECT_EQ(read.accumulate, static_cast<uint8_t>(matrix.accumulate));
  EXPECT_EQ(read.math, static_cast<uint8_t>(matrix.math));
  EXPECT_EQ(read.routine, static_cast<uint8_t>(matrix.routine));
  EXPECT_EQ(read.side, static_cast<uint8_t>(matrix.side));
  EXPECT_EQ(read.beta, static_cast<uint8_t>(matrix.beta));
  EXPECT_EQ(read.flags, trace::kGauss3m);
  EXPECT_EQ(read.compute_code, 68u);
}

}  // namespace
}  // namespace mfutrace::interpose
