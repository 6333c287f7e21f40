// Numbers as people read them: decimals, per cent, SI prefixes, and text widths for columns.
//
// Used by the terminal and other text renderers. Unknown is "-", never 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/numeric/int128.h"

namespace mfutrace::report {

inline constexpr char kUnknownText[] = "-";

// All digits of a 128-bit count.
std::string Decimal(absl::uint128 value);

std::string Fixed(double value, int decimals);

// Three significant digits at least, without an exponent: 0.042, 3.14, 693, 12345.
std::string Significant(double value);

// 0.381 -> "38.1 %".
std::string Percent(std::optional<double> ratio);

// Nanoseconds as milliseconds without the unit: "412.6", "0.042".
std::string Milliseconds(std::optional<int64_t> ns);

// 1.554e14, "FLOP" -> "155.4 TFLOP".
std::string Si(double value, std::string_view unit);

// 1 second and longer "1.234 s", else "412.6 ms", below 1 ms "12.3 us".
std::string Duration(int64_t ns);

// Columns a terminal uses for UTF-8 text, taking every character as one column wide.
size_t DisplayWidth(std::string_view text);

// Pads with spaces on the right (or left) to `width` columns; longer text is returned as it is.
std::string PadRight(std::string_view text, size_t width);
std::string PadLeft(std::string_view text, size_t width);

// Cuts to `width` columns, the last one an ellipsis where something was cut.
std::string Cut(std::string_view text, size_t width);

}  // namespace mfutrace::report
