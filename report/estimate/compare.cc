#include "report/estimate/compare.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "report/estimate/compare_tally.h"
#include "report/estimate/match.h"

namespace mfutrace::report::estimate {
namespace {

using Signed = absl::int128;

Signed Minus(Flop a, Flop b) { return static_cast<Signed>(a) - static_cast<Signed>(b); }

// FLOPs of step `index` over all ranks, the value that most steps have; nullopt without steps.
std::optional<Flop> UsualStep(const RunResult& run, uint64_t& found) {
  std::map<uint32_t, std::optional<Flop>> steps;
  for (const StepResult& step : run.steps) {
    const auto [entry, is_new] = steps.try_emplace(step.index, Flop(0));
    if (!step.flop_executed.has_value()) entry->second.reset();
    if (entry->second.has_value()) *entry->second += *step.flop_executed;
  }
  found = steps.size();
  std::map<Flop, uint64_t> counts;
  for (const auto& [index, flop] : steps) {
    if (flop.has_value()) ++counts[*flop];
  }
  const auto usual =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return usual == counts.end() ? std::nullopt : std::optional(usual->first);
}

// What a convention built on N counts; nullopt for one that is not.
struct WeightTerms {
  bool has_idle_experts = false;
  bool has_input_embedding = true;
  bool has_positions = true;
  enum { kNone, kExact, kFull } attention = kNone;
};
std::optional<WeightTerms> TermsOf(const std::string& name) {
  WeightTerms terms;
  if (name == "6n") terms.has_idle_experts = true;
  if (name == "6n" || name == "6n-active" || name == "2n-active") return terms;
  terms.attention = WeightTerms::kExact;
  if (name == "6n+attention") return terms;
  terms.attention = WeightTerms::kFull;
  if (name == "torchtitan") {
    terms.has_input_embedding = false;
    return terms;
  }
  terms.has_idle_experts = true;
  if (name == "palm") return terms;
  terms.has_positions = false;
  if (name == "nanogpt") return terms;
  return std::nullopt;
}

class Builder {
 public:
  Builder(const RunResult& run, Comparison& out)
      : run_(run), out_(out), config_(out.per_step.config), all_(BestMatch(run, config_)) {}

  void Fill();

 private:
  // A quantity of one step, of all of them; a third of a training step's where only forwards ran.
  Flop Steps(Flop of_training_step) const {
    return of_training_step * out_.steps / (out_.is_training ? 1 : 3);
  }
  std::optional<Flop> Expected(const std::string& part) const;
  const Tally& Of(const std::string& part) { return all_.parts[part]; }
  void Row(const std::string& name, Signed flop, const std::string& reason) {
    if (flop != 0) out_.rows.push_back({name, flop, reason});
  }
  void Rest(const std::string& name, Signed flop, const std::string& reason) {
    if (flop == 0) return;
    out_.unexplained_parts.push_back({name, flop, reason});
    out_.unexplained += flop;
  }

  void FillParts();
  void FromConvention();
  void FromRecompute();
  void FromTokens();
  void FromParts();

