// Observers of cuBLAS's first interface (cublas.h, "legacy"): no handle, no status, options as
// characters, scalars by value. Scalar is what their registers hold (entry_points.cc); herk and
// her2k have real ones.
//
// Its stream is whatever cublasSetKernelStream was given last, and nothing tells it: these calls
// are recorded without a time. cublasGetError would clear what it tells, so they count as
// succeeded.
#pragma once

#include "interpose/observe_gemm.h"
#include "interpose/observe_matrix.h"

namespace mfutrace::interpose::observe {

// cublasOperation_t and cublasSideMode_t of an option's letter; -1 for no such option.
inline int OperationOf(char letter) {
  switch (letter | 0x20) {
    case 'n':
      return 0;
    case 't':
      return 1;
    case 'c':
      return 2;
    default:
      return -1;
  }
}
inline int SideOf(char letter) {
  return (letter | 0x20) == 'l' ? 0 : (letter | 0x20) == 'r' ? 1 : -1;
}

struct LegacyGemm : EndsWithoutStatus {
  template <typename Scalar>
  static void Before(HookedCall& call, char op_a, char op_b, int m, int n, int k, const Scalar&,
                     Pointer, int, Pointer, int, const Scalar& beta, Pointer, int) {
    GemmArguments arguments = {nullptr, OperationOf(op_a), OperationOf(op_b), m, n, k, &beta};
    arguments.is_legacy = true;
    ObserveGemm(call, arguments);
  }
};

struct LegacySyrk : EndsWithoutStatus {
  template <typename Scalar>
  static void Before(HookedCall& call, char, char, int n, int k, const Scalar&, Pointer, int,
                     const Scalar& beta, Pointer, int) {
    ObserveMatrix(call, {.n = n, .k = k, .beta = &beta, .is_legacy = true});
  }
};

struct LegacySyr2k : EndsWithoutStatus {
  template <typename Scalar, typename Beta>
  static void Before(HookedCall& call, char, char, int n, int k, const Scalar&, Pointer, int,
                     Pointer, int, const Beta& beta, Pointer, int) {
    ObserveMatrix(call, {.n = n, .k = k, .beta = &beta, .is_legacy = true});
  }
};

struct LegacySymm : EndsWithoutStatus {
  template <typename Scalar>
  static void Before(HookedCall& call, char side, char, int m, int n, const Scalar&, Pointer, int,
                     Pointer, int, const Scalar& beta, Pointer, int) {
    ObserveMatrix(call, {.m = m, .n = n, .beta = &beta, .side = SideOf(side), .is_legacy = true});
  }
};

// trmm and trsm: the product replaces B in both.
struct LegacyTrmm : EndsWithoutStatus {
  template <typename Scalar>
  static void Before(HookedCall& call, char side, char, char, char, int m, int n, const Scalar&,
                     Pointer, int, Pointer, int) {
    ObserveMatrix(call, {.m = m, .n = n, .side = SideOf(side), .is_legacy = true});
  }
};

struct LegacyGemv : EndsWithoutStatus {
  template <typename Scalar>
  static void Before(HookedCall& call, char, int m, int n, const Scalar&, Pointer, int, Pointer,
                     int, const Scalar& beta, Pointer, int) {
    ObserveMatrix(call, {.m = m, .n = n, .beta = &beta, .is_legacy = true});
  }
};

struct LegacyGbmv : EndsWithoutStatus {
  template <typename Scalar>
  static void Before(HookedCall& call, char, int m, int n, int kl, int ku, const Scalar&, Pointer,
                     int, Pointer, int, const Scalar& beta, Pointer, int) {
    ObserveMatrix(call,
                  {.m = m, .n = n, .k = int64_t{kl} + ku + 1, .beta = &beta, .is_legacy = true});
  }
};

struct LegacySymv : EndsWithoutStatus {
  template <typename Scalar>
  static void Before(HookedCall& call, char, int n, const Scalar&, Pointer, int, Pointer, int,
                     const Scalar& beta, Pointer, int) {
    ObserveMatrix(call, {.n = n, .beta = &beta, .is_legacy = true});
  }
};

struct LegacySpmv : EndsWithoutStatus {
  template <typename Scalar>
  static void Before(HookedCall& call, char, int n, const Scalar&, Pointer, Pointer, int,
                     const Scalar& beta, Pointer, int) {
    ObserveMatrix(call, {.n = n, .beta = &beta, .is_legacy = true});
  }
};

struct LegacySbmv : EndsWithoutStatus {
  template <typename Scalar>
  static void Before(HookedCall& call, char, int n, int k, const Scalar&, Pointer, int, Pointer,
                     int, const Scalar& beta, Pointer, int) {
    ObserveMatrix(call, {.n = n, .k = int64_t{k} + 1, .beta = &beta, .is_legacy = true});
  }
};

struct LegacyTbmv : EndsWithoutStatus {
  static void Before(HookedCall& call, char, char, char, int n, int k, Pointer, int, Pointer, int) {
    ObserveMatrix(call, {.n = n, .k = int64_t{k} + 1, .is_legacy = true});
  }
};

struct LegacyTrmv : EndsWithoutStatus {
  static void Before(HookedCall& call, char, char, char, int n, Pointer, int, Pointer, int) {
    ObserveMatrix(call, {.n = n, .is_legacy = true});
  }
};

struct LegacyTpmv : EndsWithoutStatus {
  static void Before(HookedCall& call, char, char, char, int n, Pointer, Pointer, int) {
    ObserveMatrix(call, {.n = n, .is_legacy = true});
  }
};

struct LegacyGer : EndsWithoutStatus {
  template <typename Scalar>
  static void Before(HookedCall& call, int m, int n, const Scalar&, Pointer, int, Pointer, int,
                     Pointer, int) {
    ObserveMatrix(call, {.m = m, .n = n, .is_legacy = true});
  }
};

struct LegacySyr : EndsWithoutStatus {
  template <typename Scalar>
  static void Before(HookedCall& call, char, int n, const Scalar&, Pointer, int, Pointer, int) {
    ObserveMatrix(call, {.n = n, .is_legacy = true});
  }
};

struct LegacySpr : EndsWithoutStatus {
  template <typename Scalar>
  static void Before(HookedCall& call, char, int n, const Scalar&, Pointer, int, Pointer) {
    ObserveMatrix(call, {.n = n, .is_legacy = true});
  }
};

struct LegacySyr2 : EndsWithoutStatus {
  template <typename Scalar>
  static void Before(HookedCall& call, char, int n, const Scalar&, Pointer, int, Pointer, int,
                     Pointer, int) {
    ObserveMatrix(call, {.n = n, .is_legacy = true});
  }
};

struct LegacySpr2 : EndsWithoutStatus {
  template <typename Scalar>
  static void Before(HookedCall& call, char, int n, const Scalar&, Pointer, int, Pointer, int,
                     Pointer) {
    ObserveMatrix(call, {.n = n, .is_legacy = true});
  }
};

}  // namespace mfutrace::interpose::observe
