// Builds .mfut files byte by byte from docs/FORMAT.md, for tests of the reader.
//
// Knows nothing of trace/: neither its structures nor its checksum, so that a mistake there cannot
// hide here. Fields are written one after the other, little-endian; Pad() makes reserved ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mfutrace::trace_test {

// Bytes of a record, prefix or payload.
class Bytes {
 public:
  Bytes& U8(uint8_t value) { return Put(value, 1); }
  Bytes& U16(uint16_t value) { return Put(value, 2); }
  Bytes& U32(uint32_t value) { return Put(value, 4); }
  Bytes& U64(uint64_t value) { return Put(value, 8); }
  Bytes& I32(int32_t value) { return Put(static_cast<uint32_t>(value), 4); }
  Bytes& I64(int64_t value) { return Put(static_cast<uint64_t>(value), 8); }
  Bytes& Text(std::string_view text);
  Bytes& Pad(size_t count);
  Bytes& PadTo4() { return Pad((4 - data_.size() % 4) % 4); }
  Bytes& Append(const Bytes& other) { return Text(other.data_); }

  const std::string& data() const { return data_; }
  size_t size() const { return data_.size(); }

 private:
  Bytes& Put(uint64_t value, int bytes);
  std::string data_;
};

// CRC-32C one bit at a time.
uint32_t Checksum(std::string_view data);

struct BlockFields {
  uint16_t kind = 0;
  uint8_t version = 1;
  uint8_t flags = 0;
  uint16_t record_bytes = 0;
};

struct HeaderFields {
  uint32_t format_version = 1;
  uint32_t byte_order_mark = 0x01020304;
  uint32_t header_bytes = 64;
  uint32_t pid = 4412;
  int64_t start_monotonic_ns = 1'000;
  int64_t start_realtime_ns = 1'700'000'000'000'000'000;
};

// A header of 64 bytes with its checksum.
std::string FileHeaderBytes(const HeaderFields& fields = {});
// One block with its checksum.
std::string BlockBytes(const BlockFields& fields, const Bytes& records, const Bytes& prefix = {});

// Payload entries of kinds 1 and 2.
Bytes StringEntry(uint32_t id, std::string_view text);
Bytes FactEntry(std::string_view key, std::string_view value);

// The kinds of docs/FORMAT.md that tests write.
inline constexpr uint16_t kStrings = 1;
inline constexpr uint16_t kFacts = 2;
inline constexpr uint16_t kDevices = 3;
inline constexpr uint16_t kLanes = 4;
inline constexpr uint16_t kThreads = 5;
inline constexpr uint16_t kCommunicators = 6;
inline constexpr uint16_t kGemmSignatures = 7;
inline constexpr uint16_t kCollectiveSignatures = 8;
inline constexpr uint16_t kOpaqueSignatures = 9;
inline constexpr uint16_t kCalls = 10;
inline constexpr uint16_t kTimedCalls = 11;
inline constexpr uint16_t kCollectives = 12;
inline constexpr uint16_t kTimedCollectives = 13;
inline constexpr uint16_t kWideCalls = 14;
inline constexpr uint16_t kCounts = 15;
inline constexpr uint16_t kCounters = 16;
inline constexpr uint16_t kHostClock = 17;
inline constexpr uint16_t kClockSamples = 18;
inline constexpr uint16_t kEnd = 19;
inline constexpr uint16_t kMatrixSignatures = 20;
inline constexpr uint16_t kAttentionSignatures = 21;
inline constexpr uint16_t kConvolutionSignatures = 22;
inline constexpr uint16_t kRnnSignatures = 23;
inline constexpr uint16_t kCompoundSignatures = 24;
inline constexpr uint16_t kCompoundMembers = 25;
inline constexpr uint16_t kSequenceLengths = 26;
inline constexpr uint16_t kLaunchSequences = 27;
inline constexpr uint16_t kWindows = 30;
inline constexpr uint16_t kWindowSequences = 31;

// Common blocks.
Bytes CallPrefix(int64_t host_base_ns, int64_t gpu_base_ns = 0, int32_t device = 0);
std::string CallsBlock(int64_t host_base_ns, uint32_t first_signature, int count);
std::string EndBlock(uint64_t calls);
// Blocks of kinds 20 to 25, one or two records each; they name strings 1 to 3.
std::string OtherSignatureBlocks();
// A compound with a member that runs any number of times, and the numbers of a launch's
// collectives.
std::string GraphBlocks();
// Two windows of recording, a communicator's number in the second, and a clock pair as it is now.
std::string WindowBlocks();
// A product with scales, bias, auxiliary output and epilogue (64 bytes a record), two lists of
// lengths (kind 26) and attention over the second (56 bytes); they name strings 1 and 2.
std::string GrownSignatureBlocks();
// A file with every kind of block up to 19, one or two records each.
std::string WholeFile();

// Gives the header and every block of a file that was tampered with a checksum that holds, as far
// as block sizes lead; so that a reader looks at the contents.
void Reseal(std::string* file);

// A regular file in memory: tests of damage write thousands of them.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view data);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  void Write(std::string_view data) const;
  const std::string& path() const { return path_; }

 private:
  int fd_;
  std::string path_;
};

// A folder of the test run, removed with what is in it when this ends.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace mfutrace::trace_test
