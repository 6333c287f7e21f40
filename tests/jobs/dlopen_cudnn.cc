// Convolutions, recurrent networks and multi-head attention of cuDNN's older interface, by
// functions that dlsym found, as Python's bindings call them. No two calls have the same sizes.
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

void* g_library = nullptr;
cudnnHandle_t g_handle = nullptr;
void* g_memory = nullptr;
constexpr size_t kBytes = size_t{64} << 20;

template <typename Function, typename... Args>
void CallNamed(Function*, const char* name, Args... args) {
  auto* function = reinterpret_cast<Function*>(dlsym(g_library, name));
  const cudnnStatus_t status =
      function == nullptr ? CUDNN_STATUS_NOT_INITIALIZED : function(args...);
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::fprintf(stderr, "%s: status %d\n", name, static_cast<int>(status));
  std::exit(1);
}
#define CALL(function, ...) CallNamed<decltype(function)>(nullptr, #function, __VA_ARGS__)

struct Shape {
  std::vector<int> x, w, pad, stride, dilation;
  int groups;
};

cudnnTensorDescriptor_t Tensor(const std::vector<int>& sizes, cudnnDataType_t type) {
  cudnnTensorDescriptor_t tensor = nullptr;
  CALL(cudnnCreateTensorDescriptor, &tensor);
  std::vector<int> strides(sizes.size(), 1);
  for (size_t i = sizes.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * sizes[i];
  CALL(cudnnSetTensorNdDescriptor, tensor, type, static_cast<int>(sizes.size()), sizes.data(),
       strides.data());
  return tensor;
}

void Convolve(const Shape& shape, cudnnDataType_t type, cudnnMathType_t math) {
  const auto x = Tensor(shape.x, type);
  cudnnFilterDescriptor_t w = nullptr;
  CALL(cudnnCreateFilterDescriptor, &w);
  CALL(cudnnSetFilterNdDescriptor, w, type, CUDNN_TENSOR_NCHW, static_cast<int>(shape.w.size()),
       shape.w.data());
  cudnnConvolutionDescriptor_t walk = nullptr;
  CALL(cudnnCreateConvolutionDescriptor, &walk);
  CALL(cudnnSetConvolutionNdDescriptor, walk, static_cast<int>(shape.pad.size()), shape.pad.data(),
       shape.stride.data(), shape.dilation.data(), CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT);
  CALL(cudnnSetConvolutionGroupCount, walk, shape.groups);
  CALL(cudnnSetConvolutionMathType, walk, math);
  std::vector<int> y_sizes(shape.x.size());
  CALL(cudnnGetConvolutionNdForwardOutputDim, walk, x, w, static_cast<int>(y_sizes.size()),
       y_sizes.data());
  const auto y = Tensor(y_sizes, type);
  const float one = 1, zero = 0;
  void* const p = g_memory;
  CALL(cudnnConvolutionForward, g_handle, &one, x, p, w, p, walk,
       CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, p, kBytes, &zero, y, p);
  CALL(cudnnConvolutionBackwardData, g_handle, &one, w, p, y, p, walk,
       CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, p, kBytes, &zero, x, p);
  CALL(cudnnConvolutionBackwardFilter, g_handle, &one, x, p, y, p, walk,
       CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, p, kBytes, &zero, w, p);
}

void Recur(cudnnRNNMode_t cell, cudnnDirectionMode_t direction, cudnnRNNInputMode_t input,
           int input_size, int hidden, int projection, int layers, std::vector<int> lengths) {
  cudnnRNNDescriptor_t network = nullptr;
  cudnnDropoutDescriptor_t dropout = nullptr;
  CALL(cudnnCreateDropoutDescriptor, &dropout);
  CALL(cudnnCreateRNNDescriptor, &network);
  CALL(cudnnSetRNNDescriptor_v8, network, CUDNN_RNN_ALGO_STANDARD, cell, CUDNN_RNN_DOUBLE_BIAS,
       direction, input, CUDNN_DATA_HALF, CUDNN_DATA_FLOAT, CUDNN_TENSOR_OP_MATH, input_size,
       hidden, projection, layers, dropout, uint32_t{CUDNN_RNN_PADDED_IO_ENABLED});
  const auto data = [&](int width) {
    cudnnRNNDataDescriptor_t made = nullptr;
    double fill = 0;
    CALL(cudnnCreateRNNDataDescriptor, &made);
    CALL(cudnnSetRNNDataDescriptor, made, CUDNN_DATA_HALF, CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED,
         20, static_cast<int>(lengths.size()), width, lengths.data(), static_cast<void*>(&fill));
    return made;
  };
  const int directions = direction == CUDNN_BIDIRECTIONAL ? 2 : 1;
  const auto x = data(input_size), y = data(projection * directions);
  const auto batch = static_cast<int>(lengths.size());
  const auto h = Tensor({layers * directions, batch, projection}, CUDNN_DATA_HALF);
  const auto c = Tensor({layers * directions, batch, hidden}, CUDNN_DATA_HALF);
  void* const p = g_memory;
  const auto* device_lengths = static_cast<const int32_t*>(g_memory);
  CALL(cudnnRNNForward, g_handle, network, CUDNN_FWD_MODE_TRAINING, device_lengths, x, p, y, p, h,
       p, p, c, p, p, kBytes, p, kBytes, p, kBytes, p);
  CALL(cudnnRNNBackwardData_v8, g_handle, network, device_lengths, y, p, p, x, p, h, p, p, p, c, p,
       p, p, kBytes, p, kBytes, p, kBytes, p);
  CALL(cudnnRNNBackwardWeights_v8, g_handle, network, CUDNN_WGRAD_MODE_ADD, device_lengths, x, p, h,
       p, y, p, kBytes, p, kBytes, p, kBytes, p);
}

cudnnSeqDataDescriptor_t Sequences(const std::vector<int>& lengths, int width) {
  const cudnnSeqDataAxis_t axes[] = {CUDNN_SEQDATA_TIME_DIM, CUDNN_SEQDATA_BATCH_DIM,
                                     CUDNN_SEQDATA_BEAM_DIM, CUDNN_SEQDATA_VECT_DIM};
  int dims[CUDNN_SEQDATA_DIM_COUNT];
  dims[CUDNN_SEQDATA_TIME_DIM] = 16;
  dims[CUDNN_SEQDATA_BATCH_DIM] = static_cast<int>(lengths.size());
  dims[CUDNN_SEQDATA_BEAM_DIM] = 1;
  dims[CUDNN_SEQDATA_VECT_DIM] = width;
  cudnnSeqDataDescriptor_t made = nullptr;
  CALL(cudnnCreateSeqDataDescriptor, &made);
  CALL(cudnnSetSeqDataDescriptor, made, CUDNN_DATA_HALF, CUDNN_SEQDATA_DIM_COUNT, dims, axes,
       lengths.size(), lengths.data(), nullptr);
  return made;
}

void Attend(const std::vector<int>& q_lengths, const std::vector<int>& k_lengths, bool is_causal) {
  constexpr int kHeads = 4, kQ = 64, kK = 48, kV = 56, kO = 80;
  cudnnAttnDescriptor_t attention = nullptr;
  CALL(cudnnCreateAttnDescriptor, &attention);
  CALL(cudnnSetAttnDescriptor, attention, unsigned{0}, kHeads, 1.0, CUDNN_DATA_HALF,
       CUDNN_DATA_FLOAT, CUDNN_DEFAULT_MATH, nullptr, nullptr, kQ, kK, kV, 16, 16, 24, kO, 16, 16,
       4, 1);
  const auto q = Sequences(q_lengths, kQ), k = Sequences(k_lengths, kK),
             v = Sequences(k_lengths, kV), o = Sequences(q_lengths, kO);
  std::vector<int> begin(16, 0), end(16, 16);
  for (int i = 0; is_causal && i < 16; ++i) end[static_cast<size_t>(i)] = i + 1;
  void* const p = g_memory;
  const auto* lengths = static_cast<const int*>(g_memory);
  CALL(cudnnMultiHeadAttnForward, g_handle, attention, -1, begin.data(), end.data(), lengths,
       lengths, q, p, nullptr, k, p, v, p, o, p, kBytes, p, kBytes, p, kBytes, p);
  CALL(cudnnMultiHeadAttnBackwardData, g_handle, attention, begin.data(), end.data(), lengths,
       lengths, o, p, q, p, p, k, p, p, v, p, p, kBytes, p, kBytes, p, kBytes, p);
  CALL(cudnnMultiHeadAttnBackwardWeights, g_handle, attention, CUDNN_WGRAD_MODE_SET, q, p, k, p, v,
       p, o, p, kBytes, p, p, kBytes, p, kBytes, p);
}

}  // namespace

