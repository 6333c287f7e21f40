// Stream capture: what is forbidden, what it invalidates, who is exempt; and what a graph replays.
#include <thread>

#include "node.h"

namespace simgpu_test {
namespace {

constexpr int64_t kMs = 1'000'000;

void Begin(cudaStream_t stream, cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal) {
  ASSERT_EQ(cudaStreamBeginCapture(stream, mode), cudaSuccess);
}

// Ends the capture and says how it went.
cudaError_t End(cudaStream_t stream) {
  cudaGraph_t graph = nullptr;
  const cudaError_t error = cudaStreamEndCapture(stream, &graph);
  EXPECT_EQ(graph != nullptr, error == cudaSuccess);
  if (graph != nullptr) cudaGraphDestroy(graph);
  return error;
}

cudaStreamCaptureStatus StatusOf(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  EXPECT_EQ(cudaStreamIsCapturing(stream, &status), cudaSuccess);
  return status;
}

TEST(Capture, AQueryByAnyThreadInGlobalModeBreaksIt) {
  RunOne({}, [] {
    const cudaStream_t stream = NewStream();
    const cudaEvent_t event = NewEvent();
    ASSERT_EQ(cudaEventRecord(event, stream), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    Begin(stream);
    std::thread([event] {
      EXPECT_EQ(cudaEventQuery(event), cudaErrorStreamCaptureUnsupported);
    }).join();
    EXPECT_EQ(StatusOf(stream), cudaStreamCaptureStatusInvalidated);
    EXPECT_EQ(End(stream), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(StatusOf(stream), cudaStreamCaptureStatusNone);
    EXPECT_EQ(cudaEventQuery(event), cudaSuccess);
  });
}

TEST(Capture, ARelaxedThreadMayQuery) {
  RunOne({}, [] {
    const cudaStream_t stream = NewStream();
    const cudaEvent_t event = NewEvent();
    ASSERT_EQ(cudaEventRecord(event, stream), cudaSuccess);
    Begin(stream);
    std::thread([event] {
      cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
      ASSERT_EQ(cudaThreadExchangeStreamCaptureMode(&mode), cudaSuccess);
      EXPECT_EQ(mode, cudaStreamCaptureModeGlobal);
      EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess);
      EXPECT_EQ(cudaEventQuery(event), cudaSuccess);
    }).join();
    EXPECT_EQ(End(stream), cudaSuccess);
  });
}

TEST(Capture, AThreadLocalCaptureBindsItsOwnThreadAlone) {
  RunOne({}, [] {
    const cudaStream_t stream = NewStream();
    const cudaEvent_t event = NewEvent();
    ASSERT_EQ(cudaEventRecord(event, stream), cudaSuccess);
    Begin(stream, cudaStreamCaptureModeThreadLocal);
    std::thread([event] { EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess); }).join();
    EXPECT_EQ(StatusOf(stream), cudaStreamCaptureStatusActive);
    EXPECT_EQ(cudaEventQuery(event), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(End(stream), cudaErrorStreamCaptureInvalidated);
    Begin(stream, cudaStreamCaptureModeRelaxed);
    EXPECT_EQ(cudaEventQuery(event), cudaSuccess);
    EXPECT_EQ(End(stream), cudaSuccess);
  });
}

TEST(Capture, AllocationByAnotherThreadBreaksAGlobalOne) {
  RunOne({}, [] {
    const cudaStream_t stream = NewStream();
    Begin(stream);
    std::thread([] {
      void* pointer = nullptr;
      EXPECT_EQ(cudaMalloc(&pointer, 64), cudaErrorStreamCaptureUnsupported);
    }).join();
    EXPECT_EQ(End(stream), cudaErrorStreamCaptureInvalidated);
  });
}

TEST(Capture, TheLegacyStreamBreaksACaptureOfABlockingStream) {
  RunOne({}, [] {
    const cudaStream_t stream = NewStream(cudaStreamDefault);
    Begin(stream, cudaStreamCaptureModeRelaxed);
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    EXPECT_EQ(cudaStreamIsCapturing(nullptr, &status), cudaErrorStreamCaptureImplicit);
    EXPECT_EQ(StatusOf(stream), cudaStreamCaptureStatusActive);  // asking does no harm
    void* pointer = nullptr;
    ASSERT_EQ(cudaMallocHost(&pointer, 64), cudaSuccess);
    EXPECT_EQ(cudaEventRecord(NewEvent(), nullptr), cudaErrorStreamCaptureImplicit);
    EXPECT_EQ(End(stream), cudaErrorStreamCaptureInvalidated);
    Begin(NewStream(cudaStreamNonBlocking), cudaStreamCaptureModeRelaxed);
    EXPECT_EQ(cudaEventRecord(NewEvent(), nullptr), cudaSuccess);
    EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal),
              cudaErrorStreamCaptureUnsupported);
  });
}

TEST(Capture, AnEventRecordedInsideCannotBeAsked) {
  RunOne({}, [] {
    const cudaStream_t stream = NewStream();
    const cudaEvent_t event = NewEvent();
    Begin(stream, cudaStreamCaptureModeRelaxed);
    ASSERT_EQ(cudaEventRecord(event, stream), cudaSuccess);
    EXPECT_EQ(cudaEventQuery(event), cudaErrorCapturedEvent);
    EXPECT_EQ(End(stream), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(cudaEventQuery(event), cudaErrorCapturedEvent);
    ASSERT_EQ(cudaEventRecord(event, stream), cudaSuccess);
    EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess);
  });
}

TEST(Capture, SynchronisingOrQueryingACapturingStreamBreaksIt) {
  RunOne({}, [] {
    const cudaStream_t stream = NewStream();
    Begin(stream, cudaStreamCaptureModeRelaxed);
    EXPECT_EQ(cudaStreamQuery(stream), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(End(stream), cudaErrorStreamCaptureInvalidated);
    Begin(stream, cudaStreamCaptureModeRelaxed);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(End(stream), cudaErrorStreamCaptureInvalidated);
  });
}

TEST(Capture, ForkedStreamsMustJoinAndOutsideEventsAreIsolated) {
  RunOne({}, [] {
    const cudaStream_t origin = NewStream();
    const cudaStream_t other = NewStream();
    const cudaEvent_t event = NewEvent(cudaEventDisableTiming);
    const cudaEvent_t outside = NewEvent(cudaEventDisableTiming);
    ASSERT_EQ(cudaEventRecord(outside, other), cudaSuccess);
    Begin(origin);
    ASSERT_EQ(cudaEventRecord(event, origin), cudaSuccess);
    ASSERT_EQ(cudaStreamWaitEvent(other, event, 0), cudaSuccess);
    EXPECT_EQ(StatusOf(other), cudaStreamCaptureStatusActive);
    Spin(other, kMs);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(other, &graph), cudaErrorStreamCaptureUnmatched);
    EXPECT_EQ(End(origin), cudaErrorStreamCaptureInvalidated);
    Begin(origin);
    ASSERT_EQ(cudaEventRecord(event, origin), cudaSuccess);
    ASSERT_EQ(cudaStreamWaitEvent(other, event, 0), cudaSuccess);
    Spin(other, kMs);
    EXPECT_EQ(End(origin), cudaErrorStreamCaptureUnjoined);
    Begin(origin);
    EXPECT_EQ(cudaStreamWaitEvent(origin, outside, 0), cudaErrorStreamCaptureIsolation);
    EXPECT_EQ(End(origin), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(cudaStreamEndCapture(origin, &graph), cudaErrorIllegalState);
  });
}

TEST(Capture, EndsOnItsOwnThreadUnlessRelaxed) {
  RunOne({}, [] {
    const cudaStream_t stream = NewStream();
    Begin(stream);
    std::thread([stream] {
      cudaGraph_t graph = nullptr;
      EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureWrongThread);
    }).join();
    EXPECT_EQ(End(stream), cudaSuccess);
  });
}

TEST(Graph, ReplaysWhatWasCapturedAndLogsOnlyReplays) {
  const Log log = RunOne({}, [] {
    const cudaStream_t origin = NewStream();
    const cudaStream_t other = NewStream();
    const cudaEvent_t fork_event = NewEvent(cudaEventDisableTiming);
    const cudaEvent_t join_event = NewEvent(cudaEventDisableTiming);
    Begin(origin);
    Spin(origin, 2 * kMs);
    ASSERT_EQ(cudaEventRecord(fork_event, origin), cudaSuccess);
    ASSERT_EQ(cudaStreamWaitEvent(other, fork_event, 0), cudaSuccess);
    Spin(origin, 10 * kMs);
    Spin(other, 10 * kMs);
    ASSERT_EQ(cudaEventRecord(join_event, other), cudaSuccess);
    ASSERT_EQ(cudaStreamWaitEvent(origin, join_event, 0), cudaSuccess);
    Spin(origin, 1 * kMs);
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamEndCapture(origin, &graph), cudaSuccess);
    size_t nodes = 0;
    ASSERT_EQ(cudaGraphGetNodes(graph, nullptr, &nodes), cudaSuccess);
    EXPECT_EQ(nodes, 4u);  // plain event records make edges, not nodes
    cudaGraphExec_t exec = nullptr;
    ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    for (int i = 0; i < 2; ++i) ASSERT_EQ(cudaGraphLaunch(exec, origin), cudaSuccess);
    Spin(origin, 1 * kMs);
    EXPECT_EQ(cudaStreamSynchronize(origin), cudaSuccess);
    EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
    EXPECT_EQ(cudaGraphLaunch(exec, origin), cudaErrorInvalidValue);
  });
  ASSERT_EQ(log.size(), 9u);
  for (size_t launch = 0; launch < 2; ++launch) {
    const LogLine* at = &log[4 * launch];
    for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(at[i].graph);
    EXPECT_EQ(at[1].start_ns, at[0].end_ns);
    EXPECT_EQ(at[2].start_ns, at[0].end_ns);  // the branches run side by side
    EXPECT_EQ(at[3].start_ns, at[1].end_ns);
    if (launch > 0) {
      EXPECT_TRUE(StartsBehind(at[0], log[3]));
    }
  }
  EXPECT_FALSE(log[8].graph);
  EXPECT_TRUE(StartsBehind(log[8], log[7]));
}

