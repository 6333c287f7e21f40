// The reader on whole files: every field of every record, and every file that is none.
#include "trace/reader.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "tests/trace/encoder.h"
#include "tests/trace/recording_visitor.h"

namespace mfutrace::trace_test {
namespace {

using trace::Outcome;
using trace::ReadTrace;

absl::Status StatusOf(std::string_view data) {
  const MemoryFile file(data);
  RecordingVisitor visitor;
  return ReadTrace(file.path(), visitor).status();
}

void ExpectOneLine(const absl::Status& status) {
  EXPECT_FALSE(status.message().empty());
  EXPECT_EQ(status.message().find('\n'), absl::string_view::npos) << status;
}

TEST(Reader, TheTestsChecksumIsCrc32c) { EXPECT_EQ(Checksum("123456789"), 0xe3069283u); }

TEST(Reader, TheProjectsChecksumIsCrc32cAtEveryLengthAndChained) {
  std::string data;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(trace::Crc32c(0, data.data(), data.size()), Checksum(data)) << i;
    const size_t half = data.size() / 3;
    const uint32_t first = trace::Crc32c(0, data.data(), half);
    EXPECT_EQ(trace::Crc32c(first, data.data() + half, data.size() - half), Checksum(data)) << i;
    data += static_cast<char>(i * 37 + 11);
  }
}

TEST(Reader, ShowsEveryFieldOfEveryRecord) {
  const std::string data = WholeFile();
  const MemoryFile file(data);
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome = ReadTrace(file.path(), seen);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_TRUE(outcome->ended_in_order);
  EXPECT_EQ(outcome->damage, "");
  EXPECT_EQ(outcome->blocks_skipped, 0u);
  EXPECT_EQ(outcome->bytes_read, data.size());
  EXPECT_EQ(outcome->bytes_lost, 0u);

  ASSERT_EQ(seen.headers.size(), 1u);
  EXPECT_EQ(seen.headers[0].pid, 4412u);
  EXPECT_EQ(seen.headers[0].start_monotonic_ns, 1'000);
  EXPECT_EQ(seen.headers[0].start_realtime_ns, 1'700'000'000'000'000'000);
  ASSERT_EQ(seen.blocks.size(), 19u);
  for (uint16_t i = 0; i < 19; ++i) EXPECT_EQ(seen.blocks[i].first, i + 1);
  EXPECT_EQ(seen.blocks[0].second, 64u);

  ASSERT_EQ(seen.strings.size(), 9u);
  EXPECT_EQ(seen.strings[1], std::make_pair(2u, std::string("NVIDIA H100 80GB HBM3")));
  EXPECT_EQ(seen.strings[8], std::make_pair(9u, std::string()));
  ASSERT_EQ(seen.facts.size(), 4u);
  EXPECT_EQ(seen.facts[1], std::make_pair(std::string("rank"), std::string("3")));
  EXPECT_EQ(seen.facts[2].second, std::string("python\0train.py", 15));
  EXPECT_EQ(seen.facts[3], std::make_pair(std::string("role"), std::string()));

  ASSERT_EQ(seen.devices.size(), 1u);
  EXPECT_EQ(seen.devices[0].name, 2u);
  EXPECT_EQ(seen.devices[0].bus_id, 3u);
  EXPECT_EQ(seen.devices[0].uuid, 4u);
  EXPECT_EQ(seen.devices[0].compute_major, 9);
  EXPECT_EQ(seen.devices[0].sm_count, 132);
  EXPECT_EQ(seen.devices[0].clock_khz, 1'980'000);
  EXPECT_EQ(seen.devices[0].memory_bytes, 85'017'755'648u);

  ASSERT_EQ(seen.lanes.size(), 1u);
  EXPECT_EQ(seen.lanes[0].id, 1u);
  EXPECT_EQ(seen.lanes[0].stream, 0xabc0u);
  EXPECT_EQ(seen.lanes[0].thread, 4412u);
  ASSERT_EQ(seen.threads.size(), 1u);
  EXPECT_EQ(seen.threads[0].name, 9u);

  ASSERT_EQ(seen.communicators.size(), 1u);
  EXPECT_EQ(seen.communicators[0].id, 0x1111222233334444u);
  EXPECT_EQ(seen.communicators[0].rank, 3);
  EXPECT_EQ(seen.communicators[0].size, 8);
  EXPECT_EQ(seen.communicators[0].split_color, -1);
  EXPECT_EQ(seen.communicators[0].creation, 1u);

  ASSERT_EQ(seen.gemms.size(), 1u);
  EXPECT_EQ(seen.gemms[0].m, 8192u);
  EXPECT_EQ(seen.gemms[0].n, 14336u);
  EXPECT_EQ(seen.gemms[0].k, 4096u);
  EXPECT_EQ(seen.gemms[0].batch, 1u);
  EXPECT_EQ(static_cast<shapes::Dtype>(seen.gemms[0].a), shapes::Dtype::kBf16);
  EXPECT_EQ(static_cast<shapes::Dtype>(seen.gemms[0].accumulate), shapes::Dtype::kF32);
  EXPECT_EQ(static_cast<shapes::Transpose>(seen.gemms[0].op_a), shapes::Transpose::kYes);
  EXPECT_EQ(static_cast<shapes::Transpose>(seen.gemms[0].op_b), shapes::Transpose::kNo);
  EXPECT_EQ(static_cast<shapes::BetaUse>(seen.gemms[0].beta), shapes::BetaUse::kZero);
  EXPECT_EQ(seen.gemms[0].compute_code, 68u);

  ASSERT_EQ(seen.collectives.size(), 1u);
  EXPECT_EQ(seen.collectives[0].count, 268435456u);
  EXPECT_EQ(seen.collectives[0].communicator, 1u);
  EXPECT_EQ(seen.collectives[0].peer, -1);
  EXPECT_EQ(static_cast<shapes::CollectiveKind>(seen.collectives[0].kind),
            shapes::CollectiveKind::kAllReduce);
  ASSERT_EQ(seen.opaques.size(), 1u);
  EXPECT_EQ(seen.opaques[0].reason, 7u);

  ASSERT_EQ(seen.counts.size(), 1u);
  EXPECT_EQ(seen.counts[0].calls, 17u);
  EXPECT_EQ(seen.counts[0].host_end_ns, 7'000);
  EXPECT_EQ(static_cast<trace::CountReason>(seen.counts[0].reason), trace::CountReason::kUntimed);
  ASSERT_EQ(seen.counters.size(), 1u);
  EXPECT_EQ(seen.counters[0].name, 8u);
  EXPECT_EQ(seen.counters[0].value, 99u);
  ASSERT_EQ(seen.host_clocks.size(), 1u);
  EXPECT_EQ(seen.host_clocks[0].realtime_ns, 1'700'000'000'000'007'000);
  ASSERT_EQ(seen.clock_samples.size(), 1u);
  EXPECT_EQ(seen.clock_samples[0].gpu_ns, 50'000);
  EXPECT_EQ(seen.clock_samples[0].host_min_ns, 2'990);
  EXPECT_EQ(seen.clock_samples[0].host_max_ns, 3'010);
  ASSERT_EQ(seen.ends.size(), 1u);
  EXPECT_EQ(seen.ends[0].calls, 23u);
}

TEST(Reader, ShowsTheOtherSignatures) {
  const MemoryFile file(FileHeaderBytes() + OtherSignatureBlocks());
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome = ReadTrace(file.path(), seen);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->damage, "");
  EXPECT_EQ(outcome->blocks_skipped, 0u);
  ASSERT_EQ(seen.matrices.size(), 1u);
  EXPECT_EQ(seen.matrices[0].n, 64u);
  EXPECT_EQ(seen.matrices[0].k, 32u);
  EXPECT_EQ(static_cast<shapes::MatrixRoutine>(seen.matrices[0].routine),
            shapes::MatrixRoutine::kSyrk);
  EXPECT_EQ(static_cast<shapes::Side>(seen.matrices[0].side), shapes::Side::kUnknown);
  EXPECT_EQ(seen.matrices[0].compute_code, 70u);
  ASSERT_EQ(seen.attentions.size(), 1u);
  EXPECT_EQ(seen.attentions[0].heads_kv, 8u);
  EXPECT_EQ(seen.attentions[0].seq_k, 4096u);
  EXPECT_EQ(seen.attentions[0].window_left, -1);
  EXPECT_EQ(static_cast<shapes::Mask>(seen.attentions[0].mask), shapes::Mask::kCausalBottomRight);
  EXPECT_EQ(seen.attentions[0].flags, trace::kWritesLogSumExp);
  ASSERT_EQ(seen.convolutions.size(), 1u);
  EXPECT_EQ(seen.convolutions[0].out[1], 112u);
  EXPECT_EQ(static_cast<shapes::ConvDirection>(seen.convolutions[0].direction),
            shapes::ConvDirection::kFilterGradient);
  ASSERT_EQ(seen.rnns.size(), 1u);
  EXPECT_EQ(seen.rnns[0].steps, 800u);
  EXPECT_EQ(seen.rnns[0].hidden_size, 256u);
  EXPECT_EQ(static_cast<shapes::RnnCell>(seen.rnns[0].cell), shapes::RnnCell::kLstm);
  ASSERT_EQ(seen.compounds.size(), 1u);
  EXPECT_EQ(seen.compounds[0].member_count, 2u);
  ASSERT_EQ(seen.members.size(), 2u);
  EXPECT_EQ(seen.members[0].count, 7u);
  EXPECT_EQ(seen.members[1].signature, 2u);
}

TEST(Reader, GivesCallsOfAllKindsInOneShapeWithAbsoluteTimes) {
  const MemoryFile file(WholeFile());
  RecordingVisitor seen;
  ASSERT_TRUE(ReadTrace(file.path(), seen).ok());
  ASSERT_EQ(seen.calls.size(), 6u);
  const trace::Call& plain = seen.calls[1];
  EXPECT_EQ(plain.signature, 2u);
  EXPECT_EQ(plain.lane, 1u);
  EXPECT_EQ(plain.flags, 0);
  EXPECT_FALSE(plain.is_timed);
  EXPECT_FALSE(plain.is_collective);
  EXPECT_EQ(plain.host_begin_ns, 2'010);
  EXPECT_EQ(plain.host_end_ns, 2'015);
  const trace::Call& timed = seen.calls[2];
  EXPECT_TRUE(timed.is_timed);
  EXPECT_EQ(timed.host_begin_ns, 3'007);
  EXPECT_EQ(timed.host_end_ns, 3'018);
  EXPECT_EQ(timed.gpu_begin_ns, 50'100);
  EXPECT_EQ(timed.gpu_end_ns, 51'000);
  const trace::Call& collective = seen.calls[3];
  EXPECT_TRUE(collective.is_collective);
  EXPECT_FALSE(collective.is_timed);
  EXPECT_EQ(collective.flags, trace::kCaptured);
  EXPECT_EQ(collective.lane, 1u);
  EXPECT_EQ(collective.sequence, 41u);
  const trace::Call& timed_collective = seen.calls[4];
  EXPECT_TRUE(timed_collective.is_collective);
  EXPECT_TRUE(timed_collective.is_timed);
  EXPECT_EQ(timed_collective.flags, trace::kGrouped);
  EXPECT_EQ(timed_collective.sequence, 42u);
  EXPECT_EQ(timed_collective.gpu_begin_ns, 60'200);
  EXPECT_EQ(timed_collective.gpu_end_ns, 63'200);
  const trace::Call& wide = seen.calls[5];
  EXPECT_TRUE(wide.is_timed);
  EXPECT_FALSE(wide.is_collective);
  EXPECT_EQ(wide.host_begin_ns, 6'000);
  EXPECT_EQ(wide.host_end_ns, 8'000'000'000);
  EXPECT_EQ(wide.gpu_begin_ns, -5);
  EXPECT_EQ(wide.gpu_end_ns, 7'000'000'000);
}

TEST(Reader, TheSignatureTellsACollectiveAndNotTheBlock) {
  const std::string signatures =
      BlockBytes({.kind = kOpaqueSignatures, .record_bytes = 16}, Bytes().U32(1).Pad(12)) +
      BlockBytes({.kind = kCollectiveSignatures, .record_bytes = 32}, Bytes().U32(2).Pad(28));
  Bytes shared;
  shared.U32(1).U32(1).U32(0).U32(1).U32(0);  // a plain call between two collectives
  shared.U32(2).U32(1).U32(5).U32(1).U32(8);
  const MemoryFile file(
      FileHeaderBytes() + signatures +
      BlockBytes({.kind = kCollectives, .record_bytes = 20}, shared, CallPrefix(0)) +
      CallsBlock(50, 2, 1) +
      BlockBytes({.kind = kWideCalls, .record_bytes = 48}, Bytes().U32(2).Pad(44)));
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome = ReadTrace(file.path(), seen);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  ASSERT_EQ(seen.calls.size(), 4u);
  EXPECT_FALSE(seen.calls[0].is_collective);
  EXPECT_TRUE(seen.calls[1].is_collective);
  EXPECT_EQ(seen.calls[1].sequence, 8u);
  EXPECT_TRUE(seen.calls[2].is_collective);  // on a communicator nobody knows
  EXPECT_EQ(seen.calls[2].sequence, 0u);
  EXPECT_TRUE(seen.calls[3].is_collective);
}

TEST(Reader, AHugeSignatureIdCostsNoMemory) {
  const MemoryFile file(FileHeaderBytes() +
                        BlockBytes({.kind = kCollectiveSignatures, .record_bytes = 32},
                                   Bytes().U32(0xffffffff).Pad(28)) +
                        CallsBlock(0, 0xffffffff, 1));
  RecordingVisitor seen;
  ASSERT_TRUE(ReadTrace(file.path(), seen).ok());
  ASSERT_EQ(seen.collectives.size(), 1u);
  EXPECT_EQ(seen.collectives[0].id, 0xffffffffu);
  ASSERT_EQ(seen.calls.size(), 1u);
}

TEST(Reader, AFileWithoutBlocksIsATraceThatDidNotEnd) {
  const MemoryFile file(FileHeaderBytes());
  RecordingVisitor seen;
  const absl::StatusOr<Outcome> outcome = ReadTrace(file.path(), seen);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_FALSE(outcome->ended_in_order);
  EXPECT_EQ(outcome->damage, "");
  EXPECT_EQ(outcome->bytes_read, 64u);
}

TEST(Reader, AMissingFileIsNotFound) {
  RecordingVisitor visitor;
  const absl::Status status = ReadTrace("/nowhere/rank-0.mfut", visitor).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "/nowhere/rank-0.mfut: no such file");
}

TEST(Reader, AFolderIsNoTrace) {
  RecordingVisitor visitor;
  const absl::Status status = ReadTrace("/tmp", visitor).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "/tmp: is a directory, not a trace file");
}

TEST(Reader, APipeIsRefusedAndNotWaitedFor) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/pipe.mfut";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  RecordingVisitor visitor;
  const absl::Status status = ReadTrace(path, visitor).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  ExpectOneLine(status);
}

TEST(Reader, AnEmptyFileSaysSo) {
  const absl::Status status = StatusOf("");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(status.message().find("is empty"), absl::string_view::npos) << status;
  ExpectOneLine(status);
}

TEST(Reader, OtherFilesAreNoTraces) {
  for (const std::string& data :
       {std::string("{\"traceEvents\": []}"), std::string("mfutraec") + std::string(100, '\0'),
        std::string("M"), std::string(4096, '\0')}) {
    const absl::Status status = StatusOf(data);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_NE(status.message().find("not an mfutrace file"), absl::string_view::npos) << status;
    ExpectOneLine(status);
  }
}

TEST(Reader, BigEndianFilesAreToldApart) {
  const absl::Status status = StatusOf(FileHeaderBytes({.byte_order_mark = 0x04030201}));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_NE(status.message().find("big-endian"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace mfutrace::trace_test
