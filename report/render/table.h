// A text table: the first column left-aligned, numbers right-aligned, two spaces between columns.
//
// Used by the terminal report and the verbs of cli/. The first column gives way where a row would
// be wider than the page; units belong into the column heads.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace mfutrace::report {

class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string head;
    Align align = Align::kRight;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as columns.
  void AddRow(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }

  // Columns of the page that nothing would have to give way for.
  size_t Width(size_t indent) const;

  // One string a line, the heads first, without line ends or trailing spaces.
  std::vector<std::string> Lines(size_t page_width, size_t indent) const;

 private:
  std::vector<size_t> Widths() const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace mfutrace::report
