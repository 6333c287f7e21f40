// Which records of different ranks are one collective.
//
// Sequence numbers count a communicator's calls from 1 in every process, so that a lost record
// leaves a gap and nothing shifts; operation and size must agree as well. Sends and receives count
// too, and differently on every rank: where a communicator has them, collectives are matched by
// their order among collectives, and a send with its peer's receive by their order in the pair.
// That bears no loss. Sources without sequence numbers are matched by order and bear none either.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "report/analyze/summary.h"

namespace mfutrace::report {

struct Member {
  uint32_t device = 0;        // into the devices
  uint32_t communicator = 0;  // into that device's communicators
  int32_t rank = -1;          // in the communicator; -1 = unknown
};

struct MatchedSet {
  uint32_t group = 0;  // into MatchResult::groups
  std::vector<Member> members;
  // Collective after collective, for each member its record:
  // DeviceCollectives::records[communicator].
  std::vector<uint32_t> records;
  bool is_pair = false;  // sends of members[0] with receives of members[1]

  size_t size() const { return members.empty() ? 0 : records.size() / members.size(); }
};

struct Group {
  std::string key;  // the same for all members, different for all other groups
  std::vector<Member> members;
  uint32_t size = 0;       // ranks it has, in the report or not; 0 = unknown
  uint64_t matched = 0;    // collectives, and messages
  uint64_t unmatched = 0;  // records without a counterpart
  std::string refusal;     // why nothing of it is matched; empty = it is
  bool is_whole() const { return size == 0 || members.size() == size; }
};

struct MatchResult {
  std::vector<Group> groups;  // ordered by key
  std::vector<MatchedSet> sets;
};

// Identifies a communicator over all files: its id, and its ranks where the id is a process's own.
std::string KeyOf(const Communicator& communicator);

MatchResult MatchCollectives(std::span<const DeviceSummary> devices);

}  // namespace mfutrace::report
