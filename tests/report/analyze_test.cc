// Whole runs through the analyzer, with figures worked out on paper.
#include "report/analyze/analyze.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "report/analyze/rates.h"
#include "report/model/load.h"
#include "tests/report/native_trace.h"
#include "trace/contract.h"

namespace mfutrace::report {
namespace {

using shapes::CollectiveKind;
using test::NativeTrace;

constexpr char kH100[] = "NVIDIA H100 80GB HBM3";
constexpr uint64_t kGemmFlop = 2ull * 1024 * 1024 * 1024;

absl::StatusOr<RunResult> Analyze(const std::string& folder, AnalyzeOptions options = {}) {
  const absl::StatusOr<std::vector<std::string>> files = FindTraces(folder);
  if (!files.ok()) return files.status();
  Analyzer analyzer(std::move(options));
  for (const std::string& file : *files) {
    const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(file);
    if (!timelines.ok()) return timelines.status();
    for (const Timeline& timeline : *timelines) analyzer.Add(timeline);
  }
  return analyzer.Finish();
}

std::string Fact(std::string_view key) { return std::string(key); }

bool HasNote(const RunResult& result, const std::string& part) {
  return std::any_of(result.quality.notes.begin(), result.quality.notes.end(),
                     [&](const std::string& note) { return note.find(part) != std::string::npos; });
}

// One rank of a job: `steps` x (2 GEMMs of 100 us each, an all-reduce of 80 us that starts 60 us
// into the second GEMM, 120 us of something unseen). Step length 300 us, device time from 1 ms.
struct RankFile {
  RankFile(const std::string& folder, int rank, int steps, bool tells_rank = true,
           bool is_timed = true)
      : file(folder + "/r" + std::to_string(rank) + ".mfut", 100u + static_cast<uint32_t>(rank)) {
    if (tells_rank) file.Fact(Fact(trace::fact::kRank), std::to_string(rank));
    file.Fact(Fact(trace::fact::kHost), "node1");
    file.Fact(Fact(trace::fact::kCommandLine), "gpt_train");
    file.Fact(Fact(trace::fact::kTimingBackend), is_timed ? "events" : "count");
    file.Device(0, kH100);
    file.Lane(1, 0, 0);
    file.Lane(2, 0, 9);
    file.Communicator(1, 0x11, rank, 2, 0, "dp");
    file.Gemm(1, 1024, 1024, 1024);
    file.Collective(2, CollectiveKind::kAllReduce, 1000, 1);
    for (int step = 0; step < steps; ++step) {
      const int64_t gpu_ns = 1'000'000 + step * 300'000;
      const int64_t host_ns = 5'000'000 + step * 300'000;
      const auto call = [&](uint32_t signature, uint32_t lane, int64_t at, int64_t begin,
                            int64_t end, uint32_t sequence = 0) {
        if (!is_timed) begin = end = 0;
        file.Call(signature, lane, host_ns + at, host_ns + at + 1000, begin, end, 0, sequence);
      };
      call(1, 1, 0, gpu_ns, gpu_ns + 100'000);
      call(1, 1, 2000, gpu_ns + 100'000, gpu_ns + 200'000);
      call(2, 2, 4000, gpu_ns + 160'000, gpu_ns + 240'000, static_cast<uint32_t>(step) + 1);
    }
  }
  NativeTrace file;
};

TEST(Analyze, TwoRanksOnPaper) {
  const std::string folder = test::FreshFolder();
  for (const int rank : {1, 0}) {
    RankFile rank_file(folder, rank, 10);
    rank_file.file.End();
  }
  const absl::StatusOr<RunResult> result = Analyze(folder);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->title, "gpt_train");
  EXPECT_EQ(result->gpu, kH100);
  EXPECT_EQ(result->source, "mfutrace");
  EXPECT_EQ(result->timing, "events");
  EXPECT_EQ(result->devices, 2u);

