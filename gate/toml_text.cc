// Just enough of TOML's lexis to know strings and comments.
#include "gate/toml_text.h"

#include <string_view>

#include "absl/strings/str_cat.h"

namespace mfutrace::gate {
namespace {

constexpr std::string_view kBeforeString = " \t\r\n=[{,.";

}  // namespace

absl::Status CheckTomlText(const std::string& text, const std::string& path) {
  size_t line = 1;
  size_t line_begin = 0;
  std::string quote;  // that ends the string we are in; empty: none
  bool is_comment = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char letter = text[i];
    if (letter == '\n') {
      ++line;
      line_begin = i + 1;
      is_comment = false;
      if (quote.size() == 1) quote.clear();
      continue;
    }
    if (is_comment) continue;
    if (!quote.empty()) {
      if (letter == '\\' && quote.front() == '"') {
        if (i + 1 < text.size() && text[i + 1] != '\n') ++i;
      } else if (text.compare(i, quote.size(), quote) == 0) {
        i += quote.size() - 1;
        // Up to two quotes may stand right before the three that end a string.
        while (quote.size() == 3 && i + 1 < text.size() && text[i + 1] == quote.front()) ++i;
        quote.clear();
      }
      continue;
    }
    // Behind anything else a quote opens no string: toml++ looks for the end of a wrong value.
    const bool may_begin = i == 0 || kBeforeString.find(text[i - 1]) != std::string_view::npos;
    if (letter == '#') {
      is_comment = true;
    } else if ((letter == '"' || letter == '\'') && may_begin) {
      const bool is_long = text.compare(i, 3, std::string(3, letter)) == 0;
      quote.assign(is_long ? 3 : 1, letter);
      i += quote.size() - 1;
    } else if (static_cast<unsigned char>(letter) >= 0x80) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", line, ":", i - line_begin + 1,
                       ": a character beyond ASCII outside quotes; put the text in quotes"));
    }
  }
  return absl::OkStatus();
}

}  // namespace mfutrace::gate
