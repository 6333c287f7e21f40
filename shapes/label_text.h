// Writes the text of a Label into its fixed array: nothing is allocated, and numbers go by integer
// arithmetic, so that all ranks get the same text. For the label functions of this room only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shapes/label.h"

namespace mfutrace::shapes {

// "(tf32)" and the like; empty for the default.
std::string_view SuffixOf(MathMode math);

class Text {
 public:
  Text& Put(std::string_view part) {
    for (const char c : part) {
      if (label_.size == label_.chars.size()) break;
      label_.chars[label_.size++] = c;
    }
    return *this;
  }
  Text& Put(uint64_t number) {
    char digits[20];
    size_t begin = sizeof(digits);
    do {
      digits[--begin] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    return Put(std::string_view(digits + begin, sizeof(digits) - begin));
  }
  // "4096", or "1/4096" where the two differ.
  Text& PutPair(uint64_t first, uint64_t second) {
    Put(first);
    if (first != second) Put("/").Put(second);
    return *this;
  }
  const Label& label() const { return label_; }

 private:
  Label label_;
};

// " causal-br w256": the mask, and its window where it has one. Where seq_q and seq_k are equal,
// both alignments are one mask, "causal".
void PutMask(Text& text, const Attention& attention);

}  // namespace mfutrace::shapes
