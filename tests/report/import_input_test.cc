// Files as they come: plain, gzip, tar of several ranks, broken ones; and how kernels are joined,
// on small traces written out by hand.
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "report/import/import.h"
#include "report/import/kineto.h"

namespace mfutrace::report {
namespace {

namespace fs = std::filesystem;

class ImportInput : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "mfutrace_import_XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& bytes) {
    const std::string path = (folder_ / name).string();
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  std::string WriteGzip(const std::string& name, const std::string& text) {
    const std::string path = (folder_ / name).string();
    gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
    return path;
  }
  static std::string ErrorOf(const std::string& path) {
    return std::string(ImportTrace(path).status().message());
  }
  static std::string BytesOf(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  fs::path folder_;
};

std::string Trace(const std::string& events, const std::string& more = "") {
  return absl::StrCat("{\"traceEvents\": [", events, "]", more, "}");
}

std::string Event(const char* category, const std::string& name, int thread, int begin_us,
                  int duration_us, const std::string& args) {
  return absl::StrCat("{\"ph\": \"X\", \"cat\": \"", category, "\", \"name\": \"", name,
                      "\", \"pid\": 1, \"tid\": ", thread, ", \"ts\": ", begin_us,
                      ", \"dur\": ", duration_us, ", \"args\": {", args, "}}");
}

std::string Kernel(const std::string& name, int correlation, int begin_us, int duration_us,
                   int device = 0, const std::string& more = "") {
  return Event("kernel", name, 7, begin_us, duration_us,
               absl::StrCat("\"device\": ", device,
                            ", \"stream\": 7, \"correlation\": ", correlation, more));
}

std::string Launch(int correlation, int thread, int begin_us) {
  return Event("cuda_runtime", "cudaLaunchKernel", thread, begin_us, 1,
               absl::StrCat("\"correlation\": ", correlation));
}

const char* const kMm = R"("Input Dims": [[4, 5], [5, 6]], "Input type": ["float", "float"])";

std::vector<Timeline> ImportOk(const std::string& path) {
  absl::StatusOr<std::vector<Timeline>> result = ImportTrace(path);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : std::vector<Timeline>();
}

TEST_F(ImportInput, PlainAndGzipAreToldByContent) {
  const std::string text = Trace(Kernel("k", 1, 10, 5));
  for (const std::string& path : {Write("a.json", text), Write("b.json.gz", text), Write("c", text),
                                  WriteGzip("d.json.gz", text), WriteGzip("e.json", text)}) {
    const std::vector<Timeline> timelines = ImportOk(path);
    ASSERT_EQ(timelines.size(), 1u) << path;
    ASSERT_EQ(timelines[0].works.size(), 1u);
    EXPECT_EQ(timelines[0].works[0].time.begin_ns, 10000);
    EXPECT_EQ(timelines[0].works[0].time.end_ns, 15000);
    EXPECT_EQ(timelines[0].path, path);
  }
}

TEST_F(ImportInput, GzipMembersInARowAreOneText) {
  const std::string text = Trace(Kernel("k", 1, 10, 5));
  const std::string a = BytesOf(WriteGzip("a.gz", text.substr(0, 20)));
  const std::string b = BytesOf(WriteGzip("b.gz", text.substr(20)));
  EXPECT_EQ(ImportOk(Write("ab.json.gz", a + b + std::string(512, '\0'))).size(), 1u);
}

TEST_F(ImportInput, ErrorsAreOneLineEach) {
  const std::string path = Write("x", "");
  EXPECT_EQ(ErrorOf(path), absl::StrCat(path, ": is empty"));
  EXPECT_NE(ErrorOf((folder_ / "none").string()).find("No such file"), std::string::npos);
  EXPECT_NE(ErrorOf(folder_.string()).find("is a folder"), std::string::npos);
  EXPECT_NE(ErrorOf(Write("x", "no trace")).find("is not JSON"), std::string::npos);
  EXPECT_NE(ErrorOf(Write("x", "{}")).find("no \"traceEvents\""), std::string::npos);
  EXPECT_NE(ErrorOf(WriteGzip("y", "")).find("is empty"), std::string::npos);
  EXPECT_NE(ErrorOf(Write("x", Trace(Launch(1, 1, 1)))).find("ProfilerActivity.CUDA"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Write("x", Trace(""))).find("no GPU events"), std::string::npos);

  std::string events = Kernel("k", 1, 10, 5);
  for (int i = 0; i < 2000; ++i)
    events += ", " + Kernel(absl::StrCat("k", i * 7919 % 2003), i, i, 1);
  const std::string packed = BytesOf(WriteGzip("whole", Trace(events)));
  const std::string half = ErrorOf(Write("x", packed.substr(0, packed.size() / 2)));
  EXPECT_NE(half.find("truncated"), std::string::npos) << half;
  EXPECT_NE(half.find("gzip"), std::string::npos) << half;
  std::string flipped = packed;
  flipped[packed.size() / 2] = static_cast<char>(~flipped[packed.size() / 2]);
  EXPECT_NE(ErrorOf(Write("x", flipped)), "");
  const std::string text = Trace(events);
  EXPECT_NE(ErrorOf(Write("x", text.substr(0, text.size() / 2))).find("the JSON is truncated"),
            std::string::npos);
  if (geteuid() != 0) {
    const std::string secret = Write("secret", text);
    fs::permissions(secret, fs::perms::none);
    EXPECT_NE(ErrorOf(secret).find("Permission denied"), std::string::npos);
  }
  for (const char* name : {"none", "x", "y"}) {
    EXPECT_EQ(ErrorOf((folder_ / name).string()).find('\n'), std::string::npos);
  }
}

// Archives are made by the system's tar, in its own and in POSIX format.
TEST_F(ImportInput, EveryMemberOfAnArchiveIsRead) {
  const std::string long_name(120, 'n');
  Write("in/rank0.json", Trace(Kernel("k", 1, 10, 5), ", \"distributedInfo\": {\"rank\": 0}"));
  Write("in/sub/" + long_name + ".json",
        Trace(Kernel("k", 1, 20, 5), ", \"distributedInfo\": {\"rank\": 1}"));
  Write("in/readme.txt", "not a trace");
  fs::rename(WriteGzip("rank2", Trace(Kernel("k", 1, 30, 5))), folder_ / "in/z.json.gz");
  for (const char* format : {"gnu", "posix", "ustar"}) {
    for (const char* packing : {"", "z"}) {
      SCOPED_TRACE(absl::StrCat(format, " ", packing));
      const std::string path = (folder_ / "ranks.tar").string();
      const std::string command =
          absl::StrCat("tar -C ", folder_.string(), " --sort=name --format=", format, " -c",
                       packing, "f ", path, " in 2>/dev/null");
      if (std::system(command.c_str()) != 0) {
        // ustar splits long names at a slash only: GNU tar may refuse.
        ASSERT_STREQ(format, "ustar");
        continue;
      }
      const std::vector<Timeline> timelines = ImportOk(path);
      ASSERT_EQ(timelines.size(), 3u);
      EXPECT_EQ(timelines[0].path, path + "::in/rank0.json");
      EXPECT_EQ(timelines[0].rank, 0);
      EXPECT_EQ(timelines[1].rank, 1);
      if (std::string(format) == "gnu") {
        EXPECT_EQ(timelines[1].path, path + "::in/sub/" + long_name + ".json");
      }
      EXPECT_EQ(timelines[2].works[0].time.begin_ns, 30000);

      const std::string bytes = BytesOf(path);
      EXPECT_NE(ErrorOf(Write("cut.tar", bytes.substr(0, bytes.size() / 4))), "");
    }
  }
}

TEST_F(ImportInput, AnArchiveWithoutTracesSaysSo) {
  Write("in/readme.txt", "not a trace");
  const std::string path = (folder_ / "a.tar").string();
  ASSERT_EQ(std::system(absl::StrCat("tar -C ", folder_.string(), " -cf ", path, " in").c_str()),
            0);
  EXPECT_NE(ErrorOf(path).find("holds no .json"), std::string::npos);
}

TEST_F(ImportInput, KernelsFindTheOperatorAroundTheirLaunch) {
  const std::vector<Timeline> timelines = ImportOk(Write(
      "t.json",
      Trace(absl::StrCat(
          Event("cpu_op", "aten::linear", 1, 0, 100, ""), ",",
          Event(
              "cpu_op", "aten::addmm", 1, 10, 50,
              R"("Input Dims": [[6], [4, 5], [5, 6]], "Input type": ["float", "float", "float"])"),
          ",",
          // Works through another counted operator: once is enough.
          Event("cpu_op", "aten::mm", 1, 20, 30, kMm), ",",
          Event("cpu_op", "aten::mm", 2, 30, 5, kMm), ",", Launch(1, 1, 25), ",", Launch(2, 1, 55),
          ",", Launch(3, 1, 90), ",", Launch(4, 2, 33), ",", Kernel("sgemm", 1, 200, 5), ",",
          Kernel("splitKreduce", 2, 205, 5), ",", Kernel("relu", 3, 210, 5), ",",
          Kernel("cutlass_80_tensorop_s1688gemm_64x64", 4, 215, 5), ",",
          Kernel("orphan", 99, 220, 5)))));
  ASSERT_EQ(timelines.size(), 1u);
  const Timeline& timeline = timelines[0];
  ASSERT_EQ(timeline.works.size(), 5u);
  ASSERT_EQ(timeline.calls.size(), 2u);
  const Op& addmm = timeline.ops[timeline.calls[0].op];
  EXPECT_EQ(addmm.flop_executed, 2u * 4 * 5 * 6);
  EXPECT_EQ(addmm.rate, shapes::PeakRate::kF32);
  EXPECT_EQ(timeline.calls[0].work, kNoIndex);  // two kernels
  EXPECT_EQ(timeline.works[0].op, timeline.calls[0].op);
  EXPECT_EQ(timeline.works[1].op, timeline.calls[0].op);
  EXPECT_EQ(timeline.works[2].op, kNoIndex);
  EXPECT_EQ(timeline.works[3].op, timeline.calls[1].op);
  EXPECT_EQ(timeline.calls[1].work, 3u);
  EXPECT_EQ(timeline.ops[timeline.calls[1].op].rate, shapes::PeakRate::kTf32);
  EXPECT_EQ(timeline.works[4].op, kNoIndex);
  EXPECT_EQ(timeline.works[4].launch_ns, 0);
  EXPECT_EQ(timeline.works[0].launch_ns, 25000);
  EXPECT_EQ(timeline.kernel_names[timeline.works[2].kernel], "relu");
  EXPECT_EQ(timeline.quality.untimed, 0u);
}

TEST_F(ImportInput, WithoutALaunchTheExternalIdDecides) {
  const std::vector<Timeline> timelines = ImportOk(Write(
      "t.json", Trace(absl::StrCat(Event("cpu_op", "aten::mm", 1, 20, 30,
                                         absl::StrCat("\"External id\": 5, ", kMm)),
                                   ",", Kernel("a", 1, 200, 5, 0, ", \"External id\": 5"), ",",
                                   // PyTorch before 2.0 wrote the correlation here.
                                   Kernel("b", 5, 210, 5, 0, ", \"External id\": 5")))));
  ASSERT_EQ(timelines.size(), 1u);
  EXPECT_NE(timelines[0].works[0].op, kNoIndex);
  EXPECT_EQ(timelines[0].works[1].op, kNoIndex);
}

TEST_F(ImportInput, DevicesAreTimelinesOfTheirOwn) {
  const std::vector<Timeline> timelines = ImportOk(Write(
      "t.json",
      Trace(absl::StrCat(Event("cpu_op", "aten::mm", 1, 20, 5, kMm), ",",
                         Event("cpu_op", "aten::mm", 1, 30, 5, kMm), ",",
                         Event("cpu_op", "aten::mm", 1, 40, 5, kMm), ",", Launch(1, 1, 22), ",",
                         Launch(2, 1, 32), ",", Kernel("a", 1, 200, 5, 3), ",",
                         Kernel("b", 2, 210, 5, 1), ",", Kernel("c", 9, 220, 5, 1)),
            R"(, "deviceProperties": [{"id": 1, "name": "one"}, {"id": 3, "name": "three"}])")));
  ASSERT_EQ(timelines.size(), 2u);
  EXPECT_EQ(timelines[0].device.ordinal, 1);
  EXPECT_EQ(timelines[0].device.name, "one");
  EXPECT_EQ(timelines[0].works.size(), 2u);
  EXPECT_EQ(timelines[1].device.ordinal, 3);
  EXPECT_EQ(timelines[1].device.name, "three");
  // The operator without a kernel stands with the device that has most events.
  EXPECT_EQ(timelines[0].calls.size(), 2u);
  EXPECT_EQ(timelines[0].quality.untimed, 1u);
  EXPECT_EQ(timelines[1].calls.size(), 1u);

  KinetoOptions options;
  options.count_operators_without_kernels = false;
  const auto without = ImportKineto(OpenBytes((folder_ / "t.json").string())->get(), "t", options);
  ASSERT_TRUE(without.ok());
  EXPECT_EQ((*without)[0].calls.size(), 1u);
}

TEST_F(ImportInput, CollectivesAreReadFromTheKernelOrFromTheRangesAroundItsLaunch) {
  const std::string groups =
      R"(, "distributedInfo": {"rank": 2, "world_size": 4, "pg_config": [
          {"pg_name": "0", "pg_desc": "default_pg", "backend_config": "cuda:nccl", "pg_size": 4, "ranks": [0, 1, 2, 3]},
          {"pg_name": "1", "pg_desc": "undefined", "backend_config": "cpu:gloo", "pg_size": 4, "ranks": [0, 1, 2, 3]},
          {"pg_name": "5", "pg_desc": "mesh_tp", "backend_config": "cuda:nccl", "pg_size": 2, "ranks": [2, 3]}]})";
  const std::vector<Timeline> timelines = ImportOk(Write(
      "t.json",
      Trace(
          absl::StrCat(
              Kernel(
                  "ncclDevKernel_AllGather_RING_LL(x)", 1, 100, 5, 0,
                  R"(, "Collective name": "_allgather_base", "In msg nelems": 100, "Out msg nelems": 200,
                          "Group size": 2, "dtype": "BFloat16", "Process Group Name": "5")"),
              ",",
              Event(
                  "cpu_op", "record_param_comms", 1, 10, 20,
                  R"("Process Group Name": "0", "Collective name": "allreduce", "In msg nelems": 50,
                         "Out msg nelems": 50, "Group size": 4, "dtype": "Float")"),
              ",",
              Event("user_annotation", "nccl:all_reduce", 1, 12, 10, R"("Input Dims": [[50]])"),
              ",", Launch(2, 1, 15), ",",
              Kernel("ncclDevKernel_AllReduce_Sum_f32_RING_LL(x)", 2, 110, 5), ",",
              Event("user_annotation", "nccl:all_to_all", 1, 40, 10,
                    R"("Input Dims": [[3, 4]], "Input type": ["long int"])"),
              ",", Launch(3, 1, 45), ",", Kernel("ncclDevKernel_SendRecv(x)", 3, 120, 5), ",",
              Kernel("ncclDevKernel_Broadcast_RING_LL(x)", 4, 130, 5), ",",
              Kernel("void vllm::cross_device_reduce_1stage<half>", 5, 140, 5)),
          groups)));
  ASSERT_EQ(timelines.size(), 1u);
  const Timeline& timeline = timelines[0];
  ASSERT_EQ(timeline.communicators.size(), 4u);
  EXPECT_EQ(timeline.communicators[0].id, "0:0-3");
  EXPECT_EQ(timeline.communicators[0].name, "default_pg");
  EXPECT_EQ(timeline.communicators[0].rank, 2);
  EXPECT_EQ(timeline.communicators[1].id, "5:2,3");
  EXPECT_EQ(timeline.communicators[1].rank, 0);
  EXPECT_EQ(timeline.communicators[2].id, "unknown");
  EXPECT_EQ(timeline.communicators[3].id, "custom");
  ASSERT_EQ(timeline.works.size(), 5u);
  std::vector<uint32_t> found;
  for (const Work& work : timeline.works) {
    EXPECT_EQ(work.work_class, WorkClass::kCommunication);
    found.push_back(work.communicator);
  }
  EXPECT_EQ(found, (std::vector<uint32_t>{1, 0, 2, 2, 3}));
  const auto op = [&](size_t work) { return timeline.ops[timeline.works[work].op]; };
  EXPECT_EQ(op(0).algorithm_bytes, 400u);  // the gathered buffer
  EXPECT_EQ(op(0).bus_bytes, 200u);
  EXPECT_EQ(op(0).dtype, "bf16");
  EXPECT_EQ(op(1).algorithm_bytes, 200u);
  EXPECT_EQ(op(1).bus_bytes, 300u);  // 2 (4 - 1) / 4
  EXPECT_EQ(op(2).label, "alltoall i64 96 B");
  EXPECT_EQ(op(2).algorithm_bytes, 96u);
  EXPECT_EQ(op(2).bus_bytes, std::nullopt);  // nobody says how many ranks
  EXPECT_EQ(op(3).label, "broadcast");
  EXPECT_EQ(op(3).algorithm_bytes, std::nullopt);
  EXPECT_EQ(op(3).provenance, shapes::Provenance::kKernel);
  EXPECT_EQ(timeline.works[4].op, kNoIndex);
}

