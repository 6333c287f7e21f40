// Verdicts in the forms of terminals and of continuous-integration services.
#include "gate/print.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "gate/print_text.h"
#include "report/render/json.h"
#include "report/render/units.h"

namespace mfutrace::gate {
namespace {

constexpr size_t kMaxMarkdownBytes = 200'000;  // GitHub refuses a summary beyond 1 MiB
constexpr size_t kMaxAnnotations = 9;          // GitHub shows ten of a kind and step
constexpr size_t kNameWidth = 20;
constexpr size_t kValueWidth = 22;

std::vector<const Verdict*> WorstFirst(const Judgement& judgement) {
  std::vector<const Verdict*> sorted;
  for (const Verdict& verdict : judgement.verdicts) sorted.push_back(&verdict);
  const auto rank = [](const Verdict* verdict) {
    switch (verdict->outcome) {
      case Outcome::kFail:
        return 0;
      case Outcome::kNoVerdict:
        return 1;
      case Outcome::kInconclusive:
        return 2;
      case Outcome::kPass:
        break;
    }
    return 3;
  };
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const Verdict* a, const Verdict* b) { return rank(a) < rank(b); });
  return sorted;
}

const char* ColorOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPass:
      return "\033[32m";
    case Outcome::kFail:
      return "\033[31m";
    default:
      return "\033[90m";
  }
}

std::string Cell(const std::string& text) {
  return absl::StrReplaceAll(text, {{"|", "\\|"}, {"<", "&lt;"}, {"\n", " "}});
}

std::string Xml(const std::string& text) {
  std::string clean;
  for (const char letter : text) {
    clean += static_cast<unsigned char>(letter) < 0x20 ? ' ' : letter;
  }
  return absl::StrReplaceAll(clean,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

// https://docs.github.com/actions: data of workflow commands, and their properties.
std::string CommandData(const std::string& text) {
  return absl::StrReplaceAll(text, {{"%", "%25"}, {"\r", "%0D"}, {"\n", "%0A"}});
}
std::string CommandProperty(const std::string& text) {
  return absl::StrReplaceAll(CommandData(text), {{":", "%3A"}, {",", "%2C"}});
}

std::string JsonNumber(double value) {
  return std::isfinite(value) ? absl::StrFormat("%.12g", value) : "null";
}

double Number(absl::uint128 value, Unit unit) {
  const double number = static_cast<double>(value);
  return unit == Unit::kShare ? number / static_cast<double>(kShareUnit) : number;
}

// Of this run; NaN where there is none.
double ValueOf(const Verdict& verdict) {
  if (verdict.exact.has_value()) return Number(verdict.exact->median, verdict.gate.metric->unit);
  if (verdict.change.has_value()) return verdict.change->new_value;
  if (verdict.against_constant.has_value()) return verdict.against_constant->new_value;
  return std::nan("");
}

double BaselineOf(const Verdict& verdict) {
  if (verdict.baseline_exact.has_value()) {
    return Number(verdict.baseline_exact->median, verdict.gate.metric->unit);
  }
  return verdict.change.has_value() ? verdict.change->old_value : std::nan("");
}

const char* UnitName(Unit unit) {
  switch (unit) {
    case Unit::kCount:
      return "calls";
    case Unit::kFlop:
      return "FLOP";
    case Unit::kBytes:
      return "bytes";
    case Unit::kShare:
    case Unit::kRatio:
      return "ratio";
    case Unit::kMilliseconds:
      return "ms";
    case Unit::kFlopPerSecond:
      return "FLOP/s";
  }
  return "";
}

const char* OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPass:
      return "pass";
    case Outcome::kFail:
      return "fail";
    case Outcome::kInconclusive:
      return "inconclusive";
    case Outcome::kNoVerdict:
      return "no_verdict";
  }
  return "";
}

std::string TextOrNull(const std::string& text) {
  return text.empty() ? "null" : report::JsonQuote(text);
}

std::string ExactJson(const std::optional<Exact>& exact) {
  if (!exact.has_value()) return "null";
  return absl::StrCat("{\"least\": ", report::Decimal(exact->least),
                      ", \"median\": ", report::Decimal(exact->median),
                      ", \"most\": ", report::Decimal(exact->most), "}");
}

std::string ChangeJson(const std::optional<Change>& change) {
  if (!change.has_value()) return "null";
  const bool is_known = change->has_enough;
  const auto known = [&](double value) { return is_known ? JsonNumber(value) : "null"; };
  return absl::StrCat(
      "{\"change\": ", JsonNumber(change->change), ", \"low\": ", known(change->low),
      ", \"high\": ", known(change->high), ", \"p_drop\": ", known(change->p_drop),
      ", \"p_rise\": ", known(change->p_rise), ", \"detectable\": ", JsonNumber(change->detectable),
      ", \"baseline_samples\": ", change->old_samples, ", \"samples\": ", change->new_samples,
      ", \"block_steps\": ", change->block_steps,
      ", \"outliers\": ", change->old_outliers + change->new_outliers, "}");
}

}  // namespace

