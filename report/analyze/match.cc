// Matching by sequence number, by order, and in pairs.
#include "report/analyze/match.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace mfutrace::report {
namespace {

// Of the collectives that could be compared, how many may differ in operation or size before the
// sequences are taken for different ones.
constexpr double kMaxMismatch = 0.02;

bool IsMessage(shapes::CollectiveKind kind) {
  return kind == shapes::CollectiveKind::kSend || kind == shapes::CollectiveKind::kRecv;
}

class Matcher {
 public:
  Matcher(std::span<const DeviceSummary> devices, MatchResult& result)
      : devices_(devices), result_(result) {}

  void Match(uint32_t group_index) {
    Group& group = result_.groups[group_index];
    group_ = group_index;
    for (const Member& member : group.members) {
      if (RecordsOf(member).empty()) continue;
      if (group.size > 0 && group.members.size() > group.size) {
        group.refusal =
            absl::StrCat(group.members.size(), " devices say they are in it, it has ", group.size);
        return;
      }
    }
    bool has_messages = false;
    bool is_native = true;
    for (const Member& member : group.members) {
      is_native = is_native && devices_[member.device].source == SourceKind::kNative;
      for (const CollectiveSignature& signature : devices_[member.device].collectives.signatures) {
        if (signature.communicator != member.communicator) continue;
        has_messages = has_messages || (IsMessage(signature.kind) && signature.peer >= 0);
      }
    }
    if (has_messages || !is_native) {
      MatchByOrder(group);
    } else {
      MatchBySequence(group);
    }
    if (has_messages) MatchMessages(group);
  }

 private:
  using Records = std::vector<CollectiveRecord>;

  const Records& RecordsOf(const Member& member) const {
    return devices_[member.device].collectives.records[member.communicator];
  }
  const CollectiveSignature& SignatureOf(const Member& member, uint32_t record) const {
    return devices_[member.device].collectives.signatures[RecordsOf(member)[record].signature];
  }
  bool Agree(const std::vector<Member>& members, const std::vector<uint32_t>& records) const {
    const CollectiveSignature& first = SignatureOf(members[0], records[0]);
    for (size_t i = 1; i < members.size(); ++i) {
      const CollectiveSignature& other = SignatureOf(members[i], records[i]);
      if (other.kind != first.kind || other.bytes != first.bytes) return false;
    }
    return true;
  }

  // Adds the set if enough of the `compared` collectives agreed to be in it.
  void AddSet(Group& group, MatchedSet set, uint64_t compared, uint64_t unmatched) {
    const uint64_t mismatched = compared - set.size();
    group.unmatched += unmatched + mismatched * set.members.size();
    if (compared > 0 && static_cast<double>(mismatched) >
                            std::max(0.5, kMaxMismatch * static_cast<double>(compared))) {
      group.refusal = absl::StrCat(mismatched, " of ", compared,
                                   " collectives differ between ranks in operation or size");
      group.unmatched += set.records.size();
      return;
    }
    group.matched += set.size();
    if (set.size() > 0) result_.sets.push_back(std::move(set));
  }

  void MatchBySequence(Group& group) {
    MatchedSet set;
    set.group = group_;
    set.members = group.members;
    const size_t count = set.members.size();
    if (count < 2) return;
    std::vector<uint32_t> at(count, 0);
    uint64_t compared = 0;
    uint64_t unmatched = 0;
    while (true) {
      uint32_t highest = 0;
      bool is_done = false;
      for (size_t i = 0; i < count; ++i) {
        const Records& records = RecordsOf(set.members[i]);
        if (at[i] >= records.size()) {
          is_done = true;
          break;
        }
        highest = std::max(highest, records[at[i]].sequence);
      }
      if (is_done) break;
      bool is_same = true;
      for (size_t i = 0; i < count; ++i) {
        const Records& records = RecordsOf(set.members[i]);
        for (; at[i] < records.size() && records[at[i]].sequence < highest; ++at[i]) {
          ++unmatched;
          is_same = false;
        }
        is_same = is_same && at[i] < records.size() && records[at[i]].sequence == highest;
      }
      if (!is_same) continue;
      ++compared;
      if (Agree(set.members, at)) set.records.insert(set.records.end(), at.begin(), at.end());
      for (uint32_t& index : at) ++index;
    }
    for (size_t i = 0; i < count; ++i) unmatched += RecordsOf(set.members[i]).size() - at[i];
    AddSet(group, std::move(set), compared, unmatched);
  }

