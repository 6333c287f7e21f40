// What the writer writes, the reader reads: same records, same order, within the limits of a file.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/trace/encoder.h"
#include "tests/trace/recording_visitor.h"
#include "trace/reader.h"
#include "trace/writer.h"

namespace mfutrace::trace_test {
namespace {

using trace::BlockKind;
using trace::Outcome;
using trace::Writer;

class RoundTrip : public ::testing::Test {
 protected:
  static void Put(Writer& writer, BlockKind kind, const Bytes& record, const Bytes& prefix = {}) {
    void* space = writer.Append(kind, static_cast<uint16_t>(record.size()),
                                prefix.size() == 0 ? nullptr : prefix.data().data(),
                                static_cast<uint16_t>(prefix.size()));
    ASSERT_NE(space, nullptr);
    std::memcpy(space, record.data().data(), record.size());
  }

  std::string Contents() const {
    std::ifstream file(path_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_.path() + "/rank.mfut";
};

TEST_F(RoundTrip, RecordsOfAllLengthsComeBack) {
  Writer writer;
  ASSERT_TRUE(writer.Open(path_.c_str(), 77, 5, 6, 1u << 30));
  const uint32_t head[2] = {1, 5};
  ASSERT_TRUE(writer.AppendVariable(BlockKind::kStrings, head, sizeof(head), "hello", 5));
  const uint32_t fact[2] = {4, 3};
  ASSERT_TRUE(writer.AppendVariable(BlockKind::kFacts, fact, sizeof(fact), "rank", 4, "123", 3));
  Put(writer, BlockKind::kLanes, Bytes().U32(1).I32(-1).U64(0).U32(77).Pad(4));
  for (uint32_t i = 0; i < 1000; ++i) {
    Put(writer, BlockKind::kTimedCalls, Bytes().U32(i).U32(1).U32(i).U32(2).U32(3 * i).U32(4),
        CallPrefix(1'000'000, -9'000, 2));
  }
  writer.EndBlock();
  Put(writer, BlockKind::kTimedCalls, Bytes().U32(7).U32(1).U32(0).U32(0).U32(0).U32(0),
      CallPrefix(2'000'000, 1, 2));
  Put(writer, BlockKind::kEnd, Bytes().I64(12).U64(1001).U8(0).Pad(7));
  ASSERT_TRUE(writer.Flush());
  writer.Close();
  EXPECT_EQ(writer.file_bytes(), Contents().size());

  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome = trace::ReadTrace(path_, seen);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->damage, "");
  EXPECT_TRUE(outcome->ended_in_order);
  EXPECT_EQ(outcome->bytes_read, Contents().size());
  ASSERT_EQ(seen.headers.size(), 1u);
  EXPECT_EQ(seen.headers[0].pid, 77u);
  EXPECT_EQ(seen.headers[0].start_realtime_ns, 6);
  ASSERT_EQ(seen.strings.size(), 1u);
  EXPECT_EQ(seen.strings[0].second, "hello");
  ASSERT_EQ(seen.facts.size(), 1u);
  EXPECT_EQ(seen.facts[0], std::make_pair(std::string("rank"), std::string("123")));
  ASSERT_EQ(seen.lanes.size(), 1u);
  EXPECT_EQ(seen.lanes[0].device, -1);
  ASSERT_EQ(seen.calls.size(), 1001u);
  for (uint32_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(seen.calls[i].signature, i);
    ASSERT_EQ(seen.calls[i].host_begin_ns, 1'000'000 + i);
    ASSERT_EQ(seen.calls[i].gpu_begin_ns, -9'000 + 3 * int64_t{i});
    ASSERT_EQ(seen.calls[i].gpu_end_ns, -9'000 + 3 * int64_t{i} + 4);
  }
  EXPECT_EQ(seen.calls[1000].host_begin_ns, 2'000'000);
}

TEST_F(RoundTrip, TheWritersBytesAreThoseOfTheDocument) {
  Writer writer;
  ASSERT_TRUE(writer.Open(path_.c_str(), 4412, 1'000, 1'700'000'000'000'000'000, 1u << 30));
  const uint32_t head[2] = {9, 3};
  ASSERT_TRUE(writer.AppendVariable(BlockKind::kStrings, head, sizeof(head), "abc", 3));
  for (uint32_t i = 0; i < 3; ++i) {
    Put(writer, BlockKind::kCalls, Bytes().U32(5 + i).U32(1).U32(10 * i).U32(5), CallPrefix(2'000));
  }
  Put(writer, BlockKind::kEnd, Bytes().I64(9'000).U64(3).U8(0).Pad(7));
  ASSERT_TRUE(writer.Flush());
  writer.Close();
  EXPECT_EQ(Contents(), FileHeaderBytes() + BlockBytes({.kind = kStrings}, StringEntry(9, "abc")) +
                            CallsBlock(2'000, 5, 3) + EndBlock(3));
}

TEST_F(RoundTrip, ManyBlocksAndFlushesStayReadable) {
  Writer writer;
  ASSERT_TRUE(writer.Open(path_.c_str(), 1, 0, 0, 1u << 30));
  constexpr uint32_t kCallCount = 200'000;
  for (uint32_t i = 0; i < kCallCount; ++i) {
    Put(writer, BlockKind::kCalls, Bytes().U32(i).U32(1).U32(i % 1'000'000).U32(1), CallPrefix(0));
    if (i % 7'001 == 0) {
      ASSERT_TRUE(writer.Flush());
    }
  }
  ASSERT_TRUE(writer.Flush());
  writer.Close();
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome = trace::ReadTrace(path_, seen);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->damage, "");
  EXPECT_FALSE(outcome->ended_in_order);
  ASSERT_EQ(seen.calls.size(), kCallCount);
  for (uint32_t i = 0; i < kCallCount; ++i) ASSERT_EQ(seen.calls[i].signature, i);
  EXPECT_LT(Contents().size(), kCallCount * 17u);  // blocks add little to the 16 bytes a call
}

TEST_F(RoundTrip, AFullFileKeepsItsEndAndItsCounts) {
  Writer writer;
  ASSERT_TRUE(writer.Open(path_.c_str(), 1, 0, 0, 10'000));
  uint32_t written = 0;
  const Bytes call = Bytes().U32(1).U32(1).U32(0).U32(1);
  while (written < 10'000) {
    void* space = writer.Append(BlockKind::kCalls, 16, CallPrefix(0).data().data(), 24);
    if (space == nullptr) break;
    std::memcpy(space, call.data().data(), 16);
    ++written;
  }
  EXPECT_EQ(writer.state(), Writer::State::kFull);
  EXPECT_GT(written, 500u);
  EXPECT_LE(written, 10'000u / 16);
  Put(writer, BlockKind::kCounts, Bytes().U32(1).I32(0).U64(17).I64(0).I64(9).U8(2).U8(0).Pad(6));
  Put(writer, BlockKind::kEnd, Bytes().I64(1).U64(17 + written).U8(1).Pad(7));
  ASSERT_TRUE(writer.Flush());
  writer.Close();
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome = trace::ReadTrace(path_, seen);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_TRUE(outcome->ended_in_order);
  EXPECT_EQ(seen.calls.size(), written);
  ASSERT_EQ(seen.counts.size(), 1u);
  EXPECT_EQ(seen.counts[0].calls + seen.calls.size(), seen.ends[0].calls);
}

TEST_F(RoundTrip, AnExistingFileIsNeverOverwritten) {
  std::ofstream(path_) << "precious";
  Writer writer;
  EXPECT_FALSE(writer.Open(path_.c_str(), 1, 0, 0, 1u << 20));
  EXPECT_EQ(writer.last_errno(), EEXIST);
  EXPECT_EQ(Contents(), "precious");
}

}  // namespace
}  // namespace mfutrace::trace_test
