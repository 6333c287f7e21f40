// Calls every function of cuDNN's older interface that is counted, as its header declares it, with
// a different size behind each descriptor.
#include <cstdio>

#include "fakes/fake_cudnn.h"

namespace {

template <typename Handle, typename T>
Handle As(T& fake) {
  return reinterpret_cast<Handle>(&fake);
}

}  // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const auto handle = reinterpret_cast<cudnnHandle_t>(0x77);
  char memory[8] = {};
  void* const p = memory;
  const float one = 1;

  FakeTensor x = {4, {2, 6, 10, 12}}, w = {4, {8, 3, 3, 5}}, y = {4, {2, 8, 10, 10}};
  FakeWalk walk = {1, 2};
  FakeTensor z = {4, {1, 1, 1, 1}};
  const auto xd = As<cudnnTensorDescriptor_t>(x), yd = As<cudnnTensorDescriptor_t>(y),
             zd = As<cudnnTensorDescriptor_t>(z);
  const auto wd = As<cudnnFilterDescriptor_t>(w);
  const auto cd = As<cudnnConvolutionDescriptor_t>(walk);
  const auto activation = As<cudnnActivationDescriptor_t>(z);
  int status = 0;
  status |= cudnnConvolutionForward(handle, &one, xd, p, wd, p, cd, CUDNN_CONVOLUTION_FWD_ALGO_GEMM,
                                    p, 8, &one, yd, p);
  status |= cudnnConvolutionBackwardData(handle, &one, wd, p, yd, p, cd,
                                         CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, p, 8, &one, xd, p);
  status |= cudnnConvolutionBackwardFilter(handle, &one, xd, p, yd, p, cd,
                                           CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, p, 8, &one, wd, p);
  status |= cudnnConvolutionBiasActivationForward(handle, &one, xd, p, wd, p, cd,
                                                  CUDNN_CONVOLUTION_FWD_ALGO_GEMM, p, 8, &one, zd,
                                                  p, zd, p, activation, yd, p);
  walk.groups = 1;  // fits no more
  status |= cudnnConvolutionForward(handle, &one, xd, p, wd, p, cd, CUDNN_CONVOLUTION_FWD_ALGO_GEMM,
                                    p, 8, &one, yd, p);
  walk.groups = 2;
  std::printf("convolutions: %d\n", status);
  std::printf("refused: %d\n",
              cudnnConvolutionForward(handle, nullptr, xd, p, wd, p, cd,
                                      CUDNN_CONVOLUTION_FWD_ALGO_GEMM, p, 8, &one, yd, p));

  int found = 0;
  cudnnConvolutionFwdAlgoPerf_t forward[1];
  cudnnConvolutionBwdDataAlgoPerf_t data[1];
  cudnnConvolutionBwdFilterAlgoPerf_t filter[1];
  status = cudnnFindConvolutionForwardAlgorithm(handle, xd, wd, cd, yd, 1, &found, forward);
  status |= cudnnFindConvolutionForwardAlgorithmEx(handle, xd, p, wd, p, cd, yd, p, 1, &found,
                                                   forward, p, 8);
  status |= cudnnFindConvolutionBackwardDataAlgorithm(handle, wd, yd, cd, xd, 1, &found, data);
  status |= cudnnFindConvolutionBackwardDataAlgorithmEx(handle, wd, p, yd, p, cd, xd, p, 1, &found,
                                                        data, p, 8);
  status |= cudnnFindConvolutionBackwardFilterAlgorithm(handle, xd, yd, cd, wd, 1, &found, filter);
  status |= cudnnFindConvolutionBackwardFilterAlgorithmEx(handle, xd, p, yd, p, cd, wd, p, 1,
                                                          &found, filter, p, 8);
  status |= cudnnFusedOpsExecute(handle, reinterpret_cast<cudnnFusedOpsPlan_t>(p),
                                 reinterpret_cast<cudnnFusedOpsVariantParamPack_t>(p));
  std::printf("searches: %d\n", status);

  FakeRnn rnn = {32, 16};
  FakeSequences xs = {3, {5, 3, 2}}, ys = {1, {99}};
  const auto rd = As<cudnnRNNDescriptor_t>(rnn);
  const auto rx = As<cudnnRNNDataDescriptor_t>(xs), ry = As<cudnnRNNDataDescriptor_t>(ys);
  const int device_lengths[1] = {};
  status = cudnnRNNForward(handle, rd, CUDNN_FWD_MODE_TRAINING, device_lengths, rx, p, ry, p, zd, p,
                           p, zd, p, p, 8, p, 8, p, 8, p);
  xs.lengths[0] = 6;
  status |= cudnnRNNBackwardData_v8(handle, rd, device_lengths, ry, p, p, rx, p, zd, p, p, p, zd, p,
                                    p, p, 8, p, 8, p, 8, p);
  xs.lengths[0] = 7;
  status |= cudnnRNNBackwardWeights_v8(handle, rd, CUDNN_WGRAD_MODE_ADD, device_lengths, rx, p, zd,
                                       p, ry, p, 8, p, 8, p, 8, p);
  std::printf("networks: %d\n", status);

  FakeAttention attention = {2, 24, 20, 28, 4, 4, 6, 10};
  FakeSequences qs = {2, {3, 3}}, ks = {2, {4, 4}}, vs = {1, {77}};
  const auto ad = As<cudnnAttnDescriptor_t>(attention);
  const auto qd = As<cudnnSeqDataDescriptor_t>(qs), kd = As<cudnnSeqDataDescriptor_t>(ks),
             vd = As<cudnnSeqDataDescriptor_t>(vs), od = vd;
  const int begin[4] = {0, 0, 0, 0}, end[4] = {4, 4, 4, 4};
  status = cudnnMultiHeadAttnForward(handle, ad, -1, begin, end, device_lengths, device_lengths, qd,
                                     p, p, kd, p, vd, p, od, p, 8, p, 8, p, 8, p);
  status |= cudnnMultiHeadAttnBackwardData(handle, ad, begin, end, device_lengths, device_lengths,
                                           od, p, qd, p, p, kd, p, p, vd, p, p, 8, p, 8, p, 8, p);
  status |= cudnnMultiHeadAttnBackwardWeights(handle, ad, CUDNN_WGRAD_MODE_SET, qd, p, kd, p, vd, p,
                                              od, p, 8, p, p, 8, p, 8, p);
  std::printf("attention: %d\n", status);
  return 0;
}
