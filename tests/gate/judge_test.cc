// Verdicts on observations made by hand: outcomes, guards and exit codes.
#include "gate/judge.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "gate/print_text.h"

namespace mfutrace::gate {
namespace {

constexpr char kGates[] = R"(version = 1
[[gate]]
name = "work"
metric = "flop_per_step"
equals = "baseline"
[[gate]]
name = "mfu"
metric = "mfu_ratio"
max_drop = "3%"
)";

GateFile File(const std::string& text = kGates) {
  absl::StatusOr<GateFile> file = ParseGateFile(text, "mfutrace.toml");
  EXPECT_TRUE(file.ok()) << file.status().message();
  return *file;
}

// 100 independent steps of an MFU about `mfu`, 1 % noise, the same in every run.
Observation RunOf(double mfu, uint64_t flop = 1000) {
  Observation run;
  run.title = "run";
  run.facts = {{"gpu_name", "GPU"}, {"world_size", "2"}, {"devices", "2"}, {"timing", "events"}};
  run.steps = 100;
  run.clear_steps = 100;
  run.exact["flop_per_step"] = {flop, flop, flop};
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  for (int i = 0; i < 100; ++i) {
    run.samples["mfu_ratio"].push_back(mfu * (1 + 0.01 * normal(random)));
  }
  run.mfu = mfu;
  run.budget = {{"mfu", 150e6}, {"exposed", 150e6 / mfu - 150e6}};
  return run;
}

std::string Outcomes(const Judgement& judgement) {
  std::string text;
  for (const Verdict& verdict : judgement.verdicts) {
    text += (text.empty() ? "" : " ") + OutcomeWord(verdict.outcome);
  }
  return text + " " + std::to_string(ExitCodeOf(judgement));
}

TEST(Judge, TheSameIsAPass) {
  EXPECT_EQ(Outcomes(Judge(File(), {RunOf(0.4)}, {RunOf(0.4)}, "")), "ok ok 0");
}

TEST(Judge, OneFlopMoreFailsAnExactGate) {
  const Judgement judgement = Judge(File(), {RunOf(0.4, 1001)}, {RunOf(0.4)}, "");
  EXPECT_EQ(Outcomes(judgement), "FAIL ok 1");
  EXPECT_EQ(judgement.verdicts[0].reason, "differs from the baseline");
}

TEST(Judge, AStepThatDiffersFailsAnExactGate) {
  Observation run = RunOf(0.4);
  run.exact["flop_per_step"].most = 1200;
  EXPECT_EQ(Outcomes(Judge(File(), {run}, {RunOf(0.4)}, "")), "FAIL ok 1");
}

TEST(Judge, ADropFailsAndNamesItsCause) {
  const Judgement judgement = Judge(File(), {RunOf(0.36)}, {RunOf(0.4)}, "");
  EXPECT_EQ(Outcomes(judgement), "ok FAIL 1");
  // 150 ms at the peak: a step of 375 ms became one of 416.67 ms.
  EXPECT_EQ(judgement.verdicts[1].cause,
            "step 375.00 -> 416.67 ms: exposed communication +41.67 ms");
}

TEST(Judge, ARiseOfMfuIsNoDrop) {
  EXPECT_EQ(Outcomes(Judge(File(), {RunOf(0.5)}, {RunOf(0.4)}, "")), "ok ok 0");
}

TEST(Judge, AChangeAtTheLimitIsInconclusive) {
  GateFile file = File();
  const Judgement judgement = Judge(file, {RunOf(0.4 * 0.9705)}, {RunOf(0.4)}, "");
  EXPECT_EQ(Outcomes(judgement), "ok noisy 0");
  EXPECT_NE(ReasonText(judgement.verdicts[1]).find("the smallest drop these steps could show"),
            std::string::npos);
  file.gates[1].on_inconclusive = OnInconclusive::kFail;
  EXPECT_EQ(Outcomes(Judge(file, {RunOf(0.4 * 0.9705)}, {RunOf(0.4)}, "")), "ok noisy 1");
  file.gates[1].on_inconclusive = OnInconclusive::kPass;
  EXPECT_EQ(Outcomes(Judge(file, {RunOf(0.4 * 0.9705)}, {RunOf(0.4)}, "")), "ok ok 0");
}

TEST(Judge, WithoutABaselineThereIsNoVerdict) {
  EXPECT_EQ(Outcomes(Judge(File(), {RunOf(0.4)}, {}, "no baseline")), "none none 3");
  EXPECT_EQ(Outcomes(Judge(File(), {}, {RunOf(0.4)}, "")), "none none 3");
}

TEST(Judge, OtherHardwareHasNoVerdictOnTimesButOnWork) {
  Observation run = RunOf(0.4);
  run.facts["gpu_name"] = "another GPU";
  const Judgement judgement = Judge(File(), {run}, {RunOf(0.4)}, "");
  EXPECT_EQ(Outcomes(judgement), "ok none 3");
  EXPECT_EQ(judgement.verdicts[1].reason, "gpu_name is another GPU, the baseline's GPU");
  run.facts.erase("gpu_name");
  EXPECT_EQ(Outcomes(Judge(File(), {run}, {RunOf(0.4)}, "")), "ok none 3");
}

TEST(Judge, AnotherWorldSizeHasNoVerdictAtAll) {
  Observation run = RunOf(0.4);
  run.facts["world_size"] = "1";
  EXPECT_EQ(Outcomes(Judge(File(), {run}, {RunOf(0.4)}, "")), "none none 3");
}

TEST(Judge, AMissingRankHasNoVerdictAtAll) {
  Observation run = RunOf(0.4);
  run.facts["devices"] = "1";
  EXPECT_EQ(Outcomes(Judge(File(), {run}, {RunOf(0.4)}, "")), "none none 3");
}

TEST(Judge, GuardsOfTimes) {
  const auto outcome = [](Observation run, Observation before) {
    return Outcomes(Judge(File(), {std::move(run)}, {std::move(before)}, ""));
  };
  Observation dropped = RunOf(0.4);
  dropped.dropped = 1;
  EXPECT_EQ(outcome(dropped, RunOf(0.4)), "ok none 3");
  EXPECT_EQ(outcome(RunOf(0.4), dropped), "ok none 3");
  Observation slow = RunOf(0.4);
  slow.sm_clock_mhz = 1700;
  Observation fast = RunOf(0.4);
  fast.sm_clock_mhz = 1800;
  EXPECT_EQ(outcome(slow, fast), "ok none 3");
  fast.sm_clock_mhz = 1710;
  EXPECT_EQ(outcome(slow, fast), "ok ok 0");
  Observation covered = RunOf(0.4);
  covered.covered_share = 0.9;
  EXPECT_EQ(outcome(covered, RunOf(0.4)), "ok none 3");
  Observation other = covered;
  other.covered_share = 0.93;
  EXPECT_EQ(outcome(covered, other), "ok none 3");
  Observation few = RunOf(0.4);
  few.steps = 30;
  EXPECT_EQ(outcome(few, RunOf(0.4)), "ok none 3");
  Observation damaged = RunOf(0.4);
  damaged.damaged_files = 1;
  EXPECT_EQ(outcome(damaged, RunOf(0.4)), "none none 3");
}

TEST(Judge, WhatARunCannotKnowHasNoVerdict) {
  Observation run = RunOf(0.4);
  run.samples.clear();
  run.missing["mfu_ratio"] = "no peak is known of \"GPU\"";
  const Judgement judgement = Judge(File(), {run}, {RunOf(0.4)}, "");
  EXPECT_EQ(Outcomes(judgement), "ok none 3");
  EXPECT_EQ(judgement.verdicts[1].reason, "no peak is known of \"GPU\"");
}

TEST(Judge, AFailureOutweighsAMissingVerdict) {
  Observation run = RunOf(0.4, 999);
  run.facts["gpu_name"] = "another GPU";
  EXPECT_EQ(Outcomes(Judge(File(), {run}, {RunOf(0.4)}, "")), "FAIL none 1");
}

TEST(Judge, AbsoluteLimits) {
  const auto outcome = [](const std::string& limit) {
    const GateFile file = File("version = 1\n[[gate]]\nmetric = \"mfu_ratio\"\n" + limit);
    return Outcomes(Judge(file, {RunOf(0.4)}, {}, "no baseline"));
  };
  EXPECT_EQ(outcome("min = 0.35\n"), "ok 0");
  EXPECT_EQ(outcome("min = \"45%\"\n"), "FAIL 1");
  EXPECT_EQ(outcome("min = 0.4\n"), "noisy 0");
  EXPECT_EQ(outcome("max = 0.35\n"), "FAIL 1");
}

TEST(Judge, ExactLimits) {
  const auto outcome = [](const std::string& limit) {
    const GateFile file = File("version = 1\n[[gate]]\nmetric = \"flop_per_step\"\n" + limit);
    return Outcomes(Judge(file, {RunOf(0.4, 1010)}, {RunOf(0.4)}, ""));
  };
  EXPECT_EQ(outcome("max_rise = \"1%\"\n"), "ok 0");
  EXPECT_EQ(outcome("max_rise = \"0.9%\"\n"), "FAIL 1");
  EXPECT_EQ(outcome("equals = 1010\n"), "ok 0");
  EXPECT_EQ(outcome("equals = 1011\n"), "FAIL 1");
  EXPECT_EQ(outcome("min = 1011\n"), "FAIL 1");
  EXPECT_EQ(outcome("max = 1010\n"), "ok 0");
}

}  // namespace
}  // namespace mfutrace::gate
