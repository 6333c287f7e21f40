// What needs time or ranks on an axis: the timeline of one step and the heat map of lateness, drawn
// as SVG paths, and the table of ranks.
#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "report/analyze/rates.h"
#include "report/render/html_sections.h"
#include "report/render/html_text.h"
#include "report/render/terminal_tables.h"
#include "report/render/units.h"

namespace mfutrace::report::html {
namespace {

constexpr double kLaneWidth = 1000;  // of the drawing, whatever the page's
constexpr int kHeatLevels = 8;

// Boxes of one colour as one path: thick lines, half as long as outlines would be.
std::string Boxes(const char* css, const std::vector<Interval>& pieces, int64_t begin_ns,
                  int64_t length_ns, int middle, int height) {
  std::string path;
  for (const Interval& piece : pieces) {
    const auto x = [&](int64_t time_ns) {
      return std::clamp(
          static_cast<double>(time_ns - begin_ns) * kLaneWidth / static_cast<double>(length_ns),
          0.0, kLaneWidth);
    };
    const double width = std::max(x(piece.end_ns) - x(piece.begin_ns), 0.2);
    absl::StrAppend(&path, "M", Fixed(x(piece.begin_ns), 1), " ", middle, "h", Fixed(width, 1));
  }
  if (path.empty()) return "";
  return absl::StrCat("<path class=", css, " stroke-width=", height, " d=\"", path, "\"/>");
}

std::string RankName(int32_t rank, int32_t device) {
  return rank >= 0 ? absl::StrCat("rank ", rank)
                   : (device >= 0 ? absl::StrCat("device ", device) : std::string("device"));
}

std::string HeatMap(const LatenessMap& map) {
  int64_t most_ns = 0;
  for (const LatenessRow& row : map.rows) {
    for (const auto& cell : row.mean_ns) most_ns = std::max(most_ns, cell.value_or(0));
  }
  if (map.rows.empty() || map.buckets.empty()) return "";
  std::array<std::string, kHeatLevels> levels;
  const auto level_of = [&](const std::optional<int64_t>& cell) {
    const double share =
        most_ns == 0 ? 0 : static_cast<double>(*cell) / static_cast<double>(most_ns);
    return std::clamp(static_cast<int>(share * kHeatLevels), 0, kHeatLevels - 1);
  };
  for (size_t r = 0; r < map.rows.size(); ++r) {
    const std::vector<std::optional<int64_t>>& cells = map.rows[r].mean_ns;
    for (size_t b = 0; b < cells.size();) {
      const size_t begin = b++;
      if (!cells[begin].has_value()) continue;
      const int level = level_of(cells[begin]);
      while (b < cells.size() && cells[b].has_value() && level_of(cells[b]) == level) ++b;
      absl::StrAppend(&levels[static_cast<size_t>(level)], "M", begin, " ", r, "h", b - begin);
    }
  }
  std::string paths;
  std::string keys;
  for (int level = 0; level < kHeatLevels; ++level) {
    const std::string& path = levels[static_cast<size_t>(level)];
    if (!path.empty()) absl::StrAppend(&paths, "<path class=h", level, " d=\"", path, "\"/>");
    absl::StrAppend(&keys, "<span class=\"key h", level, "\"></span>");
  }
  const size_t rows = map.rows.size();
  const size_t row_px = rows <= 32 ? 14 : rows <= 128 ? 6 : 2;
  std::string names;
  const size_t every = std::max<size_t>(1, (rows * row_px + 250) / 400 * 18 / row_px);
  const size_t name_step = rows * row_px <= 600 && row_px >= 14 ? 1 : every;
  for (size_t r = 0; r < rows; r += name_step) {
    absl::StrAppend(&names, "<span style=\"top:", r * row_px, "px\">", Escape(map.rows[r].name),
                    "</span>");
  }
  std::string text = absl::StrCat(
      "<h3>Lateness at collectives</h3>\n<div class=heat><div class=heatnames>", names,
      "</div><svg class=heatmap viewBox=\"0 0 ", map.buckets.size(), " ", rows,
      "\" preserveAspectRatio=none style=\"height:", rows * row_px,
      "px\" role=img aria-label=\"Mean lateness at collectives by rank and steps\" "
      "shape-rendering=crispEdges><g transform=\"translate(0 .5)\">",
      paths, "</g></svg></div>\n<p class=\"note axis\"><span>step ", map.buckets.front().first,
      "</span><span>", Duration(0), " ", keys, " ", Duration(most_ns), "</span><span>step ",
      map.buckets.back().second, "</span></p>\n",
      Paragraph(
          "How long after the first member a rank began the collectives that everybody joins, "
          "mean over those of a cell. The darkest rank is the one the others wait for.",
          "note"));
  if (rows > kMaxHeatRows) {
    return text + Paragraph("The figures of so many ranks are in mfutrace report --json.", "note");
  }
  std::vector<Table::Column> columns = {{"rank", false}};
  for (const auto& [first, last] : map.buckets) {
    columns.push_back({first == last ? std::to_string(first) : absl::StrCat(first, "–", last)});
  }
  Table table("lateness-table", "Mean lateness in µs, by steps", columns);
  for (const LatenessRow& row : map.rows) {
    table.Row();
    table.Text(row.name);
    for (const auto& cell : row.mean_ns) {
      table.Plain(cell.has_value() ? Fixed(static_cast<double>(*cell) / 1e3, 1) : kUnknownText);
    }
  }
  return text + "<details><summary>The same in numbers</summary>" + table.Finish() + "</details>\n";
}

}  // namespace

std::string Timelines(const RunResult& result) {
  const Sample& sample = result.sample;
  std::vector<const SampledDevice*> chosen;
  std::vector<const SampledDevice*> with_times;
  for (const SampledDevice& device : sample.devices) {
    if (device.window.end_ns > device.window.begin_ns &&
        (!device.compute.empty() || !device.exposed.empty())) {
      with_times.push_back(&device);
    }
  }
  if (with_times.empty()) return "";
  const size_t lanes = std::min(with_times.size(), kMaxLanes);
  for (size_t i = 0; i < lanes; ++i) chosen.push_back(with_times[i * with_times.size() / lanes]);
  int64_t begin_ns = chosen.front()->window.begin_ns;
  int64_t length_ns = 0;
  for (const SampledDevice* device : chosen) begin_ns = std::min(begin_ns, device->window.begin_ns);
  for (const SampledDevice* device : chosen) {
    const int64_t from_ns = sample.is_aligned ? begin_ns : device->window.begin_ns;
    length_ns = std::max(length_ns, device->window.end_ns - from_ns);
  }
  std::string rows;
  for (const SampledDevice* device : chosen) {
    const int64_t from_ns = sample.is_aligned ? begin_ns : device->window.begin_ns;
    absl::StrAppend(
        &rows, "<div class=lane><span>", Escape(RankName(device->rank, device->device)),
        "</span><svg viewBox=\"0 0 1000 22\" preserveAspectRatio=none aria-hidden=true>",
        Boxes("unseen", {device->window}, from_ns, length_ns, 11, 22),
        Boxes("compute", device->compute, from_ns, length_ns, 5, 9),
        Boxes("hidden", device->hidden, from_ns, length_ns, 16, 9),
        Boxes("exposed", device->exposed, from_ns, length_ns, 16, 9), "</svg></div>\n");
  }
  std::string ticks;
  for (int i = 0; i <= 4; ++i) {
    absl::StrAppend(&ticks, "<span>", Duration(length_ns * i / 4), "</span>");
  }
  std::string about = sample.step.has_value()
                          ? absl::StrCat("Step ", *sample.step, ", of median duration")
                          : std::string("No steps were found: a part from the middle of the run");
  absl::StrAppend(&about, sample.is_aligned || chosen.size() == 1
                              ? ""
                              : "; each rank from its own begin, their clocks are not aligned");
  if (chosen.size() < with_times.size()) {
    absl::StrAppend(&about, "; ", chosen.size(), " of ", with_times.size(), " ranks");
  }
  const std::vector<Part> parts = {{"compute", "compute", 0, ""},
                                   {"hidden", "communication, hidden", 0, ""},
                                   {"exposed", "communication, exposed", 0, ""},
                                   {"unseen", "neither: idle or not seen", 0, ""}};
  return absl::StrCat(
      "<div class=lanes role=img aria-label=\"Compute and communication of one step "
      "by rank\">\n",
      rows, "<div class=\"lane ticks\"><span></span><div>", ticks, "</div></div></div>\n",
      Legend(parts), Paragraph(Escape(about + "."), "note"),
      Paragraph("To zoom: mfutrace report --perfetto FILE, then ui.perfetto.dev or "
                "trace_processor.",
                "note"));
}

std::string Ranks(const RunResult& result) {
  if (result.ranks.empty()) return "";
  Table table("ranks-table", "Ranks, whole run",
              {{"rank"},
               {"gpu"},
               {"host", false},
               {"window ms"},
               {"MFU %"},
               {"compute %"},
               {"hidden %"},
               {"exposed %"},
               {"idle or unseen %"},
               {"waiting ms", true, "in collectives, for later ranks"},
               {"last", true, "collectives it was the last to join"},
               {"kept others waiting ms", true, "summed over them"}});
  const size_t shown = RowsShown(result.ranks.size(), kMaxRanks);
  for (size_t i = 0; i < shown; ++i) {
    const RankResult& rank = result.ranks[i];
    const TimeSplit& split = rank.split;
    table.Row();
    table.Number(rank.rank >= 0 ? std::to_string(rank.rank) : kUnknownText, rank.rank);
    table.Number(rank.device >= 0 ? std::to_string(rank.device) : kUnknownText, rank.device);
    table.Text(rank.host);
    table.Number(Milliseconds(split.window_ns), static_cast<double>(split.window_ns));
    const auto share = [&table](std::optional<double> ratio) {
      table.Number(ratio.has_value() ? Fixed(*ratio * 100, 1) : kUnknownText, ratio);
    };
    share(MfuOf(rank.budget, split.window_ns));
    share(Ratio(split.compute_ns, split.window_ns));
    share(Ratio(split.overlapped_ns, split.window_ns));
    share(Ratio(split.exposed_ns, split.window_ns));
    share(
        Ratio(split.idle_ns.has_value() ? split.idle_ns : split.unattributed_ns, split.window_ns));
    const auto time = [&table](std::optional<int64_t> ns) {
      table.Number(Milliseconds(ns),
                   ns.has_value() ? std::optional<double>(static_cast<double>(*ns)) : std::nullopt);
    };
    time(rank.wait_ns);
    table.Number(rank.times_last.has_value() ? std::to_string(*rank.times_last) : kUnknownText,
                 rank.times_last.has_value()
                     ? std::optional<double>(static_cast<double>(*rank.times_last))
                     : std::nullopt);
    time(rank.caused_wait_ns);
  }
  std::string foot;
  if (shown < result.ranks.size()) {
    foot = absl::StrCat("<tr><td colspan=12>", result.ranks.size() - shown,
                        " more: mfutrace report --csv DIR has all of them");
  }
  std::string stragglers;
  for (const StragglerResult& straggler : result.stragglers) {
    std::string ranks;
    for (const int32_t rank : straggler.ranks)
      absl::StrAppend(&ranks, ranks.empty() ? "" : ", ", rank);
    absl::StrAppend(&stragglers, "<li><b>", straggler.ranks.size() == 1 ? "rank " : "ranks ", ranks,
                    "</b> (", Escape(straggler.kind), "): kept others waiting for ",
                    Duration(straggler.caused_wait_ns), " in ", straggler.steps, " of ",
                    straggler.of_steps, " steps", straggler.evidence.empty() ? "" : "; ",
                    Escape(straggler.evidence));
  }
  if (!stragglers.empty()) stragglers = "<h3>Stragglers</h3><ul>" + stragglers + "</ul>\n";
  return stragglers + HeatMap(result.lateness) + table.Finish(foot);
}

}  // namespace mfutrace::report::html
