// Observers of cuDNN's older interface: convolutions, recurrent networks and multi-head attention
// as functions of their own, each described by descriptors that are read back at the call.
#pragma once

#include "interpose/observe.h"

namespace mfutrace::interpose::observe {

// The descriptors of a convolution, by what its three tensors are.
struct ConvolutionArguments {
  Pointer x, w, y, convolution;
  shapes::ConvDirection direction = shapes::ConvDirection::kForward;
};
// False if they cannot be read or contradict each other.
bool ReadConvolution(const VendorLibrary& library, const ConvolutionArguments& arguments,
                     shapes::Convolution* convolution);
void ObserveConvolution(HookedCall& call, Pointer handle, const ConvolutionArguments& arguments);

// Forward and both gradients: their arguments differ only in which tensor comes where.
struct CudnnConvolution : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, Pointer, Pointer first, Pointer,
                     Pointer second, Pointer, Pointer convolution, int, Pointer, int64_t, Pointer,
                     Pointer third, Pointer);
};

struct CudnnBiasActivation : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, Pointer, Pointer x, Pointer, Pointer w,
                     Pointer, Pointer convolution, int, Pointer, int64_t, Pointer, Pointer, Pointer,
                     Pointer, Pointer, Pointer, Pointer y, Pointer) {
    ObserveConvolution(call, handle, {x, w, y, convolution});
  }
};

// Searches run the convolution with each algorithm, some of them several times, and fused
// operations are not described by anything that can be read back: named, not counted.
void ObserveCudnnOpaque(HookedCall& call, Pointer handle, const char* reason);

struct CudnnSearch : EndsPlainly {
  template <typename... Rest>
  static void Before(HookedCall& call, Pointer handle, const Rest&...) {
    ObserveCudnnOpaque(call, handle, "runs the convolution an unknown number of times");
  }
};

struct CudnnFusedOps : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, Pointer, Pointer) {
    ObserveCudnnOpaque(call, handle, "fused operations cannot be read back");
  }
};

struct RnnArguments {
  Pointer network, data;  // data: the descriptor of x, which has the sequences' lengths
  shapes::RnnPass pass = shapes::RnnPass::kForward;
};
bool ReadRnn(const VendorLibrary& library, const RnnArguments& arguments, shapes::Rnn* rnn);
void ObserveRnn(HookedCall& call, Pointer handle, const RnnArguments& arguments);

struct CudnnRnnForward : EndsPlainly {
  template <typename... Rest>
  static void Before(HookedCall& call, Pointer handle, Pointer network, int, Pointer, Pointer x,
                     const Rest&...) {
    ObserveRnn(call, handle, {network, x});
  }
};

struct CudnnRnnBackwardData : EndsPlainly {
  template <typename... Rest>
  static void Before(HookedCall& call, Pointer handle, Pointer network, Pointer, Pointer, Pointer,
                     Pointer, Pointer x, const Rest&...) {
    ObserveRnn(call, handle, {network, x, shapes::RnnPass::kBackwardData});
  }
};

struct CudnnRnnBackwardWeights : EndsPlainly {
  template <typename... Rest>
  static void Before(HookedCall& call, Pointer handle, Pointer network, int, Pointer, Pointer x,
                     const Rest&...) {
    ObserveRnn(call, handle, {network, x, shapes::RnnPass::kBackwardWeights});
  }
};

// Multi-head attention with its projections: a product for each projection that the descriptor
// has, and the attention between them. Lengths of sequences and windows of keys are on the host.
struct MultiHeadArguments {
  enum class Part : uint8_t { kForward, kBackwardData, kBackwardWeights };

  Part part = Part::kForward;
  Pointer attention, q, k;
  Pointer window_begin = nullptr;  // int[]: the first key of each query ...
  Pointer window_end = nullptr;    // ... and the one behind its last
  int64_t current = -1;            // this query of every sequence alone; -1 = all
};
// At most kMaxMultiHeadParts products and attentions; 0 if the descriptors cannot be read.
inline constexpr uint32_t kMaxMultiHeadParts = 4 + 64;
struct MultiHeadInterning {  // the recorder's, or a test's
  decltype(&InternGemm) gemm = &InternGemm;
  decltype(&InternAttention) attention = &InternAttention;
};
uint32_t InternMultiHead(const VendorLibrary& library, const MultiHeadArguments& arguments,
                         Entry entry, CompoundPart* parts, const MultiHeadInterning& interning);
void ObserveMultiHead(HookedCall& call, Pointer handle, const MultiHeadArguments& arguments);

struct CudnnMultiHeadForward : EndsPlainly {
  template <typename... Rest>
  static void Before(HookedCall& call, Pointer handle, Pointer attention, int64_t current,
                     Pointer begin, Pointer end, Pointer, Pointer, Pointer q, Pointer, Pointer,
                     Pointer k, const Rest&...) {
    ObserveMultiHead(call, handle,
                     {MultiHeadArguments::Part::kForward, attention, q, k, begin, end, current});
  }
};

struct CudnnMultiHeadBackwardData : EndsPlainly {
  template <typename... Rest>
  static void Before(HookedCall& call, Pointer handle, Pointer attention, Pointer begin,
                     Pointer end, Pointer, Pointer, Pointer, Pointer, Pointer q, Pointer, Pointer,
                     Pointer k, const Rest&...) {
    ObserveMultiHead(call, handle,
                     {MultiHeadArguments::Part::kBackwardData, attention, q, k, begin, end});
  }
};

struct CudnnMultiHeadBackwardWeights : EndsPlainly {
  template <typename... Rest>
  static void Before(HookedCall& call, Pointer handle, Pointer attention, int, Pointer q, Pointer,
                     Pointer k, const Rest&...) {
    ObserveMultiHead(call, handle, {MultiHeadArguments::Part::kBackwardWeights, attention, q, k});
  }
};

}  // namespace mfutrace::interpose::observe
