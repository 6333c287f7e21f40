// Dimensions from one to beyond all measure: every count is what real arithmetic gives, or
// UINT64_MAX where that does not fit, and never anything in between. Held against the formulas in
// long double, which has 64 bits of mantissa and no overflow in reach.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <random>

#include "shapes/flops.h"
#include "shapes/matrix.h"
#include "shapes/rnn.h"
#include "shapes/sequences.h"
#include "shapes/taps.h"
#include "shapes/traffic.h"

namespace mfutrace::shapes {
namespace {

using Real = long double;
constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

class Huge : public testing::Test {
 protected:
  static constexpr int kRounds = 20'000;

  // Any number of bits up to `most` is as likely.
  uint64_t Number(int most = 64) {
    const int bits = std::uniform_int_distribution<int>(1, most)(random_);
    return (random_() >> (64 - bits)) | 1;
  }
  uint32_t Short() { return static_cast<uint32_t>(Number(32)); }

  void Expect(std::optional<uint64_t> found, Real exact) {
    ASSERT_TRUE(found.has_value());
    // As long as no rounding can put it on the other side of the limit.
    if (exact > 18446744073709551615.0L * (1 + 1e-15L)) {
      ASSERT_EQ(*found, kMax) << static_cast<double>(exact);
      ++saturated_;
    } else if (exact < 18446744073709551615.0L * (1 - 1e-15L)) {
      ASSERT_LE(std::fabs(static_cast<Real>(*found) - exact), exact * 1e-15L)
          << *found << " for " << static_cast<double>(exact);
      ++fitting_;
    }
  }

  // Both sides of the limit were met often.
  void TearDown() override {
    EXPECT_GT(saturated_, kRounds / 50);
    EXPECT_GT(fitting_, kRounds / 50);
  }

