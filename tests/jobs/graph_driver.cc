// A CUDA graph made with the driver API, as XLA does it: products captured as a child of a graph
// that is built node by node.
//
// usage: graph_driver linked|lookup [REPLAYS]. The functions come from the linker, or from
// dlsym and cuGetProcAddress.
#include <cublas_v2.h>
#include <cuda.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "check.h"

namespace {

void Check(CUresult status) {
  if (status == CUDA_SUCCESS) return;
  std::fprintf(stderr, "driver: status %d\n", static_cast<int>(status));
  std::exit(1);
}

#define USED(X)                   \
  X(cuInit)                       \
  X(cuDevicePrimaryCtxRetain)     \
  X(cuCtxSetCurrent)              \
  X(cuStreamCreate)               \
  X(cuMemAlloc)                   \
  X(cuStreamBeginCapture)         \
  X(cuStreamEndCapture)           \
  X(cuGraphCreate)                \
  X(cuGraphAddNode)               \
  X(cuGraphAddChildGraphNode)     \
  X(cuGraphInstantiate)           \
  X(cuGraphInstantiateWithParams) \
  X(cuGraphExecUpdate)            \
  X(cuGraphLaunch)                \
  X(cuGraphExecDestroy)           \
  X(cuGraphDestroy)               \
  X(cuStreamSynchronize)

struct Driver {
#define MEMBER(name) decltype(&::name) name = nullptr;
  USED(MEMBER)
#undef MEMBER
};

// The macros of cuda.h give the functions their versions: "cuGraphAddNode_v2" for cuGraphAddNode.
void Link(Driver* driver) {
#define TAKE(name) driver->name = &::name;
  USED(TAKE)
#undef TAKE
}

void LookUp(Driver* driver) {
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == nullptr) std::exit(1);
  const auto ask =
      reinterpret_cast<decltype(&::cuGetProcAddress)>(dlsym(library, "cuGetProcAddress_v2"));
  if (ask == nullptr) std::exit(1);
  const auto find = [&](const char* name) {
    void* found = nullptr;
    CUdriverProcAddressQueryResult result;
    Check(ask(name, &found, CUDA_VERSION, CU_GET_PROC_ADDRESS_DEFAULT, &result));
    if (found == nullptr) std::exit(1);
    return found;
  };
#define FIND(name) driver->name = reinterpret_cast<decltype(&::name)>(find(#name));
  USED(FIND)
#undef FIND
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const int replays = argc > 2 ? std::atoi(argv[2]) : 5;
  Driver driver;
  std::strcmp(argv[1], "linked") == 0 ? Link(&driver) : LookUp(&driver);
  Check(driver.cuInit(0));
  CUcontext context = nullptr;
  Check(driver.cuDevicePrimaryCtxRetain(&context, 0));
  Check(driver.cuCtxSetCurrent(context));
  CUstream stream = nullptr;
  Check(driver.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CUdeviceptr memory = 0;
  Check(driver.cuMemAlloc(&memory, size_t{1} << 22));
  auto* data = reinterpret_cast<float*>(memory);
  cublasHandle_t handle = nullptr;
  jobs::Check(cublasCreate(&handle));
  jobs::Check(cublasSetStream(handle, stream));
  const auto capture = [&](int m) {
    const float one = 1, zero = 0;
    CUgraph captured = nullptr;
    Check(driver.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    for (int k : {32, 64}) {
      jobs::Check(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, 64, k, &one, data, m, data, k,
                              &zero, data, m));
    }
    Check(driver.cuStreamEndCapture(stream, &captured));
    return captured;
  };
  const auto command_buffer = [&](CUgraph first, CUgraph second) {
    CUgraph graph = nullptr;
    CUgraphNode node = nullptr, last = nullptr;
    Check(driver.cuGraphCreate(&graph, 0));
    Check(driver.cuGraphAddChildGraphNode(&node, graph, nullptr, 0, first));
    CUgraphNodeParams params = {};
    params.type = CU_GRAPH_NODE_TYPE_GRAPH;
    params.graph.graph = second;
    Check(driver.cuGraphAddNode(&last, graph, &node, nullptr, 1, &params));
    return graph;
  };
  CUgraph first = capture(96), second = capture(160);
  CUgraph graph = command_buffer(first, second);
  CUgraphExec exec = nullptr;
  Check(driver.cuGraphInstantiate(&exec, graph, 0));
  for (int i = 0; i < replays; ++i) Check(driver.cuGraphLaunch(exec, stream));
  CUgraph other = command_buffer(second, second);
  CUgraphExecUpdateResultInfo info = {};
  Check(driver.cuGraphExecUpdate(exec, other, &info));
  Check(driver.cuGraphLaunch(exec, stream));
  Check(driver.cuGraphExecDestroy(exec));
  CUDA_GRAPH_INSTANTIATE_PARAMS params = {};
  Check(driver.cuGraphInstantiateWithParams(&exec, first, &params));
  Check(driver.cuGraphLaunch(exec, stream));
  Check(driver.cuStreamSynchronize(stream));
  Check(driver.cuGraphExecDestroy(exec));
  for (CUgraph made : {first, second, graph, other}) Check(driver.cuGraphDestroy(made));
  std::printf("%d launches\n", replays + 2);
  return 0;
}
