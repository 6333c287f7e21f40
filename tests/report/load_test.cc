// Native files -> timelines, from files that the job's own writer wrote.
#include "report/model/load.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/report/native_trace.h"
#include "trace/contract.h"

namespace mfutrace::report {
namespace {

using shapes::CollectiveKind;
using test::NativeTrace;
using trace::BlockKind;

constexpr char kH100[] = "NVIDIA H100 80GB HBM3";

std::string Fact(std::string_view key) { return std::string(key); }

TEST(Load, FlopsAreComputedFromTheDimensionsInTheFile) {
  NativeTrace file(test::FreshFolder() + "/a.mfut");
  file.Fact(Fact(trace::fact::kRank), "3");
  file.Fact(Fact(trace::fact::kWorldSize), "8");
  file.Fact(Fact(trace::fact::kHost), "node1");
  file.Fact(Fact(trace::fact::kRestart), "2");
  file.Fact(Fact(trace::fact::kTimingBackend), "events");
  file.Fact(Fact(trace::fact::kCommandLine), std::string("/usr/bin/train\0--lr\0003e-4", 24));
  file.Device(0, kH100);
  file.Lane(1, 0, 0);
  file.Gemm(1, 8192, 14336, 4096);
  file.Call(1, 1, 1000, 1100, 50, 150);
  file.Call(1, 1, 1200, 1300, 160, 250);
  file.End();
  file.Close();
  const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(file.path());
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  ASSERT_EQ(timelines->size(), 1u);
  const Timeline& timeline = timelines->front();
  EXPECT_EQ(timeline.rank, 3);
  EXPECT_EQ(timeline.world_size, 8u);
  EXPECT_EQ(timeline.host, "node1");
  EXPECT_EQ(timeline.restart_attempt, 2);
  EXPECT_EQ(timeline.pid, 4412u);
  EXPECT_EQ(timeline.timing, "events");
  EXPECT_EQ(timeline.command, "train --lr 3e-4");
  EXPECT_EQ(timeline.device.name, kH100);
  EXPECT_TRUE(timeline.has_shapes);
  EXPECT_FALSE(timeline.has_all_kernels);
  ASSERT_EQ(timeline.ops.size(), 1u);
  EXPECT_EQ(timeline.ops[0].flop_executed, 2ull * 8192 * 14336 * 4096);
  EXPECT_EQ(timeline.ops[0].flop_model, timeline.ops[0].flop_executed);
  EXPECT_EQ(timeline.ops[0].bytes_least, 2ull * (8192 * 4096 + 4096 * 14336 + 8192 * 14336));
  EXPECT_EQ(timeline.ops[0].rate, shapes::PeakRate::kBf16);
  EXPECT_EQ(timeline.ops[0].dtype, "bf16");
  ASSERT_EQ(timeline.calls.size(), 2u);
  ASSERT_EQ(timeline.works.size(), 2u);
  EXPECT_EQ(timeline.works[1].time.begin_ns, 160);
  EXPECT_EQ(timeline.works[1].time.end_ns, 250);
  EXPECT_EQ(timeline.works[1].launch_ns, 1200);
  EXPECT_EQ(timeline.works[1].op, 0u);
  EXPECT_EQ(timeline.host_window.begin_ns, 1000);
  EXPECT_EQ(timeline.host_window.end_ns, 1300);
  EXPECT_EQ(timeline.quality.untimed, 0u);
  EXPECT_TRUE(timeline.quality.notes.empty());
}

TEST(Load, CollectivesKnowTheirCommunicator) {
  NativeTrace file(test::FreshFolder() + "/a.mfut");
  file.Device(0, kH100);
  file.Lane(1, 0, 7);
  file.Communicator(1, 0xabcdef, 2, 4, 0, "mesh_dp");
  file.Collective(1, CollectiveKind::kAllReduce, 1024, 1);
  file.Call(1, 1, 10, 20, 100, 200, 0, 1);
  file.End();
  file.Close();
  const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(file.path());
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  const Timeline& timeline = timelines->front();
  ASSERT_EQ(timeline.communicators.size(), 1u);
  EXPECT_EQ(timeline.communicators[0].id, "0000000000abcdef");
  EXPECT_EQ(timeline.communicators[0].name, "mesh_dp");
  EXPECT_EQ(timeline.communicators[0].size, 4u);
  EXPECT_EQ(timeline.communicators[0].rank, 2);
  ASSERT_EQ(timeline.works.size(), 1u);
  EXPECT_EQ(timeline.works[0].work_class, WorkClass::kCommunication);
  EXPECT_EQ(timeline.works[0].communicator, 0u);
  EXPECT_EQ(timeline.calls[0].sequence, 1u);
  // bf16: S = 2048 bytes; all-reduce moves 2 (n - 1) / n of it over each bus (nccl-tests).
  EXPECT_EQ(timeline.ops[0].algorithm_bytes, 2048u);
  EXPECT_EQ(timeline.ops[0].bus_bytes, 3072u);
  EXPECT_FALSE(timeline.ops[0].flop_executed.has_value());
}

TEST(Load, GroupedCallsShareOneWork) {
  NativeTrace file(test::FreshFolder() + "/a.mfut");
  file.Device(0, kH100);
  file.Lane(1, 0, 7);
  file.Communicator(1, 1, 0, 2);
  file.Collective(1, CollectiveKind::kSend, 8, 1);
  file.Collective(2, CollectiveKind::kRecv, 8, 1);
  file.Call(1, 1, 10, 11, 100, 200, trace::kGrouped, 1);
  file.Call(2, 1, 11, 12, 100, 200, trace::kGrouped, 2);
  file.Call(1, 1, 20, 21, 300, 400, trace::kGrouped, 3);
  file.End();
  file.Close();
  const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(file.path());
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  const Timeline& timeline = timelines->front();
  EXPECT_EQ(timeline.works.size(), 2u);
  ASSERT_EQ(timeline.calls.size(), 3u);
  EXPECT_EQ(timeline.calls[0].work, timeline.calls[1].work);
  EXPECT_NE(timeline.calls[0].work, timeline.calls[2].work);
}

TEST(Load, EachDeviceOfAProcessIsATimeline) {
  NativeTrace file(test::FreshFolder() + "/a.mfut");
  file.Device(0, kH100);
  file.Device(1, kH100);
  file.Device(2, kH100);  // never used
  file.Lane(1, 0, 0);
  file.Lane(2, 1, 0);
  file.Gemm(1, 16, 16, 16);
  file.Call(1, 1, 10, 20, 100, 200);
  file.Call(1, 2, 20, 30, 5000, 5100);
  file.Call(1, 2, 30, 40, 5100, 5200);
  file.End();
  file.Close();
  const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(file.path());
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  ASSERT_EQ(timelines->size(), 2u);
  EXPECT_EQ((*timelines)[0].device.ordinal, 0);
  EXPECT_EQ((*timelines)[0].calls.size(), 1u);
  EXPECT_EQ((*timelines)[1].device.ordinal, 1);
  EXPECT_EQ((*timelines)[1].calls.size(), 2u);
}

TEST(Load, CallsWithoutADeviceBelongToTheOnlyOne) {
  NativeTrace file(test::FreshFolder() + "/a.mfut");
  file.Device(3, kH100);
  file.Lane(1, -1, 0);
  file.Gemm(1, 16, 16, 16);
  file.Call(1, 1, 10, 20, 0, 0);
  file.End();
  file.Close();
  const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(file.path());
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  ASSERT_EQ(timelines->size(), 1u);
  EXPECT_EQ(timelines->front().device.ordinal, 3);
  EXPECT_EQ(timelines->front().device.name, kH100);
  EXPECT_EQ(timelines->front().quality.untimed, 1u);
}

TEST(Load, LossIsCountedByReason) {
  NativeTrace file(test::FreshFolder() + "/a.mfut");
  file.Device(0, kH100);
  file.Lane(1, 0, 0);
  file.Gemm(1, 16, 16, 16);
  file.Opaque(2, "cublasStrsm_v2");
  file.Call(1, 1, 10, 20, 100, 200);
  file.Call(1, 1, 20, 30, 0, 0);
  file.Call(1, 1, 30, 40, 0, 0, trace::kCaptured);
  file.Count(1, 0, 7, 40, 90);
  file.Count(1, 0, 5, 40, 95, trace::CountReason::kUntimed);
  file.Count(1, 0, 4, 40, 95, trace::CountReason::kDropped, trace::kCaptured);
  file.Count(2, 0, 3, 40, 50);
  trace::CounterRecord counter = {};
  counter.name = file.String("event_pool_empty");
  counter.value = 1;
  file.Add(BlockKind::kCounters, counter);
  counter.value = 9;  // cumulative: the last one holds
  file.Add(BlockKind::kCounters, counter);
  file.End();
  file.Close();
  const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(file.path());
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  const Timeline& timeline = timelines->front();
  EXPECT_EQ(timeline.quality.dropped, 10u);
  EXPECT_EQ(timeline.quality.untimed, 6u);
  EXPECT_EQ(timeline.quality.captured, 5u);
  EXPECT_EQ(timeline.host_window.end_ns, 95);
  ASSERT_EQ(timeline.counted.size(), 3u);
  EXPECT_EQ(timeline.counted[0].calls, 7u);
  const std::vector<std::pair<std::string, uint64_t>> counters = {{"event_pool_empty", 9}};
  EXPECT_EQ(timeline.quality.counters, counters);
}

TEST(Load, HostOrderHoldsAcrossLanes) {
  NativeTrace file(test::FreshFolder() + "/a.mfut");
  file.Device(0, kH100);
  file.Lane(1, 0, 0);
  file.Lane(2, 0, 5);
  file.Gemm(1, 16, 16, 16);
  file.Call(1, 1, 10, 20, 100, 200);
  file.Call(1, 1, 50, 60, 300, 400);
  file.Call(1, 2, 30, 40, 150, 250);
  file.End();
  file.Close();
  const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(file.path());
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  const Timeline& timeline = timelines->front();
  ASSERT_EQ(timeline.calls.size(), 3u);
  EXPECT_EQ(timeline.calls[1].host_begin_ns, 30);
  EXPECT_EQ(timeline.works[timeline.calls[1].work].time.begin_ns, 150);
  EXPECT_NE(timeline.works[timeline.calls[1].work].stream,
            timeline.works[timeline.calls[0].work].stream);
}

TEST(Load, ProcessThatLostCallsSaysSo) {
  NativeTrace file(test::FreshFolder() + "/a.mfut");
  file.Device(0, kH100);
  file.Lane(1, 0, 0);
  file.Gemm(1, 16, 16, 16);
  file.Call(1, 1, 10, 20, 100, 200);
  file.Call(99, 1, 20, 30, 200, 300);  // a signature that the file does not have
  file.End(5);
  file.Close();
  const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(file.path());
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  const std::vector<std::string>& notes = timelines->front().quality.notes;
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_NE(notes[0].find("1 calls name a signature"), std::string::npos);
  EXPECT_NE(notes[1].find("made 5 calls, the file has 2"), std::string::npos);
}

TEST(Load, TornFileGivesWhatIsBeforeTheDamage) {
  NativeTrace file(test::FreshFolder() + "/a.mfut");
  file.Device(0, kH100);
  file.Lane(1, 0, 0);
  file.Gemm(1, 16, 16, 16);
  file.Call(1, 1, 10, 20, 100, 200);
  file.Add(BlockKind::kHostClock, trace::HostClockRecord{1, 2, 0});
  file.Close();
  std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) - 5);
  const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(file.path());
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  EXPECT_EQ(timelines->front().calls.size(), 1u);
  EXPECT_EQ(timelines->front().quality.damaged_files, 1u);
  ASSERT_EQ(timelines->front().quality.notes.size(), 1u);
  EXPECT_EQ(timelines->front().quality.notes[0].find("a.mfut: "), 0u);
}

