// Rows of text.
#include "report/render/csv.h"

#include <array>
#include <charconv>
#include <cmath>

#include "report/render/units.h"

namespace mfutrace::report {
namespace {

std::string Quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

struct Writer {
  std::string operator()(std::monostate) const { return ""; }
  std::string operator()(int64_t value) const { return std::to_string(value); }
  std::string operator()(absl::uint128 value) const { return Decimal(value); }
  std::string operator()(double value) const {
    if (!std::isfinite(value)) return "";
    std::array<char, 64> buffer;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
    return std::string(buffer.data(), end.ptr);
  }
  std::string operator()(const std::string& text) const { return Quoted(text); }
};

}  // namespace

std::string RenderCsv(const DataTable& table) {
  std::string text;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    text += (i > 0 ? "," : "") + table.columns[i].name;
  }
  text += "\r\n";
  for (const std::vector<Cell>& row : table.rows) {
    for (size_t i = 0; i < row.size(); ++i)
      text += (i > 0 ? "," : "") + std::visit(Writer(), row[i]);
    text += "\r\n";
  }
  return text;
}

}  // namespace mfutrace::report
