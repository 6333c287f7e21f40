// A run of which two windows were recorded: what is of the windows, and what of everything.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "report/analyze/analyze.h"
#include "report/model/load.h"
#include "report/model/load_windows.h"
#include "tests/report/native_trace.h"

namespace mfutrace::report {
namespace {

using trace::BlockKind;
using trace::WindowEvent;
using trace::WindowReason;

constexpr int64_t kMs = 1'000'000;
constexpr char kH100[] = "NVIDIA H100 80GB HBM3";
constexpr int64_t kSecond = 1000 * kMs;
constexpr int64_t kStart = kSecond;  // on the host's clock
// Device time = host time + this.
constexpr int64_t kShift = 5'000'000'000'000;
constexpr int64_t kDeviceStart = kShift + kStart;

void AddWindow(test::NativeTrace& file, uint32_t number, WindowEvent event, WindowReason reason,
               int64_t at_ns, uint64_t calls) {
  trace::WindowRecord record = {};
  record.number = number;
  record.event = static_cast<uint8_t>(event);
  record.reason = static_cast<uint8_t>(reason);
  record.monotonic_ns = kStart + at_ns;
  record.calls = calls;
  file.Add(BlockKind::kWindows, record);
}

// Steps of 100 ms: a large product of 50 ms, three small ones of 5 ms, an all-reduce of 10 ms that
// nothing hides, 25 ms of nothing. Calls are issued as they run.
uint64_t AddSteps(test::NativeTrace& file, int64_t begin_ns, int count, uint32_t& sequence) {
  for (int step = 0; step < count; ++step) {
    int64_t at_ns = kStart + begin_ns + step * 100 * kMs;
    const auto call = [&](uint32_t signature, int64_t length_ns, uint32_t number) {
      file.Call(signature, 1, at_ns, at_ns + 1000, at_ns + kShift, at_ns + kShift + length_ns, 0,
                number);
      at_ns += length_ns;
    };
    call(1, 50 * kMs, 0);
    for (int i = 0; i < 3; ++i) call(2, 5 * kMs, 0);
    call(3, 10 * kMs, ++sequence);
  }
  return static_cast<uint64_t>(count) * 5;
}

// [0, 2 s) recorded, [2, 8 s) counted, [8, 10 s) recorded: 20 + 60 + 20 steps.
std::string SampledTrace() {
  test::NativeTrace file(test::FreshFolder() + "/sampled.mfut");
  file.Fact("sample", "2s/8s");
  file.Device(0, kH100);
  file.Lane(1, 0, 0);
  file.Communicator(1, 77, 0, 2);
  file.Gemm(1, 4096, 4096, 4096);
  file.Gemm(2, 1024, 1024, 1024);
  file.Collective(3, shapes::CollectiveKind::kAllReduce, 1 << 20, 1);
  uint32_t sequence = 0;
  AddWindow(file, 1, WindowEvent::kOpened, WindowReason::kSchedule, 0, 0);
  uint64_t calls = AddSteps(file, 0, 20, sequence);
  AddWindow(file, 1, WindowEvent::kClosed, WindowReason::kSchedule, 2 * kSecond, calls);
  sequence += 60;
  for (int64_t second = 2; second < 8; ++second) {
    const auto count = [&](uint32_t signature, uint64_t each) {
      file.Count(signature, 0, each, kStart + second * kSecond, kStart + (second + 1) * kSecond,
                 trace::CountReason::kUntimed);
    };
    count(1, 10);
    count(2, 30);
    count(3, 10);
  }
  calls += 300;
  AddWindow(file, 2, WindowEvent::kOpened, WindowReason::kSchedule, 8 * kSecond, calls);
  calls += AddSteps(file, 8 * kSecond, 20, sequence);
  AddWindow(file, 2, WindowEvent::kClosed, WindowReason::kExit, 10 * kSecond, calls);
  file.End();
  file.Close();
  return file.path();
}

constexpr uint64_t kFlopOfStep = 2ull * 4096 * 4096 * 4096 + 3 * 2ull * 1024 * 1024 * 1024;

TEST(Sampled, WindowsLieWhereTheirCallsRan) {
  const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(SampledTrace());
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  const Sampling& sampling = timelines->front().sampling;
  EXPECT_TRUE(sampling.is_partial);
  EXPECT_EQ(sampling.asked, "2s/8s");
  EXPECT_EQ(sampling.calls_outside, 300u);
  ASSERT_EQ(sampling.device.size(), 2u);
  EXPECT_EQ(sampling.device[0].begin_ns, kDeviceStart);
  EXPECT_EQ(sampling.device[0].end_ns, kDeviceStart + 2 * kSecond - 25 * kMs);
  EXPECT_EQ(sampling.device[1].begin_ns, kDeviceStart + 8 * kSecond);
  // 50 calls a second inside and outside.
  EXPECT_EQ(sampling.untimed_ns, 6 * kSecond);
  EXPECT_EQ(sampling.untimed_calls, 300u);
}

TEST(Sampled, TimesAreOfTheWindowsAndFlopsOfEverything) {
  const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(SampledTrace());
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  Analyzer analyzer({});
  for (const Timeline& timeline : *timelines) analyzer.Add(timeline);
  const absl::StatusOr<RunResult> result = analyzer.Finish();
  ASSERT_TRUE(result.ok()) << result.status();

  EXPECT_EQ(result->run.flop.executed, Flop(100 * kFlopOfStep));
  EXPECT_EQ(result->run.window_ns, 10 * kSecond - 25 * kMs);
  const int64_t timed_ns = 2 * (2 * kSecond - 25 * kMs);
  EXPECT_EQ(result->run.split.window_ns, timed_ns);
  EXPECT_EQ(result->run.split.compute_ns, 40 * 65 * kMs);
  EXPECT_EQ(result->run.split.exposed_ns, 40 * 10 * kMs);
  EXPECT_EQ(result->run.split.unattributed_ns, timed_ns - 40 * 75 * kMs);
  int64_t budget_ns = 0;
  for (const BudgetLine& line : result->run.budget) budget_ns += line.ns;
  EXPECT_EQ(budget_ns, timed_ns);
  EXPECT_EQ(result->run.budget_ns, timed_ns);
  ASSERT_TRUE(result->sampling.has_value());
  EXPECT_EQ(result->sampling->timed_ns, timed_ns);
  EXPECT_EQ(result->sampling->run_ns, result->run.window_ns);
  EXPECT_EQ(result->sampling->calls_outside, 300u);
  ASSERT_TRUE(result->sampling->untimed_calls_per_s.has_value());
  EXPECT_DOUBLE_EQ(*result->sampling->untimed_calls_per_s, 50);
}

TEST(Sampled, NoStepReachesFromOneWindowIntoTheNext) {
  const absl::StatusOr<std::vector<Timeline>> timelines = LoadNative(SampledTrace());
  ASSERT_TRUE(timelines.ok()) << timelines.status();
  Analyzer analyzer({});
  for (const Timeline& timeline : *timelines) analyzer.Add(timeline);
  const absl::StatusOr<RunResult> result = analyzer.Finish();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->steps.size(), 40u);
  for (const StepResult& step : result->steps) {
    EXPECT_LE(step.split.window_ns, 100 * kMs) << step.index;
    EXPECT_GE(step.split.window_ns, 75 * kMs) << step.index;
    EXPECT_EQ(step.flop_executed, Flop(kFlopOfStep)) << step.index;
  }
  ASSERT_TRUE(result->steady.has_value());
  // All 40 steps; the last of each window ends with its last work.
  EXPECT_EQ(result->steady->window_ns, 2 * (2 * kSecond - 25 * kMs));
  EXPECT_EQ(result->steady->flop.executed, Flop(40 * kFlopOfStep));
  EXPECT_EQ(result->steady->split.exposed_ns, 40 * 10 * kMs);
}

TEST(Sampled, TheLibrarysOwnCostIsNoLoss) {
  std::map<std::string, uint64_t> counters = {{"own_cost_probed_calls", 10},
                                              {"own_cost_probed_ns", 2000},
                                              {"flusher_cpu_ns", 5},
                                              {"timed_cost_ppm", 300},
                                              {"calls_dropped_ring_full", 1}};
  const OwnCost cost = TakeOwnCost(counters);
  EXPECT_EQ(cost.probed_ns, 2000u);
  EXPECT_EQ(cost.flusher_cpu_ns, 5u);
  EXPECT_FALSE(cost.event_gpu_ns.has_value());
  EXPECT_EQ(counters.size(), 1u);
}

TEST(Sampled, AWindowThatNeverClosedReachesToTheEnd) {
  trace::WindowRecord opened = {};
  opened.monotonic_ns = 100;
  const Sampling sampling = SamplingOf({{opened, std::nullopt}}, 50, 900);
  EXPECT_FALSE(sampling.is_partial);
  ASSERT_EQ(sampling.host.size(), 1u);
  EXPECT_EQ(sampling.host[0].end_ns, 900);
  EXPECT_EQ(UtcText(1'700'000'000'000'000'000), "2023-11-14 22:13:20 UTC");
}

}  // namespace
}  // namespace mfutrace::report
