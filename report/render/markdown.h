// `report --markdown`: the summary for a pull request or GitHub's step summary. Short: headline,
// the budget, ten operations, five communicators.
#pragma once

#include <string>

#include "report/analyze/results.h"

namespace mfutrace::report {

std::string RenderMarkdown(const RunResult& result);

}  // namespace mfutrace::report
