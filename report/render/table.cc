// Column widths and alignment of text tables.
#include "report/render/table.h"

#include <algorithm>

#include "report/render/units.h"

namespace mfutrace::report {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kNarrowestFirst = 12;

}  // namespace

std::vector<size_t> Table::Widths() const {
  std::vector<size_t> widths(columns_.size());
  for (size_t i = 0; i < columns_.size(); ++i) {
    widths[i] = DisplayWidth(columns_[i].head);
    for (const auto& row : rows_) widths[i] = std::max(widths[i], DisplayWidth(row[i]));
  }
  return widths;
}

size_t Table::Width(size_t indent) const {
  size_t total = indent;
  const std::vector<size_t> widths = Widths();
  for (size_t i = 0; i < widths.size(); ++i) total += widths[i] + (i > 0 ? kGap : 0);
  return total;
}

std::vector<std::string> Table::Lines(size_t page_width, size_t indent) const {
  std::vector<size_t> widths = Widths();
  const size_t total = Width(indent);
  if (total > page_width) {
    const size_t excess = std::min(total - page_width, widths[0]);
    widths[0] = std::max(std::min(widths[0], kNarrowestFirst), widths[0] - excess);
  }

  std::vector<std::string> lines;
  const auto add = [&](const auto& cell_of) {
    std::string line(indent, ' ');
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) line.append(kGap, ' ');
      const std::string cell = Cut(cell_of(i), widths[i]);
      line +=
          columns_[i].align == Align::kLeft ? PadRight(cell, widths[i]) : PadLeft(cell, widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(std::move(line));
  };
  add([&](size_t i) { return columns_[i].head; });
  for (const auto& row : rows_) add([&](size_t i) { return row[i]; });
  return lines;
}

}  // namespace mfutrace::report
