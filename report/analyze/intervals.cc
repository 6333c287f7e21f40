// The sweep behind intervals.h.
#include "report/analyze/intervals.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <numeric>
#include <utility>

namespace mfutrace::report {
namespace {

// One end of one interval. `code`: the lowest bit says begin; above it the class, or kFirstGroup
// plus the communicator.
struct Edge {
  int64_t time_ns;
  uint32_t code;
};

constexpr uint32_t kComputeCode = 0;
constexpr uint32_t kCopyCode = 1;
constexpr uint32_t kCountedCode = 2;  // compute whose FLOPs are counted
constexpr uint32_t kFirstGroup = 3;

bool ByTime(const Edge& a, const Edge& b) { return a.time_ns < b.time_ns; }

uint32_t CodeOf(const Work& work, uint32_t communicator_count, const std::vector<bool>* counted) {
  switch (work.work_class) {
    case WorkClass::kCompute: {
      const bool is_counted =
          counted != nullptr && work.op < counted->size() && (*counted)[work.op];
      return is_counted ? kCountedCode : kComputeCode;
    }
    case WorkClass::kCopy:
      return kCopyCode;
    case WorkClass::kCommunication:
      break;
  }
  return kFirstGroup + std::min(work.communicator, communicator_count);
}

// All edges of works that lie inside the cuts, clipped, in order of time. Ends and begins at the
// same instant may come in any order: the segment between them is empty.
class Edges {
 public:
  explicit Edges(size_t count)
      : size_(count), edges_(std::make_unique_for_overwrite<Edge[]>(count)) {}
  Edge* begin() const { return edges_.get(); }
  Edge* end() const { return begin() + size_; }
  size_t size() const { return size_; }
  Edge& operator[](size_t i) const { return edges_[i]; }
  void swap(Edges& other) { edges_.swap(other.edges_); }

 private:
  size_t size_;
  std::unique_ptr<Edge[]> edges_;  // not zeroed: every one is written
};

Edges SortedEdges(std::span<const Work> works, uint32_t communicator_count, int64_t first_ns,
                  int64_t last_ns, const std::vector<bool>* counted) {
  // Stream numbers are dense by contract; a wild one only costs order, so it shares a bucket.
  constexpr uint32_t kMaxStreams = 4096;
  std::vector<size_t> run_begin(2, 0);
  for (const Work& work : works) {
    const size_t stream = std::min(work.stream, kMaxStreams - 1);
    if (run_begin.size() < stream + 2) run_begin.resize(stream + 2, 0);
    run_begin[stream + 1] += 2;
  }
  std::partial_sum(run_begin.begin(), run_begin.end(), run_begin.begin());
  Edges edges(works.size() * 2);
  std::vector<size_t> fill(run_begin.begin(), run_begin.end() - 1);
  for (const Work& work : works) {
    const uint32_t code = CodeOf(work, communicator_count, counted) << 1;
    const int64_t begin_ns = std::clamp(work.time.begin_ns, first_ns, last_ns);
    const int64_t end_ns =
        std::clamp(std::max(work.time.begin_ns, work.time.end_ns), first_ns, last_ns);
    size_t& at = fill[std::min(work.stream, kMaxStreams - 1)];
    edges[at++] = {begin_ns, code | 1};
    edges[at++] = {end_ns, code};
  }
  using Offset = std::ptrdiff_t;
  for (size_t run = 0; run + 1 < run_begin.size(); ++run) {
    const auto begin = edges.begin() + static_cast<Offset>(run_begin[run]);
    const auto end = edges.begin() + static_cast<Offset>(run_begin[run + 1]);
    if (!std::is_sorted(begin, end, ByTime)) std::sort(begin, end, ByTime);
  }
  // Merge neighbouring runs until one is left.
  if (run_begin.size() <= 2) return edges;
  Edges other(edges.size());
  while (run_begin.size() > 2) {
    std::vector<size_t> merged_begin;
    for (size_t run = 0; run + 1 < run_begin.size(); run += 2) {
      merged_begin.push_back(run_begin[run]);
      const auto begin = edges.begin() + static_cast<Offset>(run_begin[run]);
      const auto middle = edges.begin() + static_cast<Offset>(run_begin[run + 1]);
      const auto end =
          edges.begin() + static_cast<Offset>(run_begin[std::min(run + 2, run_begin.size() - 1)]);
      std::merge(begin, middle, middle, end, other.begin() + static_cast<Offset>(run_begin[run]),
                 ByTime);
    }
    merged_begin.push_back(run_begin.back());
    run_begin = std::move(merged_begin);
    edges.swap(other);
  }
  return edges;
}

class Counter {
 public:
  explicit Counter(uint32_t group_count) : depth_(group_count, 0), groups_(group_count) {}

