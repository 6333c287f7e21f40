// The formulas of docs/METHOD.md, section "Work".
#include "shapes/flops.h"

#include <limits>

#include "shapes/saturating.h"

namespace mfutrace::shapes {
namespace {

uint64_t ProductOf(const std::array<uint64_t, 3>& sizes) {
  return Product(sizes[0], sizes[1], sizes[2]);
}

bool IsComplexProduct(const Gemm& gemm) {
  return IsComplex(gemm.d == Dtype::kUnknown ? gemm.a : gemm.d);
}

uint64_t GemmFlop(const Gemm& gemm, uint64_t flop_per_element_product) {
  return Product(flop_per_element_product, gemm.batch, gemm.m, gemm.n, gemm.k);
}

// Sum of min(x, keys) over x = 1 .. last. Modulo 2^128 for the largest arguments, which cancels in
// the difference that KeysUpTo() takes.
Wide StaircaseSum(SignedWide last, uint64_t keys) {
  if (last <= 0) return 0;
  const Wide steps = static_cast<Wide>(last);
  const Wide top = keys;
  if (steps <= top) return steps % 2 == 0 ? steps / 2 * (steps + 1) : (steps + 1) / 2 * steps;
  return (top % 2 == 0 ? top / 2 * (top + 1) : (top + 1) / 2 * top) + (steps - top) * top;
}

// Pairs (row, key) with key <= row + offset: row i has clamp(i + offset + 1, 0, keys) of them.
Wide KeysUpTo(SignedWide offset, uint64_t rows, uint64_t keys) {
  return StaircaseSum(offset + static_cast<SignedWide>(rows), keys) - StaircaseSum(offset, keys);
}

uint64_t AttentionFlop(const Attention& attention, uint64_t pairs, uint64_t products_qk,
                       uint64_t products_v) {
  const uint64_t width =
      Sum(Product(products_qk, attention.head_dim_qk), Product(products_v, attention.head_dim_v));
  return Product(2, attention.batch, attention.heads_q, pairs, width);
}

uint64_t ExecutedFlopOfPairs(const Attention& attention, uint64_t pairs) {
  // Backward: scores again, dV, dP, dQ, dK. Three of them contract or yield d_qk, two d_v.
  return attention.pass == Pass::kForward ? AttentionFlop(attention, pairs, 1, 1)
                                          : AttentionFlop(attention, pairs, 3, 2);
}

}  // namespace

uint64_t ExecutedFlop(const Gemm& gemm) {
  if (!IsComplexProduct(gemm)) return GemmFlop(gemm, 2);
  return GemmFlop(gemm, gemm.gauss_3m ? 6 : 8);
}

uint64_t ModelFlop(const Gemm& gemm) { return ExecutedFlop(gemm); }

uint64_t ConventionalFlop(const Gemm& gemm) {
  return GemmFlop(gemm, IsComplexProduct(gemm) ? 8 : 2);
}

uint64_t KeptPairs(const Attention& attention) {
  const uint64_t rows = attention.seq_q;
  const uint64_t keys = attention.seq_k;
  if (attention.mask == Mask::kUnknown) return Product(rows, keys);

  // The key that row 0's diagonal meets.
  const bool is_top_left =
      attention.mask == Mask::kCausalTopLeft || attention.mask == Mask::kWindowTopLeft;
  const SignedWide diagonal =
      is_top_left ? 0 : static_cast<SignedWide>(keys) - static_cast<SignedWide>(rows);
  const bool is_causal =
      attention.mask == Mask::kCausalTopLeft || attention.mask == Mask::kCausalBottomRight;
  const bool has_right_limit = is_causal || attention.window_right >= 0;
  const SignedWide right = is_causal ? 0 : attention.window_right;

  const Wide up_to_right =
      has_right_limit ? KeysUpTo(diagonal + right, rows, keys) : static_cast<Wide>(rows) * keys;
  const Wide left_out =
      attention.window_left >= 0 ? KeysUpTo(diagonal - attention.window_left - 1, rows, keys) : 0;
  return Saturate(up_to_right - left_out);
}

uint64_t ExecutedFlop(const Attention& attention) {
  return ExecutedFlopOfPairs(attention, KeptPairs(attention));
}

uint64_t ModelFlop(const Attention& attention) {
  return attention.pass == Pass::kForward ? AttentionFlop(attention, KeptPairs(attention), 1, 1)
                                          : AttentionFlop(attention, KeptPairs(attention), 2, 2);
}

uint64_t FullRectangleFlop(const Attention& attention) {
  return ExecutedFlopOfPairs(attention, Product(attention.seq_q, attention.seq_k));
}

uint64_t ExecutedFlop(const Convolution& convolution) {
  if (convolution.groups == 0) return 0;
  // A transposed convolution is the gradient of another one, whose output pixels are our input's.
  const bool is_transposed = convolution.is_transposed;
  const uint64_t pixels = ProductOf(is_transposed ? convolution.in : convolution.out);
  const uint64_t c_whole = is_transposed ? convolution.c_in : convolution.c_out;
  const uint64_t c_grouped = is_transposed ? convolution.c_out : convolution.c_in;
  return Product(2, convolution.batch, c_whole, c_grouped / convolution.groups,
                 ProductOf(convolution.filter), pixels);
}

uint64_t ModelFlop(const Convolution& convolution) { return ExecutedFlop(convolution); }

}  // namespace mfutrace::shapes
