// Orchestration of what needs all ranks.
#include "report/analyze/together.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace mfutrace::report {
namespace {

constexpr size_t kMaxNamed = 3;

std::string NameOf(const std::vector<DeviceSummary>& devices, const Group& group) {
  const Member& first = group.members.front();
  const Communicator& communicator = devices[first.device].communicators[first.communicator];
  return communicator.name.empty() ? communicator.id.substr(0, 8) : communicator.name;
}

void NoteGroups(const std::vector<DeviceSummary>& devices, const MatchResult& match,
                std::vector<std::string>& notes) {
  size_t refused = 0;
  size_t incomplete = 0;
  std::string example;
  for (const Group& group : match.groups) {
    if (!group.refusal.empty()) {
      if (refused++ < kMaxNamed) {
        notes.push_back(absl::StrCat("collectives of ", NameOf(devices, group),
                                     " cannot be matched across ranks: ", group.refusal));
      }
    } else if (!group.is_whole() && devices.size() > 1) {
      if (incomplete++ == 0) {
        example = absl::StrCat(NameOf(devices, group), " (", group.members.size(), " of ",
                               group.size, ")");
      }
    }
  }
  if (refused > kMaxNamed) {
    notes.push_back(absl::StrCat(refused - kMaxNamed, " more communicators cannot be matched"));
  }
  if (incomplete > 0) {
    notes.push_back(absl::StrCat(
        "of ", incomplete, incomplete == 1 ? " communicator" : " communicators",
        " not all members are in the report, as of ", example, ": their waiting is unknown"));
  }
}

void NoteClocks(const Clocks& clocks, std::vector<std::string>& notes) {
  if (clocks.impossible > 0) {
    notes.push_back(absl::StrCat(clocks.impossible, " of ", clocks.collectives,
                                 " collectives began on one rank after they ended on another: "
                                 "clocks jumped, or records were matched wrongly"));
  }
}

}  // namespace

Together PutTogether(std::vector<DeviceSummary>& devices, uint32_t world_size, const Layout& layout,
                     std::vector<std::string>& notes) {
  Together together;
  together.match = MatchCollectives(devices);
  together.clocks = AlignClocks(devices, together.match);
  together.lateness = MeasureLateness(devices, together.match, together.clocks);
  together.verdicts =
      InferStrategies(GroupShapesOf(devices, together.match), world_size, layout, notes);
  WaitOptions options;
  // Stages of a pipeline come when it is their turn, and so to what all stages do together.
  for (const Verdict& verdict : together.verdicts) {
    options.are_peers.push_back(verdict.strategy != "PP" && verdict.strategy != "control");
  }
  together.waits = MeasureWaits(devices, together.match, together.clocks, options);
  for (DeviceSummary& device : devices) device.strategies.resize(device.communicators.size());
  for (size_t i = 0; i < together.match.groups.size(); ++i) {
    for (const Member& member : together.match.groups[i].members) {
      devices[member.device].strategies[member.communicator] = together.verdicts[i].strategy;
    }
  }
  together.stragglers = FindStragglers(devices, together.match, together.waits, together.verdicts);
  NoteGroups(devices, together.match, notes);
  NoteClocks(together.clocks, notes);
  for (DeviceSummary& device : devices) device.collectives = {};
  together.match.sets = {};
  return together;
}

std::optional<ClockResult> ClockOf(const std::vector<DeviceSummary>& devices,
                                   const Clocks& clocks) {
  ClockResult result;
  bool is_connected = false;
  for (size_t d = 0; d < devices.size(); ++d) {
    const DeviceClock& clock = clocks.devices[d];
    ClockOffset offset;
    offset.rank = devices[d].rank;
    offset.device = devices[d].device;
    if (clock.component == 0) {
      is_connected = is_connected || d > 0;
      offset.offset_ns = clock.offset_ns;
      offset.drift_ppm = clock.drift * 1e6;
      offset.residual_ns = clock.residual_ns;
    }
    result.offsets.push_back(offset);
  }
  if (!is_connected) return std::nullopt;
  result.residual_ns = clocks.residual_ns;
  result.collectives = clocks.collectives;
  if (clocks.end_spread.has_value()) {
    result.end_spread_median_ns = clocks.end_spread->median_ns;
    result.end_spread_p95_ns = clocks.end_spread->p95_ns;
    result.end_spread_max_ns = clocks.end_spread->max_ns;
  }
  return result;
}

}  // namespace mfutrace::report
