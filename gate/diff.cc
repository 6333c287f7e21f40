// Rows of two runs put side by side.
#include "gate/diff.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"

namespace mfutrace::gate {
namespace {

// Two-sided p of 0.001: a table of a hundred rows has one false line in ten runs.
constexpr double kSigmas = 3.29;
// Below a thousandth of the step nobody would act, however certain it is.
constexpr double kLeastShare = 0.001;

void AddRows(const std::vector<OpLoad>& before, const std::vector<OpLoad>& after, double step_ns,
             bool is_communicator, Diff& diff) {
  std::map<std::string, DiffRow> rows;
  std::map<std::string, int> sides;
  for (const OpLoad& op : before) {
    rows[op.name].before = op;
    sides[op.name] |= 1;
  }
  for (const OpLoad& op : after) {
    rows[op.name].after = op;
    sides[op.name] |= 2;
  }
  for (auto& [name, row] : rows) {
    row.name = name;
    row.is_communicator = is_communicator;
    const double change_ns = row.after.ns_per_step - row.before.ns_per_step;
    const double noise_ns = kSigmas * std::hypot(row.before.error_ns, row.after.error_ns);
    const bool is_slower = change_ns > std::max(noise_ns, kLeastShare * step_ns);
    const bool is_faster = -change_ns > std::max(noise_ns, kLeastShare * step_ns);
    const double calls = row.after.calls_per_step - row.before.calls_per_step;
    if (sides[name] == 2) {
      row.tag = Tag::kNew;
    } else if (sides[name] == 1) {
      row.tag = Tag::kGone;
    } else if (std::fabs(calls) > 1e-9) {
      row.tag = calls > 0 ? Tag::kMoreCalls : Tag::kFewerCalls;
    } else if (is_slower || is_faster) {
      row.tag = is_slower ? Tag::kSlower : Tag::kFaster;
    } else {
      ++diff.unchanged;
      continue;
    }
    diff.rows.push_back(std::move(row));
  }
}

void AddNotes(const Observation& before, const Observation& after, Diff& diff) {
  for (const char* key : {"gpu_name", "world_size", "timing", "cuda_major", "nccl_version"}) {
    const auto then = before.facts.find(key);
    const auto now = after.facts.find(key);
    const std::string a = then == before.facts.end() ? "unknown" : then->second;
    const std::string b = now == after.facts.end() ? "unknown" : now->second;
    if (a != b) diff.notes.push_back(absl::StrCat(key, ": ", a, " before, ", b, " after"));
  }
  for (const Observation* run : {&before, &after}) {
    if (run->steps == 0) {
      diff.notes.push_back(absl::StrCat(run->title,
                                        ": no steady steps were found, so nothing is known per "
                                        "step"));
    }
    if (run->dropped > 0) {
      diff.notes.push_back(absl::StrCat(run->title, ": ", run->dropped, " calls were dropped"));
    }
  }
}

}  // namespace

Diff Compare(const Observation& before, const Observation& after) {
  Diff diff;
  diff.explanation = Explain(before, after);
  diff.before = before.budget;
  diff.after = after.budget;
  double step_ns = 0;
  for (const Part& part : before.budget) step_ns += part.ns_per_step;
  AddRows(before.ops, after.ops, step_ns, false, diff);
  AddRows(before.communicators, after.communicators, step_ns, true, diff);
  std::stable_sort(diff.rows.begin(), diff.rows.end(), [](const DiffRow& a, const DiffRow& b) {
    return std::fabs(a.after.ns_per_step - a.before.ns_per_step) >
           std::fabs(b.after.ns_per_step - b.before.ns_per_step);
  });
  AddNotes(before, after, diff);
  return diff;
}

std::string NameOf(Tag tag) {
  switch (tag) {
    case Tag::kNew:
      return "new";
    case Tag::kGone:
      return "gone";
    case Tag::kSlower:
      return "slower";
    case Tag::kFaster:
      return "faster";
    case Tag::kMoreCalls:
      return "more calls";
    case Tag::kFewerCalls:
      return "fewer calls";
  }
  return "";
}

bool IsWorse(const Diff& diff) {
  return std::any_of(diff.rows.begin(), diff.rows.end(), [](const DiffRow& row) {
    return row.tag == Tag::kNew || row.tag == Tag::kSlower || row.tag == Tag::kMoreCalls;
  });
}

}  // namespace mfutrace::gate
