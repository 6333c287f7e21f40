// Observers of cuBLAS's routines other than plain products, one for each way their arguments are
// laid out: levels 2 and 3 of BLAS, the extensions, the LAPACK-like batches. Which routine it is,
// and its element format, say the tables. Int is int, or int64_t in the _64 variants and in
// cublasXt.
#pragma once

#include <cstdint>

#include "interpose/observe.h"

namespace mfutrace::interpose::observe {

// The dimensions by BLAS's letters, as shapes::Matrix has them.
struct MatrixArguments {
  Pointer handle = nullptr;
  int64_t m = 0, n = 0, k = 0;
  int64_t batch = 1;
  Pointer beta = nullptr;
  int side = -1;                    // cublasSideMode_t
  int type = -1, type_result = -1;  // cudaDataType, where the arguments say it
  // cuBLAS 1: no handle, and beta lies in the caller's registers.
  bool is_legacy = false;
};
void ObserveMatrix(HookedCall& call, const MatrixArguments& arguments);

struct Syrk : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, int, Int n, Int k, Pointer, Pointer,
                     Int, Pointer beta, Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .n = n, .k = k, .beta = beta});
  }
};

struct SyrkEx : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, int, Int n, Int k, Pointer, Pointer,
                     int type, Int, Pointer beta, Pointer, int type_c, Int) {
    ObserveMatrix(
        call,
        {.handle = handle, .n = n, .k = k, .beta = beta, .type = type, .type_result = type_c});
  }
};

// Two operands of like shape: syr2k, her2k, syrkx, herkx.
struct Syr2k : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, int, Int n, Int k, Pointer, Pointer,
                     Int, Pointer, Int, Pointer beta, Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .n = n, .k = k, .beta = beta});
  }
};

struct Symm : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int side, int, Int m, Int n, Pointer,
                     Pointer, Int, Pointer, Int, Pointer beta, Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .beta = beta, .side = side});
  }
};

// cublasXt: a packed symmetric operand.
struct Spmm : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int side, int, Int m, Int n, Pointer,
                     Pointer, Pointer, Int, Pointer beta, Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .beta = beta, .side = side});
  }
};

struct Trmm : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int side, int, int, int, Int m, Int n,
                     Pointer, Pointer, Int, Pointer, Int, Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .side = side});
  }
};

struct Trsm : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int side, int, int, int, Int m, Int n,
                     Pointer, Pointer, Int, Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .side = side});
  }
};

struct TrsmBatched : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int side, int, int, int, Int m, Int n,
                     Pointer, Pointer, Int, Pointer, Int, Int batch) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .batch = batch, .side = side});
  }
};

struct Gemv : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, Int m, Int n, Pointer, Pointer, Int,
                     Pointer, Int, Pointer beta, Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .beta = beta});
  }
};

struct GemvBatched : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, Int m, Int n, Pointer, Pointer, Int,
                     Pointer, Int, Pointer beta, Pointer, Int, Int batch) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .batch = batch, .beta = beta});
  }
};

struct GemvStridedBatched : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, Int m, Int n, Pointer, Pointer, Int,
                     int64_t, Pointer, Int, int64_t, Pointer beta, Pointer, Int, int64_t,
                     Int batch) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .batch = batch, .beta = beta});
  }
};

// k is the width of the band: the diagonals below, the main one and those above.
struct Gbmv : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, Int m, Int n, Int kl, Int ku, Pointer,
                     Pointer, Int, Pointer, Int, Pointer beta, Pointer, Int) {
    ObserveMatrix(call,
                  {.handle = handle, .m = m, .n = n, .k = int64_t{kl} + ku + 1, .beta = beta});
  }
};

struct Symv : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, Int n, Pointer, Pointer, Int, Pointer,
                     Int, Pointer beta, Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .n = n, .beta = beta});
  }
};

// Packed: spmv, hpmv.
struct Spmv : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, Int n, Pointer, Pointer, Pointer, Int,
                     Pointer beta, Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .n = n, .beta = beta});
  }
};

// Banded symmetric and triangular operands (sbmv, hbmv and, below, tbmv, tbsv): k is the number of
// stored diagonals, one more than the argument of that name.
struct Sbmv : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, Int n, Int k, Pointer, Pointer, Int,
                     Pointer, Int, Pointer beta, Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .n = n, .k = int64_t{k} + 1, .beta = beta});
  }
};

struct Tbmv : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, int, int, Int n, Int k, Pointer, Int,
                     Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .n = n, .k = int64_t{k} + 1});
  }
};

struct Trmv : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, int, int, Int n, Pointer, Int, Pointer,
                     Int) {
    ObserveMatrix(call, {.handle = handle, .n = n});
  }
};

// Packed: tpmv, tpsv.
struct Tpmv : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, int, int, Int n, Pointer, Pointer,
                     Int) {
    ObserveMatrix(call, {.handle = handle, .n = n});
  }
};

struct Ger : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, Int m, Int n, Pointer, Pointer, Int, Pointer,
                     Int, Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n});
  }
};

struct Syr : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, Int n, Pointer, Pointer, Int, Pointer,
                     Int) {
    ObserveMatrix(call, {.handle = handle, .n = n});
  }
};

struct Spr : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, Int n, Pointer, Pointer, Int, Pointer) {
    ObserveMatrix(call, {.handle = handle, .n = n});
  }
};

struct Syr2 : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, Int n, Pointer, Pointer, Int, Pointer,
                     Int, Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .n = n});
  }
};

struct Spr2 : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, Int n, Pointer, Pointer, Int, Pointer,
                     Int, Pointer) {
    ObserveMatrix(call, {.handle = handle, .n = n});
  }
};

struct Geam : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int, int, Int m, Int n, Pointer, Pointer,
                     Int, Pointer beta, Pointer, Int, Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .beta = beta});
  }
};

struct Dgmm : EndsPlainly {
  template <typename Int>
  static void Before(HookedCall& call, Pointer handle, int side, Int m, Int n, Pointer, Int,
                     Pointer, Int, Pointer, Int) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .side = side});
  }
};

// LAPACK-like: square matrices have n alone; k is the number of right-hand sides.
struct Getrf : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int n, Pointer, int, Pointer, Pointer,
                     int batch) {
    ObserveMatrix(call, {.handle = handle, .n = n, .batch = batch});
  }
};

struct Getri : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int n, Pointer, int, Pointer, Pointer, int,
                     Pointer, int batch) {
    ObserveMatrix(call, {.handle = handle, .n = n, .batch = batch});
  }
};

struct Getrs : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int n, int rhs, Pointer, int, Pointer,
                     Pointer, int, Pointer, int batch) {
    ObserveMatrix(call, {.handle = handle, .n = n, .k = rhs, .batch = batch});
  }
};

struct Matinv : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int n, Pointer, int, Pointer, int, Pointer,
                     int batch) {
    ObserveMatrix(call, {.handle = handle, .n = n, .batch = batch});
  }
};

struct Geqrf : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int m, int n, Pointer, int, Pointer, Pointer,
                     int batch) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .batch = batch});
  }
};

struct Gels : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int m, int n, int rhs, Pointer, int,
                     Pointer, int, Pointer, Pointer, int batch) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .k = rhs, .batch = batch});
  }
};

}  // namespace mfutrace::interpose::observe
