// Observers of cuDNN's graph interface: an execution plan that runs, and one whose work goes into a
// CUDA graph. Everything else that builds plans passes unobserved.
#pragma once

#include "interpose/observe.h"

namespace mfutrace::interpose::observe {

struct CudnnExecute : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, Pointer plan, Pointer variant_pack);
};

// PopulateCudaGraph and UpdateCudaGraph: nothing runs now.
struct CudnnIntoCudaGraph : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, Pointer plan, Pointer variant_pack,
                     Pointer cuda_graph);
};

struct CudnnDestroy : EndsPlainly {
  static void Before(HookedCall& call, Pointer descriptor);
};

}  // namespace mfutrace::interpose::observe
