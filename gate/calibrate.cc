// Each run against each other one: what chance does, and what steps could show.
#include "gate/calibrate.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gate/statistics.h"

namespace mfutrace::gate {
namespace {

// Up to the next half per cent, so that a proposal is a number that people would write.
double RoundedUp(double ratio) { return std::ceil(ratio * 200 - 1e-9) / 2; }

}  // namespace

std::string Calibrate(const GateFile& file, const std::vector<Observation>& runs) {
  std::string text;
  for (const Gate& gate : file.gates) {
    if (gate.metric->is_exact) continue;
    const std::string key = KeyOf(gate);
    std::vector<std::vector<double>> samples;
    for (const Observation& run : runs) {
      const auto found = run.samples.find(key);
      if (found != run.samples.end()) samples.push_back(found->second);
    }
    if (samples.empty()) {
      const auto why = runs.front().missing.find(key);
      absl::StrAppend(&text, gate.name, ": ",
                      why == runs.front().missing.end() ? "no samples" : why->second, "\n");
      continue;
    }
    // One run against itself tells what its steps could show; several, what differs between runs.
    double detectable = 0;
    double between = 0;
    size_t blocks = 0;
    for (size_t i = 0; i < samples.size(); ++i) {
      for (size_t j = samples.size() == 1 ? i : i + 1; j < samples.size(); ++j) {
        const std::vector<std::vector<double>> a = {samples[i]};
        const std::vector<std::vector<double>> b = {samples[j]};
        const Change change = Compare(a, b, false, gate.confidence);
        detectable = std::max(detectable, change.detectable);
        between = std::max(between, std::fabs(change.change));
        blocks = std::max(blocks, change.block_steps);
      }
    }
    absl::StrAppend(&text, absl::StrFormat("%s (%s): ", gate.name, key));
    if (samples.size() == 1) {
      absl::StrAppend(
          &text, absl::StrFormat("steps of one run show a change of %.2f %%; how runs differ among "
                                 "themselves needs three or more\n",
                                 detectable * 100));
    } else {
      absl::StrAppend(
          &text, absl::StrFormat("runs differ by up to %.2f %% by chance; steps show a change of "
                                 "%.2f %% beyond the limit\n",
                                 between * 100, detectable * 100));
    }
    const std::string name = gate.metric->is_larger_better ? "max_drop" : "max_rise";
    absl::StrAppend(&text,
                    absl::StrFormat("  %s = \"%g%%\"", name,
                                    std::max(0.5, RoundedUp(std::max(between * 2, detectable)))));
    if (blocks > 1) {
      absl::StrAppend(&text, "    # neighbouring steps are alike: blocks of ", blocks);
    }
    text += "\n";
  }
  if (text.empty()) text = "no timing gates in the gate file: nothing to calibrate\n";
  return text;
}

}  // namespace mfutrace::gate
