// A diff as text, Markdown and JSON. Printed parts of a change of MFU add up to the printed change:
// they are rounded by largest remainders.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "gate/diff.h"
#include "report/render/json.h"
#include "report/render/table.h"
#include "report/render/units.h"

namespace mfutrace::gate {
namespace {

constexpr size_t kPageWidth = 100;
constexpr size_t kRows = 20;

// In hundredths of a percentage point, summing to the change of the rounded MFUs.
std::vector<int64_t> Rounded(const Explanation& explanation) {
  const auto hundredths = [](double ratio) { return std::llround(ratio * 10000); };
  const int64_t sum = hundredths(explanation.new_mfu) - hundredths(explanation.old_mfu);
  std::vector<int64_t> parts;
  std::vector<std::pair<double, size_t>> remainders;
  int64_t floors = 0;
  for (const Term& term : explanation.terms) {
    const double exact = term.mfu_change * 10000;
    parts.push_back(static_cast<int64_t>(std::floor(exact)));
    remainders.emplace_back(exact - std::floor(exact), parts.size() - 1);
    floors += parts.back();
  }
  std::sort(remainders.rbegin(), remainders.rend());
  // At most one for each part and one for the rounded MFUs themselves.
  for (size_t i = 0; floors < sum && !remainders.empty(); ++i, ++floors) {
    ++parts[remainders[i % remainders.size()].second];
  }
  for (size_t i = 0; floors > sum && !remainders.empty(); ++i, --floors) {
    --parts[remainders[remainders.size() - 1 - i % remainders.size()].second];
  }
  return parts;
}

std::string Points(int64_t hundredths) {
  return absl::StrFormat("%+.2f", static_cast<double>(hundredths) / 100);
}

std::string Ms(double ns) { return absl::StrFormat("%.2f", ns / 1e6); }

std::vector<std::vector<std::string>> BudgetRows(const Diff& diff) {
  std::vector<std::vector<std::string>> rows;
  if (diff.explanation.has_value()) {
    const Explanation& explanation = *diff.explanation;
    const std::vector<int64_t> points = Rounded(explanation);
    for (size_t i = 0; i < explanation.terms.size(); ++i) {
      const Term& term = explanation.terms[i];
      rows.push_back({PartName(term.part), Ms(term.old_ns), Ms(term.new_ns),
                      absl::StrFormat("%+.2f", (term.new_ns - term.old_ns) / 1e6),
                      Points(points[i])});
    }
    int64_t sum = 0;
    for (const int64_t part : points) sum += part;
    rows.push_back(
        {"step", Ms(explanation.old_step_ns), Ms(explanation.new_step_ns),
         absl::StrFormat("%+.2f", (explanation.new_step_ns - explanation.old_step_ns) / 1e6),
         Points(sum)});
    return rows;
  }
  std::vector<std::string> names;
  for (const std::vector<Part>* budget : {&diff.before, &diff.after}) {
    for (const Part& part : *budget) {
      if (std::find(names.begin(), names.end(), part.name) == names.end()) {
        names.push_back(part.name);
      }
    }
  }
  const auto of = [](const std::vector<Part>& budget, const std::string& name) {
    for (const Part& part : budget) {
      if (part.name == name) return part.ns_per_step;
    }
    return 0.0;
  };
  for (const std::string& name : names) {
    const double then = of(diff.before, name);
    const double now = of(diff.after, name);
    rows.push_back({PartName(name), Ms(then), Ms(now), absl::StrFormat("%+.2f", (now - then) / 1e6),
                    report::kUnknownText});
  }
  return rows;
}

std::vector<std::vector<std::string>> ChangeRows(const Diff& diff, size_t most) {
  std::vector<std::vector<std::string>> rows;
  for (const DiffRow& row : diff.rows) {
    if (rows.size() == most) break;
    const double change_ns = row.after.ns_per_step - row.before.ns_per_step;
    const std::string calls =
        row.is_communicator ? report::kUnknownText
        : row.before.calls_per_step == row.after.calls_per_step
            ? absl::StrFormat("%g", row.after.calls_per_step)
            : absl::StrFormat("%g -> %g", row.before.calls_per_step, row.after.calls_per_step);
    rows.push_back({(row.is_communicator ? "exposed: " : "") + row.name, NameOf(row.tag), calls,
                    Ms(row.before.ns_per_step), Ms(row.after.ns_per_step),
                    absl::StrFormat("%+.2f", change_ns / 1e6)});
  }
  return rows;
}

std::string MfuText(const Diff& diff) {
  if (!diff.explanation.has_value()) return "MFU is not known on both sides";
  return absl::StrFormat("MFU %.2f %% -> %.2f %%", diff.explanation->old_mfu * 100,
                         diff.explanation->new_mfu * 100);
}

std::string Number(double value) {
  // No negative zero.
  return std::isfinite(value) ? absl::StrFormat("%.17g", value + 0.0) : "null";
}

std::string LoadJson(const OpLoad& load) {
  return absl::StrCat("{\"calls_per_step\": ", Number(load.calls_per_step),
                      ", \"ns_per_step\": ", Number(load.ns_per_step),
                      ", \"error_ns\": ", Number(load.error_ns), "}");
}

const std::vector<std::string> kBudgetHeads = {"a step of a device", "old ms", "new ms", "change",
                                               "MFU, pp"};
const std::vector<std::string> kChangeHeads = {"beyond noise", "",       "calls/step",
                                               "old ms",       "new ms", "change"};

std::string TextTable(const std::vector<std::string>& heads,
                      std::vector<std::vector<std::string>> rows) {
  std::vector<report::Table::Column> columns;
  for (const std::string& head : heads) {
    columns.push_back(
        {head, columns.empty() ? report::Table::Align::kLeft : report::Table::Align::kRight});
  }
  report::Table table(columns);
  for (std::vector<std::string>& row : rows) table.AddRow(std::move(row));
  std::string text;
  for (const std::string& line : table.Lines(kPageWidth, 2))
    absl::StrAppend(&text, "  ", line, "\n");
  return text;
}

std::string MarkdownTable(const std::vector<std::string>& heads,
                          const std::vector<std::vector<std::string>>& rows) {
  std::string text = "|";
  for (const std::string& head : heads) absl::StrAppend(&text, " ", head, " |");
  text += "\n|";
  for (size_t i = 0; i < heads.size(); ++i) text += i == 0 ? "---|" : "--:|";
  text += "\n";
  for (const std::vector<std::string>& row : rows) {
    text += "|";
    for (const std::string& cell : row) {
      absl::StrAppend(&text, " ", absl::StrReplaceAll(cell, {{"|", "\\|"}}), " |");
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::string PrintDiff(const Diff& diff, const std::string& before, const std::string& after,
                      bool use_color) {
  std::string text = absl::StrCat(before, " -> ", after, "   ", MfuText(diff), "\n");
  if (use_color) text = "\033[1m" + text + "\033[0m";
  const auto budget = BudgetRows(diff);
  if (!budget.empty()) absl::StrAppend(&text, "\n", TextTable(kBudgetHeads, budget));
  const auto changes = ChangeRows(diff, kRows);
  if (!changes.empty()) absl::StrAppend(&text, "\n", TextTable(kChangeHeads, changes));
  if (diff.rows.size() > changes.size()) {
    absl::StrAppend(&text, "  … ", diff.rows.size() - changes.size(), " more: --json -\n");
  }
  absl::StrAppend(&text, "\n  ", diff.unchanged, " operations and communicators within noise\n");
  for (const std::string& note : diff.notes) absl::StrAppend(&text, "  note: ", note, "\n");
  return text;
}

std::string PrintDiffMarkdown(const Diff& diff, const std::string& before,
                              const std::string& after) {
  std::string text =
      absl::StrCat("### mfutrace: `", before, "` -> `", after, "`\n\n", MfuText(diff), "\n");
  const auto budget = BudgetRows(diff);
  if (!budget.empty()) absl::StrAppend(&text, "\n", MarkdownTable(kBudgetHeads, budget));
  const auto changes = ChangeRows(diff, kRows);
  if (!changes.empty()) absl::StrAppend(&text, "\n", MarkdownTable(kChangeHeads, changes));
  absl::StrAppend(&text, "\n", diff.unchanged, " operations and communicators within noise\n");
  for (const std::string& note : diff.notes) absl::StrAppend(&text, "\n", note, "\n");
  return text;
}

std::string PrintDiffJson(const Diff& diff) {
  std::string text = absl::StrCat("{\n\"schema\": ", kDiffJsonSchema, ",\n\"mfu\": ");
  if (diff.explanation.has_value()) {
    const Explanation& explanation = *diff.explanation;
    absl::StrAppend(&text, "{\"old\": ", Number(explanation.old_mfu),
                    ", \"new\": ", Number(explanation.new_mfu),
                    ", \"old_step_ns\": ", Number(explanation.old_step_ns),
                    ", \"new_step_ns\": ", Number(explanation.new_step_ns), ", \"terms\": [");
    for (size_t i = 0; i < explanation.terms.size(); ++i) {
      const Term& term = explanation.terms[i];
      absl::StrAppend(&text, i == 0 ? "" : ", ", "{\"part\": ", report::JsonQuote(term.part),
                      ", \"old_ns\": ", Number(term.old_ns), ", \"new_ns\": ", Number(term.new_ns),
                      ", \"mfu_change\": ", Number(term.mfu_change), "}");
    }
    text += "]}";
  } else {
    text += "null";
  }
  text += ",\n\"changes\": [";
  for (size_t i = 0; i < diff.rows.size(); ++i) {
    const DiffRow& row = diff.rows[i];
    absl::StrAppend(&text, i == 0 ? "\n" : ",\n", "{\"name\": ", report::JsonQuote(row.name),
                    ", \"is_communicator\": ", row.is_communicator ? "true" : "false",
                    ", \"tag\": \"", NameOf(row.tag), "\", \"old\": ", LoadJson(row.before),
                    ", \"new\": ", LoadJson(row.after), "}");
  }
  absl::StrAppend(&text, "\n],\n\"unchanged\": ", diff.unchanged, ",\n\"notes\": [");
  for (size_t i = 0; i < diff.notes.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", report::JsonQuote(diff.notes[i]));
  }
  return text + "]\n}\n";
}

}  // namespace mfutrace::gate
