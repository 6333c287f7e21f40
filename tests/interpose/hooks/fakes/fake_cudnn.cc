// A libcudnn.so.9 whose compute functions of the older interface do nothing and whose getters read
// back fake_cudnn.h's structs. One that has the descriptor `nullptr` in its second place fails.
#include "fakes/fake_cudnn.h"

#include <algorithm>

namespace {
template <typename T, typename Handle>
const T& Of(Handle handle) {
  return *reinterpret_cast<const T*>(handle);
}
}  // namespace

extern "C" {

cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t* stream) {
  *stream = reinterpret_cast<cudaStream_t>(handle);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetTensorNdDescriptor(const cudnnTensorDescriptor_t tensor, int room,
                                         cudnnDataType_t* type, int* count, int sizes[], int[]) {
  *type = CUDNN_DATA_HALF;
  *count = Of<FakeTensor>(tensor).count;
  std::copy_n(Of<FakeTensor>(tensor).sizes, std::min(room, *count), sizes);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetFilterNdDescriptor(const cudnnFilterDescriptor_t filter, int room,
                                         cudnnDataType_t* type, cudnnTensorFormat_t*, int* count,
                                         int sizes[]) {
  *type = CUDNN_DATA_HALF;
  *count = Of<FakeTensor>(filter).count;
  std::copy_n(Of<FakeTensor>(filter).sizes, std::min(room, *count), sizes);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionNdDescriptor(const cudnnConvolutionDescriptor_t walk, int,
                                              int* count, int pads[], int strides[],
                                              int dilations[], cudnnConvolutionMode_t*,
                                              cudnnDataType_t*) {
  *count = 2;
  for (int i = 0; i < 2; ++i) {
    pads[i] = Of<FakeWalk>(walk).pad;
    strides[i] = dilations[i] = 1;
  }
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionGroupCount(cudnnConvolutionDescriptor_t walk, int* groups) {
  *groups = Of<FakeWalk>(walk).groups;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionMathType(cudnnConvolutionDescriptor_t, cudnnMathType_t* math) {
  *math = CUDNN_TENSOR_OP_MATH;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetRNNDescriptor_v8(cudnnRNNDescriptor_t rnn, cudnnRNNAlgo_t*,
                                       cudnnRNNMode_t* cell, cudnnRNNBiasMode_t*,
                                       cudnnDirectionMode_t* direction, cudnnRNNInputMode_t* input,
                                       cudnnDataType_t* type, cudnnDataType_t*,
                                       cudnnMathType_t* math, int32_t* input_size,
                                       int32_t* hidden_size, int32_t* projection_size,
                                       int32_t* layers, cudnnDropoutDescriptor_t*, uint32_t*) {
  *cell = CUDNN_LSTM;
  *direction = CUDNN_UNIDIRECTIONAL;
  *input = CUDNN_LINEAR_INPUT;
  *type = CUDNN_DATA_HALF;
  *math = CUDNN_DEFAULT_MATH;
  *input_size = Of<FakeRnn>(rnn).input_size;
  *hidden_size = *projection_size = Of<FakeRnn>(rnn).hidden_size;
  *layers = 1;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetRNNDataDescriptor(cudnnRNNDataDescriptor_t data, cudnnDataType_t*,
                                        cudnnRNNDataLayout_t*, int*, int* batch, int*, int room,
                                        int lengths[], void*) {
  *batch = Of<FakeSequences>(data).count;
  std::copy_n(Of<FakeSequences>(data).lengths, std::min(room, *batch), lengths);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetSeqDataDescriptor(const cudnnSeqDataDescriptor_t data, cudnnDataType_t*, int*,
                                        int, int[], cudnnSeqDataAxis_t[], size_t* count,
                                        size_t room, int lengths[], void*) {
  *count = static_cast<size_t>(Of<FakeSequences>(data).count);
  std::copy_n(Of<FakeSequences>(data).lengths, std::min(room, *count), lengths);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetAttnDescriptor(cudnnAttnDescriptor_t attention, unsigned*, int* heads,
                                     double*, cudnnDataType_t* type, cudnnDataType_t*,
                                     cudnnMathType_t* math, cudnnDropoutDescriptor_t*,
                                     cudnnDropoutDescriptor_t*, int* q, int* k, int* v,
                                     int* q_projected, int* k_projected, int* v_projected,
                                     int* o_projected, int*, int*, int*, int*) {
  const auto& a = Of<FakeAttention>(attention);
  *type = CUDNN_DATA_HALF;
  *math = CUDNN_DEFAULT_MATH;
  *heads = a.heads;
  *q = a.q;
  *k = a.k;
  *v = a.v;
  *q_projected = a.q_projected;
  *k_projected = a.k_projected;
  *v_projected = a.v_projected;
  *o_projected = a.o_projected;
  return CUDNN_STATUS_SUCCESS;
}

// The headers declare what these take; here they take it all and look at the second alone.
#define FAKE(name)                                                                              \
  cudnnStatus_t fake_##name(void*, const void* second) __asm__(#name);                          \
  __attribute__((visibility("default"))) cudnnStatus_t fake_##name(void*, const void* second) { \
    return second == nullptr ? CUDNN_STATUS_BAD_PARAM : CUDNN_STATUS_SUCCESS;                   \
  }
FAKE(cudnnConvolutionForward)
FAKE(cudnnConvolutionBackwardData)
FAKE(cudnnConvolutionBackwardFilter)
FAKE(cudnnConvolutionBiasActivationForward)
FAKE(cudnnFindConvolutionForwardAlgorithm)
FAKE(cudnnFindConvolutionForwardAlgorithmEx)
FAKE(cudnnFindConvolutionBackwardDataAlgorithm)
FAKE(cudnnFindConvolutionBackwardDataAlgorithmEx)
FAKE(cudnnFindConvolutionBackwardFilterAlgorithm)
FAKE(cudnnFindConvolutionBackwardFilterAlgorithmEx)
FAKE(cudnnFusedOpsExecute)
FAKE(cudnnRNNForward)
FAKE(cudnnRNNBackwardData_v8)
FAKE(cudnnRNNBackwardWeights_v8)
FAKE(cudnnMultiHeadAttnForward)
FAKE(cudnnMultiHeadAttnBackwardData)
FAKE(cudnnMultiHeadAttnBackwardWeights)

}  // extern "C"
