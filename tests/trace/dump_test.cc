// The dump of a file with every kind of record, looked at line by line.
#include "trace/dump.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/trace/encoder.h"

namespace mfutrace::trace_test {
namespace {

std::vector<std::string> LinesOfFile(const std::string& path, trace::Outcome* outcome = nullptr) {
  std::vector<std::string> lines;
  const absl::StatusOr<trace::Outcome> result =
      trace::Dump(path, [&lines](absl::string_view line) { lines.push_back(std::string(line)); });
  EXPECT_TRUE(result.ok()) << result.status();
  if (outcome != nullptr && result.ok()) *outcome = *result;
  return lines;
}

std::vector<std::string> LinesOf(const std::string& data, trace::Outcome* outcome = nullptr) {
  const MemoryFile file(data);
  return LinesOfFile(file.path(), outcome);
}

// What WholeFile() holds, record by record.
std::vector<std::string> LinesOfTheWholeFile() {
  return {
      "header format=1 pid=4412 monotonic_ns=1000 realtime_ns=1700000000000000000",
      "string 1 \"cublasGemmEx\"",
      "string 2 \"NVIDIA H100 80GB HBM3\"",
      "string 3 \"0000:1b:00.0\"",
      "string 4 \"00112233445566778899aabbccddeeff\"",
      "string 5 \"ncclAllReduce\"",
      "string 6 \"cublasLtMatmul\"",
      "string 7 \"layout not understood\"",
      "string 8 \"calls_dropped\"",
      "string 9 \"\"",
      "fact host=\"node1\"",
      "fact rank=\"3\"",
      "fact command_line=\"python\\000train.py\"",
      "fact role=\"\"",
      "device 0 \"NVIDIA H100 80GB HBM3\" bus=\"0000:1b:00.0\" "
      "uuid=\"00112233445566778899aabbccddeeff\" cc=9.0 sms=132 clock_khz=1980000 "
      "memory_bytes=85017755648",
      "lane 1 device=0 stream=0xabc0 thread=4412",
      "thread 4412 \"\"",
      "communicator 1 created id=0x1111222233334444 parent=0x0 rank=3/8 device=0 split=0 color=-1 "
      "creation=1 -",
      "signature 1 \"cublasGemmEx\" gemm bf16 8192x14336x4096 TN c=bf16 d=bf16 accumulate=f32 "
      "compute=68 beta=zero flags=0 exact",
      "signature 3 \"ncclAllReduce\" allreduce bf16 count=268435456 communicator=1 peer=-1 "
      "reduction=0 exact",
      "signature 2 \"cublasLtMatmul\" opaque \"layout not understood\"",
      "call 1 lane=1 host=2000..2005",
      "call 2 lane=1 host=2010..2015",
      "call 1 lane=1 host=3007..3018 gpu=50100..51000",
      "collective 3 lane=1 host=4001..4003 sequence=41 captured",
      "collective 3 lane=1 host=5001..5003 gpu=60200..63200 sequence=42 grouped",
      "call 1 lane=1 host=6000..8000000000 gpu=-5..7000000000",
      "count 1 untimed calls=17 device=0 host=6000..7000",
      "counter \"calls_dropped\"=99",
      "host_clock monotonic_ns=8000 realtime_ns=1700000000000007000 residual_ns=0",
      "clock_sample device=0 gpu_ns=50000 host=2990..3010",
      "end exit calls=23 monotonic_ns=9000",
  };
}

TEST(Dump, GivesOneLineARecordWithNamesInPlaceOfIds) {
  EXPECT_EQ(LinesOf(WholeFile()), LinesOfTheWholeFile());
}

TEST(Dump, GivesTheOtherSignaturesToo) {
  const std::vector<std::string> expected = {
      "header format=1 pid=4412 monotonic_ns=1000 realtime_ns=1700000000000000000",
      "signature 1 #1 matrix routine=3 f64>f64 m=0 n=64 k=32 batch=1 accumulate=f64 math=0 "
      "side=unknown beta=nonzero flags=0 compute=70 exact",
      "signature 2 #2 sdpa bf16 b2 h32/8 s1/4096 d128 causal-br flags=1 launcher",
      "signature 3 #3 conv wgrad f16 b32 3x224x224 > 64x112x112 f7x7 exact",
      "signature 4 - rnn lstm bwd_data f16 steps=800 input=512 hidden=256 projection=0 layers=2 "
      "directions=1 flags=1 exact",
      "signature 5 #1 compound of 2 - hash=0x000000000000000100000000000000ab",
      "member of 5: signature 1 x7",
      "member of 5: signature 2 x1",
  };
  EXPECT_EQ(LinesOf(FileHeaderBytes() + OtherSignatureBlocks()), expected);
}

TEST(Dump, GivesWhatGraphsHoldAndTheNumbersOfTheirCollectives) {
  const std::vector<std::string> expected = {
      "header format=1 pid=4412 monotonic_ns=1000 realtime_ns=1700000000000000000",
      "signature 6 #1 compound of 2 - hash=0x000000000000000100000000000000ab",
      "member of 6: signature 1 x7",
      "member of 6: signature 2 x1 any_number",
      "launch_sequence lane=1 host=5001 communicator=3 sequence=41 count=2",
  };
  EXPECT_EQ(LinesOf(FileHeaderBytes() + GraphBlocks()), expected);
}

TEST(Dump, GivesWindowsOfRecording) {
  const std::vector<std::string> expected = {
      "header format=1 pid=4412 monotonic_ns=1000 realtime_ns=1700000000000000000",
      "window 1 opened start monotonic_ns=1000 calls=0 length_ns=60000000000",
      "window 1 closed schedule monotonic_ns=2000 calls=17 length_ns=60000000000",
      "window 2 opened schedule monotonic_ns=5000 calls=40 length_ns=0",
      "window 2 communicator=3 sequence=41",
      "host_clock monotonic_ns=8000 realtime_ns=1700000000000007000 residual_ns=25",
  };
  EXPECT_EQ(LinesOf(FileHeaderBytes() + WindowBlocks()), expected);
}

TEST(Dump, GivesScalesEpiloguesAndSequenceLengths) {
  const std::vector<std::string> expected = {
      "header format=1 pid=4412 monotonic_ns=1000 realtime_ns=1700000000000000000",
      "signature 1 #1 gemm f8_e4m3(mxfp8)>bf16 64x32x96 TN c=bf16 d=bf16 accumulate=f32 compute=68 "
      "beta=zero flags=0 exact scales=vec32_ue8m0,vec32_ue8m0,none bias=bf16 aux=bf16 epilogue=164",
      "lengths 1: 7 queries 7 keys x1",
      "lengths 2: 1 queries 4096 keys x64",
      "lengths 2: 512 queries 512 keys x1",
      "signature 2 #2 sdpa bf16 b65 h32/8 s512/4096 d128 causal-br flags=4 exact lengths=2",
  };
  EXPECT_EQ(LinesOf(FileHeaderBytes() + GrownSignatureBlocks()), expected);
}

TEST(Dump, AFileOfFormat1StaysReadable) {
  // Written when format 1 was new, and never again: old files must be readable for ever.
  trace::Outcome outcome;
  EXPECT_EQ(LinesOfFile(std::string(MFU_SOURCE_DIR) + "/tests/trace/data/format_1.trace", &outcome),
            LinesOfTheWholeFile());
  EXPECT_TRUE(outcome.ended_in_order);
}

TEST(Dump, ShowsIdsThatTheFileNeverExplained) {
  const std::vector<std::string> lines =
      LinesOf(FileHeaderBytes() + BlockBytes({.kind = kOpaqueSignatures, .record_bytes = 16},
                                             Bytes().U32(3).U32(6).U32(0).Pad(4)));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1], "signature 3 #6 opaque -");
}

TEST(Dump, KeepsALineALineWhateverTheStringsHold) {
  const std::vector<std::string> lines =
      LinesOf(FileHeaderBytes() + BlockBytes({.kind = kStrings}, StringEntry(1, "a\nb\x1b[31m\"")) +
              BlockBytes({.kind = kFacts}, FactEntry("k\n", "\r")));
  ASSERT_EQ(lines.size(), 3u);
  for (const std::string& line : lines) {
    for (const char c : line) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << line;
  }
}

TEST(Dump, TellsTheOutcome) {
  trace::Outcome outcome;
  const std::string data = WholeFile();
  LinesOf(data.substr(0, data.size() - 1), &outcome);
  EXPECT_FALSE(outcome.ended_in_order);
  EXPECT_EQ(outcome.damage, "ends in the middle of a block (process killed?)");
}

}  // namespace
}  // namespace mfutrace::trace_test
