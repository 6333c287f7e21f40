// The event back end against a driver whose exact times are known.
#include "interpose/gpu_clock.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <random>

#include "fake_driver.h"
#include "interpose/clock.h"
#include "session_fixture.h"

namespace mfutrace::interpose {
namespace {

using GpuClockTest = SessionTest;

constexpr uintptr_t kStream = 0x77;

void* Stream(uintptr_t number = kStream) { return reinterpret_cast<void*>(number); }

// Worst distance of begin and end from the exact times, both measured from the first start event.
int64_t WorstErrorNs(const ReadBack& read, const FakeDriver& driver) {
  const int64_t epoch_ns = driver.RecordedAt(kStream, 0);
  int64_t worst_ns = 0;
  for (size_t i = 0; i < read.calls.size(); ++i) {
    EXPECT_TRUE(read.calls[i].is_timed) << i;
    const int64_t begin_ns = driver.RecordedAt(kStream, 2 * i) - epoch_ns;
    const int64_t end_ns = driver.RecordedAt(kStream, 2 * i + 1) - epoch_ns;
    worst_ns = std::max({worst_ns, std::abs(read.calls[i].gpu_begin_ns - begin_ns),
                         std::abs(read.calls[i].gpu_end_ns - end_ns)});
  }
  return worst_ns;
}

class SimulatedHour : public GpuClockTest, public testing::WithParamInterface<int> {};

// Events are floats of milliseconds: an hour from one anchor would be off by 0.1 ms. Calls come in
// bursts, with gaps as a training job has them: within a step, between steps, for a checkpoint.
TEST_P(SimulatedHour, StaysWithinAMicrosecond) {
  Set("MFUTRACE_RING", "1048576");
  Set("MFUTRACE_EVENTS", "262144");
  std::mt19937_64 random(static_cast<uint64_t>(GetParam()));
  std::uniform_int_distribution<int64_t> kernel_ns(2'000, 400'000);
  std::uniform_int_distribution<int64_t> gap_ns(500, 60'000);
  std::uniform_int_distribution<int64_t> step_gap_ns(1'000'000, 90'000'000);
  std::uniform_int_distribution<int64_t> long_gap_ns(500'000'000, 3'000'000'000);
  std::atomic<int64_t> device_ns{1'000'000'007};
  FakeDriver driver([&device_ns] { return device_ns.load(); });
  constexpr int64_t kHourNs = 3'600'000'000'000;
  ASSERT_TRUE(Observing());
  const uint32_t signature = Signature(1);
  uint64_t calls = 0;
  while (device_ns < kHourNs) {
    for (int i = 0; i < 40; ++i) {
      ++calls;
      OpenCall call = BeginCall(signature, Stream());
      device_ns += kernel_ns(random);
      EndCall(call, Stream(), true);
      device_ns += gap_ns(random);
    }
    device_ns += calls % 4000 == 0 ? long_gap_ns(random) : step_gap_ns(random) * 10;
    if (calls % 4000 == 0) usleep(1000);
  }
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), calls);
  const int64_t worst_ns = WorstErrorNs(read, driver);
  std::printf("%zu calls, worst error %lld ns\n", read.calls.size(),
              static_cast<long long>(worst_ns));
  EXPECT_LE(worst_ns, 1000);
  EXPECT_EQ(driver.queries_outside_relaxed_mode(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SimulatedHour, testing::Values(1, 2, 3));

// Kernels without an end, on two streams of one thread: times of the one may lie far before the
// other's.
TEST_F(GpuClockTest, StreamsThatLagMeasureAgainstALaterAnchor) {
  std::atomic<int64_t> device_ns{5};
  FakeDriver driver([&device_ns] { return device_ns.load(); });
  ASSERT_TRUE(Observing());
  const uint32_t signature = Signature(1);
  constexpr int64_t kLagNs = 700'000'000;
  std::map<uintptr_t, std::vector<int64_t>> begins;
  for (int i = 0; i < 2000; ++i) {
    const uintptr_t stream = i % 2 == 0 ? kStream : kStream + 1;
    const int64_t now_ns = i * 1'000'000ll + (i % 2 == 0 ? kLagNs : 0);
    device_ns = now_ns;
    OpenCall call = BeginCall(signature, Stream(stream));
    device_ns = now_ns + 900'000;
    EndCall(call, Stream(stream), true);
    begins[stream].push_back(now_ns);
    if (i % 100 == 0) usleep(1000);
  }
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 2000u);
  std::map<uintptr_t, size_t> seen;
  for (const trace::Call& call : read.calls) {
    const auto stream = static_cast<uintptr_t>(read.lanes.at(call.lane).stream);
    const int64_t exact_ns = begins.at(stream).at(seen[stream]++) - begins.at(kStream).at(0);
    EXPECT_NEAR(static_cast<double>(call.gpu_begin_ns), static_cast<double>(exact_ns), 1000.0);
    EXPECT_NEAR(static_cast<double>(call.gpu_end_ns), static_cast<double>(exact_ns + 900'000),
                1000.0);
  }
}

// Device time is host time less a secret offset: every sample must bound it.
TEST_F(GpuClockTest, ClockSamplesBoundTheTrueOffset) {
  constexpr int64_t kSecretNs = 123'456'789'012;
  FakeDriver driver([] { return MonotonicNs() - kSecretNs; });
  for (int i = 0; i < 300; ++i) {
    Gemm(1, Stream());
    usleep(200);
  }
  End();
  const ReadBack read = ReadOnly();
  const int64_t epoch_ns = driver.RecordedAt(kStream, 0);
  ASSERT_GE(read.clock_samples.size(), 2u);  // at the start and at the end
  for (const trace::ClockSampleRecord& sample : read.clock_samples) {
    const int64_t host_ns = sample.gpu_ns + epoch_ns + kSecretNs;
    EXPECT_LE(sample.host_min_ns, host_ns + 2);
    EXPECT_GE(sample.host_max_ns, host_ns - 2);
    EXPECT_LT(sample.host_max_ns - sample.host_min_ns, 1'000'000);
  }
  EXPECT_EQ(read.facts.at("timing"), "events");
  EXPECT_EQ(read.facts.at("cuda_driver_version"), "13000");
  EXPECT_EQ(read.strings.at(read.devices.at(0).name), "Fake GPU");
}

// Where nothing may be recorded beside the job's work, its own events are what bounds the offset.
TEST_F(GpuClockTest, ForcedEventsCalibrateWithoutAStreamOfTheirOwn) {
  Set("CUDA_DEVICE_MAX_CONNECTIONS", "1");
  Set("MFUTRACE_FORCE_EVENTS", "1");
  constexpr int64_t kSecretNs = 42'000'000'000;
  FakeDriver driver([] { return MonotonicNs() - kSecretNs; });
  for (int i = 0; i < 50; ++i) {
    Gemm(1, Stream());
    usleep(500);
  }
  End();
  const ReadBack read = ReadOnly();
  EXPECT_EQ(driver.RecordedOn(FakeDriver::kOwnStream), 0u);
  ASSERT_FALSE(read.clock_samples.empty());
  const int64_t epoch_ns = driver.RecordedAt(kStream, 0);
  for (const trace::ClockSampleRecord& sample : read.clock_samples) {
    const int64_t host_ns = sample.gpu_ns + epoch_ns + kSecretNs;
    EXPECT_LE(sample.host_min_ns, host_ns + 2);
    EXPECT_GE(sample.host_max_ns, host_ns - 2);
  }
}

TEST_F(GpuClockTest, OneConnectionMeansCountModeUnlessForced) {
  Set("CUDA_DEVICE_MAX_CONNECTIONS", "1");
  FakeDriver driver([] { return int64_t{0}; });
  for (int i = 0; i < 10; ++i) Gemm(1, Stream());
  End();
  const ReadBack read = ReadOnly();
  EXPECT_EQ(driver.RecordedOn(kStream), 0u);
  EXPECT_EQ(driver.live_events(), 0u);
  EXPECT_EQ(read.facts.at("timing"), "count");
  EXPECT_NE(read.facts.at("timing_reason").find("CUDA_DEVICE_MAX_CONNECTIONS=1"),
            std::string::npos);
  EXPECT_EQ(read.Total(), 10u);
}

TEST_F(GpuClockTest, CapturesAreFlaggedAndLeftAlone) {
  int64_t device_ns = 0;
  FakeDriver driver([&device_ns] { return device_ns += 1000; });
  Gemm(1, Stream());
  driver.Capture(kStream);
  EXPECT_TRUE(IsCapturing(Stream()));
  EXPECT_FALSE(IsCapturing(Stream(kStream + 1)));
  for (int i = 0; i < 5; ++i) Gemm(2, Stream());
  Gemm(3, Stream(kStream + 1));
  driver.Capture(0);
  Gemm(1, Stream());
  End();
  const ReadBack read = ReadOnly();
  EXPECT_EQ(driver.records_into_capture(), 0u);
  EXPECT_EQ(driver.queries_outside_relaxed_mode(), 0u);
  ASSERT_EQ(read.calls.size(), 8u);
  for (const trace::Call& call : read.calls) {
    const bool is_captured = read.gemms.at(call.signature).m == 2;
    EXPECT_EQ((call.flags & trace::kCaptured) != 0, is_captured);
    EXPECT_EQ(call.is_timed, !is_captured);
  }
  EXPECT_EQ(read.CounterOf("untimed_stream_capturing"), 5u);
}

TEST_F(GpuClockTest, CountModeStillFlagsCaptures) {
  Set("MFUTRACE_TIMING", "count");
  FakeDriver driver([] { return int64_t{0}; });
  driver.Capture(kStream);
  Gemm(2, Stream());
  driver.Capture(0);
  Gemm(1, Stream());
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 2u);
  EXPECT_EQ(read.calls[0].flags, trace::kCaptured);
  EXPECT_EQ(read.calls[1].flags, 0);
  EXPECT_EQ(driver.live_events(), 0u);
}

TEST_F(GpuClockTest, AnEmptyPoolMakesUntimedCallsNotLateOnes) {
  Set("MFUTRACE_EVENTS", "20");
  int64_t device_ns = 0;
  FakeDriver driver([&device_ns] { return device_ns += 1000; });
  driver.HoldCompletion(true);
  for (int i = 0; i < 100; ++i) Gemm(1, Stream());
  driver.HoldCompletion(false);
  usleep(50'000);
  for (int i = 0; i < 10; ++i) Gemm(2, Stream());  // the pool is full again
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 110u);
  EXPECT_EQ(std::count_if(read.calls.begin(), read.calls.end(),
                          [](const trace::Call& call) { return call.is_timed; }),
            30);
  EXPECT_EQ(read.CounterOf("untimed_event_pool_empty"), 80u);
  // 20 pairs, the first anchor's replacement, the calibration's two events.
  EXPECT_LE(driver.live_events(), 43u);
}

TEST_F(GpuClockTest, WorkUnfinishedAtExitIsUntimedAndTheExitIsShort) {
  int64_t device_ns = 0;
  FakeDriver driver([&device_ns] { return device_ns += 1000; });
  Gemm(1, Stream());
  usleep(50'000);
  driver.HoldCompletion(true);
  for (int i = 0; i < 5; ++i) Gemm(2, Stream());
  const int64_t begin_ns = MonotonicNs();
  End();
  EXPECT_LT(MonotonicNs() - begin_ns, 1'000'000'000);
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 6u);
  EXPECT_EQ(read.CounterOf("untimed_unfinished_at_exit"), 5u);
  EXPECT_TRUE(read.outcome.ended_in_order);
}

TEST_F(GpuClockTest, ADestroyedContextCostsTheTimesOnly) {
  int64_t device_ns = 0;
  FakeDriver driver([&device_ns] { return device_ns += 1000; });
  for (int i = 0; i < 5; ++i) Gemm(1, Stream());
  usleep(50'000);
  driver.HoldCompletion(true);
  for (int i = 0; i < 5; ++i) Gemm(2, Stream());
  driver.DestroyContext();
  usleep(50'000);
  for (int i = 0; i < 5; ++i) Gemm(3, Stream());
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 15u);
  for (const trace::Call& call : read.calls) {
    EXPECT_EQ(call.is_timed, read.gemms.at(call.signature).m == 1);
  }
  EXPECT_GT(read.CounterOf("untimed_context_destroyed"), 0u);
}

TEST_F(GpuClockTest, CallsOfAGroupShareTheirStreamsBracket) {
  int64_t device_ns = 0;
  FakeDriver driver([&device_ns] { return device_ns += 1000; });
  RecordCommunicator({});
  Gemm(1, Stream());
  for (uint32_t round = 0; round < 300; ++round) {  // more brackets than a batch of pairs
    OpenCall first = HoldCall(Signature(2), Stream(), 3 * round + 1);
    OpenCall second = HoldCall(Signature(2), Stream(), 3 * round + 2);
    OpenCall third = HoldCall(Signature(2), Stream(), 3 * round + 3);
    const Bracket bracket = OpenBracket(Stream());
    CloseBracket(bracket, Stream());
    for (const OpenCall& call : {first, second, third}) {
      ShareBracket(bracket);
      RecordHeld(call, bracket);
      if (round % 50 == 0) usleep(10'000);  // the flusher may read one before the next is recorded
    }
    DiscardBracket(bracket);  // the share it came with
  }
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 901u);
  for (size_t i = 1; i < read.calls.size(); i += 3) {
    for (size_t j = i; j < i + 3; ++j) {
      EXPECT_TRUE(read.calls[j].is_timed);
      EXPECT_EQ(read.calls[j].flags, trace::kGrouped);
      EXPECT_EQ(read.calls[j].gpu_begin_ns, read.calls[i].gpu_begin_ns);
      EXPECT_EQ(read.calls[j].gpu_end_ns, read.calls[i].gpu_begin_ns + 1000);
    }
  }
}

TEST_F(GpuClockTest, FailedCallsGiveTheirPairsBack) {
  Set("MFUTRACE_EVENTS", "16");
  int64_t device_ns = 0;
  FakeDriver driver([&device_ns] { return device_ns += 1000; });
  for (int i = 0; i < 1000; ++i) Gemm(1, Stream(), false);
  Gemm(2, Stream());
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 1u);
  EXPECT_TRUE(read.calls[0].is_timed);
  EXPECT_EQ(read.CounterOf("untimed_event_pool_empty"), 0u);
}

}  // namespace
}  // namespace mfutrace::interpose
