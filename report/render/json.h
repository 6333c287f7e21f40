// RunResult as one JSON object, for `mfutrace report --json`. The keys are a promise: later
// versions add keys and never rename or drop one (docs/JSON.md lists them).
//
// Integers stay integers, also those beyond 64 bits; what the source cannot know is null, never 0.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "report/analyze/results.h"

namespace mfutrace::report {

inline constexpr int kJsonSchema = 1;

// UTF-8, one line an array element, ends in a newline.
std::string RenderJson(const RunResult& result);

// Length of the well-formed UTF-8 sequence at the start of `text`, 0 if there is none (RFC 3629).
size_t Utf8Length(std::string_view text);

// `text` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
std::string JsonQuote(const std::string& text);

}  // namespace mfutrace::report
