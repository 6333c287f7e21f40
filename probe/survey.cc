// See survey.h. Prints lines of fields between tabs; loads the driver and CUPTI, links neither.
#include "probe/survey.h"

#include <dlfcn.h>
#include <link.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "trace/contract.h"

namespace mfutrace::probe {
namespace {

template <typename Function>
Function* Find(void* library, const char* name) {
  return reinterpret_cast<Function*>(dlsym(library, name));
}

std::string LoadError() {
  const char* error = dlerror();
  return error != nullptr ? error : "unknown error";
}

constexpr int kCapabilityMajor = 75;  // cuda.h, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
constexpr int kCapabilityMinor = 76;

void AskDriver() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW);
  if (driver == nullptr) {
    std::printf("driver\tmissing\t%s\n", LoadError().c_str());
    return;
  }
  const auto init = Find<int(unsigned)>(driver, "cuInit");
  const auto version = Find<int(int*)>(driver, "cuDriverGetVersion");
  const auto count = Find<int(int*)>(driver, "cuDeviceGetCount");
  const auto get = Find<int(int*, int)>(driver, "cuDeviceGet");
  const auto name = Find<int(char*, int, int)>(driver, "cuDeviceGetName");
  const auto attribute = Find<int(int*, int, int)>(driver, "cuDeviceGetAttribute");
  if (init == nullptr || version == nullptr || count == nullptr || get == nullptr ||
      name == nullptr || attribute == nullptr) {
    std::printf("driver\tmissing\tlibcuda.so.1 lacks functions of the driver\n");
    return;
  }
  if (const int status = init(0); status != 0) {
    std::printf("driver\tmissing\tcuInit: CUDA error %d\n", status);
    return;
  }
  int number = 0;
  version(&number);
  std::printf("driver\t%d\n", number);
  int devices = 0;
  count(&devices);
  for (int i = 0; i < devices; ++i) {
    int device = 0;
    char text[256] = {};
    int major = 0;
    int minor = 0;
    if (get(&device, i) != 0 || name(text, sizeof text - 1, device) != 0) continue;
    attribute(&major, kCapabilityMajor, device);
    attribute(&minor, kCapabilityMinor, device);
    std::printf("device\t%d\t%s\t%d.%d\n", i, text, major, minor);
  }
}

// The names that libmfutrace_cupti.so tries where nothing of CUDA is loaded yet.
void AskCupti() {
  void* cupti = nullptr;
  std::string why;
  const char* named = std::getenv(trace::env::kCuptiPath);
  for (const char* name : {named, "libcupti.so.13", "libcupti.so.12"}) {
    if (cupti != nullptr || name == nullptr || *name == '\0') continue;
    cupti = dlopen(name, RTLD_NOW);
    if (cupti == nullptr && why.empty()) why = LoadError();
  }
  if (cupti == nullptr) {
    std::printf("cupti\tmissing\t%s\n", why.c_str());
    return;
  }
  const auto version = Find<int(uint32_t*)>(cupti, "cuptiGetVersion");
  const auto subscribe = Find<int(void**, void*, void*)>(cupti, "cuptiSubscribe");
  const auto unsubscribe = Find<int(void*)>(cupti, "cuptiUnsubscribe");
  if (version == nullptr || subscribe == nullptr || unsubscribe == nullptr) {
    std::printf("cupti\tmissing\tlibcupti lacks functions\n");
    return;
  }
  uint32_t number = 0;
  version(&number);
  void* subscriber = nullptr;
  const auto ignore = +[](void*, int, uint32_t, const void*) {};
  const bool is_free = subscribe(&subscriber, reinterpret_cast<void*>(ignore), nullptr) == 0;
  if (is_free) unsubscribe(subscriber);
  const link_map* map = nullptr;
  const bool is_named = dlinfo(cupti, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr;
  std::printf("cupti\t%s\t%u\t%s\n", is_named ? map->l_name : "libcupti", number,
              is_free ? "free" : "taken");
}

}  // namespace

int Survey() {
  AskDriver();
  AskCupti();
  return 0;
}

}  // namespace mfutrace::probe
