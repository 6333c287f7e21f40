// Turns what profilers write into JSON that a strict parser takes, byte by byte, without a parse.
//
// Kineto's known slips: a missing value (`"Process Group Description": ,`), NaN and Infinity, raw
// control characters and lone backslashes in names (C++ symbols, Windows paths), halves of
// surrogate pairs. Each becomes null, a space, an escaped backslash or U+FFFD, and is counted. What
// is right is copied as it is; what is wrong in another way is left for the parser to report.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace mfutrace::report {

class JsonRepair {
 public:
  // Appends the repaired form of `chunk` to `out`; state carries over to the next chunk.
  void Append(absl::string_view chunk, std::string* out);
  // Appends what is still held back. Once, after the last chunk.
  void Finish(std::string* out);

  uint64_t repairs() const { return repairs_; }

 private:
  enum class Where : uint8_t { kPlain, kAfterColon, kWord, kString, kEscape, kUnicode };

  // Where repaired text goes: there is room for the worst case.
  struct Sink {
    char* at;
    void push_back(char c) { *at++ = c; }
    void append(absl::string_view text) {
      for (const char c : text) *at++ = c;
    }
  };

  void AppendByte(char c, Sink* out);
  void EndWord(Sink* out);

  Where where_ = Where::kPlain;
  char held_[16] = {};  // a word outside strings, or the digits of \uXXXX
  size_t held_size_ = 0;
  uint64_t repairs_ = 0;
};

}  // namespace mfutrace::report
