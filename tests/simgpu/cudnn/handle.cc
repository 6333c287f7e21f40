// libcudnn_graph.so.9: handles, versions, errors.
#include "cudnn/handle.h"

#include <cstdio>
#include <cstring>

#include "cudnn/backend.h"
#include "cudnn/names.h"

namespace simgpu::cudnn {
namespace {
thread_local std::string last_error;
}  // namespace

cudnnStatus_t Fail(cudnnStatus_t status, const std::string& why) {
  if (status != CUDNN_STATUS_SUCCESS) last_error = NameOfStatus(status) + ("; Reason: " + why);
  return status;
}

}  // namespace simgpu::cudnn

using simgpu::cudnn::Fail;
using simgpu::cudnn::Find;
using simgpu::cudnn::Handle;

extern "C" {

size_t CUDNNWINAPI cudnnGetVersion(void) { return CUDNN_VERSION; }
size_t CUDNNWINAPI cudnnGetMaxDeviceVersion(void) { return 1210; }
size_t CUDNNWINAPI cudnnGetCudartVersion(void) { return CUDART_VERSION; }

const char* CUDNNWINAPI cudnnGetErrorString(cudnnStatus_t status) {
  return simgpu::cudnn::NameOfStatus(status);
}

// The message is handed out once.
void CUDNNWINAPI cudnnGetLastErrorString(char* message, size_t max_size) {
  if (message == nullptr || max_size == 0) return;
  std::snprintf(message, max_size, "%s", simgpu::cudnn::last_error.c_str());
  simgpu::cudnn::last_error.clear();
}

cudnnStatus_t CUDNNWINAPI cudnnGetProperty(libraryPropertyType type, int* value) {
  if (value == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM, "value == nullptr");
  switch (type) {
    case MAJOR_VERSION:
      *value = CUDNN_MAJOR;
      return CUDNN_STATUS_SUCCESS;
    case MINOR_VERSION:
      *value = CUDNN_MINOR;
      return CUDNN_STATUS_SUCCESS;
    case PATCH_LEVEL:
      *value = CUDNN_PATCHLEVEL;
      return CUDNN_STATUS_SUCCESS;
  }
  return Fail(CUDNN_STATUS_BAD_PARAM, "type");
}

cudnnStatus_t CUDNNWINAPI cudnnCreate(cudnnHandle_t* handle) {
  if (handle == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM, "handle == nullptr");
  simgpu::Api* api = simgpu::FindApi();
  auto* made = new Handle;
  if (api == nullptr || api->MakeContextCurrent(&made->device) != CUDA_SUCCESS) {
    delete made;
    return Fail(CUDNN_STATUS_NOT_INITIALIZED, "cudaGetDeviceCount(&count) != cudaSuccess");
  }
  *handle = reinterpret_cast<cudnnHandle_t>(made);
  return CUDNN_STATUS_SUCCESS;
}

// The few bytes stay, so that a use after this is told from a good one.
cudnnStatus_t CUDNNWINAPI cudnnDestroy(cudnnHandle_t handle) {
  if (handle == nullptr) return CUDNN_STATUS_SUCCESS;
  Handle* found = Find(handle);
  if (found == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM, "handle");
  found->magic = 0;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  Handle* found = Find(handle);
  if (found == nullptr) return Fail(CUDNN_STATUS_BAD_PARAM, "handle");
  int device = 0;
  if (simgpu::FindApi()->CheckStream(stream, &device) != CUDA_SUCCESS || device != found->device) {
    return Fail(CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH, "stream");
  }
  found->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetStream(cudnnHandle_t handle, cudaStream_t* stream) {
  const Handle* found = Find(handle);
  if (found == nullptr || stream == nullptr)
    return Fail(CUDNN_STATUS_BAD_PARAM, "handle == nullptr");
  *stream = found->stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGraphVersionCheck(void) { return CUDNN_STATUS_SUCCESS; }

cudnnStatus_t CUDNNWINAPI cudnnSetCallback(unsigned, void*, cudnnCallback_t) {
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetCallback(unsigned* mask, void** data, cudnnCallback_t* function) {
  if (mask != nullptr) *mask = 0;
  if (data != nullptr) *data = nullptr;
  if (function != nullptr) *function = nullptr;
  return CUDNN_STATUS_SUCCESS;
}

}  // extern "C"
