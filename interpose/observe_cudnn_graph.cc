// See observe_cudnn_graph.h.
#include "interpose/observe_cudnn_graph.h"

#include "interpose/cudnn_handle.h"

namespace mfutrace::interpose::observe {

void CudnnExecute::Before(HookedCall& call, Pointer handle, Pointer, Pointer) {
  const uint32_t signature = InternOpaque(call.entry, "plan not readable");
  void* stream = nullptr;
  if (CudnnStreamOf(*call.library, handle, &stream)) {
    Begin(call, signature, stream);
  } else {
    BeginUntimed(call, signature);
  }
}

void CudnnIntoCudaGraph::Before(HookedCall&, Pointer, Pointer, Pointer, Pointer) {}

void CudnnDestroy::Before(HookedCall&, Pointer) {}

}  // namespace mfutrace::interpose::observe
