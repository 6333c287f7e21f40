// How a simulated vendor library finds the engine: compiled into each of them, not into
// libcuda.so.1.
#include <dlfcn.h>

#include <cstdio>

#include "engine/api.h"

namespace simgpu {

Api* FindApi() {
  static Api* const api = [] {
    void* driver = dlopen("libcuda.so.1", RTLD_NOW);
    void* symbol = driver == nullptr ? nullptr : dlsym(driver, "simgpu_api");
    if (symbol == nullptr) {
      std::fprintf(stderr,
                   "simgpu: libcuda.so.1 is not the simulated one (%s); put the simulator's "
                   "folder into LD_LIBRARY_PATH\n",
                   driver == nullptr ? "not found" : "found another");
      return static_cast<Api*>(nullptr);
    }
    return reinterpret_cast<decltype(&simgpu_api)>(symbol)(kApiVersion);
  }();
  return api;
}

}  // namespace simgpu
