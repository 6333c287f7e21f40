// Sums by device and step, then buckets.
#include "report/analyze/lateness.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"

namespace mfutrace::report {
namespace {

using shapes::CollectiveKind;

// Nobody can be through before everybody has come.
bool EverybodyJoins(CollectiveKind kind) {
  return kind == CollectiveKind::kAllReduce || kind == CollectiveKind::kAllGather ||
         kind == CollectiveKind::kReduceScatter || kind == CollectiveKind::kAllToAll;
}

}  // namespace

LatenessSums MeasureLateness(std::span<const DeviceSummary> devices, const MatchResult& match,
                             const Clocks& clocks) {
  LatenessSums sums;
  std::vector<std::vector<int64_t>> borders_ns;
  for (const DeviceSummary& device : devices) {
    borders_ns.push_back(StepBorders(device));
    sums.cells.emplace_back(device.steps.size());
  }
  std::vector<int64_t> begins_ns;
  for (const MatchedSet& set : match.sets) {
    if (set.is_pair || set.members.size() < 2 || !match.groups[set.group].is_whole()) continue;
    const size_t members = set.members.size();
    begins_ns.resize(members);
    for (size_t at = 0; at + members <= set.records.size(); at += members) {
      const auto record_of = [&](size_t i) -> const CollectiveRecord& {
        const Member& member = set.members[i];
        return devices[member.device].collectives.records[member.communicator][set.records[at + i]];
      };
      const DeviceCollectives& first = devices[set.members.front().device].collectives;
      if (!EverybodyJoins(first.signatures[record_of(0).signature].kind)) continue;
      for (size_t i = 0; i < members; ++i) {
        begins_ns[i] = clocks.devices[set.members[i].device].Aligned(record_of(i).begin_ns);
      }
      const int64_t first_ns = *std::min_element(begins_ns.begin(), begins_ns.end());
      for (size_t i = 0; i < members; ++i) {
        const uint32_t device = set.members[i].device;
        const std::vector<int64_t>& borders = borders_ns[device];
        const auto piece = static_cast<size_t>(
            std::upper_bound(borders.begin(), borders.end(), record_of(i).begin_ns) -
            borders.begin());
        if (piece % 2 == 0) continue;  // between steps
        LatenessSums::Cell& cell = sums.cells[device][piece / 2];
        cell.sum_ns += begins_ns[i] - first_ns;
        ++cell.collectives;
      }
    }
  }
  return sums;
}

LatenessMap LatenessMapOf(const LatenessSums& sums, std::span<const DeviceSummary> devices,
                          size_t columns, size_t rows) {
  LatenessMap map;
  size_t steps = 0;
  bool is_known = false;
  for (const auto& row : sums.cells) {
    steps = std::max(steps, row.size());
    for (const LatenessSums::Cell& cell : row) is_known = is_known || cell.collectives > 0;
  }
  if (!is_known || sums.cells.size() != devices.size()) return map;
  const size_t per_bucket = (steps + columns - 1) / columns;
  for (size_t step = 0; step < steps; step += per_bucket) {
    map.buckets.emplace_back(static_cast<uint32_t>(step),
                             static_cast<uint32_t>(std::min(steps, step + per_bucket) - 1));
  }
  const bool by_host = devices.size() > rows;
  std::vector<std::string> names;
  std::map<std::string, std::vector<LatenessSums::Cell>> merged;
  for (size_t d = 0; d < devices.size(); ++d) {
    const DeviceSummary& device = devices[d];
    std::string name = by_host ? device.host : absl::StrCat("rank ", device.rank);
    if (!by_host && device.rank < 0) name = absl::StrCat("device ", d);
    const auto [found, is_new] = merged.try_emplace(name, map.buckets.size());
    if (is_new) names.push_back(name);
    for (size_t step = 0; step < sums.cells[d].size(); ++step) {
      found->second[step / per_bucket].sum_ns += sums.cells[d][step].sum_ns;
      found->second[step / per_bucket].collectives += sums.cells[d][step].collectives;
    }
  }
  for (const std::string& name : names) {
    LatenessRow row;
    row.name = name;
    for (const LatenessSums::Cell& cell : merged[name]) {
      row.mean_ns.push_back(
          cell.collectives == 0
              ? std::nullopt
              : std::optional<int64_t>(cell.sum_ns / static_cast<int64_t>(cell.collectives)));
    }
    map.rows.push_back(std::move(row));
  }
  return map;
}

}  // namespace mfutrace::report
