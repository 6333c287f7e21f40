// Kernels that are launched past all libraries: by the runtime, by the driver as the linker gives
// it and as cuGetProcAddress does, some into a capture; and products of a library beside them.
//
// usage: launches [TIMES] [PAUSE_MS]. Pauses behind the first product. Prints nothing.
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <unistd.h>

#include <cstdlib>

#include "blas.h"

namespace {

CUfunction Function(CUmodule module, const char* name) {
  CUfunction function = nullptr;
  if (cuModuleGetFunction(&function, module, name) != CUDA_SUCCESS) std::abort();
  return function;
}

void Check(CUresult result) {
  if (result != CUDA_SUCCESS) std::abort();
}

}  // namespace

int main(int argc, char** argv) {
  const int times = argc > 1 ? std::atoi(argv[1]) : 100;
  jobs::Blas blas;
  blas.Multiply(64, 64, 64);
  if (argc > 2) usleep(static_cast<useconds_t>(std::atoi(argv[2])) * 1000);
  CUmodule module = nullptr;
  Check(cuModuleLoadData(&module, "image"));
  const CUfunction linked = Function(module, "linked_kernel");
  const CUfunction extended = Function(module, "extended_kernel");
  const CUfunction looked_up = Function(module, "looked_up_kernel");
  const CUfunction together = Function(module, "cooperative_kernel");
  const CUfunction captured = Function(module, "captured_kernel");

  void* found = nullptr;
  CUdriverProcAddressQueryResult status = {};
  Check(cuGetProcAddress("cuLaunchKernel", &found, CUDA_VERSION, 0, &status));
  const auto launch = reinterpret_cast<decltype(&cuLaunchKernel)>(found);
  CUlaunchConfig config = {};
  config.gridDimX = config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = config.blockDimY = config.blockDimZ = 1;
  config.hStream = blas.stream();
  for (int i = 0; i < times; ++i) {
    Check(cuLaunchKernel(linked, 1, 1, 1, 1, 1, 1, 0, blas.stream(), nullptr, nullptr));
    if (i % 2 == 0) Check(cuLaunchKernelEx(&config, extended, nullptr, nullptr));
    if (i % 3 == 0) {
      Check(launch(looked_up, 1, 1, 1, 1, 1, 1, 0, blas.stream(), nullptr, nullptr));
    }
    if (i % 4 == 0) {
      Check(cuLaunchCooperativeKernel(together, 1, 1, 1, 1, 1, 1, 0, blas.stream(), nullptr));
    }
    if (i % 5 == 0) {
      jobs::Check(cudaLaunchKernel(reinterpret_cast<const void*>(&Check), dim3(1), dim3(1), nullptr,
                                   0, blas.stream()));
    }
    if (i % 10 == 0) blas.Multiply(64, 64, 64);
  }
  jobs::Check(cudaStreamBeginCapture(blas.stream(), cudaStreamCaptureModeThreadLocal));
  Check(cuLaunchKernel(captured, 1, 1, 1, 1, 1, 1, 0, blas.stream(), nullptr, nullptr));
  cudaGraph_t graph = nullptr;
  jobs::Check(cudaStreamEndCapture(blas.stream(), &graph));
  jobs::Check(cudaGraphDestroy(graph));
  blas.Wait();
  Check(cuModuleUnload(module));
  return 0;
}
