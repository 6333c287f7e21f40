// Observers of cuBLAS's matrix products, one for each way their arguments are laid out. An int64_t
// is an int in the vendor's function, or int64_t in its _64 variant and in cublasXt.
#pragma once

#include <cstdint>

#include "interpose/observe.h"

namespace mfutrace::interpose::observe {

// Formats and compute type are vendor codes; -1 where the function's name says them
// (EntryInfo::dtype() then).
struct GemmArguments {
  Pointer handle;
  int op_a, op_b;
  int64_t m, n, k;
  Pointer beta;
  int type_a = -1, type_b = -1, type_c = -1, compute = -1;
  int64_t batch = 1, stride_a = 0, stride_b = 0;
  // Each matrix of the batch has a pointer of its own: strides mean nothing.
  bool has_pointers = false;
  // cuBLAS 1: no handle, and beta lies in the caller's registers.
  bool is_legacy = false;
};
void ObserveGemm(HookedCall& call, const GemmArguments& arguments);

struct Gemm : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int op_a, int op_b, int64_t m, int64_t n,
                     int64_t k, Pointer, Pointer, int64_t, Pointer, int64_t, Pointer beta, Pointer,
                     int64_t) {
    ObserveGemm(call, {handle, op_a, op_b, m, n, k, beta});
  }
};

struct GemmStridedBatched : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int op_a, int op_b, int64_t m, int64_t n,
                     int64_t k, Pointer, Pointer, int64_t, int64_t stride_a, Pointer, int64_t,
                     int64_t stride_b, Pointer beta, Pointer, int64_t, int64_t, int64_t batch) {
    ObserveGemm(call,
                {handle, op_a, op_b, m, n, k, beta, -1, -1, -1, -1, batch, stride_a, stride_b});
  }
};

struct GemmBatched : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int op_a, int op_b, int64_t m, int64_t n,
                     int64_t k, Pointer, Pointer, int64_t, Pointer, int64_t, Pointer beta, Pointer,
                     int64_t, int64_t batch) {
    ObserveGemm(call, {handle, op_a, op_b, m, n, k, beta, -1, -1, -1, -1, batch, 0, 0, true});
  }
};

struct GemmEx : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int op_a, int op_b, int64_t m, int64_t n,
                     int64_t k, Pointer, Pointer, int type_a, int64_t, Pointer, int type_b, int64_t,
                     Pointer beta, Pointer, int type_c, int64_t, int compute, int) {
    ObserveGemm(call, {handle, op_a, op_b, m, n, k, beta, type_a, type_b, type_c, compute});
  }
};

struct GemmStridedBatchedEx : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int op_a, int op_b, int64_t m, int64_t n,
                     int64_t k, Pointer, Pointer, int type_a, int64_t, int64_t stride_a, Pointer,
                     int type_b, int64_t, int64_t stride_b, Pointer beta, Pointer, int type_c,
                     int64_t, int64_t, int64_t batch, int compute, int) {
    ObserveGemm(call, {handle, op_a, op_b, m, n, k, beta, type_a, type_b, type_c, compute, batch,
                       stride_a, stride_b});
  }
};

struct GemmBatchedEx : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int op_a, int op_b, int64_t m, int64_t n,
                     int64_t k, Pointer, Pointer, int type_a, int64_t, Pointer, int type_b, int64_t,
                     Pointer beta, Pointer, int type_c, int64_t, int64_t batch, int compute, int) {
    ObserveGemm(call, {handle, op_a, op_b, m, n, k, beta, type_a, type_b, type_c, compute, batch, 0,
                       0, true});
  }
};

// cublasSgemmEx and its like: formats as arguments, arithmetic by the name.
struct GemmTyped : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int op_a, int op_b, int64_t m, int64_t n,
                     int64_t k, Pointer, Pointer, int type_a, int64_t, Pointer, int type_b, int64_t,
                     Pointer beta, Pointer, int type_c, int64_t) {
    ObserveGemm(call, {handle, op_a, op_b, m, n, k, beta, type_a, type_b, type_c});
  }
};

// cublasUint8gemmBias: C = (A + bias) (B + bias) in bytes; the third operation is of the result.
struct Uint8Gemm : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int op_a, int op_b, int, int m, int n, int k,
                     Pointer, int, int, Pointer, int, int, Pointer, int, int, int, int) {
    ObserveGemm(call, {handle, op_a, op_b, m, n, k, nullptr});
  }
};

// Products of several shapes in one call. The arrays of dimensions lie on the host, of ints or, if
// `is_wide`, of 64-bit integers.
struct GroupedArguments {
  Pointer handle, ops_a, ops_b, m, n, k, betas;
  int64_t group_count;
  Pointer group_sizes;
  bool is_wide;
  int type_a = -1, type_b = -1, type_c = -1, compute = -1;
};
void ObserveGrouped(HookedCall& call, const GroupedArguments& arguments);

struct GemmGrouped : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, Pointer ops_a, Pointer ops_b, Pointer m,
                     Pointer n, Pointer k, Pointer, Pointer, Pointer, Pointer, Pointer,
                     Pointer betas, Pointer, Pointer, int64_t group_count, Pointer group_sizes) {
    ObserveGrouped(
        call, {handle, ops_a, ops_b, m, n, k, betas, group_count, group_sizes, call.narrow == 0});
  }
};

struct GemmGroupedEx : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, Pointer ops_a, Pointer ops_b, Pointer m,
                     Pointer n, Pointer k, Pointer, Pointer, int type_a, Pointer, Pointer,
                     int type_b, Pointer, Pointer betas, Pointer, int type_c, Pointer,
                     int64_t group_count, Pointer group_sizes, int compute) {
    ObserveGrouped(call, {handle, ops_a, ops_b, m, n, k, betas, group_count, group_sizes,
                          call.narrow == 0, type_a, type_b, type_c, compute});
  }
};

}  // namespace mfutrace::interpose::observe
