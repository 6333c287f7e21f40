// libcudnn_cnn.so.9: convolutions of the older interface.
#include <algorithm>
#include <memory>

#include "cudnn/graph.h"
#include "cudnn/legacy.h"

namespace simgpu::cudnn {
namespace {

struct Convolution {
  static constexpr uint32_t kMagic = 0x434f4e56;
  uint32_t magic = kMagic;
  std::vector<int> pad;
  std::vector<int> stride;
  std::vector<int> dilation;
  cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  cudnnDataType_t compute = CUDNN_DATA_FLOAT;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
  cudnnReorderType_t reorder = CUDNN_DEFAULT_REORDER;
  int groups = 1;
};

// cudnnGetConvolutionNdForwardOutputDim's formula; empty where the shapes do not fit.
std::vector<int> OutputDim(const Convolution& conv, const LegacyTensor& x, const LegacyFilter& w) {
  const size_t rank = x.dim.size();
  if (w.dim.size() != rank || conv.pad.size() + 2 != rank || x.dim[1] != w.dim[1] * conv.groups ||
      w.dim[0] % conv.groups != 0) {
    return {};
  }
  std::vector<int> out = {x.dim[0], w.dim[0]};
  for (size_t i = 0; i + 2 < rank; ++i) {
    const int reach = (w.dim[i + 2] - 1) * conv.dilation[i] + 1;
    const int room = x.dim[i + 2] + 2 * conv.pad[i] - reach;
    if (room < 0) return {};
    out.push_back(room / conv.stride[i] + 1);
  }
  return out;
}

struct Call {
  const char* function = "";
  const char* op = "";
  cudnnHandle_t handle = nullptr;
  cudnnTensorDescriptor_t x = nullptr;
  cudnnFilterDescriptor_t w = nullptr;
  cudnnTensorDescriptor_t y = nullptr;
  cudnnConvolutionDescriptor_t conv = nullptr;
  bool has_data = true;  // no operand is a null pointer
  uint64_t more_bytes = 0;
};

uint64_t BytesOf(cudnnDataType_t type, const std::vector<int>& dim) {
  return Product(dim) * static_cast<uint64_t>(BitsOf(type)) / 8;
}

// One multiply-add for each element of y, input channel of its group and tap of the filter, in all
// three directions alike.
cudnnStatus_t Run(const Call& call) {
  const auto* conv = Peek<Convolution>(call.conv);
  const auto* x = Peek<LegacyTensor>(call.x);
  const auto* w = Peek<LegacyFilter>(call.w);
  const auto* y = Peek<LegacyTensor>(call.y);
  if (Find(call.handle) == nullptr || conv == nullptr || x == nullptr || w == nullptr ||
      y == nullptr || !call.has_data || OutputDim(*conv, *x, *w) != y->dim) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  Api* api = FindApi();
  if (api->ShouldFail(call.function)) return CUDNN_STATUS_EXECUTION_FAILED;
  const Format format = LegacyFormat(x->type, conv->math);
  const uint64_t taps = Product(w->dim) / static_cast<uint64_t>(w->dim[0]);
  Work work;
  work.kind = OpKind::kConvolution;
  work.function = CallerScope::Outermost(call.function);
  work.flop = 2 * Product(y->dim) * taps;
  work.bytes = BytesOf(x->type, x->dim) + BytesOf(w->type, w->dim) + BytesOf(y->type, y->dim) +
               call.more_bytes;
  const auto pair = [](const char* key, int value) {
    return "," + std::string(key) + "=" + std::to_string(value);
  };
  work.dims = std::string("op=") + call.op + pair("n", x->dim[0]) + pair("c", x->dim[1]) +
              pair("k", y->dim[1]) + pair("groups", conv->groups) + ",x=" + Joined(x->dim, 2) +
              ",w=" + Joined(w->dim, 2) + ",y=" + Joined(y->dim, 2) +
              ",pad=" + Joined(conv->pad, 0) + ",stride=" + Joined(conv->stride, 0) +
              ",dilation=" + Joined(conv->dilation, 0) + ",dtype=" + TextOf(x->type) +
              ",out=" + TextOf(y->type) + ",math=" + NameOf(format);
  const uint64_t channels = static_cast<uint64_t>(y->dim[1]);
  work.duration_ns = api->GemmDuration(format, Product(y->dim) / channels, channels, taps, 1,
                                       work.flop, work.bytes);
  return EnqueueByHandle(call.handle, std::move(work));
}

template <typename Perf, typename Algorithm>
cudnnStatus_t OneAlgorithm(Algorithm algorithm, int requested, int* returned, Perf* results) {
  if (requested < 1 || returned == nullptr || results == nullptr) return CUDNN_STATUS_BAD_PARAM;
  results[0] = {};
  results[0].algo = algorithm;
  results[0].status = CUDNN_STATUS_SUCCESS;
  results[0].time = 0.01F;
  *returned = 1;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t Workspace(size_t* size) {
  if (size == nullptr) return CUDNN_STATUS_BAD_PARAM;
  *size = 1 << 16;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

cudnnStatus_t CUDNNWINAPI cudnnCnnVersionCheck(void) { return CUDNN_STATUS_SUCCESS; }

cudnnStatus_t CUDNNWINAPI cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* handle) {
  return Make<Convolution>(handle);
}
cudnnStatus_t CUDNNWINAPI cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t handle) {
  return Drop<Convolution>(handle);
}

#define SIM_FIELD(name, type, field)                                                       \
  cudnnStatus_t CUDNNWINAPI cudnnSetConvolution##name(cudnnConvolutionDescriptor_t handle, \
                                                      type value) {                        \
    auto* found = Peek<Convolution>(handle);                                               \
    if (found == nullptr) return CUDNN_STATUS_BAD_PARAM;                                   \
    found->field = value;                                                                  \
    return CUDNN_STATUS_SUCCESS;                                                           \
  }                                                                                        \
  cudnnStatus_t CUDNNWINAPI cudnnGetConvolution##name(cudnnConvolutionDescriptor_t handle, \
                                                      type* value) {                       \
    const auto* found = Peek<Convolution>(handle);                                         \
    if (found == nullptr || value == nullptr) return CUDNN_STATUS_BAD_PARAM;               \
    *value = found->field;                                                                 \
    return CUDNN_STATUS_SUCCESS;                                                           \
  }
