// Lays out the terminal report. Sections are functions that append lines; none of them computes.
#include "report/render/terminal.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "report/analyze/rates.h"
#include "report/render/serving.h"
#include "report/render/table.h"
#include "report/render/terminal_tables.h"
#include "report/render/units.h"

namespace mfutrace::report {
namespace {

constexpr size_t kLabelColumns = 13;
constexpr size_t kPageLines = 40;
constexpr size_t kBarCells = 34;
constexpr double kTera = 1e12;

std::string Text(std::string_view view) { return std::string(view); }

// Rows of each table.
struct Limits {
  size_t ops = 12;
  size_t communicators = 4;
  size_t ranks = 4;
  size_t notes = 4;
  size_t other_kernels = 4;

  // One row less where it hurts least; false if every table is at its smallest.
  bool Shrink() {
    if (ops > 7) return --ops, true;
    if (ranks > 3) return --ranks, true;
    if (other_kernels > 3) return --other_kernels, true;
    if (communicators > 3) return --communicators, true;
    if (notes > 2) return --notes, true;
    if (ops > 5) return --ops, true;
    if (other_kernels > 2) return --other_kernels, true;
    if (communicators > 2) return --communicators, true;
    if (notes > 1) return --notes, true;
    if (ranks > 2) return --ranks, true;
    if (other_kernels > 1) return --other_kernels, true;
    if (ops > 3) return --ops, true;
    return false;
  }
};

// "400.0–412.6 ms": the unit once where both have the same.
std::string DurationRange(int64_t min_ns, int64_t max_ns) {
  std::string from = Duration(min_ns);
  const std::string to = Duration(max_ns);
  const size_t unit = from.find(' ');
  if (from.substr(unit) == to.substr(to.find(' '))) from.resize(unit);
  return from + "–" + to;
}

// Bytes of the words of `text` that fit into `width` columns; all of it where no word ends in time.
size_t BreakAt(const std::string& text, size_t width) {
  if (DisplayWidth(text) <= width) return text.size();
  size_t best = text.size();
  for (size_t space = text.find(' '); space != std::string::npos;
       space = text.find(' ', space + 1)) {
    if (DisplayWidth(text.substr(0, space)) > width) break;
    best = space;
  }
  return best;
}

class Page {
 public:
  Page(const RunResult& result, const TerminalOptions& options, const Limits& limits)
      : result_(result),
        options_(options),
        limits_(limits),
        window_(result.steady.has_value() ? *result.steady : result.run) {}

  std::string Render() {
    Headline();
    if (Wants(kSummary)) Summary();
    if (Wants(kBudget)) Budget();
    const size_t width = options_.page_width;
    if (Wants(kOps)) Rows(OpLines(result_, limits_.ops, width));
    if (Wants(kOps)) Rows(OtherKernelLines(result_, limits_.other_kernels, width));
    if (Wants(kServing)) Rows(ServingLines(result_, width));
    if (Wants(kExperts)) Rows(ExpertLines(result_, width));
    if (Wants(kComm)) Rows(CommunicationLines(result_, limits_.communicators, width));
    // One device is already told in full by the budget.
    const bool is_told = result_.ranks.size() == 1 && Wants(kBudget);
    if (Wants(kRanks) && !is_told) Rows(RankLines(result_, limits_.ranks, width));
    if (Wants(kQuality)) Quality();
    return std::move(text_);
  }

 private:
  bool Wants(Section section) const { return (options_.sections & section) != 0; }

  void Line(const std::string& line) {
    text_ += Cut(line, options_.page_width);
    text_ += '\n';
  }

  // A label, and text beside it in at most two lines.
  void Labelled(const std::string& label, const std::string& rest, const char* color = "") {
    const bool is_colored = options_.use_color && *color != '\0';
    const size_t width = options_.page_width - kLabelColumns;
    std::string head = "  " + Bold(PadRight(label, kLabelColumns - 2));
    std::string left = rest;
    for (int line = 0; line < 2 && !left.empty(); ++line) {
      const size_t bytes = line == 0 ? BreakAt(left, width) : left.size();
      const std::string body = Cut(left.substr(0, bytes), width);
      text_ += head + (is_colored ? color + body + "\033[0m" : body) + "\n";
      left.erase(0, std::min(left.size(), left.find_first_not_of(' ', bytes)));
      head = std::string(kLabelColumns, ' ');
    }
  }

