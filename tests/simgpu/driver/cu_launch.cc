// libcuda.so.1: modules, libraries and kernel launches. Kernels do nothing; they last as long as
// the model says. A library is a module that belongs to no context, a CUkernel a function of it.
//
// A kernel called "spin_<ns>" lasts exactly that long, unscaled: what timing tests launch. Any
// other one is taken to read and write eight bytes a thread.
#include <cuda.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>

#include "engine/objects.h"

namespace simgpu {

namespace {

constexpr double kBytesPerThread = 16;

struct Function {
  std::string name;
};

struct Module {
  std::map<std::string, Function> functions;
};

std::set<Module*>& Modules() {
  static auto* const modules = new std::set<Module*>;
  return *modules;
}

// A function handle comes from a module; anything else is a kernel without a name.
const Function* FindFunction(CUfunction handle) {
  for (const Module* module : Modules()) {
    for (const auto& [name, function] : module->functions) {
      if (reinterpret_cast<const Function*>(handle) == &function) return &function;
    }
  }
  return nullptr;
}

}  // namespace

CUresult MakeKernel(const char* api, CUfunction handle, const unsigned (&grid)[3],
                    const unsigned (&block)[3], Work* made) {
  const Function* function = FindFunction(handle);
  if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  double threads = 1;
  for (int i = 0; i < 3; ++i) {
    if (grid[i] == 0 || block[i] == 0) return CUDA_ERROR_INVALID_VALUE;
    threads *= static_cast<double>(grid[i]) * block[i];
  }
  if (static_cast<uint64_t>(block[0]) * block[1] * block[2] > 1024) return CUDA_ERROR_INVALID_VALUE;
  Work& work = *made;
  work.kind = OpKind::kKernel;
  work.function = api;
  work.hardware_queue = true;
  char text[128];
  std::snprintf(text, sizeof text, ",grid=%ux%ux%u,block=%ux%ux%u", grid[0], grid[1], grid[2],
                block[0], block[1], block[2]);
  work.dims = "kernel=" + function->name + text;
  const DeviceDescription& d = GetSettings().device;
  if (function->name.rfind("spin_", 0) == 0) {
    work.duration_ns = std::atoll(function->name.c_str() + 5);
  } else {
    work.bytes = static_cast<uint64_t>(threads * kBytesPerThread);
    work.duration_ns = ScaledKernelNs(d.kernel_overhead_ns +
                                      threads * kBytesPerThread / d.memory_bytes_per_s * 1e9);
  }
  return CUDA_SUCCESS;
}

namespace {

CUresult Launch(const char* api, CUfunction handle, const unsigned (&grid)[3],
                const unsigned (&block)[3], CUstream stream_handle) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  Work work;
  if (const CUresult status = MakeKernel(api, handle, grid, block, &work)) return status;
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(stream_handle, &stream)) return status;
  return EnqueueOn({stream}, std::move(work));
}

// Modules belong to the current context, libraries to none.
CUresult Load(CUmodule* module, const void* image, bool needs_context) {
  const Entered entered(needs_context);
  if (entered.status()) return entered.status();
  if (module == nullptr || image == nullptr) return CUDA_ERROR_INVALID_VALUE;
  auto* made = new Module;
  Modules().insert(made);
  *module = reinterpret_cast<CUmodule>(made);
  return CUDA_SUCCESS;
}

CUresult Unload(CUmodule module, bool needs_context) {
  const Entered entered(needs_context);
  if (entered.status()) return entered.status();
  return Modules().erase(reinterpret_cast<Module*>(module)) != 0 ? CUDA_SUCCESS
                                                                 : CUDA_ERROR_INVALID_HANDLE;
}

