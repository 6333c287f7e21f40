// Markup in small pieces.
#include "report/render/html_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "report/render/json.h"
#include "report/render/units.h"

namespace mfutrace::report::html {
namespace {

struct KnownPart {
  std::string_view name;
  const char* css;
  const char* label;
  const char* meaning;
};

constexpr std::array<KnownPart, 12> kParts = {{
    {"mfu", "p-mfu", "useful", "what the model's FLOPs take at the dense peak: this is MFU"},
    {"recompute", "p-recompute", "recomputed", "FLOPs executed beyond the model's"},
    {"roofline", "p-roofline", "memory-bound",
     "what least bytes take beyond the FLOPs at the peak"},
    {"below_peak", "p-below", "kernels below roofline",
     "the rest of the time in kernels whose FLOPs are counted"},
    {"counted_kernels", "p-below", "counted kernels", "their peak is not known"},
    {"other_compute", "p-other", "other kernels", "compute whose FLOPs are not counted"},
    {"exposed_transfer", "p-transfer", "exposed transfer",
     "communication that nothing hides, data moving"},
    {"exposed_wait", "p-wait", "exposed waiting",
     "communication that nothing hides, waiting for a later rank"},
    {"exposed", "p-transfer", "exposed communication",
     "communication that nothing hides; how much of it waits is not known"},
    {"memory", "p-memory", "copies", "copies that nothing hides"},
    {"idle", "p-idle", "idle", "nothing ran"},
    {"unattributed", "p-unseen", "not seen", "idle, or kernels outside the intercepted libraries"},
}};

// Narrower parts have no room for their label.
constexpr double kLabelShare = 0.07;

std::string Width(double share) { return Fixed(std::clamp(share, 0.0, 1.0) * 100, 3); }

}  // namespace

std::string Escape(std::string_view text) {
  std::string escaped;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default: {
        const size_t length = Utf8Length(text.substr(i));
        if (length == 0) {
          escaped += "\xef\xbf\xbd";
        } else if (length == 1 && static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') {
          escaped += ' ';
        } else {
          escaped.append(text, i, length);
          i += length - 1;
        }
      }
    }
  }
  return escaped;
}

std::string Section(std::string_view id, std::string_view title, const std::string& body) {
  if (body.empty()) return "";
  return absl::StrCat("<section id=\"", std::string(id), "\">\n<h2>", Escape(title), "</h2>\n",
                      body, "</section>\n");
}

std::string Paragraph(const std::string& escaped, std::string_view css) {
  if (css.empty()) return absl::StrCat("<p>", escaped, "</p>\n");
  return absl::StrCat("<p class=\"", std::string(css), "\">", escaped, "</p>\n");
}

std::string Raw(std::optional<double> value) {
  if (!value.has_value() || !std::isfinite(*value)) return "";
  std::array<char, 64> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), *value,
                                    std::chars_format::general, 6);
  return std::string(buffer.data(), result.ptr);
}

void Table::Row(std::string attributes) {
  absl::StrAppend(&rows_, "\n<tr", attributes.empty() ? "" : " ", attributes, ">");
  ++row_count_;
}

void Table::Text(std::string_view text) { absl::StrAppend(&rows_, "<td>", Escape(text)); }

void Table::Number(const std::string& text, std::optional<double> value) {
  const std::string raw = Raw(value);
  absl::StrAppend(&rows_, "<td class=n", raw.empty() ? "" : " data-v=", raw, ">", Escape(text));
}

void Table::Plain(const std::string& text) {
  absl::StrAppend(&rows_, "<td class=n>", Escape(text));
}

void Table::Bar(const std::string& text, std::optional<double> share) {
  absl::StrAppend(&rows_, "<td class=\"n bar\" data-v=", Raw(share.value_or(-1)),
                  " style=\"--w:", Width(share.value_or(0)), "%\">", Escape(text));
}

std::string Table::Finish(const std::string& foot) const {
  std::string heads;
  for (const Column& column : columns_) {
    absl::StrAppend(&heads, "<th scope=col", column.is_number ? " class=n" : "",
                    column.title.empty() ? "" : " title=\"",
                    column.title.empty() ? "" : Escape(column.title) + "\"",
                    "><button type=button>", Escape(column.head), "</button>");
  }
  return absl::StrCat("<div class=scroll tabindex=0 role=region aria-label=\"", Escape(caption_),
                      "\"><table id=\"", id_, "\"><caption>", Escape(caption_),
                      "</caption><thead><tr>", heads, "</thead><tbody>", rows_, "\n</tbody>",
                      foot.empty() ? "" : "<tfoot>", foot, foot.empty() ? "" : "</tfoot>",
                      "</table></div>\n");
}

std::string StackedBar(const std::string& name, const std::vector<Part>& parts) {
  std::string text;
  std::string said;
  for (const Part& part : parts) {
    absl::StrAppend(&said, said.empty() ? "" : ", ", part.label, " ", part.text);
    if (part.share <= 0) continue;
    absl::StrAppend(&text, "<span class=\"part ", part.css, "\" style=\"width:", Width(part.share),
                    "%\" title=\"", Escape(part.label + " " + part.text), "\">",
                    part.share >= kLabelShare ? "<b>" + Escape(part.text) + "</b>" : "", "</span>");
  }
  return absl::StrCat("<div class=stack role=img aria-label=\"", Escape(name + ": " + said), "\">",
                      text, "</div>\n");
}

std::string Legend(const std::vector<Part>& parts) {
  std::string text;
  for (const Part& part : parts) {
    absl::StrAppend(&text, "<li><span class=\"key ", part.css, "\"></span>", Escape(part.label),
                    " <b>", Escape(part.text), "</b>");
  }
  return absl::StrCat("<ul class=legend>", text, "</ul>\n");
}

PartName NameOfPart(std::string_view budget_name) {
  for (const KnownPart& part : kParts) {
    if (part.name == budget_name) return {part.css, part.label, part.meaning};
  }
  return {"p-other", std::string(budget_name), ""};
}

std::string ShortName(const CommunicatorResult& communicator) {
  return communicator.name.empty() ? communicator.id.substr(0, 8) : communicator.name;
}

}  // namespace mfutrace::report::html
