// The tables of operations, communicators and ranks, with the charts that are drawn from them: rows
// carry what a chart needs as data-* attributes.
#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "report/analyze/rates.h"
#include "report/render/html_sections.h"
#include "report/render/html_text.h"
#include "report/render/terminal_tables.h"
#include "report/render/units.h"

namespace mfutrace::report::html {
namespace {

constexpr double kTera = 1e12;
constexpr double kGiga = 1e9;

std::string Marked(const OpResult& op, const std::string& figure) {
  return IsUpperBound(op) && figure != kUnknownText ? "≤ " + figure : figure;
}

std::string Hundredths(std::optional<double> ratio) {
  return ratio.has_value() ? Fixed(*ratio * 100, 1) : kUnknownText;
}

std::string Attribute(const char* name, std::optional<double> value) {
  const std::string raw = Raw(value);
  return raw.empty() ? "" : absl::StrCat(" data-", name, "=", raw);
}

std::optional<double> Number(std::optional<int64_t> value) {
  if (!value.has_value()) return std::nullopt;
  return static_cast<double>(*value);
}

std::vector<const OpResult*> Arithmetic(const RunResult& result) {
  std::vector<const OpResult*> ops;
  for (const OpResult& op : result.ops) {
    if (op.kind != "collective") ops.push_back(&op);
  }
  return ops;
}

}  // namespace

std::string Operations(const RunResult& result) {
  const std::vector<const OpResult*> ops = Arithmetic(result);
  if (ops.empty()) return "";
  Table table("ops-table", "Operations of the whole run, most GPU time first",
              {{"operation", false},
               {"format", false},
               {"calls"},
               {"GPU ms"},
               {"share %", true, "of the whole run's window"},
               {"TFLOP/s", true, "while it ran"},
               {"peak %", true, "of the dense peak of its format"},
               {"FLOP/B", true, "executed FLOPs a least byte"},
               {"roof %", true, "of its roofline"},
               {"bound", false},
               {"known by", false}});
  const size_t shown = RowsShown(ops.size(), kMaxOps);
  for (size_t i = 0; i < shown; ++i) {
    const OpResult& op = *ops[i];
    const std::optional<double> rate = FlopPerSecond(op);
    table.Row(absl::StrCat("data-kind=\"", Escape(op.kind), "\"", Attribute("x", FlopPerByte(op)),
                           Attribute("y", rate), Attribute("t", Number(op.time_ns)),
                           Attribute("peak", op.peak_flop_per_s),
                           Attribute("bw", op.memory_bytes_per_s),
                           IsUpperBound(op) ? " data-bound=1" : ""));
    table.Text(op.label);
    table.Text(op.dtype.empty() ? kUnknownText : op.dtype);
    table.Number(std::to_string(op.calls), static_cast<double>(op.calls));
    table.Number(Milliseconds(op.time_ns), Number(op.time_ns));
    const std::optional<double> share = Ratio(op.time_ns, TimedNs(result.run));
    table.Bar(Hundredths(share), share);
    table.Number(rate.has_value() ? Marked(op, Significant(*rate / kTera)) : kUnknownText, rate);
    table.Number(Marked(op, Hundredths(OfPeak(op))), OfPeak(op));
    const std::optional<double> intensity = FlopPerByte(op);
    table.Number(intensity.has_value() ? Significant(*intensity) : kUnknownText, intensity);
    table.Number(Marked(op, Hundredths(OfRoofline(op))), OfRoofline(op));
    table.Text(op.bound.empty() ? kUnknownText : op.bound);
    table.Text(op.provenance.empty() ? kUnknownText : op.provenance);
  }
  std::string foot;
  if (shown < ops.size()) {
    foot = absl::StrCat("<tr><td colspan=11>", ops.size() - shown,
                        " more with less time: mfutrace report --csv DIR has all of them");
  }
  return absl::StrCat(
      "<p class=tools><label for=ops-filter>Filter</label> <input id=ops-filter type=search "
      "data-table=ops-table placeholder=\"gemm bf16\" autocomplete=off> "
      "<output id=ops-count for=ops-filter></output></p>\n",
      table.Finish(foot),
      Paragraph("≤: FLOPs are an upper bound. A head sorts by its column; every word of the filter "
                "must occur in the row.",
                "note"));
}

std::string Roofline(const RunResult& result) {
  std::map<std::pair<uint64_t, uint64_t>, std::set<std::string>> roofs;
  size_t dots = 0;
  for (const OpResult* op : Arithmetic(result)) {
    if (!FlopPerByte(*op).has_value() || !FlopPerSecond(*op).has_value()) continue;
    ++dots;
    if (op->peak_flop_per_s.value_or(0) == 0 || op->memory_bytes_per_s.value_or(0) == 0) continue;
    roofs[{*op->peak_flop_per_s, *op->memory_bytes_per_s}].insert(op->dtype);
  }
  if (dots == 0) return "";
  Table table("roof-table", "Roofs in use",
              {{"operands", false}, {"peak TFLOP/s"}, {"bandwidth TB/s"}, {"ridge FLOP/B"}});
  for (const auto& [roof, dtypes] : roofs) {
    std::string names;
    for (const std::string& dtype : dtypes) {
      absl::StrAppend(&names, names.empty() ? "" : ", ", dtype.empty() ? "mixed" : dtype);
    }
    const double peak = static_cast<double>(roof.first);
    const double bandwidth = static_cast<double>(roof.second);
    table.Row(absl::StrCat("data-peak=", Raw(peak), " data-bw=", Raw(bandwidth), " data-name=\"",
                           Escape(names), "\""));
    table.Text(names);
    table.Number(Fixed(peak / kTera, 1), peak);
    table.Number(Fixed(bandwidth / kTera, 2), bandwidth);
    table.Number(Significant(peak / bandwidth), peak / bandwidth);
  }
  return absl::StrCat(
      "<div class=\"chart tall\"><canvas id=roof-chart role=img aria-label=\"Roofline: FLOP/s over "
      "FLOP per byte; the figures are in the table of operations\"></canvas></div>\n",
      Paragraph(
          "A dot is an operation, its area its GPU time; hollow: upper bounds. Bytes are the "
          "least an operation must move. A dot above its roof is drawn red: operands stayed in "
          "the cache, or a peak is wrong.",
          "note"),
      table.empty() ? Paragraph("No roof: peak or bandwidth of this GPU is not known.", "note")
                    : table.Finish());
}

std::string Communication(const RunResult& result) {
  std::vector<const CommunicatorResult*> order;
  for (const CommunicatorResult& communicator : result.communicators) {
    if (!communicator.ops.empty() || communicator.time_ns.value_or(0) > 0) {
      order.push_back(&communicator);
    }
  }
  if (order.empty()) return "";
  Table table("comm-table", "Communicators, sums over ranks",
              {{"communicator", false},
               {"strategy", false},
               {"size"},
               {"calls"},
               {"GB", true, "nccl-tests' S"},
               {"GPU ms"},
               {"exposed ms", true, "its share: sums to the run's"},
               {"waiting ms", true, "until the last member has begun"},
               {"busbw GB/s", true,
                "bus bytes over transfer time; over all GPU time where waiting is "
                "not known (marked *)"},
               {"last", false, "who begins last most often"}});
  const size_t shown = RowsShown(order.size(), kMaxCommunicators);
  std::string evidence;
  for (size_t i = 0; i < shown; ++i) {
    const CommunicatorResult& communicator = *order[i];
    uint64_t calls = 0;
    std::string mix;
    for (const auto& [name, count] : communicator.ops) {
      calls += count;
      absl::StrAppend(&mix, mix.empty() ? "" : ", ", name, " ", count);
    }
    std::optional<double> bandwidth =
        PerSecond(communicator.transfer_bus_bytes, communicator.transfer_ns);
    const bool is_over_transfer = bandwidth.has_value();
    if (!is_over_transfer) bandwidth = PerSecond(communicator.bus_bytes, communicator.time_ns);
    std::optional<double> size;
    if (communicator.bytes.has_value() && calls > 0) {
      size = static_cast<double>(*communicator.bytes) / static_cast<double>(calls);
    }
    table.Row(absl::StrCat(Attribute("x", size), Attribute("y", bandwidth),
                           Attribute("t", Number(communicator.time_ns))));
    table.Text(ShortName(communicator) + (mix.empty() ? "" : "  " + mix));
    std::string strategy = communicator.strategy.empty() ? kUnknownText : communicator.strategy;
    if (communicator.is_ambiguous) strategy += " or " + communicator.runner_up;
    table.Text(strategy);
    table.Number(communicator.size > 0 ? std::to_string(communicator.size) : kUnknownText,
                 communicator.size);
    table.Number(std::to_string(calls), static_cast<double>(calls));
    const auto bytes = communicator.bytes.has_value()
                           ? std::optional<double>(static_cast<double>(*communicator.bytes))
                           : std::nullopt;
    table.Number(bytes.has_value() ? Significant(*bytes / kGiga) : kUnknownText, bytes);
    table.Number(Milliseconds(communicator.time_ns), Number(communicator.time_ns));
    table.Bar(Milliseconds(communicator.exposed_ns),
              Ratio(communicator.exposed_ns, result.run.split.exposed_ns.value_or(0)));
    table.Number(Milliseconds(communicator.wait_ns), Number(communicator.wait_ns));
    table.Number(bandwidth.value_or(0) > 0
                     ? Significant(*bandwidth / kGiga) + (is_over_transfer ? "" : " *")
                     : kUnknownText,
                 bandwidth);
    const auto last = MostOftenLast(communicator);
    table.Text(last.has_value()
                   ? absl::StrCat("rank ", last->first, " (", Percent(last->second), ")")
                   : std::string(kUnknownText));
    if (!communicator.evidence.empty()) {
      absl::StrAppend(&evidence, "<li><b>", Escape(ShortName(communicator)), "</b> ",
                      Escape(strategy), ": ", Escape(communicator.evidence));
    }
  }
  std::string foot;
  if (shown < order.size()) {
    foot = absl::StrCat("<tr><td colspan=10>", order.size() - shown, " more with less time");
  }
  return absl::StrCat(
      "<div class=chart><canvas id=comm-chart role=img aria-label=\"Bus bandwidth over mean size "
      "of a "
      "call; the figures are in the table below\"></canvas></div>\n",
      table.Finish(foot),
      evidence.empty() ? ""
                       : "<details><summary>How strategies were told</summary><ul>" + evidence +
                             "</ul></details>\n");
}

std::string Coverage(const RunResult& result, const HtmlOptions& options) {
  const WindowSummary& window = Headline(result);
  std::string list;
  const auto item = [&list](const std::string& name, const std::string& text) {
    if (!text.empty()) absl::StrAppend(&list, "<dt>", Escape(name), "<dd>", Escape(text));
  };
  const struct Quality& quality = result.quality;
  item("records",
       absl::StrCat(quality.dropped, " dropped, ", quality.untimed, " untimed, ", quality.captured,
                    " captured, ", quality.damaged_files, " files damaged"));
  std::string known;
  for (const auto& [provenance, share] : CallShareByProvenance(result.ops)) {
    absl::StrAppend(&known, known.empty() ? "" : ", ", provenance.empty() ? "nothing" : provenance,
                    " ", Percent(share));
  }
  item("calls known by", known);
  if (window.coverage.has_value()) {
    item("kernel time counted", Percent(CoveredShare(*window.coverage)));
  } else if (HidesKernels(window)) {
    item("seen", Percent(Ratio(window.split.compute_ns, window.split.window_ns)) +
                     " of the time computes in intercepted libraries; other kernels are not seen");
  }
  item("timing", result.timing + (result.timing_reason.empty() ? "" : ": " + result.timing_reason));
  item("steps found by", result.steps_found_by.empty() ? "none found" : result.steps_found_by);
  if (result.clock.has_value() && result.clock->residual_ns.has_value()) {
    item("clocks", "aligned to " + Duration(*result.clock->residual_ns) + " by " +
                       std::to_string(result.clock->collectives) + " collectives");
  }
  if (window.peak_flop_per_s.has_value()) {
    item("peak",
         Si(static_cast<double>(*window.peak_flop_per_s), "FLOP/s") + ", " + window.peak_source);
  }
  if (BoundShare(window.flop).value_or(0) > 0) {
    item("upper bounds", Percent(BoundShare(window.flop)) + " of the executed FLOPs");
  }
  for (const auto& [name, value] : quality.counters) item(name, std::to_string(value));
  item("made by", options.tool);
  std::string notes;
  for (size_t i = 0; i < std::min(quality.notes.size(), kMaxNotes); ++i) {
    absl::StrAppend(&notes, "<li>", Escape(quality.notes[i]));
  }
  if (quality.notes.size() > kMaxNotes) {
    absl::StrAppend(&notes, "<li>", quality.notes.size() - kMaxNotes, " more");
  }
  return absl::StrCat(
      "<dl class=facts>", list, "</dl>\n", notes.empty() ? "" : "<ul>" + notes + "</ul>\n",
      "<h3>Method</h3><dl class=meanings>"
      "<dt>MFU<dd>FLOPs of the model / (window × dense peak of their formats), summed over "
      "devices. "
      "Multiply and add count as two."
      "<dt>HFU<dd>the same with every FLOP that was executed, recomputation included."
      "<dt>window<dd>from the first to the last intercepted work of a device; steady: the same "
      "without "
      "warm-up steps."
      "<dt>exposed<dd>time in which communication runs and no compute does. Shared equally where "
      "several "
      "communicators are active."
      "<dt>waiting<dd>of a collective: until its last member has begun, on clocks aligned by the "
      "ends of "
      "collectives."
      "<dt>roofline<dd>the longer of FLOPs / peak and least bytes / memory bandwidth."
      "<dt>unknown<dd>what a source cannot know is a dash, never zero."
      "</dl>\n");
}

}  // namespace mfutrace::report::html
