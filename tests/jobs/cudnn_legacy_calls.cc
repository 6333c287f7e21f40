// See cudnn_legacy.h.
#include <algorithm>

#include "cudnn_legacy.h"

namespace jobs {
namespace {

// Creates, and destroys with the scope.
template <typename Handle, cudnnStatus_t (*Create)(Handle*), cudnnStatus_t (*Destroy)(Handle)>
class Owned {
 public:
  Owned() { Check(Create(&handle_)); }
  ~Owned() { Destroy(handle_); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  operator Handle() const { return handle_; }  // NOLINT: stands for the handle

 private:
  Handle handle_ = nullptr;
};

using Tensor =
    Owned<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using Filter =
    Owned<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using ConvolutionDescriptor = Owned<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
                                    cudnnDestroyConvolutionDescriptor>;
using Activation = Owned<cudnnActivationDescriptor_t, cudnnCreateActivationDescriptor,
                         cudnnDestroyActivationDescriptor>;
using Rnn = Owned<cudnnRNNDescriptor_t, cudnnCreateRNNDescriptor, cudnnDestroyRNNDescriptor>;
using RnnData =
    Owned<cudnnRNNDataDescriptor_t, cudnnCreateRNNDataDescriptor, cudnnDestroyRNNDataDescriptor>;
using Dropout =
    Owned<cudnnDropoutDescriptor_t, cudnnCreateDropoutDescriptor, cudnnDestroyDropoutDescriptor>;
using Attn = Owned<cudnnAttnDescriptor_t, cudnnCreateAttnDescriptor, cudnnDestroyAttnDescriptor>;
using SeqData =
    Owned<cudnnSeqDataDescriptor_t, cudnnCreateSeqDataDescriptor, cudnnDestroySeqDataDescriptor>;

constexpr float kOne = 1;
constexpr float kZero = 0;

void SetPacked(cudnnTensorDescriptor_t tensor, cudnnDataType_t type, const std::vector<int>& dim) {
  const int rank = static_cast<int>(dim.size());
  Check(cudnnSetTensorNdDescriptorEx(tensor, CUDNN_TENSOR_NCHW, type, rank, dim.data()));
}

}  // namespace

cudnnStatus_t Convolve(cudnnHandle_t handle, const Scratch& scratch, const LegacyConvolution& shape,
                       Pass pass) {
  const int rank = static_cast<int>(shape.x.size());
  Tensor x;
  Tensor y;
  Filter w;
  ConvolutionDescriptor convolution;
  SetPacked(x, shape.type, shape.x);
  Check(cudnnSetFilterNdDescriptor(w, shape.type, CUDNN_TENSOR_NCHW, rank, shape.w.data()));
  Check(cudnnSetConvolutionNdDescriptor(convolution, rank - 2, shape.pad.data(),
                                        shape.stride.data(), shape.dilation.data(),
                                        CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
  Check(cudnnSetConvolutionGroupCount(convolution, shape.groups));
  Check(cudnnSetConvolutionMathType(convolution, shape.math));
  std::vector<int> y_dim(shape.x.size());
  Check(cudnnGetConvolutionNdForwardOutputDim(convolution, x, w, rank, y_dim.data()));
  SetPacked(y, shape.type, y_dim);
  void* data = scratch.get();
  size_t bytes = 0;
  int found = 0;
  switch (pass) {
    case Pass::kForward: {
      cudnnConvolutionFwdAlgoPerf_t best;
      Check(cudnnGetConvolutionForwardAlgorithm_v7(handle, x, w, convolution, y, 1, &found, &best));
      Check(
          cudnnGetConvolutionForwardWorkspaceSize(handle, x, w, convolution, y, best.algo, &bytes));
      return cudnnConvolutionForward(handle, &kOne, x, data, w, data, convolution, best.algo, data,
                                     bytes, &kZero, y, data);
    }
    case Pass::kBiasActivation: {
      Tensor bias;
      Activation activation;
      std::vector<int> bias_dim(y_dim.size(), 1);
      bias_dim[1] = y_dim[1];
      SetPacked(bias, shape.type, bias_dim);
      Check(
          cudnnSetActivationDescriptor(activation, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0));
      return cudnnConvolutionBiasActivationForward(handle, &kOne, x, data, w, data, convolution,
                                                   CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
                                                   data, 1 << 16, &kZero, y, data, bias, data,
                                                   activation, y, data);
    }
    case Pass::kData: {
      cudnnConvolutionBwdDataAlgoPerf_t best;
      Check(cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, w, y, convolution, x, 1, &found,
                                                        &best));
      return cudnnConvolutionBackwardData(handle, &kOne, w, data, y, data, convolution, best.algo,
                                          data, 1 << 16, &kZero, x, data);
    }
    case Pass::kFilter: {
      cudnnConvolutionBwdFilterAlgoPerf_t best;
      Check(cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, x, y, convolution, w, 1, &found,
                                                          &best));
      return cudnnConvolutionBackwardFilter(handle, &kOne, x, data, y, data, convolution, best.algo,
                                            data, 1 << 16, &kZero, w, data);
    }
    case Pass::kBias:
      break;
  }
  Tensor bias;
  std::vector<int> bias_dim(y_dim.size(), 1);
  bias_dim[1] = y_dim[1];
  SetPacked(bias, shape.type, bias_dim);
  return cudnnConvolutionBackwardBias(handle, &kOne, y, data, &kZero, bias, data);
}

void RunRecurrent(cudnnHandle_t handle, const Scratch& scratch, const Recurrent& shape,
                  bool training) {
  const int directions = shape.both_directions ? 2 : 1;
  const int32_t state = shape.projection > 0 ? shape.projection : shape.hidden;
  const int batch = static_cast<int>(shape.lengths.size());
  const int steps = *std::max_element(shape.lengths.begin(), shape.lengths.end());
  void* data = scratch.get();
  Rnn rnn;
  RnnData x;
  RnnData y;
  Tensor h;
  Tensor c;
  Dropout dropout;
  Check(cudnnSetDropoutDescriptor(dropout, handle, 0, nullptr, 0, 1));
  Check(cudnnSetRNNDescriptor_v8(rnn, CUDNN_RNN_ALGO_STANDARD, shape.cell, CUDNN_RNN_DOUBLE_BIAS,
                                 shape.both_directions ? CUDNN_BIDIRECTIONAL : CUDNN_UNIDIRECTIONAL,
                                 shape.skip_input ? CUDNN_SKIP_INPUT : CUDNN_LINEAR_INPUT,
                                 shape.type, CUDNN_DATA_FLOAT, CUDNN_TENSOR_OP_MATH, shape.input,
                                 shape.hidden, state, shape.layers, dropout,
                                 CUDNN_RNN_PADDED_IO_ENABLED));
  Check(cudnnSetRNNDataDescriptor(x, shape.type, CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED, steps,
                                  batch, shape.input, shape.lengths.data(), nullptr));
  Check(cudnnSetRNNDataDescriptor(y, shape.type, CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED, steps,
                                  batch, directions * state, shape.lengths.data(), nullptr));
  SetPacked(h, shape.type, {shape.layers * directions, batch, state});
  SetPacked(c, shape.type, {shape.layers * directions, batch, shape.hidden});
  std::vector<int32_t> lengths(shape.lengths.begin(), shape.lengths.end());
  int32_t* device_lengths = nullptr;
  Check(cudaMalloc(reinterpret_cast<void**>(&device_lengths), lengths.size() * sizeof(int32_t)));
  Check(cudaMemcpy(device_lengths, lengths.data(), lengths.size() * sizeof(int32_t),
                   cudaMemcpyHostToDevice));
  size_t weights = 0, work = 0, reserve = 0;
  const cudnnForwardMode_t mode = training ? CUDNN_FWD_MODE_TRAINING : CUDNN_FWD_MODE_INFERENCE;
  Check(cudnnGetRNNWeightSpaceSize(handle, rnn, &weights));
  Check(cudnnGetRNNTempSpaceSizes(handle, rnn, mode, x, &work, &reserve));
  Check(cudnnRNNForward(handle, rnn, mode, device_lengths, x, data, y, data, h, data, data, c, data,
                        data, weights, data, work, data, reserve, data));
  if (training) {
    Check(cudnnRNNBackwardData_v8(handle, rnn, device_lengths, y, data, data, x, data, h, data,
                                  data, data, c, data, data, data, weights, data, work, data,
                                  reserve, data));
    Check(cudnnRNNBackwardWeights_v8(handle, rnn, CUDNN_WGRAD_MODE_ADD, device_lengths, x, data, h,
                                     data, y, data, weights, data, work, data, reserve, data));
  }
  Check(cudaFree(device_lengths));
}

void RunMultiHead(cudnnHandle_t handle, const Scratch& scratch, const MultiHead& shape,
                  bool training) {
  const auto longest = [](const std::vector<int>& lengths) {
    return *std::max_element(lengths.begin(), lengths.end());
  };
  const int batch = static_cast<int>(shape.q_lengths.size());
  const int q_steps = longest(shape.q_lengths);
  const int k_steps = longest(shape.k_lengths);
  const int o_size =
      shape.o_projection > 0
          ? shape.o_projection
          : shape.heads * (shape.v_projection > 0 ? shape.v_projection : shape.v_size);
  Attn attn;
  Check(cudnnSetAttnDescriptor(attn, CUDNN_ATTN_QUERYMAP_ALL_TO_ONE, shape.heads, 0.2, shape.type,
                               CUDNN_DATA_FLOAT, CUDNN_TENSOR_OP_MATH, nullptr, nullptr,
                               shape.q_size, shape.k_size, shape.v_size, shape.qk_projection,
                               shape.qk_projection, shape.v_projection, shape.o_projection, q_steps,
                               k_steps, batch, 1));
  const auto describe = [&](cudnnSeqDataDescriptor_t data, int steps, int size,
                            const std::vector<int>& lengths) {
    int dim[CUDNN_SEQDATA_DIM_COUNT];
    dim[CUDNN_SEQDATA_TIME_DIM] = steps;
    dim[CUDNN_SEQDATA_BATCH_DIM] = batch;
    dim[CUDNN_SEQDATA_BEAM_DIM] = 1;
    dim[CUDNN_SEQDATA_VECT_DIM] = size;
    const cudnnSeqDataAxis_t axes[] = {CUDNN_SEQDATA_BATCH_DIM, CUDNN_SEQDATA_TIME_DIM,
                                       CUDNN_SEQDATA_BEAM_DIM, CUDNN_SEQDATA_VECT_DIM};
    Check(cudnnSetSeqDataDescriptor(data, shape.type, CUDNN_SEQDATA_DIM_COUNT, dim, axes,
                                    lengths.size(), lengths.data(), nullptr));
  };
  SeqData q;
  SeqData k;
  SeqData v;
  SeqData o;
  describe(q, q_steps, shape.q_size, shape.q_lengths);
  describe(k, k_steps, shape.k_size, shape.k_lengths);
  describe(v, k_steps, shape.v_size, shape.k_lengths);
  describe(o, q_steps, o_size, shape.q_lengths);
  std::vector<int> low(static_cast<size_t>(q_steps), 0);
  std::vector<int> high(static_cast<size_t>(q_steps), k_steps);
  for (size_t i = 0; shape.causal && i < high.size(); ++i) high[i] = static_cast<int>(i) + 1;
  void* data = scratch.get();
  int* device_lengths = static_cast<int*>(data);
  size_t weights = 0, work = 0, reserve = 0;
  Check(cudnnGetMultiHeadAttnBuffers(handle, attn, &weights, &work, &reserve));
  Check(cudnnMultiHeadAttnForward(handle, attn, -1, low.data(), high.data(), device_lengths,
                                  device_lengths, q, data, nullptr, k, data, v, data, o, data,
                                  weights, data, work, data, training ? reserve : 0,
                                  training ? data : nullptr));
  if (!training) return;
  Check(cudnnMultiHeadAttnBackwardData(handle, attn, low.data(), high.data(), device_lengths,
                                       device_lengths, o, data, q, data, data, k, data, data, v,
                                       data, data, weights, data, work, data, reserve, data));
  Check(cudnnMultiHeadAttnBackwardWeights(handle, attn, CUDNN_WGRAD_MODE_ADD, q, data, k, data, v,
                                          data, o, data, weights, data, data, work, data, reserve,
                                          data));
}

}  // namespace jobs
