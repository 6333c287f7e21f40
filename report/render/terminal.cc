// Lays out the terminal report. Sections are functions that append lines; none of them computes.
#include "report/render/terminal.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include "report/analyze/rates.h"
#include "report/render/table.h"
#include "report/render/units.h"

namespace mfutrace::report {
namespace {

constexpr size_t kIndent = 2;
constexpr size_t kDefaultOps = 8;
constexpr size_t kDefaultCommunicators = 4;
constexpr size_t kDefaultRanks = 4;
constexpr size_t kDefaultNotes = 4;
constexpr size_t kBarCells = 36;
constexpr double kTera = 1e12;

std::string Text(std::string_view view) { return std::string(view); }

class Page {
 public:
  Page(const RunResult& result, const TerminalOptions& options)
      : result_(result),
        options_(options),
        window_(result.steady.has_value() ? *result.steady : result.run) {}

  std::string Render() {
    Headline();
    if (Wants(kSummary)) Summary();
    if (Wants(kBudget)) Budget();
    if (Wants(kOps)) Ops();
    if (Wants(kComm)) Communication();
    if (Wants(kRanks)) Ranks();
    if (Wants(kQuality)) Quality();
    return std::move(text_);
  }

 private:
  bool Wants(Section section) const { return (options_.sections & section) != 0; }

  size_t RowLimit(size_t by_default) const {
    if (options_.top.has_value()) return *options_.top;
    return options_.sections == kAllSections ? by_default : SIZE_MAX;
  }

  void Line(const std::string& line) {
    text_ += Cut(line, options_.page_width);
    text_ += '\n';
  }

  // A line whose label is set off by colour; the label is padded to the common column.
  void Labelled(const std::string& label, const std::string& rest, const char* color = "") {
    const std::string body = Cut(rest, options_.page_width - kIndent - 11);
    const bool is_colored = options_.use_color && *color != '\0';
    text_ += "  " + Bold(PadRight(label, 11)) + (is_colored ? color + body + "\033[0m" : body);
    text_ += '\n';
  }

  std::string Bold(const std::string& text) const {
    return options_.use_color ? "\033[1m" + text + "\033[0m" : text;
  }

  void Lines(const std::vector<std::string>& lines) {
    for (size_t i = 0; i < lines.size(); ++i) text_ += (i == 0 ? Bold(lines[i]) : lines[i]) + "\n";
  }

  void Headline();
  void Summary();
  std::string StepsText() const;
  std::string RateText(const std::optional<Flop>& flop) const;
  std::string PeakText() const;
  void ImpossibleLine();
  void Budget();
  void BudgetLine(std::optional<int64_t> ns, const std::string& what, double& at);
  void Ops();
  void Communication();
  void Ranks();
  void Quality();

