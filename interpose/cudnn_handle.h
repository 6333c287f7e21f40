// What a cuDNN handle tells, asked of the library that made it. For the observers of cuDNN alone.
#pragma once

#include <cudnn.h>

#include "interpose/resolve.h"

namespace mfutrace::interpose::observe {

inline bool CudnnStreamOf(const VendorLibrary& library, const void* handle, void** stream) {
  auto* get = reinterpret_cast<decltype(&::cudnnGetStream)>(library.Get(Getter::k_cudnnGetStream));
  cudaStream_t found = nullptr;
  if (get == nullptr ||
      get(static_cast<cudnnHandle_t>(const_cast<void*>(handle)), &found) != CUDNN_STATUS_SUCCESS) {
    return false;
  }
  *stream = found;
  return true;
}

}  // namespace mfutrace::interpose::observe
