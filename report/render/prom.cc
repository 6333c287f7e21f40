// https://prometheus.io/docs/instrumenting/exposition_formats and .../practices/naming.
#include "report/render/prom.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "report/render/units.h"

namespace mfutrace::report {
namespace {

std::string LabelValue(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return escaped;
}

// Exact: nanoseconds with the point moved.
std::string Seconds(int64_t ns) {
  const std::string digits = std::to_string(ns % 1'000'000'000);
  return absl::StrCat(ns / 1'000'000'000, ".", std::string(9 - digits.size(), '0'), digits);
}

void Head(std::string& text, const char* name, const char* type, const char* help) {
  absl::StrAppend(&text, "# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
}

std::string Labels(const RankResult& rank) {
  return absl::StrCat("rank=\"", rank.rank < 0 ? std::string() : std::to_string(rank.rank),
                      "\",gpu=\"", rank.device < 0 ? std::string() : std::to_string(rank.device),
                      "\"");
}

}  // namespace

std::string RenderPrometheus(const RunResult& result, const std::string& version) {
  std::string text;
  Head(text, "mfutrace_flop_total", "counter",
       "Floating-point operations issued through intercepted libraries.");
  for (const RankResult& rank : result.ranks) {
    for (const auto& [rate, flop] : rank.executed_by_rate) {
      absl::StrAppend(&text, "mfutrace_flop_total{", Labels(rank), ",dtype=\"",
                      std::string(shapes::NameOf(rate)), "\"} ", Decimal(flop), "\n");
    }
  }
  Head(text, "mfutrace_peak_flop_per_second", "gauge", "Dense peak of one GPU.");
  for (const auto& [rate, flop_per_s] : result.peaks) {
    absl::StrAppend(&text, "mfutrace_peak_flop_per_second{name=\"", LabelValue(result.gpu),
                    "\",dtype=\"", std::string(shapes::NameOf(rate)), "\"} ", flop_per_s, "\n");
  }
  const auto times = [&](const char* name, const char* help,
                         std::optional<int64_t> (*of)(const RankResult&)) {
    bool is_first = true;
    for (const RankResult& rank : result.ranks) {
      const std::optional<int64_t> ns = of(rank);
      if (!ns.has_value()) continue;
      if (is_first) Head(text, name, "counter", help);
      is_first = false;
      absl::StrAppend(&text, name, "{", Labels(rank), "} ", Seconds(*ns), "\n");
    }
  };
  times("mfutrace_window_seconds_total", "Time from the first to the last intercepted work.",
        [](const RankResult& rank) { return std::optional<int64_t>(rank.split.window_ns); });
  times("mfutrace_compute_seconds_total", "Time in which some compute ran.",
        [](const RankResult& rank) { return rank.split.compute_ns; });
  bool is_first = true;
  for (const RankResult& rank : result.ranks) {
    const TimeSplit& split = rank.split;
    if (!split.exposed_ns.has_value() || !split.overlapped_ns.has_value()) continue;
    const char* name = "mfutrace_communication_seconds_total";
    if (is_first) Head(text, name, "counter", "Time in which some communication ran.");
    is_first = false;
    absl::StrAppend(&text, name, "{", Labels(rank), ",exposed=\"true\"} ",
                    Seconds(*split.exposed_ns), "\n", name, "{", Labels(rank),
                    ",exposed=\"false\"} ", Seconds(*split.overlapped_ns), "\n");
  }
  times("mfutrace_collective_wait_seconds_total",
        "Time in collectives that waited for later ranks.",
        [](const RankResult& rank) { return rank.wait_ns; });
  const auto counts = [&](const char* name, const char* help, uint64_t RankResult::*count) {
    Head(text, name, "counter", help);
    for (const RankResult& rank : result.ranks) {
      absl::StrAppend(&text, name, "{", Labels(rank), "} ", rank.*count, "\n");
    }
  };
  counts("mfutrace_records_dropped_total", "Calls counted without a record of their own.",
         &RankResult::dropped);
  counts("mfutrace_calls_untimed_total", "Calls without GPU times.", &RankResult::untimed);
  Head(text, "mfutrace_build_info", "gauge", "Version of mfutrace.");
  absl::StrAppend(&text, "mfutrace_build_info{version=\"", LabelValue(version), "\"} 1\n");
  return text;
}

}  // namespace mfutrace::report
