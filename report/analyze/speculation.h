// Speculative decoding in the passes of one timeline: which passes verify, which draft, and what
// was accepted. METHOD, "Inference": the same q > 1 queries of every sequence after q - 1 passes
// of a smaller model over as many sequences. Used by serving.cc.
#pragma once

#include <cstdint>
#include <optional>

#include "report/analyze/passes.h"
#include "report/analyze/results.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

struct Speculation {
  uint32_t target = kNoIndex;  // into Passes::models
  uint32_t draft = kNoIndex;
  SpeculationResult sums;  // of this timeline
  // Of each verify pass, by Passes::passes: FLOPs of rejected tokens, where known.
  std::vector<std::optional<Flop>> rejected;
  // Steps: a pass that belongs to the same step as the one before it.
  std::vector<bool> continues_step;
};

// Makes prefill passes that verify into Phase::kVerify; nullopt if there are none.
std::optional<Speculation> FindSpeculation(const Timeline& timeline, Passes& passes);

// FLOPs of a pass's calls but attention's, and of those too.
struct PassFlop {
  Flop products = 0;
  Flop attention = 0;
  bool is_known = true;
};
PassFlop FlopOf(const Timeline& timeline, const Passes& passes, const Pass& pass);

}  // namespace mfutrace::report