std::string PrintTerminal(const Judgement& judgement, bool use_color) {
  size_t name_width = kNameWidth;
  size_t value_width = kValueWidth;
  for (const Verdict& verdict : judgement.verdicts) {
    name_width =
        std::max(name_width, std::min<size_t>(40, report::DisplayWidth(verdict.gate.name)));
    value_width =
        std::max(value_width, std::min<size_t>(34, report::DisplayWidth(ValueText(verdict))));
  }
  std::string text;
  for (const Verdict& verdict : judgement.verdicts) {
    std::string word = report::PadRight(OutcomeWord(verdict.outcome), 5);
    if (use_color) word = ColorOf(verdict.outcome) + word + "\033[0m";
    std::string detail = DetailText(verdict);
    std::string line = absl::StrCat(
        "  ", word, "  ", report::PadRight(report::Cut(verdict.gate.name, name_width), name_width),
        "  ", report::PadRight(ValueText(verdict), value_width), "  ", detail);
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&text, line, "\n");
    const std::string reason = ReasonText(verdict);
    if (!reason.empty()) absl::StrAppend(&text, "           ", reason, "\n");
    if (!verdict.cause.empty()) absl::StrAppend(&text, "           ", verdict.cause, "\n");
  }
  for (const std::string& note : judgement.notes) absl::StrAppend(&text, "  note   ", note, "\n");
  return text;
}

std::string PrintMarkdown(const Judgement& judgement) {
  std::string text = absl::StrCat("### mfutrace: ", SummaryText(judgement),
                                  "\n\n| | gate | value | detail |\n|---|---|---|---|\n");
  std::string details;
  for (const Verdict* verdict : WorstFirst(judgement)) {
    absl::StrAppend(&text, "| ", OutcomeWord(verdict->outcome), " | ", Cell(verdict->gate.name),
                    " | ", Cell(ValueText(*verdict)), " | ", Cell(DetailText(*verdict)), " |\n");
    const std::string reason = ReasonText(*verdict);
    if (reason.empty()) continue;
    absl::StrAppend(&details, "\n<details><summary>", Cell(verdict->gate.name), ": ", Cell(reason),
                    "</summary>\n\n", verdict->cause.empty() ? "" : Cell(verdict->cause) + "\n\n",
                    "metric `", std::string(verdict->gate.metric->name), "`",
                    verdict->gate.where.empty() ? "" : " where `" + WhereText(verdict->gate) + "`",
                    ", line ", verdict->gate.line, " of the gate file\n</details>\n");
  }
  for (const std::string& note : judgement.notes) absl::StrAppend(&details, "\n", Cell(note), "\n");
  text += details;
  if (text.size() > kMaxMarkdownBytes) {
    text.resize(text.rfind('\n', kMaxMarkdownBytes) + 1);
    text += "\n… cut at 200 KB\n";
  }
  return text;
}

std::string PrintAnnotations(const Judgement& judgement, const std::string& gate_path) {
  std::string text;
  size_t written = 0;
  size_t left_out = 0;
  for (const Verdict* verdict : WorstFirst(judgement)) {
    const bool is_warning = verdict->outcome == Outcome::kInconclusive;
    if (verdict->outcome == Outcome::kPass) continue;
    if (written == kMaxAnnotations) {
      ++left_out;
      continue;
    }
    ++written;
    std::string message =
        absl::StrCat(ValueText(*verdict), "  ", DetailText(*verdict), "\n", ReasonText(*verdict));
    if (!verdict->cause.empty()) absl::StrAppend(&message, "\n", verdict->cause);
    absl::StrAppend(&text, is_warning ? "::warning" : "::error",
                    " file=", CommandProperty(gate_path), ",line=", verdict->gate.line,
                    ",title=", CommandProperty(verdict->gate.name), "::", CommandData(message),
                    "\n");
  }
  if (left_out > 0) absl::StrAppend(&text, "::error::and ", left_out, " more gates\n");
  return text;
}

std::string PrintJunit(const Judgement& judgement, const std::string& gate_path) {
  std::string text = absl::StrCat(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"",
      Xml(gate_path), "\" tests=\"", judgement.verdicts.size(), "\" failures=\"", judgement.failed,
      "\" errors=\"", judgement.without_verdict, "\" skipped=\"", judgement.inconclusive, "\">\n");
  for (const Verdict& verdict : judgement.verdicts) {
    absl::StrAppend(&text, "<testcase classname=\"mfutrace.gate\" name=\"", Xml(verdict.gate.name),
                    "\">\n<properties>\n<property name=\"metric\" value=\"",
                    Xml(KeyOf(verdict.gate)), "\"/>\n<property name=\"value\" value=\"",
                    Xml(ValueText(verdict)), "\"/>\n<property name=\"detail\" value=\"",
                    Xml(DetailText(verdict)), "\"/>\n</properties>\n");
    const std::string reason = Xml(ReasonText(verdict));
    if (verdict.outcome == Outcome::kFail) {
      absl::StrAppend(&text, "<failure message=\"", reason, "\">", Xml(ValueText(verdict)), " ",
                      Xml(DetailText(verdict)), "\n", Xml(verdict.cause), "</failure>\n");
    } else if (verdict.outcome == Outcome::kNoVerdict) {
      absl::StrAppend(&text, "<error message=\"", reason, "\"/>\n");
    } else if (verdict.outcome == Outcome::kInconclusive) {
      absl::StrAppend(&text, "<skipped message=\"", reason, "\"/>\n");
    }
    text += "</testcase>\n";
  }
  return text + "</testsuite>\n</testsuites>\n";
}

