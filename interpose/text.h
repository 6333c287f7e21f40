// Text in fixed buffers: what the library needs of strings, without a string library. Too long is
// cut, the result is always terminated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mfutrace::interpose {

// Appends to a buffer owned by the caller.
class Text {
 public:
  Text(char* buffer, size_t capacity) : buffer_(buffer), capacity_(capacity) { buffer_[0] = '\0'; }

  Text& Add(const char* text) { return Add(text, std::strlen(text)); }
  Text& Add(const char* text, size_t bytes) {
    const size_t room = capacity_ - 1 - size_;
    if (bytes > room) bytes = room;
    std::memcpy(buffer_ + size_, text, bytes);
    size_ += bytes;
    buffer_[size_] = '\0';
    return *this;
  }
  Text& Add(int64_t number) {
    if (number >= 0) return AddUnsigned(static_cast<uint64_t>(number));
    Add("-", 1);
    return AddUnsigned(~static_cast<uint64_t>(number) + 1);
  }
  Text& AddUnsigned(uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    return Add(digits + at, sizeof digits - at);
  }
  Text& AddHex(const uint8_t* bytes, size_t count) {
    constexpr char kDigits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; ++i) {
      const char pair[2] = {kDigits[bytes[i] >> 4], kDigits[bytes[i] & 15]};
      Add(pair, 2);
    }
    return *this;
  }

  const char* c_str() const { return buffer_; }
  size_t size() const { return size_; }
  bool is_cut() const { return size_ + 1 == capacity_; }

 private:
  char* buffer_;
  size_t capacity_;
  size_t size_ = 0;
};

}  // namespace mfutrace::interpose
