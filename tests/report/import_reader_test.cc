// Reading the text: exact times, slips of JSON put right, small traces written out by hand.
#include "report/import/kineto_reader.h"

#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "report/import/json_repair.h"
#include "report/import/kineto_fields.h"

namespace mfutrace::report {
namespace {

class TextSource final : public ByteSource {
 public:
  TextSource(std::string text, size_t step) : text_(std::move(text)), step_(step) {}
  absl::StatusOr<size_t> Read(char* into, size_t size) override {
    const size_t count = std::min({size, step_, text_.size() - at_});
    memcpy(into, text_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  std::string text_;
  size_t step_;
  size_t at_ = 0;
};

RawTrace ReadOk(const std::string& text, size_t step = 1 << 20) {
  TextSource source(text, step);
  RawTrace trace;
  const absl::Status status = ReadKineto(&source, &trace);
  EXPECT_TRUE(status.ok()) << status;
  return trace;
}

std::string ErrorOf(const std::string& text) {
  TextSource source(text, 1 << 20);
  RawTrace trace;
  return std::string(ReadKineto(&source, &trace).message());
}

int64_t Nanos(absl::string_view text) {
  int64_t time_ns = 0;
  EXPECT_TRUE(NanosOfMicros(text, &time_ns)) << text;
  return time_ns;
}

TEST(NanosOfMicros, DecimalsAreExact) {
  EXPECT_EQ(Nanos("0"), 0);
  EXPECT_EQ(Nanos("1"), 1000);
  EXPECT_EQ(Nanos("0.001"), 1);
  EXPECT_EQ(Nanos("4458676522690.655"), 4458676522690655);
  // A double has steps of 0.25 us here.
  EXPECT_EQ(Nanos("1712195495519689.063"), 1712195495519689063);
  EXPECT_EQ(Nanos("1712195495519689.1"), 1712195495519689100);
  EXPECT_EQ(Nanos("1712195495519689.0"), 1712195495519689000);
  EXPECT_EQ(Nanos("1712195495519689"), 1712195495519689000);
  EXPECT_EQ(Nanos("-2.5"), -2500);
}

TEST(NanosOfMicros, BelowANanosecondIsRounded) {
  EXPECT_EQ(Nanos("41.76800000000001"), 41768);
  EXPECT_EQ(Nanos("1.2799999713897705"), 1280);
  EXPECT_EQ(Nanos("0.0004999"), 0);
  EXPECT_EQ(Nanos("0.0005"), 1);
  EXPECT_EQ(Nanos("1712195495519689.0636"), 1712195495519689064);
  EXPECT_EQ(Nanos("1712195495519689.06349999"), 1712195495519689063);
}

TEST(NanosOfMicros, ExponentsAreUnderstood) {
  EXPECT_EQ(Nanos("1.5e3"), 1500000);
  EXPECT_EQ(Nanos("1.712195495519689063E15"), 1712195495519689063);
  EXPECT_EQ(Nanos("25e-1"), 2500);
  EXPECT_EQ(Nanos("1e-30"), 0);
  EXPECT_EQ(Nanos("0e99"), 0);
}

TEST(NanosOfMicros, WhatIsNoTimeIsRefused) {
  int64_t time_ns = 0;
  for (const char* text : {"", "-", ".", "abc", "1.2.3", "1e", "1e99", "9300000000000000",
                           "99999999999999999999999", "1 2", "0x10"}) {
    EXPECT_FALSE(NanosOfMicros(text, &time_ns)) << text;
  }
  EXPECT_EQ(Nanos("9200000000000000.001"), 9200000000000000001);
}

std::string Repaired(const std::string& text, size_t step, uint64_t* repairs = nullptr) {
  JsonRepair repair;
  std::string out;
  for (size_t at = 0; at < text.size(); at += step) {
    repair.Append(absl::string_view(text).substr(at, step), &out);
  }
  repair.Finish(&out);
  if (repairs != nullptr) *repairs = repair.repairs();
  return out;
}

struct RepairCase {
  std::string broken;
  std::string wanted;
};

TEST(JsonRepair, SlipsArePutRight) {
  const RepairCase cases[] = {
      {R"({"Process Group Description": , "b": 1})",
       R"({"Process Group Description": null, "b": 1})"},
      {R"({"a":})", R"({"a":null})"},
      {"{\"a\": \n }", "{\"a\": \n null}"},
      {R"({"a": NaN, "b": -Infinity, "c": Infinity, "d": nan})",
       R"({"a": null, "b": null, "c": null, "d": null})"},
      {"{\"a\": \"x\ty\nz\"}", "{\"a\": \"x y z\"}"},
      {R"({"a": "C:\Program \x41 \"})", R"({"a": "C:\\Program \\x41 \"})"},
      {R"({"a": "\users \u12g"})", R"({"a": "\\users \\u12g"})"},
      {R"({"a": "\u00e9 \ud83d\ude00 \udc80"})", R"({"a": "\u00e9 \ufffd\ufffd \ufffd"})"},
  };
  for (const RepairCase& test : cases) {
    SCOPED_TRACE(test.broken);
    uint64_t repairs = 0;
    for (const size_t step : {size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{1000}}) {
      EXPECT_EQ(Repaired(test.broken, step, &repairs), test.wanted);
      EXPECT_GT(repairs, 0u);
    }
  }
}

TEST(JsonRepair, WhatIsRightIsLeftAlone) {
  const std::string text =
      R"({"a": "NaN, inf: ,", "b": [1, -2.5e-3, 1E+5, true, false, null], "c": {"d": "\\\" \u00e9 \/"},)"
      "\n\t\"e\":\"\xc3\xa9\",\"f\": -0}";
  for (const size_t step : {size_t{1}, size_t{5}, size_t{4096}}) {
    uint64_t repairs = 1;
    EXPECT_EQ(Repaired(text, step, &repairs), text);
    EXPECT_EQ(repairs, 0u);
  }
}

constexpr char kSmall[] = R"json({
  "schemaVersion": 1, "nested": [[{"traceEvents": [1]}]],
  "distributedInfo": {"backend": "nccl", "rank": 3, "world_size": 8, "pg_config": [
    {"pg_name": "7", "pg_desc": "mesh_tp", "backend_config": "cuda:nccl", "pg_size": 2, "ranks": [2, 3]}]},
  "traceEvents": [
    {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "python"}},
    {"ph": "X", "cat": "Kernel", "name": "old_gemm", "pid": 1, "tid": 7, "ts": 100, "dur": 5,
     "args": {"device": 1, "stream": 7, "correlation": 11, "External id": 11}},
    {"name": "Memset (Device)", "cat": "Memset", "args": {"correlation": 12}, "tid": 9, "pid": 1,
     "dur": 1.5, "ts": 200.25, "ph": "X"},
    {"ph": "X", "cat": "gpu_memcpy", "name": "Memcpy HtoD", "pid": 1, "tid": 7, "ts": 300, "dur": 2, "args": {}},
    {"ph": "X", "cat": "Runtime", "name": "cudaLaunchKernel", "pid": 5, "tid": "5", "ts": 90, "dur": 2,
     "args": {"correlation": 11}},
    {"ph": "X", "cat": "cuda_driver", "name": "cuGraphLaunch", "pid": 5, "tid": 6, "ts": 95, "dur": 2,
     "args": {"correlation": 12}},
    {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 5, "tid": 5, "ts": 80, "dur": 20,
     "args": {"External id": 2, "Input Dims": [[4, 5], [5, 6]], "Input type": ["float", "float"]}},
    {"ph": "X", "cat": "user_annotation", "name": "nccl:all_reduce", "pid": 5, "tid": 5, "ts": 101, "dur": 1,
     "args": {"Input Dims": [[[2, 3], [4]]], "Input type": ["TensorList"]}},
    {"ph": "X", "cat": "cpu_op", "name": "record_param_comms", "pid": 5, "tid": 5, "ts": 101, "dur": 2,
     "args": {"Collective name": "allreduce", "dtype": "BFloat16", "In msg nelems": 10, "Out msg nelems": 10,
              "Group size": 2, "Process Group Name": "7", "Process Group Description": , "Process Group Ranks": "[2, 3]"}},
    {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#4", "pid": 5, "tid": 5, "ts": 70, "dur": 50},
    {"ph": "X", "cat": "gpu_user_annotation", "name": "ProfilerStep#4", "pid": 1, "tid": 7, "ts": 100, "dur": 50},
    {"ph": "X", "cat": "cpu_op", "name": "aten::relu", "pid": 5, "tid": 5, "ts": 82, "dur": -4, "args": {}},
    {"ph": "X", "cat": "cpu_op", "name": "aten::relu", "pid": 5, "tid": 5, "ts": NaN, "dur": 4, "args": {}}
  ],
  "deviceProperties": [{"id": 0, "name": "A"}, {"id": 1, "name": "Tesla X", "totalGlobalMem": 34079637504}],
  "host_name": "node7"
})json";

