// Clocks, matching and waiting over several ranks: made-up clusters whose true times the test
// knows, and real traces against figures that another program found in them.
#include "report/analyze/together.h"

#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include <cstdlib>

#include "report/analyze/analyze.h"
#include "report/analyze/ranks.h"
#include "report/import/import.h"
#include "tests/report/cluster.h"
#include "tests/report/import_reference.h"

namespace mfutrace::report {
namespace {

using shapes::CollectiveKind;
using test::Cluster;

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kUs = 1'000;

std::vector<DeviceSummary> SummariesOf(const std::vector<Timeline>& timelines) {
  std::vector<DeviceSummary> devices;
  for (const Timeline& timeline : timelines) {
    absl::StatusOr<DeviceSummary> summary = Summarize(timeline);
    EXPECT_TRUE(summary.ok()) << summary.status();
    devices.push_back(*std::move(summary));
  }
  SortByRank(devices);
  return devices;
}

absl::StatusOr<RunResult> Analyze(const std::vector<Timeline>& timelines,
                                  const AnalyzeOptions& options = {}) {
  Analyzer analyzer(options);
  for (const Timeline& timeline : timelines) analyzer.Add(timeline);
  return analyzer.Finish();
}

// Two nodes' worth of communicators, none of which spans the job: {0,1}, {2,3} and {0,2}, {1,3}.
// Ends jitter by 8 us; every rank comes up to 2 ms late. 10 s of run.
Cluster MeshOfFour(int64_t jitter_ns = 8 * kUs) {
  Cluster cluster(4);
  const int rows[2] = {cluster.Communicator("a", {0, 1}), cluster.Communicator("b", {2, 3})};
  const int columns[2] = {cluster.Communicator("c", {0, 2}), cluster.Communicator("d", {1, 3})};
  for (int64_t k = 0; k < 400; ++k) {
    const int64_t at_ns = 1000 * kMs + k * 25 * kMs;
    for (const int row : rows) {
      cluster.Collective(row, CollectiveKind::kAllReduce, 1 << 20,
                         {at_ns + cluster.Jitter(2 * kMs), at_ns + cluster.Jitter(2 * kMs)}, kMs,
                         jitter_ns, 1);
    }
    for (const int column : columns) {
      cluster.Collective(
          column, CollectiveKind::kReduceScatter, 4 << 20,
          {at_ns + 10 * kMs + cluster.Jitter(2 * kMs), at_ns + 10 * kMs + cluster.Jitter(2 * kMs)},
          2 * kMs, jitter_ns, 2);
    }
  }
  return cluster;
}

// MeshOfFour again, told by clocks that are 300 ms apart and drift by 20 ppm. The same jitter: the
// generator is seeded.
Cluster SkewedMesh() {
  Cluster truth = MeshOfFour();
  truth.SetClock(1, 300 * kMs, 20);
  truth.SetClock(2, -300 * kMs, -20);
  truth.SetClock(3, 123'456'789, 7.5);
  for (int rank = 0; rank < 4; ++rank) {
    for (Work& work : truth.timeline(rank).works) {
      work.time = {truth.Local(rank, work.time.begin_ns), truth.Local(rank, work.time.end_ns)};
    }
  }
  return truth;
}

TEST(Clocks, OffsetsOf300MsAndDriftsOf20PpmAreRecoveredWithin50Us) {
  Cluster cluster = SkewedMesh();
  const std::vector<DeviceSummary> devices = SummariesOf(cluster.timelines());
  const Clocks clocks = AlignClocks(devices, MatchCollectives(devices));
  int64_t worst_ns = 0;
  for (int64_t true_ns = 1000 * kMs; true_ns <= 11'000 * kMs; true_ns += 500 * kMs) {
    const int64_t reference_ns = clocks.devices[0].Aligned(cluster.Local(0, true_ns));
    for (int rank = 1; rank < 4; ++rank) {
      const DeviceClock& clock = clocks.devices[static_cast<size_t>(rank)];
      EXPECT_EQ(clock.component, 0u);
      worst_ns =
          std::max(worst_ns, std::abs(clock.Aligned(cluster.Local(rank, true_ns)) - reference_ns));
    }
  }
  std::printf("worst alignment error %lld ns\n", static_cast<long long>(worst_ns));
  EXPECT_LT(worst_ns, 50 * kUs);
  // The two ends of a pair differ by two jitters of up to 8 us.
  ASSERT_TRUE(clocks.residual_ns.has_value());
  EXPECT_GT(*clocks.residual_ns, 1 * kUs);
  EXPECT_LT(*clocks.residual_ns, 12 * kUs);
  EXPECT_EQ(clocks.impossible, 0u);
}

TEST(Clocks, WaitingIsThatOfTheTrueTimes) {
  const std::vector<DeviceSummary> unused;
  std::vector<DeviceSummary> truth = SummariesOf(MeshOfFour().timelines());
  std::vector<DeviceSummary> skewed = SummariesOf(SkewedMesh().timelines());
  const MatchResult truth_match = MatchCollectives(truth);
  const MatchResult match = MatchCollectives(skewed);
  Clocks perfect;
  perfect.devices.resize(4);
  const WaitResult expected = MeasureWaits(truth, truth_match, perfect);
  const WaitResult actual = MeasureWaits(skewed, match, AlignClocks(skewed, match));
  ASSERT_EQ(actual.groups.size(), 4u);
  for (size_t g = 0; g < 4; ++g) {
    const GroupWaits& group = actual.groups[g];
    EXPECT_TRUE(group.is_known);
    EXPECT_EQ(group.intervals, 800u);
    EXPECT_EQ(group.intervals_without_clocks, 0u);
    // 400 collectives, each to within the clocks' error of a few microseconds.
    EXPECT_NEAR(static_cast<double>(group.wait_ns), static_cast<double>(expected.groups[g].wait_ns),
                400.0 * 10 * kUs);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_NEAR(static_cast<double>(group.times_last[i]),
                  static_cast<double>(expected.groups[g].times_last[i]), 8);
    }
  }
}

TEST(Clocks, RanksThatShareNothingStayApart) {
  Cluster cluster(4);
  const int left = cluster.Communicator("left", {0, 1});
  const int right = cluster.Communicator("right", {2, 3});
  for (int64_t k = 0; k < 20; ++k) {
    cluster.Collective(left, CollectiveKind::kAllReduce, 1 << 20, {k * kMs, k * kMs}, 100 * kUs);
    cluster.Collective(right, CollectiveKind::kAllReduce, 1 << 20, {k * kMs, k * kMs}, 100 * kUs);
  }
  const std::vector<DeviceSummary> devices = SummariesOf(cluster.timelines());
  const Clocks clocks = AlignClocks(devices, MatchCollectives(devices));
  EXPECT_EQ(clocks.devices[1].component, 0u);
  EXPECT_EQ(clocks.devices[2].component, 2u);
  EXPECT_EQ(clocks.devices[3].component, 2u);
  const std::optional<ClockResult> told = ClockOf(devices, clocks);
  ASSERT_TRUE(told.has_value());
  EXPECT_TRUE(told->offsets[1].offset_ns.has_value());
  EXPECT_FALSE(told->offsets[2].offset_ns.has_value());
}

TEST(RobustLine, IgnoresAFifthOfWildPoints) {
  std::vector<ClockPoint> points;
  for (int64_t i = 0; i < 300; ++i) {
    int64_t difference_ns = 5000 + i * 20;  // 20 ppm of 1 ms
    if (i % 5 == 0) difference_ns += 1'000'000 + i * i;
    points.push_back({i * kMs, difference_ns});
  }
  const RobustLine line = FitRobustLine(points);
  EXPECT_NEAR(line.slope, 20e-6, 2e-6);
  const int64_t at_150_ns =
      line.offset_ns +
      static_cast<int64_t>(line.slope * static_cast<double>(150 * kMs - line.at_ns));
  EXPECT_NEAR(static_cast<double>(at_150_ns), 8000, 300);
}

TEST(RobustLine, NoiseIsNoDrift) {
  std::mt19937_64 random(3);
  std::vector<ClockPoint> points;
  for (int64_t i = 0; i < 200; ++i) {
    points.push_back({i * kMs, std::uniform_int_distribution<int64_t>(-20'000, 20'000)(random)});
  }
  EXPECT_EQ(FitRobustLine(points).slope, 0);
}

// Waits on paper: rank 1 comes 300 us late to the first, rank 0 100 us late to the second.
TEST(Waits, OnPaper) {
  Cluster cluster(2);
  cluster.timeline(1).host = cluster.timeline(0).host;
  const int dp = cluster.Communicator("dp", {0, 1});
  // Rank 0 computes under the first 50 us of its wait, and under nothing of the second.
  cluster.Compute(0, 0, 1050 * kUs);
  cluster.Compute(1, 0, 1300 * kUs);
  cluster.Collective(dp, CollectiveKind::kAllReduce, 1 << 20, {1000 * kUs, 1300 * kUs}, 200 * kUs);
  cluster.Compute(0, 1500 * kUs, 2600 * kUs);
  cluster.Compute(1, 1500 * kUs, 2500 * kUs);
  cluster.Collective(dp, CollectiveKind::kAllReduce, 1 << 20, {2600 * kUs, 2500 * kUs}, 200 * kUs);
  const absl::StatusOr<RunResult> result = Analyze(cluster.timelines());
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->communicators.size(), 1u);
  const CommunicatorResult& row = result->communicators[0];
  EXPECT_EQ(row.wait_ns, 300 * kUs + 100 * kUs);
  EXPECT_EQ(row.transfer_ns, 4 * 200 * kUs);
  EXPECT_EQ(row.exposed_wait_ns, 250 * kUs + 100 * kUs);
  EXPECT_EQ(row.exposed_ns, (450 + 200 + 200 + 300) * kUs);
  EXPECT_EQ(row.times_last, (std::map<int32_t, uint64_t>{{0, 1}, {1, 1}}));
  EXPECT_EQ(row.contested, 2u);
  EXPECT_EQ(row.transfer_bus_bytes, absl::uint128(4) << 20);
  EXPECT_EQ(result->ranks[0].wait_ns, 300 * kUs);
  EXPECT_EQ(result->ranks[1].wait_ns, 100 * kUs);
  EXPECT_EQ(result->ranks[0].caused_wait_ns, 100 * kUs);
  EXPECT_EQ(result->ranks[1].caused_wait_ns, 300 * kUs);
  ASSERT_TRUE(result->clock.has_value());
  EXPECT_EQ(result->clock->residual_ns, 0);
  EXPECT_EQ(result->clock->end_spread_max_ns, 0);
}

