// Number and width formatting for text output. Locale-independent: a report reads the same
// everywhere.
#include "report/render/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace mfutrace::report {
namespace {

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// The precision at which three digits stay significant.
int DecimalsFor(double magnitude) {
  if (magnitude >= 100) return 0;
  if (magnitude >= 10) return 1;
  if (magnitude >= 1) return 2;
  if (magnitude >= 0.01 || magnitude == 0) return 3;
  return 5;
}

}  // namespace

std::string Decimal(absl::uint128 value) {
  std::string digits;
  do {
    digits.push_back(static_cast<char>('0' + static_cast<int>(value % 10)));
    value /= 10;
  } while (value != 0);
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string Fixed(double value, int decimals) {
  if (!std::isfinite(value)) return kUnknownText;
  std::array<char, 400> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                    std::chars_format::fixed, decimals);
  std::string text(buffer.data(), result.ptr);
  // "-0.0" is a rounding artefact, not a negative figure.
  if (text.front() == '-' && text.find_first_not_of("-0.") == std::string::npos) text.erase(0, 1);
  return text;
}

std::string Significant(double value) { return Fixed(value, DecimalsFor(std::abs(value))); }

std::string Percent(std::optional<double> ratio) {
  if (!ratio.has_value()) return kUnknownText;
  const double percent = *ratio * 100;
  // What is not zero does not read as zero.
  const int decimals = percent != 0 && std::abs(percent) < 0.05 ? 4 : 1;
  return Fixed(percent, decimals) + " %";
}

std::string Milliseconds(std::optional<int64_t> ns) {
  if (!ns.has_value()) return kUnknownText;
  const double ms = static_cast<double>(*ns) / 1e6;
  return Fixed(ms, std::abs(ms) >= 10 || *ns == 0 ? 1 : 3);
}

std::string Si(double value, std::string_view unit) {
  static constexpr std::array<std::string_view, 8> kPrefixes = {"",  "k", "M", "G",
                                                                "T", "P", "E", "Z"};
  size_t index = 0;
  double scaled = value;
  // 999.95 would print as 1000.0 with one decimal.
  while (std::abs(scaled) >= 999.95 && index + 1 < kPrefixes.size()) {
    scaled /= 1000;
    ++index;
  }
  const int decimals = index == 0 && scaled == std::floor(scaled) ? 0 : scaled < 10 ? 2 : 1;
  std::string text = Fixed(scaled, decimals);
  text.push_back(' ');
  text.append(kPrefixes[index]);
  text.append(unit);
  return text;
}

std::string Duration(int64_t ns) {
  const double value = static_cast<double>(ns);
  if (ns >= 10'000'000'000) return Fixed(value / 1e9, 1) + " s";
  if (ns >= 1'000'000'000) return Fixed(value / 1e9, 3) + " s";
  if (ns >= 1'000'000) return Fixed(value / 1e6, ns >= 10'000'000 ? 1 : 3) + " ms";
  return Fixed(value / 1e3, 1) + " us";
}

size_t DisplayWidth(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !IsContinuation(c); }));
}

std::string PadRight(std::string_view text, size_t width) {
  std::string padded(text);
  const size_t used = DisplayWidth(text);
  if (used < width) padded.append(width - used, ' ');
  return padded;
}

std::string PadLeft(std::string_view text, size_t width) {
  const size_t used = DisplayWidth(text);
  std::string padded(used < width ? width - used : 0, ' ');
  padded.append(text);
  return padded;
}

std::string Cut(std::string_view text, size_t width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  if (width == 0) return "";
  size_t bytes = 0;
  for (size_t columns = 0; bytes < text.size(); ++bytes) {
    if (IsContinuation(text[bytes])) continue;
    if (columns + 1 == width) break;
    ++columns;
  }
  return std::string(text.substr(0, bytes)) + "…";
}

}  // namespace mfutrace::report
