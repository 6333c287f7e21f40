// What the import tests compare with: figures of real traces, and a sweep of the tests' own.
//
// The reference files are not part of the project; a test that misses them skips and says so.
#pragma once

#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "report/model/timeline.h"

namespace mfutrace::report {

inline std::string TracePath(const std::string& name) {
  return std::string(MFU_SHARED_DIR) + "/traces/" + name;
}

// False if the file is missing.
inline bool LoadReference(const std::string& path, rapidjson::Document* document) {
  std::ifstream file(path);
  if (!file) return false;
  std::stringstream text;
  text << file.rdbuf();
  document->Parse(text.str().c_str());
  return !document->HasParseError();
}

// Lengths of the eight states (in compute, in communication, in copy), by counting how many
// intervals of each class are open between neighbouring edges.
struct StateSweep {
  int64_t window_ns = 0;
  int64_t state_ns[8] = {};  // bit 0 compute, bit 1 communication, bit 2 copy

  int64_t Sum(bool (*is_counted)(bool c, bool n, bool m)) const {
    int64_t sum_ns = 0;
    for (int state = 0; state < 8; ++state) {
      if (is_counted((state & 1) != 0, (state & 2) != 0, (state & 4) != 0)) {
        sum_ns += state_ns[state];
      }
    }
    return sum_ns;
  }
};

inline StateSweep SweepOf(const std::vector<Work>& works) {
  std::map<int64_t, std::vector<std::pair<int, int>>> edges;
  for (const Work& work : works) {
    const int work_class = static_cast<int>(work.work_class);
    edges[work.time.begin_ns].emplace_back(work_class, 1);
    edges[work.time.end_ns].emplace_back(work_class, -1);
  }
  StateSweep sweep;
  int open[3] = {};
  int64_t last_ns = edges.empty() ? 0 : edges.begin()->first;
  for (const auto& [time_ns, changes] : edges) {
    const int state = (open[0] > 0 ? 1 : 0) | (open[1] > 0 ? 2 : 0) | (open[2] > 0 ? 4 : 0);
    sweep.state_ns[state] += time_ns - last_ns;
    sweep.window_ns += time_ns - last_ns;
    last_ns = time_ns;
    for (const auto& [work_class, change] : changes) open[work_class] += change;
  }
  return sweep;
}

}  // namespace mfutrace::report
