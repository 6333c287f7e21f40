// The write side of a .mfut file: blocks are built in one mmap'd buffer and leave it by write(2).
//
// Runs on the flusher thread inside the job; see writer.h for what it must not do. A failed write
// cuts the file back to its last whole block, so that a full disk leaves a readable trace behind.
#include "trace/writer.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mfutrace::trace {
namespace {

// Records of single calls and kernels are what a size limit stops; everything else stays small.
bool IsLimited(BlockKind kind) {
  return (kind >= BlockKind::kCalls && kind <= BlockKind::kWideCalls) ||
         kind == BlockKind::kForeignRuns || kind == BlockKind::kForeignEach;
}

// The system call itself: as a function of the C library, fstat is only there since glibc 2.33.
bool FileOf(int fd, struct stat* file) { return syscall(SYS_fstat, fd, file) == 0; }

constexpr size_t PaddedTo4(size_t bytes) { return (bytes + 3) & ~size_t{3}; }

}  // namespace

bool Writer::Open(const char* path, uint32_t pid, int64_t monotonic_ns, int64_t realtime_ns,
                  uint64_t max_file_bytes) {
  if (state_ != State::kClosed) return false;
  if (buffer_ == nullptr) {
    void* memory =
        mmap(nullptr, kBufferBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      last_errno_ = errno;
      return false;
    }
    buffer_ = static_cast<uint8_t*>(memory);
  }
  fd_ = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd_ < 0) {
    last_errno_ = errno;
    return false;
  }
  struct stat file {};
  if (!FileOf(fd_, &file)) {
    last_errno_ = errno;
    unlink(path);
    close(fd_);
    fd_ = -1;
    return false;
  }
  device_ = file.st_dev;
  inode_ = file.st_ino;
  state_ = State::kOpen;
  file_bytes_ = 0;
  max_file_bytes_ = max_file_bytes;
  used_ = 0;
  block_is_open_ = false;

  FileHeader header{};
  std::memcpy(header.magic, kMagic, sizeof header.magic);
  header.format_version = kFormatVersion;
  header.byte_order_mark = kByteOrderMark;
  header.header_bytes = sizeof header;
  header.pid = pid;
  header.start_monotonic_ns = monotonic_ns;
  header.start_realtime_ns = realtime_ns;
  header.crc32c = Crc32c(0, &header, offsetof(FileHeader, crc32c));
  if (!WriteAll(reinterpret_cast<const uint8_t*>(&header), sizeof header)) {
    // An empty file says nothing; the next attempt may use the name again.
    unlink(path);
    close(fd_);
    fd_ = -1;
    state_ = State::kClosed;
    return false;
  }
  return true;
}

void* Writer::Append(BlockKind kind, uint16_t record_bytes, const void* prefix,
                     uint16_t prefix_bytes) {
  if (state_ == State::kClosed || state_ == State::kFailed) return nullptr;
  if (IsLimited(kind)) {
    const uint64_t end =
        file_bytes_ + used_ + sizeof(BlockHeader) + prefix_bytes + uint64_t{record_bytes};
    if (state_ == State::kFull || end > max_file_bytes_) {
      state_ = State::kFull;
      return nullptr;
    }
  }
  if (!HasOpenBlock(kind, record_bytes)) {
    EndBlock();
    if (!Reserve(sizeof(BlockHeader) + prefix_bytes + record_bytes)) return nullptr;
    BlockHeader header{};
    header.sync = kBlockSync;
    header.kind = static_cast<uint16_t>(kind);
    header.version = 1;
    header.record_bytes = record_bytes;
    header.prefix_bytes = prefix_bytes;
    block_begin_ = used_;
    std::memcpy(buffer_ + used_, &header, sizeof header);
    used_ += sizeof header;
    if (prefix_bytes != 0) std::memcpy(buffer_ + used_, prefix, prefix_bytes);
    used_ += prefix_bytes;
    block_is_open_ = true;
  }
  void* record = buffer_ + used_;
  std::memset(record, 0, record_bytes);
  used_ += record_bytes;
  return record;
}

