// Axes, their places in the world, and verdicts.
#include "report/analyze/strategy.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "report/analyze/strategy_evidence.h"

namespace mfutrace::report {
namespace {

// A lead that one weak piece of evidence could turn.
constexpr double kClearLead = 1.5;
constexpr double kNamePoints = 10;
constexpr size_t kReasonsTold = 3;

struct AxisName {
  const char* word;
  const char* strategy;
};
constexpr AxisName kAxisNames[] = {{"tp", "TP"},     {"sp", "SP"},     {"cp", "CP"}, {"ep", "EP"},
                                   {"fsdp", "FSDP"}, {"zero", "ZeRO"}, {"dp", "DP"}, {"pp", "PP"}};

// Megatron's default order, innermost first (tp-cp-ep-dp-pp).
int PlaceInOrder(const std::string& word) {
  for (size_t i = 0; i < std::size(kAxisNames); ++i) {
    if (word == kAxisNames[i].word) return static_cast<int>(i);
  }
  return -1;
}

std::string StrategyOfWord(const std::string& word) {
  const int place = PlaceInOrder(word);
  return place < 0 ? "" : kAxisNames[place].strategy;
}

// Distance of neighbours in world ranks; nullopt if they are not evenly spaced or not known.
std::optional<int32_t> StrideOf(const std::vector<int32_t>& ranks, uint32_t size) {
  if (ranks.size() != size || size < 2) return std::nullopt;
  for (const int32_t rank : ranks) {
    if (rank < 0) return std::nullopt;
  }
  const int32_t stride = ranks[1] - ranks[0];
  for (size_t i = 1; i < ranks.size(); ++i) {
    if (ranks[i] - ranks[i - 1] != stride) return std::nullopt;
  }
  return stride > 0 ? std::optional<int32_t>(stride) : std::nullopt;
}

// Groups that are one axis of the job: the same size and habits, no rank in two of them.
struct Axis {
  std::vector<size_t> groups;
  std::string name;
  uint32_t size = 0;
  std::optional<int32_t> stride;  // common to all
  std::set<int32_t> ranks;
  TrafficShape shape;
};

// What communicators of one axis have in common: which operations they do.
std::string HabitsOf(const GroupShape& group) {
  std::string habits;
  for (size_t kind = 0; kind < kCollectiveKinds; ++kind) {
    const bool is_message = kind == static_cast<size_t>(shapes::CollectiveKind::kSend) ||
                            kind == static_cast<size_t>(shapes::CollectiveKind::kRecv);
    if (group.shape.calls[kind] > 0) absl::StrAppend(&habits, is_message ? 6 : kind, ",");
  }
  std::pair<uint64_t, uint64_t> most = {0, 0};  // calls, bytes
  for (const auto& [size, calls] : group.shape.calls_by_size) {
    most = std::max(most, {calls, size.second});
  }
  const bool is_control = IsControl(group.shape);
  return absl::StrCat(group.size, ";", StrategyOfName(group.name), ";", habits, ";",
                      is_control ? uint64_t{0} : most.second);
}

std::vector<Axis> AxesOf(std::span<const GroupShape> groups) {
  std::map<std::string, std::vector<size_t>> alike;
  for (size_t i = 0; i < groups.size(); ++i) alike[HabitsOf(groups[i])].push_back(i);
  std::vector<Axis> axes;
  for (auto& [habits, members] : alike) {
    // Evenly spaced sets first, by their distance, so that an axis does not mix with another one.
    const auto key = [&](size_t i) {
      const std::optional<int32_t> stride = StrideOf(groups[i].ranks, groups[i].size);
      return std::pair(stride.value_or(INT32_MAX), groups[i].ranks);
    };
    std::stable_sort(members.begin(), members.end(),
                     [&](size_t a, size_t b) { return key(a) < key(b); });
    std::vector<Axis> found;
    for (const size_t i : members) {
      const GroupShape& group = groups[i];
      const std::optional<int32_t> stride = StrideOf(group.ranks, group.size);
      Axis* home = nullptr;
      for (Axis& axis : found) {
        const bool is_disjoint =
            std::none_of(group.ranks.begin(), group.ranks.end(),
                         [&](int32_t rank) { return rank >= 0 && axis.ranks.contains(rank); });
        if (is_disjoint && axis.stride == stride) {
          home = &axis;
          break;
        }
      }
      if (home == nullptr) {
        found.emplace_back();
        home = &found.back();
        home->size = group.size;
        home->stride = stride;
        home->name = group.name;
      }
      home->groups.push_back(i);
      home->ranks.insert(group.ranks.begin(), group.ranks.end());
      home->shape += group.shape;
    }
    for (Axis& axis : found) axes.push_back(std::move(axis));
  }
  return axes;
}

std::string RanksText(const Axis& axis, const GroupShape& group) {
  std::string text = absl::StrCat(axis.groups.size(), axis.groups.size() == 1 ? " set" : " sets",
                                  " of ", axis.size, " ranks");
  if (axis.stride.has_value()) absl::StrAppend(&text, ", stride ", *axis.stride);
  if (axis.groups.size() == 1 && axis.size <= 8 && !group.ranks.empty()) {
    absl::StrAppend(&text, " {", absl::StrJoin(group.ranks, ","), "}");
  }
  return text;
}

// How an axis lies in the mesh of all of them.
void JudgeMesh(const Axis& axis, const std::vector<Axis>& axes, uint32_t world_size,
               Evidence& evidence) {
  if (!axis.stride.has_value() || world_size < 2) return;
  int32_t largest = 0;
  uint64_t product = 1;
  for (const Axis& other : axes) {
    if (!other.stride.has_value() || other.size == world_size || IsControl(other.shape)) continue;
    largest = std::max(largest, *other.stride);
    product *= other.size;
  }
  if (axis.size == world_size) {
    evidence.Add("DP", 0.5, "all ranks of the job");
    evidence.Add("FSDP", 0.5, "all ranks of the job");
    return;
  }
  const std::string mesh = product == world_size ? " of a mesh that fills the job" : "";
  if (*axis.stride == 1) {
    const std::string why = absl::StrCat("neighbouring ranks: the innermost axis", mesh);
    evidence.Add("TP", 1, why);
    evidence.Add("SP", 1, why);
    evidence.Add("EP", 0.5, why);
    evidence.Add("CP", 0.5, why);
  } else if (*axis.stride == largest) {
    const std::string why = absl::StrCat("the outermost axis", mesh);
    evidence.Add("PP", 1, why);
    evidence.Add("DP", 0.75, why);
    evidence.Add("FSDP", 0.5, why);
    evidence.Add("ZeRO", 0.5, why);
  }
}

// Tensor parallel communicators are used first, those of gradients after a whole forward pass.
void JudgeOrder(const Axis& axis, const std::vector<Axis>& axes, Evidence& evidence) {
  uint64_t first = UINT64_MAX;
  uint64_t last = 0;
  for (const Axis& other : axes) {
    if (other.shape.order == UINT64_MAX || IsControl(other.shape)) continue;
    if (other.shape.messages_sent() > 0) continue;
    first = std::min(first, other.shape.order);
    last = std::max(last, other.shape.order);
  }
  if (first >= last || IsControl(axis.shape)) return;
  if (axis.shape.order == first) {
    evidence.Add("TP", 0.5, "used before the others");
    evidence.Add("SP", 0.5, "used before the others");
  } else if (axis.shape.order == last) {
    evidence.Add("DP", 0.5, "used after the others");
  }
}

std::string Reasons(const Evidence::Place& place) {
  std::vector<std::string> texts;
  for (const auto& [points, why] : place.reasons) {
    if (texts.size() < kReasonsTold) texts.push_back(why);
  }
  return absl::StrJoin(texts, ", ");
}

Verdict Judge(const Axis& axis, const std::vector<Axis>& axes, uint32_t world_size,
              const GroupShape& group) {
  Verdict verdict;
  Evidence evidence;
  const std::string named = StrategyOfName(axis.name);
  if (!named.empty()) {
    evidence.Add(named, kNamePoints, absl::StrCat("named ", axis.name));
  } else if (IsControl(axis.shape)) {
    verdict.strategy = "control";
    verdict.evidence = absl::StrCat("reductions of at most ", axis.shape.largest_bytes(),
                                    " bytes: norms, losses or flags");
    return verdict;
  }
  JudgeMesh(axis, axes, world_size, evidence);
  JudgeOrder(axis, axes, evidence);
  if (axis.size == 1 || axis.shape.total_calls() == 0) {
    if (!named.empty()) {
      verdict.strategy = named;
      verdict.evidence = absl::StrCat("named ", axis.name);
    }
    return verdict;
  }
  JudgeTraffic(axis.shape, axis.size, evidence);
  // A group named after data or tensor parallelism may be sharded as well.
  if (MovesShards(axis.shape)) {
    const char* sharded = nullptr;
    if (named == "DP") {
      sharded = evidence.PointsOf("FSDP") > evidence.PointsOf("ZeRO") ? "FSDP" : "ZeRO";
    } else if (named == "TP") {
      sharded = "SP";
    }
    if (sharded != nullptr) {
      evidence.Add(sharded, kNamePoints, absl::StrCat("named ", axis.name));
    }
  }
  std::vector<Evidence::Place> ranking = evidence.Ranking();
  if (ranking.empty()) return verdict;
  verdict.strategy = ranking[0].strategy;
  verdict.evidence = absl::StrCat(Reasons(ranking[0]), "; ", RanksText(axis, group));
  if (ranking.size() > 1 && ranking[1].points > 0) {
    verdict.runner_up = ranking[1].strategy;
    verdict.is_ambiguous = ranking[0].points - ranking[1].points < kClearLead;
    if (verdict.is_ambiguous) {
      verdict.evidence = absl::StrCat("ambiguous: ", verdict.evidence, "; for ",
                                      ranking[1].strategy, ": ", Reasons(ranking[1]));
    }
  }
  return verdict;
}

struct Described {
  std::string strategy;
  uint32_t size = 0;
  int32_t stride = 0;
};

// The sets that a layout describes.
std::vector<Described> AxesOfLayout(Layout layout) {
  std::stable_sort(layout.begin(), layout.end(), [](const LayoutAxis& a, const LayoutAxis& b) {
    return PlaceInOrder(a.name) < PlaceInOrder(b.name);
  });
  std::vector<Described> described;
  int64_t stride = 1;
  for (const LayoutAxis& axis : layout) {
    if (axis.size > 1) {
      described.push_back({StrategyOfWord(axis.name), axis.size, static_cast<int32_t>(stride)});
    }
    stride *= axis.size;
  }
  return described;
}

void Override(const Axis& axis, const std::vector<Described>& described, Verdict& verdict) {
  const Described* match = nullptr;
  size_t of_size = 0;
  for (const Described& one : described) {
    if (one.size != axis.size) continue;
    ++of_size;
    if (axis.stride == one.stride) match = &one;
  }
  // Ranks that are not placed in the usual order: the size tells, or the evidence does.
  if (match == nullptr) {
    for (const Described& one : described) {
      if (one.size != axis.size) continue;
      if (of_size == 1 || one.strategy == verdict.strategy) match = &one;
    }
  }
  if (match == nullptr || verdict.strategy == "control" || verdict.strategy.empty()) return;
  if (verdict.strategy == match->strategy) {
    verdict.evidence = absl::StrCat("--layout, and the evidence agrees: ", verdict.evidence);
  } else {
    verdict.evidence =
        absl::StrCat("--layout; the evidence says ", verdict.strategy, ": ", verdict.evidence);
    verdict.runner_up = verdict.strategy;
  }
  verdict.strategy = match->strategy;
  verdict.is_ambiguous = false;
}

}  // namespace

absl::StatusOr<Layout> ParseLayout(const std::string& text) {
  Layout layout;
  std::set<std::string> seen;
  for (absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    const std::vector<std::string> sides = absl::StrSplit(part, '=');
    uint32_t size = 0;
    if (sides.size() != 2 || !absl::SimpleAtoi(sides[1], &size) || size == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("expected AXIS=RANKS, as in tp=8,pp=4,dp=2; got ", part));
    }
    const std::string word = absl::AsciiStrToLower(absl::StripAsciiWhitespace(sides[0]));
    if (PlaceInOrder(word) < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("no axis ", sides[0], "; there are tp, sp, cp, ep, fsdp, zero, dp, pp"));
    }
    if (!seen.insert(word).second) {
      return absl::InvalidArgumentError(absl::StrCat("axis ", word, " is given twice"));
    }
    layout.push_back({word, size});
  }
  if (layout.empty()) return absl::InvalidArgumentError("expected AXIS=RANKS, as in tp=8,dp=2");
  return layout;
}

