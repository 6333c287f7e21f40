// SQLite exports of Nsight Systems: real ones against figures that another program found in them,
// and small ones made here for what the real ones do not have.
#include "report/import/nsys.h"

#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <sqlite3.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "report/analyze/analyze.h"
#include "report/analyze/clocks.h"
#include "report/analyze/match.h"
#include "report/analyze/summary.h"
#include "report/analyze/waits.h"
#include "report/import/import.h"
#include "report/import/nsys_reader.h"
#include "tests/report/import_reference.h"

namespace mfutrace::report {
namespace {

std::string After(const std::string& text, char separator) {
  return text.substr(text.rfind(separator) + 1);
}

class NsysReference : public testing::Test {
 protected:
  void SetUp() override {
    if (!LoadReference(TracePath("expected.json"), &expected_)) {
      GTEST_SKIP() << "no reference traces under " << MFU_SHARED_DIR << "/traces";
    }
    for (const auto& entry : expected_["nsys_sqlite"].GetObject()) {
      const std::string path =
          TracePath(absl::StrCat("nsys-ai__", After(entry.name.GetString(), '/')));
      ASSERT_TRUE(std::filesystem::exists(path)) << path;
      absl::StatusOr<std::vector<Timeline>> timelines = ImportTrace(path);
      ASSERT_TRUE(timelines.ok()) << timelines.status();
      files_.push_back({path, &entry.value, *std::move(timelines)});
    }
    ASSERT_EQ(files_.size(), 2u);
  }

