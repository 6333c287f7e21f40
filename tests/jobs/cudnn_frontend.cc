// The same kinds of graphs through NVIDIA's header-only cudnn-frontend, where its headers are
// installed. It finds cuDNN and the runtime by dlopen and dlsym, as the Python package does.
#include <cudnn_frontend.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <unordered_map>
#include <vector>

#include "check.h"

namespace fe = cudnn_frontend;

namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;  // the headers declare it for the program to set
}  // namespace cudnn_frontend

namespace {

using jobs::Check;
using Attributes = fe::graph::Tensor_attributes;
using Tensor = std::shared_ptr<Attributes>;
using Dims = std::vector<int64_t>;

void Check(fe::error_t error, std::source_location where = std::source_location::current()) {
  if (!error.is_good()) jobs::Fail("cudnn-frontend", error.get_message().c_str(), where);
}

// A graph with device memory for each tensor that is read or written.
class Graph {
 public:
  explicit Graph(cudnnHandle_t handle) : handle_(handle) {
    graph_.set_io_data_type(fe::DataType_t::BFLOAT16)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
  }
  fe::graph::Graph* operator->() { return &graph_; }

  Tensor Input(const Dims& dim, fe::DataType_t type = fe::DataType_t::BFLOAT16,
               const std::vector<int32_t>& values = {}) {
    Tensor tensor = graph_.tensor(
        Attributes().set_uid(++uid_).set_dim(dim).set_stride(RowMajor(dim)).set_data_type(type));
    Allocate(values);
    return tensor;
  }
  void Output(const Tensor& tensor, const Dims& dim,
              fe::DataType_t type = fe::DataType_t::BFLOAT16) {
    tensor->set_uid(++uid_)
        .set_output(true)
        .set_dim(dim)
        .set_stride(RowMajor(dim))
        .set_data_type(type);
    Allocate({});
  }
  void Run() {
    Check(graph_.build(handle_, {fe::HeurMode_t::A}));
    int64_t bytes = 0;
    Check(graph_.get_workspace_size(bytes));
    void* workspace = nullptr;
    Check(cudaMalloc(&workspace, static_cast<size_t>(bytes) + 1));
    Check(graph_.execute(handle_, memory_, workspace));
    Check(cudaDeviceSynchronize());
    Check(cudaFree(workspace));
    for (const auto& [uid, address] : memory_) Check(cudaFree(address));
  }

 private:
  static Dims RowMajor(const Dims& dim) {
    Dims stride(dim.size());
    int64_t product = 1;
    for (size_t i = dim.size(); i-- > 0; product *= dim[i]) stride[i] = product;
    return stride;
  }
  void Allocate(const std::vector<int32_t>& values) {
    void* address = nullptr;
    Check(cudaMalloc(&address, 1 << 20));
    Check(cudaMemcpy(address, values.data(), values.size() * sizeof(int32_t),
                     cudaMemcpyHostToDevice));
    memory_[uid_] = address;
  }

  cudnnHandle_t handle_;
  fe::graph::Graph graph_;
  int64_t uid_ = 0;
  std::unordered_map<int64_t, void*> memory_;
};

void Convolve(cudnnHandle_t handle) {
  Graph graph(handle);
  const Tensor x = graph.Input({2, 24, 20, 18});
  const Tensor w = graph.Input({40, 24, 3, 5});
  const Tensor y = graph->conv_fprop(
      x, w,
      fe::graph::Conv_fprop_attributes().set_padding({1, 2}).set_stride({2, 1}).set_dilation(
          {1, 1}));
  graph.Output(y, {2, 40, 10, 18});
  graph.Run();
}

void Multiply(cudnnHandle_t handle) {
  Graph graph(handle);
  const Tensor a = graph.Input({3, 64, 96});
  const Tensor b = graph.Input({3, 96, 80});
  graph.Output(graph->matmul(a, b, fe::graph::Matmul_attributes()), {3, 64, 80});
  graph.Run();
}

constexpr int64_t kB = 2, kHq = 12, kHk = 3, kSq = 40, kSk = 56, kQk = 24, kV = 16;

template <typename Options>
void Mask(Graph* graph, Options* options, bool padding, bool bottom_right) {
  options->set_attn_scale(0.2F);
  if (bottom_right) {
    options->set_causal_mask_bottom_right(true);
  } else {
    options->set_causal_mask(true);
  }
  if (!padding) return;
  options->set_padding_mask(true)
      .set_seq_len_q(graph->Input({kB, 1, 1, 1}, fe::DataType_t::INT32, {33, 38}))
      .set_seq_len_kv(graph->Input({kB, 1, 1, 1}, fe::DataType_t::INT32, {47, 52}));
}

void Attend(cudnnHandle_t handle, bool padding, bool bottom_right) {
  Graph graph(handle);
  const Tensor q = graph.Input({kB, kHq, kSq, kQk});
  const Tensor k = graph.Input({kB, kHk, kSk, kQk});
  const Tensor v = graph.Input({kB, kHk, kSk, kV});
  auto options = fe::graph::SDPA_attributes().set_generate_stats(true);
  Mask(&graph, &options, padding, bottom_right);
  auto [o, stats] = graph->sdpa(q, k, v, options);
  graph.Output(o, {kB, kHq, kSq, kV});
  graph.Output(stats, {kB, kHq, kSq, 1}, fe::DataType_t::FLOAT);
  graph.Run();
}

void AttendBackward(cudnnHandle_t handle, bool padding, bool bottom_right) {
  Graph graph(handle);
  const Tensor q = graph.Input({kB, kHq, kSq, kQk});
  const Tensor k = graph.Input({kB, kHk, kSk, kQk});
  const Tensor v = graph.Input({kB, kHk, kSk, kV});
  const Tensor o = graph.Input({kB, kHq, kSq, kV});
  const Tensor d_o = graph.Input({kB, kHq, kSq, kV});
  const Tensor stats = graph.Input({kB, kHq, kSq, 1}, fe::DataType_t::FLOAT);
  auto options = fe::graph::SDPA_backward_attributes();
  Mask(&graph, &options, padding, bottom_right);
  auto [dq, dk, dv] = graph->sdpa_backward(q, k, v, o, d_o, stats, options);
  graph.Output(dq, {kB, kHq, kSq, kQk});
  graph.Output(dk, {kB, kHk, kSk, kQk});
  graph.Output(dv, {kB, kHk, kSk, kV});
  graph.Run();
}

}  // namespace

int main() {
  fe::cudnn_dlhandle = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);
  if (fe::cudnn_dlhandle == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  cudnnHandle_t handle = nullptr;
  if (fe::detail::create_handle(&handle) != CUDNN_STATUS_SUCCESS) return 1;
  Convolve(handle);
  Multiply(handle);
  for (const bool padding : {false, true}) {
    for (const bool bottom_right : {false, true}) {
      Attend(handle, padding, bottom_right);
      AttendBackward(handle, padding, bottom_right);
    }
  }
  fe::detail::destroy_handle(handle);
  return 0;
}
