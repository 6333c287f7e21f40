// Ranks, restarts and the rows of the ranks table.
#include "report/analyze/ranks.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

namespace mfutrace::report {
namespace {

size_t ProcessCount(const std::vector<DeviceSummary>& devices) {
  std::set<std::string> paths;
  for (const DeviceSummary& device : devices) paths.insert(device.path);
  return paths.size();
}

// The communicator of this device that spans the job, if it has one and knows its own rank in it.
const Communicator* WorldCommunicator(const DeviceSummary& device, size_t process_count,
                                      size_t device_count) {
  for (const Communicator& communicator : device.communicators) {
    const bool spans = communicator.size == process_count || communicator.size == device_count;
    if (spans && communicator.size > 1 && communicator.rank >= 0) return &communicator;
  }
  return nullptr;
}

}  // namespace

void DropOlderAttempts(std::vector<DeviceSummary>& devices, std::vector<std::string>& notes) {
  int32_t newest = -1;
  for (const DeviceSummary& device : devices) newest = std::max(newest, device.restart_attempt);
  std::set<std::string> dropped;
  const auto is_older = [&](const DeviceSummary& device) {
    if (device.restart_attempt < 0 || device.restart_attempt == newest) return false;
    dropped.insert(device.path);
    return true;
  };
  devices.erase(std::remove_if(devices.begin(), devices.end(), is_older), devices.end());
  if (dropped.empty()) return;
  notes.push_back(absl::StrCat("the job was restarted: this is attempt ", newest, "; ",
                               dropped.size(), " files of earlier attempts are left out"));
}

void AssignRanks(std::vector<DeviceSummary>& devices, std::vector<std::string>& notes) {
  const size_t process_count = ProcessCount(devices);
  size_t unknown = 0;
  size_t from_communicator = 0;
  for (DeviceSummary& device : devices) {
    if (device.rank >= 0) continue;
    const Communicator* world = WorldCommunicator(device, process_count, devices.size());
    if (world == nullptr) {
      ++unknown;
      continue;
    }
    device.rank = world->rank;
    if (device.world_size == 0) device.world_size = world->size;
    ++from_communicator;
  }
  if (from_communicator > 0) {
    notes.push_back(absl::StrCat("world ranks of ", from_communicator,
                                 " devices come from the communicator that spans the job"));
  }
  if (unknown > 0 && devices.size() > 1) {
    notes.push_back(absl::StrCat("the world rank of ", unknown, " of ", devices.size(),
                                 " devices is unknown: no RANK, OMPI_COMM_WORLD_RANK or "
                                 "SLURM_PROCID, and no communicator spans the job"));
  }
  std::map<std::pair<int32_t, int32_t>, std::set<std::string>> paths;
  for (const DeviceSummary& device : devices) {
    if (device.rank >= 0) paths[{device.rank, device.device}].insert(device.path);
  }
  for (const auto& [key, files] : paths) {
    if (files.size() < 2) continue;
    notes.push_back(absl::StrCat("rank ", key.first, " device ", key.second, " appears in ",
                                 files.size(), " files; each is a row of its own"));
  }
}

void SortByRank(std::vector<DeviceSummary>& devices) {
  const auto key = [](const DeviceSummary& device) {
    return std::tuple<bool, int32_t, int32_t, const std::string&, const std::string&>(
        device.rank < 0, device.rank, device.device, device.host, device.path);
  };
  std::stable_sort(devices.begin(), devices.end(),
                   [&](const DeviceSummary& a, const DeviceSummary& b) { return key(a) < key(b); });
}

uint32_t WorldSize(const std::vector<DeviceSummary>& devices) {
  uint32_t world_size = 0;
  bool is_native = true;
  for (const DeviceSummary& device : devices) {
    world_size = std::max(world_size, device.world_size);
    is_native = is_native && device.source == SourceKind::kNative;
  }
  if (world_size == 0 && is_native && ProcessCount(devices) == 1) {
    for (const DeviceSummary& device : devices) {
      for (const Communicator& communicator : device.communicators) {
        world_size = std::max(world_size, communicator.size);
      }
    }
    world_size = std::max(world_size, uint32_t{1});
  }
  return world_size;
}

RankResult RankRow(const DeviceSummary& device) {
  RankResult row;
  row.rank = device.rank;
  row.device = device.device;
  row.host = device.host;
  row.pid = device.pid;
  row.path = device.path;
  row.run_ns = device.window_ns;
  row.split = device.knowledge == TimeKnowledge::kNothing ? SplitOfWindow(device.window_ns)
                                                          : SplitOf(device.times, device.knowledge);
  row.flop_executed = device.flop.executed;
  row.flop_model = device.flop.model;
  row.executed_by_rate = device.flop.executed_by_rate;
  row.dropped = device.quality.dropped;
  row.untimed = device.quality.untimed;
  return row;
}

}  // namespace mfutrace::report
