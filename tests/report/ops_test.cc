// Rows of the table of operations: what bounds them, and how much of a run is known as a bound
// alone. Figures worked out on paper for an H100 (989.4 TFLOP/s in bf16, 3.35 TB/s).
#include "report/analyze/ops.h"

#include <gtest/gtest.h>

#include "report/analyze/analyze.h"
#include "report/analyze/rates.h"
#include "report/model/ops_of.h"

namespace mfutrace::report {
namespace {

using shapes::Dtype;
using shapes::Provenance;

shapes::Gemm Product(uint64_t m, uint64_t n, uint64_t k, Dtype dtype = Dtype::kBf16) {
  shapes::Gemm gemm;
  gemm.m = m;
  gemm.n = n;
  gemm.k = k;
  gemm.a = gemm.b = gemm.c = gemm.d = dtype;
  gemm.accumulate = Dtype::kF32;
  gemm.beta = shapes::BetaUse::kZero;
  return gemm;
}

// Queries against 4096 keys of 8 heads: decode.
shapes::Attention Decode(uint64_t batch) {
  shapes::Attention attention;
  attention.batch = batch;
  attention.heads_q = 32;
  attention.heads_kv = 8;
  attention.seq_q = 1;
  attention.seq_k = 4096;
  attention.head_dim_qk = attention.head_dim_v = 128;
  attention.dtype = Dtype::kBf16;
  attention.mask = shapes::Mask::kCausalBottomRight;
  return attention;
}

// One call of each operation, each on the device for as long as `ns` says.
RunResult ResultOf(const std::vector<std::pair<Op, int64_t>>& calls,
                   const std::string& gpu = "NVIDIA H100 80GB HBM3") {
  Timeline timeline;
  timeline.path = "a.mfut";
  timeline.has_shapes = true;
  timeline.device = {0, gpu, 0};
  int64_t at_ns = 1000;
  for (const auto& [op, ns] : calls) {
    OpCall call;
    call.op = static_cast<uint32_t>(timeline.ops.size());
    call.host_begin_ns = call.host_end_ns = at_ns;
    call.work = static_cast<uint32_t>(timeline.works.size());
    timeline.ops.push_back(op);
    timeline.calls.push_back(call);
    Work work;
    work.time = {at_ns, at_ns + ns};
    work.launch_ns = at_ns;
    work.op = call.op;
    timeline.works.push_back(work);
    at_ns += ns;
  }
  timeline.host_window = {1000, at_ns};
  Analyzer analyzer({});
  analyzer.Add(timeline);
  absl::StatusOr<RunResult> result = analyzer.Finish();
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : RunResult();
}

TEST(Ops, LargeProductsAreBoundByCompute) {
  const RunResult result =
      ResultOf({{OpOf(Product(8192, 8192, 8192), Provenance::kExact), 1'500'000}});
  ASSERT_EQ(result.ops.size(), 1u);
  const OpResult& op = result.ops[0];
  EXPECT_EQ(op.bound, "compute");
  // 2 x 8192^3 = 1.0995 TFLOP take 1.1113 ms at the peak, 403 MB 0.12 ms.
  EXPECT_NEAR(op.roofline_ns_per_call.value_or(0), 1'111'291, 1);
  EXPECT_NEAR(OfRoofline(op).value_or(0), 0.740861, 1e-6);
  EXPECT_NEAR(OfPeak(op).value_or(0), 0.740861, 1e-6);
  EXPECT_NEAR(FlopPerByte(op).value_or(0), 8192.0 / 3, 1e-9);
  EXPECT_EQ(op.flop_model, op.flop_executed);
}

TEST(Ops, DecodeIsBoundByMemory) {
  const RunResult result = ResultOf({{OpOf(Decode(64), Provenance::kExact), 400'000}});
  const OpResult& op = result.ops.at(0);
  EXPECT_EQ(op.bound, "memory");
  // Keys and values of 64 x 8 x 4096 rows and 64 x 32 rows of queries and results, 256 numbers of
  // two bytes a pair of rows: 1074.8 MB.
  EXPECT_EQ(op.bytes_least, 2u * 256 * (64 * 8 * 4096 + 64 * 32));
  EXPECT_NEAR(op.roofline_ns_per_call.value_or(0), 320'830, 10);
  EXPECT_NEAR(OfRoofline(op).value_or(0), 0.80208, 1e-4);
  EXPECT_NEAR(OfPeak(op).value_or(0), 0.010853, 1e-5);
}

TEST(Ops, WhatIsShorterThanALaunchIsBoundByLatency) {
  const RunResult result = ResultOf({{OpOf(Product(64, 64, 64), Provenance::kExact), 4'000}});
  EXPECT_EQ(result.ops.at(0).bound, "latency");
  EXPECT_LT(OfRoofline(result.ops[0]).value_or(1), 0.01);
}

TEST(Ops, WithoutPeakThereIsNoRoofline) {
  const RunResult unknown =
      ResultOf({{OpOf(Product(8192, 8192, 8192), Provenance::kExact), 1'500'000}}, "NVIDIA Z9");
  EXPECT_EQ(unknown.ops.at(0).bound, "");
  EXPECT_FALSE(unknown.ops[0].roofline_ns_per_call.has_value());
  EXPECT_FALSE(unknown.ops[0].peak_flop_per_s.has_value());
  EXPECT_FALSE(OfRoofline(unknown.ops[0]).has_value());
  EXPECT_TRUE(FlopPerSecond(unknown.ops[0]).has_value());
  EXPECT_TRUE(FlopPerByte(unknown.ops[0]).has_value());

  // fp4 has no tensor cores on this GPU: no peak, and a sum of bytes all the same.
  const RunResult no_rate =
      ResultOf({{OpOf(Product(8192, 8192, 8192, Dtype::kF4E2M1), Provenance::kExact), 1'500'000}});
  EXPECT_FALSE(no_rate.ops.at(0).peak_flop_per_s.has_value());
  EXPECT_EQ(no_rate.ops[0].bound, "");
}

TEST(Ops, BoundsAreARowOfTheirOwnAndAShareOfTheRun) {
  shapes::Attention attention = Decode(64);
  const RunResult result = ResultOf({{OpOf(attention, Provenance::kExact), 400'000},
                                     {OpOf(attention, Provenance::kBound), 400'000},
                                     {OpOf(Product(512, 1024, 1024), Provenance::kExact), 9'000}});
  ASSERT_EQ(result.ops.size(), 3u);
  const Flop attention_flop = Flop(2) * 64 * 32 * 4096 * 256;
  const Flop gemm_flop = Flop(2) * 512 * 1024 * 1024;
  EXPECT_EQ(result.run.flop.executed, 2 * attention_flop + gemm_flop);
  EXPECT_EQ(result.run.flop.executed_bound, attention_flop);
  EXPECT_NEAR(
      BoundShare(result.run.flop).value_or(0),
      static_cast<double>(attention_flop) / static_cast<double>(2 * attention_flop + gemm_flop),
      1e-12);
  int bounds = 0;
  for (const OpResult& op : result.ops) bounds += IsUpperBound(op) ? 1 : 0;
  EXPECT_EQ(bounds, 1);
}

TEST(Ops, UnknownMaskIsABoundWhateverTheRecordSays) {
  shapes::Attention attention = Decode(2);
  attention.mask = shapes::Mask::kUnknown;
  EXPECT_EQ(OpOf(attention, Provenance::kExact).provenance, Provenance::kBound);
  EXPECT_EQ(OpOf(attention, Provenance::kNone).provenance, Provenance::kNone);
}

}  // namespace
}  // namespace mfutrace::report