CUresult GetFunction(CUfunction* function, CUmodule handle, const char* name, bool needs_context) {
  const Entered entered(needs_context);
  if (entered.status()) return entered.status();
  if (function == nullptr || name == nullptr || *name == '\0') return CUDA_ERROR_INVALID_VALUE;
  auto* module = reinterpret_cast<Module*>(handle);
  if (Modules().count(module) == 0) return CUDA_ERROR_INVALID_HANDLE;
  Function& made = module->functions[name];
  made.name = name;
  *function = reinterpret_cast<CUfunction>(&made);
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace simgpu

using simgpu::Entered;
using simgpu::FindFunction;
using simgpu::Function;
using simgpu::GetFunction;
using simgpu::Launch;
using simgpu::Load;
using simgpu::Unload;

extern "C" {

CUresult CUDAAPI cuModuleLoadData(CUmodule* module, const void* image) {
  return Load(module, image, true);
}

CUresult CUDAAPI cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, CUjit_option*,
                                    void**) {
  return cuModuleLoadData(module, image);
}

CUresult CUDAAPI cuModuleLoadFatBinary(CUmodule* module, const void* image) {
  return cuModuleLoadData(module, image);
}

CUresult CUDAAPI cuModuleLoad(CUmodule* module, const char* path) {
  return cuModuleLoadData(module, path);
}

CUresult CUDAAPI cuModuleUnload(CUmodule module) { return Unload(module, true); }

CUresult CUDAAPI cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  return GetFunction(function, module, name, true);
}

CUresult CUDAAPI cuFuncGetName(const char** name, CUfunction handle) {
  const Entered entered;
  if (entered.status()) return entered.status();
  const Function* function = FindFunction(handle);
  if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *name = function->name.c_str();
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuFuncSetAttribute(CUfunction handle, CUfunction_attribute, int) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  return FindFunction(handle) == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
}

CUresult CUDAAPI cuFuncGetAttribute(int* value, CUfunction_attribute, CUfunction handle) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *value = 0;
  return FindFunction(handle) == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
}

CUresult CUDAAPI cuLibraryLoadData(CUlibrary* library, const void* code, CUjit_option*, void**,
                                   unsigned, CUlibraryOption*, void**, unsigned) {
  return Load(reinterpret_cast<CUmodule*>(library), code, false);
}

CUresult CUDAAPI cuLibraryLoadFromFile(CUlibrary* library, const char* path, CUjit_option*, void**,
                                       unsigned, CUlibraryOption*, void**, unsigned) {
  return Load(reinterpret_cast<CUmodule*>(library), path, false);
}

CUresult CUDAAPI cuLibraryUnload(CUlibrary library) {
  return Unload(reinterpret_cast<CUmodule>(library), false);
}

CUresult CUDAAPI cuLibraryGetKernel(CUkernel* kernel, CUlibrary library, const char* name) {
  return GetFunction(reinterpret_cast<CUfunction*>(kernel), reinterpret_cast<CUmodule>(library),
                     name, false);
}

CUresult CUDAAPI cuKernelGetFunction(CUfunction* function, CUkernel kernel) {
  if (function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *function = reinterpret_cast<CUfunction>(kernel);
  return FindFunction(*function) == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
}

CUresult CUDAAPI cuKernelGetName(const char** name, CUkernel kernel) {
  return cuFuncGetName(name, reinterpret_cast<CUfunction>(kernel));
}

CUresult CUDAAPI cuKernelGetAttribute(int* value, CUfunction_attribute attribute, CUkernel kernel,
                                      CUdevice) {
  return cuFuncGetAttribute(value, attribute, reinterpret_cast<CUfunction>(kernel));
}

CUresult CUDAAPI cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel kernel,
                                      CUdevice) {
  return cuFuncSetAttribute(reinterpret_cast<CUfunction>(kernel), attribute, value);
}

CUresult CUDAAPI cuOccupancyMaxPotentialClusterSize(int* size, CUfunction handle,
                                                    const CUlaunchConfig*) {
  if (size == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *size = 8;  // what every Hopper kernel may have (CUDA programming guide, thread block clusters)
  return FindFunction(handle) == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
}

CUresult CUDAAPI cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y,
                                unsigned grid_z, unsigned block_x, unsigned block_y,
                                unsigned block_z, unsigned, CUstream stream, void**, void**) {
  return Launch("cuLaunchKernel", function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z},
                stream);
}

CUresult CUDAAPI cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void**,
                                  void**) {
  if (config == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Launch("cuLaunchKernelEx", function,
                {config->gridDimX, config->gridDimY, config->gridDimZ},
                {config->blockDimX, config->blockDimY, config->blockDimZ}, config->hStream);
}

CUresult CUDAAPI cuLaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y,
                                           unsigned grid_z, unsigned block_x, unsigned block_y,
                                           unsigned block_z, unsigned, CUstream stream, void**) {
  return Launch("cuLaunchCooperativeKernel", function, {grid_x, grid_y, grid_z},
                {block_x, block_y, block_z}, stream);
}

}  // extern "C"