  const RunResult& result_;
  const TerminalOptions& options_;
  const WindowSummary& window_;
  std::string text_;
};

std::string Page::StepsText() const {
  if (!result_.steady.has_value()) {
    return result_.steps_found_by.empty() ? "no steps found: whole run" : "whole run";
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
  text += result_.steps_found_by == "marks" ? "; marked" : "; found by " + result_.steps_found_by;
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
  return Fixed(*rate / kTera, 1) + " TFLOP/s per GPU";
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
  const char* warn = window_.mfu.value_or(0) > 1 ? "\033[31m" : "\033[1m";
  Labelled("MFU",
           PadRight(Percent(window_.mfu), 10) + RateText(window_.flop.model) +
               "   model FLOPs over dense peak",
           warn);
  Labelled("HFU", PadRight(Percent(window_.hfu), 10) + RateText(window_.flop.executed) +
                      "   executed FLOPs, recomputation counted");
  Labelled("peak", PeakText());
  if (window_.flop.model_by_rate.size() > 1 && window_.mfu.has_value()) {
    std::string mix;
    for (const auto& [rate, flop] : window_.flop.model_by_rate) {
      mix += (mix.empty() ? "" : ", ") + Text(shapes::NameOf(rate)) + " " +
             Si(static_cast<double>(flop), "FLOP");
    }
    Labelled("", "each format against its own peak: " + mix +
                     "; all against the one above: " + Percent(window_.mfu_single_peak));
  }
  if (window_.flop.executed_without_rate > 0) {
    Labelled("", Si(static_cast<double>(window_.flop.executed_without_rate), "FLOP") +
                     " in formats without a known peak are in FLOP/s, not in MFU");
  }
  ImpossibleLine();
  const std::optional<StepSummary> steps =
      result_.steady.has_value()
          ? SummarizeSteps(result_.steps, result_.steady_first_step, result_.steady_last_step)
          : std::nullopt;
  if (steps.has_value()) {
    std::string text = PadRight(Duration(steps->median_ns), 10) + "median of " +
                       std::to_string(steps->window_count) + " (" + Duration(steps->min_ns) +
                       " – " + Duration(steps->max_ns) + ")";
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
  if (HidesKernels(window_) && window_.flop.executed.has_value()) {
    Labelled("seen", PadRight(Percent(Ratio(window_.split.compute_ns, window_.window_ns)), 10) +
                         "of the time computing in intercepted libraries; other kernels are not "
                         "seen:");
    Labelled("", "          MFU is a lower bound");
  }
}

void Page::BudgetLine(std::optional<int64_t> ns, const std::string& what, double& at) {
  static constexpr std::array<const char*, 9> kEighths = {"",  "▏", "▎", "▍", "▌",
                                                          "▋", "▊", "▉", "█"};
  const double share = Ratio(ns, window_.window_ns).value_or(0);
  const size_t begin = static_cast<size_t>(std::lround(at * kBarCells));
  const size_t eighths = static_cast<size_t>(std::lround(share * kBarCells * 8));
  std::string bar(begin, ' ');
  for (size_t i = 0; i < eighths / 8; ++i) bar += kEighths[8];
  bar += kEighths[eighths % 8];
  at += share;
  const int64_t devices = std::max<int64_t>(result_.devices, 1);
  const std::optional<int64_t> mean_ns =
      ns.has_value() ? std::optional<int64_t>(*ns / devices) : std::nullopt;
  Line("  " + PadRight(bar, kBarCells + 2) + PadLeft(Percent(Ratio(ns, window_.window_ns)), 8) +
       PadLeft(Milliseconds(mean_ns), 12) + " ms  " + what);
}

void Page::Budget() {
  Line("");
  const std::string window_name = result_.steady.has_value() ? "steady window" : "whole run";
  const int64_t devices = std::max<int64_t>(result_.devices, 1);
  Line("  " + Bold("where the time went") + "   " + window_name + ", " +
       (devices == 1 ? "one device" : "mean of " + std::to_string(devices) + " devices") + ", " +
       Duration(window_.window_ns / devices));
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
  BudgetLine(split.mem_only_ns, "memory copies only", at);
  if (split.idle_ns.has_value()) BudgetLine(split.idle_ns, "idle", at);
  if (split.unattributed_ns.has_value() &&
      (*split.unattributed_ns != 0 || !split.idle_ns.has_value())) {
    BudgetLine(split.unattributed_ns, "unattributed: idle, or kernels not seen", at);
  }
}

void Page::Ops() {
  std::vector<const OpResult*> ops;
  for (const OpResult& op : result_.ops) {
    if (op.kind != "collective") ops.push_back(&op);
  }
  if (ops.empty()) return;
  Line("");
  Table table({{"operations", Table::Align::kLeft},
               {"calls"},
               {"GPU ms"},
               {"share %"},
               {"TFLOP/s"},
               {"of peak %"},
               {"known by"}});
  const auto share = [this](std::optional<int64_t> time_ns) {
    const std::optional<double> ratio = Ratio(time_ns, result_.run.window_ns);
    return ratio.has_value() ? Fixed(*ratio * 100, 1) : kUnknownText;
  };
  // A table never ends in "1 more": that row would take the line the operation needs.
  const size_t limit = RowLimit(kDefaultOps);
  const size_t shown = ops.size() <= limit ? ops.size() : limit;
  for (size_t i = 0; i < shown; ++i) {
    const OpResult& op = *ops[i];
    const std::optional<double> rate = FlopPerSecond(op);
    const std::optional<double> of_peak = OfPeak(op);
    table.AddRow({op.label, std::to_string(op.calls), Milliseconds(op.time_ns), share(op.time_ns),
                  rate.has_value() ? Significant(*rate / kTera) : kUnknownText,
                  of_peak.has_value() ? Fixed(*of_peak * 100, 1) : kUnknownText,
                  op.provenance.empty() ? kUnknownText : op.provenance});
  }
  if (shown < ops.size()) {
    uint64_t calls = 0;
    std::optional<int64_t> time_ns;
    for (size_t i = shown; i < ops.size(); ++i) {
      calls += ops[i]->calls;
      if (ops[i]->time_ns.has_value()) time_ns = time_ns.value_or(0) + *ops[i]->time_ns;
    }
    table.AddRow({"… " + std::to_string(ops.size() - shown) + " more", std::to_string(calls),
                  Milliseconds(time_ns), share(time_ns), "", "", ""});
  }
  Lines(table.Lines(options_.page_width, kIndent));
}

// "0-3", "0,2,5-7"; ranks are in order.
std::string RankRanges(const std::vector<int32_t>& ranks) {
  std::string text;
  for (size_t i = 0; i < ranks.size();) {
    size_t end = i + 1;
    while (end < ranks.size() && ranks[end] == ranks[end - 1] + 1) ++end;
    if (!text.empty()) text += ',';
    text += std::to_string(ranks[i]);
    if (end - i > 2) text += "-" + std::to_string(ranks[end - 1]);
    if (end - i == 2) text += "," + std::to_string(ranks[end - 1]);
    i = end;
  }
  return text;
}

void Page::Communication() {
  if (result_.communicators.empty()) return;
  Line("");
  Table table({{"communication", Table::Align::kLeft},
               {"size"},
               {"ranks"},
               {"calls"},
               {"GB"},
               {"GPU ms"},
               {"exposed ms"},
               {"busbw GB/s"}});
  std::vector<const CommunicatorResult*> order;
  for (const auto& communicator : result_.communicators) order.push_back(&communicator);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return a->time_ns.value_or(-1) > b->time_ns.value_or(-1);
  });
  const size_t shown = std::min(order.size(), RowLimit(kDefaultCommunicators));
  for (size_t i = 0; i < shown; ++i) {
    const CommunicatorResult& communicator = *order[i];
    uint64_t calls = 0;
    std::string mix;
    std::vector<std::pair<std::string, uint64_t>> ops(communicator.ops.begin(),
                                                      communicator.ops.end());
    std::stable_sort(ops.begin(), ops.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    for (const auto& [name, count] : ops) {
      calls += count;
      mix += (mix.empty() ? "" : ", ") + name + " " + std::to_string(count);
    }
    const std::string name =
        communicator.name.empty() ? communicator.id.substr(0, 8) : communicator.name;
    const std::optional<double> bandwidth = PerSecond(communicator.bus_bytes, communicator.time_ns);
    table.AddRow(
        {name + ": " + mix,
         communicator.size > 0 ? std::to_string(communicator.size) : kUnknownText,
         communicator.ranks.empty() ? kUnknownText : Cut(RankRanges(communicator.ranks), 12),
         std::to_string(calls),
         communicator.bytes.has_value()
             ? Significant(static_cast<double>(*communicator.bytes) / 1e9)
             : kUnknownText,
         Milliseconds(communicator.time_ns), Milliseconds(communicator.exposed_ns),
         bandwidth.has_value() ? Significant(*bandwidth / 1e9) : kUnknownText});
  }
  Lines(table.Lines(options_.page_width, kIndent));
  if (shown < order.size()) Line("  … " + std::to_string(order.size() - shown) + " more");
}

void Page::Ranks() {
  const std::vector<RankResult>& ranks = result_.ranks;
  // One device is already told in full above.
  if (ranks.empty() || (ranks.size() == 1 && options_.sections == kAllSections)) return;
  Line("");
  std::vector<const RankResult*> order;
  std::set<std::string> hosts;
  bool knows_idle = true;
  for (const RankResult& rank : ranks) {
    order.push_back(&rank);
    hosts.insert(rank.host);
    knows_idle = knows_idle && rank.split.idle_ns.has_value();
  }
  const size_t shown = std::min(order.size(), RowLimit(kDefaultRanks));
  if (shown < order.size()) {
    std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
      return Ratio(a->split.exposed_ns, a->split.window_ns).value_or(-1) >
             Ratio(b->split.exposed_ns, b->split.window_ns).value_or(-1);
    });
  }
  std::vector<Table::Column> columns = {{"ranks", Table::Align::kLeft}, {"gpu"}};
  columns.insert(columns.end(), {{"window ms"},
                                 {"compute %"},
                                 {"hidden %"},
                                 {"exposed %"},
                                 {"memory %"},
                                 {knows_idle ? "idle %" : "unattr. %"},
                                 {"TFLOP/s"},
                                 {"dropped"},
                                 {"untimed"}});
  Table table(columns);
  for (size_t i = 0; i < shown; ++i) {
    const RankResult& rank = *order[i];
    const TimeSplit& split = rank.split;
    const auto share = [&split](std::optional<int64_t> ns) {
      const std::optional<double> ratio = Ratio(ns, split.window_ns);
      return ratio.has_value() ? Fixed(*ratio * 100, 1) : kUnknownText;
    };
    const std::optional<double> rate = PerSecond(rank.flop_executed, split.window_ns);
    std::string name = rank.rank >= 0 ? std::to_string(rank.rank) : kUnknownText;
    if (hosts.size() > 1 && !rank.host.empty()) name += " " + rank.host;
    table.AddRow({name, rank.device >= 0 ? std::to_string(rank.device) : kUnknownText,
                  Milliseconds(split.window_ns), share(split.compute_only_ns),
                  share(split.overlapped_ns), share(split.exposed_ns), share(split.mem_only_ns),
                  share(knows_idle ? split.idle_ns : split.unattributed_ns),
                  rate.has_value() ? Significant(*rate / kTera) : kUnknownText,
                  std::to_string(rank.dropped), std::to_string(rank.untimed)});
  }
  Lines(table.Lines(options_.page_width, kIndent));
  if (shown < order.size()) {
    Line("  … the " + std::to_string(shown) + " of " + std::to_string(order.size()) +
         " with most exposed communication; all: mfutrace report --only ranks");
  }
}

void Page::Quality() {
  const struct Quality& quality = result_.quality;
  Line("");
  std::string counts = std::to_string(quality.dropped) + " dropped · " +
                       std::to_string(quality.untimed) + " untimed · " +
                       std::to_string(quality.captured) + " captured · " +
                       std::to_string(quality.damaged_files) + " damaged";
  std::string known;
  for (const auto& [provenance, share] : CallShareByProvenance(result_.ops)) {
    known += (known.empty() ? " · calls known by " : ", ") +
             (provenance.empty() ? std::string("nothing") : provenance) + " " + Percent(share);
  }
  Labelled("quality", counts + known);
  std::string timing =
      "timing " + (result_.timing.empty() ? std::string(kUnknownText) : result_.timing);
  if (!result_.timing_reason.empty()) timing += " (" + result_.timing_reason + ")";
  if (window_.coverage.has_value()) {
    timing += " · kernel time known by";
    for (const auto& [provenance, share] : *window_.coverage) {
      timing += " " + provenance + " " + Percent(share);
    }
  }
  Labelled("", timing);
  std::vector<std::string> notes = quality.notes;
  for (const auto& [name, value] : quality.counters) {
    notes.push_back(name + " " + std::to_string(value));
  }
  const size_t shown = std::min(notes.size(), RowLimit(kDefaultNotes));
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
  return std::nullopt;
}

std::string RenderTerminal(const RunResult& result, const TerminalOptions& options) {
  return Page(result, options).Render();
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
  for (const std::string& line : table.Lines(options.page_width, kIndent)) text += line + "\n";
  return text;
}

}  // namespace mfutrace::report
