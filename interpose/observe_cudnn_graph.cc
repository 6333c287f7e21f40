// See observe_cudnn_graph.h.
#include "interpose/observe_cudnn_graph.h"

#include <cudnn.h>

#include "interpose/cudnn_handle.h"
#include "interpose/cudnn_packs.h"
#include "interpose/cudnn_plans.h"
#include "interpose/cudnn_track.h"
#include "interpose/graph_hooks.h"

namespace mfutrace::interpose::observe {
namespace {

using shapes::Provenance;
using Kind = CudnnOperation::Kind;

// What one run of a plan is, as the recorder takes it.
struct Run {
  uint32_t signature = 0;
  // Attention that is the whole run and whose lengths lie on the device.
  bool is_lengthy = false;
  shapes::Attention attention;
  DeviceLengths lengths;
};

bool SideOf(const CudnnLengths& lengths, const CudnnPack& pack, DeviceLengths::Side* side) {
  if (!lengths.is_set) return true;
  side->data = pack.Find(lengths.uid);
  side->is_wide = lengths.is_wide;
  side->is_offsets = lengths.is_offsets;
  side->divisor = lengths.divisor;
  return side->data != nullptr && lengths.divisor != 0;
}

uint32_t InternExperts(const CudnnOperation& operation, Entry entry) {
  shapes::Gemm gemms[2];
  uint64_t counts[2];
  CompoundPart parts[2];
  const uint32_t count = SpreadOverExperts(operation, gemms, counts);
  for (uint32_t i = 0; i < count; ++i) {
    parts[i].signature = InternGemm(gemms[i], 0, entry, operation.provenance);
    parts[i].count = counts[i];
  }
  const uint32_t all = InternCompound(entry, parts, count, "moe grouped matmul");
  return all != 0 ? all : InternGemm(operation.gemm, 0, entry, operation.provenance);
}

uint32_t Intern(const CudnnOperation& operation, const CudnnPack& pack, Entry entry, Run* run) {
  switch (operation.kind) {
    case Kind::kGemm: {
      if (operation.experts != 0) return InternExperts(operation, entry);
      return InternGemm(operation.gemm, 0, entry, operation.provenance);
    }
    case Kind::kConvolution:
      return InternConvolution(operation.convolution, entry, operation.provenance);
    case Kind::kAttention: {
      bool has_lengths = false;
      const Provenance provenance =
          ResolveCudnnAttention(operation, pack, &run->attention, &has_lengths);
      const CudnnMask& mask = operation.mask;
      run->is_lengthy = has_lengths && SideOf(mask.queries, pack, &run->lengths.q) &&
                        SideOf(mask.keys, pack, &run->lengths.k);
      run->lengths.sequences = static_cast<uint32_t>(run->attention.batch);
      const bool lengths_vary = mask.queries.is_set || mask.keys.is_set;
      return InternAttention(run->attention, lengths_vary ? kLengthsOnDevice : 0, entry,
                             provenance);
    }
    case Kind::kNamed:
      break;
  }
  return InternOpaque(entry, operation.name);
}

void Describe(const CudnnWork& work, const CudnnPack& pack, Entry entry, Run* run) {
  CompoundPart parts[CudnnWork::kMaxOperations];
  for (uint32_t i = 0; i < work.count; ++i) {
    parts[i] = {Intern(work.operations[i], pack, entry, run), 1};
  }
  run->signature = parts[0].signature;
  if (work.count == 1) return;
  run->is_lengthy = false;
  const uint32_t all = InternCompound(entry, parts, work.count, nullptr);
  if (all != 0) run->signature = all;
}

void Describe(const HookedCall& call, Pointer plan, Pointer variant_pack, Run* run) {
  const CudnnWork* work = WorkOfCudnnPlan(*call.library, plan);
  if (work == nullptr) {
    run->signature = InternOpaque(call.entry, "cudnn graph: plan not readable");
    return;
  }
  CudnnPack pack;
  pack.uid_count = 0;
  pack.pointer_count = 0;
  pack.override_count = 0;
  pack.is_unreadable = false;
  if (work->needs_pack || CudnnPacksReplaceShapes()) FindCudnnPack(variant_pack, &pack);
  if (pack.override_count == 0 && !pack.is_unreadable) {
    Describe(*work, pack, call.entry, run);
    return;
  }
  CudnnWork resized;
  if (WorkOfCudnnPlan(*call.library, plan, pack, &resized)) {
    Describe(resized, pack, call.entry, run);
  } else {
    run->signature = InternOpaque(call.entry, "cudnn graph: dimensions of the run not readable");
  }
}

}  // namespace

void CudnnExecute::Before(HookedCall& call, Pointer handle, Pointer plan, Pointer variant_pack) {
  Run run;
  Describe(call, plan, variant_pack, &run);
  void* stream = nullptr;
  if (!CudnnStreamOf(*call.library, handle, &stream)) {
    BeginUntimed(call, run.signature);
  } else if (run.is_lengthy) {
    BeginAttention(call, run.attention, run.lengths, stream);
  } else {
    Begin(call, run.signature, stream);
  }
}

void CudnnIntoCudaGraph::Before(HookedCall& call, Pointer, Pointer plan, Pointer variant_pack,
                                Pointer) {
  // Lengths on the device stay the bound that the shape is: they are those of a launch.
  Run run;
  Describe(call, plan, variant_pack, &run);
  call.open.signature = run.signature;
}

void CudnnIntoCudaGraph::After(HookedCall& call, int status, Pointer, Pointer, Pointer,
                               Pointer cuda_graph) {
  if (status != CUDNN_STATUS_SUCCESS) return;
  GraphFilledByLibrary(cuda_graph, call.open.signature,
                       call.entry == Entry::k_cudnnBackendUpdateCudaGraph);
}

void CudnnSetAttribute::Before(HookedCall&, Pointer descriptor, int attribute, int type,
                               int64_t count, Pointer data) {
  NoteCudnnPack(descriptor, attribute, count, data);
  TrackCudnnAttribute(descriptor, attribute, type, count, data);
}

void CudnnGetAttribute::After(HookedCall&, int status, Pointer descriptor, int attribute, int type,
                              int64_t requested, Pointer count, Pointer data) {
  if (status != CUDNN_STATUS_SUCCESS || requested <= 0 || type != CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    return;
  }
  int64_t given = requested;
  if (count != nullptr) given = *static_cast<const int64_t*>(count);
  TrackCudnnAnswer(descriptor, attribute, type, given < requested ? given : requested, data);
}

void CudnnDestroy::Before(HookedCall&, Pointer descriptor) {
  ForgetCudnnPack(descriptor);
  ForgetCudnnPlan(descriptor);
  ForgetCudnnDescriptor(descriptor);
}

}  // namespace mfutrace::interpose::observe
