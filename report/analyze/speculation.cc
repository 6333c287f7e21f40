// See speculation.h.
#include "report/analyze/speculation.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "report/analyze/growth.h"
#include "shapes/sequences.h"

namespace mfutrace::report {
namespace {

// FLOPs of a token, to tell the smaller of two models.
std::vector<double> SizesOf(const Timeline& timeline, const Passes& passes) {
  std::vector<double> flop(passes.models.size(), 0);
  std::vector<double> tokens(passes.models.size(), 0);
  for (const Pass& pass : passes.passes) {
    flop[pass.model] += static_cast<double>(FlopOf(timeline, passes, pass).products);
    tokens[pass.model] += static_cast<double>(pass.sequences.Queries());
  }
  for (size_t i = 0; i < flop.size(); ++i) flop[i] = tokens[i] > 0 ? flop[i] / tokens[i] : 0;
  return flop;
}

// The queries that every sequence has alike; 0 if they differ or are not known.
uint32_t CommonQueries(const Pass& pass) {
  if (pass.sequences.are_bounds || pass.sequences.runs.empty()) return 0;
  const uint32_t queries = pass.sequences.runs.front().seq_q;
  for (const shapes::SequenceRun& run : pass.sequences.runs) {
    if (run.seq_q != queries) return 0;
  }
  return queries;
}

uint32_t MostQueries(const Pass& pass) {
  uint32_t most = 0;
  for (const shapes::SequenceRun& run : pass.sequences.runs) most = std::max(most, run.seq_q);
  return most;
}

// FLOPs of attention over these sequences in one layer of each of the pass's calls.
std::optional<Flop> AttentionFlop(const Passes& passes, const Pass& pass,
                                  const std::vector<shapes::SequenceRun>& runs) {
  Flop sum = 0;
  for (size_t i = pass.first_attention; i < pass.end_attention; ++i) {
    const AttentionCall& call = passes.attention[i];
    const shapes::Attention& attention = *call.detail->attention;
    if (attention.mask == shapes::Mask::kUnknown) return std::nullopt;
    sum += Flop(shapes::ExecutedFlop(attention, runs)) * call.layers;
  }
  return sum;
}

// The first `growth` queries of a sequence, which see what they would have seen alone. The mask is
// the library's own: the last query sees the last key.
shapes::SequenceRun KeptQueries(const shapes::SequenceRun& run, uint32_t growth, bool is_causal) {
  const uint32_t unseen = is_causal ? run.seq_q - growth : 0;
  return {growth, run.seq_k - unseen, 1};
}

// What of a verify pass is known once the next pass of its model is seen.
void AddAcceptance(const Timeline& timeline, const Passes& passes, size_t at, const Pass* next,
                   const std::vector<uint32_t>& entered, Speculation& found) {
  const Pass& pass = passes.passes[at];
  const std::vector<shapes::SequenceRun>& runs = pass.sequences.runs;
  std::vector<std::optional<uint32_t>> growths(pass.sequences.Count());
  if (next != nullptr && !next->sequences.are_bounds) {
    growths = GrowthOf(runs, next->sequences.runs, entered);
  }
  SpeculationResult& sums = found.sums;
  std::vector<shapes::SequenceRun> known;
  std::vector<shapes::SequenceRun> kept;
  uint64_t queries_known = 0;
  uint64_t queries_kept = 0;
  const bool is_causal = passes.attention[pass.first_attention].detail->attention->mask ==
                         shapes::Mask::kCausalBottomRight;
  size_t i = 0;
  for (const shapes::SequenceRun& run : runs) {
    for (uint32_t n = 0; n < run.count; ++n, ++i) {
      ++sums.sequence_steps;
      sums.drafted += run.seq_q - 1;
      if (!growths[i].has_value()) continue;
      ++sums.sequence_steps_known;
      sums.drafted_known += run.seq_q - 1;
      sums.accepted += *growths[i] - 1;
      sums.tokens += *growths[i];
      queries_known += run.seq_q;
      queries_kept += *growths[i];
      known.push_back({run.seq_q, run.seq_k, 1});
      kept.push_back(KeptQueries(run, *growths[i], is_causal));
    }
  }
  const PassFlop flop = FlopOf(timeline, passes, pass);
  const auto add = [](std::optional<Flop>& sum, std::optional<Flop> value) {
    if (!sum.has_value()) return;
    if (value.has_value()) {
      *sum += *value;
    } else {
      sum.reset();
    }
  };
  const std::optional<Flop> known_attention = AttentionFlop(passes, pass, known);
  const std::optional<Flop> kept_attention = AttentionFlop(passes, pass, kept);
  const bool is_known = flop.is_known && known_attention.has_value() && kept_attention.has_value();
  const uint64_t queries = pass.sequences.Queries();
  std::optional<Flop> executed;
  std::optional<Flop> useful;
  if (is_known) {
    executed = flop.products * queries_known / queries + *known_attention;
    useful = flop.products * queries_kept / queries + *kept_attention;
  }
  add(sums.verify_flop_known, executed);
  add(sums.verify_flop_useful, useful);
  add(sums.verify_flop,
      flop.is_known ? std::optional(flop.products + flop.attention) : std::nullopt);
  if (is_known && queries_known == queries) found.rejected[at] = *executed - *useful;
}

}  // namespace

PassFlop FlopOf(const Timeline& timeline, const Passes& passes, const Pass& pass) {
  PassFlop sum;
  size_t attention = pass.first_attention;
  for (size_t i = pass.first_call; i < pass.end_call; ++i) {
    const OpCall& call = timeline.calls[i];
    if (call.is_captured || call.op >= timeline.ops.size()) continue;
    const Op& op = timeline.ops[call.op];
    if (op.kind == shapes::OpKind::kCollective) continue;
    const bool is_attention =
        attention < pass.end_attention && passes.attention[attention].call == i;
    if (!op.flop_model.has_value()) {
      sum.is_known = sum.is_known && op.kind == shapes::OpKind::kOpaque && !is_attention;
      if (is_attention) ++attention;
      continue;
    }
    if (!is_attention) {
      sum.products += *op.flop_model;
      continue;
    }
    const AttentionCall& found = passes.attention[attention++];
    if (!found.is_graph) {
      sum.attention += *op.flop_model;
      continue;
    }
    // A graph has products too.
    const shapes::Attention& shape = *found.detail->attention;
    const Flop in_graph = Flop(shapes::ModelFlop(shape, found.sequences.runs)) * found.layers;
    sum.attention += std::min<Flop>(in_graph, *op.flop_model);
    sum.products += *op.flop_model - std::min<Flop>(in_graph, *op.flop_model);
  }
  return sum;
}

std::optional<Speculation> FindSpeculation(const Timeline& timeline, Passes& passes) {
  if (passes.models.size() < 2) return std::nullopt;
  const std::vector<double> sizes = SizesOf(timeline, passes);
  Speculation found;
  found.rejected.resize(passes.passes.size());
  found.continues_step.resize(passes.passes.size(), false);
  std::vector<Pass>& all = passes.passes;
  // Passes of other models since the last one of this model.
  for (size_t i = 0; i < all.size(); ++i) {
    const uint32_t queries = CommonQueries(all[i]);
    if (queries < 2 || !all[i].is_one) continue;
    uint64_t drafts = 0;
    uint32_t draft = kNoIndex;
    size_t first = i;
    for (size_t j = i; j-- > 0 && all[j].model != all[i].model;) {
      const Pass& pass = all[j];
      if (sizes[pass.model] >= sizes[all[i].model] || MostQueries(pass) > queries ||
          pass.sequences.Count() != all[i].sequences.Count() ||
          (draft != kNoIndex && draft != pass.model)) {
        break;
      }
      draft = pass.model;
      first = j;
      ++drafts;
    }
    if (drafts + 1 < queries) continue;
    if (found.target == kNoIndex) {
      found.target = all[i].model;
      found.draft = draft;
    }
    if (found.target != all[i].model || found.draft != draft) continue;
    all[i].phase = Phase::kVerify;
    for (size_t a = all[i].first_attention; a < all[i].end_attention; ++a) {
      passes.attention[a].phase = Phase::kVerify;
    }
    for (size_t j = first + 1; j <= i; ++j) found.continues_step[j] = true;
    ++found.sums.steps;
  }
  if (found.target == kNoIndex) return std::nullopt;

  found.sums.verify_flop = found.sums.verify_flop_known = found.sums.verify_flop_useful = Flop(0);
  found.sums.draft_flop = Flop(0);
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].model == found.draft) {
      ++found.sums.draft_passes;
      const PassFlop flop = FlopOf(timeline, passes, all[i]);
      if (found.sums.draft_flop.has_value() && flop.is_known) {
        *found.sums.draft_flop += flop.products + flop.attention;
      } else {
        found.sums.draft_flop.reset();
      }
      continue;
    }
    if (all[i].phase != Phase::kVerify) continue;
    std::vector<uint32_t> entered;
    const Pass* next = nullptr;
    for (size_t j = i + 1; j < all.size() && next == nullptr; ++j) {
      if (all[j].model != found.target) continue;
      if (all[j].phase == Phase::kPrefill) {
        for (const shapes::SequenceRun& run : all[j].sequences.runs) entered.push_back(run.seq_k);
        continue;
      }
      if (all[j].phase == Phase::kVerify || all[j].phase == Phase::kDecode) next = &all[j];
      break;
    }
    AddAcceptance(timeline, passes, i, next, entered, found);
  }
  return found;
}

}  // namespace mfutrace::report
