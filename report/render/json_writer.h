// Parts of JSON text, for the renderers of results: values, objects on one line, arrays with an
// element a line. A small writer of our own, because the integers of a large run do not fit the 64
// bits that JSON libraries keep.
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/numeric/int128.h"
#include "report/render/json.h"
#include "report/render/units.h"

namespace mfutrace::report {

// Text of one value, whatever its type; nullopt is null.
inline std::string Value(int64_t value) { return std::to_string(value); }
inline std::string Value(uint64_t value) { return std::to_string(value); }
inline std::string Value(uint32_t value) { return std::to_string(value); }
inline std::string Value(absl::uint128 value) { return Decimal(value); }
inline std::string Value(const std::string& value) { return JsonQuote(value); }

// The shortest text that reads back as the same double.
inline std::string Value(double value) {
  if (!std::isfinite(value)) return "null";
  std::array<char, 64> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  std::string text(buffer.data(), result.ptr);
  // A fraction stays recognisable as one: 1 would read back as an integer.
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

template <typename T>
std::string Value(const std::optional<T>& value) {
  return value.has_value() ? Value(*value) : "null";
}

inline std::string TextOrNull(const std::string& text) {
  return text.empty() ? "null" : Value(text);
}
inline std::string RankOrNull(int32_t rank) { return rank < 0 ? "null" : Value(int64_t{rank}); }
inline std::string SizeOrNull(uint32_t size) { return size == 0 ? "null" : Value(size); }

// {"key": value, ...} on one line; values are finished JSON texts.
class Object {
 public:
  Object& Add(std::string_view key, const std::string& json) {
    text_ += text_.empty() ? "{\"" : ", \"";
    text_.append(key);
    text_ += "\": ";
    text_ += json;
    return *this;
  }
  std::string Text() const { return text_.empty() ? "{}" : text_ + "}"; }

 private:
  std::string text_;
};

template <typename T>
std::string Array(const std::vector<T>& items, std::string (*render)(const T&)) {
  if (items.empty()) return "[]";
  std::string text;
  for (const T& item : items) {
    const std::string row = render(item);
    // Rows are alike: room for all of them at once, or the text is in memory three times.
    if (text.empty()) text.reserve((row.size() + 8) * items.size() * 9 / 8);
    text += text.empty() ? "[\n    " : ",\n    ";
    text += row;
  }
  text += "\n  ]";
  return text;
}

}  // namespace mfutrace::report