  void Apply(uint32_t code) {
    const bool is_begin = (code & 1) != 0;
    const uint32_t what = code >> 1;
    if (what == kComputeCode || what == kCountedCode) {
      compute_ += is_begin ? 1 : -1;
      if (what == kCountedCode) counted_ += is_begin ? 1 : -1;
    } else if (what == kCopyCode) {
      copy_ += is_begin ? 1 : -1;
    } else {
      ApplyGroup(what - kFirstGroup, is_begin);
    }
  }

  uint32_t state() const {
    return (compute_ > 0 ? kInCompute : 0) | (active_.empty() ? 0 : kInCommunication) |
           (copy_ > 0 ? kInCopy : 0);
  }

  bool is_counted() const { return counted_ > 0; }
  bool is_compute() const { return compute_ > 0; }
  std::span<const uint32_t> active() const { return active_; }

  // Credits a segment of `length_ns` in the present state to the active communicators. Returns how
  // much of the exposed time each of them got.
  std::span<const int64_t> Credit(int64_t length_ns) {
    shares_ns_.assign(active_.size(), 0);
    if (active_.empty()) return shares_ns_;
    const bool is_exposed = compute_ <= 0;
    const auto count = static_cast<int64_t>(active_.size());
    if (is_exposed) {
      std::fill(shares_ns_.begin(), shares_ns_.end(), length_ns / count);
      for (int64_t i = 0; i < length_ns % count; ++i) {
        shares_ns_[static_cast<size_t>(turn_++ % static_cast<uint64_t>(count))] += 1;
      }
    }
    for (size_t i = 0; i < active_.size(); ++i) {
      CommunicatorTimes& times = groups_[active_[i]];
      times.union_ns += length_ns;
      if (!is_exposed) continue;
      times.touch_ns += length_ns;
      times.shared_ns += shares_ns_[i];
      if (count == 1) times.exclusive_ns += length_ns;
    }
    return shares_ns_;
  }

  std::vector<CommunicatorTimes> TakeGroups() { return std::move(groups_); }

 private:
  void ApplyGroup(uint32_t group, bool is_begin) {
    int64_t& depth = depth_[group];
    const int64_t before = depth;
    depth += is_begin ? 1 : -1;
    if (before <= 0 && depth > 0) {
      active_.insert(std::lower_bound(active_.begin(), active_.end(), group), group);
    } else if (before > 0 && depth <= 0) {
      active_.erase(std::lower_bound(active_.begin(), active_.end(), group));
    }
  }

