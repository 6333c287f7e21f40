// Offsets and drifts over the graph of communicators.
#include "report/analyze/clocks.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>

namespace mfutrace::report {
namespace {

using shapes::CollectiveKind;

constexpr size_t kMaxPoints = 512;       // of one communicator
constexpr size_t kMaxSlopePoints = 128;  // pairs of them are looked at
constexpr size_t kMinSlopePoints = 16;
// Small collectives may leave a rank before the others are done (one-way protocols); they count
// where there is nothing else.
constexpr uint64_t kMinBytes = 4096;
constexpr size_t kEnoughLargeOnes = 8;
constexpr int kSweeps = 2;

int64_t Quantile(std::vector<int64_t>& values, size_t numerator, size_t denominator) {
  const size_t at = std::min(values.size() - 1, values.size() * numerator / denominator);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

// The mean of the middle two of an even number.
int64_t MedianOf(std::vector<int64_t>& values) {
  const int64_t upper_ns = Quantile(values, 1, 2);
  if (values.size() % 2 == 1) return upper_ns;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  const int64_t lower_ns = *std::max_element(values.begin(), middle);
  return lower_ns + (upper_ns - lower_ns) / 2;
}

bool EndsTogether(CollectiveKind kind) {
  switch (kind) {
    case CollectiveKind::kAllReduce:
    case CollectiveKind::kAllGather:
    case CollectiveKind::kReduceScatter:
    case CollectiveKind::kAllToAll:
    case CollectiveKind::kUnknown:
      return true;
    default:
      return false;
  }
}

// Ends (and begins) of one collective on each of its members.
struct Observation {
  const MatchedSet* set;
  size_t row;
};

class Solver {
 public:
  Solver(std::span<const DeviceSummary> devices, const MatchResult& match)
      : devices_(devices), match_(match) {
    clocks_.devices.resize(devices.size());
  }

  Clocks Solve() {
    for (const MatchedSet& set : match_.sets) {
      if (set.is_pair) continue;
      Observe(set);
    }
    for (const Observation& seen : observations_) AddPoints(seen);
    AddMessages();
    AddHosts();
    SpanTree();
    // A tree of medians contradicts itself nowhere; more than one way to a device may.
    for (int sweep = 0; has_loops_ && sweep < kSweeps; ++sweep) Refine(/*moves=*/true);
    Refine(/*moves=*/false);
    Judge();
    return std::move(clocks_);
  }

 private:
  struct Edge {
    uint32_t a = 0;
    uint32_t b = 0;
    int rank = 0;     // collectives before messages before hosts
    RobustLine line;  // a's time less b's, over b's time
  };

  const CollectiveRecord& RecordOf(const Observation& seen, size_t member) const {
    const Member& who = seen.set->members[member];
    const uint32_t at = seen.set->records[seen.row * seen.set->members.size() + member];
    return devices_[who.device].collectives.records[who.communicator][at];
  }
  const CollectiveSignature& SignatureOf(const Observation& seen) const {
    return devices_[seen.set->members[0].device]
        .collectives.signatures[RecordOf(seen, 0).signature];
  }

  // Picks the rows of a set that say something about clocks.
  void Observe(const MatchedSet& set) {
    std::vector<size_t> large;
    std::vector<size_t> all;
    for (size_t row = 0; row < set.size(); ++row) {
      const Observation seen = {&set, row};
      const CollectiveSignature& signature = SignatureOf(seen);
      if (!EndsTogether(signature.kind) || RecordOf(seen, 0).shares_interval != 0) continue;
      all.push_back(row);
      if (signature.bytes.value_or(0) >= kMinBytes) large.push_back(row);
    }
    const std::vector<size_t>& rows = large.size() >= kEnoughLargeOnes ? large : all;
    const size_t stride = std::max<size_t>(1, (rows.size() + kMaxPoints - 1) / kMaxPoints);
    for (size_t i = 0; i < rows.size(); i += stride) observations_.push_back({&set, rows[i]});
  }

  void AddPoints(const Observation& seen) {
    const int64_t end_ns = RecordOf(seen, 0).end_ns;
    const uint32_t first = seen.set->members[0].device;
    for (size_t i = 1; i < seen.set->members.size(); ++i) {
      const uint32_t other = seen.set->members[i].device;
      if (other == first) continue;
      const int64_t other_ns = RecordOf(seen, i).end_ns;
      // One edge per communicator: a noisy one does not spoil a quiet one between the same two.
      points_[{static_cast<size_t>(seen.set - match_.sets.data()), first, other}].push_back(
          {other_ns, end_ns - other_ns});
    }
  }

  void AddMessages() {
    for (const auto& [key, points] : points_) {
      edges_.push_back({std::get<1>(key), std::get<2>(key), 0, FitRobustLine(points)});
    }
    points_.clear();
    // Both directions together: a receive ends a little after its send.
    std::map<std::pair<uint32_t, uint32_t>, std::vector<ClockPoint>> messages;
    for (const MatchedSet& set : match_.sets) {
      if (!set.is_pair || set.members[0].device == set.members[1].device) continue;
      const bool is_forward = set.members[0].device < set.members[1].device;
      const size_t first = is_forward ? 0 : 1;
      const size_t stride = std::max<size_t>(1, (set.size() + kMaxPoints - 1) / kMaxPoints);
      for (size_t row = 0; row < set.size(); row += stride) {
        const int64_t end_ns = RecordOf({&set, row}, first).end_ns;
        const int64_t other_ns = RecordOf({&set, row}, 1 - first).end_ns;
        messages[{set.members[first].device, set.members[1 - first].device}].push_back(
            {other_ns, end_ns - other_ns});
      }
    }
    for (const auto& [pair, points] : messages) {
      edges_.push_back({pair.first, pair.second, 1, FitRobustLine(points)});
    }
  }

  void AddHosts() {
    std::map<std::string, uint32_t> first_on;
    for (uint32_t d = 0; d < devices_.size(); ++d) {
      if (devices_[d].host.empty()) continue;
      const auto [found, is_new] = first_on.try_emplace(devices_[d].host, d);
      if (is_new) continue;
      Edge edge = {found->second, d, 2, {}};
      edge.line.spread_ns = devices_[d].clock_residual_ns.value_or(0) +
                            devices_[found->second].clock_residual_ns.value_or(0);
      edges_.push_back(edge);
    }
  }

  void SpanTree() {
    std::stable_sort(edges_.begin(), edges_.end(), [](const Edge& a, const Edge& b) {
      return std::pair(a.rank, a.line.spread_ns) < std::pair(b.rank, b.line.spread_ns);
    });
    std::vector<uint32_t> root(devices_.size());
    std::iota(root.begin(), root.end(), 0);
    const auto find = [&root](uint32_t d) {
      while (root[d] != d) d = root[d] = root[root[d]];
      return d;
    };
    std::vector<std::vector<const Edge*>> tree(devices_.size());
    for (const Edge& edge : edges_) {
      const uint32_t a = find(edge.a);
      const uint32_t b = find(edge.b);
      if (a == b) {
        has_loops_ = has_loops_ || edge.rank == 0;
        continue;
      }
      root[std::max(a, b)] = std::min(a, b);
      tree[edge.a].push_back(&edge);
      tree[edge.b].push_back(&edge);
    }
    std::vector<bool> is_done(devices_.size(), false);
    for (uint32_t d = 0; d < devices_.size(); ++d) {
      if (is_done[d]) continue;
      is_done[d] = true;
      clocks_.devices[d].component = d;
      std::vector<uint32_t> queue = {d};
      for (size_t i = 0; i < queue.size(); ++i) {
        for (const Edge* edge : tree[queue[i]]) {
          const uint32_t next = edge->a == queue[i] ? edge->b : edge->a;
          if (is_done[next]) continue;
          is_done[next] = true;
          clocks_.devices[next] = Follow(clocks_.devices[queue[i]], *edge, next == edge->b);
          queue.push_back(next);
        }
      }
    }
  }

  // The clock across an edge from a device whose clock is known.
  static DeviceClock Follow(const DeviceClock& known, const Edge& edge, bool to_b) {
    DeviceClock clock;
    clock.component = known.component;
    const RobustLine& line = edge.line;
    if (to_b) {
      clock.at_ns = line.at_ns;
      const int64_t theirs_ns = line.at_ns + line.offset_ns;
      clock.offset_ns = known.Aligned(theirs_ns) - line.at_ns;
      clock.drift = (1 + line.slope) * (1 + known.drift) - 1;
    } else {
      clock.at_ns = line.at_ns + line.offset_ns;
      clock.offset_ns = known.Aligned(line.at_ns) - clock.at_ns;
      clock.drift = (1 + known.drift) / (1 + line.slope) - 1;
    }
    return clock;
  }

  // Moves every device to the median of the others in its collectives. The first of a component
  // stays: it is what the others are told against.
  void Refine(bool moves) {
    std::vector<std::vector<ClockPoint>> residuals(devices_.size());
    std::vector<int64_t> ends_ns;
    std::vector<int64_t> others_ns;
    for (const Observation& seen : observations_) {
      const size_t count = seen.set->members.size();
      ends_ns.resize(count);
      for (size_t i = 0; i < count; ++i) {
        ends_ns[i] = clocks_.devices[seen.set->members[i].device].Aligned(RecordOf(seen, i).end_ns);
      }
      for (size_t i = 0; i < count; ++i) {
        others_ns = ends_ns;
        others_ns.erase(others_ns.begin() + static_cast<std::ptrdiff_t>(i));
        residuals[seen.set->members[i].device].push_back(
            {RecordOf(seen, i).end_ns, MedianOf(others_ns) - ends_ns[i]});
      }
    }
    for (uint32_t d = 0; d < devices_.size(); ++d) {
      if (residuals[d].empty()) continue;
      DeviceClock& clock = clocks_.devices[d];
      const RobustLine line = FitRobustLine(residuals[d]);
      clock.residual_ns = line.spread_ns;
      clock.observations = static_cast<uint32_t>(residuals[d].size());
      if (!moves || clock.component == d) continue;
      clock.offset_ns = clock.Aligned(line.at_ns) - line.at_ns + line.offset_ns / 2;
      clock.at_ns = line.at_ns;
      clock.drift += line.slope / 2;
    }
  }

  void Judge() {
    std::vector<int64_t> spreads_ns;
    for (const Observation& seen : observations_) {
      int64_t first_end_ns = std::numeric_limits<int64_t>::max();
      int64_t last_end_ns = std::numeric_limits<int64_t>::min();
      int64_t last_begin_ns = std::numeric_limits<int64_t>::min();
      for (size_t i = 0; i < seen.set->members.size(); ++i) {
        const DeviceClock& clock = clocks_.devices[seen.set->members[i].device];
        const CollectiveRecord& record = RecordOf(seen, i);
        first_end_ns = std::min(first_end_ns, clock.Aligned(record.end_ns));
        last_end_ns = std::max(last_end_ns, clock.Aligned(record.end_ns));
        last_begin_ns = std::max(last_begin_ns, clock.Aligned(record.begin_ns));
      }
      spreads_ns.push_back(last_end_ns - first_end_ns);
      clocks_.impossible += last_begin_ns > first_end_ns ? 1 : 0;
    }
    clocks_.collectives = observations_.size();
    for (const DeviceClock& clock : clocks_.devices) {
      if (!clock.residual_ns.has_value()) continue;
      clocks_.residual_ns = std::max(clocks_.residual_ns.value_or(0), *clock.residual_ns);
    }
    if (spreads_ns.empty()) return;
    EndSpread spread;
    spread.median_ns = MedianOf(spreads_ns);
    spread.p95_ns = Quantile(spreads_ns, 95, 100);
    spread.max_ns = *std::max_element(spreads_ns.begin(), spreads_ns.end());
    clocks_.end_spread = spread;
  }

  std::span<const DeviceSummary> devices_;
  const MatchResult& match_;
  Clocks clocks_;
  std::vector<Observation> observations_;
  std::map<std::tuple<size_t, uint32_t, uint32_t>, std::vector<ClockPoint>> points_;
  std::vector<Edge> edges_;
  bool has_loops_ = false;
};

}  // namespace

Clocks AlignClocks(std::span<const DeviceSummary> devices, const MatchResult& match) {
  return Solver(devices, match).Solve();
}

RobustLine FitRobustLine(std::span<const ClockPoint> points) {
  RobustLine line;
  if (points.empty()) return line;
  std::vector<int64_t> values;
  for (const ClockPoint& point : points) values.push_back(point.time_ns);
  line.at_ns = MedianOf(values);
  const auto residuals = [&](double slope) {
    values.clear();
    for (const ClockPoint& point : points) {
      const double moved = slope * static_cast<double>(point.time_ns - line.at_ns);
      values.push_back(point.difference_ns - static_cast<int64_t>(std::llround(moved)));
    }
  };
  residuals(0);
  line.offset_ns = MedianOf(values);
  line.spread_ns = Quantile(values, 3, 4) - Quantile(values, 1, 4);
  if (points.size() < kMinSlopePoints) return line;

  const size_t stride = std::max<size_t>(1, points.size() / kMaxSlopePoints);
  std::vector<double> slopes;
  int64_t first_ns = points[0].time_ns;
  int64_t last_ns = points[0].time_ns;
  for (size_t i = 0; i < points.size(); i += stride) {
    first_ns = std::min(first_ns, points[i].time_ns);
    last_ns = std::max(last_ns, points[i].time_ns);
    for (size_t k = i + stride; k < points.size(); k += stride) {
      const auto run = static_cast<double>(points[k].time_ns - points[i].time_ns);
      if (run == 0) continue;
      slopes.push_back(static_cast<double>(points[k].difference_ns - points[i].difference_ns) /
                       run);
    }
  }
  if (slopes.empty()) return line;
  const auto middle = slopes.begin() + static_cast<std::ptrdiff_t>(slopes.size() / 2);
  std::nth_element(slopes.begin(), middle, slopes.end());
  const double slope = *middle;
  residuals(slope);
  const int64_t offset_ns = MedianOf(values);
  const int64_t spread_ns = Quantile(values, 3, 4) - Quantile(values, 1, 4);
  // A slope that moves less over the run than the noise is noise.
  if (std::abs(slope) * static_cast<double>(last_ns - first_ns) <= static_cast<double>(spread_ns)) {
    return line;
  }
  line.slope = slope;
  line.offset_ns = offset_ns;
  line.spread_ns = spread_ns;
  return line;
}

}  // namespace mfutrace::report
