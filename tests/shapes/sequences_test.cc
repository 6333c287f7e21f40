// Attention over lists of lengths, against counting every (query, key) pair and every row.
#include "shapes/sequences.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shapes/flops.h"
#include "shapes/traffic.h"

namespace mfutrace::shapes {
namespace {

Attention Heads(uint64_t heads_q, uint64_t heads_kv, uint64_t d_qk, uint64_t d_v, Mask mask) {
  Attention attention;
  attention.batch = 99;  // what the call was sized for: the lists hold instead
  attention.seq_q = attention.seq_k = 1 << 20;
  attention.heads_q = heads_q;
  attention.heads_kv = heads_kv;
  attention.head_dim_qk = d_qk;
  attention.head_dim_v = d_v;
  attention.dtype = Dtype::kBf16;
  attention.mask = mask;
  return attention;
}

// Every pair of every sequence, one by one.
uint64_t PairsByHand(const Attention& attention, const std::vector<SequenceRun>& runs) {
  uint64_t pairs = 0;
  for (const SequenceRun& run : runs) {
    const int64_t offset = attention.mask == Mask::kCausalTopLeft
                               ? 0
                               : static_cast<int64_t>(run.seq_k) - static_cast<int64_t>(run.seq_q);
    for (int64_t i = 0; i < run.seq_q; ++i) {
      for (int64_t j = 0; j < run.seq_k; ++j) {
        const bool is_causal = attention.mask != Mask::kNone;
        if (is_causal && j > i + offset) continue;
        if (attention.window_left >= 0 && j < i + offset - attention.window_left) continue;
        pairs += run.count;
      }
    }
  }
  return pairs;
}

const std::vector<SequenceRun> kMixed = {
    {1, 37, 4}, {19, 19, 1}, {23, 11, 2}, {0, 5, 3}, {7, 0, 1}};

TEST(Sequences, FlopsAreTheSumOverSequencesWithTheSameMask) {
  for (const Mask mask : {Mask::kNone, Mask::kCausalTopLeft, Mask::kCausalBottomRight}) {
    for (const int64_t window : {-1, 0, 6}) {
      Attention attention = Heads(6, 2, 24, 16, mask);
      attention.window_left = window;
      const uint64_t pairs = PairsByHand(attention, kMixed);
      EXPECT_EQ(ExecutedFlop(attention, kMixed), 2 * 6 * pairs * (24 + 16));
      EXPECT_EQ(ModelFlop(attention, kMixed), 2 * 6 * pairs * (24 + 16));
      attention.pass = Pass::kBackward;
      EXPECT_EQ(ExecutedFlop(attention, kMixed), 2 * 6 * pairs * (3 * 24 + 2 * 16));
      EXPECT_EQ(ModelFlop(attention, kMixed), 2 * 6 * pairs * (2 * 24 + 2 * 16));
      // 4 x 37 + 19 x 19 + 2 x 23 x 11, without the sequences that lack one side.
      EXPECT_EQ(FullRectangleFlop(attention, kMixed), 2 * 6 * 1015u * (3 * 24 + 2 * 16));
    }
  }
}

TEST(Sequences, EqualLengthsAreABatch) {
  Attention batch = Heads(32, 8, 128, 128, Mask::kCausalBottomRight);
  batch.batch = 12;
  batch.seq_q = 64;
  batch.seq_k = 4096;
  for (const std::vector<SequenceRun>& runs :
       {std::vector<SequenceRun>{{64, 4096, 12}},
        std::vector<SequenceRun>{{64, 4096, 5}, {64, 4096, 7}}}) {
    for (const Pass pass : {Pass::kForward, Pass::kBackward}) {
      batch.pass = pass;
      EXPECT_EQ(ExecutedFlop(batch, runs), ExecutedFlop(batch));
      EXPECT_EQ(ModelFlop(batch, runs), ModelFlop(batch));
      EXPECT_EQ(FullRectangleFlop(batch, runs), FullRectangleFlop(batch));
      EXPECT_EQ(LeastBytes(batch, runs), LeastBytes(batch));
    }
  }
}

TEST(Sequences, BytesAreRowsTimesWidths) {
  Attention attention = Heads(6, 2, 24, 16, Mask::kNone);
  // Queries: 4 + 19 + 46 + 7. Keys of sequences with queries: 148 + 19 + 22 + 0.
  const uint64_t q_rows = 6 * 76;
  const uint64_t kv_rows = 2 * 189;
  EXPECT_EQ(LeastBytes(attention, kMixed), 2 * (q_rows * (24 + 16) + kv_rows * (24 + 16)));
  attention.writes_logsumexp = true;
  EXPECT_EQ(LeastBytes(attention, kMixed),
            2 * (q_rows * (24 + 16) + kv_rows * (24 + 16)) + 4 * q_rows);
  attention.pass = Pass::kBackward;
  EXPECT_EQ(LeastBytes(attention, kMixed),
            4 * (q_rows * (24 + 16) + kv_rows * (24 + 16)) + 4 * q_rows);
  attention.dtype = Dtype::kUnknown;
  EXPECT_EQ(LeastBytes(attention, kMixed), std::nullopt);
}

TEST(Sequences, EmptyListsAreZeroAndHugeOnesSaturate) {
  const Attention attention = Heads(8, 8, 64, 64, Mask::kCausalTopLeft);
  EXPECT_EQ(ExecutedFlop(attention, {}), 0u);
  EXPECT_EQ(LeastBytes(attention, {}), 0u);
  const std::vector<SequenceRun> none = {{0, 0, 5}, {9, 9, 0}};
  EXPECT_EQ(ExecutedFlop(attention, none), 0u);
  EXPECT_EQ(LeastBytes(attention, none), 0u);

  const std::vector<SequenceRun> huge(4, SequenceRun{UINT32_MAX, UINT32_MAX, UINT32_MAX});
  EXPECT_EQ(ExecutedFlop(attention, huge), UINT64_MAX);
  EXPECT_EQ(ModelFlop(attention, huge), UINT64_MAX);
  EXPECT_EQ(FullRectangleFlop(attention, huge), UINT64_MAX);
  EXPECT_EQ(LeastBytes(attention, huge), UINT64_MAX);
  // 2^32 - 1 sequences of that many rows do not fit 64 bits four times over.
  EXPECT_EQ(QueryCount(huge), UINT64_MAX);
  EXPECT_EQ(KeyCount(huge), UINT64_MAX);
  EXPECT_EQ(SequenceCount(huge), 4ull * UINT32_MAX);
  // One product over 64 bits saturates the sum, whatever else is in the list.
  const std::vector<SequenceRun> mixed = {{1, 1, 1}, huge[0], {1, 1, 1}};
  EXPECT_EQ(ExecutedFlop(attention, mixed), UINT64_MAX);
}

std::string Text(const Attention& attention, const std::vector<SequenceRun>& runs) {
  return std::string(LabelOf(attention, runs).text());
}

TEST(Sequences, LabelTellsSequencesQueriesAndKeys) {
  Attention attention = Heads(32, 8, 128, 128, Mask::kCausalBottomRight);
  EXPECT_EQ(Text(attention, {{1, 4096, 64}, {512, 512, 1}}),
            "sdpa bf16 varlen b65 q576 k262656 h32/8 d128 causal-br");
  EXPECT_EQ(Text(attention, {{512, 512, 1}, {7, 7, 2}}),
            "sdpa bf16 varlen b3 q526 k526 h32/8 d128 causal");
  attention.pass = Pass::kBackward;
  attention.mask = Mask::kNone;
  attention.head_dim_v = 64;
  attention.window_left = 255;
  EXPECT_EQ(Text(attention, {{512, 600, 1}}),
            "sdpa bwd bf16 varlen b1 q512 k600 h32/8 d128/64 full w255/inf");
}

}  // namespace
}  // namespace mfutrace::shapes