  const RunResult& run_;
  Comparison& out_;
  const ModelConfig& config_;
  Matched all_;
  std::map<std::string, Signed> token_rows_;  // what padding already explains, by part
};

std::optional<Flop> Builder::Expected(const std::string& part) const {
  for (const Component& component : out_.per_step.work.components) {
    if (component.name == part && component.model_flop.has_value()) {
      return Steps(*component.model_flop);
    }
    if (component.name == part) return std::nullopt;
  }
  return Flop(0);
}

void Builder::FillParts() {
  std::set<std::string> names;
  for (const Component& component : out_.per_step.work.components) names.insert(component.name);
  for (const auto& [name, tally] : all_.parts) names.insert(name);
  for (const std::string& name : names) {
    const Tally& tally = Of(name);
    out_.parts.push_back({name, Expected(name), tally.executed, tally.recomputed(), tally.calls});
  }
  std::sort(out_.parts.begin(), out_.parts.end(),
            [](const PartCount& a, const PartCount& b) { return a.executed > b.executed; });
}

// From the convention to the exact work of the configuration, but for attention that it does not
// know.
void Builder::FromConvention() {
  const Parameters& count = out_.per_step.parameters;
  const Flop tokens = out_.per_step.batch.tokens();
  const auto row = [&](const char* name, Flop weights, const char* reason) {
    Row(name, -static_cast<Signed>(Steps(6 * weights * tokens)), reason);
  };
  const std::optional<WeightTerms> terms = TermsOf(out_.convention);
  const std::optional<Flop> attention = Expected(kAttentionScores);
  if (!terms.has_value()) {
    Flop exact = 0;
    for (const Component& part : out_.per_step.work.components) {
      exact += Expected(part.name).value_or(0);
    }
    return Row("counted otherwise by " + out_.convention, Minus(exact, *out_.estimate),
               "up to the exact products and attention of the configuration");
  }
  // Tied, the one matrix is multiplied once, for the logits.
  const Flop embedding = count.output != 0 ? count.embedding - count.positions : Flop(0);
  if (terms->has_input_embedding) row("embedding", embedding, "a lookup, not a product");
  if (terms->has_positions && (terms->has_input_embedding || count.output == 0)) {
    row("learned positions", count.positions, "a lookup, not a product");
  }
  row("norms and biases", count.other.value_or(0), "no products");
  if (terms->has_idle_experts && count.routed.has_value()) {
    row("idle experts", *count.routed - *count.active_routed, "a token uses a few experts");
  }
  const Flop known = attention.value_or(0);
  if (terms->attention == WeightTerms::kNone) {
    Row("attention", static_cast<Signed>(known), "quadratic, by its mask");
  } else if (terms->attention == WeightTerms::kFull) {
    const Flop full =
        Steps(6 * Flop(config_.attention_layers()) * config_.heads *
              (config_.head_dim + config_.value_dim) * out_.per_step.batch.rectangle());
    Row("attention", Minus(known, full), "by its mask, not the full square");
  }
  Row("multi-token prediction", static_cast<Signed>(Expected(kMultiToken).value_or(0)),
      "not among the parameters");
}

void Builder::FromRecompute() {
  Flop linear = 0;
  for (const auto& [name, tally] : all_.parts) {
    if (name != kAttentionScores) linear += tally.recomputed();
  }
  Row("recompute", static_cast<Signed>(linear), "forwards beyond one for each pair of gradients");
  const Tally& attention = Of(kAttentionScores);
  Row("recompute of attention", static_cast<Signed>(attention.recomputed()),
      "forwards beyond one for each backward");
  Row("recompute inside attention", Minus(attention.executed, attention.model),
      "the backward multiplies queries and keys again");
}

// More or fewer tokens than declared, if the dense parts agree on how many.
void Builder::FromTokens() {
  const uint64_t declared = out_.per_step.batch.tokens();
  std::optional<Flop> tokens;  // of all steps
  for (const char* part : {kAttentionProjections, kMlp}) {
    const std::optional<Flop> expected = Expected(part);
    const Tally& tally = Of(part);
    if (!expected.has_value() || *expected == 0 || tally.executed == 0) continue;
    const Flop counted = tally.executed - tally.recomputed();
    const Flop per_token = *expected / (Flop(declared) * out_.steps);
    if (per_token == 0 || counted % per_token != 0) return;
    if (tokens.has_value() && *tokens != counted / per_token) return;
    tokens = counted / per_token;
  }
  const Flop all = Flop(declared) * out_.steps;
  if (!tokens.has_value() || *tokens == all) return;
  const bool is_less = *tokens < all;
  const bool is_ranks = run_.world_size != 0 && run_.devices < run_.world_size &&
                        *tokens * run_.world_size == all * run_.devices;
  if (is_less && !is_ranks) return;
  Signed sum = 0;
  for (const char* part : {kAttentionProjections, kMambaProjections, kGatedDeltaProjections, kMlp,
                           kRouter, kRoutedExperts, kSharedExperts, kLogits}) {
    const Tally& tally = Of(part);
    const Flop expected = Expected(part).value_or(0);
    if (tally.executed == 0 || expected == 0) continue;
    const Signed change = Minus(expected / all * *tokens, expected / all * all);
    // Logits may be those of the declared tokens alone.
    const Signed seen = Minus(tally.executed - tally.recomputed(), expected);
    if (part == std::string(kLogits) && seen != change) continue;
    token_rows_[part] = change;
    sum += change;
  }
  if (is_ranks) {
    Row("ranks without a trace", sum,
        absl::StrCat(run_.devices, " of ", run_.world_size, " were recorded"));
  } else {
    Row("padding", sum,
        absl::StrCat(static_cast<uint64_t>(*tokens / out_.steps), " tokens a step, not ",
                     declared));
  }
}

void Builder::FromParts() {
  for (const PartCount& part : out_.parts) {
    const Tally& tally = Of(part.name);
    Signed seen = static_cast<Signed>(tally.executed - tally.recomputed());
    if (part.name == kAttentionScores) {
      seen = static_cast<Signed>(tally.model - tally.recomputed());
    }
    const Signed rest =
        seen - static_cast<Signed>(part.expected.value_or(0)) - token_rows_[part.name];
    if (part.name == kAttentionScores) {
      const bool is_square = tally.unfused != 0 && tally.unfused == tally.executed;
      const char* reason = !part.expected.has_value() ? "of sequences that nobody declared"
                           : tally.executed == 0      ? "no call of it in the trace"
                           : is_square                ? "written out as products: no mask"
                                                      : "other lengths or masks than declared";
      Row(part.expected.has_value() ? "attention as called" : "attention", rest, reason);
    } else if (tally.executed == 0 && part.expected.value_or(0) != 0) {
      Rest(part.name, rest, "no product of its dimensions in the trace");
    } else if (part.name == kLogits) {
      Row(part.name, rest, "of other tokens or a padded vocabulary");
    } else if (part.name == kRoutedExperts) {
      Row("experts", rest, "other rows than tokens x experts of a token");
    } else {
      Rest(part.name, rest, "products that fit it, beside what the configuration makes");
    }
  }
  for (const auto& [names, flop] : all_.ambiguous) {
    Rest(names, static_cast<Signed>(flop), "dimensions fit several parts");
  }
  std::vector<std::pair<Flop, std::string>> others;
  for (const auto& [label, flop] : all_.unmatched) others.emplace_back(flop, label);
  std::sort(others.rbegin(), others.rend());
  constexpr size_t kNamed = 5;
  Signed unnamed = 0;
  for (size_t i = 0; i < others.size(); ++i) {
    if (i < kNamed) {
      Rest(others[i].second, static_cast<Signed>(others[i].first), "fits no part of the model");
    } else {
      unnamed += static_cast<Signed>(others[i].first);
    }
  }
  Rest(absl::StrCat(others.size() - std::min(others.size(), kNamed), " more operations"), unnamed,
       "fit no part of the model");
}

void Builder::Fill() {
  out_.tensor_parallel = all_.tensor_parallel;
  out_.is_training = all_.has_weight_gradients;
  for (const OpResult& op : run_.ops) out_.executed += op.flop_executed.value_or(0);
  FillParts();
  for (const ConventionFigure& figure : out_.per_step.figures) {
    if (figure.convention->name != out_.convention) continue;
    out_.missing = figure.estimate.missing;
    if (figure.estimate.flop.has_value()) out_.estimate = Steps(*figure.estimate.flop);
  }
  if (!out_.estimate.has_value()) return;
  FromConvention();
  FromRecompute();
  FromTokens();
  FromParts();
  Signed sum = static_cast<Signed>(*out_.estimate) + out_.unexplained;
  for (const Difference& row : out_.rows) sum += row.flop;
  // Whatever the rows above have missed is unexplained too: the table always sums.
  Rest("not attributed", static_cast<Signed>(out_.executed) - sum, "");
}

}  // namespace

absl::StatusOr<Comparison> CompareWithRun(const RunResult& run, const ModelEstimate& per_step,
                                          const std::string& convention,
                                          std::optional<uint64_t> steps) {
  Comparison out;
  out.per_step = per_step;
  out.convention = convention;
  uint64_t found = 0;
  const std::optional<Flop> usual = UsualStep(run, found);
  Flop executed = 0;
  bool is_whole = true;
  for (const OpResult& op : run.ops) {
    if (op.kind == "collective") continue;
    if (!op.flop_executed.has_value()) is_whole = false;
    executed += op.flop_executed.value_or(0);
  }
  if (executed == 0) {
    return absl::InvalidArgumentError(
        "--model: the trace has no FLOPs to hold an estimate against (no shapes in its source?)");
  }
  out.steps = steps.value_or(found);
  // Steps found by their period may lack the first or the last; all alike, division tells.
  if (!steps.has_value() && usual.value_or(0) != 0 && executed % *usual == 0) {
    out.steps = static_cast<uint64_t>(executed / *usual);
  } else if (!steps.has_value() && usual.has_value()) {
    out.notes.push_back("steps differ, or work lies outside them: the difference is unexplained");
  }
  if (out.steps == 0) {
    return absl::InvalidArgumentError(
        "--model: no steps were found in the trace; say how many it holds: --steps N");
  }
  if (!is_whole) {
    out.notes.push_back("operations without FLOPs are not in the table: a lower bound");
  }
  if (run.world_size > run.devices) {
    out.notes.push_back(absl::StrCat(run.devices, " of ", run.world_size,
                                     " ranks were recorded; the estimate is of all"));
  }
  Builder(run, out).Fill();
  if (!out.is_training) {
    out.notes.push_back("no weight gradients in the trace: a forward pass is compared, a third");
  }
  return out;
}

}  // namespace mfutrace::report::estimate
