// Observers: how each family of functions is read. An observer is a pair of functions around the
// vendor's call; its arguments have the types of the calling convention (hook.h), so that entries
// with like arguments share it. What differs between them is in the table (EntryInfo::detail).
//
// Called by Hook on the job's threads, never nested. No vendor header here: the numbers behind the
// integers are the business of observe_*.cc.
#pragma once

#include <cstdint>

#include "interpose/hook.h"
#include "shapes/op.h"

namespace mfutrace::interpose::observe {

using Pointer = const void*;

// The end of most calls: the vendors' success is 0.
struct EndsPlainly {
  template <typename... Args>
  static void After(HookedCall& call, int status, const Args&...) {
    Finish(call, status == 0);
  }
};

// --- cuBLAS: observe_cublas.cc
// ----------------------------------------------------------------------

// Of any matrix product in cuBLAS. Formats and compute type are vendor codes; -1 where the
// function's name says them (EntryInfo::detail is the element format then).
struct GemmArguments {
  Pointer handle;
  int op_a, op_b;
  int64_t m, n, k;
  Pointer beta;
  int type_a = -1, type_b = -1, type_c = -1, compute = -1;
  int64_t batch = 1, stride_a = 0, stride_b = 0;
};
void ObserveGemm(HookedCall& call, const GemmArguments& arguments);

// Int is int, or int64_t in the _64 variants.
struct Gemm : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int op_a, int op_b, Int m, Int n, Int k,
                     Pointer, Pointer, Int, Pointer, Int, Pointer beta, Pointer, Int) {
    ObserveGemm(call, {handle, op_a, op_b, m, n, k, beta});
  }
};

struct GemmStridedBatched : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int op_a, int op_b, Int m, Int n, Int k,
                     Pointer, Pointer, Int, int64_t stride_a, Pointer, Int, int64_t stride_b,
                     Pointer beta, Pointer, Int, int64_t, Int batch) {
    ObserveGemm(call,
                {handle, op_a, op_b, m, n, k, beta, -1, -1, -1, -1, batch, stride_a, stride_b});
  }
};

struct GemmEx : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int op_a, int op_b, Int m, Int n, Int k,
                     Pointer, Pointer, int type_a, Int, Pointer, int type_b, Int, Pointer beta,
                     Pointer, int type_c, Int, int compute, int) {
    ObserveGemm(call, {handle, op_a, op_b, m, n, k, beta, type_a, type_b, type_c, compute});
  }
};

struct GemmStridedBatchedEx : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int op_a, int op_b, Int m, Int n, Int k,
                     Pointer, Pointer, int type_a, Int, int64_t stride_a, Pointer, int type_b, Int,
                     int64_t stride_b, Pointer beta, Pointer, int type_c, Int, int64_t, Int batch,
                     int compute, int) {
    ObserveGemm(call, {handle, op_a, op_b, m, n, k, beta, type_a, type_b, type_c, compute, batch,
                       stride_a, stride_b});
  }
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

struct EndsCollective {
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

struct GroupStart {
  static void Before(HookedCall&) {}
  static void After(HookedCall& call, int status);
};

struct GroupEnd {
  static void Before(HookedCall& call);
  static void After(HookedCall& call, int status);
};

struct CommInitRank {
  static void Before(HookedCall&, Pointer, int, const Bytes<128>&, int) {}
  static void After(HookedCall& call, int status, Pointer communicator, int size,
                    const Bytes<128>& unique_id, int rank);
};

struct CommInitRankConfig {
  static void Before(HookedCall&, Pointer, int, const Bytes<128>&, int, Pointer) {}
  static void After(HookedCall& call, int status, Pointer communicator, int size,
                    const Bytes<128>& unique_id, int rank, Pointer config);
};

struct CommInitRankScalable {
  static void Before(HookedCall&, Pointer, int, int, int, Pointer, Pointer) {}
  static void After(HookedCall& call, int status, Pointer communicator, int size, int rank,
                    int id_count, Pointer unique_ids, Pointer config);
};

struct CommInitAll {
  static void Before(HookedCall&, Pointer, int, Pointer) {}
  static void After(HookedCall& call, int status, Pointer communicators, int device_count,
                    Pointer devices);
};

struct CommSplit {
  static void Before(HookedCall& call, Pointer parent, int color, int key, Pointer communicator,
                     Pointer config);
  static void After(HookedCall& call, int status, Pointer parent, int color, int key,
                    Pointer communicator, Pointer config);
};

struct CommFinalize {
  static void Before(HookedCall& call, Pointer communicator);
  static void After(HookedCall& call, int status, Pointer communicator);
};

struct CommDestroy {
  static void Before(HookedCall& call, Pointer communicator);
  static void After(HookedCall& call, int status, Pointer communicator);
};

struct CommAbort {
  static void Before(HookedCall& call, Pointer communicator);
  static void After(HookedCall& call, int status, Pointer communicator);
};

}  // namespace mfutrace::interpose::observe