TEST_F(ImportInput, BackwardConvolutionsSplitTheirKernels) {
  const std::string operands =
      R"("Input Dims": [[2, 8, 4, 4], [2, 3, 4, 4], [8, 3, 3, 3], [], [], [], [], [], [], [], []],
         "Input type": ["c10::Half", "c10::Half", "c10::Half"],
         "Concrete Inputs": ["", "", "", "[0]", "[1, 1]", "[1, 1]", "[1, 1]", "False", "[0, 0]", "1",
                             "[True, True, False]"])";
  const std::vector<Timeline> timelines = ImportOk(Write(
      "t.json", Trace(absl::StrCat(
                    Event("cpu_op", "aten::convolution_backward", 1, 20, 30, operands), ",",
                    Launch(1, 1, 22), ",", Launch(2, 1, 32), ",", Kernel("cudnn_dgrad", 1, 200, 5),
                    ",", Kernel("sm80_xmma_wgrad_implicit_gemm", 2, 210, 5)))));
  ASSERT_EQ(timelines.size(), 1u);
  const Timeline& timeline = timelines[0];
  ASSERT_EQ(timeline.calls.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(timeline.ops[timeline.calls[i].op].flop_executed, 2u * 2 * 8 * 3 * 9 * 16);
    EXPECT_EQ(timeline.calls[i].work, i);
    EXPECT_EQ(timeline.works[i].op, timeline.calls[i].op);
  }
  EXPECT_NE(timeline.ops[timeline.calls[0].op].label, timeline.ops[timeline.calls[1].op].label);
}

