// Sums over runs: one sequence by the functions of flops.h, times how often it comes.
#include "shapes/sequences.h"

#include "shapes/flops.h"
#include "shapes/label_text.h"
#include "shapes/saturating.h"
#include "shapes/traffic.h"

namespace mfutrace::shapes {
namespace {

using Runs = std::span<const SequenceRun>;

Attention OneOf(const Attention& attention, const SequenceRun& run) {
  Attention one = attention;
  one.batch = 1;
  one.seq_q = run.seq_q;
  one.seq_k = run.seq_k;
  return one;
}

uint64_t SumOf(const Attention& attention, Runs runs, uint64_t (*flop_of)(const Attention&)) {
  uint64_t sum = 0;
  for (const SequenceRun& run : runs) {
    sum = Sum(sum, Product(run.count, flop_of(OneOf(attention, run))));
  }
  return sum;
}

}  // namespace

uint64_t ExecutedFlop(const Attention& attention, Runs runs) {
  return SumOf(attention, runs, ExecutedFlop);
}

uint64_t ModelFlop(const Attention& attention, Runs runs) {
  return SumOf(attention, runs, ModelFlop);
}

uint64_t FullRectangleFlop(const Attention& attention, Runs runs) {
  return SumOf(attention, runs, FullRectangleFlop);
}

std::optional<uint64_t> LeastBytes(const Attention& attention, Runs runs) {
  // Bytes depend on rows alone: all rows as one sequence.
  Attention all = attention;
  all.batch = 1;
  all.seq_q = all.seq_k = 0;
  for (const SequenceRun& run : runs) {
    if (run.seq_q == 0) continue;
    all.seq_q = Sum(all.seq_q, Product(run.count, run.seq_q));
    all.seq_k = Sum(all.seq_k, Product(run.count, run.seq_k));
  }
  return LeastBytes(all);
}

uint64_t SequenceCount(Runs runs) {
  uint64_t count = 0;
  for (const SequenceRun& run : runs) count = Sum(count, run.count);
  return count;
}

uint64_t QueryCount(Runs runs) {
  uint64_t count = 0;
  for (const SequenceRun& run : runs) count = Sum(count, Product(run.count, run.seq_q));
  return count;
}

uint64_t KeyCount(Runs runs) {
  uint64_t count = 0;
  for (const SequenceRun& run : runs) count = Sum(count, Product(run.count, run.seq_k));
  return count;
}

Label LabelOf(const Attention& attention, Runs runs) {
  bool is_square = true;
  for (const SequenceRun& run : runs) is_square = is_square && run.seq_q == run.seq_k;
  Text text;
  text.Put(attention.pass == Pass::kForward ? "sdpa " : "sdpa bwd ").Put(NameOf(attention.dtype));
  text.Put(" varlen b").Put(SequenceCount(runs));
  text.Put(" q").Put(QueryCount(runs)).Put(" k").Put(KeyCount(runs));
  text.Put(" h").PutPair(attention.heads_q, attention.heads_kv);
  text.Put(" d").PutPair(attention.head_dim_qk, attention.head_dim_v);
  Attention shape = attention;
  shape.seq_q = 1;
  shape.seq_k = is_square ? 1 : 2;
  PutMask(text, shape);
  return text.label();
}

}  // namespace mfutrace::shapes
