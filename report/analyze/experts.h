// Mixture of experts: rows of each expert where the host knows them, their sum where only the
// device does, and what expert-parallel ranks send each other. Called by summary.cc (one timeline)
// and analyze.cc (all of them); METHOD, "Experts".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "report/analyze/results.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

// Grouped products of weights of one shape. A data gradient has the forward's
// dimensions turned round; a gradient of weights contracts the rows.
struct ExpertsKey {
  uint64_t out = 0;
  uint64_t in = 0;
  bool is_gradient = false;
  std::string dtype;
  auto operator<=>(const ExpertsKey&) const = default;
};

struct ExpertsSums {
  uint64_t calls = 0;
  uint32_t fewest_groups = UINT32_MAX;
  uint32_t most_groups = 0;  // not the fewest: callers leave idle experts out
  Flop flop = 0;
  absl::uint128 rows = 0;
  bool rows_are_known = true;
  std::vector<uint64_t> by_place;  // rows, by place in the call
  std::vector<double> imbalances;  // of calls with rows
  uint64_t idle = 0;               // groups without rows
  // Of calls behind a router's product.
  uint64_t calls_with_router = 0;
  uint64_t router_experts = 0;  // 0: differ
  absl::uint128 router_tokens = 0;
  absl::uint128 router_rows = 0;  // what all experts would have: tokens x experts
};

struct ExchangeSums {
  absl::uint128 sent_bytes = 0;
  absl::uint128 received_bytes = 0;
};

struct ExpertsOfDevice {
  std::map<ExpertsKey, ExpertsSums> products;
  std::vector<ExchangeSums> exchanges;  // by Timeline::communicators
};

ExpertsOfDevice SummarizeExperts(const Timeline& timeline);

struct DeviceSummary;
std::vector<ExpertsResult> MergeExperts(std::span<const DeviceSummary> devices);
// Of communicators that expert parallelism uses.
std::vector<ExpertExchange> MergeExchanges(std::span<const DeviceSummary> devices);

}  // namespace mfutrace::report
