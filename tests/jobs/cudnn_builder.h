// A cuDNN operation graph built by the backend API's own calls, in the order in which
// cudnn-frontend and PyTorch make them: tensors, operations, the graph, heuristics, a plan, a
// variant pack.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "check.h"

namespace jobs {

inline void Check(cudnnStatus_t status, std::source_location w = std::source_location::current()) {
  if (status != CUDNN_STATUS_SUCCESS) Fail("cudnn", cudnnGetErrorString(status), w);
}

// Destroyed with the graph that made it.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t kind) {
    Check(cudnnBackendCreateDescriptor(kind, &handle_));
  }
  Descriptor(Descriptor&& other) noexcept : handle_(other.handle_) { other.handle_ = nullptr; }
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  template <typename T>
  void Set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
           const std::vector<T>& values) {
    Check(cudnnBackendSetAttribute(handle_, name, type, static_cast<int64_t>(values.size()),
                                   values.data()));
  }
  void Set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values) {
    Set(name, CUDNN_TYPE_INT64, values);
  }
  void Set(cudnnBackendAttributeName_t name, const Descriptor& child) {
    Set<cudnnBackendDescriptor_t>(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, {child.handle_});
  }
  template <typename T>
  void SetOne(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, T value) {
    Check(cudnnBackendSetAttribute(handle_, name, type, 1, &value));
  }
  Descriptor&& Finalized() && {
    Check(cudnnBackendFinalize(handle_));
    return static_cast<Descriptor&&>(*this);
  }
  cudnnBackendDescriptor_t get() const { return handle_; }

 private:
  cudnnBackendDescriptor_t handle_ = nullptr;
};

using Dims = std::vector<int64_t>;
Dims RowMajor(const Dims& dim);

struct Convolution {
  Dims pad, stride, dilation;
};

// Lengths that a product takes from the device; 0: none.
struct Overrides {
  int64_t m = 0, n = 0, k = 0;
};

class Graph {
 public:
  explicit Graph(cudnnHandle_t handle, cudnnDataType_t type = CUDNN_DATA_BFLOAT16)
      : handle_(handle), type_(type) {}
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Tensors, by the uid they get. Real ones have device memory of their own.
  int64_t Real(const Dims& dim) { return Real(dim, type_); }
  int64_t Real(const Dims& dim, cudnnDataType_t type, const Dims& stride = {}, int64_t ragged = 0);
  int64_t Integers(const Dims& dim, const std::vector<int32_t>& values);
  int64_t Virtual(const Dims& dim, cudnnDataType_t type = CUDNN_DATA_FLOAT,
                  const Dims& stride = {});
  int64_t Scalar(float value);
  int64_t Scalar(int32_t value);

  // Operations. Where a result is 0, a virtual one of x's shape is made and given back.
  void Matmul(int64_t a, int64_t b, int64_t c, Overrides overrides = {});
  int64_t Pointwise(cudnnPointwiseMode_t mode, int64_t x, int64_t b = 0, int64_t t = 0,
                    int64_t y = 0, cudnnDataType_t result = CUDNN_DATA_FLOAT, int64_t axis = -1);
  void Reduce(cudnnReduceTensorOp_t how, int64_t x, int64_t y);
  void Reshape(int64_t x, int64_t y);
  void Bernoulli(double probability, int64_t seed, int64_t offset, int64_t y);
  // kind: CUDNN_BACKEND_OPERATION_CONVOLUTION_..._DESCRIPTOR.
  void Convolve(cudnnBackendDescriptorType_t kind, int64_t x, int64_t w, int64_t y,
                const Convolution& convolution);
  // Any operation whose attributes are all tensors.
  void Operation(cudnnBackendDescriptorType_t kind,
                 const std::map<cudnnBackendAttributeName_t, int64_t>& tensors);
  void Moe(int64_t token, int64_t weight, int64_t offsets, int64_t output);

  // For a device that is told by its properties, as JSON, in place of a handle's; before Build and
  // Deserialize. Such a plan cannot run here.
  void ForDevice(const std::string& properties);
  void Build();
  // False where no configuration makes a plan.
  bool TryBuild();
  // The plan's JSON, and a plan made of such a text in place of building one.
  std::string Serialize() const;
  void Deserialize(const std::string& text);
  // Shapes that replace those of building, for the next executions.
  void Override(int64_t uid, const Dims& dim);

  void Execute() { Check(Run()); }
  cudnnStatus_t Run() const;
  // As Run, with no address for `missing`.
  cudnnStatus_t RunWithout(int64_t missing) const;
  void Populate(cudaGraph_t graph) const;
  void Update(cudaGraph_t graph) const;

  cudnnBackendDescriptor_t plan() const { return plan_.at(0).get(); }
  const Dims& dim(int64_t uid) const { return tensors_.at(uid).dim; }
  cudnnDataType_t type() const { return type_; }
  // Data that another graph made, for a tensor of the same uid.
  void* address(int64_t uid) const { return tensors_.at(uid).address; }

 private:
  struct Tensor {
    Dims dim;
    void* address = nullptr;  // of the device or, for scalars, of the host
    bool on_device = false;
    Descriptor descriptor;
  };
  int64_t Add(const Dims& dim, cudnnDataType_t type, const Dims& stride, bool is_virtual,
              bool by_value, int64_t ragged);
  int64_t AddScalar(cudnnDataType_t type, const void* value);
  void Port(Descriptor* operation, cudnnBackendAttributeName_t name, int64_t uid) const;
  Descriptor VariantPack(int64_t missing = 0) const;
  // A handle or a device, whichever there is.
  void SetPlace(Descriptor* descriptor, cudnnBackendAttributeName_t handle,
                cudnnBackendAttributeName_t device) const;

  cudnnHandle_t handle_;
  cudnnDataType_t type_;
  std::map<int64_t, Tensor> tensors_;
  std::vector<Descriptor> operations_;
  std::vector<Descriptor> plan_;    // empty until built
  std::vector<Descriptor> device_;  // at most one
  std::map<int64_t, Dims> overrides_;
};

}  // namespace jobs