void ExpectSmall(const RawTrace& trace) {
  EXPECT_EQ(trace.rank, 3);
  EXPECT_EQ(trace.world_size, 8u);
  EXPECT_EQ(trace.host, "node7");
  EXPECT_EQ(trace.events, 13u);
  EXPECT_EQ(trace.events_without_time, 2u);
  EXPECT_EQ(trace.repairs, 2u);
  EXPECT_TRUE(trace.has_shapes);
  ASSERT_EQ(trace.devices.size(), 2u);
  EXPECT_EQ(trace.devices[1].name, "Tesla X");
  EXPECT_EQ(trace.devices[1].memory_bytes, 34079637504u);
  ASSERT_EQ(trace.groups.size(), 1u);
  EXPECT_EQ(trace.groups[0].ranks, (std::vector<int32_t>{2, 3}));

  ASSERT_EQ(trace.gpu_events.size(), 3u);
  EXPECT_EQ(trace.gpu_events[0].time.begin_ns, 100000);
  EXPECT_EQ(trace.gpu_events[0].time.end_ns, 105000);
  EXPECT_EQ(trace.gpu_events[0].device, 1);
  EXPECT_EQ(trace.gpu_events[0].stream, 7);
  EXPECT_FALSE(trace.gpu_events[0].is_copy);
  EXPECT_EQ(trace.gpu_events[1].time.begin_ns, 200250);
  EXPECT_EQ(trace.gpu_events[1].time.end_ns, 201750);
  EXPECT_EQ(trace.gpu_events[1].device, 1);  // where `args` is silent, the process is the device
  EXPECT_EQ(trace.gpu_events[1].stream, 9);
  EXPECT_TRUE(trace.gpu_events[1].is_copy);
  EXPECT_TRUE(trace.gpu_events[2].is_copy);

  ASSERT_EQ(trace.launches.size(), 2u);
  EXPECT_EQ(trace.launches[0].correlation, 11);
  EXPECT_FALSE(trace.launches[0].is_graph);
  EXPECT_TRUE(trace.launches[1].is_graph);

  ASSERT_EQ(trace.ops.size(), 1u);
  EXPECT_EQ(trace.ops[0].thread, trace.launches[0].thread);  // 5 and "5" are one thread
  const RawSignature& mm = trace.signatures[trace.ops[0].signature];
  EXPECT_EQ(mm.name, "aten::mm");
  EXPECT_EQ(mm.operands.dims, (std::vector<std::vector<int64_t>>{{4, 5}, {5, 6}}));
  EXPECT_EQ(mm.operands.types, (std::vector<std::string>{"float", "float"}));

  ASSERT_EQ(trace.comm_ops.size(), 2u);
  const RawSignature& range = trace.signatures[trace.comm_ops[0].signature];
  EXPECT_TRUE(trace.comm_ops[0].is_range);
  ASSERT_EQ(range.operands.dims.size(), 1u);
  EXPECT_TRUE(range.operands.is_tensor_list[0]);
  EXPECT_EQ(range.operands.dims[0], (std::vector<int64_t>{10}));  // 2 x 3 + 4 elements
  const RawCollective& comms = trace.collectives[trace.comm_ops[1].collective];
  EXPECT_EQ(comms.name, "allreduce");
  EXPECT_EQ(comms.group_name, "7");
  EXPECT_EQ(comms.group_description, "");
  EXPECT_EQ(comms.in_elements, 10);
  EXPECT_EQ(comms.group_size, 2);

  ASSERT_EQ(trace.steps.size(), 1u);
  EXPECT_EQ(trace.steps[0].time.begin_ns, 70000);
}

