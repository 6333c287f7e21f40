// The JSON of inference, experts and recomputed attention: keys "serving", "experts" and
// "attention_recompute" of docs/JSON.md. Called by
// json.cc.
#pragma once

#include <optional>
#include <string>

#include "report/analyze/results.h"

namespace mfutrace::report {

std::string ServingText(const std::optional<ServingResult>& serving);
std::string ExpertsText(const RunResult& result);
std::string AttentionRecomputeText(const std::optional<AttentionRecompute>& sums);

}  // namespace mfutrace::report
