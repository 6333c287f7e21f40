// Unions of intervals, in exact integers: the only place with sweep lines. analyze.cc calls Sweep
// once per timeline; everything that says how long something lasted is read off its answer.
//
// What is measured. A device does three classes of work: compute (C), communication of communicator
// g (N_g, together N), and copies (M). Work of one class often overlaps itself, on several streams,
// so durations are never added up: C, N and M are *unions* of half-open intervals [begin, end). At
// each instant the device is in one of 8 states, by whether the instant lies in C, in N and in M.
// The sweep measures those 8 states, and every figure of a time split is a sum of some of them:
//
//   compute_only = C \ N        overlapped = C n N        exposed = N \ C
//   mem_only     = M \ (C u N)  idle       = the state outside all three
//
// These five are disjoint and cover the window, so they sum to it, to the nanosecond, whatever the
// input. SumsToWindow() checks that in every build, for every window: a violation means the sweep
// is wrong, and a report that says so is better than one that adds up to 103 %.
//
// Exposed communication. |N \ C|: time in which some communication runs and no compute does. It is
// what communication costs if nothing else could have filled that time. It says coincidence, not
// blame: the collective may have been waiting for a slow peer. Copies do not hide communication
// (N n M \ C is exposed), because they do not advance the model either.
//
// Whose exposed time. While several communicators are active in N \ C, each instant is owned
// equally by the active ones. That split ("shared") is the Shapley value of the game "length of the
// union" among active players, and sums exactly to the exposed time, so it may be stacked in a
// chart. Nanoseconds are indivisible: of a segment of L ns with k active communicators, L mod k of
// them get one ns more, taken in turn over the whole sweep so that no communicator is favoured. The
// honest error bars are `exclusive` (only this one was active: what surely belongs to it) and
// `touch` (it was active at all: the most that could).
//
// What the input must know. If a source sees every kernel, C is compute. If it sees only
// intercepted calls, C is a lower bound and exposed an upper bound; the caller says so, the sweep
// cannot.
//
// Cost. Edges are put in order by merging one run per stream, not by sorting all of them: streams
// run in order, so their runs are already sorted. O(n log streams) then, O(n log n) at worst.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "report/model/timeline.h"

namespace mfutrace::report {

// Bits of a state.
inline constexpr uint32_t kInCompute = 1;
inline constexpr uint32_t kInCommunication = 2;
inline constexpr uint32_t kInCopy = 4;

// Time spent in each of the 8 states. A mergeable sum.
struct StateTimes {
  std::array<int64_t, 8> ns = {};
  int64_t counted_ns = 0;  // |K|: compute whose FLOPs are counted; part of compute

  StateTimes& operator+=(const StateTimes& other);
  int64_t window_ns() const;  // all states
  int64_t compute_ns() const;
  int64_t communication_ns() const;
  int64_t compute_only_ns() const;
  int64_t overlapped_ns() const;
  int64_t exposed_ns() const;
  int64_t mem_only_ns() const;
  int64_t idle_ns() const;
};

struct CommunicatorTimes {
  int64_t union_ns = 0;      // |N_g|
  int64_t touch_ns = 0;      // |N_g \ C|
  int64_t exclusive_ns = 0;  // |N_g \ (C u all others)|
  int64_t shared_ns = 0;     // equal split; sums over communicators to exposed

  CommunicatorTimes& operator+=(const CommunicatorTimes& other);
};

struct SweepResult {
  std::vector<StateTimes> pieces;  // [cuts[i], cuts[i+1])
  std::vector<CommunicatorTimes>
      communicators;                            // in [cuts.front(), cuts.back()); last: without one
  std::vector<std::vector<int64_t>> shared_ns;  // by piece, then communicator; empty = all zero
};

// Sees the sweep go by, one stretch of unchanging state after another, without gaps. Stretches end
// at cuts and at every begin and end of a work.
class SweepVisitor {
 public:
  virtual ~SweepVisitor() = default;
  // `active` communicators, ascending; `shared_ns` are their parts of exposed time (all zero while
  // something computes), which sum to the stretch.
  virtual void OnStretch(const Interval& stretch, bool is_compute, std::span<const uint32_t> active,
                         std::span<const int64_t> shared_ns) = 0;
};

struct SweepExtras {
  const std::vector<bool>* is_counted = nullptr;  // by Work::op: FLOPs are counted
  SweepVisitor* visitor = nullptr;
};

// Measures `works` between consecutive `cuts` (ascending, at least two). Work outside is clipped,
// work that ends no later than it begins takes no time. Communication whose communicator is
// kNoIndex (or out of range) is the last entry of `communicators`.
SweepResult Sweep(std::span<const Work> works, uint32_t communicator_count,
                  std::span<const int64_t> cuts, const SweepExtras& extras = {});

// True if the five parts of a split sum to `window_ns`, and none is negative.
bool SumsToWindow(const StateTimes& times, int64_t window_ns);

}  // namespace mfutrace::report
