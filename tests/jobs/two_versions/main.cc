// Two plugins in one process, each with its own version of cuBLAS (PyTorch and CuPy of different
// CUDA majors), loaded RTLD_LOCAL: a call must reach the library its caller was linked with.
//
// usage: two_versions PLUGIN_WITH_13 PLUGIN_WITH_12 LIBCUBLAS_12
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

namespace {

using MultiplyTimes = int(int calls, int m, float* operands);

void* Open(const char* path) {
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    std::exit(1);
  }
  return handle;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  auto* new_multiply = reinterpret_cast<MultiplyTimes*>(dlsym(Open(argv[1]), "MultiplyTimes"));
  auto* old_multiply = reinterpret_cast<MultiplyTimes*>(dlsym(Open(argv[2]), "MultiplyTimes"));
  auto* old_calls = reinterpret_cast<int (*)()>(dlsym(Open(argv[3]), "oldCublasCalls"));
  float* operands = nullptr;
  if (cudaMalloc(reinterpret_cast<void**>(&operands), 1 << 20) != cudaSuccess) return 1;
  int failures = 0;
  for (int round = 0; round < 5; ++round) {
    failures += new_multiply(3, 64, operands);
    failures += old_multiply(2, 128, operands);
  }
  failures += cudaDeviceSynchronize() == cudaSuccess ? 0 : 1;
  std::printf("failures %d, calls of the old library %d\n", failures, old_calls());
  return failures;
}