TEST(Waits, AreUnknownWhereMembersAreMissing) {
  Cluster cluster(3);
  const int all = cluster.Communicator("all", {0, 1, 2});
  for (int64_t k = 0; k < 4; ++k) {
    cluster.Collective(all, CollectiveKind::kAllReduce, 1 << 20, {k * kMs, k * kMs, k * kMs},
                       100 * kUs);
  }
  cluster.timelines().pop_back();
  const absl::StatusOr<RunResult> result = Analyze(cluster.timelines());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->communicators[0].wait_ns.has_value());
  EXPECT_FALSE(result->communicators[0].exposed_wait_ns.has_value());
  EXPECT_FALSE(result->ranks[0].wait_ns.has_value());
  EXPECT_TRUE(result->communicators[0].exposed_ns.has_value());
}

TEST(Match, LostRecordsLeaveGapsAndShiftNothing) {
  Cluster cluster = MeshOfFour(0);
  cluster.Lose(0, 0, 0);
  cluster.Lose(0, 1, 17);
  cluster.Lose(0, 1, 399);
  cluster.Lose(2, 0, 200);
  const std::vector<DeviceSummary> devices = SummariesOf(cluster.timelines());
  const MatchResult match = MatchCollectives(devices);
  ASSERT_EQ(match.groups.size(), 4u);
  EXPECT_EQ(match.groups[0].matched, 397u);
  EXPECT_EQ(match.groups[0].unmatched, 3u);
  EXPECT_EQ(match.groups[1].matched, 400u);
  EXPECT_EQ(match.groups[2].matched, 399u);
  for (const MatchedSet& set : match.sets) {
    for (size_t row = 0; row < set.size(); ++row) {
      const Member& a = set.members[0];
      const Member& b = set.members[1];
      EXPECT_EQ(
          devices[a.device].collectives.records[a.communicator][set.records[2 * row]].sequence,
          devices[b.device].collectives.records[b.communicator][set.records[2 * row + 1]].sequence);
    }
  }
}

