// libcuda.so.1: cuGetProcAddress, through which every runtime finds the driver.
//
// Wants the undecorated exported names, so the header's renaming macros are switched off here.
#define __CUDA_API_VERSION_INTERNAL
#include <cuda.h>

#include <cstring>
#include <string>

namespace {

struct Entry {
  const char* name;
  void* function;
};

const Entry kEntries[] = {
#define SIM_DRIVER_ENTRY(name) {#name, reinterpret_cast<void*>(&name)},
#include "driver/entry_points.def"
#undef SIM_DRIVER_ENTRY
};

void* Find(const std::string& name) {
  for (const Entry& entry : kEntries) {
    if (name == entry.name) return entry.function;
  }
  return nullptr;
}

// First CUDA version whose runtime gets the given form of a function; others are as old as CUDA 11.
int Since(const std::string& name) {
  if (name == "cuStreamGetCaptureInfo_v3") return 12030;
  if (name == "cuStreamGetCaptureInfo_v2") return 11030;
  if (name == "cuEventElapsedTime_v2") return 12080;
  if (name == "cuCtxCreate_v4") return 12050;
  if (name == "cuGetProcAddress_v2") return 12000;
  return 0;
}

}  // namespace

extern "C" CUresult CUDAAPI cuGetProcAddress_v2(const char* symbol, void** function, int version,
                                                cuuint64_t,
                                                CUdriverProcAddressQueryResult* result) {
  if (symbol == nullptr || function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *function = nullptr;
  // cuda.h of CUDA 12 renames this one, and the driver knows it by the old name.
  if (std::strcmp(symbol, "cuGraphInstantiate") == 0) symbol = "cuGraphInstantiateWithFlags";
  bool too_new = false;
  for (const char* suffix : {"_v4", "_v3", "_v2", ""}) {
    const std::string name = std::string(symbol) + suffix;
    void* found = Find(name);
    if (found == nullptr) continue;
    if (Since(name) > version) {
      too_new = true;
      continue;
    }
    *function = found;
    if (result != nullptr) *result = CU_GET_PROC_ADDRESS_SUCCESS;
    return CUDA_SUCCESS;
  }
  if (result != nullptr) {
    *result =
        too_new ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}

extern "C" CUresult CUDAAPI cuGetProcAddress(const char* symbol, void** function, int version,
                                             cuuint64_t flags) {
  return cuGetProcAddress_v2(symbol, function, version, flags, nullptr);
}
