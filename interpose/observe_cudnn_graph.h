// Observers of cuDNN's graph interface: an execution plan that runs, one whose work goes into a
// CUDA graph, and what must be noted while descriptors are made because nothing tells it
// afterwards.
#pragma once

#include "interpose/observe.h"

namespace mfutrace::interpose::observe {

struct CudnnExecute : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, Pointer plan, Pointer variant_pack);
};

// PopulateCudaGraph and UpdateCudaGraph: nothing runs now, but with each launch of the graph.
struct CudnnIntoCudaGraph : EndsInAfter {
  static void Before(HookedCall& call, Pointer handle, Pointer plan, Pointer variant_pack,
                     Pointer cuda_graph);
  static void After(HookedCall& call, int status, Pointer handle, Pointer plan,
                    Pointer variant_pack, Pointer cuda_graph);
};

struct CudnnSetAttribute : EndsPlainly {
  static void Before(HookedCall& call, Pointer descriptor, int attribute, int type, int64_t count,
                     Pointer data);
};

struct CudnnGetAttribute : EndsInAfter {
  static void Before(HookedCall&, Pointer, int, int, int64_t, Pointer, Pointer) {}
  static void After(HookedCall& call, int status, Pointer descriptor, int attribute, int type,
                    int64_t requested, Pointer count, Pointer data);
};

struct CudnnDestroy : EndsPlainly {
  static void Before(HookedCall& call, Pointer descriptor);
};

}  // namespace mfutrace::interpose::observe