  struct File {
    std::string path;
    const rapidjson::Value* truth;
    std::vector<Timeline> timelines;
  };
  rapidjson::Document expected_;
  std::vector<File> files_;
};

TEST_F(NsysReference, UnionsAndCountsAreEqualToTheNanosecond) {
  for (const File& file : files_) {
    const rapidjson::Value& devices = (*file.truth)["devices"];
    ASSERT_EQ(file.timelines.size(), devices.MemberCount());
    for (const Timeline& timeline : file.timelines) {
      SCOPED_TRACE(absl::StrCat(file.path, " device ", timeline.device.ordinal));
      const rapidjson::Value& truth = devices[absl::StrCat(timeline.device.ordinal).c_str()];
      int64_t kernels = 0;
      int64_t nccl = 0;
      int64_t sum_ns = 0;
      std::set<uint32_t> streams;
      for (const Work& work : timeline.works) {
        if (work.work_class == WorkClass::kCopy) continue;
        ++kernels;
        streams.insert(work.stream);
        nccl += work.work_class == WorkClass::kCommunication ? 1 : 0;
        sum_ns += work.time.end_ns - work.time.begin_ns;
      }
      EXPECT_EQ(kernels, truth["n_kernels"].GetInt64());
      EXPECT_EQ(nccl, truth["n_nccl"].GetInt64());
      EXPECT_EQ(sum_ns, truth["sum_kernel_ns"].GetInt64());
      const StateSweep sweep = SweepOf(timeline.works);
      EXPECT_EQ(sweep.window_ns, truth["window_ns"].GetInt64());
      const auto expect = [&](const char* name, bool (*is_counted)(bool, bool, bool)) {
        EXPECT_EQ(sweep.Sum(is_counted), truth[name].GetInt64()) << name;
      };
      expect("gpu_busy_union_ns", [](bool c, bool n, bool m) { return c || n || m; });
      expect("compute_union_ns", [](bool c, bool, bool) { return c; });
      expect("comm_union_ns", [](bool, bool n, bool) { return n; });
      expect("memops_union_ns", [](bool, bool, bool m) { return m; });
      expect("overlap_compute_comm_ns", [](bool c, bool n, bool) { return c && n; });
      expect("exposed_comm_ns", [](bool c, bool n, bool) { return n && !c; });
      expect("exposed_comm_strict_ns", [](bool c, bool n, bool m) { return n && !c && !m; });
      expect("idle_ns", [](bool c, bool n, bool m) { return !c && !n && !m; });
    }
  }
}

TEST_F(NsysReference, TheReportSaysTheSame) {
  for (const File& file : files_) {
    Analyzer analyzer({});
    for (const Timeline& timeline : file.timelines) analyzer.Add(timeline);
    const absl::StatusOr<RunResult> result = analyzer.Finish();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->source, "nsys");
    EXPECT_FALSE(result->run.flop.executed.has_value());
    EXPECT_FALSE(result->run.mfu.has_value());
    EXPECT_EQ(result->world_size, 0u);
    ASSERT_EQ(result->ranks.size(), 2u);
    for (const RankResult& rank : result->ranks) {
      EXPECT_EQ(rank.rank, -1);
      const rapidjson::Value& truth = (*file.truth)["devices"][absl::StrCat(rank.device).c_str()];
      EXPECT_EQ(rank.split.window_ns, truth["window_ns"].GetInt64());
      EXPECT_EQ(rank.split.compute_ns, truth["compute_union_ns"].GetInt64());
      EXPECT_EQ(rank.split.exposed_ns, truth["exposed_comm_ns"].GetInt64());
      EXPECT_EQ(rank.split.idle_ns, truth["idle_ns"].GetInt64());
    }
  }
}

TEST_F(NsysReference, RangesOfNcclAreSeen) {
  for (const File& file : files_) {
    SCOPED_TRACE(file.path);
    const absl::StatusOr<SqliteFile> database = SqliteFile::Open(file.path);
    ASSERT_TRUE(database.ok());
    NsysTrace trace;
    ASSERT_TRUE(ReadNsys(*database, &trace).ok());
    const rapidjson::Value& truth = (*file.truth)["nvtx_nccl"];
    EXPECT_EQ(trace.nccl_calls.size(), truth.MemberCount());
    for (const auto& name : truth.GetObject()) {
      EXPECT_EQ(trace.nccl_calls[name.name.GetString()], name.value.GetUint64());
    }
    EXPECT_EQ(trace.nccl_payloads, (*file.truth)["nvtx_payload_blobs"].GetUint64());
  }
}

int64_t Ns(const rapidjson::Value& us) { return std::llround(us.GetDouble() * 1000); }

TEST_F(NsysReference, WaitingOfTwoDevicesIsThatOfTheReference) {
  int compared = 0;
  for (const File& file : files_) {
    if (!file.truth->HasMember("pairwise")) continue;
    ++compared;
    const rapidjson::Value& truth = (*file.truth)["pairwise"];
    std::vector<DeviceSummary> devices;
    for (const Timeline& timeline : file.timelines) {
      absl::StatusOr<DeviceSummary> summary = Summarize(timeline);
      ASSERT_TRUE(summary.ok());
      devices.push_back(*std::move(summary));
    }
    const MatchResult match = MatchCollectives(devices);
    ASSERT_EQ(match.sets.size(), 1u);
    EXPECT_EQ(match.sets[0].size(), truth["n"].GetUint64());
    // Raw times: the reference gives how far ends are apart and the shorter of each pair.
    const std::vector<CollectiveRecord>& a = devices[0].collectives.records[0];
    const std::vector<CollectiveRecord>& b = devices[1].collectives.records[0];
    std::vector<int64_t> spread_ns;
    int64_t shorter_ns = 0;
    for (size_t k = 0; k < a.size(); ++k) {
      spread_ns.push_back(std::abs(a[k].end_ns - b[k].end_ns));
      shorter_ns += std::min(a[k].end_ns - a[k].begin_ns, b[k].end_ns - b[k].begin_ns);
    }
    std::sort(spread_ns.begin(), spread_ns.end());
    EXPECT_EQ(spread_ns[spread_ns.size() / 2], Ns(truth["end_spread_us_median"]));
    EXPECT_EQ(spread_ns.back(), Ns(truth["end_spread_us_max"]));
    EXPECT_EQ(shorter_ns, truth["sum_min_dur_ns"].GetInt64());

    const Clocks clocks = AlignClocks(devices, match);
    EXPECT_EQ(clocks.devices[1].offset_ns, -Ns(truth["median_end_offset_us"]));
    // One session has one clock, and the reference leaves it as it is.
    Clocks as_it_is;
    as_it_is.devices.resize(2);
    for (DeviceClock& clock : as_it_is.devices) clock.residual_ns = 0;
    MeasureWaits(devices, match, as_it_is, {/*may_drop_clocks=*/false});
    for (size_t d = 0; d < 2; ++d) {
      int64_t wait_ns = 0;
      for (const CommunicatorWaits& own : devices[d].waits) wait_ns += own.wait_ns;
      EXPECT_EQ(wait_ns, truth["wait_ns"][absl::StrCat(d).c_str()].GetInt64());
    }
  }
  EXPECT_EQ(compared, 1);
}

// A made-up export.
class NsysInput : public testing::Test {
 protected:
  void SetUp() override {
    path_ = (std::filesystem::temp_directory_path() /
             absl::StrCat("mfutrace-nsys-", getpid(), "-",
                          testing::UnitTest::GetInstance()->current_test_info()->name()))
                .string();
    std::filesystem::remove(path_);
    ASSERT_EQ(sqlite3_open(path_.c_str(), &database_), SQLITE_OK);
  }
  void TearDown() override {
    Close();
    std::filesystem::remove(path_);
  }
  void Close() {
    sqlite3_close(database_);
    database_ = nullptr;
  }
  void Run(const std::string& sql) {
    ASSERT_EQ(sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database_);
  }
  void Tables(const char* process_column = ", globalPid INT") {
    Run("CREATE TABLE StringIds(id INTEGER PRIMARY KEY, value TEXT)");
    Run("INSERT INTO StringIds VALUES(1,'ampere_sgemm_128x64_nn'),(2,'cudaLaunchKernel_v7000'),"
        "(3,'cudaGraphLaunch_v10000'),(4,'ncclDevKernel_AllReduce_Sum_bf16_RING_LL(args)')");
    Run(
        absl::StrCat("CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL(start INT, end INT, deviceId INT, "
                     "streamId INT, correlationId INT",
                     process_column, ", demangledName INT)"));
    Run("CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME(start INT, end INT, globalTid INT, "
        "correlationId INT, nameId INT)");
    Run("CREATE TABLE NVTX_EVENTS(start INT, end INT, eventType INT, text TEXT, textId INT, "
        "globalTid INT)");
  }
  std::string Error() {
    const absl::StatusOr<std::vector<Timeline>> result = ImportTrace(path_);
    return result.ok() ? "" : std::string(result.status().message());
  }

