// The sections of the HTML page, each a finished piece of markup; empty where the run has nothing
// for it. Only html.cc calls these.
#pragma once

#include <cstddef>
#include <string>

#include "report/analyze/results.h"
#include "report/render/html.h"

namespace mfutrace::report::html {

// What the page is bounded by.
inline constexpr size_t kMaxOps = 50;
inline constexpr size_t kMaxCommunicators = 100;
inline constexpr size_t kMaxRanks = 256;
inline constexpr size_t kMaxLanes = 16;     // ranks of the timeline
inline constexpr size_t kMaxHeatRows = 64;  // whose lateness stands in numbers too
inline constexpr size_t kMaxNotes = 40;

std::string Summary(const RunResult& result);
std::string Course(const RunResult& result);
std::string Budget(const RunResult& result);
std::string Operations(const RunResult& result);
std::string Roofline(const RunResult& result);
std::string Timelines(const RunResult& result);
std::string Communication(const RunResult& result);
std::string Ranks(const RunResult& result);
std::string Precision(const RunResult& result);
std::string Coverage(const RunResult& result, const HtmlOptions& options);

// The window that headlines are of: the steady one where there is one.
const WindowSummary& Headline(const RunResult& result);

}  // namespace mfutrace::report::html
