// The HTML page, its bounds, and what analyses keep for it: course, lateness, one step's lanes.
// Expected figures follow from how the made-up cluster was told to behave.
#include "report/render/html.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "report/analyze/analyze.h"
#include "tests/report/cluster.h"
#include "tests/report/render_results.h"

namespace mfutrace::report {
namespace {

constexpr int64_t kUs = 1000;
constexpr int64_t kComputeNs = 500 * kUs;
constexpr int64_t kTransferNs = 100 * kUs;
constexpr int64_t kLateNs = 40 * kUs;  // rank 1
constexpr uint64_t kFlop = 400'000'000'000;

// Every step: two products of 500 us, an all-reduce beside the second one, one behind it. Rank 1
// begins its second product, and so the last all-reduce, 40 us late.
test::Cluster TrainingOf(int ranks, int steps) {
  test::Cluster cluster(ranks);
  std::vector<int> all;
  for (int rank = 0; rank < ranks; ++rank) {
    all.push_back(rank);
    cluster.SetClock(rank, 1'000'000 * rank, 0);
  }
  const int world = cluster.Communicator("00000000000000aa", all, "world");
  int64_t now_ns = 1'000'000'000;
  for (int step = 0; step < steps; ++step) {
    std::vector<int64_t> hidden_ns;
    std::vector<int64_t> exposed_ns;
    for (int rank = 0; rank < ranks; ++rank) {
      const int64_t late_ns = rank == 1 ? kLateNs : 0;
      cluster.Compute(rank, now_ns, now_ns + kComputeNs, kFlop, "first");
      const int64_t second_ns = now_ns + kComputeNs + late_ns;
      cluster.Compute(rank, second_ns, second_ns + kComputeNs, kFlop, "second");
      hidden_ns.push_back(now_ns + kComputeNs + 100 * kUs);
      exposed_ns.push_back(second_ns + kComputeNs);
    }
    using shapes::CollectiveKind;
    cluster.Collective(world, CollectiveKind::kAllReduce, 1 << 20, hidden_ns, kTransferNs);
    const int64_t end_ns =
        cluster.Collective(world, CollectiveKind::kAllReduce, 2 << 20, exposed_ns, kTransferNs);
    for (int rank = 0; rank < ranks; ++rank) {
      cluster.timeline(rank).steps.push_back(
          {"", {cluster.Local(rank, now_ns - 10 * kUs), cluster.Local(rank, end_ns)}});
    }
    now_ns = end_ns + 10 * kUs;
  }
  return cluster;
}

RunResult Analyzed(test::Cluster& cluster, bool has_works) {
  AnalyzeOptions options;
  options.sample.steps = 3;
  options.sample.has_works = has_works;
  Analyzer analyzer(options);
  for (const Timeline& timeline : cluster.timelines()) analyzer.Add(timeline);
  absl::StatusOr<RunResult> result = analyzer.Finish();
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : RunResult();
}

TEST(Html, SixtyFourRanksAndThreeHundredStepsStaySmallAndFast) {
  test::Cluster cluster = TrainingOf(64, 300);
  const RunResult result = Analyzed(cluster, false);
  ASSERT_EQ(result.steps.size(), 64u * 300u);
  const auto begin = std::chrono::steady_clock::now();
  const std::string page = RenderHtml(result, {});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(page.size(), 2'000'000u);
  EXPECT_LT(took.count(), 2.0);
  RecordProperty("bytes", static_cast<int>(page.size()));
}

TEST(Html, WhateverTheRunThePageStaysBelowTwoMegabytes) {
  RunResult result = test::LargeRun();
  const auto repeat = [](auto& items, size_t count) {
    while (items.size() < count) items.push_back(items[items.size() % 5]);
  };
  repeat(result.ops, 5000);
  repeat(result.communicators, 5000);
  repeat(result.ranks, 4096);
  repeat(result.quality.notes, 5000);
  CoursePoint point;
  point.mfu_min = point.mfu_median = point.mfu_max = 0.123456789012345678;
  point.step_min_ns = point.step_median_ns = point.step_max_ns = 123456789;
  result.course.assign(kCoursePoints, point);
  for (uint32_t bucket = 0; bucket < 60; ++bucket)
    result.lateness.buckets.emplace_back(bucket, bucket);
  LatenessRow row;
  row.name = "rank 1000";
  for (int64_t bucket = 0; bucket < 60; ++bucket) row.mean_ns.emplace_back(bucket * 1000);
  result.lateness.rows.assign(1024, row);
  SampledDevice device;
  device.window = {0, 800'000'000};
  for (int64_t i = 0; i < kLaneResolution; ++i) {
    device.compute.push_back({i * 2'000'000, i * 2'000'000 + 1});
  }
  device.hidden = device.exposed = device.compute;
  result.sample.devices.assign(1024, device);
  EXPECT_LT(RenderHtml(result, {}).size(), 2'000'000u);
}

TEST(Html, AsksForNothing) {
  const std::string page = RenderHtml(test::ExtremeRun(), {});
  for (const char* request : {" src=", "href=\"http", "href=http", "@import", "url(", "<iframe"}) {
    EXPECT_EQ(page.find(request), std::string::npos) << request;
  }
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
}

TEST(Html, TextOfATraceIsNeverMarkup) {
  RunResult result = test::TrainingRun();
  const std::string evil = "</script><script>alert(1)</script><b x='\">";
  result.title = result.gpu = result.ops[0].label = result.communicators[0].name = evil;
  result.communicators[0].evidence = result.ranks[0].host = evil;
  result.quality.notes = {evil};
  const std::string page = RenderHtml(result, {});
  EXPECT_EQ(page.find("alert(1)</script"), std::string::npos);
  EXPECT_EQ(page.find("<b x="), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;alert(1)"), std::string::npos);
}

TEST(Html, EveryKindOfRunHasAPage) {
  for (const RunResult& result :
       {test::UnknownGpuRun(), test::CountOnlyRun(), test::ImportWithoutShapes(),
        test::ImpossibleRun(), test::MixedFormatsRun(), test::MixedOpsRun(), RunResult()}) {
    const std::string page = RenderHtml(result, {});
    EXPECT_NE(page.find("<section id=\"summary\">"), std::string::npos);
    EXPECT_NE(page.find("<section id=\"coverage\">"), std::string::npos);
    EXPECT_EQ(page.find(">nan"), std::string::npos) << result.title;
  }
}

TEST(Course, FollowsFromFlopAndTime) {
  test::Cluster cluster = TrainingOf(4, 6);
  const RunResult result = Analyzed(cluster, false);
  ASSERT_EQ(result.course.size(), 6u);
  // Two products in 1150 us (rank 1 is late) at 989.4 TFLOP/s.
  const double mfu = 2.0 * static_cast<double>(kFlop) / (989.4e12 * 1150e-6);
  for (const CoursePoint& point : result.course) {
    EXPECT_EQ(point.step_median_ns, 1150 * kUs);
    EXPECT_NEAR(point.mfu_median.value_or(0), mfu, 1e-6);
    EXPECT_NEAR(point.mfu_min.value_or(0), mfu, 1e-6);
  }
}

TEST(Lateness, IsThatOfTheLateRank) {
  test::Cluster cluster = TrainingOf(4, 6);
  const RunResult result = Analyzed(cluster, false);
  ASSERT_EQ(result.lateness.rows.size(), 4u);
  ASSERT_EQ(result.lateness.buckets.size(), 6u);
  for (size_t rank = 0; rank < 4; ++rank) {
    EXPECT_EQ(result.lateness.rows[rank].name, "rank " + std::to_string(rank));
    for (const auto& mean_ns : result.lateness.rows[rank].mean_ns) {
      // One of two collectives is late by 40 us; clocks are exact but for rounding.
      EXPECT_NEAR(static_cast<double>(mean_ns.value_or(-1)), rank == 1 ? kLateNs / 2 : 0, 20);
    }
  }
}

TEST(Sample, ShowsWhatRanInTheStep) {
  test::Cluster cluster = TrainingOf(2, 9);
  const RunResult result = Analyzed(cluster, true);
  const Sample& sample = result.sample;
  ASSERT_EQ(sample.devices.size(), 2u);
  EXPECT_TRUE(sample.is_aligned);
  for (const SampledDevice& device : sample.devices) {
    EXPECT_EQ(device.steps.size(), 3u);
    EXPECT_EQ(device.works.size(), 3u * 4u);
    ASSERT_EQ(device.hidden.size(), 1u);
    EXPECT_EQ(device.hidden[0].end_ns - device.hidden[0].begin_ns, kTransferNs);
    ASSERT_EQ(device.exposed.size(), 1u);
    const int64_t waited_ns = device.rank == 1 ? 0 : kLateNs;
    EXPECT_EQ(device.exposed[0].end_ns - device.exposed[0].begin_ns, kTransferNs + waited_ns);
    EXPECT_EQ(device.works_exposed.size(), 3u);
  }
  // Aligned: the last collective ends at once; and it is the same one on both ranks.
  const SampledWork& first = sample.devices[0].works.back();
  const SampledWork& second = sample.devices[1].works.back();
  EXPECT_NEAR(static_cast<double>(first.time.end_ns), static_cast<double>(second.time.end_ns), 20);
  EXPECT_NE(first.collective, 0u);
  EXPECT_EQ(first.collective, second.collective);
  EXPECT_NE(first.collective, sample.devices[0].works[0].collective);
}

TEST(Sample, NothingIsKeptUnlessAskedFor) {
  test::Cluster cluster = TrainingOf(2, 5);
  Analyzer analyzer{AnalyzeOptions()};
  for (const Timeline& timeline : cluster.timelines()) analyzer.Add(timeline);
  EXPECT_TRUE(analyzer.Finish()->sample.devices.empty());
}

}  // namespace
}  // namespace mfutrace::report
