// The table of matrix.h as code: each routine is a number of multiplications and of additions of
// one matrix, and a number of elements that must move.
#include "shapes/matrix.h"

#include "shapes/label_text.h"
#include "shapes/saturating.h"

namespace mfutrace::shapes {
namespace {

// 128-bit arithmetic that remembers having overflowed. Every polynomial below has positive terms
// that outweigh the negative ones by a third at least: if they overflow, so would the count.
struct Checked {
  Wide value = 0;
  bool overflowed = false;
};

Checked operator+(Checked a, Checked b) {
  Checked sum;
  sum.overflowed =
      __builtin_add_overflow(a.value, b.value, &sum.value) || a.overflowed || b.overflowed;
  return sum;
}

template <typename... Factors>
Checked Times(uint64_t first, Factors... rest) {
  Checked product{first, false};
  ((product.overflowed =
        __builtin_mul_overflow(product.value, static_cast<Wide>(rest), &product.value) ||
        product.overflowed),
   ...);
  const bool has_zero = first == 0 || ((rest == 0) || ...);
  return has_zero ? Checked{} : product;
}

// (plus - minus) / divisor, which the formulas below leave without a remainder.
uint64_t Quotient(Checked plus, Checked minus, uint64_t divisor) {
  if (plus.overflowed || minus.overflowed) return std::numeric_limits<uint64_t>::max();
  return Saturate((plus.value - minus.value) / divisor);
}

struct Count {
  uint64_t multiplications = 0;
  uint64_t additions = 0;
};

Count operator+(Count a, Count b) {
  return {Sum(a.multiplications, b.multiplications), Sum(a.additions, b.additions)};
}

Count Fused(uint64_t multiply_adds) { return {multiply_adds, multiply_adds}; }

// n (n + 1) / 2 and n (n - 1) / 2.
uint64_t Triangle(uint64_t n) { return Quotient(Times(n, n) + Times(n), {}, 2); }
uint64_t StrictTriangle(uint64_t n) { return Quotient(Times(n, n), Times(n), 2); }

// Elements of the main diagonal and the next `diagonals` - 1 of a triangle with n rows.
uint64_t Band(uint64_t n, uint64_t diagonals) {
  const uint64_t kept = Lesser(n, diagonals);
  return Quotient(Times(n, kept, 2u) + Times(kept), Times(kept, kept), 2);
}

uint64_t StoredTriangle(const Matrix& matrix) {
  return matrix.k == 0 ? Triangle(matrix.n) : Band(matrix.n, matrix.k);
}

// A triangle times, or divided into, `others` vectors: the diagonal has no addition.
Count Triangular(uint64_t size, uint64_t others) {
  return {Product(others, Triangle(size)), Product(others, StrictTriangle(size))};
}

Count Getrf(uint64_t m, uint64_t n) {
  const uint64_t l = Greater(m, n);
  const uint64_t s = Lesser(m, n);
  return {Quotient(Times(l, s, s, 3u) + Times(l, s, 3u) + Times(s, 4u),
                   Times(s, s, s) + Times(s, s, 3u), 6),
          Quotient(Times(l, s, s, 3u) + Times(s), Times(s, s, s) + Times(l, s, 3u), 6)};
}

Count Getri(uint64_t n) {
  return {Quotient(Times(n, n, n, 4u) + Times(n, n, 3u) + Times(n, 5u), {}, 6),
          Quotient(Times(n, n, n, 4u) + Times(n, 5u), Times(n, n, 9u), 6)};
}

Count Geqrf(uint64_t m, uint64_t n) {
  if (m > n) {
    const Checked both = Times(m, n, n, 6u) + Times(n, n, 3u);
    return {Quotient(both + Times(m, n, 6u) + Times(n, 23u), Times(n, n, n, 2u), 6),
            Quotient(both + Times(n, 5u), Times(n, n, n, 2u), 6)};
  }
  const Checked minus = Times(m, m, m, 2u) + Times(m, m, 3u);
  return {Quotient(Times(n, m, m, 6u) + Times(m, n, 12u) + Times(m, 23u), minus, 6),
          Quotient(Times(n, m, m, 6u) + Times(m, n, 6u) + Times(m, 5u), minus, 6)};
}

// Q' times the right-hand sides, then the triangle: rhs n (2 m - n/2 + 5/2) and (2 m - n/2 + 1/2).
Count Geqrs(uint64_t m, uint64_t n, uint64_t rhs) {
  return {Quotient(Times(rhs, n, m, 4u) + Times(rhs, n, 5u), Times(rhs, n, n), 2),
          Quotient(Times(rhs, n, m, 4u) + Times(rhs, n), Times(rhs, n, n), 2)};
}

uint64_t RowsOfGetrf(const Matrix& matrix) { return matrix.m == 0 ? matrix.n : matrix.m; }

// Rows of the square operand and the other side of the general one; false if it cannot be known.
bool SplitBySide(const Matrix& matrix, uint64_t* square, uint64_t* other) {
  if (matrix.side == Side::kUnknown && matrix.m != matrix.n) return false;
  *square = matrix.side == Side::kRight ? matrix.n : matrix.m;
  *other = matrix.side == Side::kRight ? matrix.m : matrix.n;
  return true;
}

Count CountOf(const Matrix& matrix) {
  const uint64_t m = matrix.m;
  const uint64_t n = matrix.n;
  const uint64_t k = matrix.k;
  uint64_t square = 0;
  uint64_t other = 0;
  switch (matrix.routine) {
    case MatrixRoutine::kUnknown:
      return {};
    case MatrixRoutine::kSymm:
    case MatrixRoutine::kHemm:
      if (!SplitBySide(matrix, &square, &other)) return {};
      return Fused(Product(square, square, other));
    case MatrixRoutine::kSyrk:
    case MatrixRoutine::kHerk:
    case MatrixRoutine::kSyrkx:
    case MatrixRoutine::kHerkx:
      return Fused(Product(k, Triangle(n)));
    case MatrixRoutine::kSyr2k:
    case MatrixRoutine::kHer2k:
      return Fused(Product(k, n, n));
    case MatrixRoutine::kTrmm:
    case MatrixRoutine::kTrsm:
      if (!SplitBySide(matrix, &square, &other)) return {};
      return Triangular(square, other);
    case MatrixRoutine::kGemv:
    case MatrixRoutine::kGer:
      return Fused(Product(m, n));
    case MatrixRoutine::kGbmv:
      return Fused(Product(Lesser(k, m), n));
    case MatrixRoutine::kSymv:
    case MatrixRoutine::kHemv:
      // The stored triangle and its mirror image, which shares the diagonal.
      return k == 0 ? Fused(Product(n, n))
                    : Fused(Sum(Band(n, k), Band(n, k) - Lesser(n, Band(n, k))));
    case MatrixRoutine::kTrmv:
    case MatrixRoutine::kTrsv:
      if (k == 0) return Triangular(n, 1);
      return {Band(n, k), Band(n, k) - Lesser(n, Band(n, k))};
    case MatrixRoutine::kSyr:
    case MatrixRoutine::kHer:
      return Fused(Triangle(n));
    case MatrixRoutine::kSyr2:
    case MatrixRoutine::kHer2:
      return Fused(Product(2, Triangle(n)));
    case MatrixRoutine::kGeam:
      return {0, Product(m, n)};
    case MatrixRoutine::kDgmm:
      return {Product(m, n), 0};
    case MatrixRoutine::kGetrf:
      return Getrf(RowsOfGetrf(matrix), n);
    case MatrixRoutine::kGetrs:
      return {Product(k, n, n), Product(2, k, StrictTriangle(n))};
    case MatrixRoutine::kGetri:
      return Getri(n);
    case MatrixRoutine::kMatinv:
      return Getrf(n, n) + Getri(n);
    case MatrixRoutine::kGeqrf:
      return Geqrf(m, n);
    case MatrixRoutine::kGels:
      if (m < n) return {};
      return Geqrf(m, n) + Geqrs(m, n, k);
  }
  return {};
}

uint64_t FlopOf(const Matrix& matrix, uint64_t per_multiplication, uint64_t per_addition) {
  const Count count = CountOf(matrix);
  return Product(matrix.batch, Sum(Product(per_multiplication, count.multiplications),
                                   Product(per_addition, count.additions)));
}

// Elements that one matrix must read and write; nullopt if it cannot be known.
std::optional<uint64_t> LeastElements(const Matrix& matrix) {
  const uint64_t m = matrix.m;
  const uint64_t n = matrix.n;
  const uint64_t k = matrix.k;
  const uint64_t c_passes = matrix.beta == BetaUse::kNonzero ? 2 : 1;
  uint64_t square = 0;
  uint64_t other = 0;
  switch (matrix.routine) {
    case MatrixRoutine::kUnknown:
      return std::nullopt;
    case MatrixRoutine::kSymm:
    case MatrixRoutine::kHemm:
      if (!SplitBySide(matrix, &square, &other)) return std::nullopt;
      if (square == 0 || other == 0) return 0;
      return Sum(Triangle(square), Product(1 + c_passes, square, other));
    case MatrixRoutine::kSyrk:
    case MatrixRoutine::kHerk:
      return Sum(Product(n, k), Product(c_passes, Triangle(n)));
    case MatrixRoutine::kSyrkx:
    case MatrixRoutine::kHerkx:
    case MatrixRoutine::kSyr2k:
    case MatrixRoutine::kHer2k:
      return Sum(Product(2, n, k), Product(c_passes, Triangle(n)));
    case MatrixRoutine::kTrmm:
    case MatrixRoutine::kTrsm:
      if (!SplitBySide(matrix, &square, &other)) return std::nullopt;
      if (square == 0 || other == 0) return 0;
      return Sum(Triangle(square), Product(2, square, other));
    case MatrixRoutine::kGemv:
    case MatrixRoutine::kGbmv: {
      if (m == 0 || n == 0) return 0;
      const bool is_band = matrix.routine == MatrixRoutine::kGbmv;
      const uint64_t read_y = c_passes == 2 ? Lesser(m, n) : 0;
      return Sum(Product(is_band ? Lesser(k, m) : m, n), m, n, read_y);
    }
    case MatrixRoutine::kSymv:
    case MatrixRoutine::kHemv:
      return Sum(StoredTriangle(matrix), n, Product(c_passes, n));
    case MatrixRoutine::kTrmv:
    case MatrixRoutine::kTrsv:
      return Sum(StoredTriangle(matrix), Product(2, n));
    case MatrixRoutine::kGer:
      if (m == 0 || n == 0) return 0;
      return Sum(m, n, Product(2, m, n));
    case MatrixRoutine::kSyr:
    case MatrixRoutine::kHer:
      return Sum(n, Product(2, Triangle(n)));
    case MatrixRoutine::kSyr2:
    case MatrixRoutine::kHer2:
      return Sum(Product(2, n), Product(2, Triangle(n)));
    case MatrixRoutine::kGeam:
      return Product(1 + c_passes, m, n);
    case MatrixRoutine::kDgmm:
      if (matrix.side == Side::kUnknown && m != n) return std::nullopt;
      if (m == 0 || n == 0) return 0;
      return Sum(Product(2, m, n), matrix.side == Side::kRight ? n : m);
    case MatrixRoutine::kGetrf:
      return Product(2, RowsOfGetrf(matrix), n);
    case MatrixRoutine::kGetrs:
      if (n == 0 || k == 0) return 0;
      return Sum(Product(n, n), Product(2, n, k));
    case MatrixRoutine::kGetri:
    case MatrixRoutine::kMatinv:
      return Product(2, n, n);
    case MatrixRoutine::kGeqrf:
      return Sum(Product(2, m, n), Lesser(m, n));
    case MatrixRoutine::kGels:
      if (m == 0 || n == 0) return 0;
      return Sum(Product(2, m, n), Product(2, Greater(m, n), k));
  }
  return std::nullopt;
}

}  // namespace

uint64_t ExecutedFlop(const Matrix& matrix) {
  if (!IsComplex(matrix.dtype)) return FlopOf(matrix, 1, 1);
  // Three real products in place of four: multiplication and addition together 6 in place of 8.
  return matrix.gauss_3m ? FlopOf(matrix, 4, 2) : FlopOf(matrix, 6, 2);
}

uint64_t ModelFlop(const Matrix& matrix) { return ExecutedFlop(matrix); }

uint64_t ConventionalFlop(const Matrix& matrix) {
  return IsComplex(matrix.dtype) ? FlopOf(matrix, 6, 2) : FlopOf(matrix, 1, 1);
}

std::optional<uint64_t> LeastBytes(const Matrix& matrix) {
  const uint32_t bits = BitsOf(matrix.dtype);
  const std::optional<uint64_t> elements = LeastElements(matrix);
  if (bits == 0 || !elements.has_value()) return std::nullopt;
  return Product(matrix.batch, Saturate((static_cast<Wide>(*elements) * bits + 7) / 8));
}

Label LabelOf(const Matrix& matrix) {
  Text text;
  text.Put(NameOf(matrix.routine)).Put(" ").Put(NameOf(matrix.dtype)).Put(SuffixOf(matrix.math));
  switch (matrix.routine) {
    case MatrixRoutine::kSymm:
    case MatrixRoutine::kHemm:
    case MatrixRoutine::kTrmm:
    case MatrixRoutine::kTrsm:
    case MatrixRoutine::kDgmm:
      if (matrix.side != Side::kUnknown) {
        text.Put(matrix.side == Side::kLeft ? " left" : " right");
      }
      break;
    default:
      break;
  }
  if (matrix.m != 0) {
    text.Put(" ").Put(matrix.m).Put("x").Put(matrix.n);
  } else {
    text.Put(" n").Put(matrix.n);
  }
  if (matrix.k != 0) text.Put(" k").Put(matrix.k);
  if (matrix.batch != 1) text.Put(" b").Put(matrix.batch);
  if (matrix.gauss_3m) text.Put(" 3m");
  return text.label();
}

std::optional<PeakRate> RateOf(const Matrix& matrix) {
  Gemm gemm;
  gemm.a = gemm.b = matrix.dtype;
  gemm.accumulate = matrix.accumulate;
  gemm.math = matrix.math;
  return RateOf(gemm);
}

std::string_view NameOf(MatrixRoutine routine) {
  constexpr std::string_view kNames[] = {
      "matrix", "symm", "hemm", "syrk", "herk",  "syr2k", "her2k", "syrkx",  "herkx", "trmm",
      "trsm",   "gemv", "gbmv", "symv", "hemv",  "trmv",  "trsv",  "ger",    "syr",   "her",
      "syr2",   "her2", "geam", "dgmm", "getrf", "getrs", "getri", "matinv", "geqrf", "gels"};
  const size_t index = static_cast<size_t>(routine);
  return index < std::size(kNames) ? kNames[index] : std::string_view("matrix");
}

}  // namespace mfutrace::shapes
