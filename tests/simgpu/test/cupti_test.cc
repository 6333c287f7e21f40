// The simulated CUPTI against the simulator's own log: kernels, their times and whose call they
// are.
#include <cublas_v2.h>
#include <cupti.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "node.h"

namespace simgpu_test {
namespace {

struct Kernel {
  std::string name;
  uint64_t start = 0;
  uint64_t end = 0;
  uint32_t correlation = 0;
};

// What the client was given; filled by the callbacks, in whatever thread they come.
struct Client {
  std::mutex lock;
  std::vector<Kernel> kernels;
  std::map<uint32_t, uint64_t> external_of;  // by correlation id
  int buffers = 0;
};
Client& TheClient() {
  static Client client;
  return client;
}

void Request(uint8_t** buffer, size_t* size, size_t* most_records) {
  *size = 4096;
  *most_records = 0;
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(8, *size));
}

void Complete(CUcontext, uint32_t, uint8_t* buffer, size_t, size_t valid) {
  Client& client = TheClient();
  const std::lock_guard<std::mutex> held(client.lock);
  ++client.buffers;
  CUpti_Activity* record = nullptr;
  while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
    if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) {
      const auto* k = reinterpret_cast<const CUpti_ActivityKernel10*>(record);
      client.kernels.push_back({k->name, k->start, k->end, k->correlationId});
    } else if (record->kind == CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION) {
      const auto* e = reinterpret_cast<const CUpti_ActivityExternalCorrelation*>(record);
      client.external_of[e->correlationId] = e->externalId;
    }
  }
  std::free(buffer);
}

void Start() {
  ASSERT_EQ(cuptiActivityRegisterCallbacks(Request, Complete), CUPTI_SUCCESS);
  ASSERT_EQ(cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL), CUPTI_SUCCESS);
  ASSERT_EQ(cuptiActivityEnable(CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION), CUPTI_SUCCESS);
  ASSERT_EQ(cuptiActivityEnableDriverApi(CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel, 1), CUPTI_SUCCESS);
}

TEST(Cupti, KernelsCarryTheTimesOfTheLogAndTheIdOfTheirCall) {
  const NodeRun run = RunNode(1, {}, [](int, Board* board) {
    Start();
    cublasHandle_t handle = nullptr;
    ASSERT_EQ(cublasCreate(&handle), CUBLAS_STATUS_SUCCESS);
    void* memory = nullptr;
    ASSERT_EQ(cudaMalloc(&memory, 1 << 20), cudaSuccess);
    const auto* in = static_cast<const float*>(memory);
    const float one = 1;
    for (uint64_t id = 100; id < 103; ++id) {
      cuptiActivityPushExternalCorrelationId(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM2, id);
      ASSERT_EQ(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 64, 64, 64, &one, in, 64, in, 64,
                            &one, static_cast<float*>(memory), 64),
                CUBLAS_STATUS_SUCCESS);
      uint64_t last = 0;
      ASSERT_EQ(
          cuptiActivityPopExternalCorrelationId(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM2, &last),
          CUPTI_SUCCESS);
      ASSERT_EQ(last, id);
    }
    Spin(nullptr, 50'000);
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    ASSERT_EQ(cuptiActivityFlushAll(0), CUPTI_SUCCESS);
    uint64_t timestamp = 0;
    const int64_t before_ns = NowNs();
    ASSERT_EQ(cuptiGetTimestamp(&timestamp), CUPTI_SUCCESS);
    const int64_t after_ns = NowNs();
    const Client& client = TheClient();
    ASSERT_EQ(client.kernels.size(), 4u);
    board->numbers[0] = before_ns;
    board->numbers[1] = after_ns;
    for (int i = 0; i < 4; ++i) {
      const Kernel& kernel = client.kernels[static_cast<size_t>(i)];
      board->numbers[4 + 4 * i] = static_cast<int64_t>(timestamp - kernel.start);
      board->numbers[5 + 4 * i] = static_cast<int64_t>(kernel.end - kernel.start);
      const auto found = client.external_of.find(kernel.correlation);
      board->numbers[6 + 4 * i] =
          found == client.external_of.end() ? 0 : static_cast<int64_t>(found->second);
    }
    EXPECT_EQ(client.kernels[3].name, "spin_50000");
    EXPECT_NE(client.kernels[0].name.find("cublasSgemm"), std::string::npos);
  });
  Log work = Only(run.logs[0], "gemm");
  ASSERT_EQ(work.size(), 3u);
  const Log spin = Only(run.logs[0], "kernel");
  ASSERT_EQ(spin.size(), 1u);
  work.push_back(spin[0]);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(run.numbers[5 + 4 * i], work[i].lasted_ns());
    EXPECT_EQ(run.numbers[6 + 4 * i], i < 3 ? static_cast<int64_t>(100 + i) : 0);
    // The timestamp was taken between the two readings of the host's clock.
    EXPECT_GE(run.numbers[4 + 4 * i], run.numbers[0] - work[i].start_ns);
    EXPECT_LE(run.numbers[4 + 4 * i], run.numbers[1] - work[i].start_ns);
  }
}

TEST(Cupti, UnfinishedKernelsAreNotGivenAndHaveNoTimesWhenForced) {
  RunOne({}, [] {
    Start();
    Spin(nullptr, 300'000'000);
    ASSERT_EQ(cuptiActivityFlushAll(0), CUPTI_SUCCESS);
    EXPECT_TRUE(TheClient().kernels.empty());
    ASSERT_EQ(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED), CUPTI_SUCCESS);
    ASSERT_EQ(TheClient().kernels.size(), 1u);
    EXPECT_EQ(TheClient().kernels[0].start, 0u);
    EXPECT_EQ(TheClient().kernels[0].end, 0u);
  });
}

TEST(Cupti, FullBuffersComeByThemselvesAndAfterDisablingNothingDoes) {
  RunOne({}, [] {
    Start();
    for (int i = 0; i < 200; ++i) Spin(nullptr, 1000);
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    const int64_t until_ns = NowNs() + 2'000'000'000;
    int buffers = 0;
    while (buffers == 0 && NowNs() < until_ns) {
      Pause(5'000'000);
      const std::lock_guard<std::mutex> held(TheClient().lock);
      buffers = TheClient().buffers;
    }
    EXPECT_GT(buffers, 0);
    ASSERT_EQ(cuptiActivityFlushAll(0), CUPTI_SUCCESS);
    EXPECT_EQ(TheClient().kernels.size(), 200u);
    ASSERT_EQ(cuptiActivityDisable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL), CUPTI_SUCCESS);
    Spin(nullptr, 1000);
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    ASSERT_EQ(cuptiActivityFlushAll(0), CUPTI_SUCCESS);
    EXPECT_EQ(TheClient().kernels.size(), 200u);
  });
}

TEST(Cupti, ASecondSubscriberIsRefused) {
  RunOne({}, [] {
    CUpti_SubscriberHandle first = nullptr;
    CUpti_SubscriberHandle second = nullptr;
    EXPECT_EQ(cuptiSubscribe(&first, nullptr, nullptr), CUPTI_SUCCESS);
    EXPECT_EQ(cuptiSubscribe(&second, nullptr, nullptr),
              CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED);
    EXPECT_EQ(cuptiUnsubscribe(first), CUPTI_SUCCESS);
    EXPECT_EQ(cuptiSubscribe(&second, nullptr, nullptr), CUPTI_SUCCESS);
  });
}

}  // namespace
}  // namespace simgpu_test
