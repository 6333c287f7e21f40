// Every printed form of verdicts and of a diff, held against texts that a person has read
// (tests/golden/gate_*, diff_*); scripts/rebaseline rewrites them.
#include "gate/print.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "gate/diff.h"

namespace mfutrace::gate {
namespace {

constexpr char kGates[] = R"(version = 1
[[gate]]
name = "same work per step"
metric = "flop_per_step"
equals = "baseline"
[[gate]]
name = "no silent fp32"
metric = "flop_share"
where = { dtype = "fp32" }
max = 0.01
[[gate]]
name = "mfu"
metric = "mfu_ratio"
max_drop = "3%"
[[gate]]
name = "hidden communication"
metric = "exposed_comm_ratio"
max_rise = "2pp"
[[gate]]
name = "step | time <of all>"
metric = "step_time_ms"
max = 500
)";

Change Measured(double before, double after, double change, double half) {
  Change measured;
  measured.old_value = before;
  measured.new_value = after;
  measured.change = change;
  measured.low = change - half;
  measured.high = change + half;
  measured.p_drop = change < 0 ? 0.0001 : 0.9;
  measured.p_rise = change > 0 ? 0.004 : 0.9;
  measured.detectable = 0.041;
  measured.old_samples = measured.new_samples = 28;
  measured.block_steps = 10;
  measured.new_outliers = 2;
  measured.has_enough = true;
  return measured;
}

Judgement Verdicts() {
  const absl::StatusOr<GateFile> file = ParseGateFile(kGates, "mfutrace.toml");
  EXPECT_TRUE(file.ok()) << file.status().message();
  Judgement judgement;
  for (const Gate& gate : file->gates) {
    Verdict verdict;
    verdict.gate = gate;
    judgement.verdicts.push_back(verdict);
  }
  std::vector<Verdict>& all = judgement.verdicts;
  const uint64_t flop = 155'400'000'000'000;
  all[0].outcome = Outcome::kPass;
  all[0].exact = all[0].baseline_exact = Exact{flop, flop, flop};
  all[1].outcome = Outcome::kFail;
  all[1].exact = Exact{kShareUnit / 50, kShareUnit / 40, kShareUnit / 40};
  all[1].reason = "above max";
  all[1].cause = "most changed: gemm f32 512x512x512 +8 calls";
  all[2].outcome = Outcome::kFail;
  all[2].change = Measured(0.381, 0.364, -0.0446, 0.006);
  all[2].reason = "dropped by more than max_drop";
  all[2].cause = "step 412.60 -> 432.00 ms: exposed communication +9.60 ms, idle +9.80 ms";
  all[3].outcome = Outcome::kInconclusive;
  all[3].change = Measured(0.096, 0.114, 0.018, 0.009);
  all[3].reason = "not enough evidence";
  all[4].outcome = Outcome::kNoVerdict;
  all[4].reason = "gpu_name is A & B, the baseline's unknown";
  judgement.failed = 2;
  judgement.inconclusive = 1;
  judgement.without_verdict = 1;
  judgement.notes = {"nccl_version: in neither trace nor baseline, not compared"};
  return judgement;
}

Diff Changed() {
  Observation before;
  before.title = "main";
  before.facts = {{"gpu_name", "NVIDIA H100 80GB HBM3"}, {"world_size", "8"}};
  before.steps = 280;
  before.mfu = 0.381;
  before.budget = {
      {"mfu", 157.0e6}, {"below_peak", 96.3e6}, {"exposed", 39.6e6}, {"unattributed", 119.7e6}};
  before.ops = {{"gemm bf16 8192x14336x4096", 64, 88.9e6, 0.1e6},
                {"gemm bf16 8192x4096x4096", 96, 46.0e6, 0.1e6},
                {"allreduce bf16 512 MiB dp", 24, 71.3e6, 0.5e6},
                {"gemm f32 512x512x512", 2, 0.3e6, 0.001e6}};
  before.communicators = {{"dp", 0, 28.0e6, 0.4e6}};
  Observation after = before;
  after.title = "pr-812";
  after.facts["world_size"] = "16";
  after.budget[2].ns_per_step = 49.2e6;
  after.budget[3].ns_per_step = 129.5e6;
  after.ops[1].ns_per_step = 46.2e6;  // within 3.29 standard errors
  after.ops[2] = {"allreduce bf16 512 MiB dp", 24, 80.2e6, 0.5e6};
  after.ops[3] = {"gemm f32 512x512x256", 8, 1.1e6, 0.001e6};
  after.communicators[0].ns_per_step = 37.6e6;
  return Compare(before, after);
}

struct Form {
  const char* name;
  std::string (*print)();
};

const Form kForms[] = {
    {"gate_terminal.txt", [] { return PrintTerminal(Verdicts(), false); }},
    {"gate_markdown.md", [] { return PrintMarkdown(Verdicts()); }},
    {"gate_annotations.txt", [] { return PrintAnnotations(Verdicts(), "perf/mfutrace.toml"); }},
    {"gate_junit.xml", [] { return PrintJunit(Verdicts(), "perf/mfutrace.toml"); }},
    {"gate_json.json", [] { return PrintJson(Verdicts()); }},
    {"gate_bigger.json", [] { return PrintGhaBenchmark(Verdicts(), true); }},
    {"gate_smaller.json", [] { return PrintGhaBenchmark(Verdicts(), false); }},
    {"gate_bmf.json", [] { return PrintBmf(Verdicts()); }},
    {"diff_terminal.txt", [] { return PrintDiff(Changed(), "main", "pr-812", false); }},
    {"diff_markdown.md", [] { return PrintDiffMarkdown(Changed(), "main", "pr-812"); }},
    {"diff_json.json", [] { return PrintDiffJson(Changed()); }},
};

class GateForms : public testing::TestWithParam<Form> {};

TEST_P(GateForms, ReadsAsReviewed) {
  const std::string text = GetParam().print();
  const std::string path = std::string(MFU_SOURCE_DIR) + "/tests/golden/" + GetParam().name;
  if (std::getenv("MFUTRACE_REBASELINE") != nullptr) {
    std::ofstream(path, std::ios::binary) << text;
    GTEST_SKIP() << "rewrote " << path;
  }
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file.is_open()) << path << ": missing; scripts/rebaseline writes it";
  std::ostringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(text, golden.str());
}

INSTANTIATE_TEST_SUITE_P(Print, GateForms, testing::ValuesIn(kForms), [](const auto& instance) {
  std::string name = instance.param.name;
  name.resize(name.find('.'));
  return name;
});

TEST(GatePrint, ColourChangesNoCharacter) {
  std::string text = PrintTerminal(Verdicts(), true);
  EXPECT_NE(text.find('\033'), std::string::npos);
  for (size_t begin; (begin = text.find('\033')) != std::string::npos;) {
    text.erase(begin, text.find('m', begin) - begin + 1);
  }
  EXPECT_EQ(text, PrintTerminal(Verdicts(), false));
}

TEST(GatePrint, AtMostNineAnnotationsAndMarkdownUnder200Kilobytes) {
  Judgement many = Verdicts();
  const Verdict failed = many.verdicts[2];
  many.verdicts.assign(5000, failed);
  const std::string annotations = PrintAnnotations(many, "f");
  EXPECT_EQ(std::count(annotations.begin(), annotations.end(), '\n'), 10);
  EXPECT_NE(annotations.find("and 4991 more gates"), std::string::npos);
  EXPECT_LE(PrintMarkdown(many).size(), 200'100u);
}

}  // namespace
}  // namespace mfutrace::gate
