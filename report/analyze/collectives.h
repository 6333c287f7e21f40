// What of a timeline's collectives outlives it: 32 bytes for each, for everything that needs
// several ranks at once (clocks, waiting, stragglers, strategies).
//
// Which part of a collective was waiting is known only once all ranks are there, and whether that
// part was exposed only while the timeline is. So the exposed time of each communicator is kept as
// a function of time too, in as few pieces as there are stretches of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "report/analyze/intervals.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

// What ranks must agree on for two records to be the same collective, and what peers need.
struct CollectiveSignature {
  uint32_t communicator = kNoIndex;  // of this device
  shapes::CollectiveKind kind = shapes::CollectiveKind::kUnknown;
  int32_t peer = -1;  // rank in the communicator
  std::optional<uint64_t> bytes;
  std::optional<uint64_t> bus_bytes;
};

struct CollectiveRecord {
  int64_t begin_ns = 0;  // on the device's clock
  int64_t end_ns = 0;
  uint32_t sequence = 0;
  uint32_t signature : 31 = 0;
  uint32_t shares_interval : 1 = 0;  // of the record before: calls of one group are timed as one
  // Since the previous end on the same communicator, saturating: how long the device computed, and
  // how long it communicated elsewhere without computing. The rest of that gap it did nothing.
  uint32_t compute_before_ns = 0;
  uint32_t elsewhere_before_ns = 0;
};
static_assert(sizeof(CollectiveRecord) == 32);

// Exposed time of one communicator (its share of it) up to any instant.
class ExposedTime {
 public:
  struct Piece {
    int64_t begin_ns;
    int64_t end_ns;
    int64_t before_ns;  // exposed before it began
  };

  void Append(const Interval& stretch, int64_t shared_ns);
  // Never more than `pieces`; inside a merged piece exposed time is spread evenly.
  void Limit(size_t pieces);
  int64_t Within(int64_t begin_ns, int64_t end_ns) const;
  int64_t total_ns() const { return total_ns_; }
  size_t piece_count() const { return pieces_.size(); }
  // All there is of it, for files of summaries.
  std::pair<std::vector<Piece>, int64_t> Parts() const { return {pieces_, total_ns_}; }
  void SetParts(std::vector<Piece> pieces, int64_t total_ns) {
    pieces_ = std::move(pieces);
    total_ns_ = total_ns;
  }

 private:
  int64_t Until(int64_t time_ns) const;

  std::vector<Piece> pieces_;
  int64_t total_ns_ = 0;
};

struct DeviceCollectives {
  std::vector<CollectiveSignature> signatures;
  std::vector<std::vector<CollectiveRecord>> records;  // by communicator, in the order of calls
  std::vector<ExposedTime> exposed;                    // by communicator, then those without one
};

// Collects while the sweep goes by; Take afterwards.
class CollectiveCollector : public SweepVisitor {
 public:
  explicit CollectiveCollector(const Timeline& timeline);
  void OnStretch(const Interval& stretch, bool is_compute, std::span<const uint32_t> active,
                 std::span<const int64_t> shared_ns) override;
  DeviceCollectives Take();

 private:
  struct Moment {
    int64_t time_ns;
    int64_t compute_ns;  // until then
    int64_t exposed_ns;
  };
  void Reach(int64_t time_ns);
  const Moment& At(int64_t time_ns) const;

  DeviceCollectives collectives_;
  std::vector<Moment> moments_;  // begins and ends of collectives, ascending
  size_t next_ = 0;
  int64_t compute_ns_ = 0;
  int64_t exposed_ns_ = 0;
};

}  // namespace mfutrace::report