std::vector<Verdict> InferStrategies(std::span<const GroupShape> groups, uint32_t world_size,
                                     const Layout& layout, std::vector<std::string>& notes) {
  std::vector<Verdict> verdicts(groups.size());
  const std::vector<Axis> axes = AxesOf(groups);
  const std::vector<Described> described = AxesOfLayout(layout);
  if (!layout.empty()) {
    uint64_t product = 1;
    for (const LayoutAxis& axis : layout) product *= axis.size;
    if (world_size > 0 && product != world_size) {
      notes.push_back(absl::StrCat("--layout describes ", product, " ranks, the job has ",
                                   world_size, ": compare its axes with the communicators"));
    }
  }
  std::set<std::string> contradicted;
  for (const Axis& axis : axes) {
    for (const size_t i : axis.groups) {
      Verdict verdict = Judge(axis, axes, world_size, groups[i]);
      if (!layout.empty()) {
        const std::string evident = verdict.strategy;
        const bool was_ambiguous = verdict.is_ambiguous;
        Override(axis, described, verdict);
        if (verdict.strategy != evident && !was_ambiguous &&
            contradicted.insert(verdict.strategy).second) {
          notes.push_back(absl::StrCat("--layout calls ", axis.groups.size(), " communicators of ",
                                       axis.size, " ranks ", verdict.strategy,
                                       ", the evidence says ", evident));
        }
      }
      verdicts[i] = std::move(verdict);
    }
  }
  return verdicts;
}

std::vector<GroupShape> GroupShapesOf(std::span<const DeviceSummary> devices,
                                      const MatchResult& match) {
  std::vector<GroupShape> groups;
  for (const Group& group : match.groups) {
    GroupShape shape;
    shape.size = group.size > 0 ? group.size : static_cast<uint32_t>(group.members.size());
    for (const Member& member : group.members) {
      const DeviceSummary& device = devices[member.device];
      const Communicator& communicator = device.communicators[member.communicator];
      if (shape.name.empty()) shape.name = communicator.name;
      if (shape.ranks.empty() && !communicator.ranks.empty()) shape.ranks = communicator.ranks;
      TrafficShape traffic = device.traffic[member.communicator];
      const CommunicatorTimes& times = device.communicator_times[member.communicator];
      traffic.busy_ns = times.union_ns;
      traffic.exposed_ns = times.touch_ns;
      shape.shape += traffic;
    }
    if (shape.ranks.empty()) {
      for (const Member& member : group.members) shape.ranks.push_back(devices[member.device].rank);
    }
    groups.push_back(std::move(shape));
  }
  return groups;
}

}  // namespace mfutrace::report
