// mfutrace shapes --check: its rules on small cases made up here, and every reference file that has
// figures for calls. The reference vectors are not part of the project: where they are missing the
// tests of them are skipped and say so.
#include "cli/shapes_check.h"

#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/verbs.h"

namespace mfutrace::cli {
namespace {

CheckResult Check(const std::string& json) {
  const absl::StatusOr<CheckResult> result = CheckShapes(json, "cases.json");
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *result : CheckResult();
}

std::string Gemm(const std::string& rest) {
  return R"([{"id": "a", "op": "gemm", "args": {"m": 2, "n": 3, "k": 5}, )" + rest + "}]";
}

TEST(ShapesCheck, ComparesFlopsOfAgreeingCases) {
  EXPECT_EQ(Check(Gemm(R"("flops": 60, "agrees_with_recommended": true)")).passed, 1);
  const CheckResult wrong = Check(Gemm(R"("flops": 61, "agrees_with_recommended": true)"));
  EXPECT_EQ(wrong.failed, 1);
  ASSERT_EQ(wrong.lines.size(), 1U);
  EXPECT_EQ(wrong.lines[0], "a: flops: expected 61, got 60");
}

TEST(ShapesCheck, ComparesRecommendedFiguresOfTheOthers) {
  EXPECT_EQ(Check(Gemm(R"("flops": 30, "flops_recommended": 60, "agrees_with_recommended": false)"))
                .passed,
            1);
  for (const char* field : {"flops_recommended", "recommended_model_flops",
                            "recommended_executed_flops", "flops_exact_causal"}) {
    const CheckResult wrong = Check(Gemm("\"flops\": 60, \"" + std::string(field) + "\": 59"));
    EXPECT_EQ(wrong.failed, 1) << field;
  }
  // A recommended figure of a kind that is not known cannot have been checked.
  EXPECT_EQ(Check(Gemm(R"("recommended_joules": 60)")).failed, 1);
}

TEST(ShapesCheck, DisagreeingFlopsAreNotOurs) {
  EXPECT_EQ(Check(Gemm(R"("flops": 30, "agrees_with_recommended": false)")).passed, 1);
  EXPECT_EQ(Check(Gemm(R"("flops": 60, "agrees_with_recommended": false)")).failed, 1);
}

TEST(ShapesCheck, ComparesBytesWhereTheyAgree) {
  const std::string flops = R"("flops": 60, "agrees_with_recommended": true, "bytes": )";
  // 2 x 5 + 5 x 3 + twice 2 x 3 elements of eight bytes.
  EXPECT_EQ(Check(Gemm(flops + "296")).passed, 1);
  EXPECT_EQ(Check(Gemm(flops + "295")).failed, 1);
  EXPECT_EQ(Check(Gemm(flops + R"(295, "bytes_agree": false)")).passed, 1);
}

TEST(ShapesCheck, SkipsOnlyWhatSaysNothing) {
  EXPECT_EQ(Check(Gemm(R"("flops": 1)")).skipped, 1);
  EXPECT_EQ(Check(Gemm(R"("flops": 1, "agrees_with_recommended": null)")).skipped, 1);
  EXPECT_EQ(Check(R"([{"id": "b", "op": "fft", "args": {}, "flops": 1}])").skipped, 1);
  const CheckResult unknown = Check(
      R"([{"id": "b", "op": "fft", "args": {}, "flops": 1, "agrees_with_recommended": true}])");
  EXPECT_EQ(unknown.failed, 1);
  ASSERT_EQ(unknown.lines.size(), 1U);
  EXPECT_EQ(unknown.lines[0], "b: no arithmetic for fft yet");
}

TEST(ShapesCheck, AddsUpCallsAndChecksEach) {
  const auto cases = [](const char* call_flop, const char* sum) {
    return std::string(R"([{"id": "c", "op": "model_train_step", "args": {}, "calls": [)") +
           R"({"op": "gemm", "m": 2, "n": 3, "k": 5, "count": 4, "flops": )" + call_flop +
           R"(}, {"op": "non_gemm", "name": "norm", "flops": 7}], "calls_sum": 247, )" +
           R"("flops": 247, "agrees_with_recommended": false, "recommended_model_flops": )" + sum +
           "}]";
  };
  EXPECT_EQ(Check(cases("240", "240")).passed, 1);
  EXPECT_EQ(Check(cases("239", "240")).failed, 1);
  EXPECT_EQ(Check(cases("240", "247")).failed, 1);
}

TEST(ShapesCheck, TellsWhatIsMissingFromACase) {
  const CheckResult result = Check(
      R"([{"id": "d", "op": "gemm", "args": {"m": 2, "n": -3, "k": 5}, "flops": 60,
          "agrees_with_recommended": true},
         {"op": "attention_fwd", "args": {}, "flops": 60, "agrees_with_recommended": true}, 17])");
  EXPECT_EQ(result.failed, 3);
  ASSERT_EQ(result.lines.size(), 3U);
  EXPECT_EQ(result.lines[0], "d: \"n\" is not a whole number");
  EXPECT_EQ(result.lines[1], "case 2: no \"h_q\"");
  EXPECT_EQ(result.lines[2], "case 3: is not an object");
}

