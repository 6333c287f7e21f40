// See encoder.h. Every number here is from docs/FORMAT.md.
#include "tests/trace/encoder.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace mfutrace::trace_test {

Bytes& Bytes::Put(uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) data_ += static_cast<char>((value >> (8 * i)) & 0xff);
  return *this;
}

Bytes& Bytes::Text(std::string_view text) {
  data_ += text;
  return *this;
}

Bytes& Bytes::Pad(size_t count) {
  data_.append(count, '\0');
  return *this;
}

uint32_t Checksum(std::string_view data) {
  uint32_t crc = 0xffffffff;
  for (const char c : data) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
  }
  return ~crc;
}

std::string FileHeaderBytes(const HeaderFields& fields) {
  Bytes header;
  header.Text("mfutrace")
      .U32(fields.format_version)
      .U32(fields.byte_order_mark)
      .U32(fields.header_bytes)
      .U32(fields.pid)
      .I64(fields.start_monotonic_ns)
      .I64(fields.start_realtime_ns)
      .Pad(20);
  header.U32(Checksum(header.data()));
  return header.data();
}

std::string BlockBytes(const BlockFields& fields, const Bytes& records, const Bytes& prefix) {
  Bytes header;
  header.Text("MBLK")
      .U16(fields.kind)
      .U8(fields.version)
      .U8(fields.flags)
      .U32(static_cast<uint32_t>(prefix.size() + records.size()))
      .U16(fields.record_bytes)
      .U16(static_cast<uint16_t>(prefix.size()))
      .U32(0);
  const uint32_t crc =
      Checksum(header.data() + std::string(4, '\0') + prefix.data() + records.data());
  return header.U32(crc).Append(prefix).Append(records).data();
}

Bytes StringEntry(uint32_t id, std::string_view text) {
  return Bytes().U32(id).U32(static_cast<uint32_t>(text.size())).Text(text).PadTo4();
}

Bytes FactEntry(std::string_view key, std::string_view value) {
  return Bytes()
      .U32(static_cast<uint32_t>(key.size()))
      .U32(static_cast<uint32_t>(value.size()))
      .Text(key)
      .Text(value)
      .PadTo4();
}

Bytes CallPrefix(int64_t host_base_ns, int64_t gpu_base_ns, int32_t device) {
  return Bytes().I64(host_base_ns).I64(gpu_base_ns).I32(device).Pad(4);
}

std::string CallsBlock(int64_t host_base_ns, uint32_t first_signature, int count) {
  Bytes records;
  for (int i = 0; i < count; ++i) {
    const auto n = static_cast<uint32_t>(i);
    records.U32(first_signature + n).U32(1).U32(10 * n).U32(5);
  }
  return BlockBytes({.kind = kCalls, .record_bytes = 16}, records, CallPrefix(host_base_ns));
}

