#include "report/estimate/work.h"

#include <algorithm>

namespace mfutrace::report::estimate {

uint64_t Batch::tokens() const {
  if (token_count.has_value()) return *token_count;
  uint64_t sum = 0;
  for (const Sequences& one : sequences) sum += one.queries * one.count;
  return sum;
}

Flop Batch::rectangle() const { return rectangle(0); }

Flop Batch::rectangle(uint64_t window) const {
  if (squared_lengths.has_value()) return *squared_lengths;
  Flop sum = 0;
  for (const Sequences& one : sequences) {
    const uint64_t context = window == 0 ? one.context : std::min(one.context, window);
    sum += Flop(one.queries) * context * one.count;
  }
  return sum;
}

Batch BatchOf(uint64_t sequences, uint64_t length) {
  Batch batch;
  batch.sequences.push_back({length, length, sequences, true});
  return batch;
}

}  // namespace mfutrace::report::estimate
