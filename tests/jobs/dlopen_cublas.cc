// Reaches cuBLAS without a link-time reference, as JAX, Triton's and Python's loaders do.
//
// usage: dlopen_cublas local|default|versioned|next [CALLS]
// Also asks for a function of a library that is not loaded: the answer must stay "no such symbol".
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

void* Must(void* pointer, const char* name) {
  if (pointer == nullptr) {
    std::fprintf(stderr, "%s: %s\n", name, dlerror());
    std::exit(1);
  }
  return pointer;
}

void MustSucceed(int status, const char* what) {
  if (status == 0) return;
  std::fprintf(stderr, "%s: status %d\n", what, status);
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string how = argc > 1 ? argv[1] : "local";
  const int calls = argc > 2 ? std::atoi(argv[2]) : 10;
  const bool is_local = how == "local" || how == "versioned";
  void* library = Must(dlopen("libcublas.so.13", RTLD_NOW | (is_local ? RTLD_LOCAL : RTLD_GLOBAL)),
                       "libcublas.so.13");
  const auto find = [&](const char* name) {
    if (how == "default") return Must(dlsym(RTLD_DEFAULT, name), name);
    if (how == "next") return Must(dlsym(RTLD_NEXT, name), name);
    if (how == "versioned") return Must(dlvsym(library, name, "libcublas.so.13"), name);
    return Must(dlsym(library, name), name);
  };
  const auto create = reinterpret_cast<decltype(&cublasCreate_v2)>(find("cublasCreate_v2"));
  const auto destroy = reinterpret_cast<decltype(&cublasDestroy_v2)>(find("cublasDestroy_v2"));
  const auto multiply = reinterpret_cast<decltype(&cublasSgemm_v2)>(find("cublasSgemm_v2"));
  float* operands = nullptr;
  cublasHandle_t handle = nullptr;
  const float alpha = 1, beta = 0;
  MustSucceed(cudaMalloc(reinterpret_cast<void**>(&operands), 1 << 20), "cudaMalloc");
  MustSucceed(create(&handle), "cublasCreate");
  for (int i = 0; i < calls; ++i) {
    MustSucceed(multiply(handle, CUBLAS_OP_N, CUBLAS_OP_N, 48, 32, 16, &alpha, operands, 48,
                         operands, 16, &beta, operands, 48),
                "cublasSgemm");
  }
  MustSucceed(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  MustSucceed(destroy(handle), "cublasDestroy");
  const bool nccl_is_found = dlsym(RTLD_DEFAULT, "ncclAllReduce") != nullptr;
  const bool unknown_is_found = dlsym(library, "cublasNoSuchFunction") != nullptr;
  std::printf("%d calls, ncclAllReduce %s, cublasNoSuchFunction %s\n", calls,
              nccl_is_found ? "found" : "absent", unknown_is_found ? "found" : "absent");
  return 0;
}
