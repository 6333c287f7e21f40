// What a native trace says of the windows in which calls were recorded, and of the library's own
// cost. Called by load.cc.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "report/model/timeline.h"
#include "trace/format.h"

namespace mfutrace::report {

struct RecordingWindow {
  trace::WindowRecord opened;
  std::optional<trace::WindowRecord> closed;  // nullopt: open until the end of the file
};

// All but what belongs to a device. `end_ns` is the last instant that the file tells of.
Sampling SamplingOf(const std::vector<RecordingWindow>& windows, int64_t start_ns, int64_t end_ns);

// The windows on the device's clock: of each, from the first to the last work of its calls. Work of
// no call is cut off at them, since nobody saw what ran beside it.
void PlaceWindows(Timeline& timeline);

// Takes what is no counter of losses out of the health counters.
OwnCost TakeOwnCost(std::map<std::string, uint64_t>& counters);

// "2026-12-01 05:14:40 UTC".
std::string UtcText(int64_t realtime_ns);

}  // namespace mfutrace::report
