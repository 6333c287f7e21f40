// The compatibility promise of docs/FORMAT.md: files of older and newer writers.
#include <gtest/gtest.h>

#include <string>

#include "tests/trace/encoder.h"
#include "tests/trace/recording_visitor.h"
#include "trace/reader.h"

namespace mfutrace::trace_test {
namespace {

using trace::Outcome;
using trace::ReadTrace;

absl::StatusOr<Outcome> Read(const std::string& data, RecordingVisitor& seen) {
  const MemoryFile file(data);
  return ReadTrace(file.path(), seen);
}

void ExpectNewer(const absl::Status& status) {
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
  EXPECT_NE(status.message().find("written by a newer mfutrace"), absl::string_view::npos)
      << status;
  EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
}

TEST(Growth, ANewerFormatStopsTheReader) {
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome =
      Read(FileHeaderBytes({.format_version = 2}) + CallsBlock(0, 1, 3), seen);
  ExpectNewer(outcome.status());
  EXPECT_NE(outcome.status().message().find("format 2"), absl::string_view::npos);
  EXPECT_TRUE(seen.events.empty());
}

TEST(Growth, ALongerFileHeaderIsSteppedOver) {
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome =
      Read(FileHeaderBytes({.header_bytes = 96}) + std::string(32, 'x') + CallsBlock(0, 1, 3) +
               EndBlock(3),
           seen);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->damage, "");
  EXPECT_EQ(seen.calls.size(), 3u);
  EXPECT_TRUE(outcome->ended_in_order);
}

TEST(Growth, UnknownKindsAreSkippedAndCounted) {
  RecordingVisitor seen;
  const Bytes payload = Bytes().Text("anything of any size");
  const absl::StatusOr<Outcome> outcome =
      Read(FileHeaderBytes() + BlockBytes({.kind = 200, .version = 7}, payload) +
               CallsBlock(0, 1, 2) + BlockBytes({.kind = 999, .record_bytes = 13}, payload) +
               BlockBytes({.kind = 0}, Bytes()) + CallsBlock(0, 5, 1) + EndBlock(3),
           seen);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->damage, "");
  EXPECT_EQ(outcome->blocks_skipped, 3u);
  EXPECT_TRUE(outcome->ended_in_order);
  EXPECT_EQ(seen.calls.size(), 3u);
  EXPECT_EQ(seen.blocks.size(), 6u);
}

TEST(Growth, UnknownKindsThatMustBeUnderstoodStopTheReader) {
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome =
      Read(FileHeaderBytes() + CallsBlock(0, 1, 2) +
               BlockBytes({.kind = 200, .flags = 1}, Bytes().U32(1)) + EndBlock(2),
           seen);
  ExpectNewer(outcome.status());
  EXPECT_NE(outcome.status().message().find("kind 200"), absl::string_view::npos)
      << outcome.status();
  EXPECT_EQ(seen.calls.size(), 2u);
}

TEST(Growth, KnownKindsMayCarryTheMustUnderstandBit) {
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome = Read(
      FileHeaderBytes() + BlockBytes({.kind = kStrings, .flags = 1}, StringEntry(1, "a")), seen);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(seen.strings.size(), 1u);
}

TEST(Growth, ANewerLayoutOfAKnownKindStopsTheReader) {
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome =
      Read(FileHeaderBytes() +
               BlockBytes({.kind = kLanes, .version = 2, .record_bytes = 24}, Bytes().Pad(24)),
           seen);
  ExpectNewer(outcome.status());
  EXPECT_TRUE(seen.lanes.empty());
}

