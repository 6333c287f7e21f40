// One timeline's passes -> ServingSums. See serving.h; serving_merge.cc puts devices together.
#include "report/analyze/serving.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "report/analyze/speculation.h"

namespace mfutrace::report {
namespace {

using Intervals = std::vector<Interval>;

// Sorted, disjoint, the same points.
void MakeDisjoint(Intervals& intervals) {
  std::sort(intervals.begin(), intervals.end(),
            [](const Interval& a, const Interval& b) { return a.begin_ns < b.begin_ns; });
  size_t kept = 0;
  for (const Interval& interval : intervals) {
    if (interval.end_ns <= interval.begin_ns) continue;
    if (kept > 0 && interval.begin_ns <= intervals[kept - 1].end_ns) {
      intervals[kept - 1].end_ns = std::max(intervals[kept - 1].end_ns, interval.end_ns);
    } else {
      intervals[kept++] = interval;
    }
  }
  intervals.resize(kept);
}

int64_t LengthOf(const Intervals& disjoint) {
  int64_t length_ns = 0;
  for (const Interval& interval : disjoint) length_ns += interval.end_ns - interval.begin_ns;
  return length_ns;
}

// A varied load, or the server's own word. Attention that only ever sees whole sequences at once
// is an encoder, or an evaluation.
bool IsServing(const Timeline& timeline, const Passes& passes) {
  if (passes.has_backward) return false;
  if (!timeline.serving_steps.empty()) return true;
  for (const Pass& pass : passes.passes) {
    if (pass.phase == Phase::kDecode || pass.phase == Phase::kMixed) return true;
    if (pass.phase == Phase::kUnknown || !timeline.role.empty()) return true;
    for (const shapes::SequenceRun& run : pass.sequences.runs) {
      if (run.seq_k > run.seq_q) return true;
    }
  }
  return false;
}

// Passes as the server marks them, in place of those that attention shows.
Passes PassesOfMarks(const Timeline& timeline, const Passes& by_attention) {
  Passes found;
  found.attention = by_attention.attention;
  found.models.push_back({});
  const auto call_at = [&](int64_t time_ns) {
    const auto at =
        std::lower_bound(timeline.calls.begin(), timeline.calls.end(), time_ns,
                         [](const OpCall& call, int64_t ns) { return call.host_begin_ns < ns; });
    return static_cast<size_t>(at - timeline.calls.begin());
  };
  for (size_t s = 0; s < timeline.serving_steps.size(); ++s) {
    const ServingStep& step = timeline.serving_steps[s];
    Pass& pass = found.passes.emplace_back();
    // What follows the mark (logits, sampling) is the step's too.
    pass.first_call = call_at(step.host_time.begin_ns);
    pass.end_call = s + 1 < timeline.serving_steps.size()
                        ? call_at(timeline.serving_steps[s + 1].host_time.begin_ns)
                        : timeline.calls.size();
    const auto attention_at = [&](size_t call) {
      const auto at =
          std::lower_bound(found.attention.begin(), found.attention.end(), call,
                           [](const AttentionCall& a, size_t index) { return a.call < index; });
      return static_cast<size_t>(at - found.attention.begin());
    };
    pass.first_attention = attention_at(pass.first_call);
    pass.end_attention = attention_at(pass.end_call);
    const bool has_context = step.context.requests > 0;
    const bool has_generation = step.generation.requests > 0;
    pass.phase = has_context && has_generation ? Phase::kMixed
                 : has_context                 ? Phase::kPrefill
                 : has_generation              ? Phase::kDecode
                                               : Phase::kUnknown;
    for (size_t i = pass.first_attention; i < pass.end_attention; ++i) {
      found.attention[i].phase = pass.phase;
    }
    ++found.models.front().passes;
  }
  return found;
}

// What the tokens of a pass are known to be.
void AddTokens(const Passes& passes, const Pass& pass, PhaseSums& sums) {
  const Sequences& sequences = pass.sequences;
  sums.passes_are_known = sums.passes_are_known && pass.is_one;
  if (!pass.is_one) return;
  ++sums.passes;
  sums.new_tokens += sequences.Queries();
  for (const shapes::SequenceRun& run : sequences.runs) {
    if (run.seq_q == 1) sums.generated += run.count;
  }
  sums.tokens_are_bounds = sums.tokens_are_bounds || sequences.are_bounds;
  sums.context_is_known = sums.context_is_known && !sequences.are_bounds;
  const uint64_t keys = sequences.Keys();
  sums.context_tokens += keys > sequences.Queries() ? keys - sequences.Queries() : 0;
  sums.sequences.push_back(static_cast<double>(sequences.Count()));
  sums.kv_is_bound = sums.kv_is_bound || sequences.are_bounds;
  for (size_t i = pass.first_attention; i < pass.end_attention; ++i) {
    const AttentionCall& call = passes.attention[i];
    const shapes::Attention& shape = *call.detail->attention;
    const uint32_t bits = shapes::BitsOf(shapes::StoredAs(shape.dtype));
    sums.kv_is_known = sums.kv_is_known && bits != 0;
    const uint64_t width = shape.head_dim_qk + (shape.v_is_view_of_k ? 0 : shape.head_dim_v);
    sums.kv_bytes +=
        absl::uint128(call.sequences.Keys()) * shape.heads_kv * width * bits / 8 * call.layers;
  }
}

void AddMarkedTokens(const ServingStep& step, PhaseSums& sums) {
  ++sums.passes;
  for (const RequestSums* requests : {&step.context, &step.generation}) {
    sums.new_tokens += requests->queries;
    if (requests->keys.has_value() && *requests->keys >= requests->queries) {
      sums.context_tokens += *requests->keys - requests->queries;
    } else if (requests->requests > 0) {
      sums.context_is_known = false;
    }
  }
  sums.generated += step.generation.queries;
  sums.sequences.push_back(static_cast<double>(step.context.requests + step.generation.requests));
  sums.kv_is_known = false;  // heads and widths are not in the marks
}

// Which pass each work belongs to, by when it was launched.
class WorkOfPasses {
 public:
  WorkOfPasses(const Timeline& timeline, const Passes& passes) {
    for (const Pass& pass : passes.passes) {
      const size_t first = pass.first_call;
      begins_ns_.push_back(first < timeline.calls.size() ? timeline.calls[first].host_begin_ns
                                                         : std::numeric_limits<int64_t>::max());
    }
  }
  explicit WorkOfPasses(const std::vector<ServingStep>& steps) {
    for (const ServingStep& step : steps) begins_ns_.push_back(step.host_time.begin_ns);
  }
  size_t Find(const Work& work) const {
    if (work.launch_ns == 0) return SIZE_MAX;
    const auto after = std::upper_bound(begins_ns_.begin(), begins_ns_.end(), work.launch_ns);
    return after == begins_ns_.begin() ? SIZE_MAX
                                       : static_cast<size_t>(after - begins_ns_.begin()) - 1;
  }