  std::string path_;
  sqlite3* database_ = nullptr;
};

constexpr int64_t kProcessA = 1 << 24;
constexpr int64_t kProcessB = 2 << 24;

TEST_F(NsysInput, ProcessesCountTheirCorrelationIdsForThemselves) {
  Tables();
  // Both processes launch as number 7; only the second inside a GEMM whose sizes are known.
  Run(absl::StrCat("INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES(100,200,0,7,7,", kProcessA,
                   ",1),(150,250,1,7,7,", kProcessB, ",1)"));
  Run(absl::StrCat("INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES(50,60,", kProcessA + 1,
                   ",7,2),(55,65,", kProcessB + 1, ",7,2)"));
  Run(
      absl::StrCat("INSERT INTO NVTX_EVENTS VALUES(40,80,59,'aten::mm, seq = 1, op_id = 2, sizes = "
                   "[[4, 5], [5, 6]]',NULL,",
                   kProcessB + 1, ")"));
  const absl::StatusOr<std::vector<Timeline>> result = ImportTrace(path_);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->size(), 2u);
  EXPECT_EQ((*result)[0].works[0].op, kNoIndex);
  EXPECT_EQ((*result)[0].pid, 1u);
  EXPECT_EQ((*result)[0].works[0].launch_ns, 50);
  const Timeline& second = (*result)[1];
  EXPECT_EQ(second.pid, 2u);
  EXPECT_EQ(second.device.ordinal, 1);
  ASSERT_EQ(second.calls.size(), 1u);
  const Op& op = second.ops[second.calls[0].op];
  EXPECT_EQ(op.flop_executed, 2u * 4 * 5 * 6);
  EXPECT_FALSE(op.rate.has_value());  // the ranges do not tell the format
  EXPECT_EQ(second.works[0].op, second.calls[0].op);
}

TEST_F(NsysInput, StepsAreMarkedByTheProcessOfTheDevice) {
  Tables();
  Run("INSERT INTO StringIds VALUES(9,'iteration 2')");
  Run(absl::StrCat("INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES(100,200,0,7,1,", kProcessA,
                   ",1),(300,400,0,7,2,", kProcessA, ",1),(150,250,0,7,7,", kProcessB, ",1)"));
  Run(absl::StrCat("INSERT INTO NVTX_EVENTS VALUES(270,480,59,NULL,9,", kProcessA + 5,
                   "),(60,270,59,'iteration 1',NULL,", kProcessA + 5,
                   "),(60,270,59,'iteration 1',NULL,", kProcessB + 5,
                   "),(70,80,59,'step into it',NULL,", kProcessA + 5,
                   "),(75,NULL,34,'iteration 3',NULL,", kProcessA + 5, ")"));
  const absl::StatusOr<std::vector<Timeline>> result = ImportTrace(path_);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->size(), 1u);
  ASSERT_EQ((*result)[0].steps.size(), 2u);
  EXPECT_EQ((*result)[0].steps[0].name, "iteration 1");
  EXPECT_EQ((*result)[0].steps[1].time.begin_ns, 270);
}