TEST(Growth, FieldsBehindTheKnownOnesAreIgnored) {
  RecordingVisitor seen;
  Bytes calls;
  for (uint32_t i = 0; i < 3; ++i) calls.U32(i + 1).U32(1).U32(100 * i).U32(7).U64(0x5a5a5a5a5a5a);
  Bytes prefix = CallPrefix(1'000);
  prefix.U64(0xffffffffffffffff);  // a longer prefix, too
  Bytes counters;
  counters.U32(1).Pad(4).U64(42).Text("more").U32(2).Pad(4).U64(43).Text("more");
  const absl::StatusOr<Outcome> outcome =
      Read(FileHeaderBytes() + BlockBytes({.kind = kCalls, .record_bytes = 24}, calls, prefix) +
               BlockBytes({.kind = kCounters, .record_bytes = 20}, counters),
           seen);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->damage, "");
  ASSERT_EQ(seen.calls.size(), 3u);
  EXPECT_EQ(seen.calls[2].signature, 3u);
  EXPECT_EQ(seen.calls[2].host_begin_ns, 1'200);
  EXPECT_EQ(seen.calls[2].host_end_ns, 1'207);
  ASSERT_EQ(seen.counters.size(), 2u);
  EXPECT_EQ(seen.counters[1].name, 2u);
  EXPECT_EQ(seen.counters[1].value, 43u);
}

TEST(Growth, FieldsTheFileDoesNotHaveReadAsZero) {
  RecordingVisitor seen;
  Bytes devices;
  devices.I32(0).U32(5).I32(1).U32(6);  // ordinal and name only, twice
  const absl::StatusOr<Outcome> outcome =
      Read(FileHeaderBytes() + BlockBytes({.kind = kDevices, .record_bytes = 8}, devices) +
               BlockBytes({.kind = kCalls, .record_bytes = 16}, Bytes().U32(9).U32(1).U32(3).U32(4),
                          Bytes().I64(500)),
           seen);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->damage, "");
  ASSERT_EQ(seen.devices.size(), 2u);
  EXPECT_EQ(seen.devices[1].ordinal, 1);
  EXPECT_EQ(seen.devices[1].name, 6u);
  EXPECT_EQ(seen.devices[1].sm_count, 0);
  EXPECT_EQ(seen.devices[1].memory_bytes, 0u);
  ASSERT_EQ(seen.calls.size(), 1u);
  EXPECT_EQ(seen.calls[0].host_begin_ns, 503);
}

TEST(Growth, TextBlocksMayHaveAPrefix) {
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome = Read(
      FileHeaderBytes() + BlockBytes({.kind = kStrings}, StringEntry(3, "name"), Bytes().U64(1)),
      seen);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  ASSERT_EQ(seen.strings.size(), 1u);
  EXPECT_EQ(seen.strings[0].second, "name");
}

TEST(Growth, SignaturesThatGrewAreReadInBothLengths) {
  // WholeFile() and OtherSignatureBlocks() have products of 56 bytes and attention of 52.
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome =
      Read(WholeFile().substr(0, WholeFile().size() - EndBlock(0).size()) + OtherSignatureBlocks() +
               GrownSignatureBlocks(),
           seen);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->damage, "");
  EXPECT_EQ(outcome->blocks_skipped, 0u);
  ASSERT_EQ(seen.gemms.size(), 2u);
  const trace::GemmSignature& old_gemm = seen.gemms[0];
  EXPECT_EQ(old_gemm.n, 14336u);
  EXPECT_EQ(old_gemm.compute_code, 68u);
  EXPECT_EQ(old_gemm.scale_a + old_gemm.scale_b + old_gemm.scale_d, 0);
  EXPECT_EQ(old_gemm.bias + old_gemm.aux + old_gemm.epilogue, 0);
  const trace::GemmSignature& gemm = seen.gemms[1];
  EXPECT_EQ(gemm.compute_code, 68u);
  EXPECT_EQ(static_cast<shapes::ScaleMode>(gemm.scale_b), shapes::ScaleMode::kVec32Ue8m0);
  EXPECT_EQ(static_cast<shapes::Dtype>(gemm.bias), shapes::Dtype::kBf16);
  EXPECT_EQ(static_cast<shapes::Dtype>(gemm.aux), shapes::Dtype::kBf16);
  EXPECT_EQ(gemm.epilogue, 164);
  ASSERT_EQ(seen.attentions.size(), 2u);
  EXPECT_EQ(seen.attentions[0].seq_k, 4096u);
  EXPECT_EQ(seen.attentions[0].lengths, 0u);
  EXPECT_EQ(seen.attentions[1].lengths, 2u);
  EXPECT_EQ(seen.attentions[1].flags, trace::kLengthsOnDevice);
  ASSERT_EQ(seen.lengths.size(), 3u);
  EXPECT_EQ(seen.lengths[1].list, 2u);
  EXPECT_EQ(seen.lengths[1].seq_q, 1u);
  EXPECT_EQ(seen.lengths[1].seq_k, 4096u);
  EXPECT_EQ(seen.lengths[1].count, 64u);
}

}  // namespace
}  // namespace mfutrace::trace_test
