// mfutrace estimate: --check on the reference files of every convention and on files made wrong on
// purpose, and what the verb prints and refuses. The reference vectors are not part of the project:
// where they are missing the tests of them are skipped and say so.
#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/estimate_case.h"
#include "cli/shapes_check.h"
#include "cli/verbs.h"

namespace mfutrace::cli {
namespace {

CheckResult Check(const std::string& json) {
  const absl::StatusOr<CheckResult> result = CheckShapes(json, "cases.json", CheckModelCase);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *result : CheckResult();
}

std::string AsText(const rapidjson::Value& value) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  return buffer.GetString();
}

class ConventionFile : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string path =
        std::string(MFU_SHARED_DIR) + "/vectors/" + GetParam() + std::string(".json");
    std::ifstream file(path);
    if (!file.good()) GTEST_SKIP() << "no reference vectors: " << path << " is missing";
    std::ostringstream text;
    text << file.rdbuf();
    text_ = text.str();
  }
  std::string text_;
};

TEST_P(ConventionFile, EveryCaseIsReproduced) {
  const CheckResult result = Check(text_);
  for (const std::string& line : result.lines) ADD_FAILURE() << line;
  EXPECT_GT(result.passed, 0);
  EXPECT_EQ(result.skipped, 0);
}

// Whatever a case states must have been compared: changed by one part in a hundred it fails.
TEST_P(ConventionFile, EveryCaseFailsWithAnotherFigure) {
  rapidjson::Document document;
  document.Parse(text_.c_str());
  ASSERT_TRUE(document.IsArray());
  for (rapidjson::Value& entry : document.GetArray()) {
    // Where only a band around the figure is asserted, the figure is that band's middle.
    const bool is_band =
        entry.HasMember("asserted") && entry["asserted"].GetDouble() == entry["flops"].GetDouble();
    if (is_band) entry["asserted"].SetDouble(entry["asserted"].GetDouble() * 1.2);
    entry["flops"].SetDouble(entry["flops"].GetDouble() * (is_band ? 1.2 : 1.01) + 1);
    if (!is_band) entry["flops"].SetUint64(static_cast<uint64_t>(entry["flops"].GetDouble()));
  }
  const CheckResult result = Check(AsText(document));
  EXPECT_EQ(result.passed, 0);
  EXPECT_EQ(result.failed, static_cast<int>(document.Size()));
}

INSTANTIATE_TEST_SUITE_P(References, ConventionFile,
                         ::testing::Values("models_megatron", "models_vllm", "models_verl",
                                           "models_verl_calls", "models_maxtext", "models_6n",
                                           "models_nemo_rl", "published_mfu"),
                         [](const auto& test) { return std::string(test.param); });

std::string Megatron(const std::string& rest) {
  return R"([{"id": "m", "op": "model_train_step", "source": "NVIDIA/Megatron-LM x", "args":
      {"num_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "seq_length": 8,
       "padded_vocab_size": 100, "ffn_hidden_size": 256, "kv_channels": 16, "global_batch": 1}, )" +
         rest + "}]";
}

// 3 x 2 x 8 tokens x (2 layers x (4 x 64 x 64 + 2 x 64 x 256) + 64 x 100), and 3 x 2 x 64 x 64 of
// half squares times two layers.
constexpr char kMegatronFlop[] = "5074944";

TEST(EstimateCheck, ComparesAlsoWhatShapesMaySkip) {
  EXPECT_EQ(Check(Megatron(std::string(R"("flops": )") + kMegatronFlop)).passed, 1);
  const CheckResult wrong = Check(Megatron(R"("flops": 1)"));
  ASSERT_EQ(wrong.lines.size(), 1U);
  EXPECT_EQ(wrong.lines[0], std::string("m: flops: expected 1, got ") + kMegatronFlop);
}

TEST(EstimateCheck, SkipsOrFailsWhatItDoesNotKnow) {
  const std::string unknown = R"([{"id": "u", "op": "model_train_step", "source": "somebody",
      "args": {}, "flops": 1)";
  EXPECT_EQ(Check(unknown + "}]").skipped, 1);
  const CheckResult failed = Check(unknown + R"(, "agrees_with_recommended": false}])");
  ASSERT_EQ(failed.lines.size(), 1U);
  EXPECT_EQ(failed.lines[0], "u: no arithmetic for its model");
}

TEST(EstimateCheck, TellsWhatACaseLacks) {
  const CheckResult result = Check(R"([{"id": "v", "op": "model_infer_step",
      "source": "vllm-project/vllm", "args": {"requests": [[1, 8, false]], "L": "x"},
      "flops": 1}])");
  ASSERT_EQ(result.lines.size(), 1U);
  EXPECT_NE(result.lines[0].find("v: "), std::string::npos);
  EXPECT_NE(result.lines[0].find("\"L\""), std::string::npos);
}

