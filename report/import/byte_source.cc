// See byte_source.h. Formats: RFC 1952 (gzip), POSIX.1-1988 ustar with the long names of GNU and of
// POSIX.1-2001.
#include "report/import/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace mfutrace::report {
namespace {

constexpr size_t kBufferBytes = 256 << 10;
constexpr size_t kTarBlock = 512;
constexpr uint64_t kMaxTarName = 64 << 10;

class FileSource final : public ByteSource {
 public:
  explicit FileSource(int fd) : fd_(fd) {}
  ~FileSource() override { close(fd_); }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  absl::StatusOr<size_t> Read(char* into, size_t size) override {
    while (true) {
      const ssize_t got = read(fd_, into, size);
      if (got >= 0) return static_cast<size_t>(got);
      if (errno != EINTR)
        return absl::UnavailableError(absl::StrCat("cannot be read: ", strerror(errno)));
    }
  }

 private:
  int fd_;
};

// A number of a tar header: octal text, or base 256 where the first bit is set (GNU).
bool TarNumber(const char* text, size_t size, uint64_t* value) {
  *value = 0;
  if ((static_cast<unsigned char>(text[0]) & 0x80) != 0) {
    for (size_t i = size - 8; i < size; ++i) {
      *value = *value << 8 | static_cast<unsigned char>(text[i]);
    }
    return true;
  }
  for (size_t i = 0; i < size && text[i] != '\0'; ++i) {
    if (text[i] == ' ') continue;
    if (text[i] < '0' || text[i] > '7') return false;
    *value = *value << 3 | static_cast<uint64_t>(text[i] - '0');
  }
  return true;
}

std::string TarText(const char* text, size_t size) {
  return std::string(text, strnlen(text, size));
}

// "path" among the "LENGTH KEY=VALUE\n" records of a POSIX extended header; empty if not there.
std::string PaxPath(absl::string_view records) {
  while (!records.empty()) {
    const size_t space = records.find(' ');
    size_t length = 0;
    if (space == absl::string_view::npos || !absl::SimpleAtoi(records.substr(0, space), &length) ||
        length <= space + 1 || length > records.size()) {
      return "";
    }
    absl::string_view record = records.substr(space + 1, length - space - 2);
    if (absl::ConsumePrefix(&record, "path=")) return std::string(record);
    records.remove_prefix(length);
  }
  return "";
}

}  // namespace

bool IsGzip(absl::string_view first_bytes) {
  return first_bytes.size() >= 2 && first_bytes[0] == '\x1f' && first_bytes[1] == '\x8b';
}

bool IsTar(absl::string_view first_bytes) {
  return first_bytes.size() >= kTarBlock && first_bytes.substr(257, 5) == "ustar";
}

absl::StatusOr<std::unique_ptr<ByteSource>> OpenBytes(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const absl::StatusCode code =
        errno == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kUnavailable;
    return absl::Status(code, absl::StrCat("cannot be opened: ", strerror(errno)));
  }
  auto file = std::make_unique<FileSource>(fd);
  struct stat about = {};
  if (fstat(fd, &about) == 0 && S_ISDIR(about.st_mode)) {
    return absl::InvalidArgumentError("is a folder, not a trace file");
  }
  auto peekable = std::make_unique<PeekableSource>(std::move(file));
  absl::StatusOr<absl::string_view> first = peekable->Peek(2);
  if (!first.ok()) return first.status();
  if (first->empty()) return absl::InvalidArgumentError("is empty");
  if (IsGzip(*first)) {
    return std::make_unique<GzipSource>(std::unique_ptr<ByteSource>(std::move(peekable)));
  }
  return peekable;
}

absl::StatusOr<absl::string_view> PeekableSource::Peek(size_t size) {
  while (held_.size() - taken_ < size) {
    const size_t had = held_.size();
    const size_t wanted = size - (had - taken_);
    held_.resize(had + wanted);
    absl::StatusOr<size_t> got = below_->Read(held_.data() + had, wanted);
    held_.resize(had + (got.ok() ? *got : 0));
    if (!got.ok()) return got.status();
    if (*got == 0) break;
  }
  return absl::string_view(held_.data() + taken_, std::min(size, held_.size() - taken_));
}

absl::StatusOr<size_t> PeekableSource::Read(char* into, size_t size) {
  if (taken_ == held_.size()) return below_->Read(into, size);
  const size_t count = std::min(size, held_.size() - taken_);
  memcpy(into, held_.data() + taken_, count);
  taken_ += count;
  return count;
}

GzipSource::GzipSource(ByteSource* below) : below_(below), compressed_(kBufferBytes) {
  inflateInit2(&zlib_, MAX_WBITS + 16);  // + 16: gzip's wrapping and nothing else
}

GzipSource::GzipSource(std::unique_ptr<ByteSource> below) : GzipSource(below.get()) {
  owned_ = std::move(below);
}

GzipSource::~GzipSource() { inflateEnd(&zlib_); }

