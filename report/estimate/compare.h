// A model's estimate beside what a run really did: `report --model`.
//
// The table of differences begins at the estimate of one convention and ends at the executed FLOPs
// of the trace, and its rows sum to the difference to the last FLOP. Rows with a known cause come
// from the configuration (embedding, idle experts, attention) and from products that fit a part of
// the model by their dimensions (recompute, padding, logits); the rest is `unexplained`, and what
// it is made of is named.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "report/analyze/results.h"
#include "report/estimate/conventions.h"

namespace mfutrace::report::estimate {

struct Difference {
  std::string name;
  absl::int128 flop = 0;
  std::string reason;
};

// Of all compared steps.
struct PartCount {
  std::string name;
  std::optional<Flop> expected;  // by the configuration, exactly, without recompute
  Flop executed = 0;
  Flop recomputed = 0;  // of `executed`: forwards beyond one for each pair of gradients
  uint64_t calls = 0;
};

struct Comparison {
  ModelEstimate per_step;
  std::string convention;  // that the table begins with
  uint64_t steps = 0;
  bool is_training = true;  // weight gradients were seen
  uint64_t tensor_parallel = 1;
  std::optional<Flop> estimate;  // of `steps` steps
  std::string missing;           // why there is none
  Flop executed = 0;             // of the trace
  std::vector<PartCount> parts;
  std::vector<Difference> rows;  // explained
  absl::int128 unexplained = 0;
  std::vector<Difference> unexplained_parts;  // sum to it
  std::vector<std::string> notes;
};

// `steps`: how many the trace holds, where it does not tell. kInvalidArgument if nobody knows.
absl::StatusOr<Comparison> CompareWithRun(const RunResult& run, const ModelEstimate& per_step,
                                          const std::string& convention,
                                          std::optional<uint64_t> steps);

}  // namespace mfutrace::report::estimate
