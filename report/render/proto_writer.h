// Just enough of protobuf's wire format to write
// (https://protobuf.dev/programming-guides/encoding): varints, fixed 64 bits, lengths. A message is
// bytes; nesting is a field that holds such bytes.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace mfutrace::report {

class ProtoWriter {
 public:
  ProtoWriter& Varint(uint32_t field, uint64_t value) {
    Append(uint64_t{field} << 3);
    Append(value);
    return *this;
  }
  ProtoWriter& Fixed64(uint32_t field, uint64_t value) {
    Append(uint64_t{field} << 3 | 1);
    for (int i = 0; i < 8; ++i) bytes_ += static_cast<char>((value >> (8 * i)) & 0xff);
    return *this;
  }
  ProtoWriter& Double(uint32_t field, double value) {
    return Fixed64(field, std::bit_cast<uint64_t>(value));
  }
  ProtoWriter& Bytes(uint32_t field, std::string_view bytes) {
    Append(uint64_t{field} << 3 | 2);
    Append(bytes.size());
    bytes_.append(bytes);
    return *this;
  }
  ProtoWriter& Message(uint32_t field, const ProtoWriter& message) {
    return Bytes(field, message.bytes_);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void Append(uint64_t value) {
    while (value >= 0x80) {
      bytes_ += static_cast<char>((value & 0x7f) | 0x80);
      value >>= 7;
    }
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

}  // namespace mfutrace::report