int main() {
  g_library = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);
  if (g_library == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  cudaStream_t stream = nullptr;
  if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess ||
      cudaMalloc(&g_memory, kBytes) != cudaSuccess) {
    std::fprintf(stderr, "no device\n");
    return 1;
  }
  CALL(cudnnCreate, &g_handle);
  CALL(cudnnSetStream, g_handle, stream);
  Convolve({{2, 8, 30, 26}, {12, 8, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 1}, CUDNN_DATA_HALF,
           CUDNN_TENSOR_OP_MATH);
  Convolve({{3, 16, 28, 24}, {32, 4, 5, 3}, {2, 0}, {2, 3}, {1, 2}, 4}, CUDNN_DATA_BFLOAT16,
           CUDNN_TENSOR_OP_MATH);
  Convolve({{4, 6, 12, 10, 8}, {10, 6, 3, 2, 1}, {1, 0, 0}, {1, 2, 1}, {2, 1, 1}, 1},
           CUDNN_DATA_FLOAT, CUDNN_FMA_MATH);
  Convolve({{5, 20, 16, 18}, {20, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 20}, CUDNN_DATA_FLOAT,
           CUDNN_DEFAULT_MATH);
  Recur(CUDNN_LSTM, CUDNN_BIDIRECTIONAL, CUDNN_LINEAR_INPUT, 96, 64, 32, 3, {7, 5, 2});
  Recur(CUDNN_GRU, CUDNN_UNIDIRECTIONAL, CUDNN_LINEAR_INPUT, 40, 72, 72, 2, {9, 9, 9, 4});
  Recur(CUDNN_RNN_TANH, CUDNN_UNIDIRECTIONAL, CUDNN_SKIP_INPUT, 56, 56, 56, 1, {11, 3});
  Attend({7, 5, 7}, {9, 11, 9}, false);
  Attend({6, 8}, {6, 8}, true);
  return cudaStreamSynchronize(stream) == cudaSuccess ? 0 : 1;
}