TEST(Load, KilledProcessIsToldFromADamagedFile) {
  NativeTrace file(test::FreshFolder() + "/a.mfut");
  file.Device(0, kH100);
  file.Lane(1, 0, 0);
  file.Gemm(1, 16, 16, 16);
  file.Call(1, 1, 10, 20, 100, 200);
  file.Close();
  const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(file.path());
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  EXPECT_EQ(timelines->front().quality.damaged_files, 0u);
  const std::vector<std::pair<std::string, uint64_t>> counters = {{"files_without_end", 1}};
  EXPECT_EQ(timelines->front().quality.counters, counters);
}

TEST(Load, ClockResidualIsHalfTheMedianBracket) {
  NativeTrace file(test::FreshFolder() + "/a.mfut");
  file.Device(0, kH100);
  file.Lane(1, 0, 0);
  file.Gemm(1, 16, 16, 16);
  file.Call(1, 1, 10, 20, 100, 200);
  for (const int64_t width_ns : {2000, 6000, 90000}) {
    file.Add(BlockKind::kClockSamples, trace::ClockSampleRecord{0, 0, 5, 100, 100 + width_ns});
  }
  file.End();
  file.Close();
  const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(file.path());
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  EXPECT_EQ(timelines->front().clock_residual_ns, 3000);
}