 private:
  std::vector<int64_t> begins_ns_;
};

constexpr int64_t kMostSlices = 128;

void FillSlices(const Timeline& timeline, Interval window, const Intervals& busy,
                const PeakTable* peaks, Slices& slices) {
  const int64_t length_ns = window.end_ns - window.begin_ns;
  if (length_ns <= 0) return;
  slices.slice_ns = 1 << 20;  // about a millisecond
  while (length_ns / slices.slice_ns >= kMostSlices) slices.slice_ns *= 2;
  const auto count = static_cast<size_t>((length_ns + slices.slice_ns - 1) / slices.slice_ns);
  slices.busy_ns.resize(count, 0);
  slices.at_peak_ps_1000.resize(count, 0);
  slices.new_tokens.resize(count, 0);
  for (const Interval& interval : busy) {
    int64_t begin_ns = interval.begin_ns - window.begin_ns;
    const int64_t end_ns = std::min(interval.end_ns - window.begin_ns, length_ns);
    begin_ns = std::max<int64_t>(begin_ns, 0);
    while (begin_ns < end_ns) {
      const int64_t slice = begin_ns / slices.slice_ns;
      const int64_t until_ns = std::min(end_ns, (slice + 1) * slices.slice_ns);
      slices.busy_ns[static_cast<size_t>(slice)] += until_ns - begin_ns;
      begin_ns = until_ns;
    }
  }
  if (peaks == nullptr) return;
  for (const OpCall& call : timeline.calls) {
    if (call.work >= timeline.works.size() || call.op >= timeline.ops.size()) continue;
    const Op& op = timeline.ops[call.op];
    if (!op.flop_model.has_value() || !op.rate.has_value()) continue;
    const std::optional<Peak> peak = peaks->Find(timeline.device.name, *op.rate);
    if (!peak.has_value() || peak->flop_per_s == 0) continue;
    const int64_t slice =
        (timeline.works[call.work].time.begin_ns - window.begin_ns) / slices.slice_ns;
    if (slice < 0 || slice >= static_cast<int64_t>(count)) continue;
    slices.at_peak_ps_1000[static_cast<size_t>(slice)] += static_cast<int64_t>(
        static_cast<double>(*op.flop_model) * 1e9 / static_cast<double>(peak->flop_per_s));
  }
}

void AddPassTokens(Interval window, int64_t at_ns, uint64_t tokens, Slices& slices) {
  if (slices.slice_ns == 0) return;
  const int64_t slice = (at_ns - window.begin_ns) / slices.slice_ns;
  if (slice < 0 || slice >= static_cast<int64_t>(slices.new_tokens.size())) return;
  slices.new_tokens[static_cast<size_t>(slice)] += tokens;
}

}  // namespace

void Slices::CoarsenTo(int64_t wider_ns) {
  while (slice_ns != 0 && slice_ns < wider_ns) {
    slice_ns *= 2;
    const auto halve = [](auto& values) {
      for (size_t i = 0; i < values.size(); ++i) {
        if (i % 2 == 0) {
          values[i / 2] = values[i];
        } else {
          values[i / 2] += values[i];
        }
      }
      values.resize((values.size() + 1) / 2);
    };
    halve(busy_ns);
    halve(at_peak_ps_1000);
    halve(new_tokens);
  }
}

Distribution DistributionOf(std::vector<double> values) {
  Distribution result;
  if (values.empty()) return result;
  std::sort(values.begin(), values.end());
  result.count = values.size();
  double sum = 0;
  for (const double value : values) sum += value;
  result.mean = sum / static_cast<double>(values.size());
  // Nearest rank: the least value that so many are at or below.
  const auto rank = [&](size_t percent) {
    const size_t at = (values.size() * percent + 99) / 100;
    return values[std::max<size_t>(at, 1) - 1];
  };
  result.p50 = rank(50);
  result.p95 = rank(95);
  result.max = values.back();
  return result;
}

ServingSums SummarizeServing(const Timeline& timeline, Interval window, const PeakTable* peaks) {
  ServingSums sums;
  sums.role = timeline.role;
  Passes passes = FindPasses(timeline);
  if (!IsServing(timeline, passes)) return sums;
  sums.is_serving = true;
  sums.from_marks = !timeline.serving_steps.empty();
  if (sums.from_marks) passes = PassesOfMarks(timeline, passes);
  const std::optional<Speculation> speculation =
      sums.from_marks ? std::nullopt : FindSpeculation(timeline, passes);
  if (speculation.has_value()) {
    sums.speculation = speculation->sums;
    sums.target = speculation->target;
    sums.draft = speculation->draft;
  }
  sums.models = passes.models;

  // Calls.
  for (size_t i = 0; i < passes.passes.size(); ++i) {
    const Pass& pass = passes.passes[i];
    size_t attention = pass.first_attention;
    const auto sums_of = [&](Phase phase) -> PhaseSums& {
      PhaseSums& found = sums.phases[{pass.model, phase}];
      if (!found.flop.executed.has_value()) found.flop = NoFlop(timeline.has_shapes);
      return found;
    };
    for (size_t c = pass.first_call; c < pass.end_call; ++c) {
      const OpCall& call = timeline.calls[c];
      if (call.is_captured || call.op >= timeline.ops.size()) continue;
      const Op& op = timeline.ops[call.op];
      if (op.kind == shapes::OpKind::kCollective) continue;
      const bool is_attention =
          attention < pass.end_attention && passes.attention[attention].call == c;
      PhaseSums& into = sums_of(is_attention ? passes.attention[attention].phase : pass.phase);
      if (is_attention) into.attention_calls += passes.attention[attention++].layers;
      if (op.flop_executed.has_value()) ++into.calls;
      AddCalls(into.flop, op, 1);
      if (into.bytes_least.has_value() && op.flop_executed.has_value()) {
        if (op.bytes_least.has_value()) {
          *into.bytes_least += *op.bytes_least;
        } else {
          into.bytes_least.reset();
        }
      }
    }
    PhaseSums& into = sums_of(pass.phase);
    if (sums.from_marks) {
      AddMarkedTokens(timeline.serving_steps[i], into);
    } else {
      AddTokens(passes, pass, into);
    }
    if (pass.phase == Phase::kVerify) {
      if (speculation->rejected[i].has_value()) {
        into.rejected += *speculation->rejected[i];
      } else {
        into.rejected_is_known = false;
      }
    }
    sums.are_steps_known = sums.are_steps_known && pass.is_one;
  }

  // Times.
  sums.has_times = !timeline.works.empty();
  if (!sums.has_times) return sums;
  const WorkOfPasses belongs =
      sums.from_marks ? WorkOfPasses(timeline.serving_steps) : WorkOfPasses(timeline, passes);
  std::vector<Intervals> by_pass(passes.passes.size());
  Intervals busy;
  for (const Work& work : timeline.works) {
    busy.push_back(work.time);
    const size_t pass = belongs.Find(work);
    if (pass < by_pass.size()) by_pass[pass].push_back(work.time);
  }
  MakeDisjoint(busy);
  sums.busy_ns = LengthOf(busy);
  FillSlices(timeline, window, busy, peaks, sums.slices);
  Intervals steps;
  Intervals all = busy;
  for (size_t i = 0; i < by_pass.size(); ++i) {
    const Pass& pass = passes.passes[i];
    MakeDisjoint(by_pass[i]);
    if (by_pass[i].empty()) continue;
    const Interval span = {by_pass[i].front().begin_ns, by_pass[i].back().end_ns};
    PhaseSums& into = sums.phases[{pass.model, pass.phase}];
    into.busy_ns += LengthOf(by_pass[i]);
    into.span_ns += span.end_ns - span.begin_ns;
    if (pass.is_one) into.pass_ns.push_back(static_cast<double>(span.end_ns - span.begin_ns));
    if (speculation.has_value() && speculation->continues_step[i] && !steps.empty()) {
      steps.back().end_ns = std::max(steps.back().end_ns, span.end_ns);
    } else {
      steps.push_back(span);
    }
    const uint64_t tokens = sums.from_marks ? timeline.serving_steps[i].context.queries +
                                                  timeline.serving_steps[i].generation.queries
                                            : pass.sequences.Queries();
    if (pass.model != sums.draft) AddPassTokens(window, span.begin_ns, tokens, sums.slices);
  }
  MakeDisjoint(steps);
  all.insert(all.end(), steps.begin(), steps.end());
  MakeDisjoint(all);
  sums.idle_in_step_ns = LengthOf(all) - sums.busy_ns;
  sums.waiting_ns = window.end_ns - window.begin_ns - LengthOf(all);
  return sums;
}

}  // namespace mfutrace::report
