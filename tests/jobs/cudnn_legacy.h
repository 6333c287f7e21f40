// Calls of cuDNN's older interface, as programs make them that have not moved to graphs:
// convolutions, recurrent networks, multi-head attention. Shared by the jobs that need a few of
// them.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <vector>

#include "cudnn_builder.h"

namespace jobs {

// Device memory that is big enough for any operand here.
class Scratch {
 public:
  Scratch() { Check(cudaMalloc(&data_, kBytes)); }
  ~Scratch() { cudaFree(data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* get() const { return data_; }

 private:
  static constexpr size_t kBytes = size_t{64} << 20;
  void* data_ = nullptr;
};

struct LegacyConvolution {
  std::vector<int> x, w;  // [n, c, ...], [k, c / groups, ...]
  std::vector<int> pad, stride, dilation;
  int groups = 1;
  cudnnDataType_t type = CUDNN_DATA_HALF;
  cudnnMathType_t math = CUDNN_TENSOR_OP_MATH;
};

enum class Pass { kForward, kBiasActivation, kData, kFilter, kBias };

// kBias has no products. Takes the algorithm that the library proposes.
cudnnStatus_t Convolve(cudnnHandle_t handle, const Scratch& scratch, const LegacyConvolution& shape,
                       Pass pass);

struct Recurrent {
  cudnnRNNMode_t cell = CUDNN_LSTM;
  bool both_directions = false;
  bool skip_input = false;
  int32_t input = 0, hidden = 0, projection = 0, layers = 1;  // projection 0: none
  std::vector<int> lengths = {};                              // one a sequence, the longest first
  cudnnDataType_t type = CUDNN_DATA_HALF;
};

// Forward, then both gradients if `training`.
void RunRecurrent(cudnnHandle_t handle, const Scratch& scratch, const Recurrent& shape,
                  bool training);

struct MultiHead {
  int heads = 4;
  int q_size = 40, k_size = 48, v_size = 56;
  int qk_projection = 24, v_projection = 20, o_projection = 72;  // 0: none
  std::vector<int> q_lengths = {}, k_lengths = {};
  bool causal = false;
  cudnnDataType_t type = CUDNN_DATA_HALF;
};

void RunMultiHead(cudnnHandle_t handle, const Scratch& scratch, const MultiHead& shape,
                  bool training);

}  // namespace jobs
