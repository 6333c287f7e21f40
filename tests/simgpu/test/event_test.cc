// Events: what they say, when, and what they refuse.
#include <bit>

#include "node.h"

namespace simgpu_test {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST(Events, ElapsedTimeIsTheFloatOfTheLoggedNanoseconds) {
  const NodeRun run = RunNode(1, {}, [](int, Board* board) {
    float measured = 0;
    const cudaStream_t stream = NewStream();
    const cudaEvent_t begin = NewEvent();
    const cudaEvent_t end = NewEvent();
    ASSERT_EQ(cudaEventRecord(begin, stream), cudaSuccess);
    Spin(stream, 212'345'678);
    ASSERT_EQ(cudaEventRecord(end, stream), cudaSuccess);
    EXPECT_EQ(cudaEventQuery(end), cudaErrorNotReady);
    EXPECT_EQ(cudaEventElapsedTime(&measured, begin, end), cudaErrorNotReady);
    ASSERT_EQ(cudaEventSynchronize(end), cudaSuccess);
    EXPECT_EQ(cudaEventQuery(end), cudaSuccess);
    ASSERT_EQ(cudaEventElapsedTime(&measured, begin, end), cudaSuccess);
    board->numbers[0] = std::bit_cast<int32_t>(measured);
  });
  const auto measured = std::bit_cast<float>(static_cast<int32_t>(run.numbers[0]));
  const Log events = Only(run.logs[0], "event");
  const Log kernels = Only(run.logs[0], "kernel");
  ASSERT_EQ(events.size(), 2u);
  ASSERT_EQ(kernels.size(), 1u);
  const int64_t apart_ns = events[1].end_ns - events[0].end_ns;
  EXPECT_EQ(measured, static_cast<float>(static_cast<double>(apart_ns) / 1e6));
  EXPECT_LE(events[0].end_ns, kernels[0].start_ns);
  EXPECT_GE(events[1].end_ns, kernels[0].end_ns);
  EXPECT_NE(events[0].dims.at("event"), events[1].dims.at("event"));
}

TEST(Events, RefuseWhatCudaRefuses) {
  RunOne({}, [] {
    float ms = 0;
    const cudaStream_t stream = NewStream();
    const cudaEvent_t untimed = NewEvent(cudaEventDisableTiming);
    const cudaEvent_t timed = NewEvent();
    const cudaEvent_t never = NewEvent();
    EXPECT_EQ(cudaEventRecord(untimed, stream), cudaSuccess);
    EXPECT_EQ(cudaEventRecord(timed, stream), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(cudaEventElapsedTime(&ms, untimed, timed), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaEventElapsedTime(&ms, never, timed), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaEventQuery(never), cudaSuccess);
    EXPECT_EQ(cudaEventElapsedTime(nullptr, timed, timed), cudaErrorInvalidValue);
    EXPECT_EQ(cudaEventDestroy(timed), cudaSuccess);
    EXPECT_EQ(cudaEventDestroy(timed), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaEventRecord(timed, stream), cudaErrorInvalidResourceHandle);
    cudaEvent_t made = nullptr;
    EXPECT_EQ(cudaEventCreateWithFlags(&made, 0x80), cudaErrorInvalidValue);
    EXPECT_EQ(cudaEventCreateWithFlags(&made, cudaEventInterprocess), cudaErrorInvalidValue);
  });
}

TEST(Events, BelongToOneDevice) {
  RunOne({}, [] {
    const cudaEvent_t of_first = NewEvent();
    ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
    const cudaStream_t stream = NewStream();
    EXPECT_EQ(cudaEventRecord(of_first, stream), cudaErrorInvalidResourceHandle);
    const cudaEvent_t of_second = NewEvent();
    EXPECT_EQ(cudaEventRecord(of_second, stream), cudaSuccess);
    EXPECT_EQ(cudaSetDevice(8), cudaErrorInvalidDevice);
  });
}

TEST(Events, AQuantumRoundsTheStampsDown) {
  RunOne({{"SIMGPU_EVENT_QUANTUM_NS", "500"}}, [] {
    const cudaStream_t stream = NewStream();
    const cudaEvent_t begin = NewEvent();
    const cudaEvent_t end = NewEvent();
    ASSERT_EQ(cudaEventRecord(begin, stream), cudaSuccess);
    Spin(stream, 1'000'123);
    ASSERT_EQ(cudaEventRecord(end, stream), cudaSuccess);
    ASSERT_EQ(cudaEventSynchronize(end), cudaSuccess);
    float ms = 0;
    ASSERT_EQ(cudaEventElapsedTime(&ms, begin, end), cudaSuccess);
    const double quanta = static_cast<double>(ms) * 1e6 / 500;
    EXPECT_NEAR(quanta, static_cast<double>(static_cast<int64_t>(quanta + 0.5)), 0.001);
  });
}

TEST(Events, AFailedQueryIsTheLastErrorUntilRead) {
  RunOne({}, [] {
    const cudaStream_t stream = NewStream();
    const cudaEvent_t event = NewEvent();
    Spin(stream, 200 * kMs);
    ASSERT_EQ(cudaEventRecord(event, stream), cudaSuccess);
    EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
    EXPECT_EQ(cudaPeekAtLastError(), cudaErrorNotReady);
    EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    EXPECT_STREQ(cudaGetErrorString(cudaErrorNotReady), "device not ready");
  });
}

TEST(Driver, NeedsInitialisationAndAContext) {
  RunOne({}, [] {
    int count = 0;
    EXPECT_EQ(cuDeviceGetCount(&count), CUDA_ERROR_NOT_INITIALIZED);
    ASSERT_EQ(cuInit(0), CUDA_SUCCESS);
    ASSERT_EQ(cuDeviceGetCount(&count), CUDA_SUCCESS);
    EXPECT_EQ(count, 8);
    CUevent event = nullptr;
    EXPECT_EQ(cuEventCreate(&event, 0), CUDA_ERROR_INVALID_CONTEXT);
    CUcontext context = nullptr;
    ASSERT_EQ(cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
    ASSERT_EQ(cuCtxPushCurrent(context), CUDA_SUCCESS);
    EXPECT_EQ(cuEventCreate(&event, 0), CUDA_SUCCESS);
    char name[64];
    ASSERT_EQ(cuDeviceGetName(name, sizeof name, 0), CUDA_SUCCESS);
    EXPECT_STREQ(name, "SimGPU H100");
  });
}

TEST(Driver, ProcAddressKnowsVersionsAndSaysWhatItLacks) {
  RunOne({}, [] {
    void* function = nullptr;
    CUdriverProcAddressQueryResult result = CU_GET_PROC_ADDRESS_SUCCESS;
    ASSERT_EQ(cuGetProcAddress("cuMemAlloc", &function, 13000, 0, &result), CUDA_SUCCESS);
    EXPECT_EQ(function, reinterpret_cast<void*>(&cuMemAlloc));  // the header renames it to _v2
    ASSERT_EQ(cuGetProcAddress("cuNoSuchThing", &function, 13000, 0, &result), CUDA_SUCCESS);
    EXPECT_EQ(result, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    EXPECT_EQ(function, nullptr);
  });
}

}  // namespace
}  // namespace simgpu_test
