// `report --html`: one page, one file, no request to anywhere. Sections in a fixed order: summary,
// course, budget, operations, roofline, timeline, communication, ranks, precision, coverage.
//
// Every figure stands in the text or in a table, so the page reads without JavaScript; scripts only
// draw, sort and filter what the tables hold. Bounded: below 2 MB whatever the run
// (kMax... in html_sections.h say what is left out, and the page says so too).
#pragma once

#include <string>

#include "report/analyze/results.h"

namespace mfutrace::report {

struct HtmlOptions {
  std::string tool;  // "mfutrace 0.1.0", for the last section
};

std::string RenderHtml(const RunResult& result, const HtmlOptions& options);

}  // namespace mfutrace::report
