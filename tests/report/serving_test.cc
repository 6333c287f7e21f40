// Passes and phases in made-up timelines: which calls are one pass, and what nothing tells.
#include "report/analyze/serving.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "report/analyze/passes.h"
#include "report/model/ops_of.h"

namespace mfutrace::report {
namespace {

using Runs = std::vector<shapes::SequenceRun>;

// A server that calls one thing after another, each for a microsecond of device time.
class Server {
 public:
  Server() {
    timeline.has_shapes = true;
    timeline.device.name = "NVIDIA H100 80GB HBM3";
  }

  void Gemm(uint64_t out, uint64_t tokens, uint64_t in) {
    shapes::Gemm gemm;
    gemm.m = out;
    gemm.n = tokens;
    gemm.k = in;
    gemm.a = gemm.b = gemm.c = gemm.d = shapes::Dtype::kBf16;
    Call(OpOf(gemm, shapes::Provenance::kExact));
  }
  void Attend(const Runs& runs, uint64_t heads = 8, int64_t window = -1) {
    Call(OpOf(Shape(heads, window), runs, shapes::Provenance::kExact));
  }
  // Of `batch` sequences that may be so long.
  void AttendUnknown(uint64_t batch, uint64_t queries, uint64_t keys) {
    shapes::Attention shape = Shape(8, -1);
    shape.batch = batch;
    shape.seq_q = queries;
    shape.seq_k = keys;
    Call(OpOf(shape, shapes::Provenance::kBound));
  }
  void Launch(const Op& attention, uint64_t layers) {
    OpPart part;
    part.op = attention;
    part.count = layers;
    Op op = OpOf(std::vector<OpPart>{part});
    OpDetail detail = *op.detail;
    detail.is_graph_launch = true;
    op.detail = std::make_shared<const OpDetail>(std::move(detail));
    Call(op);
  }
  // A pass of `layers` layers over these sequences, logits of each.
  void Pass(const Runs& runs, int layers = 3, uint64_t heads = 8) {
    uint64_t tokens = 0, sequences = 0;
    for (const auto& run : runs) tokens += run.seq_q * run.count, sequences += run.count;
    for (int layer = 0; layer < layers; ++layer) {
      Gemm(96 * heads, tokens, 256);
      Attend(runs, heads);
      Gemm(256, tokens, 32 * heads);
    }
    Gemm(1000, sequences, 256);
  }
  void PassUnknown(uint64_t batch, uint64_t queries, int layers, bool has_logits) {
    for (int layer = 0; layer < layers; ++layer) {
      Gemm(768, batch, 256);
      AttendUnknown(batch, queries, 4096);
      Gemm(256, batch, 256);
    }
    if (has_logits) Gemm(1000, batch, 256);
  }
  void Wait(int64_t ns) { now_ns_ += ns; }

  static shapes::Attention Shape(uint64_t heads, int64_t window) {
    shapes::Attention shape;
    shape.batch = 1;
    shape.heads_q = heads;
    shape.heads_kv = heads / 4;
    shape.head_dim_qk = shape.head_dim_v = 32;
    shape.window_left = window;
    shape.dtype = shapes::Dtype::kBf16;
    shape.mask = shapes::Mask::kCausalBottomRight;
    return shape;
  }

  Timeline timeline;

 private:
  void Call(const Op& op) {
    auto found = std::find_if(timeline.ops.begin(), timeline.ops.end(),
                              [&](const Op& known) { return known.label == op.label; });
    if (found == timeline.ops.end()) found = timeline.ops.insert(found, op);
    OpCall call;
    call.op = static_cast<uint32_t>(found - timeline.ops.begin());
    call.host_begin_ns = now_ns_;
    call.host_end_ns = now_ns_ + 100;
    call.work = static_cast<uint32_t>(timeline.works.size());
    Work work;
    work.time = {now_ns_, now_ns_ + 1000};
    work.launch_ns = now_ns_;
    work.op = call.op;
    timeline.calls.push_back(call);
    timeline.works.push_back(work);
    now_ns_ += 1000;
  }

