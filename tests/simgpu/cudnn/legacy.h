// Descriptors of the older interface, as all its sub-libraries see them, and what their calls
// share.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cudnn/handle.h"

namespace simgpu::cudnn {

struct LegacyTensor {
  static constexpr uint32_t kMagic = 0x544e5352;
  uint32_t magic = kMagic;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  std::vector<int> dim;
  std::vector<int> stride;
};

struct LegacyFilter {
  static constexpr uint32_t kMagic = 0x464c5452;
  uint32_t magic = kMagic;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  cudnnTensorFormat_t format = CUDNN_TENSOR_NCHW;
  std::vector<int> dim;
};

// Null unless a create function of the simulator made it and it is alive.
template <typename Struct, typename Opaque>
Struct* Peek(Opaque* handle) {
  auto* found = reinterpret_cast<Struct*>(const_cast<std::remove_const_t<Opaque>*>(handle));
  return found != nullptr && found->magic == Struct::kMagic ? found : nullptr;
}

template <typename Struct, typename Opaque>
cudnnStatus_t Make(Opaque** handle) {
  if (handle == nullptr) return CUDNN_STATUS_BAD_PARAM;
  *handle = reinterpret_cast<Opaque*>(new Struct);
  return CUDNN_STATUS_SUCCESS;
}

template <typename Struct, typename Opaque>
cudnnStatus_t Drop(Opaque* handle) {
  if (handle == nullptr) return CUDNN_STATUS_SUCCESS;
  Struct* found = Peek<Struct>(handle);
  if (found == nullptr) return CUDNN_STATUS_BAD_PARAM;
  found->magic = 0;
  delete found;
  return CUDNN_STATUS_SUCCESS;
}

inline uint64_t Product(const std::vector<int>& dim) {
  uint64_t product = 1;
  for (const int extent : dim) product *= static_cast<uint64_t>(extent);
  return product;
}

inline std::string Joined(const std::vector<int>& values, size_t from) {
  std::string text;
  for (size_t i = from; i < values.size(); ++i) {
    text += (text.empty() ? "" : "x") + std::to_string(values[i]);
  }
  return text;
}

// Operands of the older interface: its `math` for single precision follows the math type, TF32
// unless FMA is asked for (cudnnMathType_t).
inline Format LegacyFormat(cudnnDataType_t type, cudnnMathType_t math) {
  switch (type) {
    case CUDNN_DATA_HALF:
      return Format::kF16;
    case CUDNN_DATA_BFLOAT16:
      return Format::kBf16;
    case CUDNN_DATA_DOUBLE:
      return Format::kF64;
    case CUDNN_DATA_INT8:
    case CUDNN_DATA_INT8x4:
    case CUDNN_DATA_INT8x32:
      return Format::kI8;
    default:
      if (math == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION) return Format::kF16;
      return math == CUDNN_FMA_MATH ? Format::kF32 : Format::kTf32;
  }
}

// Puts `work` on the stream that the public cudnnGetStream tells, as the real sub-libraries ask.
inline cudnnStatus_t EnqueueByHandle(cudnnHandle_t handle, Work work) {
  cudaStream_t stream = nullptr;
  if (const cudnnStatus_t status = cudnnGetStream(handle, &stream)) return status;
  work.hardware_queue = true;
  const CUstream on = stream;
  return FindApi()->Enqueue(&on, 1, static_cast<Work&&>(work)) == CUDA_SUCCESS
             ? CUDNN_STATUS_SUCCESS
             : CUDNN_STATUS_EXECUTION_FAILED;
}

// A kernel that is not counted.
inline cudnnStatus_t EnqueueKernel(cudnnHandle_t handle, const char* function) {
  if (Find(handle) == nullptr) return CUDNN_STATUS_BAD_PARAM;
  Work work;
  work.kind = OpKind::kKernel;
  work.function = CallerScope::Outermost(function);
  work.duration_ns = FindApi()->KernelDuration(FindApi()->settings().device.kernel_overhead_ns);
  return EnqueueByHandle(handle, std::move(work));
}

}  // namespace simgpu::cudnn
