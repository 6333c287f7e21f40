// Logs of NCCL Inspector: the sample records of its documentation against the bandwidths that it
// printed itself, and made-up logs for the rest.
#include "report/import/inspector.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "report/analyze/analyze.h"
#include "report/analyze/rates.h"
#include "report/import/import.h"

namespace mfutrace::report {
namespace {

class InspectorInput : public testing::Test {
 protected:
  void SetUp() override {
    path_ = (std::filesystem::temp_directory_path() /
             absl::StrCat("mfutrace-inspector-", getpid(), "-",
                          testing::UnitTest::GetInstance()->current_test_info()->name()))
                .string();
  }
  void TearDown() override { std::filesystem::remove(path_); }

  absl::StatusOr<std::vector<Timeline>> Import(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    return ImportTrace(path_);
  }
  RunResult Report(const std::string& text) {
    const absl::StatusOr<std::vector<Timeline>> timelines = Import(text);
    EXPECT_TRUE(timelines.ok()) << timelines.status();
    if (!timelines.ok()) return {};
    Analyzer analyzer({});
    for (const Timeline& timeline : *timelines) analyzer.Add(timeline);
    absl::StatusOr<RunResult> result = analyzer.Finish();
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : RunResult();
  }

  std::string path_;
};

std::string Header(const std::string& id, int rank, int ranks, int pid = 10,
                   const std::string& host = "node") {
  return absl::StrCat("\"header\": {\"id\": \"", id, "\", \"rank\": ", rank,
                      ", \"n_ranks\": ", ranks, ", \"nnodes\": 1}, \"metadata\": {",
                      "\"inspector_output_format_version\": \"v4.0\", \"dump_timestamp_us\": "
                      "1748030377748202, \"hostname\": \"",
                      host, "\", \"pid\": ", pid, "}");
}

std::string Collective(const std::string& name, int number, int64_t bytes, int64_t us,
                       const std::string& more = "") {
  return absl::StrCat("\"coll_perf\": {\"coll\": \"", name, "\", \"coll_sn\": ", number,
                      ", \"coll_msg_size_bytes\": ", bytes, ", \"coll_exec_time_us\": ", us,
                      ", \"coll_timing_source\": \"kernel_gpu\"", more, "}");
}

std::string Line(const std::string& a, const std::string& b) { return "{" + a + ", " + b + "}\n"; }

struct Sample {
  const char* name;
  int ranks;
  int64_t bytes;
  int64_t us;
  double algorithm_gbs;  // as the log prints them
  double bus_gbs;
};

// The three samples that the plugin's documentation prints, with its own arithmetic beside them.
TEST_F(InspectorInput, BandwidthsAreThoseThatTheLogPrints) {
  for (const Sample& sample : {Sample{"AllReduce", 8, 17179869184, 61974, 277.210914, 485.119099},
                               Sample{"ReduceScatter", 32, 65536, 110, 19.065018, 18.469236}}) {
    SCOPED_TRACE(sample.name);
    const RunResult result = Report(Line(Header("0x7f8c496ae9f661", 2, sample.ranks),
                                         Collective(sample.name, 1407, sample.bytes, sample.us)));
    ASSERT_EQ(result.communicators.size(), 1u);
    const CommunicatorResult& row = result.communicators[0];
    EXPECT_EQ(row.id, "0x7f8c496ae9f661");
    EXPECT_EQ(row.size, static_cast<uint32_t>(sample.ranks));
    ASSERT_TRUE(row.time_ns.has_value());
    EXPECT_EQ(*row.time_ns, sample.us * 1000);
    const auto ns = static_cast<double>(*row.time_ns);
    EXPECT_NEAR(static_cast<double>(row.bytes.value()) / ns, sample.algorithm_gbs, 1e-6);
    EXPECT_NEAR(static_cast<double>(row.bus_bytes.value()) / ns, sample.bus_gbs, 1e-6);
  }
}

TEST_F(InspectorInput, WhatItCannotKnowIsNull) {
  const RunResult result =
      Report(Line(Header("0xa", 0, 2), Collective("AllReduce", 1, 1 << 20, 100)));
  EXPECT_EQ(result.source, "nccl-inspector");
  EXPECT_FALSE(result.run.flop.executed.has_value());
  EXPECT_FALSE(result.run.mfu.has_value());
  EXPECT_FALSE(result.run.split.compute_ns.has_value());
  EXPECT_FALSE(result.run.split.comm_ns.has_value());
  EXPECT_FALSE(result.run.split.exposed_ns.has_value());
  EXPECT_FALSE(result.communicators[0].exposed_ns.has_value());
  EXPECT_FALSE(result.communicators[0].wait_ns.has_value());
  EXPECT_EQ(result.ranks[0].rank, -1);
  ASSERT_EQ(result.ops.size(), 1u);
  EXPECT_EQ(result.ops[0].time_ns, 100'000);
  EXPECT_EQ(result.ops[0].calls, 1u);
}

TEST_F(InspectorInput, VerboseLogsTellWhen) {
  const auto verbose = [](int rank, int64_t begin_us) {
    return Line(Header("0xa", rank, 2, 10 + rank),
                Collective("AllReduce", 7, 2048, 100,
                           absl::StrCat(", \"event_trace_ts\": {\"coll_start_ts\": ", begin_us - 9,
                                        ", \"kernel_events\": [{\"channel_id\": 1, "
                                        "\"kernel_start_ts\": ",
                                        begin_us + 3,
                                        "}, {\"channel_id\": 0, \"kernel_start_ts\": ", begin_us,
                                        "}, {\"kernel_start_ts\": 0}]}")));
  };
  const absl::StatusOr<std::vector<Timeline>> timelines =
      Import(verbose(0, 1'000'000) + verbose(1, 1'000'050));
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  ASSERT_EQ(timelines->size(), 2u);
  ASSERT_EQ((*timelines)[1].works.size(), 1u);
  EXPECT_EQ((*timelines)[1].works[0].time.begin_ns, 1'000'050'000);
  EXPECT_EQ((*timelines)[1].works[0].time.end_ns, 1'000'150'000);
  EXPECT_EQ((*timelines)[1].calls[0].sequence, 7u);
  Analyzer analyzer({});
  for (const Timeline& timeline : *timelines) analyzer.Add(timeline);
  const absl::StatusOr<RunResult> result = analyzer.Finish();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->run.split.comm_ns, 200'000);
  EXPECT_FALSE(result->run.split.idle_ns.has_value());  // what else ran is not known
  EXPECT_FALSE(result->run.mfu.has_value());
}

// Since 4.3 the header stands once for the lines behind it.
TEST_F(InspectorInput, HeadersAreInherited) {
  const std::string text =
      Line(Header("0xa", 1, 4), "\"dump_stats\": {\"coll_records\": 2, \"p2p_records\": 1}") + "{" +
      Collective("Broadcast", 3, 100, 5) + "}\n{" + Collective("Broadcast", 4, 100, 6) + "}\n" +
      "{\"p2p_perf\": {\"p2p\": \"Send\", \"p2p_sn\": 8, \"p2p_peer\": 2, \"p2p_msg_size_bytes\": "
      "524288, \"p2p_exec_time_us\": 50, \"p2p_timing_source\": \"kernel_gpu\"}}\n";
  const absl::StatusOr<std::vector<Timeline>> timelines = Import(text);
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  ASSERT_EQ(timelines->size(), 1u);
  const Timeline& timeline = timelines->front();
  ASSERT_EQ(timeline.communicators.size(), 1u);
  EXPECT_EQ(timeline.communicators[0].rank, 1);
  ASSERT_EQ(timeline.counted.size(), 2u);
  EXPECT_EQ(timeline.counted[0].calls, 2u);
  EXPECT_EQ(timeline.counted[0].time_ns, 11'000);
  EXPECT_EQ(timeline.ops[1].collective, shapes::CollectiveKind::kSend);
  EXPECT_EQ(timeline.ops[1].peer, 2);
  EXPECT_EQ(timeline.ops[1].algorithm_bytes, 524288u);
}

TEST_F(InspectorInput, GpusOfOneProcessAreToldByTheirRanks) {
  std::string text;
  for (int round = 0; round < 2; ++round) {
    for (int rank = 0; rank < 2; ++rank) {
      text += Line(Header("0xa", rank, 2), Collective("AllReduce", 1 + round, 1 << 20, 100));
    }
    text += Line(Header("0xb", 0, 1, 11), Collective("AllReduce", 1 + round, 1 << 20, 100));
  }
  const absl::StatusOr<std::vector<Timeline>> timelines = Import(text);
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  ASSERT_EQ(timelines->size(), 3u);
  for (const Timeline& timeline : *timelines) EXPECT_EQ(timeline.counted[0].calls, 2u);
}

TEST_F(InspectorInput, MissingNumbersAndUnknownTimesAreSaid) {
  const std::string cpu = ", \"unused\": 1";
  std::string no_time = Line(Header("0xa", 0, 2), Collective("AllGather", 9, 4096, 5));
  no_time.replace(no_time.find("coll_exec_time_us"), 17, "coll_exec_time_xx");
  const absl::StatusOr<std::vector<Timeline>> timelines =
      Import(Line(Header("0xa", 0, 2), Collective("AllReduce", 4, 8192, 10)) +
             Line(Header("0xa", 0, 2), Collective("AllReduce", 9, 8192, 10, cpu)) + no_time);
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  const Timeline& timeline = timelines->front();
  bool is_counted = false;
  for (const auto& [name, value] : timeline.quality.counters) {
    is_counted |= name == "collectives_not_in_log" && value == 4;
  }
  EXPECT_TRUE(is_counted);
  ASSERT_EQ(timeline.counted.size(), 2u);
  EXPECT_FALSE(timeline.counted[1].time_ns.has_value());
}

TEST_F(InspectorInput, DamageIsOneLine) {
  const std::string good = Line(Header("0xa", 0, 2), Collective("AllReduce", 4, 8192, 10));
  const absl::StatusOr<std::vector<Timeline>> torn = Import(good + good.substr(0, 60));
  ASSERT_TRUE(torn.ok()) << torn.status();
  EXPECT_EQ(torn->front().quality.damaged_files, 1u);
  EXPECT_EQ(torn->front().counted[0].calls, 1u);
  const absl::StatusOr<std::vector<Timeline>> none =
      Import(Line(Header("0xa", 0, 2), "\"dump_stats\": {\"coll_records\": 0}"));
  EXPECT_EQ(none.status().code(), absl::StatusCode::kFailedPrecondition) << none.status();
}

}  // namespace
}  // namespace mfutrace::report
