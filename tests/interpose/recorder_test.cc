// The recorder in count mode: what comes out of a trace is what went in, whatever the rings did.
#include "interpose/recorder.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <thread>

#include "fake_driver.h"
#include "session_fixture.h"

namespace mfutrace::interpose {
namespace {

using Recorder = SessionTest;

void* Stream(uintptr_t number) { return reinterpret_cast<void*>(number); }

TEST_F(Recorder, AProcessWithoutCallsLeavesNoFile) {
  EXPECT_TRUE(Observing());
  usleep(30'000);
  End();
  EXPECT_TRUE(Files().empty());
}

TEST_F(Recorder, DisabledMeansNoSession) {
  Set("MFUTRACE_DISABLE", "1");
  EXPECT_FALSE(Observing());
  Gemm(1);
  End();
  EXPECT_TRUE(Files().empty());
}

TEST_F(Recorder, EveryFactOfACallComesBack) {
  setenv("RANK", "3", 1);
  setenv("WORLD_SIZE", "8", 1);
  ASSERT_TRUE(Observing());
  shapes::Gemm gemm;
  gemm.m = 5'000'000'000;
  gemm.n = 2;
  gemm.k = 3;
  gemm.batch = 4;
  gemm.a = shapes::Dtype::kF8E4M3;
  gemm.b = shapes::Dtype::kF8E5M2;
  gemm.c = shapes::Dtype::kBf16;
  gemm.d = shapes::Dtype::kF32;
  gemm.accumulate = shapes::Dtype::kF32;
  gemm.math = shapes::MathMode::kTf32;
  gemm.op_a = shapes::Transpose::kYes;
  gemm.op_b = shapes::Transpose::kNo;
  gemm.beta = shapes::BetaUse::kNonzero;
  gemm.b_is_broadcast = true;
  const uint32_t id = InternGemm(gemm, 77, Entry::k_cublasLtMatmul, shapes::Provenance::kExact);
  OpenCall call = BeginCall(id, Stream(0xabc));
  usleep(2000);
  EndCall(call, Stream(0xabc), true);
  const uint32_t opaque = InternOpaque(Entry::k_cublasSgemm_v2, "no such layout");
  OpenCall other = BeginCall(opaque, nullptr);
  EndCall(other, nullptr, true);
  End();
  unsetenv("RANK");
  unsetenv("WORLD_SIZE");

  const ReadBack read = ReadOnly();
  EXPECT_TRUE(read.outcome.ended_in_order);
  EXPECT_EQ(read.header.pid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(read.facts.at("rank"), "3");
  EXPECT_EQ(read.facts.at("rank_source"), "RANK");
  EXPECT_EQ(read.facts.at("world_size"), "8");
  EXPECT_EQ(read.facts.at("timing"), "count");
  EXPECT_NE(read.facts.at("command_line").find("interpose_recorder_test"), std::string::npos);
  ASSERT_EQ(read.gemms.size(), 1u);
  const trace::GemmSignature& signature = read.gemms.begin()->second;
  EXPECT_EQ(read.strings.at(signature.entry), "cublasLtMatmul");
  EXPECT_EQ(signature.m, 5'000'000'000u);
  EXPECT_EQ(signature.n, 2u);
  EXPECT_EQ(signature.k, 3u);
  EXPECT_EQ(signature.batch, 4u);
  EXPECT_EQ(signature.a, static_cast<uint8_t>(shapes::Dtype::kF8E4M3));
  EXPECT_EQ(signature.d, static_cast<uint8_t>(shapes::Dtype::kF32));
  EXPECT_EQ(signature.math, static_cast<uint8_t>(shapes::MathMode::kTf32));
  EXPECT_EQ(signature.op_a, static_cast<uint8_t>(shapes::Transpose::kYes));
  EXPECT_EQ(signature.beta, static_cast<uint8_t>(shapes::BetaUse::kNonzero));
  EXPECT_EQ(signature.flags, trace::kBBroadcast);
  EXPECT_EQ(signature.compute_code, 77u);
  ASSERT_EQ(read.opaques.size(), 1u);
  EXPECT_EQ(read.strings.at(read.opaques.begin()->second.reason), "no such layout");
  ASSERT_EQ(read.calls.size(), 2u);
  EXPECT_EQ(read.lanes.at(read.calls[0].lane).stream, 0xabcu);
  EXPECT_EQ(read.lanes.at(read.calls[0].lane).device, -1);
  EXPECT_GE(read.calls[0].host_end_ns - read.calls[0].host_begin_ns, 2'000'000);
  EXPECT_FALSE(read.calls[0].is_timed);
  ASSERT_EQ(read.threads.size(), 1u);
  EXPECT_EQ(read.threads[0].thread, static_cast<uint32_t>(gettid()));
  ASSERT_EQ(read.ends.size(), 1u);
  EXPECT_EQ(read.ends[0].calls, 2u);
}

TEST_F(Recorder, FailedCallsAreCountedApart) {
  Gemm(1);
  Gemm(1, nullptr, false);
  Gemm(1, nullptr, false);
  End();
  const ReadBack read = ReadOnly();
  EXPECT_EQ(read.calls.size(), 1u);
  EXPECT_EQ(read.CounterOf("failed_calls_not_counted"), 2u);
  EXPECT_EQ(read.ends.at(0).calls, 1u);
}

TEST_F(Recorder, ErrnoIsTheJobs) {
  errno = 4711;
  Gemm(1);
  const uint32_t index = RecordCommunicator({});
  RecordCommunicatorEnd(index, 1);
  EXPECT_EQ(errno, 4711);
}

TEST_F(Recorder, AfterTheEndCallsPassThrough) {
  Gemm(1);
  OpenCall open = BeginCall(1, nullptr);
  End();
  EndCall(open, nullptr, true);  // its session is gone; nothing to see here
  EXPECT_EQ(ReadOnly().calls.size(), 1u);
}

// A ring of two records under a flusher that sleeps: nearly everything is dropped, nothing is lost.
TEST_F(Recorder, TotalsAreExactWhenTheRingIsTooSmall) {
  Set("MFUTRACE_RING", "2");
  Set("MFUTRACE_FLUSH_MS", "1000");
  constexpr uint64_t kThreads = 6;
  constexpr uint64_t kCallsEach = 3000;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([] {
      for (uint64_t i = 0; i < kCallsEach; ++i) Gemm(1 + i % 10);
    });
  }
  for (std::thread& thread : threads) thread.join();
  End();
  const ReadBack read = ReadOnly();
  EXPECT_EQ(read.ends.at(0).calls, kThreads * kCallsEach);
  EXPECT_EQ(read.Total(), kThreads * kCallsEach);
  EXPECT_GT(read.Counted(), 0u);
  EXPECT_EQ(read.CounterOf("calls_dropped_ring_full"), read.Counted());
  std::map<uint64_t, uint64_t> by_m;
  for (const trace::Call& call : read.calls) ++by_m[read.gemms.at(call.signature).m];
  for (const trace::CountRecord& count : read.counts) {
    by_m[read.gemms.at(count.signature).m] += count.calls;
  }
  for (uint64_t m = 1; m <= 10; ++m) EXPECT_EQ(by_m[m], kThreads * kCallsEach / 10);
}

TEST_F(Recorder, ThousandsOfShortThreadsShareAFewRings) {
  constexpr int kThreads = 3000;
  for (int i = 0; i < kThreads; i += 4) {
    std::vector<std::thread> threads;
    for (int j = 0; j < 4; ++j)
      threads.emplace_back([] {
        Gemm(8);
        Gemm(8);
      });
    for (std::thread& thread : threads) thread.join();
  }
  End();
  const ReadBack read = ReadOnly();
  EXPECT_EQ(read.Total(), 2u * kThreads);
  EXPECT_EQ(read.ends.at(0).calls, 2u * kThreads);
  EXPECT_EQ(read.CounterOf("threads_without_a_ring"), 0u);
}

// Within a lane, calls stand in the order in which they were made.
TEST_F(Recorder, CallsOfALaneStayInOrder) {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([] {
      for (uint64_t i = 0; i < 20000; ++i) Gemm(1 + i, Stream(0x100 + i % 3));
    });
  }
  for (std::thread& thread : threads) thread.join();
  End();
  const ReadBack read = ReadOnly();
  std::map<uint32_t, int64_t> last;
  for (const trace::Call& call : read.calls) {
    EXPECT_GE(call.host_begin_ns, last[call.lane]);
    last[call.lane] = call.host_begin_ns;
  }
  EXPECT_EQ(last.size(), 3u * kThreads);
  EXPECT_EQ(read.Total(), 80000u);
}

TEST_F(Recorder, CommunicatorsAreWrittenWhenMadeAndWhenTheyEnd) {
  CommunicatorFacts facts;
  facts.id = 0x1234567890abcdef;
  facts.rank = 2;
  facts.size = 4;
  facts.device = 1;
  facts.name = "tensor";
  const uint32_t index = RecordCommunicator(facts);
  EXPECT_EQ(index, 1u);
  facts.parent_id = facts.id;
  facts.split_color = 7;
  facts.split_index = 1;
  facts.name = nullptr;
  EXPECT_EQ(RecordCommunicator(facts), 2u);
  AllReduce(1000, index, 1);
  RecordCommunicatorEnd(index, static_cast<uint8_t>(trace::CommunicatorEvent::kDestroyed));
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.communicators.size(), 3u);
  EXPECT_EQ(read.communicators[0].id, 0x1234567890abcdefu);
  EXPECT_EQ(read.strings.at(read.communicators[0].name), "tensor");
  EXPECT_EQ(read.communicators[1].split_color, 7);
  EXPECT_EQ(read.communicators[1].name, 0u);
  const auto destroyed =
      std::find_if(read.communicators.begin(), read.communicators.end(), [](const auto& record) {
        return record.event == static_cast<uint8_t>(trace::CommunicatorEvent::kDestroyed);
      });
  ASSERT_NE(destroyed, read.communicators.end());
  EXPECT_EQ(destroyed->index, index);
  ASSERT_EQ(read.calls.size(), 1u);
  EXPECT_TRUE(read.calls[0].is_collective);
  EXPECT_EQ(read.calls[0].sequence, 1u);
  EXPECT_EQ(read.collectives.begin()->second.communicator, index);
}

// Plain calls between collectives may lie in the collectives' block; they must not come back as
// such.
TEST_F(Recorder, PlainCallsBetweenCollectivesStayPlain) {
  RecordCommunicator({});
  for (uint32_t i = 0; i < 1000; ++i) {
    Gemm(100 + i % 5);
    if (i % 3 == 0) AllReduce(10, 1, 1 + i);
    if (i % 100 == 99) {
      for (int j = 0; j < 50; ++j) Gemm(7);
    }
  }
  End();
  const ReadBack read = ReadOnly();
  EXPECT_EQ(read.calls.size(), 1000u + 334 + 500);
  size_t collectives = 0;
  for (const trace::Call& call : read.calls) {
    EXPECT_EQ(call.is_collective, read.collectives.count(call.signature) == 1);
    EXPECT_EQ(call.sequence != 0, call.is_collective);
    collectives += call.is_collective;
  }
  EXPECT_EQ(collectives, 334u);
}

TEST_F(Recorder, ACallThatTakesMinutesFits) {
  Gemm(1);
  OpenCall call = BeginCall(1, nullptr);
  call.host_begin_ns -= 600'000'000'000;
  EndCall(call, nullptr, true);
  Gemm(1);
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 3u);
  EXPECT_GE(read.calls[1].host_end_ns - read.calls[1].host_begin_ns, 600'000'000'000);
  EXPECT_LT(read.calls[2].host_end_ns - read.calls[2].host_begin_ns, 600'000'000'000);
}

// The promise of docs/FORMAT.md, on a mix of shapes, streams, threads and collectives.
TEST_F(Recorder, ACallCostsAtMost32Bytes) {
  int64_t device_ns = 0;
  FakeDriver driver([&device_ns] { return device_ns += 1500; });
  Set("MFUTRACE_RING", "65536");
  Set("MFUTRACE_EVENTS", "65536");
  RecordCommunicator({});
  for (uint32_t i = 0; i < 120'000; ++i) {
    // 1 in 5 a collective, on its own stream or between the products.
    if (i % 5 == 4) {
      AllReduce(1 + i % 7, 1, i, Stream(i % 2 == 0 ? 0x10 : 0x20));
    } else {
      Gemm(1 + i % 200, Stream(0x10));
    }
    if (i % 1000 == 0) usleep(1000);
  }
  End();
  const ReadBack read = ReadOnly();
  EXPECT_EQ(read.Total(), 120'000u);
  ASSERT_GT(read.calls.size(), 100'000u);
  const double bytes_per_call =
      static_cast<double>(read.file_bytes) / static_cast<double>(read.calls.size());
  RecordProperty("bytes_per_call", std::to_string(bytes_per_call));
  std::printf("%.2f bytes per call\n", bytes_per_call);
  EXPECT_LE(bytes_per_call, 32.0);
}

TEST_F(Recorder, BeyondTheSizeLimitCallsAreStillCounted) {
  Set("MFUTRACE_MAX_SIZE", "20K");
  for (uint64_t i = 0; i < 5000; ++i) Gemm(1 + i % 4);
  End();
  const ReadBack read = ReadOnly();
  EXPECT_EQ(read.Total(), 5000u);
  EXPECT_GT(read.calls.size(), 500u);
  EXPECT_GT(read.Counted(), 1000u);
  for (const trace::CountRecord& count : read.counts) {
    if (count.reason == static_cast<uint8_t>(trace::CountReason::kDropped)) continue;
    EXPECT_EQ(count.reason, static_cast<uint8_t>(trace::CountReason::kSizeLimit));
  }
  EXPECT_LE(read.file_bytes, 24u * 1024);
  EXPECT_EQ(read.ends.at(0).reason, static_cast<uint8_t>(trace::EndReason::kSizeLimit));
}

TEST_F(Recorder, OnlyLeavesOutTheOtherLibraries) {
  Set("MFUTRACE_ONLY", "nccl");
  ASSERT_TRUE(Observing());
  EXPECT_TRUE(IsWanted(Entry::k_ncclAllReduce));
  EXPECT_FALSE(IsWanted(Entry::k_cublasGemmEx));
  EXPECT_FALSE(IsWanted(Entry::k_cublasLtMatmul));
}

}  // namespace
}  // namespace mfutrace::interpose