absl::StatusOr<size_t> GzipSource::Read(char* into, size_t size) {
  if (has_ended_ || size == 0) return size_t{0};
  zlib_.next_out = reinterpret_cast<Bytef*>(into);
  zlib_.avail_out = static_cast<uInt>(std::min<size_t>(size, 1 << 30));
  const uInt wanted = zlib_.avail_out;
  while (zlib_.avail_out == wanted) {
    if (zlib_.avail_in == 0) {
      absl::StatusOr<size_t> got = below_->Read(compressed_.data(), compressed_.size());
      if (!got.ok()) return got.status();
      if (*got == 0) {
        if (!is_member_open_) {
          has_ended_ = true;
          return size_t{0};
        }
        return absl::DataLossError(absl::StrCat("gzip data ends early, after ", zlib_.total_out,
                                                " bytes of text: the file is truncated"));
      }
      zlib_.next_in = reinterpret_cast<Bytef*>(compressed_.data());
      zlib_.avail_in = static_cast<uInt>(*got);
    }
    if (!is_member_open_) {
      // Zero padding after the last member is usual on tapes and object stores.
      while (zlib_.avail_in > 0 && *zlib_.next_in == 0) {
        ++zlib_.next_in;
        --zlib_.avail_in;
      }
      if (zlib_.avail_in == 0) continue;
      inflateReset(&zlib_);
      is_member_open_ = true;
    }
    const int result = inflate(&zlib_, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      is_member_open_ = false;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return absl::DataLossError(
          absl::StrCat("gzip data is damaged after ", zlib_.total_out,
                       " bytes of text: ", zlib_.msg != nullptr ? zlib_.msg : "no details"));
    }
  }
  return static_cast<size_t>(wanted - zlib_.avail_out);
}

absl::Status TarReader::ReadAll(char* into, size_t size, bool* at_end) {
  size_t have = 0;
  while (have < size) {
    absl::StatusOr<size_t> got = below_->Read(into + have, size - have);
    if (!got.ok()) return got.status();
    if (*got == 0) {
      *at_end = have == 0;
      if (*at_end) return absl::OkStatus();
      return absl::DataLossError("tar archive ends early: the file is truncated");
    }
    have += *got;
  }
  *at_end = false;
  return absl::OkStatus();
}

absl::Status TarReader::Skip(uint64_t bytes) {
  std::vector<char> scratch(std::min<uint64_t>(bytes, kBufferBytes));
  while (bytes > 0) {
    bool at_end = false;
    const size_t step = static_cast<size_t>(std::min<uint64_t>(bytes, scratch.size()));
    if (absl::Status status = ReadAll(scratch.data(), step, &at_end); !status.ok()) return status;
    if (at_end) return absl::DataLossError("tar archive ends early: the file is truncated");
    bytes -= step;
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> TarReader::NextMember() {
  if (absl::Status status = Skip(left_ + padding_); !status.ok()) return status;
  left_ = padding_ = 0;
  std::string long_name;
  while (true) {
    char header[kTarBlock];
    bool at_end = false;
    if (absl::Status status = ReadAll(header, sizeof header, &at_end); !status.ok()) return status;
    // Two blocks of zeros end every archive; without them members may be missing.
    if (at_end) return absl::DataLossError("tar archive has no end mark: the file is truncated");
    if (std::all_of(header, header + sizeof header, [](char c) { return c == 0; })) return false;
    uint64_t size = 0;
    if (!IsTar(absl::string_view(header, sizeof header)) || !TarNumber(header + 124, 12, &size)) {
      return absl::DataLossError("tar archive has a damaged member header");
    }
    const uint64_t padding = (kTarBlock - size % kTarBlock) % kTarBlock;
    const char type = header[156];
    if (type == '0' || type == '\0') {
      const std::string prefix = TarText(header + 345, 155);
      name_ = TarText(header, 100);
      if (!prefix.empty()) name_ = absl::StrCat(prefix, "/", name_);
      if (!long_name.empty()) name_ = long_name;
      left_ = size;
      padding_ = padding;
      return true;
    }
    if ((type == 'L' || type == 'x') && size <= kMaxTarName) {
      std::string text(size, '\0');
      if (absl::Status status = ReadAll(text.data(), size, &at_end); !status.ok()) return status;
      if (absl::Status status = Skip(padding); !status.ok()) return status;
      const std::string name = type == 'L' ? TarText(text.data(), size) : PaxPath(text);
      if (!name.empty()) long_name = name;
      continue;
    }
    if (absl::Status status = Skip(size + padding); !status.ok()) return status;
  }
}

absl::StatusOr<size_t> TarReader::Read(char* into, size_t size) {
  if (left_ == 0) return size_t{0};
  absl::StatusOr<size_t> got =
      below_->Read(into, static_cast<size_t>(std::min<uint64_t>(size, left_)));
  if (!got.ok()) return got.status();
  if (*got == 0) return absl::DataLossError("tar archive ends early: the file is truncated");
  left_ -= *got;
  return *got;
}

}  // namespace mfutrace::report
