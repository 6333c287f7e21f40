// Waits, transfers and last arrivals, communicator by communicator.
#include "report/analyze/waits.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace mfutrace::report {
namespace {

using shapes::CollectiveKind;

constexpr int64_t kUnknown = std::numeric_limits<int64_t>::min();
// Clocks must be this many times better than the duration they judge.
constexpr int64_t kClockMargin = 10;

int64_t Duration(const CollectiveRecord& record) { return record.end_ns - record.begin_ns; }

int64_t MedianOf(std::vector<int64_t>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void AddTo(std::vector<std::vector<int64_t>>& sums, size_t piece, size_t communicator,
           size_t communicators, int64_t ns) {
  if (ns == 0) return;
  if (sums[piece].empty()) sums[piece].resize(communicators, 0);
  sums[piece][communicator] += ns;
}

class Measurer {
 public:
  Measurer(std::span<DeviceSummary> devices, const MatchResult& match, const Clocks& clocks,
           const WaitOptions& options)
      : devices_(devices), match_(match), clocks_(clocks), options_(options) {
    result_.blames.resize(devices.size());
    for (DeviceSummary& device : devices_) {
      device.waits.assign(device.communicators.size(), {});
      device.exposed.matched_ns.assign(device.exposed.shared_ns.size(), {});
      device.exposed.wait_ns.assign(device.exposed.shared_ns.size(), {});
      borders_ns_.push_back(StepBorders(device));
    }
  }

  WaitResult Measure() {
    std::vector<std::vector<const MatchedSet*>> sets(match_.groups.size());
    for (const MatchedSet& set : match_.sets) sets[set.group].push_back(&set);
    for (size_t i = 0; i < match_.groups.size(); ++i) MeasureGroup(match_.groups[i], sets[i]);
    return std::move(result_);
  }

 private:
  const CollectiveRecord& RecordOf(const Member& member, uint32_t at) const {
    return devices_[member.device].collectives.records[member.communicator][at];
  }
  const CollectiveSignature& SignatureOf(const Member& member, uint32_t at) const {
    return devices_[member.device].collectives.signatures[RecordOf(member, at).signature];
  }

  void MeasureGroup(const Group& group, const std::vector<const MatchedSet*>& sets) {
    GroupWaits waits;
    waits.key = group.key;
    for (const Member& member : group.members) {
      waits.world_ranks.push_back(devices_[member.device].rank);
    }
    waits.times_last.assign(group.members.size(), 0);
    waits.caused_ns.assign(group.members.size(), 0);
    // How long each record of each member waits; kUnknown where that is unknown.
    std::vector<std::vector<int64_t>> wait_ns(group.members.size());
    uint64_t records = 0;
    for (size_t i = 0; i < group.members.size(); ++i) {
      const Member& member = group.members[i];
      wait_ns[i].assign(devices_[member.device].collectives.records[member.communicator].size(),
                        kUnknown);
      records += wait_ns[i].size();
    }
    if (group.is_whole()) {
      for (const MatchedSet* set : sets) MeasureSet(group, *set, wait_ns, waits);
      FindTypical(sets, waits);
    }
    for (size_t i = 0; i < group.members.size(); ++i) Sum(group.members[i], wait_ns[i], waits);
    waits.is_known = records > 0 && waits.intervals > 0 && waits.intervals_unknown == 0;
    result_.groups.push_back(std::move(waits));
  }

  // Uncertainty of the members' clocks against each other; nullopt if they cannot be compared.
  std::optional<int64_t> ClockError(const MatchedSet& set) const {
    int64_t error_ns = 0;
    const uint32_t component = clocks_.devices[set.members[0].device].component;
    for (const Member& member : set.members) {
      const DeviceClock& clock = clocks_.devices[member.device];
      if (clock.component != component) return std::nullopt;
      error_ns = std::max(error_ns, clock.residual_ns.value_or(0));
    }
    return error_ns;
  }

  void MeasureSet(const Group& group, const MatchedSet& set,
                  std::vector<std::vector<int64_t>>& wait_ns, GroupWaits& waits) {
    const size_t count = set.members.size();
    std::vector<size_t> place;  // of the set's members in the group
    for (const Member& member : set.members) {
      const auto found =
          std::find_if(group.members.begin(), group.members.end(), [&](const Member& other) {
            return other.device == member.device && other.communicator == member.communicator;
          });
      place.push_back(static_cast<size_t>(found - group.members.begin()));
    }
    const std::optional<int64_t> error_ns = ClockError(set);
    std::vector<int64_t> begins_ns(count);
    for (size_t row = 0; row < set.size(); ++row) {
      const uint32_t* records = set.records.data() + row * count;
      int64_t shortest_ns = std::numeric_limits<int64_t>::max();
      for (size_t i = 0; i < count; ++i) {
        const CollectiveRecord& record = RecordOf(set.members[i], records[i]);
        begins_ns[i] = clocks_.devices[set.members[i].device].Aligned(record.begin_ns);
        shortest_ns = std::min(shortest_ns, Duration(record));
      }
      const bool has_clocks = error_ns.has_value() && (!options_.may_drop_clocks ||
                                                       *error_ns * kClockMargin <= shortest_ns);
      if (!has_clocks) {
        for (size_t i = 0; i < count; ++i) {
          Raise(wait_ns[place[i]][records[i]],
                Duration(RecordOf(set.members[i], records[i])) - shortest_ns);
        }
        waits.intervals_without_clocks += count;
      } else {
        for (size_t i = 0; i < count; ++i) {
          Raise(wait_ns[place[i]][records[i]],
                std::clamp<int64_t>(WaitedFor(set, records, begins_ns, i) - begins_ns[i], 0,
                                    Duration(RecordOf(set.members[i], records[i]))));
        }
      }
      if (error_ns.has_value()) CreditLast(set, records, begins_ns);
      // Who is last shows well before waiting is measured well.
      if (!set.is_pair && error_ns.has_value()) {
        FindLast(set, records, begins_ns, *error_ns, place, waits);
      }
    }
  }

  // Who waits for whom, messages too: what leads from one late rank to the one that made it late.
  void CreditLast(const MatchedSet& set, const uint32_t* records,
                  const std::vector<int64_t>& begins_ns) {
    const auto last = std::max_element(begins_ns.begin(), begins_ns.end());
    const uint32_t culprit = set.members[static_cast<size_t>(last - begins_ns.begin())].device;
    for (size_t i = 0; i < begins_ns.size(); ++i) {
      const uint32_t victim = set.members[i].device;
      if (victim == culprit) continue;
      result_.blames[victim].waited_ns[culprit] += std::clamp<int64_t>(
          *last - begins_ns[i], 0, Duration(RecordOf(set.members[i], records[i])));
    }
  }

  // The shortest member's time after the last has begun is what the transfer itself takes.
  void FindTypical(const std::vector<const MatchedSet*>& sets, GroupWaits& waits) const {
    std::map<uint64_t, uint64_t> calls_by_size;
    for (const MatchedSet* set : sets) {
      for (size_t row = 0; row < set->size(); ++row) {
        const uint32_t* records = set->records.data() + row * set->members.size();
        if (RecordOf(set->members[0], records[0]).shares_interval != 0) continue;
        ++calls_by_size[SignatureOf(set->members[0], records[0]).bytes.value_or(0)];
      }
    }
    uint64_t most = 0;
    for (const auto& [bytes, calls] : calls_by_size) most = std::max(most, calls);
    for (const auto& [bytes, calls] : calls_by_size) {
      if (calls * 4 >= most) waits.typical_bytes = bytes;
    }
    std::vector<int64_t> transfers_ns;
    std::vector<int64_t> begins_ns;
    for (const MatchedSet* set : sets) {
      if (!ClockError(*set).has_value()) continue;
      const size_t count = set->members.size();
      for (size_t row = 0; row < set->size(); ++row) {
        const uint32_t* records = set->records.data() + row * count;
        if (SignatureOf(set->members[0], records[0]).bytes.value_or(0) != waits.typical_bytes) {
          continue;
        }
        int64_t last_begin_ns = std::numeric_limits<int64_t>::min();
        int64_t first_end_ns = std::numeric_limits<int64_t>::max();
        for (size_t i = 0; i < count; ++i) {
          const CollectiveRecord& record = RecordOf(set->members[i], records[i]);
          const DeviceClock& clock = clocks_.devices[set->members[i].device];
          last_begin_ns = std::max(last_begin_ns, clock.Aligned(record.begin_ns));
          first_end_ns = std::min(first_end_ns, clock.Aligned(record.end_ns));
        }
        transfers_ns.push_back(first_end_ns - last_begin_ns);
      }
    }
    waits.typical_calls = transfers_ns.size();
    if (!transfers_ns.empty()) waits.typical_transfer_ns = MedianOf(transfers_ns);
  }

  static void Raise(int64_t& wait_ns, int64_t to_ns) { wait_ns = std::max(wait_ns, to_ns); }

  // The aligned instant before which member `i` could not get on.
  int64_t WaitedFor(const MatchedSet& set, const uint32_t* records,
                    const std::vector<int64_t>& begins_ns, size_t i) const {
    const int64_t last_ns = *std::max_element(begins_ns.begin(), begins_ns.end());
    const CollectiveSignature& signature = SignatureOf(set.members[0], records[0]);
    const auto root = std::find_if(set.members.begin(), set.members.end(), [&](const Member& who) {
      return signature.peer >= 0 && who.rank == signature.peer;
    });
    if (set.is_pair || root == set.members.end()) return last_ns;
    const bool is_root = set.members[i].rank == signature.peer;
    switch (signature.kind) {
      case CollectiveKind::kBroadcast:
      case CollectiveKind::kScatter:
        return is_root ? begins_ns[i] : begins_ns[static_cast<size_t>(root - set.members.begin())];
      case CollectiveKind::kReduce:
      case CollectiveKind::kGather:
        return is_root ? last_ns : begins_ns[i];
      default:
        return last_ns;
    }
  }

  void FindLast(const MatchedSet& set, const uint32_t* records,
                const std::vector<int64_t>& begins_ns, int64_t error_ns,
                const std::vector<size_t>& place, GroupWaits& waits) {
    const auto last = std::max_element(begins_ns.begin(), begins_ns.end());
    const auto first = std::min_element(begins_ns.begin(), begins_ns.end());
    if (*last - *first <= error_ns) return;
    const auto who = static_cast<size_t>(last - begins_ns.begin());
    int64_t caused_ns = 0;
    for (size_t i = 0; i < begins_ns.size(); ++i) {
      caused_ns += std::clamp<int64_t>(*last - begins_ns[i], 0,
                                       Duration(RecordOf(set.members[i], records[i])));
    }
    ++waits.contested;
    ++waits.times_last[place[who]];
    waits.caused_ns[place[who]] += caused_ns;
    if (options_.are_peers.empty() || options_.are_peers[set.group]) {
      BlameLast(set, records, who, caused_ns);
    }
  }

  // Where the last one spent more time than its peers since they were together last.
  void BlameLast(const MatchedSet& set, const uint32_t* records, size_t who, int64_t caused_ns) {
    struct Gap {
      int64_t compute_ns, elsewhere_ns, nothing_ns;
    };
    const auto gap_of = [&](size_t i) {
      const CollectiveRecord& record = RecordOf(set.members[i], records[i]);
      const int64_t since_ns = RecordOf(set.members[i], records[i] - 1).end_ns;
      const int64_t whole_ns = std::max<int64_t>(0, record.begin_ns - since_ns);
      return Gap{
          record.compute_before_ns, record.elsewhere_before_ns,
          std::max<int64_t>(0, whole_ns - record.compute_before_ns - record.elsewhere_before_ns)};
    };
    for (size_t i = 0; i < set.members.size(); ++i) {
      if (records[i] == 0) return;
    }
    std::vector<int64_t> compute_ns;
    std::vector<int64_t> elsewhere_ns;
    std::vector<int64_t> nothing_ns;
    for (size_t i = 0; i < set.members.size(); ++i) {
      if (i == who) continue;
      const Gap gap = gap_of(i);
      compute_ns.push_back(gap.compute_ns);
      elsewhere_ns.push_back(gap.elsewhere_ns);
      nothing_ns.push_back(gap.nothing_ns);
    }
    if (compute_ns.empty()) return;
    const Gap own = gap_of(who);
    const int64_t compute_more_ns = own.compute_ns - MedianOf(compute_ns);
    const int64_t elsewhere_more_ns = own.elsewhere_ns - MedianOf(elsewhere_ns);
    const int64_t nothing_more_ns = own.nothing_ns - MedianOf(nothing_ns);
    const int64_t most_ns = std::max({compute_more_ns, elsewhere_more_ns, nothing_more_ns});
    if (most_ns <= 0) return;
    Causes causes;
    (most_ns == compute_more_ns   ? causes.compute_ns
     : most_ns == nothing_more_ns ? causes.host_ns
                                  : causes.elsewhere_ns) = caused_ns;
    const uint32_t device = set.members[who].device;
    Blame& blame = result_.blames[device];
    ++blame.times;
    blame.all += causes;
    const std::vector<int64_t>& borders_ns = borders_ns_[device];
    const auto piece =
        static_cast<size_t>(std::upper_bound(borders_ns.begin(), borders_ns.end(),
                                             RecordOf(set.members[who], records[who]).begin_ns) -
                            borders_ns.begin());
    blame.steps.resize(borders_ns.size() / 2);
    // What comes between two steps belongs to the one before.
    if (piece > 0) blame.steps[(piece - 1) / 2] += causes;
  }

  // Interval by interval of one member: records that share one count once.
  void Sum(const Member& member, const std::vector<int64_t>& wait_ns, GroupWaits& waits) {
    DeviceSummary& device = devices_[member.device];
    const std::vector<CollectiveRecord>& records = device.collectives.records[member.communicator];
    CommunicatorWaits& own = device.waits[member.communicator];
    own.is_known = !records.empty();
    for (size_t k = 0; k < records.size();) {
      int64_t interval_wait_ns = wait_ns[k];
      bool is_known = wait_ns[k] != kUnknown;
      absl::uint128 bus_bytes = BusBytes(device, records[k]);
      size_t next = k + 1;
      for (; next < records.size() && records[next].shares_interval != 0; ++next) {
        is_known = is_known && wait_ns[next] != kUnknown;
        interval_wait_ns = std::max(interval_wait_ns, wait_ns[next]);
        bus_bytes += BusBytes(device, records[next]);
      }
      ++waits.intervals;
      if (!is_known) {
        ++waits.intervals_unknown;
        own.is_known = false;
      } else {
        const int64_t transfer_ns = Duration(records[k]) - interval_wait_ns;
        own.wait_ns += interval_wait_ns;
        own.transfer_ns += transfer_ns;
        waits.wait_ns += interval_wait_ns;
        waits.transfer_ns += transfer_ns;
        waits.transfer_bus_bytes += bus_bytes;
        Expose(member, records[k], interval_wait_ns);
      }
      k = next;
    }
  }

  static absl::uint128 BusBytes(const DeviceSummary& device, const CollectiveRecord& record) {
    return device.collectives.signatures[record.signature].bus_bytes.value_or(0);
  }

  // Adds the exposed part of an interval, and of its waiting, to the pieces of the run.
  void Expose(const Member& member, const CollectiveRecord& record, int64_t wait_ns) {
    DeviceSummary& device = devices_[member.device];
    const ExposedTime& exposed = device.collectives.exposed[member.communicator];
    const std::vector<int64_t>& borders_ns = borders_ns_[member.device];
    const size_t communicators = device.communicators.size() + 1;
    const int64_t last_ns = record.begin_ns + wait_ns;
    auto border = std::upper_bound(borders_ns.begin(), borders_ns.end(), record.begin_ns);
    for (int64_t at_ns = record.begin_ns; at_ns < record.end_ns; ++border) {
      const int64_t stop_ns =
          border == borders_ns.end() ? record.end_ns : std::min(record.end_ns, *border);
      const auto piece = static_cast<size_t>(border - borders_ns.begin());
      AddTo(device.exposed.matched_ns, piece, member.communicator, communicators,
            exposed.Within(at_ns, stop_ns));
      AddTo(device.exposed.wait_ns, piece, member.communicator, communicators,
            exposed.Within(at_ns, std::min(stop_ns, last_ns)));
      at_ns = stop_ns;
      if (border == borders_ns.end()) break;
    }
  }

  std::span<DeviceSummary> devices_;
  const MatchResult& match_;
  const Clocks& clocks_;
  const WaitOptions& options_;
  std::vector<std::vector<int64_t>> borders_ns_;
  WaitResult result_;
};

}  // namespace

WaitResult MeasureWaits(std::span<DeviceSummary> devices, const MatchResult& match,
                        const Clocks& clocks, const WaitOptions& options) {
  return Measurer(devices, match, clocks, options).Measure();
}

}  // namespace mfutrace::report
