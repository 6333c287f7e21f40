// See passes.h.
#include "report/analyze/passes.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

namespace mfutrace::report {
namespace {

bool IsBackward(const OpDetail& detail) {
  if (detail.attention.has_value()) return detail.attention->pass == shapes::Pass::kBackward;
  return std::any_of(detail.parts.begin(), detail.parts.end(), [](const OpDetail::Part& part) {
    return part.detail != nullptr && IsBackward(*part.detail);
  });
}

// Forward attention in a call: its first one, and how many there are.
struct Found {
  const OpDetail* first = nullptr;
  uint64_t count = 0;
  bool is_graph = false;
};

void FindAttention(const OpDetail& detail, uint64_t times, Found& found) {
  if (detail.attention.has_value()) {
    if (found.first == nullptr) found.first = &detail;
    found.count += times;
    return;
  }
  found.is_graph = found.is_graph || detail.is_graph_launch;
  for (const OpDetail::Part& part : detail.parts) {
    if (part.detail != nullptr) FindAttention(*part.detail, times * part.count, found);
  }
}

bool AreEqual(const Sequences& a, const Sequences& b) {
  const auto same = [](const shapes::SequenceRun& x, const shapes::SequenceRun& y) {
    return x.seq_q == y.seq_q && x.seq_k == y.seq_k && x.count == y.count;
  };
  return a.are_bounds == b.are_bounds &&
         std::equal(a.runs.begin(), a.runs.end(), b.runs.begin(), b.runs.end(), same);
}

// Calls between one attention call and the next.
size_t Between(const AttentionCall& a, const AttentionCall& b) { return b.call - a.call; }

// How far apart two attention calls of a model stand where a pass ends between them.
class Borders {
 public:
  explicit Borders(const std::vector<AttentionCall>& calls) {
    std::map<ModelKey, std::map<size_t, size_t>> inside;
    for (size_t i = 0; i + 1 < calls.size(); ++i) {
      const AttentionCall& call = calls[i];
      if (call.model != calls[i + 1].model || call.is_graph || calls[i + 1].is_graph) continue;
      const size_t between = Between(call, calls[i + 1]);
      if (!AreEqual(call.sequences, calls[i + 1].sequences)) {
        across_[call.model].insert(between);
      } else {
        ++inside[call.model][between];
        if (call.sequences.are_bounds) ++of_bounds_[call.model][between];
      }
    }
    for (const auto& [model, counts] : inside) {
      const auto most =
          std::max_element(counts.begin(), counts.end(),
                           [](const auto& a, const auto& b) { return a.second < b.second; });
      usual_[model] = most->first;
    }
  }

  bool Is(const AttentionCall& a, const AttentionCall& b) const {
    const size_t between = Between(a, b);
    const auto usual = usual_.find(a.model);
    if (usual == usual_.end() || between <= usual->second) return false;
    const auto across = across_.find(a.model);
    return (across != across_.end() && across->second.count(between) != 0) ||
           (a.sequences.are_bounds && Longest(a.model) == between);
  }

  // Whether all ends of passes of such calls can be seen. A decode has logits, a part of a prompt
  // may have none.
  bool Tells(const AttentionCall& a) const {
    if (!a.sequences.are_bounds) return true;
    if (a.phase != Phase::kDecode) return false;
    return usual_.find(a.model) == usual_.end() || Longest(a.model).has_value();
  }

 private:
  // Of calls whose lengths are not known: the longest stretch, where it is not the usual one.
  std::optional<size_t> Longest(const ModelKey& model) const {
    const auto found = of_bounds_.find(model);
    if (found == of_bounds_.end() || found->second.size() < 2) return std::nullopt;
    size_t all = 0;
    for (const auto& [between, times] : found->second) all += times;
    const auto& [longest, times] = *found->second.rbegin();
    return 2 * times <= all ? std::optional(longest) : std::nullopt;
  }