  std::string Bold(const std::string& text) const {
    return options_.use_color ? "\033[1m" + text + "\033[0m" : text;
  }

  void Headline();
  void Summary();
  std::string StepsText() const;
  std::string RateText(const std::optional<Flop>& flop) const;
  std::string PeakText() const;
  void Utilization();
  void ImpossibleLine();
  void StepLine();
  void SeenLines();
  void Budget();
  void BudgetLine(std::optional<int64_t> ns, const std::string& what, double& at);
  void Rows(const std::vector<std::string>& lines);
  void Quality();
  void OwnLines();

  const RunResult& result_;
  const TerminalOptions& options_;
  const Limits& limits_;
  const WindowSummary& window_;
  std::string text_;
};

std::string Page::StepsText() const {
  if (!result_.steady.has_value()) {
    return result_.steps_found_by.empty() ? "no steps found: whole run"
                                          : "too few steps for a steady part";
  }
  const uint32_t first = result_.steady_first_step;
  const uint32_t last = result_.steady_last_step;
  std::string text = "steps " + std::to_string(first) + "–" + std::to_string(last) + " (" +
                     std::to_string(last - first + 1);
  if (first > 0) {
    text += ", warm-up 0";
    if (first > 1) text += "–" + std::to_string(first - 1);
    text += " skipped";
  }
  return text + ")";
}

void Page::Headline() {
  std::string facts;
  const auto add = [&facts](const std::string& fact) { facts += "   " + fact; };
  if (!result_.gpu.empty()) {
    add(std::to_string(result_.devices) + " × " + result_.gpu);
  } else {
    add(std::to_string(result_.devices) + (result_.devices == 1 ? " device" : " devices"));
  }
  if (result_.world_size > 0) add("world " + std::to_string(result_.world_size));
  add(StepsText());
  const size_t used = DisplayWidth(facts);
  const size_t room = options_.page_width > used + 16 ? options_.page_width - used : 16;
  const std::string title = Cut(result_.title, room);
  text_ += Bold(title) + Cut(facts, options_.page_width - DisplayWidth(title)) + "\n";
}

// "376.7 TFLOP/s per GPU", or why there is none.
std::string Page::RateText(const std::optional<Flop>& flop) const {
  if (!flop.has_value()) return "FLOPs unknown: the source has no shapes";
  const std::optional<double> rate = PerSecond(flop, window_.window_ns);
  if (!rate.has_value()) return Si(static_cast<double>(*flop), "FLOP") + ", window unknown";
  // TFLOP/s where that says something, whatever comes above it: peaks are told in them.
  return (*rate >= kTera / 10 ? Fixed(*rate / kTera, 1) + " TFLOP/s" : Si(*rate, "FLOP/s")) +
         " per GPU";
}

std::string Page::PeakText() const {
  if (!window_.peak_flop_per_s.has_value()) {
    if (!window_.flop.executed.has_value()) return "-";
    if (result_.gpu.empty()) return "-  the GPU's name is unknown: FLOP/s and no MFU";
    return "-  no dense peak is known for \"" + result_.gpu + "\": FLOP/s and no MFU";
  }
  std::string text =
      Fixed(static_cast<double>(*window_.peak_flop_per_s) / kTera, 1) + " TFLOP/s per GPU, ";
  if (window_.peak_rate.has_value()) text += Text(shapes::NameOf(*window_.peak_rate)) + " ";
  text += "dense";
  if (!window_.peak_source.empty()) text += "   (" + window_.peak_source + ")";
  return text;
}

// What cannot be is shown with its reason, never clipped.
void Page::ImpossibleLine() {
  const bool is_impossible = window_.hfu.value_or(0) > 1 || window_.mfu.value_or(0) > 1;
  if (!is_impossible) return;
  Labelled("",
           "more than 100 %: the peak is not this GPU's, or times or counts are wrong; see quality",
           "\033[31m");
}

void Page::Summary() {
  Line("");
  if (window_.flop.executed.has_value()) {
    Utilization();
  } else {
    Labelled("MFU", PadRight(kUnknownText, 10) + "FLOPs are unknown: the source has no shapes");
  }
  StepLine();
  if (window_.flop.executed.has_value()) SeenLines();
}

// Says lower bound wherever FLOPs can hide.
void Page::SeenLines() {
  if (window_.coverage.has_value()) {
    Labelled("seen", PadRight(Percent(CoveredShare(*window_.coverage)), 10) +
                         "of kernel time is in operations whose FLOPs are counted");
    return;
  }
  if (!HidesKernels(window_)) return;
  if (!window_.split.compute_ns.has_value()) {
    Labelled("seen", PadRight(kUnknownText, 10) + "intercepted libraries alone, without GPU times");
  } else {
    Labelled("seen",
             PadRight(Percent(Ratio(window_.split.compute_ns, window_.split.window_ns)), 10) +
                 "of the time computes in intercepted libraries");
  }
  Labelled("", PadRight("", 10) + "FLOPs outside them are not counted: MFU is a lower bound");
}

void Page::Utilization() {
  const char* warn = window_.mfu.value_or(0) > 1 ? "\033[31m" : "\033[1m";
  Labelled("MFU",
           PadRight(Percent(window_.mfu), 10) + RateText(window_.flop.model) +
               "   model FLOPs over dense peak",
           warn);
  Labelled("HFU", PadRight(Percent(window_.hfu), 10) + RateText(window_.flop.executed) +
                      "   executed FLOPs, recomputation counted");
  Labelled("peak", PeakText());
  if (window_.mfu_of_measured.has_value() && window_.measured_flop_per_s.has_value()) {
    Labelled("of measured",
             PadRight(Percent(window_.mfu_of_measured), 10) +
                 Fixed(static_cast<double>(*window_.measured_flop_per_s) / kTera, 1) +
                 " TFLOP/s that dense products reached on this chip (" + window_.measured_source +
                 ")");
  }
  // Formats that change the figure; a stray f32 product does not.
  if (window_.mfu_single_peak.has_value() &&
      Percent(window_.mfu) != Percent(window_.mfu_single_peak)) {
    std::string mix;
    for (const auto& [rate, flop] : window_.flop.model_by_rate) {
      mix += (mix.empty() ? "" : ", ") + Text(shapes::NameOf(rate)) + " " +
             Si(static_cast<double>(flop), "FLOP");
    }
    Labelled("", "each format against its own peak (" + mix +
                     "); all against the one above: " + Percent(window_.mfu_single_peak));
  }
  if (window_.flop.executed_without_rate > 0) {
    Labelled("", Si(static_cast<double>(window_.flop.executed_without_rate), "FLOP") +
                     " in formats without a known peak are in FLOP/s, not in MFU");
  }
  if (window_.flop.executed_bound > 0) {
    Labelled("", Percent(BoundShare(window_.flop)) +
                     " of the executed FLOPs are upper bounds (≤): lengths or masks not known");
  }
  const std::optional<AttentionRecompute>& attention = result_.attention_recompute;
  if (attention.has_value() && attention->recomputed_calls > 0) {
    Labelled("", "of " + std::to_string(attention->forward_calls) + " attention forwards " +
                     std::to_string(attention->recomputed_calls) + " are recompute: " +
                     Si(static_cast<double>(attention->flop), "FLOP") + " in HFU, not in MFU");
  }
  ImpossibleLine();
}

void Page::StepLine() {
  const std::optional<StepSummary> steps =
      result_.steady.has_value()
          ? SummarizeSteps(result_.steps, result_.steady_first_step, result_.steady_last_step)
          : std::nullopt;
  if (steps.has_value()) {
    std::string text = PadRight(Duration(steps->median_ns), 10) + "median of " +
                       std::to_string(steps->window_count) + " (" +
                       DurationRange(steps->min_ns, steps->max_ns) + ")";
    if (steps->flop_model.has_value()) {
      text += "   " + Si(static_cast<double>(*steps->flop_model), "FLOP") + " per GPU, " +
              (steps->is_flop_equal ? "the same in every step" : "mean: steps differ");
    }
    Labelled("step", text);
  } else {
    Labelled("window", PadRight(Duration(result_.devices > 0 ? window_.window_ns / result_.devices
                                                             : window_.window_ns),
                                10) +
                           "first to last intercepted work, mean over devices");
  }
}

void Page::BudgetLine(std::optional<int64_t> ns, const std::string& what, double& at) {
  static constexpr std::array<const char*, 9> kEighths = {"",  "▏", "▎", "▍", "▌",
                                                          "▋", "▊", "▉", "█"};
  const double share = Ratio(ns, window_.split.window_ns).value_or(0);
  const size_t begin = static_cast<size_t>(std::lround(at * kBarCells));
  const size_t eighths = static_cast<size_t>(std::lround(share * kBarCells * 8));
  std::string bar(begin, ' ');
  for (size_t i = 0; i < eighths / 8; ++i) bar += kEighths[8];
  bar += kEighths[eighths % 8];
  at += share;
  const int64_t devices = std::max<int64_t>(result_.devices, 1);
  const std::optional<int64_t> mean_ns =
      ns.has_value() ? std::optional<int64_t>(*ns / devices) : std::nullopt;
  Line("  " + PadRight(bar, kBarCells + 2) +
       PadLeft(Percent(Ratio(ns, window_.split.window_ns)), 8) +
       PadLeft(mean_ns.has_value() ? Milliseconds(mean_ns) + " ms" : kUnknownText, 14) + "  " +
       what);
}

void Page::Budget() {
  Line("");
  const std::string window_name = result_.steady.has_value() ? "steady window" : "whole run";
  const int64_t devices = std::max<int64_t>(result_.devices, 1);
  Line("  " + Bold("where the time went") + "   " + window_name + ", " +
       (devices == 1 ? "one device" : "mean of " + std::to_string(devices) + " devices") + ", " +
       Duration(window_.split.window_ns / devices));
  const TimeSplit& split = window_.split;
  if (!split.compute_ns.has_value() && !split.comm_ns.has_value()) {
    Line("  unknown: no GPU times" +
         (result_.timing_reason.empty() ? "" : " (" + result_.timing_reason + ")"));
    return;
  }
  const bool hides = HidesKernels(window_);
  double at = 0;
  BudgetLine(split.compute_only_ns, hides ? "compute only (lower bound)" : "compute only", at);
  BudgetLine(split.overlapped_ns, "communication hidden by compute", at);
  BudgetLine(split.exposed_ns,
             hides ? "communication exposed (upper bound)" : "communication exposed", at);
  BudgetLine(split.mem_only_ns,
             split.mem_only_ns.has_value() ? "memory copies only" : "memory copies (not seen)", at);
  if (split.idle_ns.has_value()) BudgetLine(split.idle_ns, "idle", at);
  if (split.unattributed_ns.has_value() &&
      (*split.unattributed_ns != 0 || !split.idle_ns.has_value())) {
    BudgetLine(split.unattributed_ns, "unattributed: idle or not seen", at);
  }
}

void Page::Rows(const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  Line("");
  for (size_t i = 0; i < lines.size(); ++i) text_ += (i == 0 ? Bold(lines[i]) : lines[i]) + "\n";
}

// What part of the run was timed, and what mfutrace itself costs.
void Page::OwnLines() {
  if (result_.sampling.has_value()) {
    const SamplingResult& sampling = *result_.sampling;
    Labelled("", "timed " + Percent(Ratio(sampling.timed_ns, sampling.run_ns)) +
                     " of the run, in " + std::to_string(sampling.windows) + " windows (" +
                     sampling.asked +
                     "): times and shares are of those; FLOPs and calls of everything");
    if (sampling.timed_calls_per_s.has_value() && sampling.untimed_calls_per_s.has_value()) {
      std::string cost = sampling.cost_ratio.has_value()
                             ? "timing costs " + Percent(sampling.cost_ratio) + " of it"
                             : "too few windows to tell what timing costs";
      Labelled("", "pace " + Fixed(*sampling.timed_calls_per_s, 0) + " calls/s timed, " +
                       Fixed(*sampling.untimed_calls_per_s, 0) + " untimed: " + cost);
    }
  }
  if (!result_.own_cost.has_value()) return;
  const OwnCostResult& own = *result_.own_cost;
  std::string text = "own cost";
  if (own.ns_per_call.has_value()) text += " " + Fixed(*own.ns_per_call, 0) + " ns a call,";
  text += " flusher " + Percent(own.flusher_share) + " of a core";
  if (own.event_gpu_ns.has_value()) {
    text += ", a timing event " + std::to_string(*own.event_gpu_ns) + " ns of GPU time";
  }
  Labelled("", text);
}

void Page::Quality() {
  const struct Quality& quality = result_.quality;
  Line("");
  Labelled("quality", std::to_string(quality.dropped) + " dropped · " +
                          std::to_string(quality.untimed) + " untimed · " +
                          std::to_string(quality.captured) + " captured · " +
                          std::to_string(quality.damaged_files) + " files damaged");
  std::string known;
  for (const auto& [provenance, share] : CallShareByProvenance(result_.ops)) {
    known += (known.empty() ? "calls known by " : ", ") +
             (provenance.empty() ? std::string("nothing") : provenance) + " " + Percent(share);
  }
  if (!result_.steps_found_by.empty()) {
    known += (known.empty() ? "" : " · ") + ("steps found by " + result_.steps_found_by);
  }
  if (!known.empty()) Labelled("", known);
  std::string timing =
      "timing " + (result_.timing.empty() ? std::string(kUnknownText) : result_.timing);
  if (!result_.timing_reason.empty()) timing += " (" + result_.timing_reason + ")";
  Labelled("", timing);
  OwnLines();
  if (window_.coverage.has_value()) {
    std::string coverage;
    for (const auto& [provenance, share] : *window_.coverage) {
      coverage += (coverage.empty() ? "FLOPs of kernel time known by " : ", ") + provenance + " " +
                  Percent(share);
    }
    Labelled("", coverage);
  }
  std::vector<std::string> notes = quality.notes;
  for (const auto& [name, value] : quality.counters) {
    notes.push_back(name + " " + std::to_string(value));
  }
  const size_t shown = RowsShown(notes.size(), limits_.notes);
  for (size_t i = 0; i < shown; ++i) Labelled("", notes[i]);
  if (shown < notes.size()) {
    Labelled("", "… " + std::to_string(notes.size() - shown) +
                     " more notes: mfutrace report --only quality");
  }
}

}  // namespace

std::optional<Section> SectionNamed(absl::string_view name) {
  if (name == "summary") return kSummary;
  if (name == "budget") return kBudget;
  if (name == "ops") return kOps;
  if (name == "comm") return kComm;
  if (name == "ranks") return kRanks;
  if (name == "quality") return kQuality;
  if (name == "serving") return kServing;
  if (name == "experts") return kExperts;
  return std::nullopt;
}

std::string RenderTerminal(const RunResult& result, const TerminalOptions& options) {
  Limits limits;
  if (options.top.has_value()) {
    limits = {*options.top, *options.top, *options.top, *options.top, *options.top};
  } else if (options.sections != kAllSections) {
    limits = {SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX};
  }
  std::string text = Page(result, options, limits).Render();
  if (options.top.has_value() || options.sections != kAllSections) return text;
  while (std::count(text.begin(), text.end(), '\n') > static_cast<int64_t>(kPageLines) &&
         limits.Shrink()) {
    text = Page(result, options, limits).Render();
  }
  return text;
}

std::string RenderHta(const RunResult& result, const TerminalOptions& options) {
  Table table({{"as HTA counts", Table::Align::kLeft},
               {"span us"},
               {"compute us"},
               {"comm us"},
               {"overlap us"},
               {"overlap %"},
               {"non-compute us"},
               {"idle us"}});
  for (size_t i = 0; i < result.compat_hta.size(); ++i) {
    const HtaCompat& hta = result.compat_hta[i];
    table.AddRow({std::to_string(i) + (hta.steps.empty() ? "" : " " + hta.steps),
                  std::to_string(hta.span_us), std::to_string(hta.compute_us),
                  std::to_string(hta.comm_us), std::to_string(hta.overlap_us),
                  hta.overlap_pct.has_value() ? Fixed(*hta.overlap_pct, 2) : kUnknownText,
                  std::to_string(hta.non_compute_us), std::to_string(hta.idle_us)});
  }
  std::string text;
  for (const std::string& line : table.Lines(options.page_width, 2)) text += line + "\n";
  return text;
}

}  // namespace mfutrace::report