TEST(ReadKineto, KeysAreUnderstoodInAnyOrderAndSpelling) { ExpectSmall(ReadOk(kSmall)); }

TEST(ReadKineto, ChunksMayEndAnywhere) {
  for (const size_t step : {size_t{1}, size_t{13}, size_t{997}}) ExpectSmall(ReadOk(kSmall, step));
}

TEST(ReadKineto, ABareListOfEventsIsATrace) {
  const RawTrace trace = ReadOk(R"([{"ph":"X","cat":"kernel","name":"k","ts":1,"dur":1}])");
  EXPECT_EQ(trace.gpu_events.size(), 1u);
}

TEST(ReadKineto, TheLastOfTwoEqualKeysHolds) {
  const RawTrace trace = ReadOk(
      R"({"traceEvents": [{"ph":"X","cat":"cpu_op","name":"a","name":"aten::mm","ts":1,"ts":2,"dur":1,
          "args":{"Input Dims":[[1,2]],"Input Dims":[[3,4],[4,5]]}}]})");
  ASSERT_EQ(trace.ops.size(), 1u);
  EXPECT_EQ(trace.ops[0].time.begin_ns, 2000);
  EXPECT_EQ(trace.signatures[0].operands.dims, (std::vector<std::vector<int64_t>>{{3, 4}, {4, 5}}));
}