std::string EndBlock(uint64_t calls) {
  return BlockBytes({.kind = kEnd, .record_bytes = 24}, Bytes().I64(9'000).U64(calls).U8(0).Pad(7));
}

std::string OtherSignatureBlocks() {
  // syrk of 64 x 32 in f64; causal attention of 2 x 32 heads on 8; a convolution of ResNet; an
  // LSTM.
  std::string blocks = BlockBytes({.kind = kMatrixSignatures, .record_bytes = 56}, Bytes()
                                                                                       .U32(1)
                                                                                       .U32(1)
                                                                                       .U64(0)
                                                                                       .U64(64)
                                                                                       .U64(32)
                                                                                       .U64(1)
                                                                                       .U8(1)
                                                                                       .U8(1)
                                                                                       .U8(1)
                                                                                       .U8(0)
                                                                                       .U8(3)
                                                                                       .U8(2)
                                                                                       .U8(2)
                                                                                       .U8(0)
                                                                                       .U8(0)
                                                                                       .Pad(3)
                                                                                       .U32(70));
  blocks += BlockBytes({.kind = kAttentionSignatures, .record_bytes = 52}, Bytes()
                                                                               .U32(2)
                                                                               .U32(2)
                                                                               .U32(2)
                                                                               .U32(32)
                                                                               .U32(8)
                                                                               .U32(1)
                                                                               .U32(4096)
                                                                               .U32(128)
                                                                               .U32(128)
                                                                               .I32(-1)
                                                                               .I32(0)
                                                                               .U8(4)
                                                                               .U8(3)
                                                                               .U8(0)
                                                                               .U8(1)
                                                                               .U8(1)
                                                                               .Pad(3));
  blocks += BlockBytes({.kind = kConvolutionSignatures, .record_bytes = 64}, Bytes()
                                                                                 .U32(3)
                                                                                 .U32(3)
                                                                                 .U32(32)
                                                                                 .U32(3)
                                                                                 .U32(64)
                                                                                 .U32(1)
                                                                                 .U32(224)
                                                                                 .U32(224)
                                                                                 .U32(1)
                                                                                 .U32(7)
                                                                                 .U32(7)
                                                                                 .U32(1)
                                                                                 .U32(112)
                                                                                 .U32(112)
                                                                                 .U32(1)
                                                                                 .U8(3)
                                                                                 .U8(2)
                                                                                 .U8(0)
                                                                                 .U8(0));
  blocks += BlockBytes({.kind = kRnnSignatures, .record_bytes = 48}, Bytes()
                                                                         .U32(4)
                                                                         .U32(0)
                                                                         .U64(800)
                                                                         .U32(512)
                                                                         .U32(256)
                                                                         .U32(0)
                                                                         .U32(2)
                                                                         .U32(1)
                                                                         .U8(3)
                                                                         .U8(2)
                                                                         .U8(1)
                                                                         .U8(1)
                                                                         .U8(0)
                                                                         .Pad(7));
  blocks += BlockBytes({.kind = kCompoundSignatures, .record_bytes = 32},
                       Bytes().U32(5).U32(1).U32(2).U32(0).U64(0xab).U64(1));
  blocks += BlockBytes({.kind = kCompoundMembers, .record_bytes = 16},
                       Bytes().U32(5).U32(1).U64(7).U32(5).U32(2).U64(1));
  return blocks;
}

std::string GraphBlocks() {
  std::string blocks = BlockBytes({.kind = kCompoundSignatures, .record_bytes = 32},
                                  Bytes().U32(6).U32(1).U32(2).U32(0).U64(0xab).U64(1));
  blocks +=
      BlockBytes({.kind = kCompoundMembers, .record_bytes = 24},
                 Bytes().U32(6).U32(1).U64(7).U32(0).U32(0).U32(6).U32(2).U64(1).U32(2).U32(0));
  blocks += BlockBytes({.kind = kLaunchSequences, .record_bytes = 24},
                       Bytes().U32(1).U32(3).U64(5001).U32(41).U32(2));
  return blocks;
}

std::string WindowBlocks() {
  Bytes windows;
  windows.U32(1).U8(0).U8(0).Pad(2).U64(1000).U64(0).U64(60'000'000'000);
  windows.U32(1).U8(1).U8(1).Pad(2).U64(2000).U64(17).U64(60'000'000'000);
  windows.U32(2).U8(0).U8(1).Pad(2).U64(5000).U64(40).U64(0);
  std::string blocks = BlockBytes({.kind = kWindows, .record_bytes = 32}, windows);
  blocks += BlockBytes({.kind = kWindowSequences, .record_bytes = 16},
                       Bytes().U32(2).U32(3).U32(41).U32(0));
  blocks += BlockBytes({.kind = kHostClock, .record_bytes = 24},
                       Bytes().U64(8000).U64(1'700'000'000'000'007'000).U64(25));
  return blocks;
}

std::string GrownSignatureBlocks() {
  // 64 x 32 x 96 in f8_e4m3 with a scale for 32 elements and a bf16 result, bias and GELU
  // (CUBLASLT_EPILOGUE_GELU_AUX_BIAS = 164).
  Bytes product;
  product.U32(1).U32(1).U64(64).U64(32).U64(96).U64(1).U8(5).U8(5).U8(4).U8(4).U8(2).U8(0).U8(1);
  product.U8(0).U8(1).U8(0).U8(0).Pad(1).U32(68);
  product.U8(3).U8(3).U8(0).U8(4).U8(4).Pad(1).U16(164);
  std::string blocks = BlockBytes({.kind = kGemmSignatures, .record_bytes = 64}, product);
  blocks += BlockBytes({.kind = kSequenceLengths, .record_bytes = 16}, Bytes()
                                                                           .U32(1)
                                                                           .U32(7)
                                                                           .U32(7)
                                                                           .U32(1)
                                                                           .U32(2)
                                                                           .U32(1)
                                                                           .U32(4096)
                                                                           .U32(64)
                                                                           .U32(2)
                                                                           .U32(512)
                                                                           .U32(512)
                                                                           .U32(1));
  Bytes attention;
  attention.U32(2).U32(2).U32(65).U32(32).U32(8).U32(512).U32(4096).U32(128).U32(128).I32(-1).I32(
      0);
  attention.U8(4).U8(3).U8(0).U8(4).U8(0).Pad(3).U32(2);
  return blocks + BlockBytes({.kind = kAttentionSignatures, .record_bytes = 56}, attention);
}

std::string WholeFile() {
  std::string file = FileHeaderBytes();
  Bytes strings;
  strings.Append(StringEntry(1, "cublasGemmEx"))
      .Append(StringEntry(2, "NVIDIA H100 80GB HBM3"))
      .Append(StringEntry(3, "0000:1b:00.0"))
      .Append(StringEntry(4, "00112233445566778899aabbccddeeff"))
      .Append(StringEntry(5, "ncclAllReduce"))
      .Append(StringEntry(6, "cublasLtMatmul"))
      .Append(StringEntry(7, "layout not understood"))
      .Append(StringEntry(8, "calls_dropped"))
      .Append(StringEntry(9, ""));
  file += BlockBytes({.kind = kStrings}, strings);
  Bytes facts;
  facts.Append(FactEntry("host", "node1"))
      .Append(FactEntry("rank", "3"))
      .Append(FactEntry("command_line", std::string_view("python\0train.py", 15)))
      .Append(FactEntry("role", ""));
  file += BlockBytes({.kind = kFacts}, facts);
  file += BlockBytes({.kind = kDevices, .record_bytes = 40},
                     Bytes().I32(0).U32(2).U32(3).U32(4).I32(9).I32(0).I32(132).I32(1'980'000).U64(
                         85'017'755'648));
  file += BlockBytes({.kind = kLanes, .record_bytes = 24},
                     Bytes().U32(1).I32(0).U64(0xabc0).U32(4412).Pad(4));
  file += BlockBytes({.kind = kThreads, .record_bytes = 8}, Bytes().U32(4412).U32(9));
  file += BlockBytes({.kind = kCommunicators, .record_bytes = 56}, Bytes()
                                                                       .U32(1)
                                                                       .I32(3)
                                                                       .U64(0x1111222233334444)
                                                                       .U64(0)
                                                                       .I32(8)
                                                                       .I32(0)
                                                                       .I32(-1)
                                                                       .U32(0)
                                                                       .U32(0)
                                                                       .U32(1)
                                                                       .U8(0)
                                                                       .Pad(7));
  // 8192 x 14336 x 4096 in bf16, sums in f32, transposed A, beta zero, exact.
  file += BlockBytes({.kind = kGemmSignatures, .record_bytes = 56}, Bytes()
                                                                        .U32(1)
                                                                        .U32(1)
                                                                        .U64(8192)
                                                                        .U64(14336)
                                                                        .U64(4096)
                                                                        .U64(1)
                                                                        .U8(4)
                                                                        .U8(4)
                                                                        .U8(4)
                                                                        .U8(4)
                                                                        .U8(2)
                                                                        .U8(0)
                                                                        .U8(1)
                                                                        .U8(0)
                                                                        .U8(1)
                                                                        .U8(0)
                                                                        .U8(0)
                                                                        .Pad(1)
                                                                        .U32(68));
  file += BlockBytes(
      {.kind = kCollectiveSignatures, .record_bytes = 32},
      Bytes().U32(3).U32(5).U64(268435456).U32(1).I32(-1).U8(1).U8(4).U8(0).U8(0).Pad(4));
  file += BlockBytes({.kind = kOpaqueSignatures, .record_bytes = 16},
                     Bytes().U32(2).U32(6).U32(7).Pad(4));
  file += CallsBlock(2'000, 1, 2);
  file += BlockBytes({.kind = kTimedCalls, .record_bytes = 24},
                     Bytes().U32(1).U32(1).U32(7).U32(11).U32(100).U32(900),
                     CallPrefix(3'000, 50'000, 0));
  file += BlockBytes({.kind = kCollectives, .record_bytes = 20},
                     Bytes().U32(3).U32(1 | 1u << 24).U32(1).U32(2).U32(41), CallPrefix(4'000));
  file += BlockBytes({.kind = kTimedCollectives, .record_bytes = 28},
                     Bytes().U32(3).U32(1 | 1u << 25).U32(1).U32(2).U32(200).U32(3'000).U32(42),
                     CallPrefix(5'000, 60'000, 0));
  file += BlockBytes({.kind = kWideCalls, .record_bytes = 48}, Bytes()
                                                                   .U32(1)
                                                                   .U32(1)
                                                                   .I64(6'000)
                                                                   .I64(8'000'000'000)
                                                                   .I64(-5)
                                                                   .I64(7'000'000'000)
                                                                   .U32(0)
                                                                   .U8(1)
                                                                   .Pad(3));
  file += BlockBytes({.kind = kCounts, .record_bytes = 40},
                     Bytes().U32(1).I32(0).U64(17).I64(6'000).I64(7'000).U8(1).U8(0).Pad(6));
  file += BlockBytes({.kind = kCounters, .record_bytes = 16}, Bytes().U32(8).Pad(4).U64(99));
  file += BlockBytes({.kind = kHostClock, .record_bytes = 16},
                     Bytes().I64(8'000).I64(1'700'000'000'000'007'000));
  file += BlockBytes({.kind = kClockSamples, .record_bytes = 32},
                     Bytes().I32(0).Pad(4).I64(50'000).I64(2'990).I64(3'010));
  file += EndBlock(23);
  return file;
}

void Reseal(std::string* file) {
  const auto load = [file](size_t at, int bytes) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; ++i) {
      value |= static_cast<uint32_t>(static_cast<uint8_t>((*file)[at + static_cast<size_t>(i)]))
               << (8 * i);
    }
    return value;
  };
  const auto store = [file](size_t at, uint32_t value) {
    file->replace(at, 4, Bytes().U32(value).data());
  };
  if (file->size() < 64) return;
  store(60, Checksum(std::string_view(*file).substr(0, 60)));
  size_t at = load(16, 4);
  while (at + 24 <= file->size() && at + 24 + load(at + 8, 4) <= file->size()) {
    const size_t bytes = 24 + load(at + 8, 4);
    store(at + 20, 0);
    store(at + 20, Checksum(std::string_view(*file).substr(at, bytes)));
    at += bytes;
  }
}

MemoryFile::MemoryFile(std::string_view data) : fd_(memfd_create("mfut", MFD_CLOEXEC)) {
  if (fd_ < 0) std::abort();
  path_ = "/proc/self/fd/" + std::to_string(fd_);
  Write(data);
}

MemoryFile::~MemoryFile() { close(fd_); }

void MemoryFile::Write(std::string_view data) const {
  if (ftruncate(fd_, 0) != 0) std::abort();
  const ssize_t written = pwrite(fd_, data.data(), data.size(), 0);
  if (written != static_cast<ssize_t>(data.size())) std::abort();
}

TemporaryFolder::TemporaryFolder() {
  const char* parent = std::getenv("TMPDIR");
  path_ = std::string(parent != nullptr ? parent : "/tmp") + "/mfut-test-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) std::abort();
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path_); }

}  // namespace mfutrace::trace_test