TEST(ShapesCheck, RefusesWhatIsNotAListOfCases) {
  EXPECT_FALSE(CheckShapes("[{", "x.json").ok());
  EXPECT_FALSE(CheckShapes("{}", "x.json").ok());
  EXPECT_NE(CheckShapes("nul", "x.json").status().message().find("x.json"), std::string::npos);
}

// The verb on a file with this text: its exit code and what it printed.
std::pair<int, std::string> RunVerb(const std::string& text) {
  const std::string path = ::testing::TempDir() + "mfutrace_cases.json";
  std::ofstream(path, std::ios::trunc) << text;
  std::vector<std::string> words = {"shapes", "--check", path};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::testing::internal::CaptureStdout();
  const int code = ShapesVerb(static_cast<int>(words.size()), argv.data());
  std::fflush(stdout);
  return {code, ::testing::internal::GetCapturedStdout()};
}

TEST(ShapesVerb, ExitsWithOneForFailuresAndEmptyFilesTwoForUnreadable) {
  const std::string good = Gemm(R"("flops": 60, "agrees_with_recommended": true)");
  EXPECT_EQ(RunVerb(good), std::make_pair(0, std::string("1 passed, 0 failed, 0 skipped\n")));
  const auto [code, text] = RunVerb(Gemm(R"("flops": 61, "agrees_with_recommended": true)"));
  EXPECT_EQ(code, 1);
  EXPECT_EQ(text, "a: flops: expected 61, got 60\n0 passed, 1 failed, 0 skipped\n");
  EXPECT_EQ(RunVerb("").first, 1);
  EXPECT_EQ(RunVerb("[]").first, 1);
  EXPECT_EQ(RunVerb("[{").first, 2);
}

class ReferenceFile : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string path =
        std::string(MFU_SHARED_DIR) + "/vectors/" + GetParam() + std::string(".json");
    std::ifstream file(path);
    if (!file.good()) GTEST_SKIP() << "no reference vectors: " << path << " is missing";
    std::ostringstream text;
    text << file.rdbuf();
    json_ = text.str();
  }
  std::string json_;
};

TEST_P(ReferenceFile, PassesWhole) {
  const CheckResult result = Check(json_);
  for (const std::string& line : result.lines) ADD_FAILURE() << line;
  std::printf("%s: %d passed, %d skipped\n", GetParam(), result.passed, result.skipped);
  EXPECT_GT(result.passed, 0);
}

// Every figure that counts is really compared: one more, and its case fails.
TEST_P(ReferenceFile, FailsWhereAFigureIsOffByOne) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseFullPrecisionFlag>(json_.c_str());
  ASSERT_TRUE(document.IsArray());
  int changed = 0;
  for (rapidjson::Value& entry : document.GetArray()) {
    const auto agrees = entry.FindMember("agrees_with_recommended");
    const bool is_yes =
        agrees != entry.MemberEnd() && agrees->value.IsBool() && agrees->value.GetBool();
    bool is_changed = false;
    for (auto& member : entry.GetObject()) {
      const std::string name = member.name.GetString();
      const bool counts = (name == "flops" && is_yes) || name == "flops_recommended" ||
                          name == "flops_exact_causal" || name == "recommended_model_flops" ||
                          name == "recommended_executed_flops";
      if (!counts || !member.value.IsUint64()) continue;
      member.value.SetUint64(member.value.GetUint64() + 1);
      is_changed = true;
    }
    changed += is_changed ? 1 : 0;
  }
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  document.Accept(writer);
  EXPECT_GT(changed, 0);
  EXPECT_EQ(Check(buffer.GetString()).failed, changed);
}

INSTANTIATE_TEST_SUITE_P(Vectors, ReferenceFile,
                         ::testing::Values("blas", "pytorch_flop_counter", "attention_exact",
                                           "attention_cudnn_frontend", "attention_flash_benchmarks",
                                           "conv_taps", "deepbench_published", "rnn", "nccl",
                                           "models_megatron", "models_vllm", "models_verl_calls"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace mfutrace::cli
