// What each kind of evidence says about an axis of communicators; used by strategy.cc alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "report/analyze/traffic_shape.h"

namespace mfutrace::report {

// Points for strategies, and the sentences behind them, strongest first.
class Evidence {
 public:
  void Add(const std::string& strategy, double points, const std::string& why);

  struct Place {
    std::string strategy;
    double points = 0;
    std::vector<std::pair<double, std::string>> reasons;
  };
  double PointsOf(const std::string& strategy) const;
  // Most points first.
  std::vector<Place> Ranking() const;

 private:
  std::map<std::string, Place> places_;
};

// The strategy that a communicator's name stands for; empty if it names none.
std::string StrategyOfName(const std::string& name);

// True for reductions of so few bytes that they carry a norm, a loss or a flag.
bool IsControl(const TrafficShape& shape);

// True if most of it is gathering and scattering shards, not reducing whole buffers.
bool MovesShards(const TrafficShape& shape);

void JudgeTraffic(const TrafficShape& shape, uint32_t size, Evidence& evidence);

}  // namespace mfutrace::report
