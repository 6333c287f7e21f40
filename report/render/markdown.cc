// Tables of GitHub's dialect.
#include "report/render/markdown.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "report/analyze/rates.h"
#include "report/render/html_text.h"
#include "report/render/units.h"

namespace mfutrace::report {
namespace {

constexpr size_t kOps = 10;
constexpr size_t kCommunicators = 5;
constexpr double kTera = 1e12;

// What would end a cell, or begin markup or a mention.
std::string Cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      escaped += ' ';
      continue;
    }
    if (std::string("|\\`*_<>[]#@~").find(c) != std::string::npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string Row(const std::vector<std::string>& cells) {
  std::string row = "|";
  for (const std::string& cell : cells) absl::StrAppend(&row, " ", Cell(cell), " |");
  return row + "\n";
}

// The first column on the left, the rest on the right.
std::string Head(const std::vector<std::string>& heads) {
  std::string rule = "|---|";
  for (size_t i = 1; i < heads.size(); ++i) rule += "--:|";
  return "\n" + Row(heads) + rule + "\n";
}

}  // namespace

std::string RenderMarkdown(const RunResult& result) {
  const WindowSummary& window = result.steady.has_value() ? *result.steady : result.run;
  std::string text = absl::StrCat("### ", Cell(result.title), "\n\n");
  absl::StrAppend(&text, "**MFU ", Percent(window.mfu), "**",
                  HidesKernels(window) ? " (lower bound)" : "");
  const std::optional<double> rate = PerSecond(window.flop.model, window.window_ns);
  if (rate.has_value()) absl::StrAppend(&text, ", ", Si(*rate, "FLOP/s"), " per GPU");
  if (window.peak_flop_per_s.has_value()) {
    absl::StrAppend(&text, " of ", Si(static_cast<double>(*window.peak_flop_per_s), "FLOP/s"));
  }
  absl::StrAppend(&text, "; ", result.devices, " × ",
                  Cell(result.gpu.empty() ? "GPU of unknown name" : result.gpu));
  if (result.steady.has_value()) {
    const auto steps =
        SummarizeSteps(result.steps, result.steady_first_step, result.steady_last_step);
    if (steps.has_value()) {
      absl::StrAppend(&text, "; step ", Duration(steps->median_ns), ", steps ",
                      result.steady_first_step, "–", result.steady_last_step);
    }
  }
  text += ".\n";
  if (!window.budget.empty()) {
    text += Head({"where the peak went", "strategy", "share"});
    for (const BudgetLine& line : window.budget) {
      text += Row({html::NameOfPart(line.name).label, line.strategy,
                   Percent(Ratio(line.ns, TimedNs(window)))});
    }
  }
  size_t shown = 0;
  for (const OpResult& op : result.ops) {
    if (op.kind == "collective" || shown == kOps) continue;
    if (shown++ == 0) text += Head({"operation", "calls", "GPU ms", "share", "TFLOP/s", "of peak"});
    const std::optional<double> flop_per_s = FlopPerSecond(op);
    text += Row({op.label, std::to_string(op.calls), Milliseconds(op.time_ns),
                 Percent(Ratio(op.time_ns, TimedNs(result.run))),
                 flop_per_s.has_value() ? Significant(*flop_per_s / kTera) : kUnknownText,
                 Percent(OfPeak(op))});
  }
  shown = 0;
  for (const CommunicatorResult& communicator : result.communicators) {
    if (communicator.ops.empty() || shown == kCommunicators) continue;
    if (shown++ == 0) {
      text += Head({"communicator", "strategy", "size", "GPU ms", "exposed ms", "waiting ms"});
    }
    text += Row({html::ShortName(communicator),
                 communicator.strategy.empty() ? kUnknownText : communicator.strategy,
                 std::to_string(communicator.size), Milliseconds(communicator.time_ns),
                 Milliseconds(communicator.exposed_ns), Milliseconds(communicator.wait_ns)});
  }
  const struct Quality& quality = result.quality;
  absl::StrAppend(&text, "\n", quality.dropped, " records dropped, ", quality.untimed, " untimed, ",
                  quality.damaged_files, " files damaged.\n");
  return text;
}

}  // namespace mfutrace::report
