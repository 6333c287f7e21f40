// Opens a plugin that calls cuBLAS, in the way it is told, and lets it multiply.
//
// usage: opened_plugin local|global|deepbind PLUGIN [CALLS]
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <string>

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string how = argv[1];
  const int flags = how == "global"     ? RTLD_GLOBAL
                    : how == "deepbind" ? RTLD_LOCAL | RTLD_DEEPBIND
                                        : RTLD_LOCAL;
  void* plugin = dlopen(argv[2], RTLD_NOW | flags);
  if (plugin == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  const auto multiply =
      reinterpret_cast<int (*)(int calls, int m, float* operands)>(dlsym(plugin, "MultiplyTimes"));
  float* operands = nullptr;
  if (multiply == nullptr ||
      cudaMalloc(reinterpret_cast<void**>(&operands), 1 << 20) != cudaSuccess) {
    return 1;
  }
  const int calls = argc > 3 ? std::atoi(argv[3]) : 10;
  const int failure = multiply(calls, 64, operands);
  std::printf("%d calls, failure %d\n", calls, failure);
  return failure != 0 || cudaDeviceSynchronize() != cudaSuccess ? 1 : 0;
}
