// The sample of a run laid out as tracks, whatever the format they are written in: what Perfetto's
// and Chrome's writers share.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "report/analyze/results.h"

namespace mfutrace::report {

struct Tracks {
  struct Step {
    std::string name;
    Interval time;
    std::optional<double> mfu_percent;
    std::optional<double> exposed_percent;
  };
  struct Work {
    Interval time;
    const std::string* name = nullptr;  // into the result
    uint64_t flow = 0;                  // the same on a host call and its GPU work; 0 = none
    uint64_t collective = 0;            // the same on all ranks
  };
  struct Rank {
    std::string name;  // "rank 0"
    std::string description;
    std::vector<Step> steps;
    std::map<std::string, std::vector<Work>> streams;
    std::vector<Interval> exposed;
    std::vector<Work> host_calls;
  };
  std::vector<Rank> ranks;
};

// Times are moved so that the first one is 0 where they would be negative.
Tracks TracksOf(const RunResult& result);

}  // namespace mfutrace::report
