#include "report/estimate/compare_tally.h"

#include <optional>
#include <utility>
#include <vector>

#include "report/estimate/match.h"

namespace mfutrace::report::estimate {
namespace {

void Tell(const OpResult& op, const Match& match, Matched& all) {
  const Flop executed = *op.flop_executed;
  if (match.parts.size() != 1) {
    if (match.parts.empty()) {
      all.unmatched[op.label] += executed;
    } else {
      std::string names;
      for (const std::string& part : match.parts) names += (names.empty() ? "" : " or ") + part;
      all.ambiguous[names] += executed;
    }
    return;
  }
  Tally& tally = all.parts[match.parts[0]];
  tally.executed += executed;
  tally.model += op.flop_model.value_or(executed);
  tally.calls += op.calls;
  if (match.role == Role::kForwardOrData) tally.forward_or_data += executed;
  if (match.role == Role::kWeightGradient) tally.weight_gradient += executed;
  if (match.role == Role::kUnknown) tally.is_role_known = false;
  all.has_weight_gradients |= match.role == Role::kWeightGradient;
  if (match.parts[0] == kAttentionScores) tally.unfused += executed;
}

void TellAttention(const OpResult& op, Matched& all) {
  Tally& tally = all.parts[kAttentionScores];
  const Flop model = op.flop_model.value_or(*op.flop_executed);
  tally.executed += *op.flop_executed;
  tally.model += model;
  tally.calls += op.calls;
  const bool is_backward = op.label.find(" bwd") != std::string::npos;
  (is_backward ? tally.attention_backward : tally.attention_forward) += model;
  all.has_weight_gradients |= is_backward;
}

Matched MatchAt(const RunResult& run, const ModelConfig& config, uint64_t degree) {
  Matched all;
  all.tensor_parallel = degree;
  std::vector<GemmDimensions> gemms;
  for (const OpResult& op : run.ops) {
    const std::optional<GemmDimensions> gemm = DimensionsOf(op.label);
    if (gemm.has_value() && op.flop_executed.value_or(0) != 0) gemms.push_back(*gemm);
  }
  const Matcher matcher(config, degree, gemms);
  for (const OpResult& op : run.ops) {
    if (op.flop_executed.value_or(0) == 0) continue;
    if (op.kind == "attention") {
      TellAttention(op, all);
      continue;
    }
    const std::optional<GemmDimensions> gemm = DimensionsOf(op.label);
    Tell(op, gemm.has_value() ? matcher.MatchOf(*gemm) : Match(), all);
    if (gemm.has_value() && matcher.HasSharedRows(*gemm)) all.shared_flop += *op.flop_executed;
  }
  return all;
}

}  // namespace

Matched BestMatch(const RunResult& run, const ModelConfig& config) {
  Matched best = MatchAt(run, config, 1);
  for (uint64_t degree = 2; degree <= 64; degree *= 2) {
    Matched other = MatchAt(run, config, degree);
    if (other.shared_flop > best.shared_flop) best = std::move(other);
  }
  return best;
}

}  // namespace mfutrace::report::estimate