  std::mt19937_64 random_{20'260'301};
  int saturated_ = 0;
  int fitting_ = 0;
};

TEST_F(Huge, Products) {
  for (int i = 0; i < kRounds; ++i) {
    Gemm gemm;
    gemm.m = Number();
    gemm.n = Number();
    gemm.k = Number();
    gemm.batch = Number(16);
    const bool is_complex = i % 3 == 0;
    gemm.gauss_3m = i % 6 == 0;
    gemm.a = gemm.b = gemm.c = gemm.d = is_complex ? Dtype::kC32F32 : Dtype::kF32;
    gemm.beta = i % 2 == 0 ? BetaUse::kNonzero : BetaUse::kZero;
    const Real m = gemm.m, n = gemm.n, k = gemm.k, b = gemm.batch;
    const Real products = m * n * k * b;
    Expect(ExecutedFlop(gemm), products * (is_complex ? (gemm.gauss_3m ? 6 : 8) : 2));
    Expect(ModelFlop(gemm), products * (is_complex ? (gemm.gauss_3m ? 6 : 8) : 2));
    Expect(ConventionalFlop(gemm), products * (is_complex ? 8 : 2));
    // An operand that saturates saturates the sum, so the exact sum must be beyond as well.
    const Real outputs = i % 2 == 0 ? 2 : 1;
    Expect(LeastBytes(gemm), b * (m * k + k * n + outputs * m * n) * (is_complex ? 8 : 4));
  }
}

TEST_F(Huge, Attention) {
  for (int i = 0; i < kRounds; ++i) {
    Attention attention;
    attention.batch = Number(20);
    attention.heads_q = Number(10);
    attention.heads_kv = Number(10);
    attention.seq_q = Number(40);
    attention.seq_k = Number(40);
    attention.head_dim_qk = Number(12);
    attention.head_dim_v = Number(12);
    attention.dtype = Dtype::kBf16;
    attention.mask = static_cast<Mask>(1 + i % 3);
    attention.pass = i % 2 == 0 ? Pass::kForward : Pass::kBackward;
    const Real q = attention.seq_q, k = attention.seq_k;
    const Real least = std::min(q, k);
    Real pairs = q * k;
    if (attention.mask == Mask::kCausalTopLeft) {
      pairs = least * (least + 1) / 2 + std::max<Real>(0, q - k) * k;
    } else if (attention.mask == Mask::kCausalBottomRight) {
      pairs = least * (least + 1) / 2 + std::max<Real>(0, k - q) * q;
    }
    const Real d_qk = attention.head_dim_qk, d_v = attention.head_dim_v;
    const Real heads = static_cast<Real>(attention.batch) * attention.heads_q;
    const bool is_forward = attention.pass == Pass::kForward;
    Expect(KeptPairs(attention), pairs);
    Expect(ExecutedFlop(attention),
           2 * heads * pairs * (is_forward ? d_qk + d_v : 3 * d_qk + 2 * d_v));
    Expect(ModelFlop(attention), 2 * heads * pairs * (d_qk + d_v) * (is_forward ? 1 : 2));
    Expect(FullRectangleFlop(attention),
           2 * heads * q * k * (is_forward ? d_qk + d_v : 3 * d_qk + 2 * d_v));
    const Real q_rows = heads * q;
    const Real kv_rows = static_cast<Real>(attention.batch) * attention.heads_kv * k;
    Expect(LeastBytes(attention), (is_forward ? 2 : 4) * (q_rows + kv_rows) * (d_qk + d_v) +
                                      (is_forward ? 0 : 4 * q_rows));
  }
}

TEST_F(Huge, Sequences) {
  for (int i = 0; i < kRounds; ++i) {
    Attention attention;
    attention.heads_q = Number(10);
    attention.heads_kv = Number(10);
    attention.head_dim_qk = Number(12);
    attention.head_dim_v = Number(12);
    attention.dtype = Dtype::kBf16;
    attention.mask = Mask::kNone;
    SequenceRun runs[3];
    Real pairs = 0, queries = 0, keys = 0;
    for (SequenceRun& run : runs) {
      run = {Short(), Short(), Short()};
      pairs += static_cast<Real>(run.seq_q) * run.seq_k * run.count;
      queries += static_cast<Real>(run.seq_q) * run.count;
      keys += static_cast<Real>(run.seq_k) * run.count;
    }
    const Real width = static_cast<Real>(attention.head_dim_qk) + attention.head_dim_v;
    Expect(ExecutedFlop(attention, runs), 2 * pairs * attention.heads_q * width);
    Expect(QueryCount(runs), queries);
    Expect(KeyCount(runs), keys);
    Expect(LeastBytes(attention, runs),
           2 * width * (queries * attention.heads_q + keys * attention.heads_kv));
  }
}

TEST_F(Huge, Convolutions) {
  for (int i = 0; i < kRounds; ++i) {
    Convolution convolution;
    convolution.batch = Number(24);
    convolution.groups = Number(6);
    convolution.c_in = convolution.groups * Number(16);
    convolution.c_out = convolution.groups * Number(16);
    convolution.dtype = Dtype::kF16;
    convolution.direction = static_cast<ConvDirection>(i % 3);
    convolution.is_transposed = i % 4 == 0;
    const auto volume = [](const std::array<uint64_t, 3>& sizes) {
      return static_cast<Real>(sizes[0]) * sizes[1] * sizes[2];
    };
    for (auto* sizes : {&convolution.in, &convolution.filter, &convolution.out}) {
      for (uint64_t& size : *sizes) size = Number(sizes == &convolution.filter ? 4 : 20);
    }
    const Real pixels = volume(convolution.is_transposed ? convolution.in : convolution.out);
    const Real channels =
        static_cast<Real>(convolution.c_in) * convolution.c_out / convolution.groups;
    const Real flop = 2 * convolution.batch * channels * volume(convolution.filter) * pixels;
    Expect(ExecutedFlop(convolution), flop);
    Expect(ModelFlop(convolution), flop);
    const Real b = convolution.batch;
    Expect(LeastBytes(convolution), 2 * (b * convolution.c_in * volume(convolution.in) +
                                         b * convolution.c_out * volume(convolution.out) +
                                         channels * volume(convolution.filter)));
    // Taps inside the image are some of all: both saturate, or the fewer stay the fewer.
    EXPECT_LE(NeededTapsFlop(convolution, FilterWalk{}), ExecutedFlop(convolution));
  }
}

TEST_F(Huge, RecurrentNetworks) {
  for (int i = 0; i < kRounds; ++i) {
    Rnn rnn;
    rnn.cell = static_cast<RnnCell>(1 + i % 3);
    rnn.pass = static_cast<RnnPass>(i / 3 % 3);
    rnn.dtype = Dtype::kF32;
    rnn.steps = Number(32);
    rnn.input_size = Number(24);
    rnn.hidden_size = Number(24);
    rnn.projection_size = i % 2 == 0 ? Number(24) : 0;
    rnn.layers = static_cast<uint32_t>(Number(6));
    rnn.directions = 1 + (i & 1);
    const Real gates = rnn.cell == RnnCell::kLstm ? 4 : rnn.cell == RnnCell::kGru ? 3 : 1;
    const Real h = rnn.hidden_size, p = rnn.projection_size, dirs = rnn.directions;
    const Real width = p > 0 ? p : h;
    Real weights = 0;
    for (uint32_t layer = 0; layer < rnn.layers; ++layer) {
      const Real input = layer == 0 ? static_cast<Real>(rnn.input_size) : dirs * width;
      weights += dirs * (gates * h * (input + width) + h * p);
    }
    const Real t = rnn.steps;
    Expect(ExecutedFlop(rnn), 2 * t * weights);
    Expect(ModelFlop(rnn), 2 * t * weights);
    const Real outputs = t * dirs * width * (rnn.pass == RnnPass::kBackwardData ? 2 : 1);
    Expect(LeastBytes(rnn), 4 * (weights + t * rnn.input_size + outputs));
  }
}

TEST_F(Huge, MatrixRoutines) {
  for (int i = 0; i < kRounds; ++i) {
    Matrix matrix;
    matrix.dtype = matrix.result = matrix.accumulate = Dtype::kF64;
    matrix.m = Number(48);
    matrix.n = Number(48);
    matrix.k = Number(48);
    matrix.batch = Number(16);
    matrix.side = Side::kRight;
    matrix.beta = BetaUse::kZero;
    const Real m = matrix.m, n = matrix.n, k = matrix.k, b = matrix.batch;
    const Real triangle = n * (n + 1) / 2;
    const auto check = [&](MatrixRoutine routine, Real flop, Real elements) {
      matrix.routine = routine;
      Expect(ExecutedFlop(matrix), b * flop);
      Expect(LeastBytes(matrix), 8 * b * elements);
    };
    check(MatrixRoutine::kSymm, 2 * m * n * n, triangle + 2 * m * n);
    check(MatrixRoutine::kSyrk, k * n * (n + 1), n * k + triangle);
    check(MatrixRoutine::kSyr2k, 2 * k * n * n, 2 * n * k + triangle);
    check(MatrixRoutine::kTrsm, m * n * n, triangle + 2 * m * n);
    check(MatrixRoutine::kGeam, m * n, 2 * m * n);
  }
}

TEST_F(Huge, Collectives) {
  for (int i = 0; i < kRounds; ++i) {
    Collective collective;
    collective.count = Number();
    collective.rank_count = 1 + static_cast<uint32_t>(Number(20));
    collective.dtype = Dtype::kF32;
    const Real count = collective.count, ranks = collective.rank_count;
    const auto check = [&](CollectiveKind kind, Real whole, Real factor) {
      collective.kind = kind;
      Expect(AlgorithmBytes(collective), 4 * whole);
      // Bus bytes are of the algorithm's, whole numbers rounded down; of a saturated size nothing
      // more is known.
      if (4 * whole < 1.8e19L && factor > 0) {
        const std::optional<uint64_t> bus = BusBytes(collective);
        ASSERT_TRUE(bus.has_value());
        const Real exact = std::floor(4 * whole * factor);
        if (exact < 1.8e19L) {
          ASSERT_LE(std::fabs(static_cast<Real>(*bus) - exact), 1 + exact * 1e-15L);
        } else if (exact > 1.9e19L) {
          ASSERT_EQ(*bus, kMax);
        }
      }
    };
    check(CollectiveKind::kAllReduce, count, 2 * (ranks - 1) / ranks);
    check(CollectiveKind::kAllGather, count * ranks, (ranks - 1) / ranks);
    check(CollectiveKind::kReduceScatter, count * ranks, (ranks - 1) / ranks);
    check(CollectiveKind::kAllToAll, count * ranks, (ranks - 1) / ranks);
    check(CollectiveKind::kBroadcast, count, 1);
    collective.kind = CollectiveKind::kReduceScatter;
    Expect(ReductionAdds(collective), count * ranks * (ranks - 1));
  }
}

}  // namespace
}  // namespace mfutrace::shapes