TEST_F(NsysInput, WholeGraphsAreWorkOfUnknownContent) {
  Tables();
  Run("CREATE TABLE CUPTI_ACTIVITY_KIND_GRAPH_TRACE(start INT, end INT, deviceId INT, streamId "
      "INT, correlationId INT, globalPid INT)");
  Run(absl::StrCat("INSERT INTO CUPTI_ACTIVITY_KIND_GRAPH_TRACE VALUES(100,900,0,7,7,", kProcessA,
                   ")"));
  Run(absl::StrCat("INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES(50,60,", kProcessA + 1,
                   ",7,3)"));
  const absl::StatusOr<std::vector<Timeline>> result = ImportTrace(path_);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ((*result)[0].works.size(), 1u);
  EXPECT_EQ((*result)[0].works[0].time.end_ns, 900);
  bool is_said = false;
  for (const std::string& note : (*result)[0].quality.notes) {
    is_said |= note.find("1 graph launches were recorded as one piece") != std::string::npos;
  }
  EXPECT_TRUE(is_said);
}

TEST_F(NsysInput, OldSchemasHaveNoProcesses) {
  Tables("");
  Run("INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES(100,200,3,7,7,4)");
  Run(absl::StrCat("INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES(50,60,", kProcessA + 1,
                   ",7,2)"));
  Run("CREATE TABLE TARGET_INFO_GPU(id INT, name TEXT, totalMemory INT)");
  Run("INSERT INTO TARGET_INFO_GPU VALUES(0,'Other',1),(3,'NVIDIA A100-SXM4-80GB',85)");
  const absl::StatusOr<std::vector<Timeline>> result = ImportTrace(path_);
  ASSERT_TRUE(result.ok()) << result.status();
  const Timeline& timeline = (*result)[0];
  EXPECT_EQ(timeline.works[0].work_class, WorkClass::kCommunication);
  EXPECT_EQ(timeline.works[0].launch_ns, 50);
  EXPECT_EQ(timeline.device.name, "NVIDIA A100-SXM4-80GB");
  EXPECT_EQ(timeline.device.memory_bytes, 85u);
  EXPECT_EQ(timeline.ops[timeline.works[0].op].collective, shapes::CollectiveKind::kAllReduce);
  EXPECT_FALSE(timeline.ops[timeline.works[0].op].algorithm_bytes.has_value());
}

TEST_F(NsysInput, ErrorsAreOneLineEach) {
  Run("CREATE TABLE other(a)");
  EXPECT_NE(Error().find("no export of Nsight Systems"), std::string::npos) << Error();
  Tables();
  EXPECT_NE(Error().find("no GPU events"), std::string::npos) << Error();
  Run("BEGIN");
  for (int i = 0; i < 3000; ++i) {
    Run(absl::StrCat("INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES(", i, ",", i + 1, ",0,7,", i,
                     ",", kProcessA, ",1)"));
    if (HasFatalFailure()) return;
  }
  Run("COMMIT");
  Close();
  EXPECT_EQ(Error(), "");
  const auto size = std::filesystem::file_size(path_);
  for (const auto part : {size / 2, size / 4, uintmax_t{4096}, uintmax_t{100}, uintmax_t{16}}) {
    std::filesystem::resize_file(path_, part);
    const absl::StatusOr<std::vector<Timeline>> result = ImportTrace(path_);
    ASSERT_FALSE(result.ok()) << part;
    EXPECT_EQ(result.status().code(), absl::StatusCode::kDataLoss) << result.status();
    EXPECT_EQ(std::string(result.status().message()).find('\n'), std::string::npos);
  }
}

TEST(StepName, OnlyWholeNamesCount) {
  for (const char* name : {"ProfilerStep#12", "step 4", "Step_4", "iteration=7", "train_step",
                           "iter 0003", "Training Iteration [5]"}) {
    EXPECT_TRUE(IsStepName(name)) << name;
  }
  for (const char* name : {"optimizer.step", "step into it", "stepper", "4", "", "aten::mm",
                           "Optimizer.step#SGD.step", "iter/4"}) {
    EXPECT_FALSE(IsStepName(name)) << name;
  }
}

}  // namespace
}  // namespace mfutrace::report
