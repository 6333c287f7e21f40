// Waiting and transfer: a collective can only finish once its last member has begun. Before that it
// waits, afterwards it transfers.
//
//   wait = aligned begin of the last member - own begin, at least 0, at most the duration
//   transfer = duration - wait
//
// For a broadcast the root is who is waited for, for a reduction the root waits; of a message each
// side waits for the other. Where clocks are less certain than a tenth of the shortest member's
// duration, that duration is taken for the transfer of all: it needs no clocks. Calls of one group
// are one interval and wait for the last of all their counterparts. Collectives without a complete
// set of members in the report stay unknown.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "report/analyze/clocks.h"
#include "report/analyze/match.h"
#include "report/analyze/summary.h"

namespace mfutrace::report {

struct GroupWaits {
  std::string key;
  bool is_known = false;
  int64_t wait_ns = 0;  // over ranks
  int64_t transfer_ns = 0;
  absl::uint128 transfer_bus_bytes = 0;  // moved in that time
  uint64_t intervals = 0;                // over ranks
  uint64_t intervals_unknown = 0;
  uint64_t intervals_without_clocks = 0;
  // By member, over collectives that everybody joins: how often it began last by more than the
  // clocks' error, how long the others waited for it then, and by how much it came after the one
  // before it.
  std::vector<int32_t> world_ranks;
  std::vector<uint64_t> times_last;
  std::vector<int64_t> caused_ns;
  uint64_t contested = 0;  // collectives of which somebody was last
  // Of the largest of its most frequent collectives: the median transfer, and how much that is.
  uint64_t typical_bytes = 0;
  uint64_t typical_calls = 0;
  int64_t typical_transfer_ns = 0;
};

// What a device did, more than its peers, before it came last: waiting of others, by cause.
struct Causes {
  int64_t compute_ns = 0;
  int64_t host_ns = 0;       // nothing ran
  int64_t elsewhere_ns = 0;  // in other communicators

  int64_t sum_ns() const { return compute_ns + host_ns + elsewhere_ns; }
  Causes& operator+=(const Causes& other) {
    compute_ns += other.compute_ns;
    host_ns += other.host_ns;
    elsewhere_ns += other.elsewhere_ns;
    return *this;
  }
};

struct Blame {
  uint64_t times = 0;
  Causes all;
  std::vector<Causes> steps;              // by step of the device
  std::map<uint32_t, int64_t> waited_ns;  // for other devices, by device
};

struct WaitOptions {
  bool may_drop_clocks = true;  // false: clocks are used however uncertain they are
  // By group: members do the same work, so that the last one is to blame; empty: all.
  std::vector<bool> are_peers = {};
};

struct WaitResult {
  std::vector<GroupWaits> groups;  // as MatchResult::groups
  std::vector<Blame> blames;       // by device
};

// Also fills DeviceSummary::waits of each device.
WaitResult MeasureWaits(std::span<DeviceSummary> devices, const MatchResult& match,
                        const Clocks& clocks, const WaitOptions& options = {});

}  // namespace mfutrace::report