  void MatchByOrder(Group& group) {
    MatchedSet set;
    set.group = group_;
    set.members = group.members;
    const size_t count = set.members.size();
    if (count < 2) return;
    std::vector<std::vector<uint32_t>> lists(count);
    uint64_t total = 0;
    for (size_t i = 0; i < count; ++i) {
      const Records& records = RecordsOf(set.members[i]);
      for (uint32_t k = 0; k < records.size(); ++k) {
        const CollectiveSignature& signature = SignatureOf(set.members[i], k);
        if (IsMessage(signature.kind) && signature.peer >= 0) continue;
        lists[i].push_back(k);
      }
      total += lists[i].size();
    }
    const auto [least, most] =
        std::minmax_element(lists.begin(), lists.end(),
                            [](const auto& a, const auto& b) { return a.size() < b.size(); });
    if (least->size() != most->size()) {
      group.unmatched += total;
      group.refusal =
          absl::StrCat("ranks recorded different numbers of collectives (", least->size(), " to ",
                       most->size(), "), and nothing tells which ones are missing");
      return;
    }
    std::vector<uint32_t> at(count);
    for (size_t k = 0; k < least->size(); ++k) {
      for (size_t i = 0; i < count; ++i) at[i] = lists[i][k];
      if (Agree(set.members, at)) set.records.insert(set.records.end(), at.begin(), at.end());
    }
    AddSet(group, std::move(set), least->size(), 0);
  }

  void MatchMessages(Group& group) {
    // From (member, peer's rank): records in order.
    std::map<std::pair<int32_t, int32_t>, std::vector<uint32_t>> sends;
    std::map<std::pair<int32_t, int32_t>, std::vector<uint32_t>> receives;  // by (from, to)
    std::map<int32_t, Member> member_of;
    for (const Member& member : group.members) {
      member_of[member.rank] = member;
      const Records& records = RecordsOf(member);
      for (uint32_t k = 0; k < records.size(); ++k) {
        const CollectiveSignature& signature = SignatureOf(member, k);
        if (signature.peer < 0) continue;
        if (signature.kind == shapes::CollectiveKind::kSend) {
          sends[{member.rank, signature.peer}].push_back(k);
        } else if (signature.kind == shapes::CollectiveKind::kRecv) {
          receives[{signature.peer, member.rank}].push_back(k);
        }
      }
    }
    for (const auto& [pair, sent] : sends) {
      const auto received = receives.find(pair);
      if (received == receives.end() || !member_of.contains(pair.first) ||
          !member_of.contains(pair.second)) {
        group.unmatched += sent.size();
        continue;
      }
      if (sent.size() != received->second.size()) {
        group.unmatched += sent.size() + received->second.size();
        group.refusal =
            absl::StrCat("rank ", pair.first, " recorded ", sent.size(), " sends to rank ",
                         pair.second, ", which recorded ", received->second.size(), " receives");
        continue;
      }
      MatchedSet set;
      set.group = group_;
      set.is_pair = true;
      set.members = {member_of[pair.first], member_of[pair.second]};
      for (size_t k = 0; k < sent.size(); ++k) {
        const uint32_t send = sent[k];
        const uint32_t receive = received->second[k];
        if (SignatureOf(set.members[0], send).bytes != SignatureOf(set.members[1], receive).bytes) {
          continue;
        }
        set.records.insert(set.records.end(), {send, receive});
      }
      AddSet(group, std::move(set), sent.size(), 0);
    }
    for (const auto& [pair, received] : receives) {
      if (!sends.contains(pair)) group.unmatched += received.size();
    }
  }

  std::span<const DeviceSummary> devices_;
  MatchResult& result_;
  uint32_t group_ = 0;
};

}  // namespace

std::string KeyOf(const Communicator& communicator) {
  if (communicator.ranks.empty()) return communicator.id;
  return absl::StrCat(communicator.id, "|", absl::StrJoin(communicator.ranks, ","));
}

MatchResult MatchCollectives(std::span<const DeviceSummary> devices) {
  MatchResult result;
  std::map<std::string, Group> groups;
  for (uint32_t d = 0; d < devices.size(); ++d) {
    for (uint32_t c = 0; c < devices[d].communicators.size(); ++c) {
      const Communicator& communicator = devices[d].communicators[c];
      Group& group = groups[KeyOf(communicator)];
      group.key = KeyOf(communicator);
      group.size = std::max(group.size, communicator.size);
      group.members.push_back({d, c, communicator.rank});
    }
  }
  for (auto& [key, group] : groups) {
    std::stable_sort(group.members.begin(), group.members.end(),
                     [](const Member& a, const Member& b) { return a.rank < b.rank; });
    result.groups.push_back(std::move(group));
  }
  Matcher matcher(devices, result);
  for (uint32_t i = 0; i < result.groups.size(); ++i) matcher.Match(i);
  return result;
}

}  // namespace mfutrace::report
