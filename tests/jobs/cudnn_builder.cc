// See cudnn_builder.h.
#include "cudnn_builder.h"

#include <cstdlib>
#include <cstring>
#include <utility>

namespace jobs {
namespace {

size_t BytesOf(cudnnDataType_t type) {
  switch (type) {
    case CUDNN_DATA_HALF:
    case CUDNN_DATA_BFLOAT16:
      return 2;
    case CUDNN_DATA_INT64:
    case CUDNN_DATA_DOUBLE:
      return 8;
    case CUDNN_DATA_BOOLEAN:
    case CUDNN_DATA_INT8:
    case CUDNN_DATA_FP8_E4M3:
    case CUDNN_DATA_FP8_E5M2:
      return 1;
    default:
      return 4;
  }
}

int64_t Elements(const Dims& dim) {
  int64_t product = 1;
  for (const int64_t extent : dim) product *= extent;
  return product;
}

}  // namespace

Dims RowMajor(const Dims& dim) {
  Dims stride(dim.size());
  int64_t product = 1;
  for (size_t i = dim.size(); i-- > 0; product *= dim[i]) stride[i] = product;
  return stride;
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

Descriptor::~Descriptor() {
  if (handle_ != nullptr) cudnnBackendDestroyDescriptor(handle_);
}

Graph::~Graph() {
  for (auto& [uid, tensor] : tensors_) {
    if (tensor.on_device) {
      cudaFree(tensor.address);
    } else {
      std::free(tensor.address);
    }
  }
}

int64_t Graph::Add(const Dims& dim, cudnnDataType_t type, const Dims& stride, bool is_virtual,
                   bool by_value, int64_t ragged) {
  const auto uid = static_cast<int64_t>(tensors_.size()) + 1;
  Descriptor made(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  made.Set(CUDNN_ATTR_TENSOR_UNIQUE_ID, {uid});
  made.SetOne(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type);
  made.Set(CUDNN_ATTR_TENSOR_DIMENSIONS, dim);
  made.Set(CUDNN_ATTR_TENSOR_STRIDES, stride.empty() ? RowMajor(dim) : stride);
  made.Set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {16});
  made.SetOne(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, is_virtual);
  made.SetOne(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, by_value);
  if (ragged != 0) {
    made.Set(CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC, tensors_.at(ragged).descriptor);
  }
  tensors_.emplace(uid, Tensor{dim, nullptr, false, std::move(made).Finalized()});
  return uid;
}

int64_t Graph::Real(const Dims& dim, cudnnDataType_t type, const Dims& stride, int64_t ragged) {
  const int64_t uid = Add(dim, type, stride, false, false, ragged);
  Tensor& tensor = tensors_.at(uid);
  Check(cudaMalloc(&tensor.address, static_cast<size_t>(Elements(dim)) * BytesOf(type)));
  tensor.on_device = true;
  return uid;
}

int64_t Graph::Integers(const Dims& dim, const std::vector<int32_t>& values) {
  const int64_t uid = Real(dim, CUDNN_DATA_INT32);
  Check(cudaMemcpy(address(uid), values.data(), values.size() * sizeof(int32_t),
                   cudaMemcpyHostToDevice));
  return uid;
}

int64_t Graph::Virtual(const Dims& dim, cudnnDataType_t type, const Dims& stride) {
  return Add(dim, type, stride, true, false, 0);
}

int64_t Graph::AddScalar(cudnnDataType_t type, const void* value) {
  const int64_t uid = Add({1, 1, 1, 1}, type, {}, false, true, 0);
  void* copy = std::malloc(4);
  std::memcpy(copy, value, 4);
  tensors_.at(uid).address = copy;
  return uid;
}

int64_t Graph::Scalar(float value) { return AddScalar(CUDNN_DATA_FLOAT, &value); }
int64_t Graph::Scalar(int32_t value) { return AddScalar(CUDNN_DATA_INT32, &value); }

void Graph::Port(Descriptor* operation, cudnnBackendAttributeName_t name, int64_t uid) const {
  if (uid != 0) operation->Set(name, tensors_.at(uid).descriptor);
}

void Graph::Matmul(int64_t a, int64_t b, int64_t c, Overrides overrides) {
  Descriptor parameters(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  parameters.SetOne(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  parameters = std::move(parameters).Finalized();
  Descriptor operation(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  Port(&operation, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a);
  Port(&operation, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b);
  Port(&operation, CUDNN_ATTR_OPERATION_MATMUL_CDESC, c);
  Port(&operation, CUDNN_ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC, overrides.m);
  Port(&operation, CUDNN_ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC, overrides.n);
  Port(&operation, CUDNN_ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC, overrides.k);
  operation.Set(CUDNN_ATTR_OPERATION_MATMUL_DESC, parameters);
  operations_.push_back(std::move(operation).Finalized());
}

int64_t Graph::Pointwise(cudnnPointwiseMode_t mode, int64_t x, int64_t b, int64_t t, int64_t y,
                         cudnnDataType_t result, int64_t axis) {
  if (y == 0) y = Virtual(dim(x), result);
  Descriptor parameters(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  parameters.SetOne(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode);
  parameters.SetOne(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE,
                    result == CUDNN_DATA_BOOLEAN ? CUDNN_DATA_BOOLEAN : CUDNN_DATA_FLOAT);
  if (axis >= 0) parameters.Set(CUDNN_ATTR_POINTWISE_AXIS, {axis});
  parameters = std::move(parameters).Finalized();
  Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.Set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, parameters);
  Port(&operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  Port(&operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
  Port(&operation, CUDNN_ATTR_OPERATION_POINTWISE_TDESC, t);
  Port(&operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  operations_.push_back(std::move(operation).Finalized());
  return y;
}

void Graph::Reduce(cudnnReduceTensorOp_t how, int64_t x, int64_t y) {
  Descriptor parameters(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  parameters.SetOne(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, how);
  parameters.SetOne(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  parameters.SetOne(CUDNN_ATTR_REDUCTION_IS_DETERMINISTIC, CUDNN_TYPE_BOOLEAN, false);
  parameters = std::move(parameters).Finalized();
  Descriptor operation(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  Port(&operation, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x);
  Port(&operation, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y);
  operation.Set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, parameters);
  operations_.push_back(std::move(operation).Finalized());
}

void Graph::Operation(cudnnBackendDescriptorType_t kind,
                      const std::map<cudnnBackendAttributeName_t, int64_t>& tensors) {
  Descriptor operation(kind);
  for (const auto& [name, uid] : tensors) Port(&operation, name, uid);
  operations_.push_back(std::move(operation).Finalized());
}

void Graph::Reshape(int64_t x, int64_t y) {
  Operation(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR,
            {{CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x}, {CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y}});
}

void Graph::Bernoulli(double probability, int64_t seed, int64_t offset, int64_t y) {
  Descriptor parameters(CUDNN_BACKEND_RNG_DESCRIPTOR);
  parameters.SetOne(CUDNN_ATTR_RNG_DISTRIBUTION, CUDNN_TYPE_RNG_DISTRIBUTION,
                    CUDNN_RNG_DISTRIBUTION_BERNOULLI);
  parameters.SetOne(CUDNN_ATTR_RNG_BERNOULLI_DIST_PROBABILITY, CUDNN_TYPE_DOUBLE, probability);
  parameters = std::move(parameters).Finalized();
  Descriptor operation(CUDNN_BACKEND_OPERATION_RNG_DESCRIPTOR);
  Port(&operation, CUDNN_ATTR_OPERATION_RNG_YDESC, y);
  Port(&operation, CUDNN_ATTR_OPERATION_RNG_SEED, seed);
  Port(&operation, CUDNN_ATTR_OPERATION_RNG_OFFSET_DESC, offset);
  operation.Set(CUDNN_ATTR_OPERATION_RNG_DESC, parameters);
  operations_.push_back(std::move(operation).Finalized());
}

void Graph::Convolve(cudnnBackendDescriptorType_t kind, int64_t x, int64_t w, int64_t y,
                     const Convolution& convolution) {
  Descriptor parameters(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  parameters.SetOne(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  parameters.SetOne(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
                    CUDNN_CROSS_CORRELATION);
  parameters.Set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS,
                 {static_cast<int64_t>(convolution.pad.size())});
  parameters.Set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, convolution.pad);
  parameters.Set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, convolution.pad);
  parameters.Set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, convolution.stride);
  parameters.Set(CUDNN_ATTR_CONVOLUTION_DILATIONS, convolution.dilation);
  parameters = std::move(parameters).Finalized();
  Descriptor operation(kind);
  const auto set = [&](cudnnBackendAttributeName_t conv, cudnnBackendAttributeName_t alpha,
                       cudnnBackendAttributeName_t beta, cudnnBackendAttributeName_t x_name,
                       cudnnBackendAttributeName_t w_name, cudnnBackendAttributeName_t y_name) {
    operation.Set(conv, parameters);
    operation.SetOne(alpha, CUDNN_TYPE_FLOAT, 1.0F);
    operation.SetOne(beta, CUDNN_TYPE_FLOAT, 0.0F);
    Port(&operation, x_name, x);
    Port(&operation, w_name, w);
    Port(&operation, y_name, y);
  };
  if (kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR) {
    set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
  } else if (kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR) {
    set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY);
  } else {
    set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY);
  }
  operations_.push_back(std::move(operation).Finalized());
}

void Graph::Moe(int64_t token, int64_t weight, int64_t offsets, int64_t output) {
  Descriptor operation(CUDNN_BACKEND_OPERATION_MOE_GROUPED_MATMUL_DESCRIPTOR);
  operation.SetOne(CUDNN_ATTR_OPERATION_MOE_GROUPED_MATMUL_MODE, CUDNN_TYPE_MOE_GROUPED_MATMUL_MODE,
                   CUDNN_MOE_GROUPED_MATMUL_MODE_NONE);
  operation.SetOne(CUDNN_ATTR_OPERATION_MOE_GROUPED_MATMUL_MATH_PREC, CUDNN_TYPE_DATA_TYPE,
                   CUDNN_DATA_FLOAT);
  Port(&operation, CUDNN_ATTR_OPERATION_MOE_GROUPED_MATMUL_TOKEN_DESC, token);
  Port(&operation, CUDNN_ATTR_OPERATION_MOE_GROUPED_MATMUL_WEIGHT_DESC, weight);
  Port(&operation, CUDNN_ATTR_OPERATION_MOE_GROUPED_MATMUL_FIRST_TOKEN_OFFSET_DESC, offsets);
  Port(&operation, CUDNN_ATTR_OPERATION_MOE_GROUPED_MATMUL_OUTPUT_DESC, output);
  operations_.push_back(std::move(operation).Finalized());
}

void Graph::ForDevice(const std::string& properties) {
  Descriptor device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  device.Set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
             std::vector<char>(properties.begin(), properties.end()));
  device_.clear();
  device_.push_back(std::move(device).Finalized());
}

void Graph::SetPlace(Descriptor* descriptor, cudnnBackendAttributeName_t handle,
                     cudnnBackendAttributeName_t device) const {
  if (device_.empty()) {
    descriptor->SetOne(handle, CUDNN_TYPE_HANDLE, handle_);
  } else {
    descriptor->Set(device, device_[0]);
  }
}

void Graph::Build() {
  if (!TryBuild()) Check(CUDNN_STATUS_NOT_SUPPORTED);
}

// The first of the proposed configurations that makes a plan.
bool Graph::TryBuild() {
  std::vector<cudnnBackendDescriptor_t> operations;
  for (const Descriptor& operation : operations_) operations.push_back(operation.get());
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.Set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, operations);
  if (device_.empty()) graph.SetOne(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle_);
  graph = std::move(graph).Finalized();
  Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.Set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristic.SetOne(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
  if (!device_.empty()) heuristic.Set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device_[0]);
  heuristic = std::move(heuristic).Finalized();
  int64_t count = 0;
  Check(cudnnBackendGetAttribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr));
  std::vector<Descriptor> configs;
  std::vector<cudnnBackendDescriptor_t> handles;
  for (int64_t i = 0; i < count; ++i) {
    configs.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    handles.push_back(configs.back().get());
  }
  Check(cudnnBackendGetAttribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count, handles.data()));
  for (int64_t i = 0; i < count; ++i) {
    Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    SetPlace(&plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
    plan.Set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configs[static_cast<size_t>(i)]);
    if (cudnnBackendFinalize(plan.get()) != CUDNN_STATUS_SUCCESS) continue;
    plan_.clear();
    plan_.push_back(std::move(plan));
    return true;
  }
  return false;
}

std::string Graph::Serialize() const {
  int64_t bytes = 0;
  Check(cudnnBackendGetAttribute(plan_.at(0).get(), CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                 CUDNN_TYPE_CHAR, 0, &bytes, nullptr));
  std::string text(static_cast<size_t>(bytes), '\0');
  Check(cudnnBackendGetAttribute(plan_.at(0).get(), CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                 CUDNN_TYPE_CHAR, bytes, &bytes, text.data()));
  return text;
}

void Graph::Deserialize(const std::string& text) {
  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  SetPlace(&plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
  plan.Set(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
           std::vector<char>(text.begin(), text.end()));
  plan_.clear();
  plan_.push_back(std::move(plan).Finalized());
}

void Graph::Override(int64_t uid, const Dims& dim) { overrides_[uid] = dim; }

// All that has memory, in the order of the uids; shapes and strides as cudnn-frontend hands them
// over, by the address of a vector of vectors.
Descriptor Graph::VariantPack(int64_t missing) const {
  std::vector<int64_t> uids;
  std::vector<void*> pointers;
  for (const auto& [uid, tensor] : tensors_) {
    if (tensor.address == nullptr || uid == missing) continue;
    uids.push_back(uid);
    pointers.push_back(tensor.address);
  }
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.SetOne<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, nullptr);
  pack.Set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers);
  pack.Set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, uids);
  if (!overrides_.empty()) {
    std::vector<int64_t> changed;
    std::vector<Dims> shapes, strides;
    for (const auto& [uid, shape] : overrides_) {
      changed.push_back(uid);
      shapes.push_back(shape);
      strides.push_back(RowMajor(shape));
    }
    pack.Set(CUDNN_ATTR_VARIANT_PACK_OVERRIDE_UNIQUE_IDS, changed);
    Check(cudnnBackendSetAttribute(pack.get(), CUDNN_ATTR_VARIANT_PACK_OVERRIDE_SHAPES,
                                   CUDNN_TYPE_VOID_PTR, 1, &shapes));
    Check(cudnnBackendSetAttribute(pack.get(), CUDNN_ATTR_VARIANT_PACK_OVERRIDE_STRIDES,
                                   CUDNN_TYPE_VOID_PTR, 1, &strides));
  }
  return std::move(pack).Finalized();
}

cudnnStatus_t Graph::Run() const { return RunWithout(0); }

cudnnStatus_t Graph::RunWithout(int64_t missing) const {
  const Descriptor pack = VariantPack(missing);
  return cudnnBackendExecute(handle_, plan_.at(0).get(), pack.get());
}

void Graph::Populate(cudaGraph_t graph) const {
  const Descriptor pack = VariantPack();
  Check(cudnnBackendPopulateCudaGraph(handle_, plan_.at(0).get(), pack.get(), graph));
}

void Graph::Update(cudaGraph_t graph) const {
  const Descriptor pack = VariantPack();
  Check(cudnnBackendUpdateCudaGraph(handle_, plan_.at(0).get(), pack.get(), graph));
}

}  // namespace jobs
