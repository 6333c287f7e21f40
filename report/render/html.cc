// Puts the page together: head, sections, data island, scripts.
#include "report/render/html.h"

#include <algorithm>
#include <array>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "report/render/assets.h"
#include "report/render/html_sections.h"
#include "report/render/html_text.h"
#include "report/render/json.h"
#include "report/render/units.h"

namespace mfutrace::report {
namespace {

struct PageSection {
  const char* id;
  const char* title;
  std::string body;
};

std::string Subtitle(const RunResult& result) {
  std::string text = absl::StrCat(
      result.devices, " × ", result.gpu.empty() ? std::string("GPU of unknown name") : result.gpu);
  if (result.world_size > 0) absl::StrAppend(&text, ", world ", result.world_size);
  if (result.steady.has_value()) {
    absl::StrAppend(&text, ", steps ", result.steady_first_step, " to ", result.steady_last_step,
                    result.steady_first_step > 0
                        ? absl::StrCat(" (", result.steady_first_step, " warm-up steps left out)")
                        : std::string());
  }
  return text;
}

// --json's object without what would not fit: steps one by one, ranks and operations beyond the
// tables'. No "<" in it, so nothing of it can end the element.
std::string Island(const RunResult& result) {
  RunResult part;
  part.title = result.title;
  part.gpu = result.gpu;
  part.source = result.source;
  part.world_size = result.world_size;
  part.devices = result.devices;
  part.timing = result.timing;
  part.timing_reason = result.timing_reason;
  part.run = result.run;
  part.steady = result.steady;
  part.steps_found_by = result.steps_found_by;
  part.course = result.course;
  const auto head = [](const auto& all, size_t limit) {
    return std::decay_t<decltype(all)>(
        all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), limit)));
  };
  part.ops = head(result.ops, html::kMaxOps);
  part.communicators = head(result.communicators, html::kMaxCommunicators);
  std::string escaped;
  for (const char c : RenderJson(part)) {
    if (c == '<') {
      escaped += "\\u003c";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace

std::string RenderHtml(const RunResult& result, const HtmlOptions& options) {
  const std::array<PageSection, 10> sections = {{
      {"summary", "Summary", html::Summary(result)},
      {"course", "MFU over time", html::Course(result)},
      {"budget", "Budget by strategy", html::Budget(result)},
      {"operations", "Operations", html::Operations(result)},
      {"roofline", "Roofline", html::Roofline(result)},
      {"timeline", "One step", html::Timelines(result)},
      {"communication", "Communication", html::Communication(result)},
      {"ranks", "Ranks", html::Ranks(result)},
      {"precision", "Precision", html::Precision(result)},
      {"coverage", "Coverage and method", html::Coverage(result, options)},
  }};
  std::string links;
  std::string body;
  for (const PageSection& section : sections) {
    if (section.body.empty()) continue;
    absl::StrAppend(&links, "<li><a href=\"#", section.id, "\">", section.title, "</a>");
    body += html::Section(section.id, section.title, section.body);
  }
  const std::string title = html::Escape(result.title.empty() ? "a run" : result.title);
  const auto text = [](std::string_view view) { return std::string(view); };
  // The policy forbids every request; what the page needs is in it.
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
      "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=color-scheme content=\"light dark\">\n"
      "<link rel=icon href=\"data:,\">\n<title>",
      title, " · MFU ", Percent(html::Headline(result).mfu), "</title>\n<style>\n",
      text(assets::PageStyle()),
      "</style>\n</head>\n<body>\n<a class=skip href=\"#summary\">Skip to the "
      "summary</a>\n<header><h1>",
      title, "</h1>\n<p>", html::Escape(Subtitle(result)), "</p>\n<nav aria-label=Sections><ul>",
      links, "</ul></nav></header>\n<main>\n", body,
      "</main>\n<script type=\"application/json\" id=data>\n", Island(result),
      "</script>\n<script>\n", text(assets::ChartJs()), "\n</script>\n<script>\n",
      text(assets::PageScript()), "</script>\n</body>\n</html>\n");
}

}  // namespace mfutrace::report
