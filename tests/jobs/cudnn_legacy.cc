// Every call of cuDNN's older interface that does products, with shapes that tell their extents
// apart, and some calls that are refused.
#include <cstdlib>

#include "cudnn_legacy.h"

using jobs::Check;
using jobs::Convolve;
using jobs::Pass;

int main() {
  cudaStream_t stream = nullptr;
  cudnnHandle_t handle = nullptr;
  Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  Check(cudnnCreate(&handle));
  Check(cudnnSetStream(handle, stream));
  const jobs::Scratch scratch;

  const jobs::LegacyConvolution shapes[] = {
      {{2, 24, 20, 18}, {40, 24, 3, 5}, {1, 2}, {2, 1}, {1, 1}},
      {{3, 24, 21, 19}, {40, 6, 3, 2}, {0, 0}, {1, 1}, {1, 1}, 4},
      {{2, 16, 25, 23},
       {32, 16, 3, 4},
       {0, 0},
       {1, 1},
       {2, 3},
       1,
       CUDNN_DATA_FLOAT,
       CUDNN_DEFAULT_MATH},
      {{2, 16, 7, 20, 18},
       {32, 16, 2, 3, 5},
       {0, 1, 2},
       {1, 2, 1},
       {1, 1, 1},
       1,
       CUDNN_DATA_FLOAT,
       CUDNN_FMA_MATH},
      {{2, 26, 15, 13}, {26, 1, 5, 3}, {2, 1}, {1, 1}, {1, 1}, 26, CUDNN_DATA_BFLOAT16},
  };
  for (const jobs::LegacyConvolution& shape : shapes) {
    for (const Pass pass :
         {Pass::kForward, Pass::kBiasActivation, Pass::kData, Pass::kFilter, Pass::kBias}) {
      Check(Convolve(handle, scratch, shape, pass));
    }
  }
  if (Convolve(nullptr, scratch, shapes[0], Pass::kBiasActivation) == CUDNN_STATUS_SUCCESS) {
    std::exit(1);
  }

  jobs::RunRecurrent(handle, scratch,
                     {.input = 40, .hidden = 56, .layers = 3, .lengths = {11, 9, 4}}, true);
  jobs::RunRecurrent(handle, scratch,
                     {.both_directions = true,
                      .input = 40,
                      .hidden = 56,
                      .projection = 24,
                      .layers = 2,
                      .lengths = {11, 9, 4, 4, 1}},
                     true);
  jobs::RunRecurrent(handle, scratch,
                     {.cell = CUDNN_GRU,
                      .both_directions = true,
                      .input = 32,
                      .hidden = 48,
                      .layers = 3,
                      .lengths = {13, 7}},
                     true);
  jobs::RunRecurrent(handle, scratch,
                     {.cell = CUDNN_RNN_TANH,
                      .skip_input = true,
                      .input = 64,
                      .hidden = 64,
                      .layers = 2,
                      .lengths = {6, 5, 3},
                      .type = CUDNN_DATA_FLOAT},
                     true);
  jobs::RunRecurrent(handle, scratch,
                     {.cell = CUDNN_RNN_RELU, .input = 24, .hidden = 72, .lengths = {8, 8, 8, 8}},
                     false);

  jobs::RunMultiHead(handle, scratch, {.q_lengths = {13, 9}, .k_lengths = {17, 11}}, true);
  jobs::RunMultiHead(
      handle, scratch,
      {.heads = 3, .q_lengths = {13, 9, 5}, .k_lengths = {17, 11, 7}, .causal = true}, true);
  jobs::RunMultiHead(handle, scratch,
                     {.heads = 5,
                      .q_size = 48,
                      .k_size = 48,
                      .v_size = 32,
                      .qk_projection = 0,
                      .v_projection = 0,
                      .o_projection = 0,
                      .q_lengths = {6},
                      .k_lengths = {10}},
                     false);
  Check(cudaStreamSynchronize(stream));
  Check(cudnnDestroy(handle));
  Check(cudaStreamDestroy(stream));
  return 0;
}
