// Verdicts on ranks and links.
#include "report/analyze/stragglers.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "report/analyze/steps.h"

namespace mfutrace::report {
namespace {

constexpr uint32_t kMinSteps = 10;
constexpr double kPersistence = 0.8;
// Waiting of others below this share of all windows together is not worth a verdict.
constexpr double kMinEffect = 0.005;
// Of all waiting that is traced back, the least that one rank must have caused.
constexpr double kMinShare = 0.3;
constexpr double kSlowProducts = 1.05;
constexpr double kMoreWork = 1.01;
constexpr double kSlowLink = 1.2;
// Products slowed by a clock differ in their factor by no more than this.
constexpr double kSameFactor = 0.1;
constexpr int kMaxHops = 32;

double MedianOf(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::string Times(double factor) { return absl::StrCat(std::round(factor * 100) / 100, " x"); }

// Causes by device once "elsewhere" is passed on to whoever was waited for there.
std::vector<Causes> Traced(const WaitResult& waits) {
  const size_t count = waits.blames.size();
  std::vector<Causes> traced(count);
  std::vector<double> passed(count);
  for (size_t d = 0; d < count; ++d) {
    traced[d].compute_ns = waits.blames[d].all.compute_ns;
    traced[d].host_ns = waits.blames[d].all.host_ns;
    passed[d] = static_cast<double>(waits.blames[d].all.elsewhere_ns);
  }
  for (int hop = 0; hop < kMaxHops; ++hop) {
    std::vector<double> next(count, 0);
    for (size_t d = 0; d < count; ++d) {
      double sum = 0;
      for (const auto& [culprit, ns] : waits.blames[d].waited_ns) sum += static_cast<double>(ns);
      if (passed[d] < 1 || sum <= 0) continue;
      for (const auto& [culprit, ns] : waits.blames[d].waited_ns) {
        const double part = passed[d] * static_cast<double>(ns) / sum;
        const Causes& own = waits.blames[culprit].all;
        const auto whole = static_cast<double>(own.sum_ns());
        if (whole <= 0) continue;  // it was late by the order of things: a pipeline's stages
        traced[culprit].compute_ns +=
            static_cast<int64_t>(part * static_cast<double>(own.compute_ns) / whole);
        traced[culprit].host_ns +=
            static_cast<int64_t>(part * static_cast<double>(own.host_ns) / whole);
        next[culprit] += part * static_cast<double>(own.elsewhere_ns) / whole;
      }
    }
    passed = std::move(next);
  }
  return traced;
}

// Devices that do the same work: members of one data or tensor parallel communicator.
std::vector<std::set<uint32_t>> PeersOf(size_t count, const MatchResult& match,
                                        std::span<const Verdict> verdicts) {
  std::vector<std::set<uint32_t>> peers(count);
  for (size_t g = 0; g < match.groups.size(); ++g) {
    const std::string& strategy = verdicts[g].strategy;
    if (strategy == "PP" || strategy == "control") continue;
    for (const Member& a : match.groups[g].members) {
      for (const Member& b : match.groups[g].members) {
        if (a.device != b.device) peers[a.device].insert(b.device);
      }
    }
  }
  return peers;
}

struct Products {
  double factor = 1;  // of time for the same calls, all products together
  double lowest = 1;  // of a single product
  double highest = 1;
  size_t compared = 0;
  double work = 1;  // FLOPs against peers
};

// Mean times of each product against the median of peers.
Products Compare(std::span<const DeviceSummary> devices, uint32_t own,
                 const std::set<uint32_t>& peers) {
  std::map<std::string, std::vector<double>> peer_means;
  for (const uint32_t peer : peers) {
    for (const OpResult& op : devices[peer].ops) {
      if (op.kind == "collective" || op.timed_calls == 0 || !op.time_ns.has_value()) continue;
      peer_means[op.label].push_back(static_cast<double>(*op.time_ns) /
                                     static_cast<double>(op.timed_calls));
    }
  }
  Products products;
  std::vector<double> factors;
  double own_ns = 0;
  double peers_ns = 0;
  double all_ns = 0;
  for (const OpResult& op : devices[own].ops) {
    if (op.kind != "collective") all_ns += static_cast<double>(op.time_ns.value_or(0));
  }
  for (const OpResult& op : devices[own].ops) {
    const auto found = peer_means.find(op.label);
    if (found == peer_means.end() || op.timed_calls == 0 || !op.time_ns.has_value()) continue;
    const double mean = MedianOf(found->second);
    own_ns += static_cast<double>(*op.time_ns);
    peers_ns += mean * static_cast<double>(op.timed_calls);
    // Products too short to matter have launches in their times.
    if (static_cast<double>(*op.time_ns) < 0.02 * all_ns || mean <= 0) continue;
    factors.push_back(static_cast<double>(*op.time_ns) / static_cast<double>(op.timed_calls) /
                      mean);
  }
  if (peers_ns > 0) products.factor = own_ns / peers_ns;
  products.compared = factors.size();
  if (!factors.empty()) {
    products.lowest = *std::min_element(factors.begin(), factors.end());
    products.highest = *std::max_element(factors.begin(), factors.end());
  }
  std::vector<double> flop;
  for (const uint32_t peer : peers) {
    if (devices[peer].flop.executed.has_value()) {
      flop.push_back(static_cast<double>(*devices[peer].flop.executed));
    }
  }
  if (!flop.empty() && devices[own].flop.executed.has_value() && MedianOf(flop) > 0) {
    products.work = static_cast<double>(*devices[own].flop.executed) / MedianOf(flop);
  }
  return products;
}

bool IsSlow(const Products& products) {
  return products.highest > kSlowProducts || products.work > kMoreWork;
}

class Finder {
 public:
  Finder(std::span<const DeviceSummary> devices, const MatchResult& match, const WaitResult& waits,
         std::span<const Verdict> verdicts)
      : devices_(devices),
        match_(match),
        waits_(waits),
        verdicts_(verdicts),
        peers_(PeersOf(devices.size(), match, verdicts)),
        traced_(Traced(waits)) {
    for (const DeviceSummary& device : devices) {
      windows_ns_ += static_cast<double>(device.window_ns);
      std::vector<int64_t> durations_ns;
      for (const StepSums& step : device.steps) {
        durations_ns.push_back(step.window.end_ns - step.window.begin_ns);
      }
      first_step_ = std::max(first_step_, FirstSteadyStep(durations_ns));
    }
    for (uint32_t d = 0; d < devices.size(); ++d) {
      products_.push_back(Compare(devices, d, peers_[d]));
      // Computing that is slow in nothing was late for another's sake.
      traced_ns_ += static_cast<double>(traced_[d].host_ns);
      if (IsSlow(products_[d])) traced_ns_ += static_cast<double>(traced_[d].compute_ns);
    }
  }

  std::vector<StragglerResult> Find() {
    for (uint32_t d = 0; d < devices_.size(); ++d) Judge(d);
    JudgeLinks();
    std::stable_sort(found_.begin(), found_.end(),
                     [](const StragglerResult& a, const StragglerResult& b) {
                       return a.caused_wait_ns > b.caused_wait_ns;
                     });
    return std::move(found_);
  }

 private:
  bool Matters(int64_t caused_ns) const {
    return static_cast<double>(caused_ns) > kMinEffect * windows_ns_ &&
           static_cast<double>(caused_ns) > kMinShare * traced_ns_;
  }

  // In how many steady steps the device caused waiting by this.
  std::pair<uint32_t, uint32_t> Persistence(uint32_t d, int64_t Causes::*cause) const {
    const std::vector<Causes>& steps = waits_.blames[d].steps;
    uint32_t with = 0;
    uint32_t of = 0;
    for (size_t k = first_step_; k < devices_[d].steps.size(); ++k) {
      ++of;
      with += k < steps.size() && steps[k].*cause > 0 ? 1 : 0;
    }
    return {with, of};
  }

  void Judge(uint32_t d) {
    const bool is_host = traced_[d].host_ns > traced_[d].compute_ns;
    const int64_t caused_ns = is_host ? traced_[d].host_ns : traced_[d].compute_ns;
    if (!Matters(caused_ns)) return;
    const auto [with, of] = Persistence(d, is_host ? &Causes::host_ns : &Causes::compute_ns);
    if (of < kMinSteps || with < kPersistence * of) return;
    StragglerResult straggler;
    straggler.ranks = {devices_[d].rank};
    straggler.caused_wait_ns = caused_ns;
    straggler.steps = with;
    straggler.of_steps = of;
    const Products& products = products_[d];
    straggler.factor = products.factor;
    if (is_host) {
      straggler.kind = "host";
      straggler.evidence =
          absl::StrCat("comes last with nothing running before it; its products take ",
                       Times(products.factor), " their time on its peers");
    } else if (products.factor > kSlowProducts && products.compared >= 2 &&
               products.highest - products.lowest <= kSameFactor * products.factor) {
      straggler.kind = "clock";
      straggler.evidence = absl::StrCat("all ", products.compared, " products take ",
                                        Times(products.lowest), " to ", Times(products.highest),
                                        " their time on its peers, as under a throttled clock");
    } else if (!IsSlow(products)) {
      return;
    } else {
      straggler.kind = "compute";
      straggler.evidence =
          absl::StrCat("computes longer before collectives; products take ", Times(products.lowest),
                       " to ", Times(products.highest), " their time on its peers");
      if (std::abs(products.work - 1) > 0.01) {
        absl::StrAppend(&straggler.evidence, ", with ", Times(products.work), " the FLOPs");
      }
    }
    slow_ranks_.insert(devices_[d].rank);
    found_.push_back(std::move(straggler));
  }

  // Communicators of one strategy and size that move the same amounts, against each other.
  void JudgeLinks() {
    std::map<std::string, std::vector<size_t>> alike;
    for (size_t g = 0; g < waits_.groups.size(); ++g) {
      const GroupWaits& waits = waits_.groups[g];
      if (waits.typical_calls < kMinSteps || waits.typical_bytes == 0) continue;
      alike[absl::StrCat(verdicts_[g].strategy, ";", match_.groups[g].size, ";",
                         waits.typical_bytes)]
          .push_back(g);
    }
    std::map<int32_t, int> slow_of;  // groups of a rank, slow ones and all
    std::map<int32_t, int> all_of;
    std::vector<size_t> slow;
    double factor = 0;
    for (const auto& [key, groups] : alike) {
      if (groups.size() < 3 && key.rfind("control", 0) == 0) continue;
      if (groups.size() < 2) continue;
      std::vector<double> transfers;
      for (const size_t g : groups) {
        transfers.push_back(static_cast<double>(waits_.groups[g].typical_transfer_ns));
      }
      // Of two, the quicker one is the norm.
      std::sort(transfers.begin(), transfers.end());
      const double typical = transfers[(transfers.size() - 1) / 2];
      for (const size_t g : groups) {
        const bool is_slow =
            typical > 0 &&
            static_cast<double>(waits_.groups[g].typical_transfer_ns) > kSlowLink * typical;
        for (const int32_t rank : waits_.groups[g].world_ranks) {
          ++all_of[rank];
          slow_of[rank] += is_slow ? 1 : 0;
        }
        if (!is_slow) continue;
        slow.push_back(g);
        factor =
            std::max(factor, static_cast<double>(waits_.groups[g].typical_transfer_ns) / typical);
      }
    }
    if (slow.empty()) return;
    // The ranks that all slow communicators have in common, if there are any.
    std::set<int32_t> common(waits_.groups[slow[0]].world_ranks.begin(),
                             waits_.groups[slow[0]].world_ranks.end());
    std::set<int32_t> all;
    int64_t lost_ns = 0;
    for (const size_t g : slow) {
      const std::vector<int32_t>& ranks = waits_.groups[g].world_ranks;
      std::set<int32_t> both;
      for (const int32_t rank : ranks) {
        all.insert(rank);
        if (common.contains(rank)) both.insert(rank);
      }
      common = std::move(both);
      lost_ns += static_cast<int64_t>(static_cast<double>(waits_.groups[g].transfer_ns) *
                                      (1 - 1 / factor));
    }
    std::set<int32_t> ranks = common.empty() ? all : common;
    // Of the members in common, those all of whose communicators are slow.
    std::set<int32_t> always;
    for (const int32_t rank : ranks) {
      if (slow_of[rank] == all_of[rank]) always.insert(rank);
    }
    if (!always.empty()) ranks = always;
    // A slow GPU moves its data slowly as well; it has its verdict.
    for (const int32_t rank : ranks) {
      if (slow_ranks_.contains(rank)) return;
    }
    if (static_cast<double>(lost_ns) < kMinEffect * windows_ns_) return;
    StragglerResult straggler;
    straggler.kind = "link";
    straggler.ranks.assign(ranks.begin(), ranks.end());
    straggler.factor = factor;
    straggler.caused_wait_ns = lost_ns;
    for (const DeviceSummary& device : devices_) {
      straggler.of_steps = std::max(straggler.of_steps, static_cast<uint32_t>(device.steps.size()));
    }
    straggler.steps = straggler.of_steps;
    straggler.evidence = absl::StrCat("transfers of equal size take up to ", Times(factor),
                                      " their time elsewhere in ", slow.size(),
                                      slow.size() == 1 ? " communicator" : " communicators",
                                      " of ranks ", absl::StrJoin(all, ","));
    found_.push_back(std::move(straggler));
  }

  std::span<const DeviceSummary> devices_;
  const MatchResult& match_;
  const WaitResult& waits_;
  std::span<const Verdict> verdicts_;
  uint32_t first_step_ = 0;
  std::vector<std::set<uint32_t>> peers_;
  std::vector<Causes> traced_;
  std::vector<Products> products_;
  double windows_ns_ = 0;
  double traced_ns_ = 0;
  std::set<int32_t> slow_ranks_;
  std::vector<StragglerResult> found_;
};

}  // namespace

std::vector<StragglerResult> FindStragglers(std::span<const DeviceSummary> devices,
                                            const MatchResult& match, const WaitResult& waits,
                                            std::span<const Verdict> verdicts) {
  if (devices.size() < 2) return {};
  return Finder(devices, match, waits, verdicts).Find();
}

}  // namespace mfutrace::report
