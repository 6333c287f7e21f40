// Plain values <-> bytes, for files of summaries (summary_file.cc): one description of a struct
// serves both directions.
//
// Whole numbers are LEB128, signed ones in zigzag; texts, lists, sets and maps begin with their
// count, optional values with 0 or 1; a struct begins with the length of its fields in bytes.
// Fields are only ever appended: a reader skips what it does not know and leaves what is not there
// at its default. docs/FORMAT.md lists them.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"

namespace mfutrace::report {

class ArchiveWriter {
 public:
  template <typename... Values>
  void operator()(const Values&... values) {
    (Put(values), ...);
  }
  std::string Take() { return std::move(bytes_); }

 private:
  void PutUnsigned(uint64_t value) {
    while (value >= 0x80) {
      bytes_.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    bytes_.push_back(static_cast<char>(value));
  }
  template <typename T>
  void Put(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      bytes_.push_back(value ? 1 : 0);
    } else if constexpr (std::is_enum_v<T>) {
      PutUnsigned(static_cast<uint64_t>(value));
    } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
      const auto wide = static_cast<int64_t>(value);
      PutUnsigned(static_cast<uint64_t>(wide) << 1 ^ static_cast<uint64_t>(wide >> 63));
    } else if constexpr (std::is_integral_v<T>) {
      PutUnsigned(value);
    } else if constexpr (std::is_floating_point_v<T>) {
      const auto wide = static_cast<double>(value);
      char raw[sizeof wide];
      std::memcpy(raw, &wide, sizeof wide);
      bytes_.append(raw, sizeof raw);
    } else {
      // A struct: its fields, behind their length.
      ArchiveWriter fields;
      Describe(fields, const_cast<T&>(value));
      Put(fields.bytes_);
    }
  }
  void Put(const absl::uint128& value) {
    PutUnsigned(absl::Uint128High64(value));
    PutUnsigned(absl::Uint128Low64(value));
  }
  void Put(const std::string& text) {
    PutUnsigned(text.size());
    bytes_ += text;
  }
  template <typename T>
  void Put(const std::optional<T>& value) {
    Put(value.has_value());
    if (value.has_value()) Put(*value);
  }
  template <typename A, typename B>
  void Put(const std::pair<A, B>& pair) {
    Put(pair.first);
    Put(pair.second);
  }
  template <typename T, size_t kCount>
  void Put(const std::array<T, kCount>& values) {
    PutAll(values);
  }
  template <typename T>
  void Put(const std::vector<T>& values) {
    PutAll(values);
  }
  template <typename T>
  void Put(const std::set<T>& values) {
    PutAll(values);
  }
  template <typename K, typename V>
  void Put(const std::map<K, V>& values) {
    PutAll(values);
  }
  template <typename Values>
  void PutAll(const Values& values) {
    PutUnsigned(values.size());
    for (const auto& value : values) Put(value);
  }

  std::string bytes_;
};

class ArchiveReader {
 public:
  explicit ArchiveReader(const std::string& bytes)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  template <typename... Values>
  void operator()(Values&... values) {
    (GetField(values), ...);
  }
  // False once something was cut short or makes no sense.
  bool ok() const { return is_ok_; }

 private:
  ArchiveReader(const char* at, const char* end) : at_(at), end_(end) {}

  size_t left() const { return static_cast<size_t>(end_ - at_); }

  // Fields at the end of a struct that the writer did not have.
  template <typename T>
  void GetField(T& value) {
    if (is_ok_ && at_ != end_) Get(value);
  }
  uint64_t GetUnsigned() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && at_ != end_; shift += 7) {
      const auto byte = static_cast<unsigned char>(*at_++);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    is_ok_ = false;
    return 0;
  }
  // A count of things that take at least a byte each.
  size_t GetCount() {
    const uint64_t count = GetUnsigned();
    if (count <= left()) return static_cast<size_t>(count);
    is_ok_ = false;
    return 0;
  }
  template <typename T>
  void Get(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      value = GetUnsigned() != 0;
    } else if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(GetUnsigned());
    } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
      const uint64_t raw = GetUnsigned();
      value = static_cast<T>(static_cast<int64_t>(raw >> 1) ^ -static_cast<int64_t>(raw & 1));
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(GetUnsigned());
    } else if constexpr (std::is_floating_point_v<T>) {
      double wide = 0;
      if (left() < sizeof wide) {
        is_ok_ = false;
        return;
      }
      std::memcpy(&wide, at_, sizeof wide);
      at_ += sizeof wide;
      value = static_cast<T>(wide);
    } else {
      const size_t bytes = GetCount();
      ArchiveReader fields(at_, at_ + bytes);
      if (is_ok_) Describe(fields, value);
      is_ok_ = is_ok_ && fields.is_ok_;
      at_ += bytes;
    }
  }
  void Get(absl::uint128& value) {
    const uint64_t high = GetUnsigned();
    value = absl::MakeUint128(high, GetUnsigned());
  }
  void Get(std::string& text) {
    const size_t bytes = GetCount();
    text.assign(at_, bytes);
    at_ += bytes;
  }
  template <typename T>
  void Get(std::optional<T>& value) {
    bool is_there = false;
    Get(is_there);
    value.reset();
    if (is_there) Get(value.emplace());
  }
  template <typename A, typename B>
  void Get(std::pair<A, B>& pair) {
    Get(pair.first);
    Get(pair.second);
  }
  // What a longer array of a later version has more is dropped.
  template <typename T, size_t kCount>
  void Get(std::array<T, kCount>& values) {
    const size_t count = GetCount();
    for (size_t i = 0; i < count && is_ok_; ++i) {
      T value = {};
      Get(value);
      if (i < kCount) values[i] = value;
    }
  }
  template <typename T>
  void Get(std::vector<T>& values) {
    const size_t count = GetCount();
    values.clear();
    values.reserve(count);
    for (size_t i = 0; i < count && is_ok_; ++i) Get(values.emplace_back());
  }
  template <typename T>
  void Get(std::set<T>& values) {
    const size_t count = GetCount();
    values.clear();
    for (size_t i = 0; i < count && is_ok_; ++i) {
      T value = {};
      Get(value);
      values.insert(std::move(value));
    }
  }
  template <typename K, typename V>
  void Get(std::map<K, V>& values) {
    const size_t count = GetCount();
    values.clear();
    for (size_t i = 0; i < count && is_ok_; ++i) {
      K key = {};
      Get(key);
      Get(values[std::move(key)]);
    }
  }

  const char* at_;
  const char* end_;
  bool is_ok_ = true;
};

}  // namespace mfutrace::report
