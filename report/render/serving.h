// The terminal's tables of inference and of experts: lines, heads first, empty where the run has
// nothing of the kind. Called by terminal.cc.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "report/analyze/results.h"

namespace mfutrace::report {

std::vector<std::string> ServingLines(const RunResult& result, size_t page_width);
std::vector<std::string> ExpertLines(const RunResult& result, size_t page_width);

}  // namespace mfutrace::report
