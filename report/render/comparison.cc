#include "report/render/comparison.h"

#include <algorithm>
#include <cmath>

#include "report/render/json.h"
#include "report/render/table.h"
#include "report/render/units.h"

namespace mfutrace::report {
namespace {

using estimate::Comparison;
using estimate::Difference;
using estimate::Flop;

std::string SignedDecimal(absl::int128 value) {
  return value < 0 ? "-" + Decimal(static_cast<absl::uint128>(-value))
                   : Decimal(static_cast<absl::uint128>(value));
}

struct Unit {
  const char* name;
  double size;
};

Unit UnitFor(double largest) {
  if (largest >= 1e18) return {"PFLOP", 1e15};
  if (largest >= 1e11) return {"TFLOP", 1e12};
  if (largest >= 1e8) return {"GFLOP", 1e9};
  return {"MFLOP", 1e6};
}

std::string Plain(double flop, const Unit& unit) { return Fixed(flop / unit.size, 3); }
std::string WithSign(double flop, const Unit& unit) {
  return (flop < 0 ? "-" : "+") + Plain(std::abs(flop), unit);
}

void AddLines(const Table& table, size_t page_width, size_t indent, std::string& text) {
  for (const std::string& line : table.Lines(page_width, indent)) text += line + "\n";
}

std::string Figures(const Comparison& comparison, const Unit& unit, size_t page_width) {
  Table table({{"estimate of a step", Table::Align::kLeft}, {unit.name}, {"of executed"}});
  const double executed =
      static_cast<double>(comparison.executed) / static_cast<double>(comparison.steps);
  for (const estimate::ConventionFigure& figure : comparison.per_step.figures) {
    if (!figure.estimate.flop.has_value()) continue;
    double flop = static_cast<double>(*figure.estimate.flop);
    if (!comparison.is_training) flop /= 3;
    table.AddRow(
        {std::string(figure.convention->name), Plain(flop, unit), Percent(flop / executed)});
  }
  table.AddRow({"executed in the trace", Plain(executed, unit), Percent(1.0)});
  std::string text;
  AddLines(table, page_width, 2, text);
  return text;
}

std::string Differences(const Comparison& comparison, const Unit& unit, size_t page_width) {
  Table table(
      {{"a step", Table::Align::kLeft}, {unit.name}, {"of executed"}, {"", Table::Align::kLeft}});
  const double steps = static_cast<double>(comparison.steps);
  const double executed = static_cast<double>(comparison.executed);
  const auto add = [&](const std::string& name, absl::int128 flop, const std::string& reason) {
    const double value = static_cast<double>(flop);
    table.AddRow({name, WithSign(value / steps, unit), Percent(value / executed), reason});
  };
  table.AddRow({comparison.convention,
                Plain(static_cast<double>(*comparison.estimate) / steps, unit),
                Percent(static_cast<double>(*comparison.estimate) / executed), "estimate"});
  for (const Difference& row : comparison.rows) add(row.name, row.flop, row.reason);
  add("unexplained", comparison.unexplained, "");
  for (const Difference& row : comparison.unexplained_parts) {
    add("  " + row.name, row.flop, row.reason);
  }
  table.AddRow({"executed", Plain(executed / steps, unit), Percent(1.0), "sum"});
  std::string text;
  AddLines(table, page_width, 2, text);
  return text;
}

std::string JsonFlop(const std::optional<Flop>& flop) {
  return flop.has_value() ? Decimal(*flop) : "null";
}

std::string JsonText(const std::string& text) { return text.empty() ? "null" : JsonQuote(text); }

std::string JsonRows(const std::vector<Difference>& rows) {
  std::string text = "[";
  for (const Difference& row : rows) {
    text += (text.size() == 1 ? "" : ", ") + std::string("{\"name\": ") + JsonQuote(row.name) +
            ", \"flop\": " + SignedDecimal(row.flop) + ", \"reason\": " + JsonText(row.reason) +
            "}";
  }
  return text + "]";
}

}  // namespace

std::string RenderComparison(const Comparison& comparison, size_t page_width) {
  const Unit unit =
      UnitFor(static_cast<double>(comparison.executed) / static_cast<double>(comparison.steps));
  std::string text = "model  " + comparison.per_step.config.source + ": " +
                     std::to_string(comparison.steps) + " steps of " +
                     std::to_string(comparison.per_step.batch.tokens()) + " tokens";
  if (comparison.tensor_parallel > 1) {
    text += ", products divided by " + std::to_string(comparison.tensor_parallel);
  }
  text += "\n" + Figures(comparison, unit, page_width) + "\n";
  if (comparison.estimate.has_value()) {
    text += Differences(comparison, unit, page_width);
  } else {
    text += "  no estimate by " + comparison.convention + ": " + comparison.missing + "\n";
  }
  for (const std::string& note : comparison.notes) text += "  " + note + "\n";
  return text;
}

std::string WithComparison(const std::string& run_json, const Comparison& comparison) {
  std::string text = run_json.substr(0, run_json.rfind('}'));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  text += ",\n  \"model\": {\"config\": " + JsonQuote(comparison.per_step.config.source) +
          ", \"steps\": " + std::to_string(comparison.steps) +
          ", \"tokens_per_step\": " + std::to_string(comparison.per_step.batch.tokens()) +
          ", \"training\": " + (comparison.is_training ? "true" : "false") +
          ", \"tensor_parallel\": " + std::to_string(comparison.tensor_parallel) +
          ", \"convention\": " + JsonQuote(comparison.convention) +
          ", \"flop_estimate\": " + JsonFlop(comparison.estimate) +
          ", \"missing\": " + JsonText(comparison.missing) +
          ", \"flop_executed\": " + Decimal(comparison.executed) + ",\n    \"conventions\": {";
  bool is_first = true;
  for (const estimate::ConventionFigure& figure : comparison.per_step.figures) {
    text += (is_first ? "" : ", ") + JsonQuote(std::string(figure.convention->name)) + ": " +
            JsonFlop(figure.estimate.flop);
    is_first = false;
  }
  text += "},\n    \"differences\": " + JsonRows(comparison.rows) +
          ",\n    \"unexplained\": " + SignedDecimal(comparison.unexplained) +
          ",\n    \"unexplained_parts\": " + JsonRows(comparison.unexplained_parts) +
          ",\n    \"parts\": [";
  is_first = true;
  for (const estimate::PartCount& part : comparison.parts) {
    text += (is_first ? "" : ", ") + std::string("{\"name\": ") + JsonQuote(part.name) +
            ", \"flop_expected\": " + JsonFlop(part.expected) +
            ", \"flop_executed\": " + Decimal(part.executed) +
            ", \"flop_recomputed\": " + Decimal(part.recomputed) +
            ", \"calls\": " + std::to_string(part.calls) + "}";
    is_first = false;
  }
  text += "],\n    \"notes\": [";
  is_first = true;
  for (const std::string& note : comparison.notes) {
    text += (is_first ? "" : ", ") + JsonQuote(note);
    is_first = false;
  }
  return text + "]}\n}\n";
}

}  // namespace mfutrace::report