SIM_FIELD(MathType, cudnnMathType_t, math)
SIM_FIELD(GroupCount, int, groups)
SIM_FIELD(ReorderType, cudnnReorderType_t, reorder)
#undef SIM_FIELD

cudnnStatus_t CUDNNWINAPI cudnnSetConvolutionNdDescriptor(cudnnConvolutionDescriptor_t handle,
                                                          int length, const int pad[],
                                                          const int stride[], const int dilation[],
                                                          cudnnConvolutionMode_t mode,
                                                          cudnnDataType_t compute) {
  auto* found = Peek<Convolution>(handle);
  if (found == nullptr || length < 1 || pad == nullptr || stride == nullptr ||
      dilation == nullptr) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  if (length > CUDNN_DIM_MAX - 2) return CUDNN_STATUS_NOT_SUPPORTED;
  for (int i = 0; i < length; ++i) {
    if (pad[i] < 0 || stride[i] <= 0 || dilation[i] <= 0) return CUDNN_STATUS_BAD_PARAM;
  }
  found->pad.assign(pad, pad + length);
  found->stride.assign(stride, stride + length);
  found->dilation.assign(dilation, dilation + length);
  found->mode = mode;
  found->compute = compute;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetConvolutionNdDescriptor(const cudnnConvolutionDescriptor_t handle,
                                                          int requested, int* length, int pad[],
                                                          int stride[], int dilation[],
                                                          cudnnConvolutionMode_t* mode,
                                                          cudnnDataType_t* compute) {
  const auto* found = Peek<Convolution>(handle);
  if (found == nullptr || requested < 0 || length == nullptr) return CUDNN_STATUS_BAD_PARAM;
  if (requested > CUDNN_DIM_MAX - 2) return CUDNN_STATUS_NOT_SUPPORTED;
  *length = static_cast<int>(found->pad.size());
  for (int i = 0; i < std::min(requested, *length); ++i) {
    const auto at = static_cast<size_t>(i);
    if (pad != nullptr) pad[i] = found->pad[at];
    if (stride != nullptr) stride[i] = found->stride[at];
    if (dilation != nullptr) dilation[i] = found->dilation[at];
  }
  if (mode != nullptr) *mode = found->mode;
  if (compute != nullptr) *compute = found->compute;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t handle,
                                                          int pad_h, int pad_w, int u, int v,
                                                          int dilation_h, int dilation_w,
                                                          cudnnConvolutionMode_t mode,
                                                          cudnnDataType_t compute) {
  const int pad[] = {pad_h, pad_w};
  const int stride[] = {u, v};
  const int dilation[] = {dilation_h, dilation_w};
  return cudnnSetConvolutionNdDescriptor(handle, 2, pad, stride, dilation, mode, compute);
}

cudnnStatus_t CUDNNWINAPI cudnnGetConvolution2dDescriptor(const cudnnConvolutionDescriptor_t handle,
                                                          int* pad_h, int* pad_w, int* u, int* v,
                                                          int* dilation_h, int* dilation_w,
                                                          cudnnConvolutionMode_t* mode,
                                                          cudnnDataType_t* compute) {
  const auto* found = Peek<Convolution>(handle);
  if (found == nullptr || found->pad.size() != 2) return CUDNN_STATUS_BAD_PARAM;
  *pad_h = found->pad[0];
  *pad_w = found->pad[1];
  *u = found->stride[0];
  *v = found->stride[1];
  *dilation_h = found->dilation[0];
  *dilation_w = found->dilation[1];
  *mode = found->mode;
  *compute = found->compute;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetConvolutionNdForwardOutputDim(
    const cudnnConvolutionDescriptor_t handle, const cudnnTensorDescriptor_t x_handle,
    const cudnnFilterDescriptor_t w_handle, int count, int dim[]) {
  const auto* conv = Peek<Convolution>(handle);
  const auto* x = Peek<LegacyTensor>(x_handle);
  const auto* w = Peek<LegacyFilter>(w_handle);
  if (conv == nullptr || x == nullptr || w == nullptr || dim == nullptr) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  const std::vector<int> out = OutputDim(*conv, *x, *w);
  if (out.empty() || static_cast<size_t>(count) != out.size()) return CUDNN_STATUS_BAD_PARAM;
  std::copy(out.begin(), out.end(), dim);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetConvolution2dForwardOutputDim(
    const cudnnConvolutionDescriptor_t handle, const cudnnTensorDescriptor_t x,
    const cudnnFilterDescriptor_t w, int* n, int* c, int* h, int* width) {
  int dim[4] = {};
  const cudnnStatus_t status = cudnnGetConvolutionNdForwardOutputDim(handle, x, w, 4, dim);
  *n = dim[0];
  *c = dim[1];
  *h = dim[2];
  *width = dim[3];
  return status;
}

cudnnStatus_t CUDNNWINAPI cudnnGetConvolutionForwardAlgorithmMaxCount(cudnnHandle_t, int* count) {
  *count = 1;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t CUDNNWINAPI cudnnGetConvolutionBackwardDataAlgorithmMaxCount(cudnnHandle_t,
                                                                           int* count) {
  *count = 1;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t CUDNNWINAPI cudnnGetConvolutionBackwardFilterAlgorithmMaxCount(cudnnHandle_t,
                                                                             int* count) {
  *count = 1;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetConvolutionForwardAlgorithm_v7(
    cudnnHandle_t, const cudnnTensorDescriptor_t, const cudnnFilterDescriptor_t,
    const cudnnConvolutionDescriptor_t, const cudnnTensorDescriptor_t, const int requested,
    int* returned, cudnnConvolutionFwdAlgoPerf_t* results) {
  return OneAlgorithm(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, requested, returned,
                      results);
}
cudnnStatus_t CUDNNWINAPI cudnnFindConvolutionForwardAlgorithm(
    cudnnHandle_t, const cudnnTensorDescriptor_t, const cudnnFilterDescriptor_t,
    const cudnnConvolutionDescriptor_t, const cudnnTensorDescriptor_t, const int requested,
    int* returned, cudnnConvolutionFwdAlgoPerf_t* results) {
  return OneAlgorithm(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, requested, returned,
                      results);
}
cudnnStatus_t CUDNNWINAPI cudnnFindConvolutionForwardAlgorithmEx(
    cudnnHandle_t, const cudnnTensorDescriptor_t, const void*, const cudnnFilterDescriptor_t,
    const void*, const cudnnConvolutionDescriptor_t, const cudnnTensorDescriptor_t, void*,
    const int requested, int* returned, cudnnConvolutionFwdAlgoPerf_t* results, void*, size_t) {
  return OneAlgorithm(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, requested, returned,
                      results);
}
cudnnStatus_t CUDNNWINAPI cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t, const cudnnFilterDescriptor_t, const cudnnTensorDescriptor_t,
    const cudnnConvolutionDescriptor_t, const cudnnTensorDescriptor_t, const int requested,
    int* returned, cudnnConvolutionBwdDataAlgoPerf_t* results) {
  return OneAlgorithm(CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, requested, returned, results);
}
cudnnStatus_t CUDNNWINAPI cudnnFindConvolutionBackwardDataAlgorithm(
    cudnnHandle_t, const cudnnFilterDescriptor_t, const cudnnTensorDescriptor_t,
    const cudnnConvolutionDescriptor_t, const cudnnTensorDescriptor_t, const int requested,
    int* returned, cudnnConvolutionBwdDataAlgoPerf_t* results) {
  return OneAlgorithm(CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, requested, returned, results);
}
cudnnStatus_t CUDNNWINAPI cudnnFindConvolutionBackwardDataAlgorithmEx(
    cudnnHandle_t, const cudnnFilterDescriptor_t, const void*, const cudnnTensorDescriptor_t,
    const void*, const cudnnConvolutionDescriptor_t, const cudnnTensorDescriptor_t, void*,
    const int requested, int* returned, cudnnConvolutionBwdDataAlgoPerf_t* results, void*, size_t) {
  return OneAlgorithm(CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, requested, returned, results);
}
cudnnStatus_t CUDNNWINAPI cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t,
    const cudnnConvolutionDescriptor_t, const cudnnFilterDescriptor_t, const int requested,
    int* returned, cudnnConvolutionBwdFilterAlgoPerf_t* results) {
  return OneAlgorithm(CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, requested, returned, results);
}
cudnnStatus_t CUDNNWINAPI cudnnFindConvolutionBackwardFilterAlgorithm(
    cudnnHandle_t, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t,
    const cudnnConvolutionDescriptor_t, const cudnnFilterDescriptor_t, const int requested,
    int* returned, cudnnConvolutionBwdFilterAlgoPerf_t* results) {
  return OneAlgorithm(CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, requested, returned, results);
}
cudnnStatus_t CUDNNWINAPI cudnnFindConvolutionBackwardFilterAlgorithmEx(
    cudnnHandle_t, const cudnnTensorDescriptor_t, const void*, const cudnnTensorDescriptor_t,
    const void*, const cudnnConvolutionDescriptor_t, const cudnnFilterDescriptor_t, void*,
    const int requested, int* returned, cudnnConvolutionBwdFilterAlgoPerf_t* results, void*,
    size_t) {
  return OneAlgorithm(CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, requested, returned, results);
}

cudnnStatus_t CUDNNWINAPI cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t, const cudnnTensorDescriptor_t, const cudnnFilterDescriptor_t,
    const cudnnConvolutionDescriptor_t, const cudnnTensorDescriptor_t, cudnnConvolutionFwdAlgo_t,
    size_t* size) {
  return Workspace(size);
}
cudnnStatus_t CUDNNWINAPI cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t, const cudnnFilterDescriptor_t, const cudnnTensorDescriptor_t,
    const cudnnConvolutionDescriptor_t, const cudnnTensorDescriptor_t,
    cudnnConvolutionBwdDataAlgo_t, size_t* size) {
  return Workspace(size);
}
cudnnStatus_t CUDNNWINAPI cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t,
    const cudnnConvolutionDescriptor_t, const cudnnFilterDescriptor_t,
    cudnnConvolutionBwdFilterAlgo_t, size_t* size) {
  return Workspace(size);
}

cudnnStatus_t CUDNNWINAPI cudnnConvolutionForward(
    cudnnHandle_t handle, const void* alpha, const cudnnTensorDescriptor_t x_desc, const void* x,
    const cudnnFilterDescriptor_t w_desc, const void* w, const cudnnConvolutionDescriptor_t conv,
    cudnnConvolutionFwdAlgo_t, void*, size_t, const void* beta,
    const cudnnTensorDescriptor_t y_desc, void* y) {
  return Run({"cudnnConvolutionForward", "fprop", handle, x_desc, w_desc, y_desc, conv,
              alpha != nullptr && beta != nullptr && x != nullptr && w != nullptr && y != nullptr});
}

// The bias is one number a channel; z, added before the activation, is read once where its factor
// is not zero.
cudnnStatus_t CUDNNWINAPI cudnnConvolutionBiasActivationForward(
    cudnnHandle_t handle, const void* alpha1, const cudnnTensorDescriptor_t x_desc, const void* x,
    const cudnnFilterDescriptor_t w_desc, const void* w, const cudnnConvolutionDescriptor_t conv,
    cudnnConvolutionFwdAlgo_t, void*, size_t, const void* alpha2,
    const cudnnTensorDescriptor_t z_desc, const void* z, const cudnnTensorDescriptor_t bias_desc,
    const void* bias, const cudnnActivationDescriptor_t activation,
    const cudnnTensorDescriptor_t y_desc, void* y) {
  const auto* bias_tensor = Peek<LegacyTensor>(bias_desc);
  const auto* z_tensor = Peek<LegacyTensor>(z_desc);
  if (bias_tensor == nullptr || z_tensor == nullptr || activation == nullptr || bias == nullptr ||
      alpha2 == nullptr) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  uint64_t more = BytesOf(bias_tensor->type, bias_tensor->dim);
  if (*static_cast<const float*>(alpha2) != 0) more += BytesOf(z_tensor->type, z_tensor->dim);
  return Run(
      {"cudnnConvolutionBiasActivationForward", "fprop", handle, x_desc, w_desc, y_desc, conv,
       alpha1 != nullptr && x != nullptr && w != nullptr && y != nullptr && z != nullptr, more});
}

cudnnStatus_t CUDNNWINAPI cudnnConvolutionBackwardData(
    cudnnHandle_t handle, const void* alpha, const cudnnFilterDescriptor_t w_desc, const void* w,
    const cudnnTensorDescriptor_t dy_desc, const void* dy, const cudnnConvolutionDescriptor_t conv,
    cudnnConvolutionBwdDataAlgo_t, void*, size_t, const void* beta,
    const cudnnTensorDescriptor_t dx_desc, void* dx) {
  return Run(
      {"cudnnConvolutionBackwardData", "dgrad", handle, dx_desc, w_desc, dy_desc, conv,
       alpha != nullptr && beta != nullptr && dx != nullptr && w != nullptr && dy != nullptr});
}

cudnnStatus_t CUDNNWINAPI cudnnConvolutionBackwardFilter(
    cudnnHandle_t handle, const void* alpha, const cudnnTensorDescriptor_t x_desc, const void* x,
    const cudnnTensorDescriptor_t dy_desc, const void* dy, const cudnnConvolutionDescriptor_t conv,
    cudnnConvolutionBwdFilterAlgo_t, void*, size_t, const void* beta,
    const cudnnFilterDescriptor_t dw_desc, void* dw) {
  return Run(
      {"cudnnConvolutionBackwardFilter", "wgrad", handle, x_desc, dw_desc, dy_desc, conv,
       alpha != nullptr && beta != nullptr && x != nullptr && dw != nullptr && dy != nullptr});
}

// Sums only: no products to count.
cudnnStatus_t CUDNNWINAPI cudnnConvolutionBackwardBias(cudnnHandle_t handle, const void*,
                                                       const cudnnTensorDescriptor_t, const void*,
                                                       const void*, const cudnnTensorDescriptor_t,
                                                       void*) {
  return EnqueueKernel(handle, "cudnnConvolutionBackwardBias");
}

cudnnStatus_t CUDNNWINAPI cudnnReorderFilterAndBias(cudnnHandle_t handle,
                                                    const cudnnFilterDescriptor_t,
                                                    cudnnReorderType_t, const void*, void*, int,
                                                    const void*, void*) {
  return EnqueueKernel(handle, "cudnnReorderFilterAndBias");
}

cudnnStatus_t CUDNNWINAPI cudnnIm2Col(cudnnHandle_t handle, const cudnnTensorDescriptor_t,
                                      const void*, const cudnnFilterDescriptor_t,
                                      const cudnnConvolutionDescriptor_t, void*) {
  return EnqueueKernel(handle, "cudnnIm2Col");
}

}  // extern "C"
}  // namespace simgpu::cudnn
