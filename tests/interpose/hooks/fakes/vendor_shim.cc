// A vendor library that looks a public name up in another library (as libcudnn.so.9 does): its file
// name starts with "libnv", and it must be given the real function.
#include <dlfcn.h>

extern "C" void* ShimLookUp(void* handle, const char* name) {
  void* found = dlsym(handle, name);
  // Nothing follows the call but this: the lookup is not a tail call, so its caller is us.
  asm volatile("" ::: "memory");
  return found;
}
