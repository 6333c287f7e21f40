#include "report/render/estimate.h"

#include <algorithm>
#include <map>

#include "report/render/json.h"
#include "report/render/table.h"
#include "report/render/units.h"

namespace mfutrace::report {
namespace {

using estimate::Component;
using estimate::Flop;
using estimate::ModelEstimate;
using estimate::Phase;

// One unit for a whole table, so that its rows can be compared by eye.
struct Unit {
  const char* name;
  double size;
};

Unit UnitFor(Flop largest) {
  const double value = static_cast<double>(largest);
  if (value >= 1e18) return {"PFLOP", 1e15};
  if (value >= 1e11) return {"TFLOP", 1e12};
  if (value >= 1e8) return {"GFLOP", 1e9};
  return {"MFLOP", 1e6};
}

std::string InUnit(const std::optional<Flop>& flop, const Unit& unit) {
  if (!flop.has_value()) return kUnknownText;
  return Fixed(static_cast<double>(*flop) / unit.size, 3);
}

std::string Share(const std::optional<Flop>& part, const std::optional<Flop>& whole) {
  if (!part.has_value() || !whole.has_value() || *whole == 0) return kUnknownText;
  return Percent(static_cast<double>(*part) / static_cast<double>(*whole));
}

std::string Ratio(const std::optional<Flop>& value, const std::optional<Flop>& exact) {
  if (!value.has_value() || !exact.has_value() || *exact == 0) return kUnknownText;
  return Fixed(static_cast<double>(*value) / static_cast<double>(*exact), 4);
}

// Weights: thousands, millions, billions, as model names have them.
std::string Count(const std::optional<Flop>& value) {
  if (!value.has_value()) return kUnknownText;
  const double number = static_cast<double>(*value);
  if (number >= 1e9) return Significant(number / 1e9) + " B";
  if (number >= 1e6) return Significant(number / 1e6) + " M";
  if (number >= 1e3) return Significant(number / 1e3) + " K";
  return Decimal(*value);
}

const char* PhaseName(Phase phase) {
  switch (phase) {
    case Phase::kTrain:
      return "training step";
    case Phase::kPrefill:
      return "prefill step";
    case Phase::kDecode:
      return "decode step";
  }
  return "step";
}

std::string Headline(const ModelEstimate& estimate) {
  const estimate::ModelConfig& config = estimate.config;
  std::string text = config.model_type.empty() ? "model" : config.model_type;
  text += ", " + std::to_string(config.layers.size()) + " layers, hidden size " +
          std::to_string(config.hidden);
  const estimate::Parameters& count = estimate.parameters;
  text += ", " + Count(count.total) + " parameters";
  if (count.total.has_value() && count.active != count.total) {
    text += " (" + Count(count.active) + " active)";
  }
  text += "\n" + std::string(PhaseName(estimate.phase)) + " of ";
  for (size_t i = 0; i < estimate.batch.sequences.size(); ++i) {
    const estimate::Sequences& one = estimate.batch.sequences[i];
    if (i != 0) text += " + ";
    text += std::to_string(one.count) + " x " + std::to_string(one.queries);
    if (one.context != one.queries) text += " after " + std::to_string(one.context - one.queries);
  }
  if (!estimate.batch.sequences.empty()) text += " = ";
  return text + std::to_string(estimate.batch.tokens()) + " tokens\n\n";
}

std::string ComponentTable(const ModelEstimate& estimate, const Unit& unit, size_t page_width) {
  const bool is_training = estimate.phase == Phase::kTrain;
  std::vector<Table::Column> columns = {{"part", Table::Align::kLeft}, {"weights"}};
  columns.push_back({std::string("forward ") + unit.name});
  if (is_training) columns.push_back({std::string("step ") + unit.name});
  columns.push_back({"share"});
  Table table(columns);
  const auto add = [&](const Component& part, const std::string& name) {
    std::vector<std::string> cells = {name, Count(part.weights), InUnit(part.forward_flop, unit)};
    if (is_training) cells.push_back(InUnit(part.model_flop, unit));
    cells.push_back(Share(ExactFlop(part, estimate.phase), ExactFlop(estimate)));
    table.AddRow(std::move(cells));
  };
  for (const Component& part : estimate.work.components) add(part, part.name);
  add(estimate.work.sum, "exact (causal, no recompute)");
  std::string text;
  for (const std::string& line : table.Lines(page_width, 0)) text += line + "\n";
  if (is_training && estimate.work.sum.executed_flop.has_value()) {
    text += "executed with flash attention's backward: " +
            InUnit(estimate.work.sum.executed_flop, unit) + " " + unit.name + "\n";
  }
  if (estimate.read_bytes.has_value()) {
    text += "vLLM's bytes: read " + Si(static_cast<double>(*estimate.read_bytes), "B") +
            ", written " + Si(static_cast<double>(*estimate.write_bytes), "B") +
            " (16-bit weights and cache, one GPU)\n";
  }
  return text;
}

std::string ConventionTable(const ModelEstimate& estimate, const Unit& unit, size_t page_width) {
  Table table({{"convention", Table::Align::kLeft},
               {unit.name},
               {"of exact"},
               {"what it counts", Table::Align::kLeft},
               {"source", Table::Align::kLeft}});
  std::map<std::string, std::string> unknown;  // reason -> names
  for (const estimate::ConventionFigure& figure : estimate.figures) {
    const std::string name(figure.convention->name);
    if (!figure.estimate.flop.has_value()) {
      std::string& names = unknown[figure.estimate.missing];
      names += (names.empty() ? "" : ", ") + name;
      continue;
    }
    table.AddRow({name, InUnit(figure.estimate.flop, unit),
                  Ratio(figure.estimate.flop, ExactFlop(estimate)),
                  std::string(figure.convention->what), std::string(figure.convention->source)});
  }
  std::string text;
  if (!table.empty()) {
    text += "\n";
    for (const std::string& line : table.Lines(page_width, 0)) text += line + "\n";
  }
  if (!unknown.empty()) text += "\n";
  for (const auto& [reason, names] : unknown) {
    text += "no figure by " + names + ": " + reason + "\n";
  }
  return text;
}

std::string JsonFlop(const std::optional<Flop>& flop) {
  return flop.has_value() ? Decimal(*flop) : "null";
}

std::string JsonText(const std::string& text) { return text.empty() ? "null" : JsonQuote(text); }

std::string JsonComponent(const Component& part, bool is_training) {
  std::string text = "{\"name\": " + JsonQuote(part.name) +
                     ", \"weights\": " + JsonFlop(part.weights) +
                     ", \"flop_forward\": " + JsonFlop(part.forward_flop);
  if (is_training) {
    text += ", \"flop_model\": " + JsonFlop(part.model_flop) +
            ", \"flop_executed\": " + JsonFlop(part.executed_flop);
  }
  return text + ", \"missing\": " + JsonText(part.missing) + "}";
}

}  // namespace

std::string RenderEstimate(const ModelEstimate& estimate, size_t page_width) {
  Flop largest = ExactFlop(estimate).value_or(0);
  for (const Component& part : estimate.work.components) {
    largest = std::max(largest, ExactFlop(part, estimate.phase).value_or(0));
  }
  const Unit unit = UnitFor(largest);
  std::string text = Headline(estimate) + ComponentTable(estimate, unit, page_width) +
                     ConventionTable(estimate, unit, page_width);
  const std::string& missing = estimate.work.sum.missing;
  if (!missing.empty()) text += "not told by the configuration: " + missing + "\n";
  if (!estimate.parameters.missing.empty()) {
    text += "no total of parameters: " + estimate.parameters.missing + "\n";
  }
  return text;
}

std::string RenderEstimateJson(const ModelEstimate& estimate) {
  const estimate::ModelConfig& config = estimate.config;
  const estimate::Parameters& count = estimate.parameters;
  const bool is_training = estimate.phase == Phase::kTrain;
  const char* phase = is_training                         ? "train"
                      : estimate.phase == Phase::kPrefill ? "prefill"
                                                          : "decode";
  std::string text =
      "{\n  \"schema\": 1,\n  \"model\": {\"model_type\": " + JsonText(config.model_type) +
      ", \"layers\": " + std::to_string(config.layers.size()) +
      ", \"hidden_size\": " + std::to_string(config.hidden) +
      ", \"dtype\": " + JsonText(config.dtype) + ", \"parameters\": " + JsonFlop(count.total) +
      ", \"parameters_active\": " + JsonFlop(count.active) +
      ", \"parameters_embedding\": " + Decimal(count.embedding) +
      ", \"missing\": " + JsonText(count.missing) + "},\n  \"phase\": \"" + phase +
      "\",\n  \"tokens\": " + std::to_string(estimate.batch.tokens()) + ",\n  \"components\": [";
  const char* separator = "\n    ";
  for (const Component& part : estimate.work.components) {
    text += separator + JsonComponent(part, is_training);
    separator = ",\n    ";
  }
  text += "\n  ],\n  \"exact\": " + JsonComponent(estimate.work.sum, is_training) +
          ",\n  \"conventions\": [";
  separator = "\n    ";
  for (const estimate::ConventionFigure& figure : estimate.figures) {
    text += separator + std::string("{\"name\": ") +
            JsonQuote(std::string(figure.convention->name)) +
            ", \"flop\": " + JsonFlop(figure.estimate.flop) +
            ", \"source\": " + JsonQuote(std::string(figure.convention->source)) +
            ", \"missing\": " + JsonText(figure.estimate.missing) + "}";
    separator = ",\n    ";
  }
  return text + "\n  ],\n  \"read_bytes\": " + JsonFlop(estimate.read_bytes) +
         ",\n  \"write_bytes\": " + JsonFlop(estimate.write_bytes) + "\n}\n";
}

}  // namespace mfutrace::report
