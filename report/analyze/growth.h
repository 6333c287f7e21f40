// By how much the KV caches of sequences grew from one step of a model to its next: what
// speculative decoding accepted. Batches change between steps, and calls name no sequence, so
// sequences are recognised by their lengths and their order; where two readings differ, nothing is
// known. Used by speculation.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "report/model/timeline.h"

namespace mfutrace::report {

// `now`: queries and keys of each sequence of a step; `next`: of the model's next one. A sequence
// of q queries on k keys has k - q tokens in its cache before the step, and between 1 and q more
// before its next. `entered`: cache lengths of sequences that were prefilled in between.
// For each sequence of `now` its growth; nullopt if it is not in `next`, or not known.
std::vector<std::optional<uint32_t>> GrowthOf(std::span<const shapes::SequenceRun> now,
                                              std::span<const shapes::SequenceRun> next,
                                              std::span<const uint32_t> entered);

}  // namespace mfutrace::report
