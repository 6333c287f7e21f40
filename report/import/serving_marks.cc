// See serving_marks.h.
#include "report/import/serving_marks.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"

namespace mfutrace::report {
namespace {

// A decimal number at the front of `text`, taken off it.
bool TakeNumber(absl::string_view& text, uint64_t& number) {
  constexpr size_t kMostDigits = 18;
  size_t digits = 0;
  number = 0;
  while (digits < text.size() && absl::ascii_isdigit(static_cast<unsigned char>(text[digits]))) {
    if (digits == kMostDigits) return false;
    number = number * 10 + static_cast<uint64_t>(text[digits++] - '0');
  }
  text.remove_prefix(digits);
  return digits > 0;
}

bool TakeSum(absl::string_view& text, absl::string_view name, std::optional<uint64_t>& sum) {
  uint64_t number = 0;
  if (!absl::ConsumePrefix(&text, name) || !TakeNumber(text, number)) return false;
  sum = number;
  return true;
}

// "9(8155)" or "9(sq8155sk8430sqsq7475785sqsk7671310)".
bool TakeRequests(absl::string_view& text, RequestSums& sums) {
  if (!TakeNumber(text, sums.requests) || !absl::ConsumePrefix(&text, "(")) return false;
  if (absl::ConsumePrefix(&text, "sq")) {
    if (!TakeNumber(text, sums.queries) || !TakeSum(text, "sk", sums.keys) ||
        !TakeSum(text, "sqsq", sums.queries_squared) ||
        !TakeSum(text, "sqsk", sums.queries_times_keys)) {
      return false;
    }
  } else if (!TakeNumber(text, sums.queries)) {
    return false;
  }
  return absl::ConsumePrefix(&text, ")") && (sums.requests > 0 || sums.queries == 0);
}

}  // namespace

std::optional<ServingStep> ServingStepNamed(absl::string_view name) {
  absl::string_view text = name;
  ServingStep step;
  if (!absl::ConsumePrefix(&text, "execute_")) return std::nullopt;
  uint64_t tokens = 0;
  if (TakeNumber(text, tokens) && !absl::ConsumePrefix(&text, "_")) return std::nullopt;
  if (!absl::ConsumePrefix(&text, "context_") || !TakeRequests(text, step.context) ||
      !absl::ConsumePrefix(&text, "_generation_") || !TakeRequests(text, step.generation) ||
      !text.empty()) {
    return std::nullopt;
  }
  step.name = std::string(name);
  return step;
}

}  // namespace mfutrace::report
