// Memory and copies.
#include <cstring>
#include <vector>

#include "node.h"

namespace simgpu_test {
namespace {

TEST(Memory, ReadsAsZeroAndCopiesCopy) {
  const Log log = RunOne({{"SIMGPU_DEVICE", "small"}}, [] {
    const size_t bytes = 1 << 20;
    unsigned char* a = nullptr;
    unsigned char* b = nullptr;
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&a), bytes), cudaSuccess);
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&b), bytes), cudaSuccess);
    std::vector<unsigned char> host(bytes, 0xee);
    ASSERT_EQ(cudaMemcpy(host.data(), a, bytes, cudaMemcpyDeviceToHost), cudaSuccess);
    EXPECT_EQ(host, std::vector<unsigned char>(bytes, 0));
    for (size_t i = 0; i < bytes; ++i) host[i] = static_cast<unsigned char>(i * 7);
    const std::vector<unsigned char> sent = host;
    ASSERT_EQ(cudaMemcpy(a, host.data(), bytes, cudaMemcpyHostToDevice), cudaSuccess);
    ASSERT_EQ(cudaMemcpy(b, a, bytes, cudaMemcpyDeviceToDevice), cudaSuccess);
    std::memset(host.data(), 0, bytes);
    ASSERT_EQ(cudaMemcpy(host.data(), b, bytes, cudaMemcpyDefault), cudaSuccess);
    EXPECT_EQ(host, sent);
  });
  ASSERT_EQ(log.size(), 4u);
  // "small": 10 GB/s between host and device, 100 GB/s memory, 2 us for any kernel.
  EXPECT_NEAR(static_cast<double>(log[0].lasted_ns()), 2000 + (1 << 20) / 10.0, 1);
  EXPECT_NEAR(static_cast<double>(log[2].lasted_ns()), 2000 + 2 * (1 << 20) / 100.0, 1);
  EXPECT_EQ(log[1].dims.at("direction"), "HtoD");
  EXPECT_EQ(log[3].dims.at("direction"), "DtoH");
  for (const LogLine& line : log) EXPECT_EQ(line.bytes, 1u << 20);
}

TEST(Memory, FillsExactlyTheRange) {
  RunOne({}, [] {
    const size_t bytes = 5 * 4096 + 123;
    unsigned char* device = nullptr;
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&device), bytes), cudaSuccess);
    std::vector<unsigned char> expected(bytes, 0x5a);
    ASSERT_EQ(cudaMemset(device, 0x5a, bytes), cudaSuccess);
    for (const auto& [offset, length] : std::vector<std::pair<size_t, size_t>>{
             {10, 20}, {4000, 200}, {4097, 9000}, {0, 4096}, {20000, 603}}) {
      ASSERT_EQ(cudaMemsetAsync(device + offset, 0, length, nullptr), cudaSuccess);
      std::memset(expected.data() + offset, 0, length);
      std::vector<unsigned char> found(bytes);
      ASSERT_EQ(cudaMemcpy(found.data(), device, bytes, cudaMemcpyDeviceToHost), cudaSuccess);
      EXPECT_EQ(found, expected) << offset;
    }
    EXPECT_EQ(cuMemsetD32(reinterpret_cast<CUdeviceptr>(device), 0x01020304, 16), CUDA_SUCCESS);
    EXPECT_EQ(device[0], 4);
    EXPECT_EQ(device[63], 1);
    EXPECT_EQ(cudaMemset(device, 0, bytes + 1), cudaErrorInvalidValue);
  });
}

TEST(Memory, RefusesWhatCudaRefuses) {
  RunOne({{"SIMGPU_DEVICE", "small"}}, [] {
    void* pointer = nullptr;
    EXPECT_EQ(cudaMalloc(&pointer, 9ULL << 30), cudaErrorMemoryAllocation);
    ASSERT_EQ(cudaMalloc(&pointer, 7ULL << 30), cudaSuccess);  // address space, not memory
    void* more = nullptr;
    EXPECT_EQ(cudaMalloc(&more, 2ULL << 30), cudaErrorMemoryAllocation);
    size_t free_bytes = 0;
    size_t total_bytes = 0;
    ASSERT_EQ(cudaMemGetInfo(&free_bytes, &total_bytes), cudaSuccess);
    EXPECT_EQ(total_bytes, 8ULL << 30);
    EXPECT_EQ(free_bytes, 1ULL << 30);
    EXPECT_EQ(cudaFree(static_cast<char*>(pointer) + 1), cudaErrorInvalidValue);
    EXPECT_EQ(cudaFree(pointer), cudaSuccess);
    EXPECT_EQ(cudaFree(pointer), cudaErrorInvalidValue);
    EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
    char host[8];
    EXPECT_EQ(cudaMemcpy(host, host + 4, 4, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    EXPECT_EQ(cudaFreeHost(host), cudaErrorInvalidValue);
  });
}

TEST(Memory, AttributesTellWhatAPointerIs) {
  RunOne({}, [] {
    ASSERT_EQ(cudaSetDevice(3), cudaSuccess);
    void* device = nullptr;
    void* pinned = nullptr;
    ASSERT_EQ(cudaMallocAsync(&device, 100, nullptr), cudaSuccess);
    ASSERT_EQ(cudaMallocHost(&pinned, 100), cudaSuccess);
    cudaPointerAttributes found;
    ASSERT_EQ(cudaPointerGetAttributes(&found, static_cast<char*>(device) + 50), cudaSuccess);
    EXPECT_EQ(found.type, cudaMemoryTypeDevice);
    EXPECT_EQ(found.device, 3);
    ASSERT_EQ(cudaPointerGetAttributes(&found, pinned), cudaSuccess);
    EXPECT_EQ(found.type, cudaMemoryTypeHost);
    ASSERT_EQ(cudaPointerGetAttributes(&found, &found), cudaSuccess);
    EXPECT_EQ(found.type, cudaMemoryTypeUnregistered);
    EXPECT_EQ(cudaFreeAsync(device, nullptr), cudaSuccess);
    EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
  });
}

TEST(Launch, NeedsAGridAndANameAndLogsBoth) {
  const Log log = RunOne({}, [] {
    static int host_function = 0;
    EXPECT_EQ(cudaLaunchKernel(&host_function, dim3(0), dim3(32), nullptr, 0, nullptr),
              cudaErrorInvalidConfiguration);
    EXPECT_EQ(cudaLaunchKernel(&host_function, dim3(1), dim3(2048), nullptr, 0, nullptr),
              cudaErrorInvalidConfiguration);
    EXPECT_EQ(cudaLaunchKernel(nullptr, dim3(1), dim3(32), nullptr, 0, nullptr),
              cudaErrorInvalidDeviceFunction);
    EXPECT_EQ(cudaLaunchKernel(&host_function, dim3(4, 2), dim3(32), nullptr, 0, nullptr),
              cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0].dims.at("grid"), "4x2x1");
  EXPECT_EQ(log[0].dims.at("kernel"), "kernel");
}

}  // namespace
}  // namespace simgpu_test
