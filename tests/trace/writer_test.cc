// The writer alone: files it leaves are read back block by block, whole or cut short by the system.
#include "trace/writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "trace/reader.h"

namespace mfutrace::trace {
namespace {

class WriterTest : public testing::Test {
 protected:
  WriterTest() {
    char pattern[] = "/tmp/mfutrace_writer_XXXXXX";
    folder_ = mkdtemp(pattern);
    path_ = folder_ + "/a.mfut";
  }
  ~WriterTest() override { std::filesystem::remove_all(folder_); }

  bool Open(Writer& writer, uint64_t limit = UINT64_MAX) {
    return writer.Open(path_.c_str(), 77, 1000, 2000, limit);
  }

  std::string folder_;
  std::string path_;
};

struct Blocks : Visitor {
  void OnHeader(const FileHeader& read) override { header = read; }
  void OnBlock(const BlockHeader& block, uint64_t) override {
    kinds.push_back(static_cast<BlockKind>(block.kind));
  }
  void OnString(uint32_t id, absl::string_view text) override {
    strings.emplace_back(id, std::string(text));
  }
  void OnFact(absl::string_view key, absl::string_view value) override {
    facts.emplace_back(std::string(key), std::string(value));
  }
  void OnCount(const CountRecord& count) override { counts.push_back(count); }
  void OnCall(const Call& call) override { calls.push_back(call); }

