// Holds the tables of docs/FORMAT.md against the structures of trace/format.h.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "shapes/dtype.h"
#include "trace/contract.h"
#include "trace/format.h"

namespace mfutrace::trace_test {
namespace {

struct Field {
  std::string name;
  size_t offset;
  size_t bytes;
  bool operator==(const Field& other) const = default;
};

std::ostream& operator<<(std::ostream& out, const Field& field) {
  return out << field.name << " at " << field.offset << ", " << field.bytes << " bytes";
}

#define MFU_FIELD(record, name) \
  Field { #name, offsetof(trace::record, name), sizeof(trace::record::name) }

struct Structure {
  size_t bytes;
  std::vector<Field> fields;
};

std::map<std::string, Structure> StructuresInCode() {
  using namespace trace;  // sizeof below reads better without
  return {
      {"FileHeader",
       {sizeof(FileHeader),
        {MFU_FIELD(FileHeader, magic), MFU_FIELD(FileHeader, format_version),
         MFU_FIELD(FileHeader, byte_order_mark), MFU_FIELD(FileHeader, header_bytes),
         MFU_FIELD(FileHeader, pid), MFU_FIELD(FileHeader, start_monotonic_ns),
         MFU_FIELD(FileHeader, start_realtime_ns), MFU_FIELD(FileHeader, reserved),
         MFU_FIELD(FileHeader, crc32c)}}},
      {"BlockHeader",
       {sizeof(BlockHeader),
        {MFU_FIELD(BlockHeader, sync), MFU_FIELD(BlockHeader, kind),
         MFU_FIELD(BlockHeader, version), MFU_FIELD(BlockHeader, flags),
         MFU_FIELD(BlockHeader, payload_bytes), MFU_FIELD(BlockHeader, record_bytes),
         MFU_FIELD(BlockHeader, prefix_bytes), MFU_FIELD(BlockHeader, reserved),
         MFU_FIELD(BlockHeader, crc32c)}}},
      {"StringHeader",
       {sizeof(StringHeader), {MFU_FIELD(StringHeader, id), MFU_FIELD(StringHeader, bytes)}}},
      {"FactHeader",
       {sizeof(FactHeader),
        {MFU_FIELD(FactHeader, key_bytes), MFU_FIELD(FactHeader, value_bytes)}}},
      {"DeviceRecord",
       {sizeof(DeviceRecord),
        {MFU_FIELD(DeviceRecord, ordinal), MFU_FIELD(DeviceRecord, name),
         MFU_FIELD(DeviceRecord, bus_id), MFU_FIELD(DeviceRecord, uuid),
         MFU_FIELD(DeviceRecord, compute_major), MFU_FIELD(DeviceRecord, compute_minor),
         MFU_FIELD(DeviceRecord, sm_count), MFU_FIELD(DeviceRecord, clock_khz),
         MFU_FIELD(DeviceRecord, memory_bytes)}}},
      {"LaneRecord",
       {sizeof(LaneRecord),
        {MFU_FIELD(LaneRecord, id), MFU_FIELD(LaneRecord, device), MFU_FIELD(LaneRecord, stream),
         MFU_FIELD(LaneRecord, thread), MFU_FIELD(LaneRecord, reserved)}}},
      {"ThreadRecord",
       {sizeof(ThreadRecord), {MFU_FIELD(ThreadRecord, thread), MFU_FIELD(ThreadRecord, name)}}},
      {"CommunicatorRecord",
       {sizeof(CommunicatorRecord),
        {MFU_FIELD(CommunicatorRecord, index), MFU_FIELD(CommunicatorRecord, rank),
         MFU_FIELD(CommunicatorRecord, id), MFU_FIELD(CommunicatorRecord, parent_id),
         MFU_FIELD(CommunicatorRecord, size), MFU_FIELD(CommunicatorRecord, device),
         MFU_FIELD(CommunicatorRecord, split_color), MFU_FIELD(CommunicatorRecord, split_index),
         MFU_FIELD(CommunicatorRecord, name), MFU_FIELD(CommunicatorRecord, creation),
         MFU_FIELD(CommunicatorRecord, event), MFU_FIELD(CommunicatorRecord, reserved)}}},
      {"GemmSignature",
       {sizeof(GemmSignature),
        {MFU_FIELD(GemmSignature, id),
         MFU_FIELD(GemmSignature, entry),
         MFU_FIELD(GemmSignature, m),
         MFU_FIELD(GemmSignature, n),
         MFU_FIELD(GemmSignature, k),
         MFU_FIELD(GemmSignature, batch),
         MFU_FIELD(GemmSignature, a),
         MFU_FIELD(GemmSignature, b),
         MFU_FIELD(GemmSignature, c),
         MFU_FIELD(GemmSignature, d),
         MFU_FIELD(GemmSignature, accumulate),
         MFU_FIELD(GemmSignature, math),
         MFU_FIELD(GemmSignature, op_a),
         MFU_FIELD(GemmSignature, op_b),
         MFU_FIELD(GemmSignature, beta),
         MFU_FIELD(GemmSignature, flags),
         MFU_FIELD(GemmSignature, provenance),
         MFU_FIELD(GemmSignature, reserved),
         MFU_FIELD(GemmSignature, compute_code),
         MFU_FIELD(GemmSignature, scale_a),
         MFU_FIELD(GemmSignature, scale_b),
         MFU_FIELD(GemmSignature, scale_d),
         MFU_FIELD(GemmSignature, bias),
         MFU_FIELD(GemmSignature, aux),
         MFU_FIELD(GemmSignature, reserved2),
         MFU_FIELD(GemmSignature, epilogue)}}},
      {"CollectiveSignature",
       {sizeof(CollectiveSignature),
        {MFU_FIELD(CollectiveSignature, id), MFU_FIELD(CollectiveSignature, entry),
         MFU_FIELD(CollectiveSignature, count), MFU_FIELD(CollectiveSignature, communicator),
         MFU_FIELD(CollectiveSignature, peer), MFU_FIELD(CollectiveSignature, kind),
         MFU_FIELD(CollectiveSignature, dtype), MFU_FIELD(CollectiveSignature, reduction),
         MFU_FIELD(CollectiveSignature, provenance), MFU_FIELD(CollectiveSignature, reserved)}}},
      {"OpaqueSignature",
       {sizeof(OpaqueSignature),
        {MFU_FIELD(OpaqueSignature, id), MFU_FIELD(OpaqueSignature, entry),
         MFU_FIELD(OpaqueSignature, reason), MFU_FIELD(OpaqueSignature, reserved)}}},
      {"MatrixSignature",
       {sizeof(MatrixSignature),
        {MFU_FIELD(MatrixSignature, id), MFU_FIELD(MatrixSignature, entry),
         MFU_FIELD(MatrixSignature, m), MFU_FIELD(MatrixSignature, n),
         MFU_FIELD(MatrixSignature, k), MFU_FIELD(MatrixSignature, batch),
         MFU_FIELD(MatrixSignature, dtype), MFU_FIELD(MatrixSignature, result),
         MFU_FIELD(MatrixSignature, accumulate), MFU_FIELD(MatrixSignature, math),
         MFU_FIELD(MatrixSignature, routine), MFU_FIELD(MatrixSignature, side),
         MFU_FIELD(MatrixSignature, beta), MFU_FIELD(MatrixSignature, flags),
         MFU_FIELD(MatrixSignature, provenance), MFU_FIELD(MatrixSignature, reserved),
         MFU_FIELD(MatrixSignature, compute_code)}}},
      {"AttentionSignature",
       {sizeof(AttentionSignature),
        {MFU_FIELD(AttentionSignature, id), MFU_FIELD(AttentionSignature, entry),
         MFU_FIELD(AttentionSignature, batch), MFU_FIELD(AttentionSignature, heads_q),
         MFU_FIELD(AttentionSignature, heads_kv), MFU_FIELD(AttentionSignature, seq_q),
         MFU_FIELD(AttentionSignature, seq_k), MFU_FIELD(AttentionSignature, head_dim_qk),
         MFU_FIELD(AttentionSignature, head_dim_v), MFU_FIELD(AttentionSignature, window_left),
         MFU_FIELD(AttentionSignature, window_right), MFU_FIELD(AttentionSignature, dtype),
         MFU_FIELD(AttentionSignature, mask), MFU_FIELD(AttentionSignature, pass),
         MFU_FIELD(AttentionSignature, flags), MFU_FIELD(AttentionSignature, provenance),
         MFU_FIELD(AttentionSignature, reserved), MFU_FIELD(AttentionSignature, lengths)}}},
      {"SequenceLengths",
       {sizeof(SequenceLengths),
        {MFU_FIELD(SequenceLengths, list), MFU_FIELD(SequenceLengths, seq_q),
         MFU_FIELD(SequenceLengths, seq_k), MFU_FIELD(SequenceLengths, count)}}},
      {"ConvolutionSignature",
       {sizeof(ConvolutionSignature),
        {MFU_FIELD(ConvolutionSignature, id), MFU_FIELD(ConvolutionSignature, entry),
         MFU_FIELD(ConvolutionSignature, batch), MFU_FIELD(ConvolutionSignature, c_in),
         MFU_FIELD(ConvolutionSignature, c_out), MFU_FIELD(ConvolutionSignature, groups),
         MFU_FIELD(ConvolutionSignature, in), MFU_FIELD(ConvolutionSignature, filter),
         MFU_FIELD(ConvolutionSignature, out), MFU_FIELD(ConvolutionSignature, dtype),
         MFU_FIELD(ConvolutionSignature, direction), MFU_FIELD(ConvolutionSignature, flags),
         MFU_FIELD(ConvolutionSignature, provenance)}}},
      {"RnnSignature",
       {sizeof(RnnSignature),
        {MFU_FIELD(RnnSignature, id), MFU_FIELD(RnnSignature, entry),
         MFU_FIELD(RnnSignature, steps), MFU_FIELD(RnnSignature, input_size),
         MFU_FIELD(RnnSignature, hidden_size), MFU_FIELD(RnnSignature, projection_size),
         MFU_FIELD(RnnSignature, layers), MFU_FIELD(RnnSignature, directions),
         MFU_FIELD(RnnSignature, dtype), MFU_FIELD(RnnSignature, cell),
         MFU_FIELD(RnnSignature, pass), MFU_FIELD(RnnSignature, flags),
         MFU_FIELD(RnnSignature, provenance), MFU_FIELD(RnnSignature, reserved)}}},
      {"CompoundSignature",
       {sizeof(CompoundSignature),
        {MFU_FIELD(CompoundSignature, id), MFU_FIELD(CompoundSignature, entry),
         MFU_FIELD(CompoundSignature, member_count), MFU_FIELD(CompoundSignature, label),
         MFU_FIELD(CompoundSignature, hash_low), MFU_FIELD(CompoundSignature, hash_high)}}},
      {"CompoundMember",
       {sizeof(CompoundMember),
        {MFU_FIELD(CompoundMember, compound), MFU_FIELD(CompoundMember, signature),
         MFU_FIELD(CompoundMember, count), MFU_FIELD(CompoundMember, condition),
         MFU_FIELD(CompoundMember, reserved)}}},
      {"LaunchSequence",
       {sizeof(LaunchSequence),
        {MFU_FIELD(LaunchSequence, lane), MFU_FIELD(LaunchSequence, communicator),
         MFU_FIELD(LaunchSequence, host_begin_ns), MFU_FIELD(LaunchSequence, sequence),
         MFU_FIELD(LaunchSequence, count)}}},
      {"CallPrefix",
       {sizeof(CallPrefix),
        {MFU_FIELD(CallPrefix, host_base_ns), MFU_FIELD(CallPrefix, gpu_base_ns),
         MFU_FIELD(CallPrefix, device), MFU_FIELD(CallPrefix, reserved)}}},
      {"CallRecord",
       {sizeof(CallRecord),
        {MFU_FIELD(CallRecord, signature), MFU_FIELD(CallRecord, lane_flags),
         MFU_FIELD(CallRecord, host_begin_delta_ns), MFU_FIELD(CallRecord, host_duration_ns)}}},
      {"TimedCallRecord",
       {sizeof(TimedCallRecord),
        {MFU_FIELD(TimedCallRecord, call), MFU_FIELD(TimedCallRecord, gpu_begin_delta_ns),
         MFU_FIELD(TimedCallRecord, gpu_duration_ns)}}},
      {"CollectiveRecord",
       {sizeof(CollectiveRecord),
        {MFU_FIELD(CollectiveRecord, call), MFU_FIELD(CollectiveRecord, sequence)}}},
      {"TimedCollectiveRecord",
       {sizeof(TimedCollectiveRecord),
        {MFU_FIELD(TimedCollectiveRecord, call),
         MFU_FIELD(TimedCollectiveRecord, gpu_begin_delta_ns),
         MFU_FIELD(TimedCollectiveRecord, gpu_duration_ns),
         MFU_FIELD(TimedCollectiveRecord, sequence)}}},
      {"WideCallRecord",
       {sizeof(WideCallRecord),
        {MFU_FIELD(WideCallRecord, signature), MFU_FIELD(WideCallRecord, lane_flags),
         MFU_FIELD(WideCallRecord, host_begin_ns), MFU_FIELD(WideCallRecord, host_end_ns),
         MFU_FIELD(WideCallRecord, gpu_begin_ns), MFU_FIELD(WideCallRecord, gpu_end_ns),
         MFU_FIELD(WideCallRecord, sequence), MFU_FIELD(WideCallRecord, is_timed),
         MFU_FIELD(WideCallRecord, reserved)}}},
      {"CountRecord",
       {sizeof(CountRecord),
        {MFU_FIELD(CountRecord, signature), MFU_FIELD(CountRecord, device),
         MFU_FIELD(CountRecord, calls), MFU_FIELD(CountRecord, host_begin_ns),
         MFU_FIELD(CountRecord, host_end_ns), MFU_FIELD(CountRecord, reason),
         MFU_FIELD(CountRecord, flags), MFU_FIELD(CountRecord, reserved)}}},
      {"CounterRecord",
       {sizeof(CounterRecord),
        {MFU_FIELD(CounterRecord, name), MFU_FIELD(CounterRecord, reserved),
         MFU_FIELD(CounterRecord, value)}}},
      {"ForeignKernels",
       {sizeof(ForeignKernels),
        {MFU_FIELD(ForeignKernels, name), MFU_FIELD(ForeignKernels, device),
         MFU_FIELD(ForeignKernels, kernels), MFU_FIELD(ForeignKernels, busy_ns),
         MFU_FIELD(ForeignKernels, host_begin_ns), MFU_FIELD(ForeignKernels, host_end_ns),
         MFU_FIELD(ForeignKernels, family), MFU_FIELD(ForeignKernels, reserved)}}},
      {"ForeignRun",
       {sizeof(ForeignRun),
        {MFU_FIELD(ForeignRun, device), MFU_FIELD(ForeignRun, stream),
         MFU_FIELD(ForeignRun, gpu_begin_ns), MFU_FIELD(ForeignRun, gpu_end_ns),
         MFU_FIELD(ForeignRun, busy_ns), MFU_FIELD(ForeignRun, kernels),
         MFU_FIELD(ForeignRun, family), MFU_FIELD(ForeignRun, reserved)}}},
      {"ForeignEach",
       {sizeof(ForeignEach),
        {MFU_FIELD(ForeignEach, name), MFU_FIELD(ForeignEach, device),
         MFU_FIELD(ForeignEach, gpu_begin_ns), MFU_FIELD(ForeignEach, gpu_end_ns),
         MFU_FIELD(ForeignEach, stream), MFU_FIELD(ForeignEach, family),
         MFU_FIELD(ForeignEach, reserved)}}},
      {"KernelLaunches",
       {sizeof(KernelLaunches),
        {MFU_FIELD(KernelLaunches, name), MFU_FIELD(KernelLaunches, reserved),
         MFU_FIELD(KernelLaunches, launches)}}},
      {"TimingChange",
       {sizeof(TimingChange),
        {MFU_FIELD(TimingChange, monotonic_ns), MFU_FIELD(TimingChange, backend),
         MFU_FIELD(TimingChange, reason)}}},
      {"HostClockRecord",
       {sizeof(HostClockRecord),
        {MFU_FIELD(HostClockRecord, monotonic_ns), MFU_FIELD(HostClockRecord, realtime_ns),
         MFU_FIELD(HostClockRecord, residual_ns)}}},
      {"WindowRecord",
       {sizeof(WindowRecord),
        {MFU_FIELD(WindowRecord, number), MFU_FIELD(WindowRecord, event),
         MFU_FIELD(WindowRecord, reason), MFU_FIELD(WindowRecord, reserved),
         MFU_FIELD(WindowRecord, monotonic_ns), MFU_FIELD(WindowRecord, calls),
         MFU_FIELD(WindowRecord, length_ns)}}},
      {"WindowSequence",
       {sizeof(WindowSequence),
        {MFU_FIELD(WindowSequence, window), MFU_FIELD(WindowSequence, communicator),
         MFU_FIELD(WindowSequence, sequence), MFU_FIELD(WindowSequence, reserved)}}},
      {"ClockSampleRecord",
       {sizeof(ClockSampleRecord),
        {MFU_FIELD(ClockSampleRecord, device), MFU_FIELD(ClockSampleRecord, reserved),
         MFU_FIELD(ClockSampleRecord, gpu_ns), MFU_FIELD(ClockSampleRecord, host_min_ns),
         MFU_FIELD(ClockSampleRecord, host_max_ns)}}},
      {"EndRecord",
       {sizeof(EndRecord),
        {MFU_FIELD(EndRecord, monotonic_ns), MFU_FIELD(EndRecord, calls),
         MFU_FIELD(EndRecord, reason), MFU_FIELD(EndRecord, reserved)}}},
  };
}

#undef MFU_FIELD

// The rows of every table of the page, by the heading above it; cells without blanks around them.
std::map<std::string, std::vector<std::vector<std::string>>> TablesOfThePage() {
  std::map<std::string, std::vector<std::vector<std::string>>> tables;
  std::ifstream page(std::string(MFU_SOURCE_DIR) + "/docs/FORMAT.md");
  EXPECT_TRUE(page.good());
  std::string heading;
  for (std::string line; std::getline(page, line);) {
    if (line.rfind("#", 0) == 0) {
      heading = std::string(absl::StripAsciiWhitespace(line.substr(line.find_first_not_of('#'))));
    }
    if (line.rfind("|", 0) != 0) continue;
    std::vector<std::string> cells;
    for (const absl::string_view cell : absl::StrSplit(line, '|')) {
      cells.push_back(std::string(absl::StripAsciiWhitespace(cell)));
    }
    tables[heading].emplace_back(cells.begin() + 1, cells.end() - 1);
  }
  return tables;
}

std::vector<std::vector<std::string>> TableUnder(const std::string& heading) {
  return TablesOfThePage()[heading];
}

bool IsNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

TEST(FormatDoc, EveryTableHasTheOffsetsAndSizesOfItsStructure) {
  const auto tables = TablesOfThePage();
  const auto structures = StructuresInCode();
  EXPECT_EQ(structures.size(), 37u);
  for (const auto& [name, structure] : structures) {
    const auto table = tables.find(name);
    if (table == tables.end()) {
      ADD_FAILURE() << "docs/FORMAT.md has no table of " << name;
      continue;
    }
    std::vector<Field> documented;
    for (const std::vector<std::string>& row : table->second) {
      if (row.size() != 4 || !IsNumber(row[0])) continue;
      documented.push_back({row[2], std::stoul(row[0]), std::stoul(row[1])});
    }
    EXPECT_EQ(documented, structure.fields) << name;
    // No hole, and nothing behind the last field: a field missing in both places would show here.
    size_t end = 0;
    for (const Field& field : documented) {
      EXPECT_EQ(field.offset, end) << name << "." << field.name;
      end = field.offset + field.bytes;
    }
    EXPECT_EQ(end, structure.bytes) << name;
  }
}

TEST(FormatDoc, EveryOffsetTableBelongsToAStructure) {
  const auto structures = StructuresInCode();
  const auto tables = TablesOfThePage();
  for (const auto& [heading, rows] : tables) {
    if (!rows.front().empty() && rows.front().front() == "offset") {
      EXPECT_EQ(structures.count(heading), 1u) << heading;
    }
  }
}

TEST(FormatDoc, KindsAreNumberedAsInTheCode) {
  using K = trace::BlockKind;
  const std::map<std::string, std::pair<K, std::string>> kinds = {
      {"kStrings", {K::kStrings, "StringHeader and text"}},
      {"kFacts", {K::kFacts, "FactHeader, key and value"}},
      {"kDevices", {K::kDevices, "DeviceRecord"}},
      {"kLanes", {K::kLanes, "LaneRecord"}},
      {"kThreads", {K::kThreads, "ThreadRecord"}},
      {"kCommunicators", {K::kCommunicators, "CommunicatorRecord"}},
      {"kGemmSignatures", {K::kGemmSignatures, "GemmSignature"}},
      {"kCollectiveSignatures", {K::kCollectiveSignatures, "CollectiveSignature"}},
      {"kOpaqueSignatures", {K::kOpaqueSignatures, "OpaqueSignature"}},
      {"kCalls", {K::kCalls, "CallRecord"}},
      {"kTimedCalls", {K::kTimedCalls, "TimedCallRecord"}},
      {"kCollectives", {K::kCollectives, "CollectiveRecord"}},
      {"kTimedCollectives", {K::kTimedCollectives, "TimedCollectiveRecord"}},
      {"kWideCalls", {K::kWideCalls, "WideCallRecord"}},
      {"kCounts", {K::kCounts, "CountRecord"}},
      {"kCounters", {K::kCounters, "CounterRecord"}},
      {"kHostClock", {K::kHostClock, "HostClockRecord"}},
      {"kWindows", {K::kWindows, "WindowRecord"}},
      {"kWindowSequences", {K::kWindowSequences, "WindowSequence"}},
      {"kClockSamples", {K::kClockSamples, "ClockSampleRecord"}},
      {"kEnd", {K::kEnd, "EndRecord"}},
      {"kMatrixSignatures", {K::kMatrixSignatures, "MatrixSignature"}},
      {"kAttentionSignatures", {K::kAttentionSignatures, "AttentionSignature"}},
      {"kConvolutionSignatures", {K::kConvolutionSignatures, "ConvolutionSignature"}},
      {"kRnnSignatures", {K::kRnnSignatures, "RnnSignature"}},
      {"kCompoundSignatures", {K::kCompoundSignatures, "CompoundSignature"}},
      {"kCompoundMembers", {K::kCompoundMembers, "CompoundMember"}},
      {"kSequenceLengths", {K::kSequenceLengths, "SequenceLengths"}},
      {"kLaunchSequences", {K::kLaunchSequences, "LaunchSequence"}},
      {"kForeignKernels", {K::kForeignKernels, "ForeignKernels"}},
      {"kForeignRuns", {K::kForeignRuns, "ForeignRun"}},
      {"kForeignEach", {K::kForeignEach, "ForeignEach"}},
      {"kKernelLaunches", {K::kKernelLaunches, "KernelLaunches"}},
      {"kTimingChanges", {K::kTimingChanges, "TimingChange"}}};
  size_t documented = 0;
  for (const std::vector<std::string>& row : TableUnder("Kinds of blocks")) {
    if (!IsNumber(row[0])) continue;
    ++documented;
    ASSERT_EQ(kinds.count(row[1]), 1u) << row[1];
    const auto& [kind, record] = kinds.at(row[1]);
    EXPECT_EQ(std::stoul(row[0]), static_cast<size_t>(kind)) << row[1];
    EXPECT_EQ(row[2], record) << row[1];
    const bool has_prefix = kind >= K::kCalls && kind <= K::kTimedCollectives;
    EXPECT_EQ(row[3], has_prefix ? "CallPrefix" : "") << row[1];
  }
  EXPECT_EQ(documented, kinds.size());
}

TEST(FormatDoc, NumberFormatsAreThoseOfTheCode) {
  std::set<int> documented;
  for (const std::vector<std::string>& row : TableUnder("Number formats")) {
    for (size_t column = 0; column + 2 < row.size(); column += 4) {
      if (!IsNumber(row[column])) continue;
      const int value = std::stoi(row[column]);
      const auto dtype = static_cast<shapes::Dtype>(value);
      const std::string_view name = shapes::NameOf(dtype);
      EXPECT_EQ(row[column + 1], std::string(name)) << value;
      EXPECT_EQ(std::stoul(row[column + 2]), shapes::BitsOf(dtype)) << value;
      documented.insert(value);
    }
  }
  EXPECT_EQ(documented.size(), static_cast<size_t>(shapes::Dtype::kTf32) + 1);
}

TEST(FormatDoc, ConstantsAreThoseOfTheCode) {
  std::ifstream page(std::string(MFU_SOURCE_DIR) + "/docs/FORMAT.md");
  const std::string text((std::istreambuf_iterator<char>(page)), std::istreambuf_iterator<char>());
  const auto hex = [](uint32_t value) {
    char digits[16];
    std::snprintf(digits, sizeof(digits), "0x%08x", value);
    return std::string(digits);
  };
  EXPECT_NE(text.find(hex(trace::kBlockSync)), std::string::npos);
  EXPECT_NE(text.find(hex(trace::kByteOrderMark)), std::string::npos);
  EXPECT_NE(text.find("at most " + std::to_string(trace::kMaxPayloadBytes)), std::string::npos);
  for (const std::string_view key :
       {trace::fact::kHost, trace::fact::kCommandLine, trace::fact::kRank, trace::fact::kRankSource,
        trace::fact::kWorldSize, trace::fact::kLocalRank, trace::fact::kRole, trace::fact::kRestart,
        trace::fact::kTimingBackend, trace::fact::kTimingReason, trace::fact::kVersion,
        trace::fact::kDriverVersion, trace::fact::kJobId, trace::fact::kParentPid}) {
    EXPECT_NE(text.find(std::string(key)), std::string::npos) << key;
  }
}

}  // namespace
}  // namespace mfutrace::trace_test