TEST(Graph, AnExternalRecordIsANodeWhoseTimeIsTheLastReplays) {
  const Log log = RunOne({}, [] {
    const cudaStream_t stream = NewStream();
    const cudaEvent_t begin = NewEvent();
    const cudaEvent_t end = NewEvent();
    Begin(stream);
    ASSERT_EQ(cudaEventRecordWithFlags(begin, stream, cudaEventRecordExternal), cudaSuccess);
    Spin(stream, 3 * kMs);
    ASSERT_EQ(cudaEventRecordWithFlags(end, stream, cudaEventRecordExternal), cudaSuccess);
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    cudaGraphExec_t exec = nullptr;
    ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    for (int i = 0; i < 3; ++i) ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    ASSERT_EQ(cudaEventSynchronize(end), cudaSuccess);
    float ms = 0;
    ASSERT_EQ(cudaEventElapsedTime(&ms, begin, end), cudaSuccess);
    EXPECT_EQ(ms, 3.0f);
  });
  EXPECT_EQ(Only(log, "event").size(), 6u);
  EXPECT_EQ(Only(log, "kernel").size(), 3u);
}

TEST(Graph, CapturedCopiesCopyWhenTheGraphRuns) {
  RunOne({}, [] {
    const cudaStream_t stream = NewStream();
    int* host = nullptr;
    int* device = nullptr;
    ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&host), 2 * sizeof(int)), cudaSuccess);
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&device), sizeof(int)), cudaSuccess);
    host[0] = 7;
    Begin(stream);
    ASSERT_EQ(cudaMemcpyAsync(device, &host[0], sizeof(int), cudaMemcpyHostToDevice, stream),
              cudaSuccess);
    ASSERT_EQ(cudaMemcpyAsync(&host[1], device, sizeof(int), cudaMemcpyDeviceToHost, stream),
              cudaSuccess);
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    EXPECT_EQ(host[1], 0);
    cudaGraphExec_t exec = nullptr;
    ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    host[0] = 9;
    ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(host[1], 9);
  });
}

}  // namespace
}  // namespace simgpu_test
