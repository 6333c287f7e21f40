// The period search, step windows and the warm-up rule of steps.h.
#include "report/analyze/steps.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace mfutrace::report {
namespace {

constexpr size_t kMaxCandidates = 400;
constexpr size_t kMaxPositions = 20000;  // sampled for one candidate
constexpr size_t kMaxOccurrences = 64;   // sampled for one kind of token
constexpr size_t kMaxKinds = 512;        // rarest first
constexpr double kTolerance = 0.02;      // from real traces: true periods match 0.98 to 1.0
constexpr double kConvincing = 0.8;

// Occurrences of each distinct token that recurs, rarest first.
std::vector<std::vector<size_t>> Occurrences(std::span<const uint32_t> tokens) {
  absl::flat_hash_map<uint32_t, size_t> index;
  std::vector<std::vector<size_t>> positions;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto [found, is_new] = index.try_emplace(tokens[i], positions.size());
    if (is_new) positions.emplace_back();
    positions[found->second].push_back(i);
  }
  positions.erase(std::remove_if(positions.begin(), positions.end(),
                                 [](const std::vector<size_t>& at) { return at.size() < 2; }),
                  positions.end());
  std::stable_sort(positions.begin(), positions.end(),
                   [](const std::vector<size_t>& a, const std::vector<size_t>& b) {
                     return a.size() < b.size();
                   });
  return positions;
}

// Distances that could be the period. A token that occurs c times a step gives it as the distance
// to its c-th next occurrence, hence the inner loop.
std::set<size_t> Candidates(const std::vector<std::vector<size_t>>& kinds, size_t token_count) {
  constexpr size_t kMaxTimesAStep = 8;
  std::set<size_t> lags;
  for (const std::vector<size_t>& at : kinds) {
    for (size_t ahead = 1; ahead <= kMaxTimesAStep; ++ahead) {
      const size_t limit = std::min(at.size(), kMaxOccurrences + ahead);
      for (size_t i = 0; i + ahead < limit; ++i) {
        const size_t lag = at[i + ahead] - at[i];
        if (lag >= 2 && lag * 2 <= token_count) lags.insert(lag);
        if (lags.size() >= kMaxCandidates) return lags;
      }
    }
  }
  return lags;
}

// Share of (sampled) positions whose token recurs `lag` later.
double MatchOfPositions(std::span<const uint32_t> tokens, size_t lag) {
  const size_t count = tokens.size() - lag;
  const size_t stride = std::max<size_t>(1, count / kMaxPositions);
  size_t matched = 0;
  size_t total = 0;
  for (size_t i = 0; i < count; i += stride) {
    // Strided positions would hit the same phase of an inner repeat again and again.
    const size_t at = std::min(count - 1, i + (i * 2654435761u >> 7) % stride);
    matched += tokens[at] == tokens[at + lag] ? 1 : 0;
    ++total;
  }
  return static_cast<double>(matched) / static_cast<double>(total);
}