TEST_F(ImportInput, AttentionIsCountedOnceAndBothWays) {
  const std::string operands =
      R"("Input Dims": [[2, 4, 8, 16], [2, 4, 8, 16], [2, 4, 8, 16]], "Input type": ["c10::BFloat16"],
         "Concrete Inputs": ["", "", "", "0.", "True", "False", "0.25"])";
  const std::string inner =
      R"("Input Dims": [[2, 8, 4, 16], [2, 8, 4, 16], [2, 8, 4, 16], [], []], "Input type": ["c10::BFloat16"],
         "Concrete Inputs": ["", "", "", "", "", "8", "8", "0.", "True", "False", "0.25"])";
  const std::vector<Timeline> timelines = ImportOk(
      Write("t.json",
            Trace(absl::StrCat(
                Event("cpu_op", "aten::_scaled_dot_product_flash_attention", 1, 20, 30, operands),
                ",", Event("cpu_op", "aten::_flash_attention_forward", 1, 25, 20, inner), ",",
                Launch(1, 1, 30), ",", Kernel("flash_fwd_kernel", 1, 200, 5)))));
  ASSERT_EQ(timelines.size(), 1u);
  ASSERT_EQ(timelines[0].calls.size(), 1u);
  const Op& op = timelines[0].ops[timelines[0].calls[0].op];
  EXPECT_EQ(op.kind, shapes::OpKind::kAttention);
  EXPECT_EQ(op.flop_executed, 2u * 2 * 4 * 36 * 32);
  EXPECT_EQ(op.flop_full_attention, 2u * 2 * 4 * 64 * 32);
  EXPECT_EQ(timelines[0].calls[0].work, 0u);
}

