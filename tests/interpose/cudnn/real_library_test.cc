// Plans that NVIDIA's own cuDNN makes, for a GPU that is not there (a device-property descriptor):
// what our reader makes of the plan's text, of the text of a plan made from that text, and of the
// descriptors as they were set, against what was asked for. Engines that are compiled at run time
// need more of the driver than the simulated one has: their plans are skipped.
//
// This program stands between the builder and the library as libmfutrace.so would: its
// cudnnBackend... functions note what is set and call NVIDIA's. The library asks the driver little;
// the simulated one answers.
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "interpose/cudnn_track.h"
#include "shapes/flops.h"
#include "tests/interpose/cudnn/graph_text.h"
#include "tests/jobs/cudnn_sdpa.h"

namespace {

template <typename Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

cudnnStatus_t CUDNNWINAPI cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                                   cudnnBackendAttributeName_t name,
                                                   cudnnBackendAttributeType_t type, int64_t count,
                                                   const void* elements) {
  static auto* real = Real<decltype(cudnnBackendSetAttribute)>("cudnnBackendSetAttribute");
  mfutrace::interpose::TrackCudnnAttribute(descriptor, name, type, count, elements);
  return real(descriptor, name, type, count, elements);
}

cudnnStatus_t CUDNNWINAPI cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor,
                                                   cudnnBackendAttributeName_t name,
                                                   cudnnBackendAttributeType_t type,
                                                   int64_t requested, int64_t* count,
                                                   void* elements) {
  static auto* real = Real<decltype(cudnnBackendGetAttribute)>("cudnnBackendGetAttribute");
  const cudnnStatus_t status = real(descriptor, name, type, requested, count, elements);
  if (status == CUDNN_STATUS_SUCCESS && requested > 0) {
    mfutrace::interpose::TrackCudnnAnswer(descriptor, name, type, *count, elements);
  }
  return status;
}

cudnnStatus_t CUDNNWINAPI cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  static auto* real =
      Real<decltype(cudnnBackendDestroyDescriptor)>("cudnnBackendDestroyDescriptor");
  mfutrace::interpose::ForgetCudnnDescriptor(descriptor);
  return real(descriptor);
}

// The builder gives tensors memory; nothing here runs.
cudaError_t CUDARTAPI cudaMalloc(void** memory, size_t bytes) {
  *memory = std::malloc(bytes);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaFree(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
const char* CUDARTAPI cudaGetErrorString(cudaError_t) { return "no error is possible"; }

}  // extern "C"

namespace mfutrace::interpose {
namespace {

using shapes::Attention;
using shapes::ExecutedFlop;
using shapes::Provenance;
using Kind = CudnnOperation::Kind;

// An H100, in the form that CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION has in cuDNN 9.19.
constexpr char kDevice[] =
    R"({"deviceName":"NVIDIA H100 80GB HBM3","cudaDeviceId":0,"deviceId":0,"deviceVer":900,)"
    R"("driverVer":13000,"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],)"
    R"("regsPerBlock":65536,"multiProcessorCount":132,"warpSize":32,)"
    R"("maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":232448,)"
    R"("reservedSharedMemoryPerBlock":1024,"maxRegistersPerSM":65536,"maxCtasPerSM":32,)"
    R"("maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,"pciDeviceId":0,"isTccDriver":0,)"
    R"("supportCoopLaunch":1,"smClockRateKHz":1980000,"memClockRateKHz":2619000,)"
    R"("l2CacheSize":52428800,"totalGlobalMem":85899345920})";

Decoded DecodeTracked(cudnnBackendDescriptor_t plan) {
  Decoded decoded;
  const auto graph = std::make_unique<CudnnGraph>();
  std::memset(static_cast<void*>(graph.get()), 0, sizeof *graph);
  decoded.is_readable = TrackedCudnnGraph(plan, graph.get());
  if (decoded.is_readable) DecodeCudnnGraph(*graph, &decoded.work);
  return decoded;
}

class RealCudnn : public testing::Test {
 protected:
  void SetUp() override {
    static void* driver = dlopen(MFU_SIMGPU_CUDA, RTLD_NOW | RTLD_GLOBAL);
    if (driver == nullptr) GTEST_SKIP() << "no simulated libcuda.so.1: " << dlerror();
    graph_.ForDevice(kDevice);
    std::printf("cuDNN %zu\n", cudnnGetVersion());
  }

  // By each of the three ways; `check` gets the one operation.
  template <typename Check>
  void Build(const Check& check) {
    if (!graph_.TryBuild()) {
      GTEST_SKIP() << "this cuDNN (" << cudnnGetVersion() << ") makes no plan of it for an H100";
    }
    const std::string text = graph_.Serialize();
    Expect("text", DecodePlan(text), check);
    Expect("tracked", DecodeTracked(graph_.plan()), check);
    graph_.Deserialize(text);
    Expect("text of a plan from text", DecodePlan(graph_.Serialize()), check);
  }

