// The answer, its course over the steps, and where the rest of the peak went.
#include <algorithm>
#include <array>
#include <map>

#include "absl/strings/str_cat.h"
#include "report/analyze/rates.h"
#include "report/render/html_sections.h"
#include "report/render/html_text.h"
#include "report/render/units.h"

namespace mfutrace::report::html {
namespace {

constexpr double kTera = 1e12;

std::string Tile(const std::string& head, const std::string& figure, const std::string& more,
                 std::string_view css = "") {
  return absl::StrCat("<div class=\"tile ", std::string(css), "\"><h3>", Escape(head),
                      "</h3><p class=figure>", Escape(figure), "</p><p>", Escape(more),
                      "</p></div>\n");
}

std::vector<Part> PartsOf(const std::vector<BudgetLine>& budget, int64_t window_ns,
                          bool by_strategy) {
  std::vector<Part> parts;
  for (const BudgetLine& line : budget) {
    const PartName name = NameOfPart(line.name);
    std::string label = name.label;
    if (by_strategy && line.name.rfind("exposed", 0) == 0) {
      label += line.strategy.empty() ? " (strategy unknown)" : " " + line.strategy;
    }
    const std::optional<double> share = Ratio(line.ns, window_ns);
    if (!by_strategy && !parts.empty() && parts.back().label == label) continue;
    parts.push_back({name.css, label, share.value_or(0), Percent(share)});
  }
  return parts;
}

std::string WhatIfs(const WindowSummary& window) {
  if (window.what_if.empty() || !window.mfu.has_value()) return "";
  std::string text;
  for (const WhatIf& what_if : window.what_if) {
    std::string label = what_if.name;
    if (what_if.name == "no_exposed") {
      label = "all " + (what_if.strategy.empty() ? "other" : what_if.strategy) +
              " communication were hidden";
    } else if (what_if.name == "slowest_at_median") {
      label = "nobody waited for the slowest rank";
    } else if (what_if.name == "kernels_at_roofline") {
      label = "counted kernels ran at their roofline";
    }
    absl::StrAppend(&text, "<li>if ", Escape(label), ": <b>", Percent(what_if.mfu), "</b>");
  }
  return "<h3>MFU if one thing were different</h3><ul class=plain>" + text +
         "</ul>\n<p class=note>Bounds of a first step: time saved in one place may be waited out "
         "in "
         "another.</p>\n";
}

std::string PeakText(const RunResult& result, const WindowSummary& window) {
  if (!window.peak_flop_per_s.has_value()) {
    return result.gpu.empty() ? "the GPU's name is unknown: no MFU"
                              : "no dense peak is known for " + result.gpu;
  }
  std::string text =
      "of " + Fixed(static_cast<double>(*window.peak_flop_per_s) / kTera, 1) + " TFLOP/s";
  if (window.peak_rate.has_value()) {
    text += ", " + std::string(shapes::NameOf(*window.peak_rate)) + " dense";
  }
  if (!window.peak_source.empty()) text += " (" + window.peak_source + ")";
  return text;
}

}  // namespace

const WindowSummary& Headline(const RunResult& result) {
  return result.steady.has_value() ? *result.steady : result.run;
}

std::string Summary(const RunResult& result) {
  const WindowSummary& window = Headline(result);
  const int64_t devices = std::max<int64_t>(result.devices, 1);
  std::string body = "<div class=tiles>\n";
  const bool is_impossible = window.mfu.value_or(0) > 1 || window.hfu.value_or(0) > 1;
  std::string mfu_note = "HFU " + Percent(window.hfu) + " (recomputation counted)";
  if (!window.flop.executed.has_value()) mfu_note = "the source has no shapes: FLOPs are unknown";
  if (HidesKernels(window) && window.mfu.has_value()) mfu_note = "a lower bound · " + mfu_note;
  body += Tile("MFU", Percent(window.mfu), mfu_note, is_impossible ? "bad" : "");
  const std::optional<double> rate = PerSecond(window.flop.model, window.window_ns);
  body += Tile("FLOP/s per GPU", rate.has_value() ? Si(*rate, "FLOP/s") : kUnknownText,
               PeakText(result, window));
  const std::optional<StepSummary> steps =
      result.steady.has_value()
          ? SummarizeSteps(result.steps, result.steady_first_step, result.steady_last_step)
          : std::nullopt;
  if (steps.has_value()) {
    body += Tile("Step", Duration(steps->median_ns),
                 "median of " + std::to_string(steps->window_count) + "; " +
                     Duration(steps->min_ns) + " to " + Duration(steps->max_ns));
  } else {
    body += Tile("Window", Duration(window.window_ns / devices),
                 "first to last intercepted work, mean over devices; no steady steps");
  }
  body += "</div>\n";
  if (is_impossible) {
    body += Paragraph(
        "More than 100 %: the peak is not this GPU's, or times or counts are wrong; see "
        "<a href=\"#coverage\">coverage and method</a>.",
        "bad");
  }
  if (HidesKernels(window)) {
    body += Paragraph(
        "FLOPs outside the intercepted libraries are not counted: MFU is a lower bound, exposed "
        "communication an upper bound (<a href=\"#coverage\">why</a>).",
        "note");
  }
  if (!window.budget.empty()) {
    const std::vector<Part> parts = PartsOf(window.budget, TimedNs(window), true);
    body += "<h3>Where the peak went</h3>\n" + StackedBar("Budget of the window", parts) +
            Legend(parts);
    body += Paragraph(
        Escape((result.steady.has_value() ? "Steps " + std::to_string(result.steady_first_step) +
                                                " to " + std::to_string(result.steady_last_step)
                                          : std::string("The whole run")) +
               ", " + std::to_string(devices) + (devices == 1 ? " device, " : " devices, ") +
               Duration(window.window_ns / devices) + " each. 100 % is the window."),
        "note");
  }
  return body + WhatIfs(window);
}

std::string Course(const RunResult& result) {
  if (result.course.empty()) return "";
  Table table("course-table", "Steps over all ranks",
              {{"step"},
               {"MFU median %"},
               {"MFU min %"},
               {"MFU max %"},
               {"step ms median"},
               {"step ms min"},
               {"step ms max"}});
  const auto percent = [&table](std::optional<double> ratio) {
    table.Plain(ratio.has_value() ? Fixed(*ratio * 100, 1) : kUnknownText);
  };
  const auto milliseconds = [&table](int64_t ns) { table.Plain(Milliseconds(ns)); };
  bool has_mfu = false;
  for (const CoursePoint& point : result.course) {
    table.Row();
    std::string name = std::to_string(point.first_step);
    if (point.last_step != point.first_step) name += "–" + std::to_string(point.last_step);
    table.Plain(name);
    percent(point.mfu_median);
    percent(point.mfu_min);
    percent(point.mfu_max);
    milliseconds(point.step_median_ns);
    milliseconds(point.step_min_ns);
    milliseconds(point.step_max_ns);
    has_mfu = has_mfu || point.mfu_median.has_value();
  }
  std::string attributes;
  if (result.steady.has_value()) {
    attributes = absl::StrCat(" data-first=", result.steady_first_step,
                              " data-last=", result.steady_last_step);
  }
  return absl::StrCat(
      "<div class=chart><canvas id=course-chart", attributes,
      " role=img aria-label=\"MFU and step time over the steps; the figures are in the table "
      "below\"></canvas></div>\n",
      Paragraph(absl::StrCat(has_mfu ? "Line: median over ranks. Band: from the lowest to the "
                                       "highest rank. Grey: warm-up. "
                                     : "MFU of single steps is not known. ",
                             "Thin line: median step time."),
                "note"),
      "<details><summary>", result.course.size(), " steps as a table</summary>", table.Finish(),
      "</details>\n");
}

std::string Budget(const RunResult& result) {
  const WindowSummary& window = Headline(result);
  std::string body;
  const auto row = [&body](const std::string& name, const std::string& note,
                           const std::vector<Part>& parts) {
    absl::StrAppend(&body, "<div class=row><div class=rowname>", Escape(name), "<small>",
                    Escape(note), "</small></div><div>", StackedBar(name, parts), Legend(parts),
                    "</div></div>\n");
  };
  for (const StrategyTimes& strategy : TimesByStrategy(result.communicators)) {
    if (strategy.time_ns <= 0) continue;
    std::vector<Part> parts;
    const auto add = [&](const char* css, const char* label, int64_t ns) {
      const std::optional<double> share = Ratio(ns, strategy.time_ns);
      if (ns > 0) parts.push_back({css, label, share.value_or(0), Percent(share)});
    };
    add("p-hidden", "hidden by compute", strategy.time_ns - strategy.exposed_ns);
    if (strategy.exposed_wait_ns.has_value()) {
      add("p-wait", "exposed waiting", *strategy.exposed_wait_ns);
      add("p-transfer", "exposed transfer", strategy.exposed_ns - *strategy.exposed_wait_ns);
    } else {
      add("p-transfer", "exposed", strategy.exposed_ns);
    }
    row(strategy.strategy.empty() ? "strategy unknown" : strategy.strategy,
        std::to_string(strategy.communicators) +
            (strategy.communicators == 1 ? " communicator, " : " communicators, ") +
            Percent(Ratio(strategy.time_ns, TimedNs(result.run))) + " of the run",
        parts);
  }
  Table table(
      "budget-table", "Budget, whole run and steady steps",
      {{"part", false}, {"strategy", false}, {"steady ms"}, {"steady %"}, {"run ms"}, {"run %"}});
  std::map<std::pair<std::string, std::string>, std::pair<int64_t, int64_t>> lines;
  std::vector<std::pair<std::string, std::string>> order;
  const auto note = [&](const std::vector<BudgetLine>& budget, bool is_steady) {
    for (const BudgetLine& line : budget) {
      const auto [found, is_new] = lines.try_emplace({line.name, line.strategy});
      if (is_new) order.emplace_back(line.name, line.strategy);
      (is_steady ? found->second.first : found->second.second) = line.ns;
    }
  };
  if (result.steady.has_value()) note(result.steady->budget, true);
  note(result.run.budget, false);
  for (const auto& key : order) {
    const auto& [steady_ns, run_ns] = lines[key];
    table.Row();
    table.Text(NameOfPart(key.first).label);
    table.Text(key.second.empty() ? "" : key.second);
    const auto figure = [&](int64_t ns, const WindowSummary* of) {
      if (of == nullptr) {
        table.Number(kUnknownText, std::nullopt);
        table.Number(kUnknownText, std::nullopt);
        return;
      }
      table.Number(Milliseconds(ns), static_cast<double>(ns));
      const std::optional<double> share = Ratio(ns, TimedNs(*of));
      table.Number(share.has_value() ? Fixed(*share * 100, 2) : kUnknownText, share);
    };
    figure(steady_ns, result.steady.has_value() ? &*result.steady : nullptr);
    figure(run_ns, &result.run);
  }
  if (!body.empty()) {
    body = "<h3>Communication by strategy</h3>\n" + body +
           Paragraph(
               "100 % is the time communicators of a strategy were active, over all ranks; "
               "strategies are inferred, the evidence stands under "
               "<a href=\"#communication\">communication</a>.",
               "note");
  }
  if (table.empty()) return body;
  std::string meanings;
  for (const BudgetLine& line : window.budget) {
    const PartName name = NameOfPart(line.name);
    if (name.meaning.empty() || meanings.find(">" + name.label + "<") != std::string::npos)
      continue;
    absl::StrAppend(&meanings, "<dt><span class=\"key ", name.css, "\"></span><span>",
                    Escape(name.label), "</span><dd>", Escape(name.meaning));
  }
  return body + "<details open><summary>All parts, summed over devices</summary>" + table.Finish() +
         "<dl class=meanings>" + meanings + "</dl></details>\n";
}

std::string Precision(const RunResult& result) {
  const FlopSums& flop = Headline(result).flop;
  if (!flop.executed.has_value() || *flop.executed == 0) return "";
  static constexpr std::array<const char*, 6> kColors = {"c-1", "c-2", "c-3", "c-4", "c-5", "c-6"};
  const auto whole = static_cast<double>(*flop.executed);
  std::vector<std::pair<std::string, Flop>> order;
  for (const auto& [rate, sum] : flop.executed_by_rate) {
    order.emplace_back(std::string(shapes::NameOf(rate)), sum);
  }
  if (flop.executed_without_rate > 0) {
    order.emplace_back("formats without a peak", flop.executed_without_rate);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<Part> parts;
  Table table("precision-table", "Executed FLOPs by the rate they are measured against",
              {{"format", false}, {"FLOPs"}, {"share %"}});
  for (size_t i = 0; i < order.size(); ++i) {
    const double sum = static_cast<double>(order[i].second);
    parts.push_back({kColors[std::min(i, kColors.size() - 1)], order[i].first, sum / whole,
                     Percent(sum / whole)});
    table.Row();
    table.Text(order[i].first);
    table.Number(Si(sum, "FLOP"), sum);
    table.Number(Fixed(sum / whole * 100, 2), sum / whole);
  }
  std::string body = StackedBar("Executed FLOPs by format", parts) + Legend(parts) + table.Finish();
  const auto has = [&](shapes::PeakRate rate) {
    const auto found = flop.executed_by_rate.find(rate);
    return found != flop.executed_by_rate.end() && found->second > 0;
  };
  if (has(shapes::PeakRate::kF32)) {
    body += Paragraph("Some products run in plain f32, outside the tensor cores.", "note");
  }
  return body;
}

}  // namespace mfutrace::report::html
