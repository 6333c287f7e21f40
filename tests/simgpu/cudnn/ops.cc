// libcudnn_ops.so.9: tensor, filter, activation and dropout descriptors, and the pointwise calls
// that a job makes between the counted ones.
#include <algorithm>
#include <memory>

#include "cudnn/graph.h"
#include "cudnn/legacy.h"

namespace simgpu::cudnn {
namespace {

struct Activation {
  static constexpr uint32_t kMagic = 0x41435456;
  uint32_t magic = kMagic;
  cudnnActivationMode_t mode = CUDNN_ACTIVATION_IDENTITY;
  cudnnNanPropagation_t nan = CUDNN_NOT_PROPAGATE_NAN;
  double coefficient = 0;
  double swish_beta = 1;
};

struct Dropout {
  static constexpr uint32_t kMagic = 0x44524f50;
  uint32_t magic = kMagic;
  float probability = 0;
  void* states = nullptr;
  unsigned long long seed = 0;
};

std::vector<int> Packed(const std::vector<int>& dim, cudnnTensorFormat_t format) {
  std::vector<int> stride(dim.size(), 1);
  int product = 1;
  if (format == CUDNN_TENSOR_NHWC) {
    product = dim[1];
    for (size_t i = dim.size() - 1; i >= 2; --i) {
      stride[i] = product;
      product *= dim[i];
    }
    stride[0] = product;
    return stride;
  }
  for (size_t i = dim.size(); i-- > 0;) {
    stride[i] = product;
    product *= dim[i];
  }
  return stride;
}

cudnnStatus_t SetTensorDims(cudnnTensorDescriptor_t handle, cudnnDataType_t type, const int dim[],
                            const int stride[], int count) {
  auto* tensor = Peek<LegacyTensor>(handle);
  if (tensor == nullptr || dim == nullptr || stride == nullptr) return CUDNN_STATUS_BAD_PARAM;
  if (count < 3 || count > CUDNN_DIM_MAX) return CUDNN_STATUS_NOT_SUPPORTED;
  if (std::any_of(dim, dim + count, [](int extent) { return extent <= 0; })) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  tensor->type = type;
  tensor->dim.assign(dim, dim + count);
  tensor->stride.assign(stride, stride + count);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t SetFilterDims(cudnnFilterDescriptor_t handle, cudnnDataType_t type,
                            cudnnTensorFormat_t format, const int dim[], int count) {
  auto* filter = Peek<LegacyFilter>(handle);
  if (filter == nullptr || dim == nullptr) return CUDNN_STATUS_BAD_PARAM;
  if (count < 3 || count > CUDNN_DIM_MAX) return CUDNN_STATUS_NOT_SUPPORTED;
  if (std::any_of(dim, dim + count, [](int extent) { return extent <= 0; })) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  filter->type = type;
  filter->format = format;
  filter->dim.assign(dim, dim + count);
  return CUDNN_STATUS_SUCCESS;
}

template <typename T>
void Give(T* to, T value) {
  if (to != nullptr) *to = value;
}

void GiveList(const std::vector<int>& from, int requested, int to[]) {
  for (int i = 0; to != nullptr && i < std::min(requested, static_cast<int>(from.size())); ++i) {
    to[i] = from[static_cast<size_t>(i)];
  }
}

}  // namespace

extern "C" {

cudnnStatus_t CUDNNWINAPI cudnnOpsVersionCheck(void) { return CUDNN_STATUS_SUCCESS; }

cudnnStatus_t CUDNNWINAPI cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* handle) {
  return Make<LegacyTensor>(handle);
}
cudnnStatus_t CUDNNWINAPI cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t handle) {
  return Drop<LegacyTensor>(handle);
}

cudnnStatus_t CUDNNWINAPI cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t handle,
                                                     cudnnTensorFormat_t format,
                                                     cudnnDataType_t type, int n, int c, int h,
                                                     int w) {
  const std::vector<int> dim = {n, c, h, w};
  return SetTensorDims(handle, type, dim.data(), Packed(dim, format).data(), 4);
}

cudnnStatus_t CUDNNWINAPI cudnnSetTensor4dDescriptorEx(cudnnTensorDescriptor_t handle,
                                                       cudnnDataType_t type, int n, int c, int h,
                                                       int w, int sn, int sc, int sh, int sw) {
  const int dim[] = {n, c, h, w};
  const int stride[] = {sn, sc, sh, sw};
  return SetTensorDims(handle, type, dim, stride, 4);
}

cudnnStatus_t CUDNNWINAPI cudnnSetTensorNdDescriptor(cudnnTensorDescriptor_t handle,
                                                     cudnnDataType_t type, int count,
                                                     const int dim[], const int stride[]) {
  return SetTensorDims(handle, type, dim, stride, count);
}

