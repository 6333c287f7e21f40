// Streams of bytes that an import reads: a file, gzip over it, and the members of a tar over that.
//
// The kind is told by content (gzip's and ustar's magic), never by the file's name. Everything is
// read forward once through small buffers, so that memory does not grow with the file. The tar
// reader is our own hundred lines: the tools are linked statically, and libarchive as a static
// library asks for nine others to read what is a list of 512-byte headers.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mfutrace::report {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Up to `size` bytes; 0 only at the end. An error names what broke and where.
  virtual absl::StatusOr<size_t> Read(char* into, size_t size) = 0;
};

// Opens a file for reading: plain, or through zlib if its first bytes are gzip's. Fails if there is
// no such file, it cannot be read, it is a folder, or it is empty.
absl::StatusOr<std::unique_ptr<ByteSource>> OpenBytes(const std::string& path);

// Puts back what was looked at, and reads on.
class PeekableSource final : public ByteSource {
 public:
  explicit PeekableSource(std::unique_ptr<ByteSource> below)
      : owned_(std::move(below)), below_(owned_.get()) {}
  explicit PeekableSource(ByteSource* below) : below_(below) {}
  absl::StatusOr<size_t> Read(char* into, size_t size) override;
  // The next up to `size` bytes, without taking them; shorter only at the end.
  absl::StatusOr<absl::string_view> Peek(size_t size);
  // What was looked at and not taken: what there is, where Peek failed.
  absl::string_view held() const { return {held_.data() + taken_, held_.size() - taken_}; }

 private:
  std::unique_ptr<ByteSource> owned_;
  ByteSource* below_;
  std::vector<char> held_;
  size_t taken_ = 0;
};

// gzip, several members in a row allowed. `below` outlives it.
class GzipSource final : public ByteSource {
 public:
  explicit GzipSource(ByteSource* below);
  explicit GzipSource(std::unique_ptr<ByteSource> below);
  ~GzipSource() override;
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;
  absl::StatusOr<size_t> Read(char* into, size_t size) override;

 private:
  std::unique_ptr<ByteSource> owned_;
  ByteSource* below_;
  std::vector<char> compressed_;
  z_stream zlib_ = {};
  bool is_member_open_ = true;
  bool has_ended_ = false;
};

bool IsGzip(absl::string_view first_bytes);
bool IsTar(absl::string_view first_bytes);  // wants 512 bytes

// Walks the regular files of a tar. Usage: while (*NextMember()) Read(...).
class TarReader final : public ByteSource {
 public:
  explicit TarReader(ByteSource* below) : below_(below) {}
  // Goes to the next regular file, skipping what is left of this one; false at the end.
  absl::StatusOr<bool> NextMember();
  const std::string& name() const { return name_; }
  // Bytes of the current member.
  absl::StatusOr<size_t> Read(char* into, size_t size) override;

 private:
  absl::Status Skip(uint64_t bytes);
  // Exactly `size` bytes, or an error; `at_end` tells a clean end.
  absl::Status ReadAll(char* into, size_t size, bool* at_end);

  ByteSource* below_;
  std::string name_;
  uint64_t left_ = 0;     // of the member
  uint64_t padding_ = 0;  // after it
};

}  // namespace mfutrace::report
