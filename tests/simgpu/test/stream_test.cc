// Stream order, concurrency, event waits, default-stream rules, and the single hardware queue.
#include <atomic>

#include "node.h"

namespace simgpu_test {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST(Streams, OneStreamRunsInOrderWithoutGaps) {
  const Log log = RunOne({}, [] {
    const cudaStream_t stream = NewStream();
    for (int i = 1; i <= 5; ++i) Spin(stream, i * 30 * kMs);
    EXPECT_EQ(cudaStreamQuery(stream), cudaErrorNotReady);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(cudaStreamQuery(stream), cudaSuccess);
  });
  ASSERT_EQ(log.size(), 5u);
  EXPECT_TRUE(StartsAtOnce(log[0]));
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(log[i].lasted_ns(), static_cast<int64_t>(i + 1) * 30 * kMs);
    if (i > 0) {
      EXPECT_TRUE(StartsBehind(log[i], log[i - 1]));
    }
  }
}

TEST(Streams, SynchronizeReturnsOnceTheWorkHasEndedAndNotLongAfter) {
  const NodeRun run = RunNode(1, {}, [](int, Board* board) {
    const cudaStream_t stream = NewStream();
    Spin(stream, 30 * kMs);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    board->numbers[0] = NowNs();
  });
  const int64_t returned_ns = run.numbers[0];
  ASSERT_EQ(run.logs[0].size(), 1u);
  EXPECT_GE(returned_ns, run.logs[0][0].end_ns);
  EXPECT_LT(returned_ns, run.logs[0][0].end_ns + 5000 * kMs);
}

