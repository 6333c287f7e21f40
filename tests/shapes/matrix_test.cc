// Counts of BLAS and LAPACK-like routines against loops that do what the routine does and count the
// multiplications and additions one by one.
#include "shapes/matrix.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "shapes/rnn.h"
#include "shapes/taps.h"

namespace mfutrace::shapes {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

Matrix MatrixOf(MatrixRoutine routine, uint64_t m, uint64_t n, uint64_t k,
                Dtype dtype = Dtype::kF64) {
  Matrix matrix;
  matrix.routine = routine;
  matrix.m = m;
  matrix.n = n;
  matrix.k = k;
  matrix.dtype = dtype;
  return matrix;
}

struct Loops {
  uint64_t multiplications = 0;
  uint64_t additions = 0;
  uint64_t Real() const { return multiplications + additions; }
  uint64_t Complex() const { return 6 * multiplications + 2 * additions; }
};

void ExpectLoops(const Matrix& matrix, const Loops& loops) {
  Matrix complex = matrix;
  complex.dtype = Dtype::kC64F64;
  EXPECT_EQ(ExecutedFlop(matrix), loops.Real()) << LabelOf(matrix).text();
  EXPECT_EQ(ModelFlop(matrix), loops.Real()) << LabelOf(matrix).text();
  EXPECT_EQ(ExecutedFlop(complex), loops.Complex()) << LabelOf(matrix).text();
}

// LAWN 41 takes the elimination along the shorter side, so a wide matrix counts as its transpose.
TEST(MatrixFlop, LuEliminatesColumnByColumn) {
  for (uint64_t m = 1; m < 9; ++m) {
    for (uint64_t n = 1; n <= m; ++n) {
      Loops loops;
      for (uint64_t column = 0; column < m && column < n; ++column) {
        ++loops.multiplications;  // the pivot's reciprocal
        for (uint64_t row = column + 1; row < m; ++row) {
          ++loops.multiplications;
          for (uint64_t right = column + 1; right < n; ++right) {
            ++loops.multiplications;
            ++loops.additions;
          }
        }
      }
      ExpectLoops(MatrixOf(MatrixRoutine::kGetrf, m, n, 0), loops);
      ExpectLoops(MatrixOf(MatrixRoutine::kGetrf, n, m, 0), loops);
    }
  }
  EXPECT_EQ(ExecutedFlop(MatrixOf(MatrixRoutine::kGetrf, 0, 7, 0)),
            ExecutedFlop(MatrixOf(MatrixRoutine::kGetrf, 7, 7, 0)));
}

TEST(MatrixFlop, TriangularSolveSubstitutesRowByRow) {
  for (uint64_t size = 1; size < 9; ++size) {
    for (uint64_t others = 1; others < 5; ++others) {
      Loops loops;
      for (uint64_t other = 0; other < others; ++other) {
        for (uint64_t row = 0; row < size; ++row) {
          for (uint64_t column = 0; column < row; ++column) {
            ++loops.multiplications;
            ++loops.additions;
          }
          ++loops.multiplications;
        }
      }
      for (const MatrixRoutine routine : {MatrixRoutine::kTrsm, MatrixRoutine::kTrmm}) {
        Matrix left = MatrixOf(routine, size, others, 0);
        left.side = Side::kLeft;
        ExpectLoops(left, loops);
        Matrix right = MatrixOf(routine, others, size, 0);
        right.side = Side::kRight;
        ExpectLoops(right, loops);
        right.side = Side::kUnknown;
        if (others != size) {
          EXPECT_EQ(ExecutedFlop(right), 0U);
          EXPECT_EQ(LeastBytes(right), std::nullopt);
        }
      }
      if (others == 1) ExpectLoops(MatrixOf(MatrixRoutine::kTrsv, 0, size, 0), loops);
      // LU's two triangles, one of which has a unit diagonal.
      Loops both = {2 * loops.multiplications - others * size, 2 * loops.additions};
      ExpectLoops(MatrixOf(MatrixRoutine::kGetrs, 0, size, others), both);
    }
  }
}

TEST(MatrixFlop, BandsCountTheirDiagonals) {
  for (uint64_t n = 1; n < 9; ++n) {
    for (uint64_t diagonals = 1; diagonals < 11; ++diagonals) {
      Loops triangle;
      Loops symmetric;
      for (uint64_t row = 0; row < n; ++row) {
        for (uint64_t column = 0; column < n; ++column) {
          const uint64_t distance = row > column ? row - column : column - row;
          if (distance >= diagonals) continue;
          ++symmetric.multiplications;
          ++symmetric.additions;
          if (column > row) continue;
          ++triangle.multiplications;
          if (column < row) ++triangle.additions;
        }
      }
      ExpectLoops(MatrixOf(MatrixRoutine::kSymv, 0, n, diagonals), symmetric);
      ExpectLoops(MatrixOf(MatrixRoutine::kTrmv, 0, n, diagonals), triangle);
      EXPECT_EQ(LeastBytes(MatrixOf(MatrixRoutine::kTrmv, 0, n, diagonals)),
                8 * (triangle.multiplications + 2 * n));
    }
  }
}

TEST(MatrixFlop, RankUpdatesTouchOneTriangle) {
  const uint64_t n = 5;
  const uint64_t k = 3;
  Loops loops;
  for (uint64_t row = 0; row < n; ++row) {
    for (uint64_t column = 0; column <= row; ++column) {
      loops.multiplications += k;
      loops.additions += k;
    }
  }
  for (const MatrixRoutine routine :
       {MatrixRoutine::kSyrk, MatrixRoutine::kHerk, MatrixRoutine::kSyrkx, MatrixRoutine::kHerkx}) {
    ExpectLoops(MatrixOf(routine, 0, n, k), loops);
  }
  const Loops one = {loops.multiplications / k, loops.additions / k};
  ExpectLoops(MatrixOf(MatrixRoutine::kSyr, 0, n, 0), one);
  ExpectLoops(MatrixOf(MatrixRoutine::kSyr2, 0, n, 0),
              {2 * one.multiplications, 2 * one.additions});

  Matrix gauss = MatrixOf(MatrixRoutine::kHerk, 0, n, k, Dtype::kC32F32);
  const uint64_t conventional = ExecutedFlop(gauss);
  gauss.gauss_3m = true;
  EXPECT_EQ(ExecutedFlop(gauss) * 4, conventional * 3);
  EXPECT_EQ(ConventionalFlop(gauss), conventional);
}

TEST(MatrixFlop, InverseUndoesItsFactors) {
  // LAWN 41: inverting a factored matrix takes 4/3 n^3 and lower terms; with the factors, 2 n^3.
  const uint64_t n = 3000;
  const double cube = static_cast<double>(n * n * n);
  const double inverse =
      static_cast<double>(ExecutedFlop(MatrixOf(MatrixRoutine::kGetri, 0, n, 0)));
  const double whole = static_cast<double>(ExecutedFlop(MatrixOf(MatrixRoutine::kMatinv, 0, n, 0)));
  EXPECT_NEAR(inverse / cube, 4.0 / 3, 1e-3);
  EXPECT_NEAR(whole / cube, 2.0, 1e-3);
  EXPECT_EQ(ExecutedFlop(MatrixOf(MatrixRoutine::kMatinv, 0, 1, 0)), 3U);
  // Householder: 2 m n^2 - 2/3 n^3; the same work on the transposed shape to leading order.
  const uint64_t tall = ExecutedFlop(MatrixOf(MatrixRoutine::kGeqrf, 2 * n, n, 0));
  EXPECT_NEAR(static_cast<double>(tall) / cube, 4.0 - 2.0 / 3, 2e-3);
  const uint64_t wide = ExecutedFlop(MatrixOf(MatrixRoutine::kGeqrf, n, 2 * n, 0));
  EXPECT_NEAR(static_cast<double>(wide) / static_cast<double>(tall), 1.0, 1e-3);
  EXPECT_GT(ExecutedFlop(MatrixOf(MatrixRoutine::kGels, 2 * n, n, 1)), tall);
  EXPECT_EQ(ExecutedFlop(MatrixOf(MatrixRoutine::kGels, n, 2 * n, 1)), 0U);
}

TEST(MatrixFlop, SaturatesForEveryRoutineAndIsZeroWhenEmpty) {
  for (int i = 1; i <= static_cast<int>(MatrixRoutine::kGels); ++i) {
    Matrix huge = MatrixOf(static_cast<MatrixRoutine>(i), kMax, kMax, kMax, Dtype::kC64F64);
    huge.side = Side::kLeft;
    huge.batch = kMax;
    EXPECT_EQ(ExecutedFlop(huge), kMax) << LabelOf(huge).text();
    EXPECT_EQ(LeastBytes(huge), kMax) << LabelOf(huge).text();
    Matrix none = huge;
    none.batch = 0;
    EXPECT_EQ(ExecutedFlop(none), 0U) << LabelOf(none).text();
    EXPECT_EQ(LeastBytes(none), 0U) << LabelOf(none).text();
    none = huge;
    none.m = none.n = 0;
    EXPECT_EQ(ExecutedFlop(none), 0U) << LabelOf(none).text();
  }
  // 2^40 rows: n^2 and n (n + 1) fit in 128 bits and not in 64.
  Matrix large = MatrixOf(MatrixRoutine::kSyrk, 0, uint64_t{1} << 31, 1);
  EXPECT_EQ(ExecutedFlop(large), (uint64_t{1} << 62) + (uint64_t{1} << 31));
  large.n = uint64_t{1} << 40;
  EXPECT_EQ(ExecutedFlop(large), kMax);
  EXPECT_EQ(ExecutedFlop(Matrix{}), 0U);
  EXPECT_EQ(LeastBytes(Matrix{}), std::nullopt);
}

TEST(MatrixLabel, NamesRoutineFormatSideAndSizes) {
  Matrix matrix = MatrixOf(MatrixRoutine::kTrsm, 128, 64, 0, Dtype::kF32);
  matrix.side = Side::kRight;
  matrix.batch = 12;
  EXPECT_EQ(LabelOf(matrix).text(), "trsm f32 right 128x64 b12");
  EXPECT_EQ(LabelOf(MatrixOf(MatrixRoutine::kSyrk, 0, 4096, 64)).text(), "syrk f64 n4096 k64");
}

TEST(MatrixRate, IsThatOfAGemm) {
  Matrix matrix = MatrixOf(MatrixRoutine::kSyrk, 0, 8, 8, Dtype::kF32);
  EXPECT_EQ(RateOf(matrix), PeakRate::kF32);
  matrix.math = MathMode::kTf32;
  EXPECT_EQ(RateOf(matrix), PeakRate::kTf32);
  matrix.math = MathMode::kEmulatedFixedPoint;
  EXPECT_EQ(RateOf(matrix), std::nullopt);
}

TEST(RnnFlop, AddsUpEveryProductOfEveryLayer) {
  Rnn rnn;
  rnn.cell = RnnCell::kLstm;
  rnn.dtype = Dtype::kF16;
  rnn.steps = 7;
  rnn.input_size = 11;
  rnn.hidden_size = 5;
  rnn.projection_size = 3;
  rnn.layers = 2;
  rnn.directions = 2;
  // Two directions; gates 4 x 5 over (11 + 3) and (6 + 3) inputs; two projections of 5 x 3.
  const uint64_t weights = 2 * (4 * 5 * (11 + 3) + 4 * 5 * (6 + 3) + 2 * 5 * 3);
  EXPECT_EQ(ExecutedFlop(rnn), 2 * 7 * weights);
  EXPECT_EQ(LeastBytes(rnn), 2 * (weights + 7 * 11 + 7 * 6));
  rnn.skips_input = true;
  EXPECT_EQ(ExecutedFlop(rnn), 2 * 7 * (weights - 2 * 4 * 5 * 11));
  EXPECT_EQ(LabelOf(rnn).text(), "lstm fwd f16 7 steps 11>5 l2 bi proj3 skip");
  rnn.steps = kMax;
  EXPECT_EQ(ExecutedFlop(rnn), kMax);
  rnn.cell = RnnCell::kUnknown;
  EXPECT_EQ(ExecutedFlop(rnn), 0U);
}

TEST(Taps, AreThoseInsideTheImage) {
  for (uint64_t in = 1; in < 9; ++in) {
    for (uint64_t filter = 1; filter < 5; ++filter) {
      for (uint64_t pad = 0; pad < 4; ++pad) {
        for (uint64_t stride = 1; stride < 4; ++stride) {
          for (uint64_t dilation = 1; dilation < 4; ++dilation) {
            Convolution convolution;
            convolution.batch = convolution.c_in = convolution.c_out = 1;
            convolution.in = {in, 1, 1};
            convolution.filter = {filter, 1, 1};
            const FilterWalk walk = {{pad, 0, 0}, {stride, 1, 1}, {dilation, 1, 1}};
            convolution.out = OutputSize(convolution.in, convolution.filter, walk);
            uint64_t out = 0;
            uint64_t taps = 0;
            for (uint64_t start = 0; start + dilation * (filter - 1) < in + 2 * pad;
                 start += stride) {
              ++out;
              for (uint64_t tap = 0; tap < filter; ++tap) {
                const uint64_t at = start + tap * dilation;
                taps += at >= pad && at < pad + in ? 1 : 0;
              }
            }
            ASSERT_EQ(convolution.out[0], out);
            ASSERT_EQ(NeededTaps(convolution, walk), taps);
            ASSERT_EQ(NeededTapsFlop(convolution, walk), 2 * taps);
            // Seen from the other side, a transposed convolution does the same products.
            std::swap(convolution.in, convolution.out);
            convolution.is_transposed = true;
            ASSERT_EQ(NeededTaps(convolution, walk), taps);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace mfutrace::shapes
