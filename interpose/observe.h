// Observers: how each family of functions is read. An observer is a pair of functions around the
// vendor's call; its arguments have the types of the calling convention (hook.h), so that entries
// with like arguments share it. What differs between them is in the table (EntryInfo::detail).
//
// Those of cuBLAS are in observe_gemm.h (products), observe_matrix.h (everything else) and
// observe_legacy.h (its first interface).
//
// Called by Hook on the job's threads, never nested. No vendor header here: the numbers behind the
// integers are the business of observe_*.cc.
#pragma once

#include <cstdint>

#include "interpose/hook.h"
#include "shapes/op.h"

namespace mfutrace::interpose::observe {

using Pointer = const void*;

// How a call ends (hook.h): by its status alone, ...
struct EndsPlainly {
  static constexpr bool kEndsPlainly = true;
  static constexpr bool kHasNoStatus = false;
};
// ... in an After of the observer's own, ...
struct EndsInAfter {
  static constexpr bool kEndsPlainly = false;
  static constexpr bool kHasNoStatus = false;
};
// ... or without telling how: taken for a success.
struct EndsWithoutStatus {
  static constexpr bool kEndsPlainly = false;
  static constexpr bool kHasNoStatus = true;
};

// --- cuBLASLt: observe_cublaslt.cc
// --------------------------------------------------------------------

// The matrix product that descriptors describe, read through the library's own getters (`library`).
// False if they cannot be read or describe something else (grouped layouts).
struct LtMatmulArguments {
  Pointer description, beta, layout_a, layout_b, layout_c, layout_d;
};
bool ReadLtMatmul(const VendorLibrary& library, const LtMatmulArguments& arguments,
                  shapes::Gemm* gemm, uint32_t* compute_code);

struct LtMatmul : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, Pointer description, Pointer alpha,
                     Pointer a, Pointer layout_a, Pointer b, Pointer layout_b, Pointer beta,
                     Pointer c, Pointer layout_c, Pointer d, Pointer layout_d, Pointer algo,
                     Pointer workspace, int64_t workspace_bytes, Pointer stream);
};

// --- NCCL: observe_nccl.cc
// ----------------------------------------------------------------------------

struct CollectiveArguments {
  Pointer communicator, stream;
  int64_t count;
  int dtype;
  int reduction = 0;
  int peer = -1;
};
void ObserveCollective(HookedCall& call, const CollectiveArguments& arguments);
void FinishCollective(HookedCall& call, int status);

struct EndsCollective : EndsInAfter {
  template <typename... Args>
  static void After(HookedCall& call, int status, const Args&...) {
    FinishCollective(call, status);
  }
};

struct ReduceAll : EndsCollective {  // AllReduce, ReduceScatter
  static void Before(HookedCall& call, Pointer, Pointer, int64_t count, int dtype, int reduction,
                     Pointer communicator, Pointer stream) {
    ObserveCollective(call, {communicator, stream, count, dtype, reduction});
  }
};

struct ReduceToRoot : EndsCollective {
  static void Before(HookedCall& call, Pointer, Pointer, int64_t count, int dtype, int reduction,
                     int root, Pointer communicator, Pointer stream) {
    ObserveCollective(call, {communicator, stream, count, dtype, reduction, root});
  }
};

struct CopyAll : EndsCollective {  // AllGather, AlltoAll
  static void Before(HookedCall& call, Pointer, Pointer, int64_t count, int dtype,
                     Pointer communicator, Pointer stream) {
    ObserveCollective(call, {communicator, stream, count, dtype});
  }
};

struct CopyFromRoot : EndsCollective {
  static void Before(HookedCall& call, Pointer, Pointer, int64_t count, int dtype, int root,
                     Pointer communicator, Pointer stream) {
    ObserveCollective(call, {communicator, stream, count, dtype, 0, root});
  }
};

struct OneBuffer : EndsCollective {  // Bcast, Send, Recv
  static void Before(HookedCall& call, Pointer, int64_t count, int dtype, int peer,
                     Pointer communicator, Pointer stream) {
    ObserveCollective(call, {communicator, stream, count, dtype, 0, peer});
  }
};

struct GroupStart : EndsInAfter {
  static void Before(HookedCall&) {}
  static void After(HookedCall& call, int status);
};

struct GroupEnd : EndsInAfter {
  static void Before(HookedCall& call);
  static void After(HookedCall& call, int status);
};

struct GroupSimulateEnd : EndsInAfter {  // ends a group of which nothing runs
  static void Before(HookedCall&, Pointer) {}
  static void After(HookedCall& call, int status, Pointer);
};

struct CommInitRank : EndsInAfter {
  static void Before(HookedCall&, Pointer, int, const Bytes<128>&, int) {}
  static void After(HookedCall& call, int status, Pointer communicator, int size,
                    const Bytes<128>& unique_id, int rank);
};

struct CommInitRankConfig : EndsInAfter {
  static void Before(HookedCall&, Pointer, int, const Bytes<128>&, int, Pointer) {}
  static void After(HookedCall& call, int status, Pointer communicator, int size,
                    const Bytes<128>& unique_id, int rank, Pointer config);
};

struct CommInitRankScalable : EndsInAfter {
  static void Before(HookedCall&, Pointer, int, int, int, Pointer, Pointer) {}
  static void After(HookedCall& call, int status, Pointer communicator, int size, int rank,
                    int id_count, Pointer unique_ids, Pointer config);
};

struct CommInitAll : EndsInAfter {
  static void Before(HookedCall&, Pointer, int, Pointer) {}
  static void After(HookedCall& call, int status, Pointer communicators, int device_count,
                    Pointer devices);
};

struct CommSplit : EndsInAfter {
  static void Before(HookedCall& call, Pointer parent, int color, int key, Pointer communicator,
                     Pointer config);
  static void After(HookedCall& call, int status, Pointer parent, int color, int key,
                    Pointer communicator, Pointer config);
};

struct CommShrink : EndsInAfter {
  static void Before(HookedCall& call, Pointer parent, Pointer excluded, int excluded_count,
                     Pointer communicator, Pointer config, int flags);
  static void After(HookedCall& call, int status, Pointer parent, Pointer excluded,
                    int excluded_count, Pointer communicator, Pointer config, int flags);
};

struct CommRevoke : EndsInAfter {
  static void Before(HookedCall& call, Pointer communicator, int flags);
  static void After(HookedCall& call, int status, Pointer communicator, int flags);
};

// Memory that NCCL, or the job's own kernels, may move data through from now on.
struct CommRegister : EndsInAfter {
  static void Before(HookedCall&, Pointer, Pointer, int64_t, Pointer) {}
  static void After(HookedCall&, int status, Pointer, Pointer, int64_t, Pointer);
};

struct CommWindowRegister : EndsInAfter {
  static void Before(HookedCall&, Pointer, Pointer, int64_t, Pointer, int) {}
  static void After(HookedCall&, int status, Pointer, Pointer, int64_t, Pointer, int);
};

struct CommFinalize : EndsInAfter {
  static void Before(HookedCall& call, Pointer communicator);
  static void After(HookedCall& call, int status, Pointer communicator);
};

struct CommDestroy : EndsInAfter {
  static void Before(HookedCall& call, Pointer communicator);
  static void After(HookedCall& call, int status, Pointer communicator);
};

struct CommAbort : EndsInAfter {
  static void Before(HookedCall& call, Pointer communicator);
  static void After(HookedCall& call, int status, Pointer communicator);
};

}  // namespace mfutrace::interpose::observe
