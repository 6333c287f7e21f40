#include "cli/case_verdict.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "cli/json_fields.h"

namespace mfutrace::cli {
namespace {

std::string Decimal(absl::uint128 value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

}  // namespace

void CaseVerdict::CompareWide(const std::string& what, const rapidjson::Value* stated,
                              std::optional<absl::uint128> ours) {
  if (stated == nullptr) return;
  ++compared_;
  if (!failure_.empty()) return;
  const std::optional<uint64_t> expected = WholeNumber(*stated);
  const bool is_beyond_64_bits = stated->IsDouble() && stated->GetDouble() >= 0x1p64;
  if (!expected.has_value() && !is_beyond_64_bits) {
    failure_ = what + " is not a whole number";
    return;
  }
  const std::string text =
      expected.has_value() ? Decimal(*expected) : Decimal(absl::uint128(stated->GetDouble()));
  if (!ours.has_value()) {
    failure_ = what + ": expected " + text + ", got unknown";
    return;
  }
  const bool is_equal =
      expected.has_value() ? *ours == *expected : static_cast<double>(*ours) == stated->GetDouble();
  if (!is_equal) failure_ = what + ": expected " + text + ", got " + Decimal(*ours);
}

void CaseVerdict::CompareWithin(const std::string& what, const rapidjson::Value* stated,
                                double ours, double tolerance) {
  const double expected = stated != nullptr && stated->IsNumber() ? stated->GetDouble() : 0;
  CompareNear(what, stated, ours, tolerance * std::max(std::abs(expected), std::abs(ours)));
}

void CaseVerdict::CompareNear(const std::string& what, const rapidjson::Value* stated, double ours,
                              double tolerance) {
  if (stated == nullptr) return;
  ++compared_;
  if (!failure_.empty()) return;
  if (!stated->IsNumber()) {
    failure_ = what + " is not a number";
    return;
  }
  const double expected = stated->GetDouble();
  // Not "> tolerance": what is no number must not pass.
  if (!(std::abs(expected - ours) <= tolerance)) {
    std::array<char, 128> text;
    std::snprintf(text.data(), text.size(), ": expected %.15g within %.6g, got %.15g", expected,
                  tolerance, ours);
    failure_ = what + text.data();
  }
}

void CaseVerdict::Fail(const std::string& text) {
  if (failure_.empty()) failure_ = text;
}

}  // namespace mfutrace::cli
