// A few steps with all their work, kept of every timeline while it is there: what the timelines of
// HTML pages and of Perfetto show. Bounded by steps and by works a device.
//
// The steps are chosen by the first timeline that has some: around the one of median duration after
// its warm-up. All others give the steps of the same numbers.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "report/analyze/clocks.h"
#include "report/analyze/results.h"
#include "report/analyze/summary.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

struct SampleRequest {
  uint32_t steps = 0;          // 0 = no sample at all
  bool has_works = false;      // every piece of work, not only lanes
  size_t max_works = 200'000;  // of a device
};

class Sampler {
 public:
  explicit Sampler(const SampleRequest& request) : request_(request) {}

  // `summary` is of this timeline. One entry for each call, in order.
  void Add(const Timeline& timeline, const DeviceSummary& summary);

  // For `devices` in this order (found again by path and device ordinal); on the common clock if
  // `clocks` connects all of them.
  Sample Finish(std::span<const DeviceSummary> devices, const Clocks& clocks);

 private:
  struct Range {
    uint32_t first = 0;
    uint32_t middle = 0;
    uint32_t last = 0;
  };
  uint32_t Label(const std::string& text);
  void AddWorks(const Timeline& timeline, const Interval& window, SampledDevice& device);

  SampleRequest request_;
  std::optional<Range> range_;
  Sample sample_;
  absl::flat_hash_map<std::string, uint32_t> labels_;
  std::vector<std::pair<std::string, int32_t>> keys_;  // path and ordinal of sample_.devices
};

}  // namespace mfutrace::report
