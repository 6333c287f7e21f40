// Which parallelism strategy a communicator serves: DP, FSDP, ZeRO, TP, SP, PP, EP, CP, or
// "control" (norms, losses and flags of a few bytes).
//
// Communicators are first put into axes: disjoint sets of one size that do the same things. Each
// axis is judged as a whole, by evidence in this order of weight: its name; how its ranks lie in
// the world (strides, and whether the sizes of all axes multiply to it); the order of first use;
// which operations of which sizes it does, where in a step, and how much of it nothing else hides.
// Every piece of evidence adds to the strategies that it speaks for; the one with most wins, the
// next is the runner-up, and a lead that one weak piece could turn is called ambiguous.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "report/analyze/match.h"
#include "report/analyze/summary.h"
#include "report/analyze/traffic_shape.h"

namespace mfutrace::report {

struct Verdict {
  std::string strategy;   // empty: nothing to tell it from
  std::string runner_up;  // empty: none
  std::string evidence;
  bool is_ambiguous = false;
};

// An axis of `--layout`: "tp" of 8 ranks.
struct LayoutAxis {
  std::string name;  // dp, fsdp, zero, tp, sp, pp, ep, cp
  uint32_t size = 1;
};
using Layout = std::vector<LayoutAxis>;

// "tp=8,pp=4,dp=2". The message says what is wrong with it.
absl::StatusOr<Layout> ParseLayout(const std::string& text);

struct GroupShape {
  std::string name;
  uint32_t size = 0;
  std::vector<int32_t> ranks;  // world ranks, in the order of ranks in it; -1 = unknown
  TrafficShape shape;          // over its members
};

// One verdict for each group. With a layout, the sets that it describes (tensor parallel innermost,
// then context, expert, data, pipeline parallel: Megatron's order) get its strategies; where the
// evidence says something else, the evidence text tells.
std::vector<Verdict> InferStrategies(std::span<const GroupShape> groups, uint32_t world_size,
                                     const Layout& layout, std::vector<std::string>& notes);

// The groups of `match` in their order.
std::vector<GroupShape> GroupShapesOf(std::span<const DeviceSummary> devices,
                                      const MatchResult& match);

}  // namespace mfutrace::report
