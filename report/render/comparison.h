// `report --model`: the estimate beside the trace, as text and as the key `model` of the JSON
// object.
#pragma once

#include <cstddef>
#include <string>

#include "report/estimate/compare.h"

namespace mfutrace::report {

std::string RenderComparison(const estimate::Comparison& comparison, size_t page_width);

// RenderJson's object with one more key.
std::string WithComparison(const std::string& run_json, const estimate::Comparison& comparison);

}  // namespace mfutrace::report
