// libcudnn_adv.so.9: recurrent networks. Work is counted step by step: each sequence's own length,
// each layer and direction, each gate.
#include <algorithm>
#include <memory>

#include "cudnn/graph.h"
#include "cudnn/legacy.h"

namespace simgpu::cudnn {
namespace {

struct Rnn {
  static constexpr uint32_t kMagic = 0x524e4e44;
  uint32_t magic = kMagic;
  cudnnRNNAlgo_t algo = CUDNN_RNN_ALGO_STANDARD;
  cudnnRNNMode_t cell = CUDNN_RNN_RELU;
  cudnnRNNBiasMode_t bias = CUDNN_RNN_DOUBLE_BIAS;
  cudnnDirectionMode_t direction = CUDNN_UNIDIRECTIONAL;
  cudnnRNNInputMode_t input = CUDNN_LINEAR_INPUT;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  cudnnDataType_t precision = CUDNN_DATA_FLOAT;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
  int32_t input_size = 0;
  int32_t hidden_size = 0;
  int32_t projection_size = 0;
  int32_t layers = 0;
  cudnnDropoutDescriptor_t dropout = nullptr;
  uint32_t flags = 0;

  uint64_t directions() const { return direction == CUDNN_BIDIRECTIONAL ? 2 : 1; }
  uint64_t gates() const { return cell == CUDNN_LSTM ? 4 : cell == CUDNN_GRU ? 3 : 1; }
  bool projects() const { return cell == CUDNN_LSTM && projection_size != hidden_size; }
  // Width of what a step hands to the next one, and of a direction's output.
  uint64_t state() const {
    return static_cast<uint64_t>(projects() ? projection_size : hidden_size);
  }
  uint64_t InputOf(int32_t layer) const {
    return layer == 0 ? static_cast<uint64_t>(input_size) : directions() * state();
  }
  // Weights of one layer and direction, without biases.
  uint64_t WeightsOf(int32_t layer) const {
    const auto hidden = static_cast<uint64_t>(hidden_size);
    const uint64_t in = layer == 0 && input == CUDNN_SKIP_INPUT ? 0 : InputOf(layer);
    return gates() * hidden * (in + state()) + (projects() ? hidden * state() : 0);
  }
  uint64_t Weights() const {
    uint64_t weights = 0;
    for (int32_t layer = 0; layer < layers; ++layer) weights += directions() * WeightsOf(layer);
    return weights;
  }
};

struct RnnData {
  static constexpr uint32_t kMagic = 0x524e4454;
  uint32_t magic = kMagic;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  cudnnRNNDataLayout_t layout = CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED;
  int steps = 0;
  int batch = 0;
  int width = 0;
  std::vector<int> lengths;
};

// `y_times`: the gradient of the data reads y and dy.
cudnnStatus_t Run(const char* function, const char* op, cudnnHandle_t handle,
                  cudnnRNNDescriptor_t rnn_handle, cudnnRNNDataDescriptor_t x_handle,
                  cudnnRNNDataDescriptor_t y_handle, uint64_t y_times, bool has_data) {
  const auto* rnn = Peek<Rnn>(rnn_handle);
  const auto* x = Peek<RnnData>(x_handle);
  const auto* y = Peek<RnnData>(y_handle);
  if (Find(handle) == nullptr || rnn == nullptr || x == nullptr || y == nullptr || !has_data ||
      x->width != rnn->input_size || x->lengths != y->lengths ||
      static_cast<uint64_t>(y->width) != rnn->directions() * rnn->state()) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  Api* api = FindApi();
  if (api->ShouldFail(function)) return CUDNN_STATUS_EXECUTION_FAILED;
  Work work;
  work.kind = OpKind::kRnn;
  work.function = CallerScope::Outermost(function);
  uint64_t steps = 0;
  for (const int length : x->lengths) {
    for (int step = 0; step < length; ++step) {
      ++steps;
      for (int32_t layer = 0; layer < rnn->layers; ++layer) {
        work.flop += rnn->directions() * 2 * rnn->WeightsOf(layer);
      }
    }
  }
  const uint64_t width = static_cast<uint64_t>(BitsOf(rnn->type)) / 8;
  work.bytes =
      width *
      (steps * (static_cast<uint64_t>(x->width) + y_times * static_cast<uint64_t>(y->width)) +
       rnn->Weights());
  const Format format = LegacyFormat(rnn->type, rnn->math);
  const auto pair = [](const char* key, int64_t value) {
    return "," + std::string(key) + "=" + std::to_string(value);
  };
  static constexpr const char* kCells[] = {"relu", "tanh", "lstm", "gru"};
  work.dims = std::string("op=") + op + ",cell=" + kCells[static_cast<int>(rnn->cell)] +
              pair("layers", rnn->layers) +
              pair("directions", static_cast<int64_t>(rnn->directions())) +
              pair("input", rnn->input_size) + pair("hidden", rnn->hidden_size) +
              pair("projection", rnn->projects() ? rnn->projection_size : 0) +
              pair("skip", rnn->input == CUDNN_SKIP_INPUT) + pair("batch", x->batch) +
              pair("max_steps", x->steps) + pair("steps", static_cast<int64_t>(steps)) +
              ",dtype=" + TextOf(rnn->type) + ",out=" + TextOf(y->type) + ",math=" + NameOf(format);
  work.duration_ns = api->GemmDuration(format, static_cast<uint64_t>(x->batch),
                                       rnn->gates() * static_cast<uint64_t>(rnn->hidden_size),
                                       rnn->InputOf(0), rnn->directions(), work.flop, work.bytes);
  return EnqueueByHandle(handle, std::move(work));
}

}  // namespace

extern "C" {

cudnnStatus_t CUDNNWINAPI cudnnAdvVersionCheck(void) { return CUDNN_STATUS_SUCCESS; }

cudnnStatus_t CUDNNWINAPI cudnnCreateRNNDescriptor(cudnnRNNDescriptor_t* handle) {
  return Make<Rnn>(handle);
}
cudnnStatus_t CUDNNWINAPI cudnnDestroyRNNDescriptor(cudnnRNNDescriptor_t handle) {
  return Drop<Rnn>(handle);
}

// A projection of the hidden size is none (cudnnSetRNNDescriptor_v8, projSize).
cudnnStatus_t CUDNNWINAPI cudnnSetRNNDescriptor_v8(
    cudnnRNNDescriptor_t handle, cudnnRNNAlgo_t algo, cudnnRNNMode_t cell, cudnnRNNBiasMode_t bias,
    cudnnDirectionMode_t direction, cudnnRNNInputMode_t input, cudnnDataType_t type,
    cudnnDataType_t precision, cudnnMathType_t math, int32_t input_size, int32_t hidden_size,
    int32_t projection_size, int32_t layers, cudnnDropoutDescriptor_t dropout, uint32_t flags) {
  auto* found = Peek<Rnn>(handle);
  if (found == nullptr || input_size <= 0 || hidden_size <= 0 || layers <= 0 ||
      projection_size <= 0 || projection_size > hidden_size ||
      (projection_size != hidden_size && cell != CUDNN_LSTM) ||
      (input == CUDNN_SKIP_INPUT && input_size != hidden_size)) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  *found = {Rnn::kMagic, algo,      cell, bias,       direction,   input,
            type,        precision, math, input_size, hidden_size, projection_size,
            layers,      dropout,   flags};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetRNNDescriptor_v8(
    cudnnRNNDescriptor_t handle, cudnnRNNAlgo_t* algo, cudnnRNNMode_t* cell,
    cudnnRNNBiasMode_t* bias, cudnnDirectionMode_t* direction, cudnnRNNInputMode_t* input,
    cudnnDataType_t* type, cudnnDataType_t* precision, cudnnMathType_t* math, int32_t* input_size,
    int32_t* hidden_size, int32_t* projection_size, int32_t* layers,
    cudnnDropoutDescriptor_t* dropout, uint32_t* flags) {
  const auto* found = Peek<Rnn>(handle);
  if (found == nullptr) return CUDNN_STATUS_BAD_PARAM;
  const auto give = [](auto* to, auto value) {
    if (to != nullptr) *to = value;
  };
  give(algo, found->algo);
  give(cell, found->cell);
  give(bias, found->bias);
  give(direction, found->direction);
  give(input, found->input);
  give(type, found->type);
  give(precision, found->precision);
  give(math, found->math);
  give(input_size, found->input_size);
  give(hidden_size, found->hidden_size);
  give(projection_size, found->projection_size);
  give(layers, found->layers);
  give(dropout, found->dropout);
  give(flags, found->flags);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnCreateRNNDataDescriptor(cudnnRNNDataDescriptor_t* handle) {
  return Make<RnnData>(handle);
}
cudnnStatus_t CUDNNWINAPI cudnnDestroyRNNDataDescriptor(cudnnRNNDataDescriptor_t handle) {
  return Drop<RnnData>(handle);
}

cudnnStatus_t CUDNNWINAPI cudnnSetRNNDataDescriptor(cudnnRNNDataDescriptor_t handle,
                                                    cudnnDataType_t type,
                                                    cudnnRNNDataLayout_t layout, int steps,
                                                    int batch, int width, const int lengths[],
                                                    void*) {
  auto* found = Peek<RnnData>(handle);
  if (found == nullptr || steps <= 0 || batch <= 0 || width <= 0 || lengths == nullptr) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  found->type = type;
  found->layout = layout;
  found->steps = steps;
  found->batch = batch;
  found->width = width;
  found->lengths.assign(lengths, lengths + batch);
  return std::any_of(lengths, lengths + batch, [&](int at) { return at < 0 || at > steps; })
             ? CUDNN_STATUS_BAD_PARAM
             : CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetRNNDataDescriptor(cudnnRNNDataDescriptor_t handle,
                                                    cudnnDataType_t* type,
                                                    cudnnRNNDataLayout_t* layout, int* steps,
                                                    int* batch, int* width, int requested,
                                                    int lengths[], void*) {
  const auto* found = Peek<RnnData>(handle);
  if (found == nullptr || requested < 0) return CUDNN_STATUS_BAD_PARAM;
  if (type != nullptr) *type = found->type;
  if (layout != nullptr) *layout = found->layout;
  if (steps != nullptr) *steps = found->steps;
  if (batch != nullptr) *batch = found->batch;
  if (width != nullptr) *width = found->width;
  for (int i = 0; lengths != nullptr && i < std::min(requested, found->batch); ++i) {
    lengths[i] = found->lengths[static_cast<size_t>(i)];
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetRNNWeightSpaceSize(cudnnHandle_t library,
                                                     cudnnRNNDescriptor_t handle, size_t* size) {
  const auto* found = Peek<Rnn>(handle);
  if (Find(library) == nullptr || found == nullptr || size == nullptr)
    return CUDNN_STATUS_BAD_PARAM;
  const uint64_t biases = 2 * found->gates() * static_cast<uint64_t>(found->hidden_size) *
                          found->directions() * static_cast<uint64_t>(found->layers);
  *size = (found->Weights() + biases) * static_cast<size_t>(BitsOf(found->type)) / 8;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetRNNTempSpaceSizes(cudnnHandle_t library,
                                                    cudnnRNNDescriptor_t handle, cudnnForwardMode_t,
                                                    cudnnRNNDataDescriptor_t x_handle, size_t* work,
                                                    size_t* reserve) {
  const auto* found = Peek<Rnn>(handle);
  const auto* x = Peek<RnnData>(x_handle);
  if (Find(library) == nullptr || found == nullptr || x == nullptr) return CUDNN_STATUS_BAD_PARAM;
  if (work != nullptr) *work = 1 << 16;
  if (reserve != nullptr) *reserve = 1 << 16;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnRNNForward(cudnnHandle_t handle, cudnnRNNDescriptor_t rnn,
                                          cudnnForwardMode_t, const int32_t*,
                                          cudnnRNNDataDescriptor_t x_desc, const void* x,
                                          cudnnRNNDataDescriptor_t y_desc, void* y,
                                          cudnnTensorDescriptor_t, const void*, void*,
                                          cudnnTensorDescriptor_t, const void*, void*, size_t,
                                          const void* weights, size_t, void*, size_t, void*) {
  return Run("cudnnRNNForward", "forward", handle, rnn, x_desc, y_desc, 1,
             x != nullptr && y != nullptr && weights != nullptr);
}

cudnnStatus_t CUDNNWINAPI cudnnRNNBackwardData_v8(
    cudnnHandle_t handle, cudnnRNNDescriptor_t rnn, const int32_t*, cudnnRNNDataDescriptor_t y_desc,
    const void* y, const void* dy, cudnnRNNDataDescriptor_t x_desc, void* dx,
    cudnnTensorDescriptor_t, const void*, const void*, void*, cudnnTensorDescriptor_t, const void*,
    const void*, void*, size_t, const void* weights, size_t, void*, size_t, void*) {
  return Run("cudnnRNNBackwardData_v8", "data", handle, rnn, x_desc, y_desc, 2,
             y != nullptr && dy != nullptr && dx != nullptr && weights != nullptr);
}

cudnnStatus_t CUDNNWINAPI cudnnRNNBackwardWeights_v8(cudnnHandle_t handle, cudnnRNNDescriptor_t rnn,
                                                     cudnnWgradMode_t, const int32_t*,
                                                     cudnnRNNDataDescriptor_t x_desc, const void* x,
                                                     cudnnTensorDescriptor_t, const void*,
                                                     cudnnRNNDataDescriptor_t y_desc, const void* y,
                                                     size_t, void* dweights, size_t, void*, size_t,
                                                     void*) {
  return Run("cudnnRNNBackwardWeights_v8", "weights", handle, rnn, x_desc, y_desc, 1,
             x != nullptr && y != nullptr && dweights != nullptr);
}

}  // extern "C"
}  // namespace simgpu::cudnn
