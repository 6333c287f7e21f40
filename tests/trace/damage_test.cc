// Damaged files: torn at every length, flipped at every byte, and blocks that lie about their
// sizes. What is before the damage must come through unchanged, and the damage must be told.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/trace/encoder.h"
#include "tests/trace/recording_visitor.h"
#include "trace/reader.h"

namespace mfutrace::trace_test {
namespace {

using trace::Outcome;
using trace::ReadTrace;

// Ends of the header and of each block of a whole file, from the sizes in its block headers.
std::vector<size_t> BlockEnds(const std::string& data) {
  std::vector<size_t> ends = {64};
  while (ends.back() < data.size()) {
    const auto byte = [&](size_t at) { return static_cast<uint8_t>(data[ends.back() + at]); };
    ends.push_back(ends.back() + 24 + byte(8) + 256u * byte(9) + 65536u * byte(10));
  }
  return ends;
}

// True if `part` is how `whole` begins.
bool IsStartOf(const std::vector<std::string>& part, const std::vector<std::string>& whole) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

TEST(Damage, ATornFileGivesItsWholeBlocksAtEveryLength) {
  const std::string data = WholeFile();
  const std::vector<size_t> ends = BlockEnds(data);
  ASSERT_EQ(ends.back(), data.size());
  const MemoryFile file(data);
  RecordingVisitor whole;
  ASSERT_TRUE(ReadTrace(file.path(), whole).ok());

  for (size_t length = 0; length < data.size(); ++length) {
    file.Write(std::string_view(data).substr(0, length));
    RecordingVisitor seen;
    const absl::StatusOr<Outcome> outcome = ReadTrace(file.path(), seen);
    if (length < 64) {
      EXPECT_EQ(outcome.status().code(), absl::StatusCode::kDataLoss) << length;
      EXPECT_TRUE(seen.events.empty());
      continue;
    }
    ASSERT_TRUE(outcome.ok()) << length << ": " << outcome.status();
    const size_t last_good = *std::prev(std::upper_bound(ends.begin(), ends.end(), length));
    EXPECT_EQ(outcome->bytes_read, last_good) << length;
    EXPECT_EQ(outcome->bytes_lost, length - last_good) << length;
    EXPECT_EQ(outcome->damage,
              length == last_good ? "" : "ends in the middle of a block (process killed?)")
        << length;
    EXPECT_FALSE(outcome->ended_in_order) << length;
    const auto blocks =
        static_cast<size_t>(std::find(ends.begin(), ends.end(), last_good) - ends.begin());
    EXPECT_EQ(seen.blocks.size(), blocks) << length;
    EXPECT_TRUE(IsStartOf(seen.events, whole.events)) << length;
  }
}

TEST(Damage, AFlippedByteAnywhereIsFoundAndWhatIsBeforeItComesThrough) {
  const std::string data = WholeFile();
  const std::vector<size_t> ends = BlockEnds(data);
  const MemoryFile file(data);
  RecordingVisitor whole;
  ASSERT_TRUE(ReadTrace(file.path(), whole).ok());

  for (size_t at = 0; at < data.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string flipped = data;
      flipped[at] = static_cast<char>(flipped[at] ^ flip);
      file.Write(flipped);
      RecordingVisitor seen;
      const absl::StatusOr<Outcome> outcome = ReadTrace(file.path(), seen);
      if (at < 64) {
        // Nothing is shown of a file whose header is in doubt.
        ASSERT_FALSE(outcome.ok()) << at;
        EXPECT_FALSE(outcome.status().message().empty()) << at;
        EXPECT_TRUE(seen.events.empty()) << at;
        continue;
      }
      ASSERT_TRUE(outcome.ok()) << at << ": " << outcome.status();
      const size_t last_good = *std::prev(std::upper_bound(ends.begin(), ends.end(), at));
      EXPECT_FALSE(outcome->damage.empty()) << at;
      EXPECT_EQ(outcome->damage.find('\n'), std::string::npos);
      EXPECT_EQ(outcome->bytes_read, last_good) << at;
      EXPECT_EQ(outcome->bytes_lost, data.size() - last_good) << at;
      EXPECT_FALSE(outcome->ended_in_order) << at;
      EXPECT_TRUE(IsStartOf(seen.events, whole.events)) << at;
    }
  }
}

// Reads `blocks` behind a good block of two calls; those must come through, and the damage be told.
std::string DamageOf(const std::string& blocks) {
  const std::string good = FileHeaderBytes() + CallsBlock(0, 1, 2);
  const MemoryFile file(good + blocks);
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome = ReadTrace(file.path(), seen);
  if (!outcome.ok()) return "not ok: " + std::string(outcome.status().message());
  EXPECT_EQ(seen.calls.size(), 2u);
  EXPECT_EQ(outcome->bytes_read, good.size());
  EXPECT_EQ(outcome->bytes_lost, blocks.size());
  return outcome->damage;
}

TEST(Damage, BlocksWhoseSizesDoNotAddUpAreMalformed) {
  const auto expect_malformed = [](const std::string& block, const std::string& what) {
    const std::string damage = DamageOf(block);
    EXPECT_NE(damage.find("malformed"), std::string::npos) << damage;
    EXPECT_NE(damage.find(what), std::string::npos) << damage;
  };
  expect_malformed(BlockBytes({.kind = kLanes, .record_bytes = 0}, Bytes().Pad(24)), "no size");
  expect_malformed(BlockBytes({.kind = kLanes, .record_bytes = 24}, Bytes().Pad(25)), "cut short");
  expect_malformed(BlockBytes({.kind = kStrings}, Bytes().U32(1)), "cut short");
  expect_malformed(BlockBytes({.kind = kStrings}, Bytes().U32(1).U32(5).Text("abcd")), "longer");
  expect_malformed(BlockBytes({.kind = kStrings}, Bytes().U32(1).U32(0xffffffff)), "longer");
  expect_malformed(BlockBytes({.kind = kFacts}, Bytes().U32(2).U32(3).Text("abcd")), "longer");
  expect_malformed(BlockBytes({.kind = kFacts}, Bytes().U32(0xffffffff).U32(0xffffffff)), "longer");
}

TEST(Damage, APrefixLongerThanItsBlockIsMalformed) {
  Bytes header;
  header.Text("MBLK").U16(kCalls).U8(1).U8(0).U32(16).U16(16).U16(24).U32(0);
  const Bytes payload = Bytes().Pad(16);
  const uint32_t crc = Checksum(header.data() + std::string(4, '\0') + payload.data());
  const std::string damage = DamageOf(header.U32(crc).Append(payload).data());
  EXPECT_NE(damage.find("prefix"), std::string::npos) << damage;
}

TEST(Damage, ABlockLongerThanAnyIsNotReadIntoMemory) {
  Bytes header;
  header.Text("MBLK").U16(kCalls).U8(1).U8(0).U32((1u << 20) + 1).U16(16).U16(0).U32(0).U32(0);
  const std::string damage = DamageOf(header.data() + std::string((1u << 20) + 1, '\0'));
  EXPECT_NE(damage.find("longer than any"), std::string::npos) << damage;
}

TEST(Damage, ZerosBehindTheLastBlockAreTold) {
  EXPECT_NE(DamageOf(std::string(4096, '\0')).find("holds zeros"), std::string::npos);
}

TEST(Damage, TextsWithoutPaddingAtTheEndOfABlockAreWhole) {
  const MemoryFile file(FileHeaderBytes() +
                        BlockBytes({.kind = kStrings}, Bytes().U32(1).U32(3).Text("abc")));
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome = ReadTrace(file.path(), seen);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->damage, "");
  ASSERT_EQ(seen.strings.size(), 1u);
  EXPECT_EQ(seen.strings[0].second, "abc");
}