TEST(EstimateCheck, TakesCasesOfCallsToo) {
  EXPECT_EQ(Check(R"([{"id": "g", "op": "gemm", "args": {"m": 2, "n": 3, "k": 5}, "flops": 60,
      "agrees_with_recommended": true}])")
                .passed,
            1);
}

struct Ran {
  int code;
  std::string out;
  std::string err;
};

Ran RunVerb(std::vector<std::string> words) {
  words.insert(words.begin(), "estimate");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int code = EstimateVerb(static_cast<int>(words.size()), argv.data());
  std::fflush(stdout);
  return {code, ::testing::internal::GetCapturedStdout(), ::testing::internal::GetCapturedStderr()};
}

std::string File(const std::string& name, const std::string& text) {
  const std::string path = ::testing::TempDir() + name;
  std::ofstream(path, std::ios::trunc) << text;
  return path;
}

constexpr char kLlama[] =
    R"({"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
        "vocab_size": 128256, "tie_word_embeddings": false})";

TEST(EstimateVerb, PrintsConventionsAndComponents) {
  const std::string path = File("mfutrace_llama.json", kLlama);
  const Ran ran = RunVerb({path, "--batch", "1", "--seq", "8192"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  for (const char* text : {"421.652", "430.449", "394.703", "421.646", "474.435", "500.257",
                           "447.467", "logits", "8.03 B parameters"}) {
    EXPECT_NE(ran.out.find(text), std::string::npos) << text << " not in\n" << ran.out;
  }
}

TEST(EstimateVerb, JsonHasWholeNumbersAndNulls) {
  const std::string path = File("mfutrace_llama.json", kLlama);
  const Ran ran = RunVerb({path, "--tokens-per-step", "8192", "--json", "-"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  rapidjson::Document document;
  document.Parse(ran.out.c_str());
  ASSERT_TRUE(document.IsObject()) << ran.out;
  EXPECT_EQ(document["model"]["parameters"].GetUint64(), 8'030'261'248U);
  EXPECT_TRUE(document["exact"]["flop_model"].IsNull());
  EXPECT_STREQ(document["exact"]["missing"].GetString(), "sequence length");
  EXPECT_EQ(document["conventions"][0]["flop"].GetUint64(), 6U * 8'030'261'248U * 8192U);
}

TEST(EstimateVerb, CheckExitsAsShapesDoes) {
  const std::string good = File("mfutrace_case.json", Megatron(R"("flops": 5074944)"));
  const Ran passed = RunVerb({"--check", good});
  EXPECT_EQ(passed.code, 0);
  EXPECT_EQ(passed.out, "1 passed, 0 failed, 0 skipped\n");
  const Ran failed = RunVerb({"--check", File("mfutrace_case.json", Megatron(R"("flops": 2)"))});
  EXPECT_EQ(failed.code, 1);
  EXPECT_EQ(failed.out, "m: flops: expected 2, got 5074944\n0 passed, 1 failed, 0 skipped\n");
  EXPECT_EQ(RunVerb({"--check", File("mfutrace_case.json", "[]")}).code, 1);
  EXPECT_EQ(RunVerb({"--check", File("mfutrace_case.json", "{")}).code, 2);
}

TEST(EstimateVerb, RefusesWithOneLine) {
  const std::string path = File("mfutrace_llama.json", kLlama);
  const auto refuses = [](const std::vector<std::string>& words, const std::string& part) {
    const Ran ran = RunVerb(words);
    EXPECT_EQ(ran.code, 2);
    EXPECT_EQ(ran.out, "");
    EXPECT_EQ(ran.err.rfind("mfutrace: ", 0), 0U) << ran.err;
    EXPECT_NE(ran.err.find(part), std::string::npos) << ran.err;
  };
  refuses({}, "which model");
  refuses({path}, "--batch");
  refuses({path, "--batch", "4"}, "--seq");
  refuses({path, "--batch", "0", "--seq", "8"}, "above 0");
  refuses({path, "--batch", "18446744073709551615", "--seq", "8"}, "2^44");
  refuses({path, "--batch", "1", "--seq", "8", "--convention", "megatrn"},
          "did you mean megatron?");
  refuses({"/nowhere/config.json", "--batch", "1", "--seq", "8"}, "/nowhere/config.json");
  refuses({File("mfutrace_bad.json", R"({"hidden_size": "x"})"), "--batch", "1", "--seq", "8"},
          "hidden_size");
}

}  // namespace
}  // namespace mfutrace::cli
