// Reads convolutions and recurrent networks of cuDNN's older interface from their descriptors, with
// the public Get functions of the library that is being called; they need no GPU.
#include "interpose/observe_cudnn_legacy.h"

#include <cudnn.h>

#include "interpose/cudnn_handle.h"
#include "interpose/cudnn_legacy.h"
#include "interpose/entry_points.h"
#include "interpose/memory.h"
#include "interpose/observe_types.h"

namespace mfutrace::interpose::observe {
namespace {

using shapes::ConvDirection;
using shapes::Convolution;
using shapes::Dtype;

constexpr int kMaxDims = 5;  // batch, channels, three of space
constexpr int kMaxSpace = kMaxDims - 2;

struct Dims {
  int count = 0;
  int sizes[CUDNN_DIM_MAX] = {};
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
};

// Sizes come as batch, channels, space whatever the order in memory.
bool ReadTensor(const VendorLibrary& library, Pointer tensor, Dims* dims) {
  const auto get = MFU_CUDNN_GETTER(library, cudnnGetTensorNdDescriptor);
  int strides[CUDNN_DIM_MAX];
  return get != nullptr && tensor != nullptr &&
         get(As<cudnnTensorDescriptor_t>(tensor), CUDNN_DIM_MAX, &dims->type, &dims->count,
             dims->sizes, strides) == CUDNN_STATUS_SUCCESS;
}

// Sizes come as output channels, input channels of a group, space; also of NHWC filters.
bool ReadFilter(const VendorLibrary& library, Pointer filter, Dims* dims) {
  const auto get = MFU_CUDNN_GETTER(library, cudnnGetFilterNdDescriptor);
  cudnnTensorFormat_t format;
  return get != nullptr && filter != nullptr &&
         get(As<cudnnFilterDescriptor_t>(filter), CUDNN_DIM_MAX, &dims->type, &format, &dims->count,
             dims->sizes) == CUDNN_STATUS_SUCCESS;
}

struct Walk {
  int count = 0;
  int pads[CUDNN_DIM_MAX] = {};
  int strides[CUDNN_DIM_MAX] = {};
  int dilations[CUDNN_DIM_MAX] = {};
  int groups = 1;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
};

bool ReadWalk(const VendorLibrary& library, Pointer pointer, Walk* walk) {
  const auto get = MFU_CUDNN_GETTER(library, cudnnGetConvolutionNdDescriptor);
  const auto get_groups = MFU_CUDNN_GETTER(library, cudnnGetConvolutionGroupCount);
  const auto get_math = MFU_CUDNN_GETTER(library, cudnnGetConvolutionMathType);
  if (get == nullptr || get_groups == nullptr || get_math == nullptr || pointer == nullptr) {
    return false;
  }
  const auto descriptor = As<cudnnConvolutionDescriptor_t>(pointer);
  cudnnConvolutionMode_t mode;
  cudnnDataType_t compute;
  return get(descriptor, CUDNN_DIM_MAX - 2, &walk->count, walk->pads, walk->strides,
             walk->dilations, &mode, &compute) == CUDNN_STATUS_SUCCESS &&
         get_groups(descriptor, &walk->groups) == CUDNN_STATUS_SUCCESS &&
         get_math(descriptor, &walk->math) == CUDNN_STATUS_SUCCESS;
}

uint64_t Unsigned(int value) { return value < 0 ? 0 : static_cast<uint64_t>(value); }

// The output size that cuDNN documents (cudnnGetConvolutionNdForwardOutputDim).
int64_t OutputSize(int64_t in, int64_t filter, int64_t pad, int64_t stride, int64_t dilation) {
  if (stride <= 0) return -1;
  return 1 + (in + 2 * pad - ((filter - 1) * dilation + 1)) / stride;
}

}  // namespace

Dtype ArithmeticOfCudnn(int type, int math) {
  const Dtype dtype = DtypeOfCudnn(type);
  const bool may_be_tf32 = dtype == Dtype::kF32 && math != CUDNN_FMA_MATH && AllowsTf32();
  return may_be_tf32 ? Dtype::kTf32 : dtype;
}

void BeginOnCudnn(HookedCall& call, Pointer handle, uint32_t signature) {
  void* stream = nullptr;
  if (CudnnStreamOf(*call.library, handle, &stream)) {
    Begin(call, signature, stream);
  } else {
    BeginUntimed(call, signature);
  }
}

bool ReadConvolution(const VendorLibrary& library, const ConvolutionArguments& arguments,
                     Convolution* convolution) {
  Dims x;
  Dims w;
  Dims y;
  Walk walk;
  if (!ReadTensor(library, arguments.x, &x) || !ReadFilter(library, arguments.w, &w) ||
      !ReadTensor(library, arguments.y, &y) || !ReadWalk(library, arguments.convolution, &walk)) {
    return false;
  }
  const int space = x.count - 2;
  if (space < 1 || space > kMaxSpace || w.count != x.count || y.count != x.count ||
      walk.count != space || walk.groups < 1) {
    return false;
  }
  // Sizes that do not fit each other mean something that is not known here.
  if (x.sizes[0] != y.sizes[0] || y.sizes[1] != w.sizes[0] ||
      int64_t{w.sizes[1]} * walk.groups != x.sizes[1]) {
    return false;
  }
  *convolution = {};
  convolution->batch = Unsigned(x.sizes[0]);
  convolution->c_in = Unsigned(x.sizes[1]);
  convolution->c_out = Unsigned(y.sizes[1]);
  convolution->groups = Unsigned(walk.groups);
  for (int i = 0; i < space; ++i) {
    const int in = x.sizes[i + 2];
    const int filter = w.sizes[i + 2];
    const int out = y.sizes[i + 2];
    if (out != OutputSize(in, filter, walk.pads[i], walk.strides[i], walk.dilations[i])) {
      return false;
    }
    const auto at = static_cast<size_t>(i);
    convolution->in[at] = Unsigned(in);
    convolution->filter[at] = Unsigned(filter);
    convolution->out[at] = Unsigned(out);
  }
  const Dims& operand = arguments.direction == ConvDirection::kDataGradient ? y : x;
  convolution->dtype = ArithmeticOfCudnn(operand.type, walk.math);
  convolution->direction = arguments.direction;
  return true;
}

void ObserveConvolution(HookedCall& call, Pointer handle, const ConvolutionArguments& arguments) {
  Convolution convolution;
  const bool is_known = ReadConvolution(*call.library, arguments, &convolution);
  BeginOnCudnn(call, handle,
               is_known ? InternConvolution(convolution, call.entry, shapes::Provenance::kExact)
                        : InternOpaque(call.entry, "descriptors not readable"));
}

void CudnnConvolution::Before(HookedCall& call, Pointer handle, Pointer, Pointer first, Pointer,
                              Pointer second, Pointer, Pointer convolution, int, Pointer, int64_t,
                              Pointer, Pointer third, Pointer) {
  ConvolutionArguments arguments = {first, second, third, convolution};
  if (call.entry == Entry::k_cudnnConvolutionBackwardData) {
    arguments = {third, first, second, convolution, ConvDirection::kDataGradient};
  } else if (call.entry == Entry::k_cudnnConvolutionBackwardFilter) {
    arguments = {first, third, second, convolution, ConvDirection::kFilterGradient};
  }
  ObserveConvolution(call, handle, arguments);
}

void ObserveCudnnOpaque(HookedCall& call, Pointer handle, const char* reason) {
  BeginOnCudnn(call, handle, InternOpaque(call.entry, reason));
}

bool ReadRnn(const VendorLibrary& library, const RnnArguments& arguments, shapes::Rnn* rnn) {
  const auto get = MFU_CUDNN_GETTER(library, cudnnGetRNNDescriptor_v8);
  const auto get_data = MFU_CUDNN_GETTER(library, cudnnGetRNNDataDescriptor);
  if (get == nullptr || get_data == nullptr || arguments.network == nullptr ||
      arguments.data == nullptr) {
    return false;
  }
  cudnnRNNAlgo_t algorithm;
  cudnnRNNMode_t cell;
  cudnnRNNBiasMode_t bias;
  cudnnDirectionMode_t direction;
  cudnnRNNInputMode_t input;
  cudnnDataType_t type;
  cudnnDataType_t precision;
  cudnnMathType_t math;
  int32_t input_size = 0;
  int32_t hidden_size = 0;
  int32_t projection_size = 0;
  int32_t layers = 0;
  cudnnDropoutDescriptor_t dropout;
  uint32_t flags = 0;
  if (get(As<cudnnRNNDescriptor_t>(arguments.network), &algorithm, &cell, &bias, &direction, &input,
          &type, &precision, &math, &input_size, &hidden_size, &projection_size, &layers, &dropout,
          &flags) != CUDNN_STATUS_SUCCESS) {
    return false;
  }
  const auto data = As<cudnnRNNDataDescriptor_t>(arguments.data);
  cudnnDataType_t data_type;
  cudnnRNNDataLayout_t layout;
  int longest = 0;
  int batch = 0;
  int width = 0;
  double fill = 0;
  HostLengths lengths;
  if (get_data(data, &data_type, &layout, &longest, &batch, &width, HostLengths::kOnStack,
               lengths.few(), &fill) != CUDNN_STATUS_SUCCESS ||
      batch < 0 || !lengths.Fit(static_cast<uint32_t>(batch))) {
    return false;
  }
  if (batch > HostLengths::kOnStack &&
      get_data(data, &data_type, &layout, &longest, &batch, &width, batch, lengths.data(), &fill) !=
          CUDNN_STATUS_SUCCESS) {
    return false;
  }
  constexpr shapes::RnnCell kCells[] = {shapes::RnnCell::kVanilla, shapes::RnnCell::kVanilla,
                                        shapes::RnnCell::kLstm, shapes::RnnCell::kGru};
  if (static_cast<size_t>(cell) >= sizeof(kCells) / sizeof(kCells[0])) return false;
  *rnn = {};
  for (int i = 0; i < batch; ++i) rnn->steps += Unsigned(lengths.data()[i]);
  rnn->input_size = Unsigned(input_size);
  rnn->hidden_size = Unsigned(hidden_size);
  // As wide as the hidden state: there is none (cudnnSetRNNDescriptor_v8).
  rnn->projection_size = projection_size < hidden_size ? Unsigned(projection_size) : 0;
  rnn->layers = static_cast<uint32_t>(layers);
  rnn->directions = direction == CUDNN_BIDIRECTIONAL ? 2 : 1;
  rnn->dtype = ArithmeticOfCudnn(type, math);
  rnn->cell = kCells[cell];
  rnn->pass = arguments.pass;
  rnn->skips_input = input == CUDNN_SKIP_INPUT;
  return true;
}

void ObserveRnn(HookedCall& call, Pointer handle, const RnnArguments& arguments) {
  shapes::Rnn rnn;
  const bool is_known = ReadRnn(*call.library, arguments, &rnn);
  BeginOnCudnn(call, handle,
               is_known ? InternRnn(rnn, call.entry, shapes::Provenance::kExact)
                        : InternOpaque(call.entry, "descriptors not readable"));
}

}  // namespace mfutrace::interpose::observe
