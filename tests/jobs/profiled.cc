// A job that profiles itself for a while, as PyTorch's profiler does: products, then products under
// CUPTI, then products again.
//
// usage: profiled [HOW] [PHASE_MS]. HOW: `linked` (CUPTI's functions as the linker gives them),
// `looked_up` (by dlopen and dlsym), `subscribed` (a subscriber alone, from before the first
// product to the end of the second phase), `finalized` (ends with cuptiFinalize). Prints how many
// kernels its own profiler was given and how many products it made meanwhile, which must be equal.
#include <cupti.h>
#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "blas.h"

namespace {

std::atomic<long> g_kernels{0};

struct Cupti {
  decltype(&cuptiSubscribe) subscribe = cuptiSubscribe;
  decltype(&cuptiUnsubscribe) unsubscribe = cuptiUnsubscribe;
  decltype(&cuptiActivityRegisterCallbacks) take_buffers = cuptiActivityRegisterCallbacks;
  decltype(&cuptiActivityEnable) enable = cuptiActivityEnable;
  decltype(&cuptiActivityDisable) disable = cuptiActivityDisable;
  decltype(&cuptiActivityFlushAll) flush = cuptiActivityFlushAll;
  decltype(&cuptiFinalize) finalize = cuptiFinalize;
};

template <typename Function>
void LookUp(void* library, const char* name, Function& function) {
  void* found = dlsym(library, name);
  if (found == nullptr) std::abort();
  std::memcpy(&function, &found, sizeof found);
}

Cupti LookedUp() {
  Cupti cupti;
  void* library = dlopen("libcupti.so.13", RTLD_NOW | RTLD_LOCAL);
  LookUp(library, "cuptiSubscribe", cupti.subscribe);
  LookUp(library, "cuptiUnsubscribe", cupti.unsubscribe);
  LookUp(library, "cuptiActivityRegisterCallbacks", cupti.take_buffers);
  LookUp(library, "cuptiActivityEnable", cupti.enable);
  LookUp(library, "cuptiActivityDisable", cupti.disable);
  LookUp(library, "cuptiActivityFlushAll", cupti.flush);
  LookUp(library, "cuptiFinalize", cupti.finalize);
  return cupti;
}

void Check(CUptiResult result, const char* what) {
  if (result == CUPTI_SUCCESS) return;
  std::fprintf(stderr, "profiled: %s: %d\n", what, static_cast<int>(result));
  std::exit(1);
}

void Request(uint8_t** buffer, size_t* size, size_t* most_records) {
  *size = 1 << 16;
  *most_records = 0;
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(8, *size));
}

void Complete(CUcontext, uint32_t, uint8_t* buffer, size_t, size_t valid) {
  CUpti_Activity* record = nullptr;
  while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
    if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) ++g_kernels;
  }
  std::free(buffer);
}

// For that long; the number of products. `m` tells the phases apart.
long Phase(jobs::Blas& blas, int m, long phase_ms) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(phase_ms);
  long products = 0;
  while (std::chrono::steady_clock::now() < end) {
    blas.MultiplyTimes(10, m, 64, 64);
    products += 10;
    usleep(500);
  }
  return products;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string how = argc > 1 ? argv[1] : "linked";
  const long phase_ms = argc > 2 ? std::atol(argv[2]) : 500;
  const Cupti cupti = how == "looked_up" ? LookedUp() : Cupti();
  const bool only_subscribes = how == "subscribed";
  CUpti_SubscriberHandle subscriber = nullptr;
  const auto ignore = [](void*, CUpti_CallbackDomain, CUpti_CallbackId, const void*) {};
  if (only_subscribes) Check(cupti.subscribe(&subscriber, ignore, nullptr), "cuptiSubscribe");
  jobs::Blas blas;
  Phase(blas, 128, phase_ms);

  if (!only_subscribes) {
    Check(cupti.subscribe(&subscriber, ignore, nullptr), "cuptiSubscribe");
    Check(cupti.take_buffers(Request, Complete), "cuptiActivityRegisterCallbacks");
    Check(cupti.enable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL), "cuptiActivityEnable");
  }
  const long products = Phase(blas, 256, phase_ms);
  if (!only_subscribes) {
    Check(cupti.flush(0), "cuptiActivityFlushAll");
    Check(cupti.disable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL), "cuptiActivityDisable");
  }
  Check(cupti.unsubscribe(subscriber), "cuptiUnsubscribe");
  if (how == "finalized") Check(cupti.finalize(), "cuptiFinalize");
  const bool is_right = g_kernels == (only_subscribes ? 0 : products);
  std::printf("%s\n", is_right ? "every kernel once" : "wrong");
  if (!is_right) std::printf("%ld kernels, %ld products\n", g_kernels.load(), products);

  Phase(blas, 384, 3 * phase_ms);
  return 0;
}
