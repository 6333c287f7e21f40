// FLOPs of one operation. Multiply and add count as two; sources and reasons: docs/METHOD.md.
//
// All functions saturate at UINT64_MAX instead of wrapping, and return 0 for an empty problem.
// executed: the multiply-adds the routine is defined to do. model: the same without recompute that
// the call's kind makes certain (flash backward). full rectangle: attention without its mask.
#pragma once

#include <cstdint>

#include "shapes/op.h"

namespace mfutrace::shapes {

// 2mnk a batch entry; complex 8mnk; complex by the Gauss product 6mnk. Complex is decided by `d`'s
// format, or by `a`'s where `d` is unknown.
uint64_t ExecutedFlop(const Gemm& gemm);
// Equal to executed: 3m is another algorithm for the same product, not recompute (METHOD, "Work").
uint64_t ModelFlop(const Gemm& gemm);
// The 8mnk equivalent of a 3m product; executed for any other.
uint64_t ConventionalFlop(const Gemm& gemm);

// (query, key) pairs of one head of one sequence that mask and window keep. Exact, by closed form.
// An unknown mask counts as none (the full rectangle): callers mark the result kBound.
uint64_t KeptPairs(const Attention& attention);

// forward: 2 b h_q P (d_qk + d_v). backward: five products executed, four in the model.
uint64_t ExecutedFlop(const Attention& attention);
uint64_t ModelFlop(const Attention& attention);
// ExecutedFlop with P = s_q s_k, the convention of PyTorch's counter.
uint64_t FullRectangleFlop(const Attention& attention);

// 2 N K (C/g) prod(filter) prod(out): nominal taps, the same for both gradients. Transposed: taps
// per input pixel.
uint64_t ExecutedFlop(const Convolution& convolution);
uint64_t ModelFlop(const Convolution& convolution);

}  // namespace mfutrace::shapes
