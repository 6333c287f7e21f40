// FLOPs, bytes, label and rate of the BLAS and LAPACK-like routines that are not plain products.
//
// Sources. "LAWN 41" is LAPACK Working Note 41 (Blackford and Dongarra, "Installation Guide for
// LAPACK", table of operation counts), whose multiplications and additions blaspp, MAGMA and PLASMA
// use too; a complex multiplication is 6, a complex addition 2. Scaling by alpha and beta is left
// out everywhere, as for GEMM. All functions saturate and give 0 for an empty problem.
//
//   routine                 FLOPs of one matrix, real (complex)              source
//   symm, hemm              2 m^2 n left, 2 m n^2 right (x4)                 LAWN 41
//   syrk, herk, their x     k n (n + 1) (x4; by the Gauss product x3)        LAWN 41
//   syr2k, her2k            2 k n^2 (x4)                                     LAWN 41
//   trmm, trsm              o s^2 (4 o s^2 + 2 o s), triangle s, other o     LAWN 41
//   gemv, ger               2 m n (x4)                                       LAWN 41
//   symv, hemv              2 n^2 (x4)                                       LAWN 41
//   trmv, trsv              n^2 (4 n^2 + 2 n)                                trmm with o = 1
//   syr, her                n (n + 1) (x4)                                   syrk with k = 1
//   syr2, her2              2 n (n + 1) (x4)                                 two FMAs an element
//   gbmv                    2 n k (x4), k stored diagonals                   nominal band
//   geam, dgmm              m n additions; m n multiplications               definition
//   getrf, getri, getrs     multiplications and additions of the polynomials LAWN 41
//   geqrf                   likewise                                         LAWN 41
//   gels                    geqrf, then Q' b, then the triangle: geqrs       LAWN 41, PLASMA
//   matinv                  getrf and getri                                  LAWN 41
//
// Fields of Matrix: k is the right-hand-side count of getrs and gels, and the number of stored
// diagonals of a banded matrix (gbmv: kl + ku + 1; banded symv, hemv, trmv, trsv: k + 1; 0 there
// means not banded). getrf without m is square. Square routines use n; m is ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "shapes/label.h"
#include "shapes/op.h"
#include "shapes/peaks.h"

namespace mfutrace::shapes {

// 0 for kUnknown, for a side that is unknown where it matters, and for gels with m < n, which
// cuBLAS does not do (its documentation of gelsBatched).
uint64_t ExecutedFlop(const Matrix& matrix);
// Equal to executed: no recompute lies in these routines.
uint64_t ModelFlop(const Matrix& matrix);
// The count by four real products where `gauss_3m` says three; executed for any other.
uint64_t ConventionalFlop(const Matrix& matrix);

// Each operand once, of symmetric and triangular ones the stored triangle; what is updated in place
// once read and once written. Unknown beta counts as zero, the least. gemv's y is taken as the
// shorter of m and n where beta makes it read, since the transposition is not recorded: the least.
// nullopt for an unknown format, routine, or side where it matters.
std::optional<uint64_t> LeastBytes(const Matrix& matrix);

// "syrk f64 n4096 k64", "trsm f32 right 128x64 b12".
Label LabelOf(const Matrix& matrix);

// As of a GEMM with both operands of `dtype`.
std::optional<PeakRate> RateOf(const Matrix& matrix);

std::string_view NameOf(MatrixRoutine routine);

}  // namespace mfutrace::shapes