cudnnStatus_t CUDNNWINAPI cudnnSetTensorNdDescriptorEx(cudnnTensorDescriptor_t handle,
                                                       cudnnTensorFormat_t format,
                                                       cudnnDataType_t type, int count,
                                                       const int dim[]) {
  if (dim == nullptr || count < 3 || count > CUDNN_DIM_MAX) return CUDNN_STATUS_BAD_PARAM;
  const std::vector<int> stride = Packed({dim, dim + count}, format);
  return SetTensorDims(handle, type, dim, stride.data(), count);
}

cudnnStatus_t CUDNNWINAPI cudnnGetTensor4dDescriptor(const cudnnTensorDescriptor_t handle,
                                                     cudnnDataType_t* type, int* n, int* c, int* h,
                                                     int* w, int* sn, int* sc, int* sh, int* sw) {
  const auto* tensor = Peek<LegacyTensor>(handle);
  if (tensor == nullptr || tensor->dim.size() != 4) return CUDNN_STATUS_BAD_PARAM;
  int* dim[] = {n, c, h, w};
  int* stride[] = {sn, sc, sh, sw};
  Give(type, tensor->type);
  for (size_t i = 0; i < 4; ++i) {
    Give(dim[i], tensor->dim[i]);
    Give(stride[i], tensor->stride[i]);
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetTensorNdDescriptor(const cudnnTensorDescriptor_t handle,
                                                     int requested, cudnnDataType_t* type,
                                                     int* count, int dim[], int stride[]) {
  const auto* tensor = Peek<LegacyTensor>(handle);
  if (tensor == nullptr || requested > CUDNN_DIM_MAX) return CUDNN_STATUS_BAD_PARAM;
  Give(type, tensor->type);
  Give(count, static_cast<int>(tensor->dim.size()));
  GiveList(tensor->dim, requested, dim);
  GiveList(tensor->stride, requested, stride);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetTensorSizeInBytes(const cudnnTensorDescriptor_t handle,
                                                    size_t* size) {
  const auto* tensor = Peek<LegacyTensor>(handle);
  if (tensor == nullptr || size == nullptr) return CUDNN_STATUS_BAD_PARAM;
  *size = Product(tensor->dim) * static_cast<size_t>(BitsOf(tensor->type)) / 8;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* handle) {
  return Make<LegacyFilter>(handle);
}
cudnnStatus_t CUDNNWINAPI cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t handle) {
  return Drop<LegacyFilter>(handle);
}

cudnnStatus_t CUDNNWINAPI cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t handle,
                                                     cudnnDataType_t type,
                                                     cudnnTensorFormat_t format, int k, int c,
                                                     int h, int w) {
  const int dim[] = {k, c, h, w};
  return SetFilterDims(handle, type, format, dim, 4);
}

cudnnStatus_t CUDNNWINAPI cudnnSetFilterNdDescriptor(cudnnFilterDescriptor_t handle,
                                                     cudnnDataType_t type,
                                                     cudnnTensorFormat_t format, int count,
                                                     const int dim[]) {
  return SetFilterDims(handle, type, format, dim, count);
}

cudnnStatus_t CUDNNWINAPI cudnnGetFilter4dDescriptor(const cudnnFilterDescriptor_t handle,
                                                     cudnnDataType_t* type,
                                                     cudnnTensorFormat_t* format, int* k, int* c,
                                                     int* h, int* w) {
  const auto* filter = Peek<LegacyFilter>(handle);
  if (filter == nullptr || filter->dim.size() != 4) return CUDNN_STATUS_BAD_PARAM;
  Give(type, filter->type);
  Give(format, filter->format);
  int* dim[] = {k, c, h, w};
  for (size_t i = 0; i < 4; ++i) Give(dim[i], filter->dim[i]);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetFilterNdDescriptor(const cudnnFilterDescriptor_t handle,
                                                     int requested, cudnnDataType_t* type,
                                                     cudnnTensorFormat_t* format, int* count,
                                                     int dim[]) {
  const auto* filter = Peek<LegacyFilter>(handle);
  if (filter == nullptr || requested > CUDNN_DIM_MAX) return CUDNN_STATUS_BAD_PARAM;
  Give(type, filter->type);
  Give(format, filter->format);
  Give(count, static_cast<int>(filter->dim.size()));
  GiveList(filter->dim, requested, dim);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetFilterSizeInBytes(const cudnnFilterDescriptor_t handle,
                                                    size_t* size) {
  const auto* filter = Peek<LegacyFilter>(handle);
  if (filter == nullptr || size == nullptr) return CUDNN_STATUS_BAD_PARAM;
  *size = Product(filter->dim) * static_cast<size_t>(BitsOf(filter->type)) / 8;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnCreateActivationDescriptor(cudnnActivationDescriptor_t* handle) {
  return Make<Activation>(handle);
}
cudnnStatus_t CUDNNWINAPI cudnnDestroyActivationDescriptor(cudnnActivationDescriptor_t handle) {
  return Drop<Activation>(handle);
}
cudnnStatus_t CUDNNWINAPI cudnnSetActivationDescriptor(cudnnActivationDescriptor_t handle,
                                                       cudnnActivationMode_t mode,
                                                       cudnnNanPropagation_t nan,
                                                       double coefficient) {
  auto* found = Peek<Activation>(handle);
  if (found == nullptr) return CUDNN_STATUS_BAD_PARAM;
  found->mode = mode;
  found->nan = nan;
  found->coefficient = coefficient;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t CUDNNWINAPI cudnnGetActivationDescriptor(const cudnnActivationDescriptor_t handle,
                                                       cudnnActivationMode_t* mode,
                                                       cudnnNanPropagation_t* nan,
                                                       double* coefficient) {
  const auto* found = Peek<Activation>(handle);
  if (found == nullptr) return CUDNN_STATUS_BAD_PARAM;
  Give(mode, found->mode);
  Give(nan, found->nan);
  Give(coefficient, found->coefficient);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnCreateDropoutDescriptor(cudnnDropoutDescriptor_t* handle) {
  return Make<Dropout>(handle);
}
cudnnStatus_t CUDNNWINAPI cudnnDestroyDropoutDescriptor(cudnnDropoutDescriptor_t handle) {
  return Drop<Dropout>(handle);
}
cudnnStatus_t CUDNNWINAPI cudnnDropoutGetStatesSize(cudnnHandle_t handle, size_t* size) {
  if (Find(handle) == nullptr || size == nullptr) return CUDNN_STATUS_BAD_PARAM;
  *size = 1 << 16;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t CUDNNWINAPI cudnnDropoutGetReserveSpaceSize(cudnnTensorDescriptor_t tensor,
                                                          size_t* size) {
  const auto* found = Peek<LegacyTensor>(tensor);
  if (found == nullptr || size == nullptr) return CUDNN_STATUS_BAD_PARAM;
  *size = (Product(found->dim) + 7) / 8;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t CUDNNWINAPI cudnnSetDropoutDescriptor(cudnnDropoutDescriptor_t handle,
                                                    cudnnHandle_t library, float probability,
                                                    void* states, size_t, unsigned long long seed) {
  auto* found = Peek<Dropout>(handle);
  if (found == nullptr || Find(library) == nullptr || !(probability >= 0 && probability < 1)) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  found->probability = probability;
  found->states = states;
  found->seed = seed;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t CUDNNWINAPI cudnnGetDropoutDescriptor(cudnnDropoutDescriptor_t handle, cudnnHandle_t,
                                                    float* probability, void** states,
                                                    unsigned long long* seed) {
  const auto* found = Peek<Dropout>(handle);
  if (found == nullptr) return CUDNN_STATUS_BAD_PARAM;
  Give(probability, found->probability);
  Give(states, found->states);
  Give(seed, found->seed);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnAddTensor(cudnnHandle_t handle, const void*,
                                         const cudnnTensorDescriptor_t, const void*, const void*,
                                         const cudnnTensorDescriptor_t, void*) {
  return EnqueueKernel(handle, "cudnnAddTensor");
}
cudnnStatus_t CUDNNWINAPI cudnnSetTensor(cudnnHandle_t handle, const cudnnTensorDescriptor_t, void*,
                                         const void*) {
  return EnqueueKernel(handle, "cudnnSetTensor");
}
cudnnStatus_t CUDNNWINAPI cudnnScaleTensor(cudnnHandle_t handle, const cudnnTensorDescriptor_t,
                                           void*, const void*) {
  return EnqueueKernel(handle, "cudnnScaleTensor");
}
cudnnStatus_t CUDNNWINAPI cudnnActivationForward(cudnnHandle_t handle, cudnnActivationDescriptor_t,
                                                 const void*, const cudnnTensorDescriptor_t,
                                                 const void*, const void*,
                                                 const cudnnTensorDescriptor_t, void*) {
  return EnqueueKernel(handle, "cudnnActivationForward");
}
cudnnStatus_t CUDNNWINAPI cudnnSoftmaxForward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t,
                                              cudnnSoftmaxMode_t, const void*,
                                              const cudnnTensorDescriptor_t, const void*,
                                              const void*, const cudnnTensorDescriptor_t, void*) {
  return EnqueueKernel(handle, "cudnnSoftmaxForward");
}

}  // extern "C"
}  // namespace simgpu::cudnn