  template <typename Check>
  void Expect(const char* way, const Decoded& decoded, const Check& check) {
    SCOPED_TRACE(way);
    ASSERT_TRUE(decoded.is_readable);
    ASSERT_EQ(decoded.work.count, 1u);
    check(decoded.work.operations[0]);
  }

  jobs::Graph graph_{nullptr};
};

TEST_F(RealCudnn, Matmul) {
  graph_.Matmul(graph_.Real({4, 128, 64}), graph_.Real({4, 64, 256}), graph_.Real({4, 128, 256}));
  Build([](const CudnnOperation& operation) {
    ASSERT_EQ(operation.kind, Kind::kGemm);
    EXPECT_EQ(operation.provenance, Provenance::kExact);
    EXPECT_EQ(operation.gemm.m, 128u);
    EXPECT_EQ(operation.gemm.n, 256u);
    EXPECT_EQ(operation.gemm.k, 64u);
    EXPECT_EQ(operation.gemm.batch, 4u);
    EXPECT_EQ(operation.gemm.a, shapes::Dtype::kBf16);
    EXPECT_EQ(operation.gemm.accumulate, shapes::Dtype::kF32);
  });
}

TEST_F(RealCudnn, MatmulWithBias) {
  const int64_t product = graph_.Virtual({4, 128, 256});
  graph_.Matmul(graph_.Real({4, 128, 64}), graph_.Real({4, 64, 256}), product);
  graph_.Pointwise(CUDNN_POINTWISE_ADD, product, graph_.Real({1, 1, 256}), 0,
                   graph_.Real({4, 128, 256}));
  Build([](const CudnnOperation& operation) {
    ASSERT_EQ(operation.kind, Kind::kGemm);
    EXPECT_EQ(ExecutedFlop(operation.gemm), 2u * 4 * 128 * 256 * 64);
    EXPECT_EQ(operation.gemm.bias, shapes::Dtype::kBf16);
    EXPECT_TRUE(operation.gemm.bias_is_along_n);
    EXPECT_EQ(operation.gemm.d, shapes::Dtype::kBf16);
  });
}

// Channels innermost, as the engines for tensor cores want them.
jobs::Dims ChannelsLast(const jobs::Dims& dim) {
  return {dim[1] * dim[2] * dim[3], 1, dim[1] * dim[3], dim[1]};
}

TEST_F(RealCudnn, Convolution) {
  const auto real = [this](const jobs::Dims& dim) {
    return graph_.Real(dim, CUDNN_DATA_BFLOAT16, ChannelsLast(dim));
  };
  graph_.Convolve(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, real({8, 64, 30, 28}),
                  real({128, 64, 3, 5}), real({8, 128, 15, 28}), {{1, 2}, {2, 1}, {1, 1}});
  Build([](const CudnnOperation& operation) {
    ASSERT_EQ(operation.kind, Kind::kConvolution);
    EXPECT_EQ(operation.convolution.direction, shapes::ConvDirection::kForward);
    EXPECT_EQ(operation.convolution.c_in, 64u);
    EXPECT_EQ(operation.convolution.c_out, 128u);
    EXPECT_EQ(ExecutedFlop(operation.convolution), 2ull * 8 * 128 * 15 * 28 * 64 * 3 * 5);
  });
}

jobs::Sdpa Heads() {
  jobs::Sdpa sdpa;
  sdpa.b = 2;
  sdpa.hq = 8;
  sdpa.hk = 8;
  sdpa.sq = 256;
  sdpa.sk = 512;
  sdpa.dqk = 128;
  sdpa.dv = 128;
  return sdpa;
}

void ExpectAttention(const CudnnOperation& operation, uint64_t pairs) {
  ASSERT_EQ(operation.kind, Kind::kAttention);
  Attention attention;
  bool has_lengths = false;
  EXPECT_EQ(ResolveCudnnAttention(operation, TestPack().pack(), &attention, &has_lengths),
            Provenance::kExact);
  EXPECT_EQ(ExecutedFlop(attention), 2u * 2 * 8 * pairs * (128 + 128));
}

TEST_F(RealCudnn, AttentionAsOneOperation) {
  jobs::BuildUnifiedForward(Heads(), &graph_);
  Build([](const CudnnOperation& operation) { ExpectAttention(operation, 256 * 512); });
}

TEST_F(RealCudnn, CausalAttentionOfSeveralOperations) {
  jobs::Sdpa sdpa = Heads();
  sdpa.right = 0;
  jobs::BuildComposedForward(sdpa, &graph_);
  const uint64_t pairs =
      CountPairs(256, 512, [](int64_t query, int64_t key) { return key <= query; });
  Build([pairs](const CudnnOperation& operation) { ExpectAttention(operation, pairs); });
}

}  // namespace
}  // namespace mfutrace::interpose