TEST_F(ImportInput, GraphsAndUncountedOperatorsAreSaid) {
  const std::vector<Timeline> timelines = ImportOk(Write(
      "t.json",
      Trace(absl::StrCat(Event("cpu_op", "vllm::unified_attention", 1, 20, 30, kMm), ",",
                         Event("cuda_runtime", "cudaGraphLaunch", 1, 60, 5, "\"correlation\": 1"),
                         ",", Kernel("a", 1, 200, 5), ",", Kernel("b", 1, 210, 5)))));
  ASSERT_EQ(timelines.size(), 1u);
  ASSERT_EQ(timelines[0].quality.notes.size(), 3u);
  EXPECT_NE(timelines[0].quality.notes[0].find("2 kernels were launched by graphs"),
            std::string::npos);
  EXPECT_NE(timelines[0].quality.notes[1].find("does not name the GPU"), std::string::npos);
  EXPECT_NE(timelines[0].quality.notes[2].find("1 calls of vllm::unified_attention"),
            std::string::npos);
  EXPECT_TRUE(timelines[0].has_shapes);
}

TEST_F(ImportInput, WithoutShapesThereAreNoFlops) {
  const std::vector<Timeline> timelines = ImportOk(Write(
      "t.json", Trace(absl::StrCat(Event("cpu_op", "aten::mm", 1, 20, 30, "\"External id\": 1"),
                                   ",", Launch(1, 1, 22), ",", Kernel("a", 1, 200, 5)))));
  ASSERT_EQ(timelines.size(), 1u);
  EXPECT_FALSE(timelines[0].has_shapes);
  EXPECT_TRUE(timelines[0].calls.empty());
  EXPECT_TRUE(timelines[0].has_all_kernels);
}

}  // namespace
}  // namespace mfutrace::report
