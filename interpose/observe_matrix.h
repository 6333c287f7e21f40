// Observers of cuBLAS's routines other than plain products, one for each way their arguments are
// laid out: levels 2 and 3 of BLAS, the extensions, the LAPACK-like batches. Which routine it is,
// and its element format, say the tables. An int64_t is an int in the vendor's function, or int64_t
// in its _64 variant and in cublasXt.
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
  static void Before(HookedCall& call, Pointer handle, int, int, int64_t n, int64_t k, Pointer,
                     Pointer, int64_t, Pointer beta, Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .n = n, .k = k, .beta = beta});
  }
};

struct SyrkEx : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int, int64_t n, int64_t k, Pointer,
                     Pointer, int type, int64_t, Pointer beta, Pointer, int type_c, int64_t) {
    ObserveMatrix(
        call,
        {.handle = handle, .n = n, .k = k, .beta = beta, .type = type, .type_result = type_c});
  }
};

// Two operands of like shape: syr2k, her2k, syrkx, herkx.
struct Syr2k : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int, int64_t n, int64_t k, Pointer,
                     Pointer, int64_t, Pointer, int64_t, Pointer beta, Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .n = n, .k = k, .beta = beta});
  }
};

struct Symm : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int side, int, int64_t m, int64_t n, Pointer,
                     Pointer, int64_t, Pointer, int64_t, Pointer beta, Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .beta = beta, .side = side});
  }
};

// cublasXt: a packed symmetric operand.
struct Spmm : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int side, int, int64_t m, int64_t n, Pointer,
                     Pointer, Pointer, int64_t, Pointer beta, Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .beta = beta, .side = side});
  }
};

struct Trmm : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int side, int, int, int, int64_t m,
                     int64_t n, Pointer, Pointer, int64_t, Pointer, int64_t, Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .side = side});
  }
};

struct Trsm : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int side, int, int, int, int64_t m,
                     int64_t n, Pointer, Pointer, int64_t, Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .side = side});
  }
};

struct TrsmBatched : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int side, int, int, int, int64_t m,
                     int64_t n, Pointer, Pointer, int64_t, Pointer, int64_t, int64_t batch) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .batch = batch, .side = side});
  }
};

struct Gemv : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int64_t m, int64_t n, Pointer, Pointer,
                     int64_t, Pointer, int64_t, Pointer beta, Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .beta = beta});
  }
};

struct GemvBatched : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int64_t m, int64_t n, Pointer, Pointer,
                     int64_t, Pointer, int64_t, Pointer beta, Pointer, int64_t, int64_t batch) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .batch = batch, .beta = beta});
  }
};

struct GemvStridedBatched : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int64_t m, int64_t n, Pointer, Pointer,
                     int64_t, int64_t, Pointer, int64_t, int64_t, Pointer beta, Pointer, int64_t,
                     int64_t, int64_t batch) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .batch = batch, .beta = beta});
  }
};

// k is the width of the band: the diagonals below, the main one and those above.
struct Gbmv : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int64_t m, int64_t n, int64_t kl,
                     int64_t ku, Pointer, Pointer, int64_t, Pointer, int64_t, Pointer beta, Pointer,
                     int64_t) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .k = kl + ku + 1, .beta = beta});
  }
};

struct Symv : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int64_t n, Pointer, Pointer, int64_t,
                     Pointer, int64_t, Pointer beta, Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .n = n, .beta = beta});
  }
};

// Packed: spmv, hpmv.
struct Spmv : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int64_t n, Pointer, Pointer, Pointer,
                     int64_t, Pointer beta, Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .n = n, .beta = beta});
  }
};

// Banded symmetric and triangular operands (sbmv, hbmv and, below, tbmv, tbsv): k is the number of
// stored diagonals, one more than the argument of that name.
struct Sbmv : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int64_t n, int64_t k, Pointer, Pointer,
                     int64_t, Pointer, int64_t, Pointer beta, Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .n = n, .k = k + 1, .beta = beta});
  }
};

struct Tbmv : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int, int, int64_t n, int64_t k, Pointer,
                     int64_t, Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .n = n, .k = k + 1});
  }
};

struct Trmv : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int, int, int64_t n, Pointer, int64_t,
                     Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .n = n});
  }
};

// Packed: tpmv, tpsv.
struct Tpmv : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int, int, int64_t n, Pointer, Pointer,
                     int64_t) {
    ObserveMatrix(call, {.handle = handle, .n = n});
  }
};

struct Ger : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int64_t m, int64_t n, Pointer, Pointer,
                     int64_t, Pointer, int64_t, Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n});
  }
};

struct Syr : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int64_t n, Pointer, Pointer, int64_t,
                     Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .n = n});
  }
};

struct Spr : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int64_t n, Pointer, Pointer, int64_t,
                     Pointer) {
    ObserveMatrix(call, {.handle = handle, .n = n});
  }
};

struct Syr2 : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int64_t n, Pointer, Pointer, int64_t,
                     Pointer, int64_t, Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .n = n});
  }
};

struct Spr2 : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int64_t n, Pointer, Pointer, int64_t,
                     Pointer, int64_t, Pointer) {
    ObserveMatrix(call, {.handle = handle, .n = n});
  }
};

struct Geam : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int, int, int64_t m, int64_t n, Pointer,
                     Pointer, int64_t, Pointer beta, Pointer, int64_t, Pointer, int64_t) {
    ObserveMatrix(call, {.handle = handle, .m = m, .n = n, .beta = beta});
  }
};

struct Dgmm : EndsPlainly {
  static void Before(HookedCall& call, Pointer handle, int side, int64_t m, int64_t n, Pointer,
                     int64_t, Pointer, int64_t, Pointer, int64_t) {
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
