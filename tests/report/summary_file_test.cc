// Files of summaries: any order and any grouping of shards gives the report of the whole, to the
// last digit; damage is said and never half used.
#include "report/analyze/summary_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "report/analyze/analyze.h"
#include "report/import/import.h"
#include "report/render/json.h"
#include "report/render/terminal.h"
#include "tests/report/import_reference.h"
#include "tests/report/training_cluster.h"

namespace mfutrace::report {
namespace {

using test::DataParallel;
using test::TrainingCluster;
using test::TrainingLayout;

// Everything a report says.
std::string TextOf(Analyzer& analyzer) {
  const absl::StatusOr<RunResult> result = analyzer.Finish();
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok()) return "";
  TerminalOptions terminal;
  terminal.top = SIZE_MAX;
  return RenderJson(*result) + RenderTerminal(*result, terminal);
}

AnalyzeOptions Options() {
  AnalyzeOptions options;
  options.compat_hta = true;
  return options;
}

std::string FromTimelines(const std::vector<Timeline>& timelines) {
  Analyzer analyzer(Options());
  for (const Timeline& timeline : timelines) analyzer.Add(timeline);
  return TextOf(analyzer);
}

std::string FromFile(const std::string& bytes) {
  absl::StatusOr<Summaries> summaries = UnpackSummaries(bytes);
  EXPECT_TRUE(summaries.ok()) << summaries.status();
  Analyzer analyzer(Options());
  for (DeviceSummary& device : summaries->devices) analyzer.Add(std::move(device));
  return TextOf(analyzer);
}

std::string Reduced(const std::vector<Timeline>& timelines) {
  const Analyzer analyzer(Options());
  Summaries summaries;
  for (const Timeline& timeline : timelines) {
    absl::StatusOr<DeviceSummary> device = analyzer.Reduce(timeline);
    EXPECT_TRUE(device.ok()) << device.status();
    summaries.devices.push_back(*std::move(device));
  }
  return PackSummaries(std::move(summaries));
}

std::string Merged(const std::vector<std::string>& files) {
  Summaries all;
  for (const std::string& bytes : files) {
    absl::StatusOr<Summaries> one = UnpackSummaries(bytes);
    EXPECT_TRUE(one.ok()) << one.status();
    for (DeviceSummary& device : one->devices) all.devices.push_back(std::move(device));
    for (std::string& text : one->left_out) all.left_out.push_back(std::move(text));
  }
  return PackSummaries(std::move(all));
}

// Deals timelines out to shards at random and merges the shards in random order, in two levels.
void ExpectAnySplitIsTheWhole(const std::vector<Timeline>& timelines, std::mt19937_64& random) {
  const std::string whole = FromTimelines(timelines);
  ASSERT_FALSE(whole.empty());
  const std::string all = Reduced(timelines);
  EXPECT_EQ(FromFile(all), whole);
  for (int round = 0; round < 4; ++round) {
    const size_t count = 1 + random() % (timelines.size() + 1);
    std::vector<std::vector<Timeline>> shards(count);
    for (const Timeline& timeline : timelines) shards[random() % count].push_back(timeline);
    std::vector<std::string> files;
    for (std::vector<Timeline>& shard : shards) {
      std::shuffle(shard.begin(), shard.end(), random);
      files.push_back(Reduced(shard));
    }
    std::shuffle(files.begin(), files.end(), random);
    const auto middle = files.begin() + static_cast<std::ptrdiff_t>(random() % (count + 1));
    const std::string merged =
        Merged({Merged({files.begin(), middle}), Merged({middle, files.end()})});
    EXPECT_EQ(merged, all) << "shards in any order make the same file";
    EXPECT_EQ(FromFile(merged), whole);
  }
}

TEST(SummaryFile, AnySplitOfATrainingJobIsTheWhole) {
  std::mt19937_64 random(20261201);
  std::vector<TrainingLayout> layouts(3);
  layouts[0].tp = layouts[0].dp = 2;
  layouts[1].tp = layouts[1].pp = layouts[1].dp = 2;
  layouts[1].permuted = true;
  layouts[2].dp = 4;
  layouts[2].data = DataParallel::kFsdp;
  layouts[2].slow_rank = 2;
  layouts[2].slow_factor = 1.5;
  for (const TrainingLayout& layout : layouts) {
    TrainingCluster training(layout);
    for (size_t r = 0; r < training.cluster().timelines().size(); ++r) {
      Timeline& timeline = training.cluster().timelines()[r];
      timeline.quality.notes.push_back("note of " + timeline.path);
      timeline.quality.counters.emplace_back("made_up", r);
      timeline.clock_residual_ns = static_cast<int64_t>(100 + r);
      timeline.counted.push_back({0, 3, timeline.host_window, std::nullopt});
    }
    ExpectAnySplitIsTheWhole(training.cluster().timelines(), random);
  }
}

// Timelines in another order, no files between: what is read first must not matter.
TEST(SummaryFile, OrderOfTracesDoesNotMatter) {
  TrainingLayout layout;
  layout.tp = 2;
  layout.dp = 4;
  TrainingCluster training(layout);
  std::vector<Timeline>& timelines = training.cluster().timelines();
  for (Timeline& timeline : timelines) {
    timeline.rank = -1;
    timeline.world_size = 0;
  }
  const std::string whole = FromTimelines(timelines);
  std::mt19937_64 random(7);
  for (int round = 0; round < 3; ++round) {
    std::shuffle(timelines.begin(), timelines.end(), random);
    EXPECT_EQ(FromTimelines(timelines), whole);
  }
}

TEST(SummaryFile, AnySplitOfRealTracesIsTheWhole) {
  std::mt19937_64 random(1);
  for (const char* name :
       {"param__dlrm_kineto.tar.gz", "holistictraceanalysis__negative_queue_rank0.json.gz",
        "tracelens__eager_trace.json.gz", "nsys-ai__mfu_2gpu_before.sqlite"}) {
    SCOPED_TRACE(name);
    const absl::StatusOr<std::vector<Timeline>> timelines = ImportTrace(TracePath(name));
    if (!timelines.ok()) GTEST_SKIP() << "no reference traces under " << MFU_SHARED_DIR;
    ExpectAnySplitIsTheWhole(*timelines, random);
  }
}

std::string SmallFile() {
  TrainingLayout layout;
  layout.dp = 2;
  layout.steps = 3;
  TrainingCluster training(layout);
  return Reduced(training.cluster().timelines());
}

TEST(SummaryFile, DamageIsSaidAndNothingIsUsed) {
  const std::string good = SmallFile();
  ASSERT_TRUE(UnpackSummaries(good).ok());
  const auto code_of = [](const std::string& bytes) {
    return UnpackSummaries(bytes).status().code();
  };
  for (size_t size = 16; size < good.size(); size += 1 + good.size() / 257) {
    EXPECT_EQ(code_of(good.substr(0, size)), absl::StatusCode::kDataLoss) << size;
  }
  for (size_t at = 16; at < good.size(); at += 1 + good.size() / 257) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x40);
    EXPECT_FALSE(UnpackSummaries(bad).ok()) << at;
  }
  EXPECT_EQ(code_of(good + "x"), absl::StatusCode::kDataLoss);
  std::string newer = good;
  newer[8] = 2;
  EXPECT_EQ(code_of(newer), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(code_of("{\"traceEvents\": []}"), absl::StatusCode::kInvalidArgument);
}

TEST(SummaryFile, LeftOutTracesTravelAlong) {
  Summaries summaries;
  summaries.left_out = {"b.mfut: is empty", "a.mfut: is empty"};
  const absl::StatusOr<Summaries> read = UnpackSummaries(PackSummaries(summaries));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->left_out, (std::vector<std::string>{"a.mfut: is empty", "b.mfut: is empty"}));
}

TEST(SummaryFile, OtherPeaksThanThoseOfTheReportAreRefused) {
  absl::StatusOr<Summaries> summaries = UnpackSummaries(SmallFile());
  ASSERT_TRUE(summaries.ok());
  AnalyzeOptions options;
  options.peak_overrides[shapes::PeakRate::kBf16] = 123'000'000'000'000;
  Analyzer analyzer(options);
  for (DeviceSummary& device : summaries->devices) analyzer.Add(std::move(device));
  const absl::Status status = analyzer.Finish().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(std::string(status.message()).find("other peaks"), std::string::npos) << status;
}

}  // namespace
}  // namespace mfutrace::report