// The same with each kind of token weighing the same.
double MatchOfKinds(std::span<const uint32_t> tokens, const std::vector<std::vector<size_t>>& kinds,
                    size_t lag) {
  double sum = 0;
  size_t count = 0;
  for (size_t kind = 0; kind < std::min(kinds.size(), kMaxKinds); ++kind) {
    const std::vector<size_t>& at = kinds[kind];
    const size_t stride = std::max<size_t>(1, at.size() / kMaxOccurrences);
    size_t matched = 0;
    size_t total = 0;
    for (size_t i = 0; i < at.size(); i += stride) {
      if (at[i] + lag >= tokens.size()) break;
      matched += tokens[at[i]] == tokens[at[i] + lag] ? 1 : 0;
      ++total;
    }
    if (total == 0) continue;
    sum += static_cast<double>(matched) / static_cast<double>(total);
    ++count;
  }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

// The token that most reliably occurs once a period.
std::optional<uint32_t> AnchorToken(std::span<const uint32_t> tokens, size_t lag) {
  std::optional<uint32_t> best;
  double best_score = 0;
  for (const std::vector<size_t>& at : Occurrences(tokens)) {
    size_t regular = 0;
    for (size_t i = 0; i + 1 < at.size(); ++i) regular += at[i + 1] - at[i] == lag ? 1 : 0;
    const double share = static_cast<double>(regular) / static_cast<double>(at.size() - 1);
    // Of equally reliable tokens the one that is seen over more periods.
    const double score = share * static_cast<double>(regular);
    if (score > best_score) {
      best_score = score;
      best = tokens[at.front()];
    }
  }
  return best;
}

// Where it occurs. Occurrences nearer than half a period are not a step of their own.
std::vector<size_t> AnchorPositions(std::span<const uint32_t> tokens, uint32_t token, size_t lag) {
  std::vector<size_t> anchors;
  for (size_t at = 0; at < tokens.size(); ++at) {
    if (tokens[at] != token) continue;
    if (anchors.empty() || at - anchors.back() > lag / 2) anchors.push_back(at);
  }
  return anchors;
}

int64_t MedianOf(std::vector<int64_t> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// The calls that count for steps, in host order, with what a boundary needs to know of each.
struct Sequence {
  std::vector<uint32_t> tokens;
  std::vector<Interval> device;  // host times where there are no device times
  std::vector<uint8_t> is_timed;
  std::vector<uint8_t> is_compute;
  std::vector<int64_t> launch_ns;
  int64_t device_end_ns = std::numeric_limits<int64_t>::min();
  int64_t launch_end_ns = std::numeric_limits<int64_t>::min();
};

// One for each timed window of the source, which are all there is to be seen.
std::vector<Sequence> SequencesOf(const Timeline& timeline) {
  std::vector<Sequence> sequences(1);
  const bool has_device_times = !timeline.works.empty();
  const std::vector<Interval>& windows = timeline.sampling.host;
  size_t window = 0;
  for (const OpCall& call : timeline.calls) {
    while (window + 1 < windows.size() && call.host_begin_ns >= windows[window + 1].begin_ns) {
      ++window;
      if (!sequences.back().tokens.empty()) sequences.emplace_back();
    }
    Sequence& sequence = sequences.back();
    if (call.is_captured || call.op >= timeline.ops.size()) continue;
    const bool is_timed = call.work < timeline.works.size();
    Interval device = {call.host_begin_ns, call.host_end_ns};
    if (has_device_times) device = is_timed ? timeline.works[call.work].time : Interval();
    sequence.tokens.push_back(call.op);
    sequence.device.push_back(device);
    const bool has_time = is_timed || !has_device_times;
    const bool is_compute = timeline.ops[call.op].kind != shapes::OpKind::kCollective;
    sequence.is_timed.push_back(has_time ? 1 : 0);
    sequence.is_compute.push_back(is_compute ? 1 : 0);
    sequence.launch_ns.push_back(call.host_begin_ns);
    sequence.launch_end_ns = std::max(sequence.launch_end_ns, call.host_end_ns);
    if (has_time) {
      sequence.device_end_ns = std::max(sequence.device_end_ns, device.end_ns);
    }
  }
  return sequences;
}

// How many positions before the anchor a step begins: where, in the median step, the device (or the
// host) has been without calls for longest. That is where the optimizer and the data loader are.
size_t OffsetOfBoundary(const Sequence& sequence, const std::vector<size_t>& anchors, size_t lag) {
  std::vector<int64_t> gap_ns(sequence.tokens.size(), 0);
  bool has_end = false;
  int64_t end_ns = 0;
  for (size_t i = 0; i < sequence.tokens.size(); ++i) {
    if (!sequence.is_timed[i]) continue;
    if (has_end) gap_ns[i] = std::max<int64_t>(0, sequence.device[i].begin_ns - end_ns);
    end_ns = has_end ? std::max(end_ns, sequence.device[i].end_ns) : sequence.device[i].end_ns;
    has_end = true;
  }
  size_t best = 0;
  int64_t best_gap_ns = 0;
  std::vector<int64_t> gaps_ns;
  for (size_t offset = 0; offset < lag; ++offset) {
    gaps_ns.clear();
    for (const size_t anchor : anchors) {
      // The first call of all has no gap before it and says nothing.
      if (anchor > offset) gaps_ns.push_back(gap_ns[anchor - offset]);
    }
    const int64_t median_ns = MedianOf(gaps_ns);
    if (median_ns > best_gap_ns) {
      best_gap_ns = median_ns;
      best = offset;
    }
  }
  return best;
}

std::vector<size_t> Boundaries(const Sequence& sequence, const std::vector<size_t>& anchors,
                               size_t lag, size_t offset) {
  std::vector<size_t> boundaries;
  for (const size_t anchor : anchors) {
    if (anchor >= offset) boundaries.push_back(anchor - offset);
  }
  // A last step is whole if the calls of one period follow its beginning.
  if (!boundaries.empty() && sequence.tokens.size() - boundaries.back() >= lag) {
    boundaries.push_back(boundaries.back() + lag);
  }
  // The step before the first anchor, if all of it is there.
  if (!boundaries.empty() && boundaries.front() >= lag) {
    const size_t first = boundaries.front() - lag;
    size_t matched = 0;
    for (size_t i = first; i < first + lag && i + lag < sequence.tokens.size(); ++i) {
      matched += sequence.tokens[i] == sequence.tokens[i + lag] ? 1 : 0;
    }
    if (static_cast<double>(matched) >= kConvincing * static_cast<double>(lag)) {
      boundaries.insert(boundaries.begin(), first);
    }
  }
  return boundaries;
}

// Begin of the device's work of a step: its first timed compute call, or its first timed call.
std::optional<int64_t> DeviceBegin(const Sequence& sequence, size_t first, size_t last) {
  std::optional<int64_t> any_ns;
  for (size_t i = first; i < last; ++i) {
    if (!sequence.is_timed[i]) continue;
    if (sequence.is_compute[i]) return sequence.device[i].begin_ns;
    if (!any_ns.has_value()) any_ns = sequence.device[i].begin_ns;
  }
  return any_ns;
}

// Adds the steps of one sequence. False where it must end early.
bool AddSteps(const Sequence& sequence, const std::vector<size_t>& boundaries, size_t lag,
              std::vector<StepWindow>& windows) {
  const size_t count = sequence.tokens.size();
  for (size_t k = 0; k + 1 < boundaries.size(); ++k) {
    const size_t first = boundaries[k];
    const size_t next = boundaries[k + 1];
    const bool is_end = next >= count;
    const std::optional<int64_t> begin_ns = DeviceBegin(sequence, first, next);
    const std::optional<int64_t> end_ns =
        is_end ? std::optional<int64_t>(sequence.device_end_ns)
               : DeviceBegin(sequence, next, std::min(count, next + lag));
    StepWindow window;
    window.launch = {sequence.launch_ns[first],
                     is_end ? sequence.launch_end_ns + 1 : sequence.launch_ns[next]};
    // A step without device times, or out of order on the device, ends the series that can be
    // shown.
    if (!begin_ns.has_value() || !end_ns.has_value() || *end_ns < *begin_ns) return false;
    window.device = {*begin_ns, *end_ns};
    if (!windows.empty() && window.device.begin_ns < windows.back().device.end_ns) return false;
    windows.push_back(std::move(window));
  }
  return true;
}

StepWindows StepsByPeriod(const Timeline& timeline) {
  const std::vector<Sequence> sequences = SequencesOf(timeline);
  // What a step is, the longest one tells best.
  const Sequence& longest = *std::max_element(
      sequences.begin(), sequences.end(),
      [](const Sequence& a, const Sequence& b) { return a.tokens.size() < b.tokens.size(); });
  const std::optional<Period> period = FindPeriod(longest.tokens);
  if (!period.has_value()) return {};
  const std::optional<uint32_t> token = AnchorToken(longest.tokens, period->lag);
  if (!token.has_value()) return {};
  const size_t lag = period->lag;
  const size_t offset =
      OffsetOfBoundary(longest, AnchorPositions(longest.tokens, *token, lag), lag);
  StepWindows steps;
  for (const Sequence& sequence : sequences) {
    const std::vector<size_t> anchors = AnchorPositions(sequence.tokens, *token, lag);
    const std::vector<size_t> boundaries = Boundaries(sequence, anchors, lag, offset);
    if (!steps.windows.empty()) steps.windows.back().has_gap_after = true;
    if (!AddSteps(sequence, boundaries, lag, steps.windows)) break;
  }
  return steps;
}

StepWindows StepsByMarks(const Timeline& timeline) {
  StepWindows steps;
  steps.are_marks = true;
  for (const StepMark& mark : timeline.steps) {
    if (mark.time.end_ns <= mark.time.begin_ns) continue;
    steps.windows.push_back({mark.name, mark.time, mark.time});
  }
  std::stable_sort(steps.windows.begin(), steps.windows.end(),
                   [](const StepWindow& a, const StepWindow& b) {
                     return a.device.begin_ns < b.device.begin_ns;
                   });
  // Windows of steps are disjoint; a mark that reaches into its successor ends there.
  for (size_t i = 0; i + 1 < steps.windows.size(); ++i) {
    int64_t& end_ns = steps.windows[i].device.end_ns;
    end_ns = std::min(end_ns, steps.windows[i + 1].device.begin_ns);
    steps.windows[i].launch = steps.windows[i].device;
  }
  return steps;
}

}  // namespace

std::optional<Period> FindPeriod(std::span<const uint32_t> tokens) {
  if (tokens.size() < 4) return std::nullopt;
  const std::vector<std::vector<size_t>> kinds = Occurrences(tokens);
  // One kind of call over and over is a loop, but nothing tells which calls make a step.
  if (kinds.size() < 2) return std::nullopt;
  struct Scored {
    size_t lag;
    double positions;
    double kinds;
  };
  std::vector<Scored> scored;
  double best_positions = 0;
  double best_kinds = 0;
  for (const size_t lag : Candidates(kinds, tokens.size())) {
    scored.push_back({lag, MatchOfPositions(tokens, lag), MatchOfKinds(tokens, kinds, lag)});
    best_positions = std::max(best_positions, scored.back().positions);
    best_kinds = std::max(best_kinds, scored.back().kinds);
  }
  // One kind that never recurs must show, however many kinds there are.
  const double kinds_tolerance =
      std::min(kTolerance, 0.5 / static_cast<double>(std::min(kinds.size(), kMaxKinds)));
  for (const Scored& candidate : scored) {
    if (candidate.positions < kConvincing) continue;
    if (candidate.positions < best_positions - kTolerance) continue;
    if (candidate.kinds < best_kinds - kinds_tolerance) continue;
    return Period{candidate.lag, candidate.positions};
  }
  return std::nullopt;
}

StepWindows FindSteps(const Timeline& timeline) {
  if (!timeline.steps.empty()) return StepsByMarks(timeline);
  if (timeline.source != SourceKind::kNative) return {};
  return StepsByPeriod(timeline);
}

uint32_t FirstSteadyStep(std::span<const int64_t> durations_ns) {
  if (durations_ns.size() < 3) return 0;
  // The second half is taken as settled; a step belongs to the warm-up while it is longer than the
  // settled ones by more than their own spread (three robust sigmas, at least 5 %).
  const std::vector<int64_t> tail(
      durations_ns.begin() + static_cast<std::ptrdiff_t>(durations_ns.size() / 2),
      durations_ns.end());
  const int64_t median_ns = MedianOf(tail);
  std::vector<int64_t> deviations_ns;
  for (const int64_t duration_ns : tail) deviations_ns.push_back(std::abs(duration_ns - median_ns));
  const double sigma_ns = 1.4826 * static_cast<double>(MedianOf(deviations_ns));
  const double limit_ns = static_cast<double>(median_ns) +
                          std::max(3 * sigma_ns, 0.05 * static_cast<double>(median_ns));
  uint32_t first = 0;
  const size_t most = durations_ns.size() / 2;
  while (first<most&& static_cast<double>(durations_ns[first])> limit_ns) ++first;
  return first;
}

}  // namespace mfutrace::report