TEST(Streams, DifferentStreamsRunAtTheSameTime) {
  const Log log = RunOne({}, [] {
    const cudaStream_t a = NewStream();
    const cudaStream_t b = NewStream();
    Spin(a, 50 * kMs);
    Spin(b, 50 * kMs);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  ASSERT_EQ(log.size(), 2u);
  EXPECT_TRUE(StartsAtOnce(log[0]));
  EXPECT_TRUE(StartsAtOnce(log[1]));
}

TEST(Streams, AWaitHoldsTheSecondStreamUntilTheEvent) {
  const Log log = RunOne({}, [] {
    const cudaStream_t a = NewStream();
    const cudaStream_t b = NewStream();
    const cudaEvent_t event = NewEvent(cudaEventDisableTiming);
    Spin(a, 20 * kMs);
    EXPECT_EQ(cudaEventRecord(event, a), cudaSuccess);
    Spin(a, 20 * kMs);
    EXPECT_EQ(cudaStreamWaitEvent(b, event, 0), cudaSuccess);
    Spin(b, 5 * kMs);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  ASSERT_EQ(log.size(), 3u);
  EXPECT_TRUE(StartsBehind(log[2], log[0]));  // not the second kernel of the first stream
}

TEST(Streams, ALaterRecordDoesNotMoveAnEarlierWait) {
  const Log log = RunOne({}, [] {
    const cudaStream_t a = NewStream();
    const cudaStream_t b = NewStream();
    const cudaEvent_t event = NewEvent(cudaEventDisableTiming);
    Spin(a, 10 * kMs);
    EXPECT_EQ(cudaEventRecord(event, a), cudaSuccess);
    EXPECT_EQ(cudaStreamWaitEvent(b, event, 0), cudaSuccess);
    Spin(a, 50 * kMs);
    EXPECT_EQ(cudaEventRecord(event, a), cudaSuccess);
    Spin(b, 1 * kMs);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  ASSERT_EQ(log.size(), 3u);
  EXPECT_TRUE(StartsBehind(log[2], log[0]));
}

TEST(Streams, TheLegacyStreamWaitsForBlockingStreamsAndTheyForIt) {
  const Log log = RunOne({}, [] {
    const cudaStream_t blocking = NewStream(cudaStreamDefault);
    const cudaStream_t free_one = NewStream(cudaStreamNonBlocking);
    Spin(blocking, 10 * kMs);
    Spin(nullptr, 10 * kMs);
    Spin(free_one, 10 * kMs);
    Spin(blocking, 10 * kMs);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  ASSERT_EQ(log.size(), 4u);
  EXPECT_TRUE(StartsBehind(log[1], log[0]));
  EXPECT_TRUE(StartsAtOnce(log[2]));
  EXPECT_TRUE(StartsBehind(log[3], log[1]));
  EXPECT_EQ(log[1].stream, 0u);
}

TEST(Streams, ThePerThreadStreamIsABlockingStreamOfItsThread) {
  const Log log = RunOne({}, [] {
    Spin(cudaStreamPerThread, 10 * kMs);
    Spin(cudaStreamLegacy, 5 * kMs);
    EXPECT_EQ(cudaStreamSynchronize(cudaStreamPerThread), cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  ASSERT_EQ(log.size(), 2u);
  EXPECT_TRUE(StartsBehind(log[1], log[0]));
}

TEST(Streams, HostFunctionsRunInOrderAndHoldWhatFollows) {
  static std::atomic<int64_t> called_ns{0};
  const Log log = RunOne({}, [] {
    const cudaStream_t stream = NewStream();
    Spin(stream, 200 * kMs);
    EXPECT_EQ(cudaLaunchHostFunc(
                  stream,
                  [](void* argument) {
                    timespec pause{0, 5 * kMs};
                    nanosleep(&pause, nullptr);
                    static_cast<std::atomic<int64_t>*>(argument)->store(NowNs());
                  },
                  &called_ns),
              cudaSuccess);
    Spin(stream, 1 * kMs);
    EXPECT_EQ(called_ns.load(), 0);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_NE(called_ns.load(), 0);
  });
  ASSERT_EQ(log.size(), 3u);
  EXPECT_EQ(log[1].kind, "host");
  EXPECT_GE(log[1].start_ns, log[0].end_ns);
  EXPECT_GE(log[1].lasted_ns(), 5 * kMs);
  EXPECT_TRUE(StartsBehind(log[2], log[1]));
}

TEST(Streams, ADestroyedStreamsWorkStillRunsAndItsHandleIsRefused) {
  const Log log = RunOne({}, [] {
    const cudaStream_t stream = NewStream();
    Spin(stream, 200 * kMs);
    EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaStreamQuery(reinterpret_cast<cudaStream_t>(0x1234)),
              cudaErrorInvalidResourceHandle);
    const int64_t before_ns = NowNs();
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_GT(NowNs() - before_ns, 20 * kMs);
  });
  EXPECT_EQ(log.size(), 1u);
}

// What a profiler does: timing events around the kernels of one of two overlapping streams.
Log TwoStreamsWithEvents(const Environment& environment, unsigned event_flags) {
  return Only(RunOne(environment,
                     [event_flags] {
                       const cudaStream_t a = NewStream();
                       const cudaStream_t b = NewStream();
                       Spin(a, 200 * kMs);
                       EXPECT_EQ(cudaEventRecord(NewEvent(event_flags), a), cudaSuccess);
                       Spin(b, 20 * kMs);
                       EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
                     }),
              "kernel");
}

TEST(SingleQueue, TimingEventsDestroyTheOverlapOfStreams) {
  const Log log = TwoStreamsWithEvents({{"CUDA_DEVICE_MAX_CONNECTIONS", "1"}}, cudaEventDefault);
  ASSERT_EQ(log.size(), 2u);
  EXPECT_GE(log[1].start_ns, log[0].end_ns);
}

TEST(SingleQueue, EventsWithoutTimingLeaveIt) {
  const Log log =
      TwoStreamsWithEvents({{"CUDA_DEVICE_MAX_CONNECTIONS", "1"}}, cudaEventDisableTiming);
  ASSERT_EQ(log.size(), 2u);
  EXPECT_TRUE(StartsAtOnce(log[1]));
}

TEST(SingleQueue, WithManyQueuesTimingEventsLeaveIt) {
  const Log log = TwoStreamsWithEvents({}, cudaEventDefault);
  ASSERT_EQ(log.size(), 2u);
  EXPECT_TRUE(StartsAtOnce(log[1]));
}

TEST(SingleQueue, AKernelBehindABlockedOneWaitsForItsStart) {
  const Log log = RunOne({{"CUDA_DEVICE_MAX_CONNECTIONS", "1"}}, [] {
    const cudaStream_t a = NewStream();
    const cudaStream_t b = NewStream();
    Spin(a, 200 * kMs);
    Spin(a, 10 * kMs);  // at the head of the queue until the first ends
    Spin(b, 10 * kMs);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  ASSERT_EQ(log.size(), 3u);
  EXPECT_EQ(log[2].start_ns, std::max(log[2].enqueue_ns, log[1].start_ns));
  EXPECT_TRUE(StartsBehind(log[1], log[0]));
}

}  // namespace
}  // namespace simgpu_test