  int64_t compute_ = 0;
  int64_t counted_ = 0;
  int64_t copy_ = 0;
  uint64_t turn_ = 0;
  std::vector<int64_t> depth_;
  std::vector<uint32_t> active_;    // ascending: results do not depend on the order of equal edges
  std::vector<int64_t> shares_ns_;  // of the last credited segment, by place in active_
  std::vector<CommunicatorTimes> groups_;
};

}  // namespace

StateTimes& StateTimes::operator+=(const StateTimes& other) {
  counted_ns += other.counted_ns;
  for (size_t i = 0; i < ns.size(); ++i) ns[i] += other.ns[i];
  return *this;
}

int64_t StateTimes::window_ns() const { return std::accumulate(ns.begin(), ns.end(), int64_t{0}); }
int64_t StateTimes::compute_ns() const { return compute_only_ns() + overlapped_ns(); }
int64_t StateTimes::communication_ns() const { return overlapped_ns() + exposed_ns(); }
int64_t StateTimes::compute_only_ns() const { return ns[kInCompute] + ns[kInCompute | kInCopy]; }
int64_t StateTimes::overlapped_ns() const {
  return ns[kInCompute | kInCommunication] + ns[kInCompute | kInCommunication | kInCopy];
}
int64_t StateTimes::exposed_ns() const {
  return ns[kInCommunication] + ns[kInCommunication | kInCopy];
}
int64_t StateTimes::mem_only_ns() const { return ns[kInCopy]; }
int64_t StateTimes::idle_ns() const { return ns[0]; }

CommunicatorTimes& CommunicatorTimes::operator+=(const CommunicatorTimes& other) {
  union_ns += other.union_ns;
  touch_ns += other.touch_ns;
  exclusive_ns += other.exclusive_ns;
  shared_ns += other.shared_ns;
  return *this;
}

SweepResult Sweep(std::span<const Work> works, uint32_t communicator_count,
                  std::span<const int64_t> cuts, const SweepExtras& extras) {
  SweepResult result;
  result.communicators.resize(communicator_count + 1);
  if (cuts.size() < 2) return result;
  result.pieces.resize(cuts.size() - 1);
  result.shared_ns.resize(cuts.size() - 1);
  const Edges edges =
      SortedEdges(works, communicator_count, cuts.front(), cuts.back(), extras.is_counted);
  Counter counter(communicator_count + 1);
  int64_t now_ns = cuts.front();
  size_t piece = 0;
  const auto advance = [&](int64_t to_ns) {
    while (now_ns < to_ns) {
      while (cuts[piece + 1] <= now_ns) ++piece;
      const int64_t stop_ns = std::min(to_ns, cuts[piece + 1]);
      const std::span<const int64_t> shared_ns = counter.Credit(stop_ns - now_ns);
      result.pieces[piece].ns[counter.state()] += stop_ns - now_ns;
      if (counter.is_counted()) result.pieces[piece].counted_ns += stop_ns - now_ns;
      if (!shared_ns.empty() && !counter.is_compute()) {
        std::vector<int64_t>& sums_ns = result.shared_ns[piece];
        sums_ns.resize(communicator_count + 1, 0);
        for (size_t i = 0; i < shared_ns.size(); ++i) sums_ns[counter.active()[i]] += shared_ns[i];
      }
      if (extras.visitor != nullptr) {
        extras.visitor->OnStretch({now_ns, stop_ns}, counter.is_compute(), counter.active(),
                                  shared_ns);
      }
      now_ns = stop_ns;
    }
  };
  for (size_t i = 0; i < edges.size();) {
    const int64_t time_ns = edges[i].time_ns;
    advance(time_ns);
    for (; i < edges.size() && edges[i].time_ns == time_ns; ++i) counter.Apply(edges[i].code);
  }
  advance(cuts.back());
  result.communicators = counter.TakeGroups();
  return result;
}

bool SumsToWindow(const StateTimes& times, int64_t window_ns) {
  const std::array<int64_t, 5> parts = {times.compute_only_ns(), times.overlapped_ns(),
                                        times.exposed_ns(), times.mem_only_ns(), times.idle_ns()};
  int64_t sum_ns = 0;
  for (const int64_t part_ns : parts) {
    if (part_ns < 0) return false;
    sum_ns += part_ns;
  }
  return sum_ns == window_ns;
}

}  // namespace mfutrace::report
