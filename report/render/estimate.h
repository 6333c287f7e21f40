// A model's figures as text and as JSON: `mfutrace estimate`. Unknown is "-" in the one and null in
// the other, with the name of what is missing.
#pragma once

#include <cstddef>
#include <string>

#include "report/estimate/conventions.h"

namespace mfutrace::report {

std::string RenderEstimate(const estimate::ModelEstimate& estimate, size_t page_width);

// One object, ends in a newline; docs/JSON.md lists its keys.
std::string RenderEstimateJson(const estimate::ModelEstimate& estimate);

}  // namespace mfutrace::report