TEST(Match, DifferentSequencesAreRefusedWithAReason) {
  Cluster cluster(2);
  const int dp = cluster.Communicator("dp", {0, 1});
  for (int64_t k = 0; k < 50; ++k) {
    cluster.Collective(dp, CollectiveKind::kAllReduce, k % 2 == 0 ? 1 << 20 : 1 << 10,
                       {k * kMs, k * kMs}, 100 * kUs);
  }
  // Rank 1 numbers its calls from one later on, as a trace that begins in the middle would.
  for (OpCall& call : cluster.timeline(1).calls) call.sequence += 1;
  const std::vector<DeviceSummary> devices = SummariesOf(cluster.timelines());
  const MatchResult match = MatchCollectives(devices);
  EXPECT_TRUE(match.sets.empty());
  EXPECT_NE(match.groups[0].refusal.find("differ between ranks"), std::string::npos);
  const absl::StatusOr<RunResult> result = Analyze(cluster.timelines());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->communicators[0].wait_ns.has_value());
}

TEST(Match, MessagesPairUpByOrderInThePair) {
  Cluster cluster(3);
  for (int rank = 0; rank < 3; ++rank) cluster.timeline(rank).host = "node";
  const int pp = cluster.Communicator("pp", {0, 1, 2});
  for (int64_t k = 0; k < 10; ++k) {
    const int64_t at_ns = k * 10 * kMs;
    // Stage 1 receives from 0 (300 us early), then sends to 2 (which has waited for 1.5 ms).
    const int64_t end_ns = cluster.Message(pp, 0, 1, 1 << 20, at_ns + 300 * kUs, at_ns, 500 * kUs);
    cluster.Message(pp, 1, 2, 1 << 20, end_ns + kMs, end_ns + kMs - 1500 * kUs, 500 * kUs);
  }
  const absl::StatusOr<RunResult> result = Analyze(cluster.timelines());
  ASSERT_TRUE(result.ok()) << result.status();
  const CommunicatorResult& row = result->communicators[0];
  EXPECT_EQ(row.intervals, 40u);
  EXPECT_EQ(row.intervals_unknown, 0u);
  EXPECT_EQ(row.wait_ns, 10 * (300 + 1500) * kUs);
  EXPECT_EQ(row.transfer_ns, 40 * 500 * kUs);
}