TEST(Damage, EmptyBlocksAreNoDamage) {
  const MemoryFile file(FileHeaderBytes() +
                        BlockBytes({.kind = kCalls, .record_bytes = 16}, Bytes()) +
                        BlockBytes({.kind = kEnd, .record_bytes = 24}, Bytes()));
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome = ReadTrace(file.path(), seen);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->damage, "");
  EXPECT_FALSE(outcome->ended_in_order);  // an end block without its record
}

TEST(Damage, HeadersThatMakeNoSenseAreTold) {
  for (const HeaderFields& fields :
       {HeaderFields{.format_version = 0}, HeaderFields{.byte_order_mark = 7},
        HeaderFields{.header_bytes = 0}, HeaderFields{.header_bytes = 63},
        HeaderFields{.header_bytes = 0xffffffff}}) {
    const MemoryFile file(FileHeaderBytes(fields) + CallsBlock(0, 1, 1));
    RecordingVisitor seen;
    const absl::Status status = ReadTrace(file.path(), seen).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_TRUE(seen.events.empty());
  }
}

TEST(Damage, AnyBytesUnderChecksumsThatHoldAreReadOrRefused) {
  const std::string whole =
      WholeFile() + OtherSignatureBlocks() + GrownSignatureBlocks() + GraphBlocks();
  const MemoryFile file(whole);
  std::mt19937 random(20260101);
  int refused = 0;
  int damaged = 0;
  for (int round = 0; round < 4'000; ++round) {
    std::string data = whole;
    const uint32_t changes = 1 + random() % 4;
    for (uint32_t i = 0; i < changes; ++i) {
      // Small and extreme values, beside any, are what lengths break on.
      const char values[] = {0, 1, 2, 0x7f, static_cast<char>(0xff), static_cast<char>(random())};
      data[random() % data.size()] = values[random() % sizeof(values)];
    }
    Reseal(&data);
    file.Write(data);
    RecordingVisitor seen;
    const absl::StatusOr<Outcome> outcome = ReadTrace(file.path(), seen);
    if (!outcome.ok()) {
      EXPECT_FALSE(outcome.status().message().empty());
      ++refused;
      continue;
    }
    EXPECT_EQ(outcome->bytes_read + outcome->bytes_lost, data.size());
    EXPECT_EQ(outcome->damage.empty(), outcome->bytes_lost == 0);
    if (!outcome->damage.empty()) ++damaged;
  }
  // The changes do reach both ways out.
  EXPECT_GT(refused, 100);
  EXPECT_GT(damaged, 100);
}

}  // namespace
}  // namespace mfutrace::trace_test
