// Sums that explain, and sentences that name the likeliest cause.
#include "gate/explain.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace mfutrace::gate {
namespace {

constexpr size_t kCausesNamed = 2;

double PartNs(const Observation& run, const std::string& name) {
  for (const Part& part : run.budget) {
    if (part.name == name) return part.ns_per_step;
  }
  return 0;
}

double StepNs(const Observation& run) {
  double sum = 0;
  for (const Part& part : run.budget) sum += part.ns_per_step;
  return sum;
}

bool HasMfu(const Observation& run) {
  return run.mfu.has_value() && StepNs(run) > 0 && PartNs(run, "mfu") > 0;
}

std::string Signed(double ms) { return absl::StrFormat("%+.2f ms", ms); }

std::string Times(const Observation& before, const Observation& after) {
  const std::optional<Explanation> explanation = Explain(before, after);
  if (!explanation.has_value()) return "";
  std::vector<Term> terms = explanation->terms;
  std::stable_sort(terms.begin(), terms.end(), [](const Term& a, const Term& b) {
    return std::fabs(a.mfu_change) > std::fabs(b.mfu_change);
  });
  std::string text = absl::StrFormat("step %.2f -> %.2f ms:", explanation->old_step_ns / 1e6,
                                     explanation->new_step_ns / 1e6);
  size_t named = 0;
  for (const Term& term : terms) {
    const double ms = (term.new_ns - term.old_ns) / 1e6;
    if (named == kCausesNamed || std::fabs(ms) < 0.001) break;
    absl::StrAppend(&text, named == 0 ? " " : ", ", PartName(term.part), " ", Signed(ms));
    ++named;
  }
  return named == 0 ? "" : text;
}

}  // namespace

std::optional<Explanation> Explain(const Observation& before, const Observation& after) {
  if (!HasMfu(before) || !HasMfu(after)) return std::nullopt;
  Explanation explanation;
  const double w0 = StepNs(before);
  const double w1 = StepNs(after);
  const double u0 = PartNs(before, "mfu");
  const double u1 = PartNs(after, "mfu");
  explanation.old_step_ns = w0;
  explanation.new_step_ns = w1;
  explanation.old_mfu = u0 / w0;
  explanation.new_mfu = u1 / w1;
  const double of_time = (u0 + u1) / 2 / (w0 * w1);
  std::vector<std::string> names;
  for (const Observation* run : {&before, &after}) {
    for (const Part& part : run->budget) {
      if (std::find(names.begin(), names.end(), part.name) == names.end()) {
        names.push_back(part.name);
      }
    }
  }
  for (const std::string& name : names) {
    Term term;
    term.part = name == "mfu" ? "work" : name;
    term.old_ns = PartNs(before, name);
    term.new_ns = PartNs(after, name);
    term.mfu_change = -of_time * (term.new_ns - term.old_ns);
    if (name == "mfu") term.mfu_change += (u1 - u0) * (1 / w0 + 1 / w1) / 2;
    explanation.terms.push_back(term);
  }
  return explanation;
}

std::string PartName(const std::string& part) {
  static const std::map<std::string, std::string> names = {
      {"mfu", "model FLOPs at the peak"},
      {"work", "model FLOPs at the peak"},
      {"recompute", "recomputation"},
      {"roofline", "memory-bound kernels"},
      {"below_peak", "kernels below peak"},
      {"counted_kernels", "counted kernels"},
      {"other_compute", "other kernels"},
      {"exposed_transfer", "exposed communication, transfer"},
      {"exposed_wait", "exposed communication, waiting"},
      {"exposed", "exposed communication"},
      {"memory", "memory copies"},
      {"idle", "idle"},
      {"unattributed", "idle or not seen"}};
  const auto found = names.find(part);
  return found == names.end() ? part : found->second;
}

std::vector<Growth> Changes(const Observation& before, const Observation& after, size_t count,
                            bool by_calls) {
  std::map<std::string, Growth> growths;
  for (const OpLoad& op : before.ops) {
    growths[op.name] = {op.name, -op.ns_per_step, -op.calls_per_step};
  }
  for (const OpLoad& op : after.ops) {
    Growth& growth = growths[op.name];
    growth.name = op.name;
    growth.ns_per_step += op.ns_per_step;
    growth.calls_per_step += op.calls_per_step;
  }
  const auto size = [by_calls](const Growth& growth) {
    return std::fabs(by_calls ? growth.calls_per_step : growth.ns_per_step);
  };
  std::vector<Growth> sorted;
  for (const auto& [name, growth] : growths) {
    if (size(growth) > 0) sorted.push_back(growth);
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const Growth& a, const Growth& b) { return size(a) > size(b); });
  if (sorted.size() > count) sorted.resize(count);
  return sorted;
}

std::string Cause(const Observation& before, const Observation& after, const Metric& metric) {
  std::string text = metric.is_exact ? "" : Times(before, after);
  std::string ops;
  for (const Growth& growth : Changes(before, after, kCausesNamed, metric.is_exact)) {
    absl::StrAppend(&ops, ops.empty() ? "" : ", ", growth.name, " ",
                    metric.is_exact ? absl::StrFormat("%+.6g calls", growth.calls_per_step)
                                    : Signed(growth.ns_per_step / 1e6));
  }
  if (ops.empty()) return text;
  return absl::StrCat(text, text.empty() ? "most changed: " : "; most changed: ", ops);
}

}  // namespace mfutrace::gate
