// Records of collectives and what surrounds them.
#include "report/analyze/collectives.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

namespace mfutrace::report {
namespace {

constexpr size_t kMinPieces = 4096;
constexpr size_t kPiecesARecord = 2;

uint32_t Saturated(int64_t ns) {
  return static_cast<uint32_t>(std::clamp<int64_t>(ns, 0, std::numeric_limits<uint32_t>::max()));
}

// Other tools tell no sequence number; on a communicator collectives run one after another.
void NumberByTime(std::vector<CollectiveRecord>& records) {
  std::stable_sort(
      records.begin(), records.end(),
      [](const CollectiveRecord& a, const CollectiveRecord& b) { return a.begin_ns < b.begin_ns; });
  for (size_t i = 0; i < records.size(); ++i) records[i].sequence = static_cast<uint32_t>(i) + 1;
}

}  // namespace

void ExposedTime::Append(const Interval& stretch, int64_t shared_ns) {
  if (shared_ns <= 0) return;
  if (!pieces_.empty()) {
    Piece& last = pieces_.back();
    const bool is_last_whole = total_ns_ - last.before_ns == last.end_ns - last.begin_ns;
    const bool is_whole = shared_ns == stretch.end_ns - stretch.begin_ns;
    if (is_last_whole && is_whole && last.end_ns == stretch.begin_ns) {
      last.end_ns = stretch.end_ns;
      total_ns_ += shared_ns;
      return;
    }
  }
  pieces_.push_back({stretch.begin_ns, stretch.end_ns, total_ns_});
  total_ns_ += shared_ns;
}

void ExposedTime::Limit(size_t pieces) {
  while (pieces_.size() > std::max<size_t>(pieces, 1)) {
    size_t kept = 0;
    for (size_t i = 0; i < pieces_.size(); i += 2) {
      Piece merged = pieces_[i];
      if (i + 1 < pieces_.size()) merged.end_ns = pieces_[i + 1].end_ns;
      pieces_[kept++] = merged;
    }
    pieces_.resize(kept);
  }
}

int64_t ExposedTime::Until(int64_t time_ns) const {
  const auto after =
      std::upper_bound(pieces_.begin(), pieces_.end(), time_ns,
                       [](int64_t time, const Piece& piece) { return time < piece.begin_ns; });
  if (after == pieces_.begin()) return 0;
  const int64_t next_ns = after == pieces_.end() ? total_ns_ : after->before_ns;
  const Piece& piece = *(after - 1);
  if (time_ns >= piece.end_ns) return next_ns;
  const absl::int128 part = absl::int128(next_ns - piece.before_ns) * (time_ns - piece.begin_ns) /
                            (piece.end_ns - piece.begin_ns);
  return piece.before_ns + static_cast<int64_t>(part);
}

int64_t ExposedTime::Within(int64_t begin_ns, int64_t end_ns) const {
  return end_ns <= begin_ns ? 0 : Until(end_ns) - Until(begin_ns);
}

CollectiveCollector::CollectiveCollector(const Timeline& timeline) {
  const size_t count = timeline.communicators.size();
  collectives_.records.resize(count);
  collectives_.exposed.resize(count + 1);
  std::vector<uint32_t> signature_of(timeline.ops.size(), kNoIndex);
  std::vector<uint32_t> last_work(count, kNoIndex);
  for (const OpCall& call : timeline.calls) {
    if (call.is_captured || call.op >= timeline.ops.size()) continue;
    const Op& op = timeline.ops[call.op];
    if (op.kind != shapes::OpKind::kCollective || op.communicator >= count) continue;
    if (call.work >= timeline.works.size()) continue;
    const Work& work = timeline.works[call.work];
    if (signature_of[call.op] == kNoIndex) {
      signature_of[call.op] = static_cast<uint32_t>(collectives_.signatures.size());
      collectives_.signatures.push_back(
          {op.communicator, op.collective, op.peer, op.algorithm_bytes, op.bus_bytes});
    }
    CollectiveRecord record;
    record.begin_ns = work.time.begin_ns;
    record.end_ns = std::max(work.time.begin_ns, work.time.end_ns);
    record.sequence = call.sequence;
    record.signature = signature_of[call.op] & 0x7fffffffu;
    record.shares_interval = last_work[op.communicator] == call.work ? 1 : 0;
    last_work[op.communicator] = call.work;
    collectives_.records[op.communicator].push_back(record);
    if (record.shares_interval != 0) continue;
    moments_.push_back({record.begin_ns, 0, 0});
    moments_.push_back({record.end_ns, 0, 0});
  }
  const auto by_sequence = [](const CollectiveRecord& a, const CollectiveRecord& b) {
    return a.sequence < b.sequence;
  };
  for (std::vector<CollectiveRecord>& records : collectives_.records) {
    if (timeline.source != SourceKind::kNative) {
      NumberByTime(records);
      continue;
    }
    if (!std::is_sorted(records.begin(), records.end(), by_sequence)) {
      std::stable_sort(records.begin(), records.end(), by_sequence);
    }
  }
  const auto by_time = [](const Moment& a, const Moment& b) { return a.time_ns < b.time_ns; };
  std::sort(moments_.begin(), moments_.end(), by_time);
  moments_.erase(
      std::unique(moments_.begin(), moments_.end(),
                  [](const Moment& a, const Moment& b) { return a.time_ns == b.time_ns; }),
      moments_.end());
}

void CollectiveCollector::Reach(int64_t time_ns) {
  for (; next_ < moments_.size() && moments_[next_].time_ns <= time_ns; ++next_) {
    moments_[next_].compute_ns = compute_ns_;
    moments_[next_].exposed_ns = exposed_ns_;
  }
}

void CollectiveCollector::OnStretch(const Interval& stretch, bool is_compute,
                                    std::span<const uint32_t> active,
                                    std::span<const int64_t> shared_ns) {
  Reach(stretch.begin_ns);
  if (is_compute) {
    compute_ns_ += stretch.end_ns - stretch.begin_ns;
  } else if (!active.empty()) {
    exposed_ns_ += stretch.end_ns - stretch.begin_ns;
    for (size_t i = 0; i < active.size(); ++i) {
      collectives_.exposed[active[i]].Append(stretch, shared_ns[i]);
    }
  }
}

const CollectiveCollector::Moment& CollectiveCollector::At(int64_t time_ns) const {
  return *std::lower_bound(
      moments_.begin(), moments_.end(), time_ns,
      [](const Moment& moment, int64_t time) { return moment.time_ns < time; });
}

DeviceCollectives CollectiveCollector::Take() {
  Reach(std::numeric_limits<int64_t>::max());
  for (size_t i = 0; i < collectives_.records.size(); ++i) {
    std::vector<CollectiveRecord>& records = collectives_.records[i];
    records.shrink_to_fit();
    collectives_.exposed[i].Limit(std::max(kMinPieces, kPiecesARecord * records.size()));
    for (size_t k = 1; k < records.size(); ++k) {
      if (records[k].begin_ns <= records[k - 1].end_ns) continue;
      const Moment& from = At(records[k - 1].end_ns);
      const Moment& to = At(records[k].begin_ns);
      records[k].compute_before_ns = Saturated(to.compute_ns - from.compute_ns);
      records[k].elsewhere_before_ns = Saturated(to.exposed_ns - from.exposed_ns);
    }
  }
  collectives_.exposed.back().Limit(kMinPieces);
  return std::move(collectives_);
}

}  // namespace mfutrace::report