  std::map<ModelKey, std::set<size_t>> across_;
  std::map<ModelKey, size_t> usual_;
  std::map<ModelKey, std::map<size_t, size_t>> of_bounds_;
};

// Ends of passes, as indices into the attention calls.
std::vector<size_t> EndsOf(const std::vector<AttentionCall>& calls, const Borders& borders) {
  std::vector<size_t> ends;
  const auto alike = [&](size_t a, size_t b) {
    return a < calls.size() && b < calls.size() && !calls[a].is_graph && !calls[b].is_graph &&
           AreEqual(calls[a].sequences, calls[b].sequences) && calls[a].model == calls[b].model;
  };
  for (size_t begin = 0; begin < calls.size();) {
    size_t end = begin + 1;
    if (calls[begin].is_graph) {
      ends.push_back(begin = end);
      continue;
    }
    // A layer may call attention twice, for its prefills and for its decodes.
    const bool alternates = !alike(begin, begin + 1) && alike(begin, begin + 2) &&
                            alike(begin + 1, begin + 3) &&
                            calls[begin].model == calls[begin + 1].model;
    if (alternates) {
      end = begin + 2;
      while (alike(end, end - 2)) ++end;
      ends.push_back(begin = end);
      continue;
    }
    while (end < calls.size() && !calls[end].is_graph &&
           AreEqual(calls[begin].sequences, calls[end].sequences) &&
           !(calls[end].model == calls[end - 1].model && borders.Is(calls[end - 1], calls[end]))) {
      ++end;
    }
    // Blocks of layers of different dimensions are different models; layers that take turns, one.
    std::set<ModelKey> seen;
    bool takes_turns = false;
    for (size_t i = begin; i < end; ++i) {
      if (i > begin && calls[i].model == calls[i - 1].model) continue;
      takes_turns = takes_turns || !seen.insert(calls[i].model).second;
    }
    if (!takes_turns) {
      for (size_t i = begin + 1; i < end; ++i) {
        if (calls[i].model != calls[i - 1].model) ends.push_back(i);
      }
    }
    ends.push_back(begin = end);
  }
  return ends;
}

using Calls = std::span<const OpCall>;

// Products between the first two attention calls of a pass: the end of one layer and the beginning
// of the next. Empty for a pass of one layer.
Calls BetweenLayers(const Timeline& timeline, const Passes& found, const Pass& pass) {
  if (pass.end_attention - pass.first_attention < 2) return {};
  const size_t first = found.attention[pass.first_attention].call + 1;
  const size_t end = found.attention[pass.first_attention + 1].call;
  return Calls(timeline.calls).subspan(first, end - first);
}

const shapes::Gemm* GemmOf(const Timeline& timeline, const OpCall& call) {
  if (call.op >= timeline.ops.size() || timeline.ops[call.op].detail == nullptr) return nullptr;
  const std::optional<shapes::Gemm>& gemm = timeline.ops[call.op].detail->gemm;
  return gemm.has_value() ? &*gemm : nullptr;
}

// Whether m, not n, counts tokens: libraries are column-major, callers need not be. Layers'
// products share their tokens and not much else.
bool HasTokensInM(const Timeline& timeline, Calls calls) {
  std::set<uint64_t> m, n;
  for (const OpCall& call : calls) {
    const shapes::Gemm* gemm = GemmOf(timeline, call);
    if (gemm == nullptr) continue;
    m.insert(gemm->m);
    n.insert(gemm->n);
  }
  return m.size() == 1 && n.size() > 1;
}

// By the weights of two products, or the operation of anything else.
bool HaveSameWeights(const Timeline& timeline, const OpCall& a, const OpCall& b, bool tokens_in_m) {
  const shapes::Gemm* x = GemmOf(timeline, a);
  const shapes::Gemm* y = GemmOf(timeline, b);
  if (x == nullptr || y == nullptr) {
    return x == y && timeline.ops[a.op].kind == timeline.ops[b.op].kind;
  }
  return x->k == y->k && (tokens_in_m ? x->n == y->n : x->m == y->m);
}

// The dimension that counts tokens is one of two.
bool HasRows(const Timeline& timeline, const OpCall& call, uint64_t rows) {
  const shapes::Gemm* gemm = GemmOf(timeline, call);
  return gemm != nullptr && (gemm->m == rows || gemm->n == rows);
}

// Where, of the calls [after, before) between the last attention of a pass and the first of the
// next one, the next pass begins. A layer begins and ends with the same products each time, and
// what is neither (logits) is the end of the pass. Where the two cannot be told apart so: with the
// products that have the next pass's rows, else behind the longest pause.
size_t BeginOfNext(const Timeline& timeline, const Passes& found, size_t after, size_t before,
                   const Pass& pass, const Pass& next) {
  if (found.attention[next.first_attention].is_graph || after == before) return before;
  const Calls border = Calls(timeline.calls).subspan(after, before - after);
  const Calls layers = BetweenLayers(timeline, found, pass);
  const Calls next_layers = BetweenLayers(timeline, found, next);
  size_t ending = 0;
  size_t beginning = 0;
  const bool in_m = HasTokensInM(timeline, layers.empty() ? next_layers : layers);
  while (ending < std::min(border.size(), layers.size()) &&
         HaveSameWeights(timeline, border[ending], layers[ending], in_m)) {
    ++ending;
  }
  while (beginning < std::min(border.size(), next_layers.size()) &&
         HaveSameWeights(timeline, border[border.size() - 1 - beginning],
                         next_layers[next_layers.size() - 1 - beginning], in_m)) {
    ++beginning;
  }
  if (!next_layers.empty() && ending + beginning <= border.size()) return before - beginning;

  const uint64_t rows = pass.sequences.are_bounds ? 0 : pass.sequences.Queries();
  const uint64_t next_rows = next.sequences.are_bounds ? 0 : next.sequences.Queries();
  if (rows != 0 && next_rows != 0 && rows != next_rows && pass.sequences.Count() != next_rows) {
    size_t begin = before;
    while (begin > after && HasRows(timeline, timeline.calls[begin - 1], next_rows)) --begin;
    return begin;
  }
  size_t begin = before;
  int64_t longest_ns = -1;
  for (size_t i = after; i <= before; ++i) {
    const int64_t pause_ns = timeline.calls[i].host_begin_ns - timeline.calls[i - 1].host_end_ns;
    if (pause_ns > longest_ns) {
      longest_ns = pause_ns;
      begin = i;
    }
  }
  return begin;
}

// Models by what their attention looks like and how many layers they have. A layer count that
// comes up less than three times is a pass that was cut off, not a model.
void NameModels(Passes& found) {
  std::map<std::vector<ModelKey>, std::map<uint32_t, uint64_t>> seen;
  std::vector<std::vector<ModelKey>> keys_of_pass;
  for (const Pass& pass : found.passes) {
    std::vector<ModelKey> keys;
    for (size_t i = pass.first_attention; i < pass.end_attention; ++i) {
      keys.push_back(found.attention[i].model);
    }
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    seen[keys][pass.is_one ? pass.layers : 0] += 1;
    keys_of_pass.push_back(std::move(keys));
  }
  constexpr uint64_t kFewest = 3;
  std::map<std::pair<std::vector<ModelKey>, uint32_t>, uint32_t> index;
  for (const auto& [keys, counts] : seen) {
    const auto most =
        std::max_element(counts.begin(), counts.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    for (const auto& [layers, passes] : counts) {
      if (layers != most->first && (passes < kFewest || layers == 0)) continue;
      index[{keys, layers}] = static_cast<uint32_t>(found.models.size());
      found.models.push_back({keys, layers, 0});
    }
    for (const auto& [layers, passes] : counts)
      index.try_emplace({keys, layers}, index[{keys, most->first}]);
  }
  for (size_t i = 0; i < found.passes.size(); ++i) {
    Pass& pass = found.passes[i];
    pass.model = index[{keys_of_pass[i], pass.is_one ? pass.layers : 0}];
    ++found.models[pass.model].passes;
  }
}

void MakePass(const std::vector<AttentionCall>& calls, size_t begin, size_t end, bool is_told,
              Pass& pass) {
  pass.first_attention = begin;
  pass.end_attention = end;
  pass.sequences = calls[begin].sequences;
  pass.phase = calls[begin].phase;
  uint32_t kinds = 1;
  if (end - begin >= 2 && !AreEqual(calls[begin].sequences, calls[begin + 1].sequences)) {
    kinds = 2;
    const Sequences& other = calls[begin + 1].sequences;
    pass.sequences.runs.insert(pass.sequences.runs.end(), other.runs.begin(), other.runs.end());
    pass.sequences.are_bounds = pass.sequences.are_bounds || other.are_bounds;
    if (calls[begin + 1].phase != pass.phase) {
      const bool is_known =
          pass.phase != Phase::kUnknown && calls[begin + 1].phase != Phase::kUnknown;
      pass.phase = is_known ? Phase::kMixed : Phase::kUnknown;
    }
  }
  for (size_t i = begin; i < end; ++i) pass.layers += calls[i].layers;
  pass.layers /= kinds;
  pass.is_one = is_told;
}

}  // namespace

std::string_view NameOf(Phase phase) {
  constexpr std::array<std::string_view, kPhases> kNames = {"decode", "prefill", "mixed", "verify",
                                                            "unknown"};
  const auto at = static_cast<size_t>(phase);
  return at < kNames.size() ? kNames[at] : "unknown";
}

uint64_t Sequences::Count() const {
  uint64_t count = 0;
  for (const shapes::SequenceRun& run : runs) count += run.count;
  return count;
}

uint64_t Sequences::Queries() const {
  uint64_t queries = 0;
  for (const shapes::SequenceRun& run : runs) queries += uint64_t{run.seq_q} * run.count;
  return queries;
}

uint64_t Sequences::Keys() const {
  uint64_t keys = 0;
  for (const shapes::SequenceRun& run : runs) keys += uint64_t{run.seq_k} * run.count;
  return keys;
}

Sequences SequencesOf(const OpDetail& detail) {
  Sequences sequences;
  sequences.are_bounds = detail.lengths_are_bounds;
  const auto clamp = [](uint64_t value) {
    return static_cast<uint32_t>(std::min<uint64_t>(value, UINT32_MAX));
  };
  if (!detail.lengths.empty()) {
    for (const shapes::SequenceRun& run : detail.lengths) {
      if (run.seq_q != 0 && run.count != 0) sequences.runs.push_back(run);
    }
  } else if (detail.attention.has_value() && detail.attention->seq_q != 0 &&
             detail.attention->batch != 0) {
    sequences.runs.push_back({clamp(detail.attention->seq_q), clamp(detail.attention->seq_k),
                              clamp(detail.attention->batch)});
  }
  return sequences;
}

Phase PhaseOf(const Sequences& sequences) {
  bool has_one = false;
  bool has_more = false;
  for (const shapes::SequenceRun& run : sequences.runs) {
    (run.seq_q > 1 ? has_more : has_one) = true;
  }
  if (sequences.runs.empty()) return Phase::kUnknown;
  if (sequences.are_bounds) return has_more ? Phase::kUnknown : Phase::kDecode;
  return has_one && has_more ? Phase::kMixed : has_more ? Phase::kPrefill : Phase::kDecode;
}

Passes FindPasses(const Timeline& timeline) {
  Passes found;
  std::vector<std::optional<AttentionCall>> of_op(timeline.ops.size());
  for (size_t i = 0; i < timeline.ops.size(); ++i) {
    const OpDetail* detail = timeline.ops[i].detail.get();
    if (detail == nullptr) continue;
    if (IsBackward(*detail)) {
      found.has_backward = true;
      return found;
    }
    Found attention;
    FindAttention(*detail, 1, attention);
    if (attention.first == nullptr) continue;
    const shapes::Attention& shape = *attention.first->attention;
    AttentionCall& call = of_op[i].emplace();
    call.detail = attention.first;
    call.model = {shape.heads_q, shape.heads_kv, shape.head_dim_qk, shape.head_dim_v};
    call.sequences = SequencesOf(*attention.first);
    call.phase = PhaseOf(call.sequences);
    call.layers = static_cast<uint32_t>(std::min<uint64_t>(attention.count, UINT32_MAX));
    call.is_graph = attention.is_graph;
  }
  for (size_t i = 0; i < timeline.calls.size(); ++i) {
    const OpCall& call = timeline.calls[i];
    if (call.is_captured || call.op >= of_op.size() || !of_op[call.op].has_value()) continue;
    found.attention.push_back(*of_op[call.op]);
    found.attention.back().call = i;
  }
  if (found.attention.empty()) return found;

  const Borders borders(found.attention);
  size_t begin = 0;
  for (const size_t end : EndsOf(found.attention, borders)) {
    Pass& pass = found.passes.emplace_back();
    const AttentionCall& first = found.attention[begin];
    MakePass(found.attention, begin, end,
             first.is_graph || end - begin == 1 || borders.Tells(first), pass);
    begin = end;
  }
  for (size_t i = 0; i < found.passes.size(); ++i) {
    Pass& pass = found.passes[i];
    const size_t last = found.attention[pass.end_attention - 1].call;
    pass.first_call = i == 0 ? 0 : found.passes[i - 1].end_call;
    pass.end_call = timeline.calls.size();
    if (i + 1 == found.passes.size()) break;
    const Pass& next = found.passes[i + 1];
    const size_t first = found.attention[next.first_attention].call;
    pass.end_call = BeginOfNext(timeline, found, last + 1, first, pass, next);
  }
  NameModels(found);
  return found;
}

}  // namespace mfutrace::report
