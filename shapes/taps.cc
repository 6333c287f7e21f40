// One dimension at a time: a tap is needed where its position, pixel * stride + tap * dilation -
// pad, lies in the image. The dimensions are independent, so their counts multiply.
#include "shapes/taps.h"

#include "shapes/saturating.h"

namespace mfutrace::shapes {
namespace {

SignedWide CeilingOfQuotient(SignedWide dividend, SignedWide divisor) {
  return dividend <= 0 ? 0 : (dividend + divisor - 1) / divisor;
}

uint64_t NeededInOneDimension(uint64_t pixels, uint64_t filter, uint64_t image, uint64_t pad,
                              uint64_t stride, uint64_t dilation) {
  if (stride == 0) return 0;
  Wide needed = 0;
  for (uint64_t tap = 0; tap < filter; ++tap) {
    const SignedWide offset =
        static_cast<SignedWide>(Product(tap, dilation)) - static_cast<SignedWide>(pad);
    if (offset >= static_cast<SignedWide>(image)) break;
    // Pixels from `first` on reach the image, those from `end` on have left it.
    const SignedWide first = CeilingOfQuotient(-offset, stride);
    const SignedWide end =
        Lesser<SignedWide>(pixels, CeilingOfQuotient(static_cast<SignedWide>(image) - offset,
                                                     static_cast<SignedWide>(stride)));
    if (end > first) needed += static_cast<Wide>(end - first);
  }
  return Saturate(needed);
}

}  // namespace

std::array<uint64_t, 3> OutputSize(const std::array<uint64_t, 3>& in,
                                   const std::array<uint64_t, 3>& filter, const FilterWalk& walk) {
  std::array<uint64_t, 3> out = {};
  for (size_t i = 0; i < out.size(); ++i) {
    if (filter[i] == 0 || walk.stride[i] == 0) continue;
    const uint64_t padded = Sum(in[i], walk.pad[i], walk.pad[i]);
    const uint64_t reach = Sum(Product(walk.dilation[i], filter[i] - 1), 1);
    if (reach <= padded) out[i] = (padded - reach) / walk.stride[i] + 1;
  }
  return out;
}

uint64_t NeededTaps(const Convolution& convolution, const FilterWalk& walk) {
  const bool is_transposed = convolution.is_transposed;
  const std::array<uint64_t, 3>& pixels = is_transposed ? convolution.in : convolution.out;
  const std::array<uint64_t, 3>& image = is_transposed ? convolution.out : convolution.in;
  uint64_t taps = 1;
  for (size_t i = 0; i < pixels.size(); ++i) {
    taps = Product(taps, NeededInOneDimension(pixels[i], convolution.filter[i], image[i],
                                              walk.pad[i], walk.stride[i], walk.dilation[i]));
  }
  return taps;
}

uint64_t NeededTapsFlop(const Convolution& convolution, const FilterWalk& walk) {
  if (convolution.groups == 0) return 0;
  const bool is_transposed = convolution.is_transposed;
  const uint64_t c_whole = is_transposed ? convolution.c_in : convolution.c_out;
  const uint64_t c_grouped = is_transposed ? convolution.c_out : convolution.c_in;
  return Product(2, convolution.batch, c_whole, c_grouped / convolution.groups,
                 NeededTaps(convolution, walk));
}

}  // namespace mfutrace::shapes
