// See json_repair.h. Grammar: RFC 8259.
#include "report/import/json_repair.h"

#include <array>

namespace mfutrace::report {
namespace {

// A missing value is the most that a byte can turn into: "," becomes "null,".
constexpr size_t kMostGrowth = 5;
constexpr size_t kMostHeld = 64;  // from the chunk before

using ByteSet = std::array<bool, 256>;

// Bytes that a string holds as they are.
constexpr ByteSet kStringBytes = [] {
  ByteSet set = {};
  for (size_t i = 0x20; i < set.size(); ++i) set[i] = i != '"' && i != '\\';
  return set;
}();

// Letters, and the sign that -Infinity begins with.
constexpr bool IsWordByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

// Bytes outside strings that change nothing: all but quotes, colons and words.
constexpr ByteSet kPlainBytes = [] {
  ByteSet set = {};
  for (size_t i = 1; i < set.size(); ++i) {
    set[i] = i != '"' && i != ':' && !IsWordByte(static_cast<char>(i));
  }
  return set;
}();

bool Has(const ByteSet& set, char c) { return set[static_cast<unsigned char>(c)]; }

bool IsHexDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

}  // namespace

void JsonRepair::EndWord(Sink* out) {
  const absl::string_view word(held_, held_size_);
  held_size_ = 0;
  where_ = Where::kPlain;
  const absl::string_view bare = word.substr(word.empty() || word[0] != '-' ? 0 : 1);
  if (bare == "NaN" || bare == "nan" || bare == "Infinity" || bare == "inf" || bare == "Inf") {
    out->append("null");
    ++repairs_;
    return;
  }
  out->append(word);
}

void JsonRepair::AppendByte(char c, Sink* out) {
  switch (where_) {
    case Where::kAfterColon:
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        out->push_back(c);
        return;
      }
      where_ = Where::kPlain;
      if (c == ',' || c == '}') {
        out->append("null");
        ++repairs_;
      }
      break;
    case Where::kWord:
      if (IsWordByte(c) && held_size_ < sizeof held_) {
        held_[held_size_++] = c;
        return;
      }
      EndWord(out);
      break;
    case Where::kString:
      if (c == '"') {
        where_ = Where::kPlain;
      } else if (c == '\\') {
        where_ = Where::kEscape;
        return;
      } else if (!Has(kStringBytes, c)) {
        c = ' ';
        ++repairs_;
      }
      out->push_back(c);
      return;
    case Where::kEscape:
      where_ = Where::kString;
      if (c == 'u') {
        where_ = Where::kUnicode;
        held_size_ = 0;
        return;
      }
      out->push_back('\\');
      if (absl::string_view("\"\\/bfnrt").find(c) == absl::string_view::npos) {
        out->push_back('\\');
        ++repairs_;
        AppendByte(c, out);
        return;
      }
      out->push_back(c);
      return;
    case Where::kUnicode:
      if (!IsHexDigit(c)) {
        out->append("\\\\u");
        out->append({held_, held_size_});
        held_size_ = 0;
        where_ = Where::kString;
        ++repairs_;
        AppendByte(c, out);
        return;
      }
      held_[held_size_++] = c;
      if (held_size_ < 4) return;
      held_size_ = 0;
      where_ = Where::kString;
      out->append("\\u");
      // Names only: a pair that was right becomes two replacement characters too.
      if ((held_[0] == 'd' || held_[0] == 'D') &&
          absl::string_view("89abcdefABCDEF").find(held_[1]) != absl::string_view::npos) {
        out->append("fffd");
        ++repairs_;
        return;
      }
      out->append({held_, 4});
      return;
    case Where::kPlain:
      break;
  }
  if (c == '"') {
    where_ = Where::kString;
  } else if (c == ':') {
    where_ = Where::kAfterColon;
  } else if (IsWordByte(c)) {
    where_ = Where::kWord;
    held_[0] = c;
    held_size_ = 1;
    return;
  } else if (c == '\0') {
    c = '\1';  // the parser would take a NUL for the end of the text
  }
  out->push_back(c);
}

void JsonRepair::Append(absl::string_view chunk, std::string* out) {
  const size_t had = out->size();
  out->resize(had + kMostGrowth * chunk.size() + kMostHeld);
  Sink sink = {out->data() + had};
  const char* at = chunk.data();
  const char* const end = at + chunk.size();
  while (at < end) {
    if (where_ == Where::kString || where_ == Where::kPlain) {
      const ByteSet& same = where_ == Where::kString ? kStringBytes : kPlainBytes;
      while (at < end && Has(same, *at)) sink.push_back(*at++);
      if (at == end) break;
    }
    AppendByte(*at++, &sink);
  }
  out->resize(static_cast<size_t>(sink.at - out->data()));
}

void JsonRepair::Finish(std::string* out) {
  if (where_ != Where::kWord) return;
  const size_t had = out->size();
  out->resize(had + kMostHeld);
  Sink sink = {out->data() + had};
  EndWord(&sink);
  out->resize(static_cast<size_t>(sink.at - out->data()));
}

}  // namespace mfutrace::report
