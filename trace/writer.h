// Appends blocks to a trace file descriptor. Runs inside the job, on the flusher thread (or at
// exit, on the thread that exits), never on the path of an intercepted call.
//
// Preload dialect: no allocation after Open (one mmap'd buffer), no exceptions, no libstdc++. Every
// failure is a return value and a sticky state; nothing here prints, aborts or blocks on more than
// write(2). A block becomes visible to readers whole or not at all, except for the torn tail a kill
// can leave, which the reader tolerates.
#pragma once

#include <cstddef>
#include <cstdint>

#include "trace/format.h"

namespace mfutrace::trace {

class Writer {
 public:
  enum class State : uint8_t { kClosed, kOpen, kFailed, kFull };

  // Creates `path` with O_CREAT | O_EXCL | O_CLOEXEC, mode 0644, and writes the file header. False
  // with errno kept in last_errno() if that fails.
  bool Open(const char* path, uint32_t pid, int64_t monotonic_ns, int64_t realtime_ns,
            uint64_t max_file_bytes);

  // Zeroed record space in the current block of this kind, opened if need be; nullptr once failed.
  // Records of calls (kCalls to kWideCalls) get nullptr also once the file has reached its limit
  // (kFull); everything else is small and is still written. The caller fills it at once. `prefix`
  // (may be nullptr) is copied when a block is opened; to change it call EndBlock() first.
  void* Append(BlockKind kind, uint16_t record_bytes, const void* prefix = nullptr,
               uint16_t prefix_bytes = 0);
  // A record of its own length (kStrings, kFacts): two parts, zero-padded to 4 bytes.
  bool AppendVariable(BlockKind kind, const void* head, size_t head_bytes, const void* body,
                      size_t body_bytes, const void* body2 = nullptr, size_t body2_bytes = 0);
  // Closes the current block; the next Append opens a new one.
  void EndBlock();
  // True while a block of this kind is open and has room for one more record of this size.
  bool HasOpenBlock(BlockKind kind, uint16_t record_bytes) const;

  // Writes all closed and open blocks with write(2). A failed write makes the state kFailed, for
  // good, and cuts the file back to its last whole block.
  bool Flush();
  void Close();
  // In a child of fork: closes the inherited descriptor and forgets what was not written; it is the
  // parent's.
  void Abandon();

  // True if a Flush would write something.
  bool has_unwritten() const { return used_ != 0; }

  State state() const { return state_; }
  int last_errno() const { return last_errno_; }
  uint64_t file_bytes() const { return file_bytes_; }

 private:
  static constexpr size_t kBufferBytes = 256 * 1024;

  bool Reserve(size_t bytes);
  // False once the descriptor is closed or another file's: jobs close descriptors they have not
  // opened, and the number is then given to a file of theirs.
  bool IsOurFile() const;
  bool WriteAll(const uint8_t* data, size_t bytes);

  int fd_ = -1;
  uint64_t device_ = 0;  // which file fd_ was when it was opened
  uint64_t inode_ = 0;
  State state_ = State::kClosed;
  int last_errno_ = 0;
  uint64_t file_bytes_ = 0;
  uint64_t max_file_bytes_ = 0;
  uint8_t* buffer_ = nullptr;
  size_t used_ = 0;         // bytes in buffer_, the open block included
  size_t block_begin_ = 0;  // offset of the open block's header
  bool block_is_open_ = false;
};

}  // namespace mfutrace::trace