  // 10 steps of 300 us, the last without its unseen tail of 60 us.
  const int64_t window_ns = 10 * 300'000 - 60'000;
  const Flop flop = Flop(kGemmFlop) * 2 * 10;
  ASSERT_EQ(result->ranks.size(), 2u);
  for (int rank = 0; rank < 2; ++rank) {
    const RankResult& row = result->ranks[static_cast<size_t>(rank)];
    EXPECT_EQ(row.rank, rank);
    EXPECT_EQ(row.device, 0);
    EXPECT_EQ(row.split.window_ns, window_ns);
    EXPECT_EQ(row.split.compute_ns, 10 * 200'000);
    EXPECT_EQ(row.split.comm_ns, 10 * 80'000);
    EXPECT_EQ(row.split.overlapped_ns, 10 * 40'000);
    EXPECT_EQ(row.split.exposed_ns, 10 * 40'000);
    EXPECT_EQ(row.split.compute_only_ns, 10 * 160'000);
    EXPECT_EQ(row.split.unattributed_ns, 9 * 60'000);
    EXPECT_FALSE(row.split.idle_ns.has_value());
    EXPECT_EQ(row.flop_executed, flop);
  }
  EXPECT_EQ(result->run.window_ns, 2 * window_ns);
  EXPECT_EQ(result->run.split.window_ns, 2 * window_ns);
  EXPECT_EQ(result->run.split.exposed_ns, 2 * 10 * 40'000);
  EXPECT_EQ(result->run.flop.executed, flop * 2);
  EXPECT_EQ(result->run.flop.executed_by_kind.at("gemm"), flop * 2);
  EXPECT_FALSE(result->run.coverage.has_value());
  // 989.4 TFLOP/s dense bf16 (NVIDIA H100 SXM data sheet).
  EXPECT_NEAR(result->run.mfu.value_or(-1),
              20.0 * static_cast<double>(kGemmFlop) / (static_cast<double>(window_ns) * 989.4e3),
              1e-12);

  EXPECT_EQ(result->steps_found_by, "period");
  ASSERT_EQ(result->steps.size(), 20u);
  EXPECT_EQ(result->steps[0].split.window_ns, 300'000);
  EXPECT_EQ(result->steps[9].split.window_ns, 240'000);
  for (const StepResult& step : result->steps) {
    EXPECT_EQ(step.flop_executed, Flop(kGemmFlop) * 2);
    EXPECT_EQ(step.split.exposed_ns, 40'000);
  }
  ASSERT_TRUE(result->steady.has_value());
  EXPECT_EQ(result->steady_first_step, 0u);
  EXPECT_EQ(result->steady_last_step, 9u);
  EXPECT_EQ(result->steady->window_ns, result->run.window_ns);
  EXPECT_EQ(result->steady->flop.executed, flop * 2);

  ASSERT_EQ(result->ops.size(), 2u);
  EXPECT_EQ(result->ops[0].kind, "gemm");
  EXPECT_EQ(result->ops[0].calls, 40u);
  EXPECT_EQ(result->ops[0].timed_calls, 40u);
  EXPECT_EQ(result->ops[0].time_ns, 40 * 100'000);
  EXPECT_EQ(result->ops[0].flop_executed, flop * 2);
  EXPECT_EQ(result->ops[0].bytes_least, absl::uint128(40) * 3 * 2 * 1024 * 1024);
  EXPECT_EQ(result->ops[0].peak_flop_per_s, 989'400'000'000'000u);
  // 1024^3 in bf16 at 989.4 TFLOP/s: 2.17 us, longer than 6 MiB at 3.35 TB/s, too short to be
  // reached.
  ASSERT_TRUE(result->ops[0].roofline_ns_per_call.has_value());
  EXPECT_NEAR(*result->ops[0].roofline_ns_per_call, 2170.5, 0.1);
  EXPECT_EQ(result->ops[0].bound, "latency");
  EXPECT_NEAR(*OfRoofline(result->ops[0]), 0.021705, 1e-6);
  EXPECT_EQ(result->ops[1].bound, "");
  EXPECT_FALSE(result->ops[1].roofline_ns_per_call.has_value());
  EXPECT_EQ(result->ops[1].time_ns, 20 * 80'000);
  EXPECT_FALSE(result->ops[1].flop_executed.has_value());

  ASSERT_EQ(result->communicators.size(), 1u);
  const CommunicatorResult& dp = result->communicators[0];
  EXPECT_EQ(dp.id, "0000000000000011");
  EXPECT_EQ(dp.name, "dp");
  EXPECT_EQ(dp.size, 2u);
  EXPECT_EQ(dp.ranks, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(dp.ops, (std::map<std::string, uint64_t>{{"allreduce", 20}}));
  EXPECT_EQ(dp.bytes, absl::uint128(20 * 2000));
  EXPECT_EQ(dp.bus_bytes, absl::uint128(20 * 2000));  // 2 (n - 1) / n = 1
  EXPECT_EQ(dp.time_ns, 2 * 10 * 80'000);
  EXPECT_EQ(dp.exposed_ns, result->run.split.exposed_ns);
}

TEST(Analyze, RanksComeFromTheCommunicatorThatSpansTheJob) {
  const std::string folder = test::FreshFolder();
  for (const int rank : {0, 1}) {
    RankFile rank_file(folder, rank, 5, /*tells_rank=*/false);
    rank_file.file.End();
  }
  const absl::StatusOr<RunResult> result = Analyze(folder);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->ranks[0].rank, 0);
  EXPECT_EQ(result->ranks[1].rank, 1);
  EXPECT_EQ(result->world_size, 2u);
  EXPECT_EQ(result->communicators[0].ranks, (std::vector<int32_t>{0, 1}));
  EXPECT_TRUE(HasNote(*result, "from the communicator that spans the job"));
}

TEST(Analyze, CountModeKnowsFlopsAndWindowAndNothingElseOfTime) {
  const std::string folder = test::FreshFolder();
  {
    RankFile rank_file(folder, 0, 5, true, /*is_timed=*/false);
    rank_file.file.End();
  }
  const absl::StatusOr<RunResult> result = Analyze(folder);
  ASSERT_TRUE(result.ok()) << result.status();
  // First call to the end of the last: 4 x 300 us + 4 us + 1 us.
  EXPECT_EQ(result->run.window_ns, 4 * 300'000 + 5'000);
  EXPECT_EQ(result->run.flop.executed, Flop(kGemmFlop) * 10);
  EXPECT_TRUE(result->run.mfu.has_value());
  EXPECT_FALSE(result->run.split.compute_ns.has_value());
  EXPECT_FALSE(result->run.split.unattributed_ns.has_value());
  EXPECT_EQ(result->ranks[0].untimed, 15u);
  EXPECT_FALSE(result->ops[0].time_ns.has_value());
  EXPECT_FALSE(result->communicators[0].time_ns.has_value());
  EXPECT_FALSE(result->communicators[0].exposed_ns.has_value());
  EXPECT_EQ(result->communicators[0].bytes, absl::uint128(5 * 2000));
  ASSERT_EQ(result->steps.size(), 5u);
  EXPECT_EQ(result->steps[1].split.window_ns, 300'000);
  EXPECT_EQ(result->steps[1].flop_executed, Flop(kGemmFlop) * 2);
}

TEST(Analyze, MixedTimingSplitsTheTimedDevicesAlone) {
  const std::string folder = test::FreshFolder();
  for (const int rank : {0, 1}) {
    RankFile rank_file(folder, rank, 5, true, /*is_timed=*/rank == 0);
    rank_file.file.End();
  }
  const absl::StatusOr<RunResult> result = Analyze(folder);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->timing, "mixed");
  EXPECT_EQ(result->run.split.window_ns, result->ranks[0].split.window_ns);
  EXPECT_EQ(result->run.window_ns,
            result->ranks[0].split.window_ns + result->ranks[1].split.window_ns);
  EXPECT_EQ(result->run.flop.executed, Flop(kGemmFlop) * 20);
  EXPECT_TRUE(HasNote(*result, "1 of 2 devices have no GPU times"));
}

TEST(Analyze, DroppedAndCapturedCallsAreCountedAsWhatTheyAre) {
  const std::string folder = test::FreshFolder();
  {
    NativeTrace file(folder + "/a.mfut");
    file.Device(0, kH100);
    file.Lane(1, 0, 0);
    file.Gemm(1, 1024, 1024, 1024);
    file.Opaque(2, "cublasStrsm_v2");
    file.Call(1, 1, 10, 20, 1000, 2000);
    file.Call(1, 1, 30, 40, 0, 0, trace::kCaptured);
    file.Count(1, 0, 8, 30, 60);
    file.Count(2, 0, 3, 30, 60);
    file.End();
  }
  const absl::StatusOr<RunResult> result = Analyze(folder);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->run.flop.executed, Flop(kGemmFlop) * 9);
  EXPECT_EQ(result->quality.captured, 1u);
  EXPECT_EQ(result->ranks[0].dropped, 11u);
  EXPECT_EQ(result->ops[0].calls, 9u);
  EXPECT_EQ(result->ops[0].timed_calls, 1u);
  EXPECT_TRUE(HasNote(*result, "cublasStrsm_v2 (3)"));
  // The dropped calls ran up to 40 ns after the timed one on the host: so does the window.
  EXPECT_EQ(result->run.window_ns, 1000 + 40);
  EXPECT_EQ(result->world_size, 1u);
}

TEST(Analyze, UntimedCallsBeforeTheFirstTimedOneWidenTheWindow) {
  const std::string folder = test::FreshFolder();
  {
    NativeTrace file(folder + "/a.mfut");
    file.Device(0, kH100);
    file.Lane(1, 0, 0);
    file.Gemm(1, 1024, 1024, 1024);
    file.Call(1, 1, 0, 100, 0, 0);
    file.Call(1, 1, 5000, 5100, 20'000, 21'000);
    file.End();
  }
  const absl::StatusOr<RunResult> result = Analyze(folder);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->run.window_ns, 5000 + 1000);
  EXPECT_EQ(result->run.split.unattributed_ns, 5000);
}

TEST(Analyze, GroupTimeIsSharedByItsCallsAndCountedOnce) {
  const std::string folder = test::FreshFolder();
  {
    NativeTrace file(folder + "/a.mfut");
    file.Device(0, kH100);
    file.Lane(1, 0, 0);
    file.Communicator(1, 1, 0, 2);
    file.Collective(1, CollectiveKind::kSend, 100, 1);
    file.Collective(2, CollectiveKind::kRecv, 100, 1);
    file.Call(1, 1, 10, 11, 1000, 2001, trace::kGrouped, 1);
    file.Call(2, 1, 11, 12, 1000, 2001, trace::kGrouped, 2);
    file.End();
  }
  const absl::StatusOr<RunResult> result = Analyze(folder);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->ops.size(), 2u);
  EXPECT_EQ(*result->ops[0].time_ns + *result->ops[1].time_ns, 1001);
  EXPECT_EQ(result->communicators[0].time_ns, 1001);
  EXPECT_EQ(result->communicators[0].ops,
            (std::map<std::string, uint64_t>{{"recv", 1}, {"send", 1}}));
}

TEST(Analyze, RestartedJobIsItsNewestAttempt) {
  const std::string folder = test::FreshFolder();
  for (const int attempt : {0, 1}) {
    RankFile rank_file(folder, attempt, 5);
    rank_file.file.Fact(Fact(trace::fact::kRank), "0");
    rank_file.file.Fact(Fact(trace::fact::kRestart), std::to_string(attempt));
    rank_file.file.End();
  }
  const absl::StatusOr<RunResult> result = Analyze(folder);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->devices, 1u);
  EXPECT_EQ(result->run.flop.executed, Flop(kGemmFlop) * 10);
  EXPECT_TRUE(HasNote(*result, "this is attempt 1; 1 files of earlier attempts"));
}

TEST(Analyze, TwoProcessesOfOneRankAreTwoRowsAndSaidSo) {
  const std::string folder = test::FreshFolder();
  for (const int process : {0, 1}) {
    RankFile rank_file(folder, process, 5);
    rank_file.file.Fact(Fact(trace::fact::kRank), "4");
    rank_file.file.End();
  }
  const absl::StatusOr<RunResult> result = Analyze(folder);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->ranks.size(), 2u);
  EXPECT_TRUE(HasNote(*result, "rank 4 device 0 appears in 2 files"));
}

TEST(Analyze, OneRankOnRequest) {
  const std::string folder = test::FreshFolder();
  for (const int rank : {0, 1}) {
    RankFile rank_file(folder, rank, rank == 0 ? 5 : 7);
    rank_file.file.End();
  }
  AnalyzeOptions options;
  options.rank = 1;
  const absl::StatusOr<RunResult> result = Analyze(folder, options);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->ranks.size(), 1u);
  EXPECT_EQ(result->ranks[0].rank, 1);
  EXPECT_EQ(result->run.flop.executed, Flop(kGemmFlop) * 14);
  options.rank = 9;
  EXPECT_EQ(Analyze(folder, options).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Analyze, WarmUpIsLeftOutOfTheSteadyWindow) {
  const std::string folder = test::FreshFolder();
  {
    NativeTrace file(folder + "/a.mfut");
    file.Device(0, kH100);
    file.Lane(1, 0, 0);
    file.Gemm(1, 1024, 1024, 1024);
    file.Gemm(2, 1024, 1024, 2048);
    int64_t now_ns = 0;
    for (int step = 0; step < 10; ++step) {
      file.Call(1, 1, now_ns, now_ns + 10, now_ns, now_ns + 100);
      file.Call(2, 1, now_ns + 20, now_ns + 30, now_ns + 100, now_ns + 300);
      now_ns += step < 2 ? 9000 : 1000;
    }
    file.End();
  }
  const absl::StatusOr<RunResult> found = Analyze(folder);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_TRUE(found->steady.has_value());
  EXPECT_EQ(found->steady_first_step, 2u);
  EXPECT_EQ(found->steady_last_step, 9u);
  EXPECT_EQ(found->steady->window_ns, 7 * 1000 + 300);
  EXPECT_EQ(found->steady->flop.executed, Flop(kGemmFlop) * 3 * 8);
  EXPECT_EQ(found->steady->split.compute_ns, 8 * 300);
  EXPECT_EQ(found->run.window_ns, 2 * 9000 + 7 * 1000 + 300);

  AnalyzeOptions options;
  options.skip_warmup_steps = 5;
  const absl::StatusOr<RunResult> given = Analyze(folder, options);
  EXPECT_EQ(given->steady_first_step, 5u);
  EXPECT_EQ(given->steady->window_ns, 4 * 1000 + 300);
  options.skip_warmup_steps = 9;
  const absl::StatusOr<RunResult> none = Analyze(folder, options);
  EXPECT_FALSE(none->steady.has_value());
  EXPECT_TRUE(HasNote(*none, "no steady window: 10 steps, 9 of them warm-up"));
}

TEST(Analyze, SteadyWindowHoldsWhatLiesBetweenMarks) {
  // Marks [0, 80), [100, 180) ... and one kernel and one GEMM in each mark and in each gap.
  Timeline timeline;
  timeline.source = SourceKind::kKineto;
  timeline.has_all_kernels = true;
  timeline.has_shapes = true;
  timeline.device.name = kH100;
  Op gemm;
  gemm.label = "gemm";
  gemm.kind = shapes::OpKind::kGemm;
  gemm.provenance = shapes::Provenance::kExact;
  gemm.flop_executed = gemm.flop_model = gemm.flop_full_attention = 10;
  gemm.rate = shapes::PeakRate::kBf16;
  timeline.ops.push_back(gemm);
  for (int64_t k = 0; k < 5; ++k) {
    timeline.steps.push_back({"step", {k * 100, k * 100 + 80}});
    for (const auto& [begin_ns, end_ns] :
         {std::pair(k * 100 + 10, k * 100 + 40), std::pair(k * 100 + 85, k * 100 + 95)}) {
      OpCall call;
      call.op = 0;
      call.host_begin_ns = begin_ns;
      call.host_end_ns = begin_ns + 1;
      call.work = static_cast<uint32_t>(timeline.works.size());
      timeline.calls.push_back(call);
      Work work;
      work.time = {begin_ns, end_ns};
      work.op = 0;
      timeline.works.push_back(work);
    }
  }
  AnalyzeOptions options;
  options.skip_warmup_steps = 1;
  Analyzer analyzer(options);
  analyzer.Add(timeline);
  const absl::StatusOr<RunResult> result = analyzer.Finish();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->run.split.window_ns, 485);
  EXPECT_EQ(result->steps[2].split.window_ns, 80);
  EXPECT_EQ(result->steps[2].split.compute_ns, 30);
  EXPECT_EQ(result->steps[2].flop_executed, Flop(10));
  ASSERT_TRUE(result->steady.has_value());
  // Steps 1 to 4 and the three gaps between them.
  EXPECT_EQ(result->steady->split.window_ns, 380);
  EXPECT_EQ(result->steady->split.compute_ns, 4 * 30 + 3 * 10);
  EXPECT_EQ(result->steady->split.idle_ns, 380 - 150);
  EXPECT_EQ(result->steady->flop.executed, Flop(70));
  EXPECT_DOUBLE_EQ(result->steady->coverage.value().at("exact"), 1.0);
}

TEST(Analyze, DroppedCallsInsideOneStepCountThereOthersMakeStepsUnknown) {
  const std::string folder = test::FreshFolder();
  {
    RankFile rank_file(folder, 0, 10);
    rank_file.file.Count(1, 0, 5, 5'000'000 + 2 * 300'000 + 10'000,
                         5'000'000 + 2 * 300'000 + 20'000);
    rank_file.file.Count(1, 0, 7, 5'000'000 + 5 * 300'000 + 10'000, 5'000'000 + 7 * 300'000);
    rank_file.file.End();
  }
  const absl::StatusOr<RunResult> result = Analyze(folder);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->steps.size(), 10u);
  EXPECT_EQ(result->steps[1].flop_executed, Flop(kGemmFlop) * 2);
  EXPECT_EQ(result->steps[2].flop_executed, Flop(kGemmFlop) * 7);
  EXPECT_FALSE(result->steps[5].flop_executed.has_value());
  EXPECT_FALSE(result->steps[6].flop_executed.has_value());
  EXPECT_EQ(result->steps[7].flop_executed, Flop(kGemmFlop) * 2);
  EXPECT_EQ(result->run.flop.executed, Flop(kGemmFlop) * 32);
  EXPECT_EQ(result->steady->flop.executed, Flop(kGemmFlop) * 32);
}

TEST(Analyze, NothingToReportIsAnErrorNotAnEmptyReport) {
  Analyzer analyzer({});
  EXPECT_EQ(analyzer.Finish().status().code(), absl::StatusCode::kFailedPrecondition);
  const std::string folder = test::FreshFolder();
  {
    NativeTrace file(folder + "/a.mfut");
    file.Device(0, kH100);
    file.End();
  }
  EXPECT_EQ(Analyze(folder).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Analyze, SourceWithoutShapesHasNullFlops) {
  Timeline timeline;
  timeline.source = SourceKind::kKineto;
  timeline.has_all_kernels = true;
  timeline.device.name = kH100;
  timeline.works.resize(1);
  timeline.works[0].time = {10, 20};
  Analyzer analyzer({});
  analyzer.Add(timeline);
  const absl::StatusOr<RunResult> result = analyzer.Finish();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->run.flop.executed.has_value());
  EXPECT_FALSE(result->run.mfu.has_value());
  EXPECT_FALSE(result->ranks[0].flop_executed.has_value());
  EXPECT_EQ(result->run.split.idle_ns, 0);
  EXPECT_FALSE(result->run.split.unattributed_ns.has_value());
  ASSERT_TRUE(result->run.coverage.has_value());
  EXPECT_DOUBLE_EQ(result->run.coverage->at("none"), 1.0);
}

}  // namespace
}  // namespace mfutrace::report