TEST(FindTraces, FolderGivesNativeFilesInOrderOfName) {
  const std::string folder = test::FreshFolder();
  for (const char* name : {"/b.mfut", "/a.mfut", "/c.json", "/notes.txt"}) {
    std::ofstream(folder + name) << "x";
  }
  const absl::StatusOr<std::vector<std::string>> found = FindTraces(folder);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(*found, (std::vector<std::string>{folder + "/a.mfut", folder + "/b.mfut"}));
}

TEST(FindTraces, FolderOfProfilerTracesGivesThose) {
  const std::string folder = test::FreshFolder();
  for (const char* name : {"/b.json.gz", "/a.pt.trace.json"}) std::ofstream(folder + name) << "x";
  const absl::StatusOr<std::vector<std::string>> found = FindTraces(folder);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->size(), 2u);
}

TEST(FindTraces, ContentDecidesAndNamesAreForWhatIsDamaged) {
  const std::string folder = test::FreshFolder();
  std::ofstream(folder + "/readme") << "Traces of a run.";
  std::ofstream(folder + "/peaks.toml") << "[device]";
  EXPECT_FALSE(FindTraces(folder).ok());
  std::filesystem::create_directories(folder + "/run/rank1");
  std::ofstream(folder + "/run/rank1/a") << " {\"traceEvents\": []}";
  std::ofstream(folder + "/run/rank1/b") << "SQLite format 3";
  std::ofstream(folder + "/run/rank1/c") << "\x1f\x8b";
  std::ofstream(folder + "/run/rank1/d.json") << "";
  std::ofstream(folder + "/run/rank1/e") << "";
  const absl::StatusOr<std::vector<std::string>> deep = FindTraces(folder);
  ASSERT_TRUE(deep.ok()) << deep.status();
  EXPECT_EQ(*deep,
            (std::vector<std::string>{folder + "/run/rank1/a", folder + "/run/rank1/b",
                                      folder + "/run/rank1/c", folder + "/run/rank1/d.json"}));
  { NativeTrace file(folder + "/odd-name"); }
  const absl::StatusOr<std::vector<std::string>> native = FindTraces(folder);
  ASSERT_TRUE(native.ok()) << native.status();
  EXPECT_EQ(*native, (std::vector<std::string>{folder + "/odd-name"}));
}

TEST(FindTraces, NothingThereIsOneClearLine) {
  const std::string folder = test::FreshFolder();
  const absl::StatusOr<std::vector<std::string>> empty = FindTraces(folder);
  EXPECT_EQ(empty.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(std::string(empty.status().message()).find("holds no trace"), std::string::npos);
  const absl::StatusOr<std::vector<std::string>> missing = FindTraces(folder + "/nowhere");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.status().message(), folder + "/nowhere: no such file or folder");
}

TEST(FindTraces, NativeIsToldByMagicNotByName) {
  const std::string folder = test::FreshFolder();
  { NativeTrace file(folder + "/odd-name"); }
  std::ofstream(folder + "/b.mfut") << "{\"traceEvents\": []}";
  EXPECT_TRUE(IsNativeTrace(folder + "/odd-name"));
  EXPECT_FALSE(IsNativeTrace(folder + "/b.mfut"));
  EXPECT_FALSE(IsNativeTrace(folder + "/nowhere"));
  EXPECT_FALSE(LoadNative(folder + "/b.mfut").ok());
}

}  // namespace
}  // namespace mfutrace::report