  int64_t now_ns_ = 1'000'000;
};

std::vector<std::string> PhasesOf(const Passes& passes) {
  std::vector<std::string> phases;
  for (const Pass& pass : passes.passes) phases.emplace_back(NameOf(pass.phase));
  return phases;
}

ServingSums Summed(const Server& server) {
  const Interval window = {server.timeline.works.front().time.begin_ns,
                           server.timeline.works.back().time.end_ns};
  return SummarizeServing(server.timeline, window, nullptr);
}

TEST(Passes, LengthsTellPassesAndPhases) {
  Server server;
  server.Pass({{7, 7, 1}, {9, 40, 1}});
  server.Pass({{1, 8, 1}, {1, 41, 1}});
  server.Pass({{1, 9, 1}, {30, 30, 1}});
  const Passes passes = FindPasses(server.timeline);
  EXPECT_EQ(PhasesOf(passes), (std::vector<std::string>{"prefill", "decode", "mixed"}));
  for (const Pass& pass : passes.passes) EXPECT_EQ(pass.layers, 3u);
  // Each pass has its own products: three layers of three calls, and logits.
  EXPECT_EQ(passes.passes[0].end_call, 10u);
  EXPECT_EQ(passes.passes[1].end_call, 20u);
  EXPECT_EQ(passes.passes[2].end_call, 30u);
}

TEST(Passes, TheSameLengthsAgainAreAnotherPass) {
  Server server;
  server.Pass({{7, 7, 1}});
  server.Pass({{9, 9, 1}});
  for (int i = 0; i < 3; ++i) server.Pass({{5, 5, 1}});
  EXPECT_EQ(FindPasses(server.timeline).passes.size(), 5u);
}

TEST(Passes, LayersWithAndWithoutWindowsAreOnePass) {
  Server server;
  for (const uint32_t keys : {20u, 21u, 22u}) {
    for (int layer = 0; layer < 4; ++layer) {
      server.Attend({{1, keys, 2}}, 8, layer % 2 == 0 ? 15 : -1);
      server.Gemm(64, 2, 64);
    }
  }
  const Passes passes = FindPasses(server.timeline);
  ASSERT_EQ(passes.passes.size(), 3u);
  EXPECT_EQ(passes.passes[1].layers, 4u);
  EXPECT_EQ(passes.models.size(), 1u);
}

TEST(Passes, LayersThatCallAttentionTwiceAreOnePass) {
  Server server;
  for (const uint32_t keys : {20u, 21u, 22u}) {
    for (int layer = 0; layer < 4; ++layer) {
      server.Attend({{1, keys, 2}});
      server.Attend({{16, keys + 100, 1}});
      server.Gemm(64, 18, 64);
    }
  }
  const Passes passes = FindPasses(server.timeline);
  ASSERT_EQ(passes.passes.size(), 3u);
  EXPECT_EQ(passes.passes[0].layers, 4u);
  EXPECT_EQ(passes.passes[0].sequences.Count(), 3u);
  EXPECT_EQ(PhasesOf(passes), (std::vector<std::string>{"mixed", "mixed", "mixed"}));
  EXPECT_EQ(passes.attention[0].phase, Phase::kDecode);
  EXPECT_EQ(passes.attention[1].phase, Phase::kPrefill);
}

TEST(Passes, OfUnknownLengthsLogitsTellWhereAPassEnds) {
  Server server;
  for (int i = 0; i < 5; ++i) server.PassUnknown(4, 1, 3, true);
  const Passes passes = FindPasses(server.timeline);
  ASSERT_EQ(passes.passes.size(), 5u);
  for (const Pass& pass : passes.passes) {
    EXPECT_TRUE(pass.is_one);
    EXPECT_EQ(pass.phase, Phase::kDecode);
    EXPECT_TRUE(pass.sequences.are_bounds);
  }
}

TEST(Passes, WhereNothingTellsTheirNumberIsUnknown) {
  Server server;
  for (int i = 0; i < 5; ++i) server.PassUnknown(4, 64, 3, false);
  const Passes passes = FindPasses(server.timeline);
  ASSERT_EQ(passes.passes.size(), 1u);
  EXPECT_FALSE(passes.passes[0].is_one);
  EXPECT_EQ(passes.passes[0].phase, Phase::kUnknown);
  const ServingSums sums = Summed(server);
  const PhaseSums& phase = sums.phases.at({0, Phase::kUnknown});
  EXPECT_FALSE(phase.passes_are_known);
  EXPECT_EQ(phase.attention_calls, 15u);
  EXPECT_FALSE(sums.are_steps_known);
}

TEST(Passes, ALaunchOfAGraphIsAPass) {
  Server server;
  const Op attention = OpOf(Server::Shape(8, -1), Runs{{1, 300, 2}}, shapes::Provenance::kExact);
  for (int i = 0; i < 4; ++i) server.Launch(attention, 24);
  const Passes passes = FindPasses(server.timeline);
  ASSERT_EQ(passes.passes.size(), 4u);
  EXPECT_EQ(passes.passes[3].layers, 24u);
}

TEST(Passes, TrainingHasNone) {
  Server server;
  server.Pass({{1, 8, 1}});
  shapes::Attention backward = Server::Shape(8, -1);
  backward.pass = shapes::Pass::kBackward;
  backward.seq_q = backward.seq_k = 8;
  server.timeline.ops.push_back(OpOf(backward, shapes::Provenance::kExact));
  EXPECT_TRUE(FindPasses(server.timeline).passes.empty());
  EXPECT_FALSE(Summed(server).is_serving);
}

TEST(Passes, WholeSequencesAloneAreNoServer) {
  Server server;
  server.Pass({{128, 128, 4}});
  EXPECT_FALSE(Summed(server).is_serving);
}

TEST(Serving, TimesSumToTheWindow) {
  Server server;
  server.Pass({{7, 7, 1}});
  server.Wait(50'000);
  server.Pass({{1, 8, 1}});
  server.Gemm(8, 8, 8);
  const ServingSums sums = Summed(server);
  EXPECT_EQ(sums.busy_ns, 21'000);
  EXPECT_EQ(sums.waiting_ns, 50'000);
  EXPECT_EQ(sums.idle_in_step_ns, 0);
  const PhaseSums& decode = sums.phases.at({0, Phase::kDecode});
  EXPECT_EQ(decode.new_tokens, 1u);
  EXPECT_EQ(decode.context_tokens, 7u);
  // Eight keys and values of two heads of 32 in three layers, two bytes each.
  EXPECT_EQ(decode.kv_bytes, 8u * 2 * 2 * 32 * 2 * 3);
  EXPECT_EQ(decode.span_ns, 11'000);
}

TEST(Serving, DraftsAndVerifiesAreToldApart) {
  Server server;
  for (uint32_t cached = 100; cached < 110; cached += 2) {
    for (uint32_t i = 0; i < 3; ++i) server.Pass({{1, cached + i + 1, 1}}, 2, 4);
    server.Pass({{3, cached + 3, 1}});
  }
  const ServingSums sums = Summed(server);
  ASSERT_TRUE(sums.speculation.has_value());
  EXPECT_EQ(sums.speculation->steps, 5u);
  EXPECT_EQ(sums.speculation->draft_passes, 15u);
  EXPECT_EQ(sums.speculation->sequence_steps_known, 4u);
  EXPECT_EQ(sums.speculation->accepted, 4u);  // each time one of two, and one more
  EXPECT_EQ(sums.speculation->tokens, 8u);
  EXPECT_EQ(sums.phases.count({sums.target, Phase::kVerify}), 1u);
  EXPECT_EQ(sums.phases.count({sums.target, Phase::kPrefill}), 0u);
}

TEST(Serving, MoreQueriesWithoutDraftsAreAPrefill) {
  Server server;
  for (uint32_t cached = 100; cached < 110; cached += 2) {
    server.Pass({{1, cached + 1, 1}}, 2, 4);
    server.Pass({{3, cached + 3, 1}});
  }
  EXPECT_FALSE(Summed(server).speculation.has_value());
}

TEST(Serving, TheServersOwnMarksComeFirst) {
  Server server;
  server.Gemm(64, 40, 64);
  server.Gemm(64, 8, 64);
  ServingStep prefill;
  prefill.host_time = {1'000'000, 1'000'900};
  prefill.context = {2, 40, 60, std::nullopt, std::nullopt};
  ServingStep decode;
  decode.host_time = {1'001'000, 1'001'900};
  decode.generation = {8, 8, std::nullopt, std::nullopt, std::nullopt};
  server.timeline.serving_steps = {prefill, decode};
  const ServingSums sums = Summed(server);
  EXPECT_TRUE(sums.from_marks);
  const PhaseSums& first = sums.phases.at({0, Phase::kPrefill});
  EXPECT_EQ(first.new_tokens, 40u);
  EXPECT_EQ(first.context_tokens, 20u);
  EXPECT_EQ(first.flop.executed, Flop(2u * 64 * 40 * 64));
  const PhaseSums& second = sums.phases.at({0, Phase::kDecode});
  EXPECT_EQ(second.new_tokens, 8u);
  EXPECT_FALSE(second.context_is_known);
  EXPECT_EQ(second.busy_ns, 1000);
}

}  // namespace
}  // namespace mfutrace::report