  FileHeader header{};
  std::vector<BlockKind> kinds;
  std::vector<std::pair<uint32_t, std::string>> strings;
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<CountRecord> counts;
  std::vector<Call> calls;
};

void PutString(Writer& writer, uint32_t id, const std::string& text) {
  StringHeader head{id, static_cast<uint32_t>(text.size())};
  ASSERT_TRUE(
      writer.AppendVariable(BlockKind::kStrings, &head, sizeof head, text.data(), text.size()));
}

bool PutCount(Writer& writer, uint64_t calls) {
  void* to = writer.Append(BlockKind::kCounts, sizeof(CountRecord));
  if (to == nullptr) return false;
  CountRecord record{};
  record.calls = calls;
  std::memcpy(to, &record, sizeof record);
  return true;
}

bool PutCall(Writer& writer, uint32_t n) {
  CallPrefix prefix{};
  prefix.host_base_ns = 5'000'000'000'000;
  void* to = writer.Append(BlockKind::kCalls, sizeof(CallRecord), &prefix, sizeof prefix);
  if (to == nullptr) return false;
  CallRecord record{};
  record.signature = 1;
  record.lane_flags = 1;
  record.host_begin_delta_ns = n;
  std::memcpy(to, &record, sizeof record);
  return true;
}

Blocks ReadBack(const std::string& path, Outcome* outcome = nullptr) {
  Blocks blocks;
  const auto read = ReadTrace(path, blocks);
  EXPECT_TRUE(read.ok()) << read.status();
  if (read.ok() && outcome != nullptr) *outcome = *read;
  return blocks;
}

// RFC 3720, B.4: the four patterns of 32 bytes.
TEST(Crc32cTest, AgreesWithTheStandardsExamples) {
  uint8_t bytes[32] = {};
  EXPECT_EQ(Crc32c(0, bytes, 32), 0x8a9136aau);
  std::memset(bytes, 0xff, 32);
  EXPECT_EQ(Crc32c(0, bytes, 32), 0x62a8ab43u);
  for (uint8_t i = 0; i < 32; ++i) bytes[i] = i;
  EXPECT_EQ(Crc32c(0, bytes, 32), 0x46dd794eu);
  for (uint8_t i = 0; i < 32; ++i) bytes[i] = static_cast<uint8_t>(31 - i);
  EXPECT_EQ(Crc32c(0, bytes, 32), 0x113fdb5cu);
  EXPECT_EQ(Crc32c(0, "123456789", 9), 0xe3069283u);
}

TEST(Crc32cTest, PiecesChain) {
  const char text[] = "any bytes at all, cut anywhere";
  const uint32_t whole = Crc32c(0, text, sizeof text);
  for (size_t cut = 0; cut <= sizeof text; ++cut) {
    EXPECT_EQ(Crc32c(Crc32c(0, text, cut), text + cut, sizeof text - cut), whole);
  }
}

TEST_F(WriterTest, WhatIsAppendedIsRead) {
  Writer writer;
  ASSERT_TRUE(Open(writer));
  PutString(writer, 1, "");
  PutString(writer, 2, "abc");
  PutString(writer, 3, "abcd");
  FactHeader head{3, 5};
  ASSERT_TRUE(writer.AppendVariable(BlockKind::kFacts, &head, sizeof head, "key", 3, "value", 5));
  ASSERT_TRUE(PutCount(writer, 11));
  ASSERT_TRUE(PutCount(writer, 12));
  writer.EndBlock();
  ASSERT_TRUE(PutCount(writer, 13));
  writer.Close();
  const Blocks read = ReadBack(path_);
  EXPECT_EQ(read.header.pid, 77u);
  EXPECT_EQ(read.header.start_monotonic_ns, 1000);
  EXPECT_EQ(read.header.start_realtime_ns, 2000);
  EXPECT_EQ(read.strings,
            (std::vector<std::pair<uint32_t, std::string>>{{1, ""}, {2, "abc"}, {3, "abcd"}}));
  EXPECT_EQ(read.facts, (std::vector<std::pair<std::string, std::string>>{{"key", "value"}}));
  EXPECT_EQ(read.kinds, (std::vector<BlockKind>{BlockKind::kStrings, BlockKind::kFacts,
                                                BlockKind::kCounts, BlockKind::kCounts}));
  ASSERT_EQ(read.counts.size(), 3u);
  EXPECT_EQ(read.counts[2].calls, 13u);
}

// Many times the buffer, with records of two lengths, none of which divides it.
TEST_F(WriterTest, ManyBuffersKeepEveryRecord) {
  Writer writer;
  ASSERT_TRUE(Open(writer));
  constexpr uint32_t kRounds = 100'000;
  for (uint32_t i = 0; i < kRounds; ++i) {
    ASSERT_TRUE(PutCall(writer, i));
    if (i % 1000 == 0) {
      ASSERT_TRUE(PutCount(writer, i));
    }
    if (i % 7777 == 0) PutString(writer, 1 + i, std::string(i % 5000, 'x'));
  }
  writer.Close();
  Outcome outcome;
  const Blocks read = ReadBack(path_, &outcome);
  EXPECT_TRUE(outcome.damage.empty()) << outcome.damage;
  EXPECT_EQ(outcome.bytes_lost, 0u);
  ASSERT_EQ(read.calls.size(), kRounds);
  for (uint32_t i = 0; i < kRounds; ++i) {
    ASSERT_EQ(read.calls[i].host_begin_ns, 5'000'000'000'000 + i);
  }
  EXPECT_EQ(read.counts.size(), kRounds / 1000);
}

TEST_F(WriterTest, NeverWritesIntoAFileThatIsThere) {
  Writer first;
  ASSERT_TRUE(Open(first));
  Writer second;
  EXPECT_FALSE(Open(second));
  EXPECT_EQ(second.last_errno(), EEXIST);
  EXPECT_EQ(second.state(), Writer::State::kClosed);
}

TEST_F(WriterTest, AStringLongerThanTheBufferIsRefused) {
  Writer writer;
  ASSERT_TRUE(Open(writer));
  const std::string huge(1 << 20, 'x');
  StringHeader head{1, static_cast<uint32_t>(huge.size())};
  EXPECT_FALSE(
      writer.AppendVariable(BlockKind::kStrings, &head, sizeof head, huge.data(), huge.size()));
  PutString(writer, 2, "still works");
  writer.Close();
  EXPECT_EQ(ReadBack(path_).strings.size(), 1u);
}

TEST_F(WriterTest, TheLimitStopsCallsAndNothingElse) {
  constexpr uint64_t kLimit = 10'000;
  Writer writer;
  ASSERT_TRUE(Open(writer, kLimit));
  uint32_t calls = 0;
  while (PutCall(writer, calls)) ++calls;
  EXPECT_EQ(writer.state(), Writer::State::kFull);
  EXPECT_FALSE(PutCall(writer, 0));
  EXPECT_TRUE(PutCount(writer, 5));
  EXPECT_TRUE(writer.Flush());
  writer.Close();
  const Blocks read = ReadBack(path_);
  EXPECT_EQ(read.calls.size(), calls);
  EXPECT_EQ(read.counts.size(), 1u);
  EXPECT_GT(calls, (kLimit - 200) / sizeof(CallRecord));
  EXPECT_LE(std::filesystem::file_size(path_), kLimit + 200);
}

TEST_F(WriterTest, AFullDiskLeavesWholeBlocks) {
  constexpr rlim_t kLimit = 300'000;
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{kLimit, kLimit};
    setrlimit(RLIMIT_FSIZE, &limit);
    Writer writer;
    if (!Open(writer)) _exit(1);
    for (uint32_t i = 0; writer.state() == Writer::State::kOpen; ++i) {
      PutCall(writer, i);
      if (i % 1000 == 999) writer.Flush();
      if (i > 1'000'000) _exit(2);
    }
    if (writer.state() != Writer::State::kFailed || writer.last_errno() != EFBIG) _exit(3);
    if (PutCall(writer, 0) || PutCount(writer, 0) || writer.Flush()) _exit(4);
    writer.Close();
    _exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  Outcome outcome;
  const Blocks read = ReadBack(path_, &outcome);
  EXPECT_TRUE(outcome.damage.empty()) << outcome.damage;
  EXPECT_GT(read.calls.size(), 17'000u);
}

}  // namespace
}  // namespace mfutrace::trace