int64_t Us(const rapidjson::Value& us) { return std::llround(us.GetDouble() * 1000); }

TEST(ReferenceTogether, WaitAndTransferOfEightRanksAreThoseOfTheReference) {
  rapidjson::Document expected;
  if (!LoadReference(TracePath("expected.json"), &expected)) {
    GTEST_SKIP() << "no reference traces under " << MFU_SHARED_DIR << "/traces";
  }
  const rapidjson::Value& truth = expected["cross_rank"][0];
  const absl::StatusOr<std::vector<Timeline>> timelines =
      ImportTrace(TracePath("param__dlrm_kineto.tar.gz"));
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  ASSERT_EQ(timelines->size(), 8u);
  std::vector<DeviceSummary> devices = SummariesOf(*timelines);
  const MatchResult match = MatchCollectives(devices);
  const Clocks clocks = AlignClocks(devices, match);
  ASSERT_TRUE(clocks.end_spread.has_value());
  EXPECT_EQ(clocks.end_spread->median_ns, Us(truth["end_spread_after_alignment_us"]["median"]));
  EXPECT_EQ(clocks.end_spread->max_ns, Us(truth["end_spread_after_alignment_us"]["max"]));
  const WaitResult waits = MeasureWaits(devices, match, clocks, {/*may_drop_clocks=*/false});
  for (size_t d = 0; d < 8; ++d) {
    const std::string rank = std::to_string(d);
    const rapidjson::Value& row = truth["per_rank"][rank.c_str()];
    // The reference tells how much later a rank's clock is, we what corrects it.
    EXPECT_EQ(clocks.devices[d].offset_ns,
              -Us(truth["median_end_offset_vs_first_us"][rank.c_str()]));
    EXPECT_EQ(waits.groups[0].times_last[d], row["times_last"].GetUint64());
    int64_t wait_ns = 0;
    int64_t transfer_ns = 0;
    for (const CommunicatorWaits& own : devices[d].waits) {
      wait_ns += own.wait_ns;
      transfer_ns += own.transfer_ns;
    }
    EXPECT_EQ(wait_ns, row["wait_for_late_ns"].GetInt64()) << d;
    EXPECT_EQ(transfer_ns, row["transfer_ns"].GetInt64()) << d;
  }
}

// Two ranks of a profiler that kept a sample of its events.
TEST(ReferenceTogether, SampledTracesAreRefusedWithAReason) {
  std::vector<Timeline> timelines;
  for (const char* name : {"holistictraceanalysis__sampled_rank-0.json.gz",
                           "holistictraceanalysis__sampled_rank-1.json.gz"}) {
    absl::StatusOr<std::vector<Timeline>> one = ImportTrace(TracePath(name));
    if (!one.ok()) GTEST_SKIP() << "no reference traces under " << MFU_SHARED_DIR << "/traces";
    for (Timeline& timeline : *one) timelines.push_back(std::move(timeline));
  }
  const absl::StatusOr<RunResult> result = Analyze(timelines);
  ASSERT_TRUE(result.ok()) << result.status();
  for (const CommunicatorResult& row : result->communicators) {
    EXPECT_FALSE(row.wait_ns.has_value()) << row.id;
  }
  EXPECT_TRUE(std::any_of(result->quality.notes.begin(), result->quality.notes.end(),
                          [](const std::string& note) {
                            return note.find("cannot be matched across ranks") != std::string::npos;
                          }));
}

}  // namespace
}  // namespace mfutrace::report
