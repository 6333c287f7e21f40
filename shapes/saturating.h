// Unsigned arithmetic that stops at UINT64_MAX instead of wrapping. For the .cc files of this room,
// and for tools that add up its counts.
#pragma once

#include <cstdint>
#include <limits>

namespace mfutrace::shapes {

__extension__ using Wide = unsigned __int128;
__extension__ using SignedWide = __int128;

constexpr uint64_t Saturate(Wide value) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  return value > kMax ? kMax : static_cast<uint64_t>(value);
}

// A zero factor gives zero, also beside one that is saturated.
constexpr uint64_t Product() { return 1; }
template <typename... Rest>
constexpr uint64_t Product(uint64_t first, Rest... rest) {
  return Saturate(static_cast<Wide>(first) * Product(static_cast<uint64_t>(rest)...));
}

constexpr uint64_t Sum() { return 0; }
template <typename... Rest>
constexpr uint64_t Sum(uint64_t first, Rest... rest) {
  return Saturate(static_cast<Wide>(first) + Sum(static_cast<uint64_t>(rest)...));
}

template <typename Number>
constexpr Number Lesser(Number a, Number b) {
  return a < b ? a : b;
}
template <typename Number>
constexpr Number Greater(Number a, Number b) {
  return a < b ? b : a;
}

}  // namespace mfutrace::shapes