bool Writer::AppendVariable(BlockKind kind, const void* head, size_t head_bytes, const void* body,
                            size_t body_bytes, const void* body2, size_t body2_bytes) {
  if (state_ == State::kClosed || state_ == State::kFailed) return false;
  const size_t bytes = PaddedTo4(head_bytes + body_bytes + body2_bytes);
  if (sizeof(BlockHeader) + bytes > kBufferBytes) return false;
  if (!HasOpenBlock(kind, 0) || used_ + bytes > kBufferBytes) {
    EndBlock();
    if (!Reserve(sizeof(BlockHeader) + bytes)) return false;
    BlockHeader header{};
    header.sync = kBlockSync;
    header.kind = static_cast<uint16_t>(kind);
    header.version = 1;
    block_begin_ = used_;
    std::memcpy(buffer_ + used_, &header, sizeof header);
    used_ += sizeof header;
    block_is_open_ = true;
  }
  uint8_t* to = buffer_ + used_;
  std::memset(to + bytes - 4, 0, 4);
  std::memcpy(to, head, head_bytes);
  if (body_bytes != 0) std::memcpy(to + head_bytes, body, body_bytes);
  if (body2_bytes != 0) std::memcpy(to + head_bytes + body_bytes, body2, body2_bytes);
  used_ += bytes;
  return true;
}

void Writer::EndBlock() {
  if (!block_is_open_) return;
  block_is_open_ = false;
  BlockHeader header{};
  std::memcpy(&header, buffer_ + block_begin_, sizeof header);
  header.payload_bytes = static_cast<uint32_t>(used_ - block_begin_ - sizeof header);
  header.crc32c = 0;
  std::memcpy(buffer_ + block_begin_, &header, sizeof header);
  header.crc32c = Crc32c(0, buffer_ + block_begin_, used_ - block_begin_);
  std::memcpy(buffer_ + block_begin_, &header, sizeof header);
}

bool Writer::HasOpenBlock(BlockKind kind, uint16_t record_bytes) const {
  if (!block_is_open_ || used_ + record_bytes > kBufferBytes) return false;
  BlockHeader header{};
  std::memcpy(&header, buffer_ + block_begin_, sizeof header);
  return header.kind == static_cast<uint16_t>(kind) && header.record_bytes == record_bytes;
}

bool Writer::Reserve(size_t bytes) {
  if (used_ + bytes <= kBufferBytes) return true;
  return Flush() && bytes <= kBufferBytes;
}

bool Writer::Flush() {
  if (state_ == State::kClosed || state_ == State::kFailed) return false;
  EndBlock();
  if (used_ == 0) return true;
  const size_t bytes = used_;
  used_ = 0;
  return WriteAll(buffer_, bytes);
}

bool Writer::IsOurFile() const {
  struct stat file {};
  return fd_ >= 0 && FileOf(fd_, &file) && file.st_dev == device_ && file.st_ino == inode_;
}

bool Writer::WriteAll(const uint8_t* data, size_t bytes) {
  if (!IsOurFile()) {
    last_errno_ = EBADF;
    state_ = State::kFailed;
    return false;
  }
  size_t done = 0;
  while (done < bytes) {
    const ssize_t written = write(fd_, data + done, bytes - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      last_errno_ = written < 0 ? errno : EIO;
      state_ = State::kFailed;
      // Best effort: if this fails too, the reader meets a torn tail, which it tolerates.
      if (ftruncate(fd_, static_cast<off_t>(file_bytes_)) != 0) return false;
      return false;
    }
    done += static_cast<size_t>(written);
  }
  file_bytes_ += bytes;
  return true;
}

void Writer::Close() {
  if (state_ == State::kClosed) return;
  Flush();
  // Forgotten first: a child forked in between must not close a number that is somebody else's by
  // now.
  const int fd = IsOurFile() ? fd_ : -1;
  fd_ = -1;
  state_ = State::kClosed;
  if (fd >= 0) close(fd);
}

void Writer::Abandon() {
  if (IsOurFile()) close(fd_);
  fd_ = -1;
  used_ = 0;
  block_is_open_ = false;
  state_ = State::kClosed;
}

}  // namespace mfutrace::trace
