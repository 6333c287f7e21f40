// What cudnnHandle_t points to, for all simulated cuDNN libraries.
#pragma once

#include <cudnn.h>

#include <cstdint>

#include "engine/api.h"

namespace simgpu::cudnn {

struct Handle {
  static constexpr uint64_t kMagic = 0x53494d434e4e4831;
  uint64_t magic = kMagic;
  int device = 0;
  cudaStream_t stream = nullptr;
};

// Null unless `handle` came from cudnnCreate and is alive.
inline Handle* Find(cudnnHandle_t handle) {
  auto* found = reinterpret_cast<Handle*>(handle);
  return found != nullptr && found->magic == Handle::kMagic ? found : nullptr;
}

// Puts `work` on the handle's stream.
inline cudnnStatus_t Enqueue(const Handle& handle, Work work) {
  work.hardware_queue = true;
  const CUstream stream = handle.stream;
  return FindApi()->Enqueue(&stream, 1, static_cast<Work&&>(work)) == CUDA_SUCCESS
             ? CUDNN_STATUS_SUCCESS
             : CUDNN_STATUS_EXECUTION_FAILED;
}

}  // namespace simgpu::cudnn