std::string PrintJson(const Judgement& judgement) {
  std::string text = absl::StrCat(
      "{\n\"schema\": ", kGateJsonSchema, ",\n\"exit_code\": ", ExitCodeOf(judgement),
      ",\n\"failed\": ", judgement.failed, ",\n\"inconclusive\": ", judgement.inconclusive,
      ",\n\"without_verdict\": ", judgement.without_verdict, ",\n\"notes\": [");
  for (size_t i = 0; i < judgement.notes.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", report::JsonQuote(judgement.notes[i]));
  }
  text += "],\n\"gates\": [";
  for (size_t i = 0; i < judgement.verdicts.size(); ++i) {
    const Verdict& verdict = judgement.verdicts[i];
    absl::StrAppend(&text, i == 0 ? "\n" : ",\n",
                    "{\"name\": ", report::JsonQuote(verdict.gate.name), ", \"metric\": \"",
                    std::string(verdict.gate.metric->name),
                    "\", \"where\": ", TextOrNull(WhereText(verdict.gate)), ", \"unit\": \"",
                    UnitName(verdict.gate.metric->unit), "\", \"line\": ", verdict.gate.line,
                    ", \"outcome\": \"", OutcomeName(verdict.outcome),
                    "\", \"value\": ", JsonNumber(ValueOf(verdict)),
                    ", \"baseline\": ", JsonNumber(BaselineOf(verdict)),
                    ", \"exact\": ", ExactJson(verdict.exact),
                    ", \"baseline_exact\": ", ExactJson(verdict.baseline_exact),
                    ", \"change\": ", ChangeJson(verdict.change),
                    ", \"reason\": ", TextOrNull(ReasonText(verdict)),
                    ", \"cause\": ", TextOrNull(verdict.cause), "}");
  }
  return text + "\n]\n}\n";
}

std::string PrintGhaBenchmark(const Judgement& judgement, bool larger_is_better) {
  std::string text = "[";
  for (const Verdict& verdict : judgement.verdicts) {
    const Metric& metric = *verdict.gate.metric;
    if (metric.is_larger_better != larger_is_better || std::isnan(ValueOf(verdict))) continue;
    std::string range;
    if (verdict.change.has_value() && verdict.change->has_enough) {
      const double scale = verdict.gate.max_drop.value_or(Limit{0, true}).is_points ||
                                   verdict.gate.max_rise.value_or(Limit{0, false}).is_points
                               ? 1
                               : std::fabs(verdict.change->old_value);
      range = absl::StrFormat("%.3g", (verdict.change->high - verdict.change->low) / 2 * scale);
    }
    absl::StrAppend(&text, text.size() > 1 ? ",\n" : "\n",
                    "{\"name\": ", report::JsonQuote(verdict.gate.name), ", \"unit\": \"",
                    UnitName(metric.unit), "\", \"value\": ", JsonNumber(ValueOf(verdict)));
    if (!range.empty()) absl::StrAppend(&text, ", \"range\": ", report::JsonQuote(range));
    absl::StrAppend(&text, ", \"extra\": ",
                    report::JsonQuote(OutcomeWord(verdict.outcome) + " " + DetailText(verdict)),
                    "}");
  }
  return text + "\n]\n";
}

std::string PrintBmf(const Judgement& judgement) {
  std::string text = "{";
  for (const Verdict& verdict : judgement.verdicts) {
    if (std::isnan(ValueOf(verdict))) continue;
    absl::StrAppend(&text, text.size() > 1 ? ",\n" : "\n", report::JsonQuote(verdict.gate.name),
                    ": {\"", std::string(verdict.gate.metric->name),
                    "\": {\"value\": ", JsonNumber(ValueOf(verdict)));
    if (verdict.exact.has_value()) {
      const Unit unit = verdict.gate.metric->unit;
      absl::StrAppend(&text, ", \"lower_value\": ", JsonNumber(Number(verdict.exact->least, unit)),
                      ", \"upper_value\": ", JsonNumber(Number(verdict.exact->most, unit)));
    }
    text += "}}";
  }
  return text + "\n}\n";
}

}  // namespace mfutrace::gate
