// How many taps of a convolution fall inside the image: what direct arithmetic really needs, next
// to the nominal taps of flops.h that every library counts.
//
// oneDNN's benchdnn and the Intel part of DeepBench count only these (`needed`); PyTorch, cuDNN,
// CUTLASS and DeepBench's own tables count all of them (`nominal`). An extra field of a report,
// never its FLOPs.
#pragma once

#include <array>
#include <cstdint>

#include "shapes/op.h"

namespace mfutrace::shapes {

// How the filter walks over the image; dilation 1 is a dense filter. `pad` is the padding before
// the first pixel; the padding behind the last follows from the sizes of the Convolution.
struct FilterWalk {
  std::array<uint64_t, 3> pad = {0, 0, 0};
  std::array<uint64_t, 3> stride = {1, 1, 1};
  std::array<uint64_t, 3> dilation = {1, 1, 1};
};

// Output pixels of a forward convolution with `pad` on both sides; 0 where the filter does not fit.
std::array<uint64_t, 3> OutputSize(const std::array<uint64_t, 3>& in,
                                   const std::array<uint64_t, 3>& filter, const FilterWalk& walk);

// Pairs (pixel, tap) that meet a pixel of the image, over all dimensions of one channel: output
// pixels that read, for a transposed convolution input pixels that write inside the output. Takes
// time proportional to the filter's side. Saturates.
uint64_t NeededTaps(const Convolution& convolution, const FilterWalk& walk);

// ExecutedFlop with the needed taps in place of the nominal ones; at most that.
uint64_t NeededTapsFlop(const Convolution& convolution, const FilterWalk& walk);

}  // namespace mfutrace::shapes
