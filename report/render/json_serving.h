// The JSON of inference and of experts: keys "serving" and "experts" of docs/JSON.md. Called by
// json.cc.
#pragma once

#include <optional>
#include <string>

#include "report/analyze/results.h"

namespace mfutrace::report {

std::string ServingText(const std::optional<ServingResult>& serving);
std::string ExpertsText(const RunResult& result);

}  // namespace mfutrace::report