TEST(ReadKineto, ErrorsSayWhatIsWrong) {
  EXPECT_EQ(ErrorOf(""), "is empty");
  EXPECT_EQ(ErrorOf(" \n"), "is empty");
  EXPECT_EQ(ErrorOf("hello").find("is not JSON: "), 0u);
  EXPECT_EQ(ErrorOf(std::string("\x7f"
                                "ELF\0\0",
                                6))
                .find("is not JSON: "),
            0u);
  EXPECT_NE(ErrorOf(R"({"a": 1})").find("no \"traceEvents\""), std::string::npos);
  EXPECT_NE(ErrorOf("3").find("no \"traceEvents\""), std::string::npos);
  EXPECT_NE(ErrorOf(R"({"traceEvents": 3})").find("no \"traceEvents\""), std::string::npos);
  EXPECT_NE(ErrorOf(R"({"traceEvents": [{"ph":"X"}, {"ph)").find("ends early, after 1 events"),
            std::string::npos);
  EXPECT_NE(ErrorOf(R"({"traceEvents": [)").find("ends early"), std::string::npos);
  EXPECT_NE(ErrorOf(R"({"traceEvents": [{"ph":"X"} oops)").find("is not JSON: "),
            std::string::npos);
  const std::string deep(100000, '[');
  EXPECT_NE(ErrorOf(deep).find("nested deeper than"), std::string::npos);
}

TEST(ReadKineto, TimesThatCannotBeAreCounted) {
  const RawTrace trace = ReadOk(R"({"traceEvents": [
      {"ph":"X","cat":"kernel","name":"k","ts":9000000000000000,"dur":9000000000000000},
      {"ph":"X","cat":"kernel","name":"k","ts":-9000000000000000,"dur":1},
      {"ph":"X","cat":"kernel","name":"k","ts":1,"dur":"long"},
      {"ph":"X","cat":"kernel","name":"k","ts":1,"dur":-1},
      {"ph":"X","cat":"kernel","name":"k","dur":1},
      {"ph":"X","cat":"kernel","name":"k","ts":1}]})");
  EXPECT_EQ(trace.events_without_time, 5u);
  EXPECT_EQ(trace.gpu_events.size(), 1u);
}

TEST(ElementsOf, DamagedDimensionsAreUnknown) {
  EXPECT_EQ(ElementsOf({2, 3, 4}), 24);
  EXPECT_EQ(ElementsOf({2, 0, 4}), 0);
  EXPECT_EQ(ElementsOf({}), 1);
  EXPECT_EQ(ElementsOf({2, -3}), -1);
  EXPECT_EQ(ElementsOf({int64_t{1} << 40, int64_t{1} << 40}), -1);
}

// Every prefix of a trace is an error or a trace, never a crash.
TEST(ReadKineto, AnyPrefixIsSurvived) {
  const std::string text = kSmall;
  for (size_t size = 0; size < text.size() - 1; ++size) {
    EXPECT_NE(ErrorOf(text.substr(0, size)), "") << size;
  }
}

}  // namespace
}  // namespace mfutrace::report
