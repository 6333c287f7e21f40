// cuDNN: statuses as libcudnn 9.19 gave them for the same calls, counts against counting one by
// one, the cuBLASLt engine, lengths read when a graph is launched.
#include <cstring>

#include "jobs/cudnn_legacy.h"
#include "jobs/cudnn_sdpa.h"
#include "node.h"

namespace simgpu_test {
namespace {

using jobs::Check;

cudnnBackendDescriptor_t New(cudnnBackendDescriptorType_t kind) {
  cudnnBackendDescriptor_t made = nullptr;
  EXPECT_EQ(cudnnBackendCreateDescriptor(kind, &made), CUDNN_STATUS_SUCCESS);
  return made;
}

cudnnHandle_t NewHandle(cudaStream_t stream = nullptr) {
  cudnnHandle_t handle = nullptr;
  EXPECT_EQ(cudnnCreate(&handle), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(cudnnSetStream(handle, stream), CUDNN_STATUS_SUCCESS);
  return handle;
}

TEST(Cudnn, RefusesAsTheRealLibraryDoes) {
  RunOne({}, [] {
    const int no_kind = 99;
    cudnnBackendDescriptorType_t kind{};
    std::memcpy(&kind, &no_kind, sizeof kind);
    cudnnBackendDescriptor_t none = nullptr;
    EXPECT_EQ(cudnnBackendCreateDescriptor(kind, &none),
              CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED);
    cudnnBackendDescriptor_t tensor = New(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    int64_t dim[] = {4, 5, 6};
    int64_t count = 0;
    const auto set = [&](int name, int type, int64_t n, const void* data) {
      return cudnnBackendSetAttribute(tensor, static_cast<cudnnBackendAttributeName_t>(name),
                                      static_cast<cudnnBackendAttributeType_t>(type), n, data);
    };
    EXPECT_EQ(set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_FLOAT, 3, dim),
              CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE);
    EXPECT_EQ(set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_INT64, 3, dim), CUDNN_STATUS_BAD_PARAM);
    EXPECT_EQ(set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 0, dim), CUDNN_STATUS_BAD_PARAM);
    EXPECT_EQ(set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 3, dim), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnBackendFinalize(tensor), CUDNN_STATUS_BAD_PARAM);
    EXPECT_EQ(cudnnBackendGetAttribute(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 3,
                                       &count, dim),
              CUDNN_STATUS_NOT_INITIALIZED);
    EXPECT_EQ(cudnnBackendFinalize(nullptr), CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
    EXPECT_EQ(cudnnBackendExecute(nullptr, nullptr, nullptr), CUDNN_STATUS_BAD_PARAM);
    EXPECT_EQ(cudnnBackendFinalize(New(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)),
              CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
    EXPECT_EQ(cudnnBackendFinalize(New(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)),
              CUDNN_STATUS_BAD_PARAM);
    cudnnBackendDescriptor_t pack = New(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    EXPECT_EQ(cudnnBackendFinalize(pack), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnBackendFinalize(pack), CUDNN_STATUS_BAD_PARAM);
    EXPECT_EQ(cudnnBackendGetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
                                       1, &count, dim),
              CUDNN_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(cudnnDestroy(nullptr), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetStream(nullptr, nullptr), CUDNN_STATUS_BAD_PARAM);
    EXPECT_STREQ(cudnnGetErrorString(static_cast<cudnnStatus_t>(1234)), "CUDNN_UNKNOWN_STATUS");
  });
}

TEST(Cudnn, DescriptorsAreReadBackAndGraphsAreNot) {
  RunOne({}, [] {
    jobs::Graph graph(NewHandle());
    graph.Matmul(graph.Real({3, 64, 96}), graph.Real({3, 96, 80}), graph.Real({3, 64, 80}));
    graph.Build();
    const std::string text = graph.Serialize();
    EXPECT_NE(text.find("\"operation\":\"CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR\""),
              std::string::npos);
    EXPECT_NE(text.find("\"dim\":[3,96,80]"), std::string::npos);
    jobs::Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    tensor.Set(CUDNN_ATTR_TENSOR_UNIQUE_ID, {7});
    tensor.Set(CUDNN_ATTR_TENSOR_DIMENSIONS, {4, 5, 6});
    tensor.Set(CUDNN_ATTR_TENSOR_STRIDES, {30, 6, 1});
    tensor.Set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {16});
    tensor.SetOne(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_HALF);
    tensor = std::move(tensor).Finalized();
    int64_t dim[8] = {}, count = 0;
    for (const auto& [requested, given] : {std::pair{8, 3}, {1, 1}, {0, 3}}) {
      EXPECT_EQ(cudnnBackendGetAttribute(tensor.get(), CUDNN_ATTR_TENSOR_DIMENSIONS,
                                         CUDNN_TYPE_INT64, requested, &count, dim),
                CUDNN_STATUS_SUCCESS);
      EXPECT_EQ(count, given);
    }
    EXPECT_EQ(dim[2], 6);
  });
}

TEST(Cudnn, PlainProductsGoThroughCublasLtOnce) {
  for (const char* nested : {"1", "0"}) {
    const Log log = RunOne({{"SIMGPU_CUDNN_NESTED", nested}}, [] {
      jobs::Graph graph(NewHandle(NewStream()));
      graph.Matmul(graph.Real({3, 64, 96}), graph.Real({3, 96, 80}), graph.Real({3, 64, 80}));
      graph.Build();
      graph.Execute();
      EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    });
    const Log gemms = Only(log, "gemm");
    ASSERT_EQ(gemms.size(), 1U);
    EXPECT_EQ(gemms[0].function, "cudnnBackendExecute");
    EXPECT_EQ(gemms[0].flop, 2U * 3 * 64 * 80 * 96);
    EXPECT_EQ(gemms[0].dims.at("m") + "," + gemms[0].dims.at("n") + "," + gemms[0].dims.at("k"),
              "64,80,96");
    // Only cuBLASLt logs a compute type.
    EXPECT_EQ(gemms[0].dims.count("compute"), nested[0] == '1' ? 1U : 0U);
  }
}

// Each output element, input channel of its group and tap.
TEST(Cudnn, ConvolutionIsCountedTapByTap) {
  const Log log = RunOne({}, [] {
    const jobs::Scratch scratch;
    cudnnHandle_t handle = NewHandle();
    for (const jobs::Pass pass : {jobs::Pass::kForward, jobs::Pass::kData, jobs::Pass::kFilter}) {
      Check(Convolve(handle, scratch, {{2, 6, 11, 9}, {10, 3, 3, 2}, {1, 0}, {2, 1}, {1, 3}, 2},
                     pass));
    }
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  uint64_t flop = 0;
  for (int n = 0; n < 2; ++n) {
    for (int k = 0; k < 10; ++k) {
      for (int row = -1; row + 2 <= 11; row += 2) {  // 11 and padding 1 each side, taps 0, 1, 2
        for (int column = 0; column + 3 < 9; ++column) {  // taps 0 and 3
          for (int c = 0; c < 3; ++c) {
            for (int tap = 0; tap < 3 * 2; ++tap) flop += 2;
          }
        }
      }
    }
  }
  const Log convolutions = Only(log, "conv");
  ASSERT_EQ(convolutions.size(), 3U);
  for (const LogLine& line : convolutions) EXPECT_EQ(line.flop, flop) << line.function;
}

// A bidirectional LSTM with projection, gate by gate: 5 + 3 steps, 2 layers.
TEST(Cudnn, LstmIsCountedGateByGate) {
  const Log log = RunOne({}, [] {
    const jobs::Scratch scratch;
    jobs::RunRecurrent(NewHandle(), scratch,
                       {.both_directions = true,
                        .input = 7,
                        .hidden = 6,
                        .projection = 4,
                        .layers = 2,
                        .lengths = {5, 3}},
                       true);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  uint64_t flop = 0;
  for (int step = 0; step < 5 + 3; ++step) {
    for (int layer = 0; layer < 2; ++layer) {
      for (int direction = 0; direction < 2; ++direction) {
        const int inputs = layer == 0 ? 7 : 2 * 4;
        for (int gate = 0; gate < 4; ++gate) {
          for (int unit = 0; unit < 6; ++unit) flop += 2U * static_cast<unsigned>(inputs + 4);
        }
        for (int out = 0; out < 4; ++out) flop += 2 * 6;
      }
    }
  }
  const Log lines = Only(log, "rnn");
  ASSERT_EQ(lines.size(), 3U);
  for (const LogLine& line : lines) EXPECT_EQ(line.flop, flop) << line.function;
}

TEST(Cudnn, LengthsAreReadWhenTheGraphIsLaunched) {
  const Log log = RunOne({}, [] {
    const cudaStream_t stream = NewStream();
    jobs::Graph graph(NewHandle(stream));
    BuildComposedForward({.lengths_q = {33, 38}, .lengths_k = {47, 52}}, &graph);
    graph.Build();
    cudaGraph_t captured = nullptr;
    cudaGraphExec_t exec = nullptr;
    EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    graph.Execute();
    EXPECT_EQ(cudaStreamEndCapture(stream, &captured), cudaSuccess);
    EXPECT_EQ(cudaGraphInstantiateWithFlags(&exec, captured, 0), cudaSuccess);
    EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    const int32_t shorter[] = {10, 0};
    EXPECT_EQ(cudaMemcpy(graph.address(1), shorter, sizeof shorter, cudaMemcpyHostToDevice),
              cudaSuccess);
    EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  });
  const Log lines = Only(log, "attention");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].flop, 2U * 12 * (33 * 47 + 38 * 52) * (24 + 16));
  EXPECT_EQ(lines[1].flop, 2U * 12 * (10 * 47) * (24 + 16));
}

}  // namespace
}  // namespace simgpu_test
