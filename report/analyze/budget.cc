// The terms of the budget and what they would be otherwise.
#include "report/analyze/budget.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace mfutrace::report {
namespace {

// As pages tell them.
constexpr std::array<std::string_view, 12> kOrder = {
    "mfu",           "recompute",        "roofline",     "below_peak", "counted_kernels",
    "other_compute", "exposed_transfer", "exposed_wait", "exposed",    "memory",
    "idle",          "unattributed"};

size_t PlaceOf(const std::string& name) {
  return static_cast<size_t>(std::find(kOrder.begin(), kOrder.end(), name) - kOrder.begin());
}

// What FLOPs take at the peaks of their formats; nullopt if one has none.
std::optional<int64_t> TimeAtPeak(const std::string& gpu,
                                  const std::map<shapes::PeakRate, Flop>& by_rate,
                                  const PeakTable& peaks) {
  int64_t sum_ns = 0;
  for (const auto& [rate, flop] : by_rate) {
    if (flop == 0) continue;
    const std::optional<Peak> peak = peaks.Find(gpu, rate);
    if (!peak.has_value() || peak->flop_per_s == 0) return std::nullopt;
    // 2^64 FLOP times 10^9 fits 128 bits with 34 bits to spare: 10^10 such devices.
    const Flop ns = (flop * 1'000'000'000 + peak->flop_per_s / 2) / peak->flop_per_s;
    sum_ns += static_cast<int64_t>(ns);
  }
  return sum_ns;
}

void AddExposed(const BudgetInput& input, BudgetSum& budget) {
  for (size_t i = 0; i < input.shared_ns.size(); ++i) {
    const int64_t shared_ns = input.shared_ns[i];
    const auto part = [i](const std::vector<int64_t>& ns) { return i < ns.size() ? ns[i] : 0; };
    const int64_t wait_ns = std::clamp<int64_t>(part(input.wait_ns), 0, shared_ns);
    const int64_t matched_ns = std::clamp<int64_t>(part(input.matched_ns), wait_ns, shared_ns);
    const std::string strategy = i < input.strategies.size() ? input.strategies[i] : "";
    budget.Add("exposed_wait", strategy, wait_ns);
    budget.Add("exposed_transfer", strategy, matched_ns - wait_ns);
    budget.Add("exposed", strategy, shared_ns - matched_ns);
  }
}

template <typename IsLeftOut>
void AddRows(const std::vector<std::vector<int64_t>>& pieces, size_t first, size_t last,
             IsLeftOut is_left_out, std::vector<int64_t>& sums) {
  for (size_t piece = first; piece <= last && piece < pieces.size(); ++piece) {
    if (is_left_out(piece)) continue;
    if (sums.size() < pieces[piece].size()) sums.resize(pieces[piece].size(), 0);
    for (size_t i = 0; i < pieces[piece].size(); ++i) sums[i] += pieces[piece][i];
  }
}

}  // namespace

void BudgetSum::Add(const std::string& name, const std::string& strategy, int64_t ns) {
  lines_[{name, strategy}] += ns;
}

void BudgetSum::Add(const BudgetSum& other) {
  for (const auto& [key, ns] : other.lines_) lines_[key] += ns;
}

std::vector<BudgetLine> BudgetSum::Lines() const {
  std::vector<BudgetLine> lines;
  for (const auto& [key, ns] : lines_) {
    if (ns != 0 || key.first == "mfu") lines.push_back({key.first, key.second, ns});
  }
  std::stable_sort(lines.begin(), lines.end(), [](const BudgetLine& a, const BudgetLine& b) {
    const size_t a_place = PlaceOf(a.name);
    const size_t b_place = PlaceOf(b.name);
    return a_place != b_place ? a_place < b_place : a.ns > b.ns;
  });
  return lines;
}

int64_t BudgetSum::sum_ns() const {
  int64_t sum_ns = 0;
  for (const auto& [key, ns] : lines_) sum_ns += ns;
  return sum_ns;
}

int64_t BudgetSum::Of(const std::string& name) const {
  int64_t sum_ns = 0;
  for (const auto& [key, ns] : lines_) sum_ns += key.first == name ? ns : 0;
  return sum_ns;
}

BudgetSum BudgetOf(const BudgetInput& input, const PeakTable& peaks) {
  BudgetSum budget;
  std::optional<int64_t> executed_ns;
  std::optional<int64_t> model_ns;
  std::optional<int64_t> untimed_ns;
  if (input.flop != nullptr && input.flop->executed.has_value() &&
      input.flop->executed_without_rate == 0) {
    executed_ns = TimeAtPeak(input.gpu, input.flop->executed_by_rate, peaks);
    model_ns = TimeAtPeak(input.gpu, input.flop->model_by_rate, peaks);
    untimed_ns = TimeAtPeak(input.gpu, input.flop->untimed_by_rate, peaks);
  }
  const bool is_known = executed_ns.has_value() && model_ns.has_value();
  if (is_known) {
    budget.Add("mfu", "", *model_ns);
    budget.Add("recompute", "", *executed_ns - *model_ns);
  }
  if (input.knowledge == TimeKnowledge::kNothing) {
    budget.Add("unattributed", "", input.window_ns - (is_known ? *executed_ns : 0));
    return budget;
  }
  const int64_t counted_ns = input.times.counted_ns;
  const int64_t hidden_ns = is_known ? untimed_ns.value_or(0) : 0;
  if (is_known) {
    int64_t roofline_ns = 0;
    if (peaks.MemoryBytesPerSecond(input.gpu).has_value()) {
      roofline_ns = static_cast<int64_t>(input.flop->beyond_peak_ps / 1000);
    }
    budget.Add("roofline", "", roofline_ns);
    budget.Add("below_peak", "", counted_ns - (*executed_ns - hidden_ns) - roofline_ns);
  } else {
    budget.Add("counted_kernels", "", counted_ns);
  }
  budget.Add("other_compute", "", input.times.compute_ns() - counted_ns);
  AddExposed(input, budget);
  const bool sees_all = input.knowledge == TimeKnowledge::kAllKernels;
  if (sees_all) {
    budget.Add("memory", "", input.times.mem_only_ns());
    budget.Add("idle", "", input.times.idle_ns());
    budget.Add("unattributed", "", -hidden_ns);
  } else {
    budget.Add("unattributed", "", input.times.mem_only_ns() + input.times.idle_ns() - hidden_ns);
  }
  return budget;
}

BudgetInput InputOf(const DeviceSummary& device, size_t first_piece, size_t last_piece,
                    bool is_without_gaps) {
  BudgetInput input;
  input.gpu = device.gpu;
  input.knowledge = device.knowledge;
  const auto add = [&](const std::vector<std::vector<int64_t>>& pieces,
                       std::vector<int64_t>& sums) {
    AddRows(
        pieces, first_piece, last_piece,
        [&](size_t piece) { return is_without_gaps && IsGap(device, piece); }, sums);
  };
  add(device.exposed.shared_ns, input.shared_ns);
  add(device.exposed.matched_ns, input.matched_ns);
  add(device.exposed.wait_ns, input.wait_ns);
  input.strategies = device.strategies;
  return input;
}

std::vector<WhatIf> WhatIfs(const BudgetSum& budget, size_t devices, double mfu,
                            double share_of_slowest) {
  std::vector<WhatIf> what_ifs;
  const auto window_ns = static_cast<double>(budget.sum_ns());
  const auto add = [&](const std::string& name, const std::string& strategy, double saved_ns) {
    if (saved_ns <= 0 || saved_ns >= window_ns) return;
    what_ifs.push_back({name, strategy, mfu * window_ns / (window_ns - saved_ns)});
  };
  std::map<std::string, int64_t> by_strategy;
  for (const BudgetLine& line : budget.Lines()) {
    if (line.name.rfind("exposed", 0) == 0) by_strategy[line.strategy] += line.ns;
  }
  for (const auto& [strategy, ns] : by_strategy) {
    add("no_exposed", strategy, static_cast<double>(ns));
  }
  // Everybody else waits for the slowest: with it gone, its own time goes too.
  if (devices > 1) {
    const double waited_ns = static_cast<double>(budget.Of("exposed_wait")) * share_of_slowest;
    add("slowest_at_median", "",
        waited_ns * static_cast<double>(devices) / static_cast<double>(devices - 1));
  }
  add("kernels_at_roofline", "", static_cast<double>(budget.Of("below_peak")));
  return what_ifs;
}

}  // namespace mfutrace::report
