// What a run executed, part by part of the model: its products matched by dimensions, its attention
// calls, and what fits none or several.
#pragma once

#include <map>
#include <string>

#include "report/analyze/results.h"
#include "report/estimate/model_config.h"
#include "report/estimate/work.h"

namespace mfutrace::report::estimate {

// What of the trace belongs to one part, by role.
struct Tally {
  Flop executed = 0;
  Flop model = 0;
  Flop forward_or_data = 0;
  Flop weight_gradient = 0;
  Flop attention_forward = 0;
  Flop attention_backward = 0;  // model FLOPs
  Flop unfused = 0;             // attention written out as products
  bool is_role_known = true;
  uint64_t calls = 0;

  Flop recomputed() const {
    if (attention_backward != 0) {
      // A backward is two forwards' worth.
      const Flop once = attention_backward / 2;
      return attention_forward > once ? attention_forward - once : Flop(0);
    }
    if (!is_role_known || weight_gradient == 0) return 0;
    const Flop once = 2 * weight_gradient;
    return forward_or_data > once ? forward_or_data - once : Flop(0);
  }
};

struct Matched {
  uint64_t tensor_parallel = 1;
  std::map<std::string, Tally> parts;
  std::map<std::string, Flop> unmatched;  // label -> executed
  std::map<std::string, Flop> ambiguous;  // "MLP or logits" -> executed
  Flop shared_flop = 0;                   // with rows that several weights share
  bool has_weight_gradients = false;
};

// The degree of tensor parallelism at which most of the trace fits the model; the least, of equals.
Matched BestMatch(const RunResult& run, const ModelConfig& config);

}  // namespace mfutrace::report::estimate
