// libcuda.so.1: contexts and the per-thread context stack.
#include <cuda.h>

#include "engine/objects.h"

namespace simgpu {

namespace {

Context* Find(CUcontext handle) {
  auto* context = reinterpret_cast<Context*>(handle);
  return All().contexts.count(context) != 0 ? context : nullptr;
}

CUcontext Handle(Context* context) { return reinterpret_cast<CUcontext>(context); }

Context* Primary(CUdevice device) {
  auto& primaries = All().primaries;
  if (device < 0 || static_cast<size_t>(device) >= primaries.size()) return nullptr;
  return primaries[static_cast<size_t>(device)];
}

// Waits for everything the current context was given. Broader than a stream: forbidden while any of
// its streams is captured, whatever the thread's mode.
CUresult Synchronize(Context* context) {
  std::vector<OpRef> tails;
  {
    const std::lock_guard<std::mutex> held(Engine::Get().lock());
    if (const CUresult status = CheckUnsafeCall()) return status;
    bool capturing = false;
    for (Stream* stream : context->streams) {
      if (stream->capture == nullptr) continue;
      Invalidate(stream->capture.get());
      capturing = true;
    }
    if (capturing) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    tails = Tails(*context);
    context->orphans.clear();
  }
  CUresult result = CUDA_SUCCESS;
  for (const OpRef& op : tails) {
    if (const CUresult status = Engine::Get().WaitFor(op)) result = status;
  }
  return result;
}

}  // namespace
}  // namespace simgpu

using simgpu::All;
using simgpu::Context;
using simgpu::CurrentContext;
using simgpu::Entered;
using simgpu::Find;
using simgpu::Handle;
using simgpu::NewStream;
using simgpu::Primary;
using simgpu::Synchronize;
using simgpu::ThisThread;

extern "C" {

CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Context* primary = Primary(device);
  if (primary == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  ++primary->references;
  *context = Handle(primary);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDevicePrimaryCtxRelease(CUdevice device) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Context* primary = Primary(device);
  if (primary == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  if (primary->references == 0) return CUDA_ERROR_INVALID_CONTEXT;
  --primary->references;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDevicePrimaryCtxReset(CUdevice device) {
  const Entered entered;
  if (entered.status()) return entered.status();
  return Primary(device) == nullptr ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

CUresult CUDAAPI cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (Primary(device) == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  Primary(device)->flags = flags;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (Primary(device) == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  if (flags == nullptr || active == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *flags = Primary(device)->flags;
  *active = Primary(device)->references > 0 ? 1 : 0;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxCreate(CUcontext* context, CUctxCreateParams*, unsigned flags,
                             CUdevice device) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (Primary(device) == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  auto* made = new Context;
  made->device = device;
  made->flags = flags;
  made->legacy = NewStream(made, CU_STREAM_DEFAULT, 0);
  made->legacy->legacy = true;
  made->legacy->handle = nullptr;
  made->streams.erase(made->legacy);
  All().contexts.insert(made);
  ThisThread().contexts.push_back(made);
  *context = Handle(made);
  return CUDA_SUCCESS;
}

// The object stays: operations of the context may still be in flight.
CUresult CUDAAPI cuCtxDestroy(CUcontext handle) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Context* context = Find(handle);
  if (context == nullptr || context->primary) return CUDA_ERROR_INVALID_CONTEXT;
  All().contexts.erase(context);
  auto& stack = ThisThread().contexts;
  if (!stack.empty() && stack.back() == context) stack.pop_back();
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxGetCurrent(CUcontext* context) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *context = Handle(CurrentContext());
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxSetCurrent(CUcontext handle) {
  const Entered entered;
  if (entered.status()) return entered.status();
  auto& stack = ThisThread().contexts;
  if (handle == nullptr) {
    if (!stack.empty()) stack.pop_back();
    return CUDA_SUCCESS;
  }
  Context* context = Find(handle);
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (stack.empty()) {
    stack.push_back(context);
  } else {
    stack.back() = context;
  }
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxPushCurrent(CUcontext handle) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Context* context = Find(handle);
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  ThisThread().contexts.push_back(context);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxPopCurrent(CUcontext* handle) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  if (handle != nullptr) *handle = Handle(CurrentContext());
  ThisThread().contexts.pop_back();
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxGetDevice(CUdevice* device) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *device = CurrentContext()->device;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxGetId(CUcontext handle, unsigned long long* id) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Context* context = handle == nullptr ? CurrentContext() : Find(handle);
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (id == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *id = context->legacy->id;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxGetFlags(unsigned* flags) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *flags = CurrentContext()->flags;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxGetApiVersion(CUcontext handle, unsigned* version) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (handle != nullptr && Find(handle) == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *version = 3020;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  if (least != nullptr) *least = 0;
  if (greatest != nullptr) *greatest = -5;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxGetLimit(size_t* value, CUlimit) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *value = 8 << 20;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxSetLimit(CUlimit, size_t) { return Entered(true).status(); }

CUresult CUDAAPI cuCtxEnablePeerAccess(CUcontext peer, unsigned) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  return Find(peer) == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxSynchronize() {
  Context* context = nullptr;
  {
    const Entered entered(true);
    if (entered.status()) return entered.status();
    context = CurrentContext();
  }
  return Synchronize(context);
}

}  // extern "C"
