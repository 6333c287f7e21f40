// See experts.h.
#include "report/analyze/experts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "report/analyze/serving.h"
#include "report/analyze/summary.h"

namespace mfutrace::report {
namespace {

constexpr uint64_t kMostExperts = 1 << 16;

// What a grouped product says of its experts.
struct Groups {
  ExpertsKey key;
  std::vector<uint64_t> rows;
  bool rows_are_known = true;
};

// The dimension in which groups differ counts rows. Where they are all alike, nothing tells m from
// n: n, since the libraries are column-major and callers multiply weights by activations.
std::optional<Groups> GroupsOf(const Op& op) {
  if (op.detail == nullptr || op.detail->is_graph_launch || op.detail->parts.empty()) {
    return std::nullopt;
  }
  Groups groups;
  uint64_t least[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
  uint64_t most[3] = {0, 0, 0};
  uint64_t count = 0;
  for (const OpDetail::Part& part : op.detail->parts) {
    if (part.detail == nullptr || !part.detail->gemm.has_value()) return std::nullopt;
    const shapes::Gemm& gemm = *part.detail->gemm;
    const uint64_t sizes[3] = {gemm.m, gemm.n, gemm.k};
    for (int i = 0; i < 3; ++i) {
      least[i] = std::min(least[i], sizes[i]);
      most[i] = std::max(most[i], sizes[i]);
    }
    count += part.count;
  }
  if (count < 2 || count > kMostExperts) return std::nullopt;
  int rows = 1;
  int varying = 0;
  for (int i = 0; i < 3; ++i) {
    if (least[i] == most[i]) continue;
    rows = i;
    ++varying;
  }
  if (varying > 1) return std::nullopt;  // a batch of unlike products
  // Rows of products whose sums are only known: interpose spreads them over m.
  if (op.detail->rows_are_spread && varying == 0) rows = 0;
  uint64_t shared[2];
  int at = 0;
  for (int i = 0; i < 3; ++i) {
    if (i != rows) shared[at++] = most[i];
  }
  groups.key = {shared[0], shared[1], rows == 2, op.dtype};
  groups.rows_are_known = !op.detail->rows_are_spread;
  for (const OpDetail::Part& part : op.detail->parts) {
    const shapes::Gemm& gemm = *part.detail->gemm;
    const uint64_t sizes[3] = {gemm.m, gemm.n, gemm.k};
    groups.rows.insert(groups.rows.end(), part.count, sizes[rows]);
  }
  return groups;
}

// A product of [tokens, hidden] by [hidden, experts], where the experts of the grouped product that
// follows are all, or one rank's equal share of them.
struct Router {
  uint64_t tokens = 0;
  uint64_t experts = 0;
};

std::optional<Router> RouterFor(const Groups& groups, const Op& op, uint64_t ranks_at_most) {
  if (op.detail == nullptr || !op.detail->gemm.has_value() || groups.key.is_gradient) {
    return std::nullopt;
  }
  const shapes::Gemm& gemm = *op.detail->gemm;
  if (gemm.k != groups.key.in || gemm.batch != 1) return std::nullopt;
  const auto fits = [&](uint64_t experts) {
    const uint64_t local = groups.rows.size();
    return experts % local == 0 && experts / local <= ranks_at_most;
  };
  // The router's weights come first in column-major calls.
  if (fits(gemm.m)) return Router{gemm.n, gemm.m};
  if (fits(gemm.n)) return Router{gemm.m, gemm.n};
  return std::nullopt;
}

void AddCall(const Groups& groups, const Op& op, const std::optional<Router>& router,
             uint64_t calls, ExpertsSums& sums) {
  sums.calls += calls;
  const auto count = static_cast<uint32_t>(groups.rows.size());
  sums.fewest_groups = std::min(sums.fewest_groups, count);
  sums.most_groups = std::max(sums.most_groups, count);
  sums.flop += Flop(op.flop_executed.value_or(0)) * calls;
  uint64_t all = 0;
  uint64_t most = 0;
  uint64_t idle = 0;
  for (const uint64_t rows : groups.rows) {
    all += rows;
    most = std::max(most, rows);
    if (rows == 0) ++idle;
  }
  sums.rows += absl::uint128(all) * calls;
  sums.rows_are_known = sums.rows_are_known && groups.rows_are_known;
  if (router.has_value()) {
    sums.router_experts =
        sums.calls_with_router == 0 || sums.router_experts == router->experts ? router->experts : 0;
    sums.calls_with_router += calls;
    sums.router_tokens += absl::uint128(router->tokens) * calls;
    sums.router_rows += absl::uint128(router->tokens) * router->experts * calls;
  }
  if (!groups.rows_are_known) return;
  sums.idle += idle * calls;
  if (sums.by_place.size() < groups.rows.size()) sums.by_place.resize(groups.rows.size(), 0);
  for (size_t i = 0; i < groups.rows.size(); ++i) sums.by_place[i] += groups.rows[i] * calls;
  if (all > 0) {
    sums.imbalances.push_back(static_cast<double>(most) * static_cast<double>(groups.rows.size()) /
                              static_cast<double>(all));
  }
}

}  // namespace

ExpertsOfDevice SummarizeExperts(const Timeline& timeline) {
  ExpertsOfDevice found;
  std::vector<std::optional<Groups>> groups(timeline.ops.size());
  bool has_experts = false;
  for (size_t i = 0; i < timeline.ops.size(); ++i) {
    groups[i] = GroupsOf(timeline.ops[i]);
    has_experts = has_experts || groups[i].has_value();
  }
  found.exchanges.resize(timeline.communicators.size());
  uint64_t ranks_at_most = 1;
  for (const Communicator& communicator : timeline.communicators) {
    ranks_at_most = std::max<uint64_t>(ranks_at_most, communicator.size);
  }
  // The router's product is not far: a layer's own calls are between the two.
  constexpr size_t kReach = 8;
  std::vector<uint32_t> recent;  // products since the last grouped one, by operation
  std::optional<Router> last_router;
  std::vector<uint64_t> last_rows;
  uint64_t last_in = 0;
  for (const OpCall& call : timeline.calls) {
    if (call.is_captured || call.op >= timeline.ops.size()) continue;
    const Op& op = timeline.ops[call.op];
    if (op.kind == shapes::OpKind::kCollective) {
      if (op.communicator >= found.exchanges.size() || !op.bus_bytes.has_value()) continue;
      ExchangeSums& sums = found.exchanges[op.communicator];
      if (op.collective == shapes::CollectiveKind::kSend) sums.sent_bytes += *op.bus_bytes;
      if (op.collective == shapes::CollectiveKind::kRecv) sums.received_bytes += *op.bus_bytes;
      if (op.collective == shapes::CollectiveKind::kAllToAll) {
        sums.sent_bytes += *op.bus_bytes;
        sums.received_bytes += *op.bus_bytes;
      }
      continue;
    }
    if (!has_experts) continue;
    if (!groups[call.op].has_value()) {
      if (op.detail != nullptr && op.detail->gemm.has_value()) recent.push_back(call.op);
      continue;
    }
    const Groups& of_call = *groups[call.op];
    std::optional<Router> router;
    for (size_t back = 0; back < std::min(kReach, recent.size()) && !router.has_value(); ++back) {
      router = RouterFor(of_call, timeline.ops[recent[recent.size() - 1 - back]], ranks_at_most);
    }
    // The experts' second product has the rows of the first one.
    if (!router.has_value() && !of_call.key.is_gradient && of_call.rows == last_rows &&
        of_call.key.in != last_in) {
      router = last_router;
    }
    last_router = router;
    last_rows = of_call.rows;
    last_in = of_call.key.in;
    recent.clear();
    AddCall(of_call, op, router, 1, found.products[of_call.key]);
  }
  for (const CountedCalls& counted : timeline.counted) {
    if (counted.op >= groups.size() || !groups[counted.op].has_value()) continue;
    AddCall(*groups[counted.op], timeline.ops[counted.op], std::nullopt, counted.calls,
            found.products[groups[counted.op]->key]);
  }
  return found;
}

std::vector<ExpertsResult> MergeExperts(std::span<const DeviceSummary> devices) {
  std::map<ExpertsKey, ExpertsResult> results;
  std::map<ExpertsKey, std::vector<double>> imbalances;
  std::map<ExpertsKey, uint64_t> idle;
  std::map<ExpertsKey, absl::uint128> routed;
  std::map<ExpertsKey, bool> is_routed;
  std::map<ExpertsKey, uint32_t> fewest_groups;
  for (const DeviceSummary& device : devices) {
    for (const auto& [key, sums] : device.experts.products) {
      const auto [found, is_new] = results.try_emplace(key);
      ExpertsResult& result = found->second;
      if (is_new) {
        result.flop_executed = 0;
        result.rows = 0;
        result.rows_are_known = true;
        result.router_experts = sums.router_experts;
        result.router_tokens = 0;
        is_routed[key] = true;
        fewest_groups[key] = sums.fewest_groups;
      }
      result.experts = std::max(result.experts, sums.most_groups);
      fewest_groups[key] = std::min(fewest_groups[key], sums.fewest_groups);
      result.calls += sums.calls;
      *result.flop_executed += sums.flop;
      *result.rows += sums.rows;
      result.rows_are_known = result.rows_are_known && sums.rows_are_known;
      result.rows_by_expert.insert(result.rows_by_expert.end(), sums.by_place.begin(),
                                   sums.by_place.end());
      std::vector<double>& of_key = imbalances[key];
      of_key.insert(of_key.end(), sums.imbalances.begin(), sums.imbalances.end());
      idle[key] += sums.idle;
      is_routed[key] = is_routed[key] && sums.calls_with_router == sums.calls &&
                       sums.router_experts != 0 && result.router_experts == sums.router_experts;
      *result.router_tokens += sums.router_tokens;
      routed[key] += sums.router_rows;
    }
  }
  std::vector<ExpertsResult> rows;
  for (auto& [key, result] : results) {
    if (!is_routed[key]) {
      result.router_experts.reset();
      result.router_tokens.reset();
    } else if (routed[key] != 0) {
      result.active_share = static_cast<double>(*result.rows) / static_cast<double>(routed[key]);
    }
    result.label = absl::StrCat("experts ", key.dtype, " ", result.experts, " x ", key.out, "x",
                                key.in, key.is_gradient ? " gradient" : "");
    // Callers that leave out experts without rows leave no telling which ones.
    result.rows_are_known = result.rows_are_known && fewest_groups[key] == result.experts;
    if (result.rows_are_known) {
      result.imbalance = DistributionOf(imbalances[key]);
      result.idle_share = static_cast<double>(idle[key]) /
                          (static_cast<double>(result.calls) * static_cast<double>(result.experts));
      uint64_t most = 0;
      absl::uint128 all = 0;
      for (const uint64_t count : result.rows_by_expert) {
        most = std::max(most, count);
        all += count;
      }
      if (all != 0) {
        result.imbalance_of_sums = static_cast<double>(most) *
                                   static_cast<double>(result.rows_by_expert.size()) /
                                   static_cast<double>(all);
      }
    } else {
      result.rows_by_expert.clear();
    }
    rows.push_back(std::move(result));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const ExpertsResult& a, const ExpertsResult& b) {
    return a.flop_executed.value_or(0) > b.flop_executed.value_or(0);
  });
  return rows;
}

std::vector<ExpertExchange> MergeExchanges(std::span<const DeviceSummary> devices) {
  std::map<std::string, ExpertExchange> found;
  for (const DeviceSummary& device : devices) {
    for (size_t i = 0; i < device.communicators.size(); ++i) {
      if (i >= device.strategies.size() || device.strategies[i] != "EP") continue;
      if (i >= device.experts.exchanges.size()) continue;
      const ExchangeSums& sums = device.experts.exchanges[i];
      if (sums.sent_bytes == 0 && sums.received_bytes == 0) continue;
      ExpertExchange& exchange = found[device.communicators[i].id];
      exchange.communicator = device.communicators[i].id;
      exchange.members.push_back({device.rank, sums.sent_bytes, sums.received_bytes});
    }
  }
  std::vector<ExpertExchange> exchanges;
  for (auto& [id, exchange] : found) {
    absl::uint128 most = 0;
    absl::uint128 all = 0;
    for (const ExpertExchange::Member& member : exchange.members) {
      most = std::max(most, member.received_bytes);
      all += member.received_bytes;
    }
    if (all == 0) continue;
    exchange.imbalance = static_cast<double>(most) * static_cast<double>(exchange.members.size()) /
                         static_cast<double>(all);
    exchanges.push_back(std::move(exchange));
  }
  return exchanges;
}

}  // namespace mfutrace::report
