// What a step works on, and how a count that may be unknown is told: shared by the exact arithmetic
// and by every convention of report/estimate.
//
// FLOPs are 128-bit integers, FMA = 2. A figure that a configuration does not determine is nullopt
// with the name of what is missing; nothing is guessed to make a number.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"

namespace mfutrace::report::estimate {

using Flop = absl::uint128;

// Equal sequences: `queries` new tokens each, at the end of `context` tokens (context = queries for
// training and for a first prefill).
struct Sequences {
  uint64_t queries = 0;
  uint64_t context = 0;
  uint64_t count = 1;
  bool is_prefill = true;  // of an inference step
};

// One step. Training: all sequences forward and backward. Without sequences only the number of
// tokens is known, and whatever is quadratic in the length is not.
struct Batch {
  std::vector<Sequences> sequences;
  std::optional<uint64_t> token_count;  // where it is not the sum of the sequences: real tokens
  // Sum of squared lengths of packed sequences, where the source of a case states that instead.
  std::optional<Flop> squared_lengths;

  bool has_lengths() const { return !sequences.empty() || squared_lengths.has_value(); }
  uint64_t tokens() const;
  // Sum over sequences of queries times context: the full rectangle.
  Flop rectangle() const;
  // The same with the context cut to `window` keys (0: no window).
  Flop rectangle(uint64_t window) const;
};

Batch BatchOf(uint64_t sequences, uint64_t length);

struct Estimate {
  std::optional<Flop> flop;
  std::string missing;  // why there is none
};

inline Estimate Known(Flop flop) { return {flop, ""}; }
inline Estimate Missing(std::string what) { return {std::nullopt, std::move(what)}; }

}  // namespace mfutrace::report::estimate
