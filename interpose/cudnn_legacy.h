// What the observers of cuDNN's older interface share. For observe_cudnn_legacy.cc and
// observe_cudnn_multihead.cc alone.
#pragma once

#include <cudnn.h>

#include "interpose/cudnn_attributes.h"
#include "interpose/hook.h"
#include "interpose/memory.h"
#include "interpose/observe.h"
#include "interpose/resolve.h"

namespace mfutrace::interpose::observe {

// A function of the library that is being called, with its declared type; nullptr if it lacks it.
#define MFU_CUDNN_GETTER(library, symbol) \
  reinterpret_cast<decltype(&::symbol)>((library).Get(Getter::k_##symbol))

template <typename Descriptor>
Descriptor As(Pointer pointer) {
  return static_cast<Descriptor>(const_cast<void*>(pointer));
}

// The same for operands of a product: f32 ones may be rounded to TF32 unless the math type is FMA
// (cuDNN documentation, cudnnMathType_t) or NVIDIA_TF32_OVERRIDE forbids it.
shapes::Dtype ArithmeticOfCudnn(int type, int math);

// Begins the call on the stream of a cuDNN handle.
void BeginOnCudnn(HookedCall& call, Pointer handle, uint32_t signature);

// Room for the lengths of the sequences of a call: on the stack for the usual number, else fresh
// pages.
class HostLengths {
 public:
  static constexpr int kOnStack = 256;

  HostLengths() = default;
  ~HostLengths() {
    if (many_ != nullptr) UnmapPages(many_, bytes_);
  }
  HostLengths(const HostLengths&) = delete;
  HostLengths& operator=(const HostLengths&) = delete;

  int* few() { return few_; }
  // False if there is no memory for so many.
  bool Fit(uint32_t count) {
    if (count <= kOnStack) return true;
    bytes_ = count * sizeof(int);
    many_ = static_cast<int*>(MapPages(bytes_));
    return many_ != nullptr;
  }
  int* data() { return many_ != nullptr ? many_ : few_; }

 private:
  int few_[kOnStack];
  int* many_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace mfutrace::interpose::observe
