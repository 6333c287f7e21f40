// Markup in small pieces: escaped text, tables, bars. Used by the sections of the HTML page.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/analyze/results.h"

namespace mfutrace::report::html {

// For text and for attributes in double quotes; bytes that are not UTF-8 become U+FFFD.
std::string Escape(std::string_view text);

// <section id="ID"><h2>TITLE</h2>BODY</section>; nothing where the body is empty.
std::string Section(std::string_view id, std::string_view title, const std::string& body);

std::string Paragraph(const std::string& escaped, std::string_view css = "");

// A table whose columns sort. Cells are finished markup; a number cell carries its value.
class Table {
 public:
  struct Column {
    std::string head;
    bool is_number = true;
    std::string title = {};  // what it means, in a tooltip
  };
  Table(std::string id, std::string caption, std::vector<Column> columns)
      : id_(std::move(id)), caption_(std::move(caption)), columns_(std::move(columns)) {}

  // Begins a row; `attributes` are put into its tag as they are.
  void Row(std::string attributes = "");
  void Text(std::string_view text);
  void Number(const std::string& text, std::optional<double> value);
  // Sorts by its own text, read as a number; anything else is unknown.
  void Plain(const std::string& text);
  // With a bar of `share` (0 to 1) behind it.
  void Bar(const std::string& text, std::optional<double> share);
  bool empty() const { return row_count_ == 0; }
  size_t size() const { return row_count_; }
  // `foot`: a row that is not sorted along.
  std::string Finish(const std::string& foot = "") const;

 private:
  std::string id_;
  std::string caption_;
  std::vector<Column> columns_;
  std::string rows_;
  size_t row_count_ = 0;
};

// One part of a 100 % bar.
struct Part {
  std::string css;    // class: its colour on the whole page
  std::string label;  // as a legend names it
  double share = 0;   // of the bar
  std::string text;   // the figure
};

// The bar, its labels inside where there is room. Parts below zero take no width.
std::string StackedBar(const std::string& name, const std::vector<Part>& parts);
// The same parts as a list of colour, label and figure.
std::string Legend(const std::vector<Part>& parts);

// How a part of the budget is called and coloured.
struct PartName {
  std::string css;
  std::string label;
  std::string meaning;
};
PartName NameOfPart(std::string_view budget_name);

std::string ShortName(const CommunicatorResult& communicator);

// A number as a script reads it; "" for unknown.
std::string Raw(std::optional<double> value);

}  // namespace mfutrace::report::html
