// Steps in sequences whose steps are known: made up here, and real traces with ProfilerStep marks.
#include "report/analyze/steps.h"

#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <random>

#include "report/import/import.h"
#include "tests/report/import_reference.h"

namespace mfutrace::report {
namespace {

std::vector<uint32_t> Repeat(const std::vector<uint32_t>& step, size_t times) {
  std::vector<uint32_t> tokens;
  for (size_t i = 0; i < times; ++i) tokens.insert(tokens.end(), step.begin(), step.end());
  return tokens;
}

// `layers` x 6 GEMMs forward, x 12 backward with a reduction every 10 layers, then a head.
std::vector<uint32_t> TrainingStep(uint32_t layers, uint32_t micro_batches) {
  std::vector<uint32_t> step;
  for (uint32_t micro = 0; micro < micro_batches; ++micro) {
    for (uint32_t layer = 0; layer < layers; ++layer) {
      for (uint32_t i = 0; i < 6; ++i) step.push_back(i);
    }
    step.push_back(100);
    for (uint32_t layer = 0; layer < layers; ++layer) {
      for (uint32_t i = 0; i < 12; ++i) step.push_back(10 + i);
    }
  }
  for (uint32_t i = 0; i < 3; ++i) step.push_back(200);
  step.push_back(201);
  return step;
}

TEST(Period, TrainingStepIsFoundAmongLayersAndMicroBatches) {
  for (const uint32_t layers : {2u, 12u, 80u}) {
    for (const uint32_t micro_batches : {1u, 2u, 8u}) {
      const std::vector<uint32_t> step = TrainingStep(layers, micro_batches);
      for (const size_t times : {3u, 5u, 20u}) {
        const std::optional<Period> period = FindPeriod(Repeat(step, times));
        ASSERT_TRUE(period.has_value()) << layers << " x " << micro_batches;
        EXPECT_EQ(period->lag, step.size()) << layers << " x " << micro_batches << " x " << times;
        EXPECT_DOUBLE_EQ(period->match, 1.0);
      }
    }
  }
}

TEST(Period, LongRunsAreSampledNotMissed) {
  const std::vector<uint32_t> step = TrainingStep(24, 1);
  const std::optional<Period> period = FindPeriod(Repeat(step, 1000));
  ASSERT_TRUE(period.has_value());
  EXPECT_EQ(period->lag, step.size());
}

TEST(Period, DecodeStepOfEqualLayersIsTheWholeModel) {
  // 80 layers of 4 equal GEMMs and one logits GEMM: a layer matches 98 % of positions.
  std::vector<uint32_t> step;
  for (int layer = 0; layer < 80; ++layer) step.insert(step.end(), {1, 2, 3, 4});
  step.push_back(5);
  const std::optional<Period> period = FindPeriod(Repeat(step, 10));
  ASSERT_TRUE(period.has_value());
  EXPECT_EQ(period->lag, 321u);
}

TEST(Period, ManyKindsOfCallsDoNotHideTheOnceAStepOne) {
  std::vector<uint32_t> micro_batch;
  for (uint32_t i = 0; i < 300; ++i) micro_batch.push_back(i);
  std::vector<uint32_t> step = Repeat(micro_batch, 4);
  step.push_back(1000);
  const std::optional<Period> period = FindPeriod(Repeat(step, 6));
  ASSERT_TRUE(period.has_value());
  EXPECT_EQ(period->lag, 1201u);
}

TEST(Period, ACallThatTakesAnothersPlaceOnceAStepIsEnough) {
  // 1199 of 1200 positions match a micro-batch later; the step is told by the last call alone.
  std::vector<uint32_t> micro_batch;
  for (uint32_t i = 0; i < 300; ++i) micro_batch.push_back(i);
  std::vector<uint32_t> step = Repeat(micro_batch, 4);
  step.back() = 1000;
  const std::optional<Period> period = FindPeriod(Repeat(step, 6));
  ASSERT_TRUE(period.has_value());
  EXPECT_EQ(period->lag, 1200u);
}

TEST(Period, WarmUpAndAnEvaluationDoNotHideIt) {
  const std::vector<uint32_t> step = TrainingStep(12, 1);
  std::vector<uint32_t> tokens;
  for (uint32_t i = 0; i < 50; ++i) tokens.push_back(5000 + i);
  for (int i = 0; i < 12; ++i) {
    tokens.insert(tokens.end(), step.begin(), step.end());
    if (i == 6) tokens.insert(tokens.end(), {6000, 6001, 6002});
  }
  const std::optional<Period> period = FindPeriod(tokens);
  ASSERT_TRUE(period.has_value());
  EXPECT_EQ(period->lag, step.size());
  EXPECT_GT(period->match, 0.8);
}

TEST(Period, NothingIsFoundWhereNothingRepeats) {
  EXPECT_FALSE(FindPeriod({}).has_value());
  std::mt19937 random(7);
  std::vector<uint32_t> noise;
  for (int i = 0; i < 5000; ++i) noise.push_back(static_cast<uint32_t>(random() % 50));
  EXPECT_FALSE(FindPeriod(noise).has_value());
  std::vector<uint32_t> distinct;
  for (uint32_t i = 0; i < 1000; ++i) distinct.push_back(i);
  EXPECT_FALSE(FindPeriod(distinct).has_value());
  // A bare loop over one call has no steps that one could tell.
  EXPECT_FALSE(FindPeriod(std::vector<uint32_t>(1000, 3)).has_value());
}

TEST(WarmUp, LeadingSlowStepsAreSkippedOthersAreNot) {
  EXPECT_EQ(FirstSteadyStep(std::vector<int64_t>{900, 300, 101, 100, 99, 100, 101, 100}), 2u);
  EXPECT_EQ(FirstSteadyStep(std::vector<int64_t>{100, 100, 100, 100, 180, 100}), 0u);
  EXPECT_EQ(FirstSteadyStep(std::vector<int64_t>{100, 100}), 0u);
  // Never more than half: a run that only gets faster has no settled part.
  EXPECT_EQ(FirstSteadyStep(std::vector<int64_t>{800, 700, 600, 500, 100, 100}), 3u);
}

// A native timeline of training steps: gemm, gemm, allreduce and a gap in which the optimizer ran.
Timeline NativeSteps(uint32_t steps, bool is_timed) {
  Timeline timeline;
  timeline.has_shapes = true;
  for (int i = 0; i < 4; ++i) {
    Op op;
    op.label = "op" + std::to_string(i);
    op.kind = i == 3 ? shapes::OpKind::kCollective : shapes::OpKind::kGemm;
    if (i != 3) op.flop_executed = op.flop_model = 1000;
    timeline.ops.push_back(op);
  }
  int64_t host_ns = 1'000'000;
  int64_t device_ns = 50;
  const auto call = [&](uint32_t op, int64_t length_ns) {
    OpCall out;
    out.op = op;
    out.host_begin_ns = host_ns;
    out.host_end_ns = host_ns + 5;
    host_ns += 10;
    if (is_timed) {
      out.work = static_cast<uint32_t>(timeline.works.size());
      Work work;
      work.time = {device_ns, device_ns + length_ns};
      work.op = op;
      timeline.works.push_back(work);
    }
    device_ns += length_ns;
    timeline.calls.push_back(out);
  };
  for (uint32_t step = 0; step < steps; ++step) {
    for (int layer = 0; layer < 3; ++layer) {
      call(0, 100);
      call(1, 100);
    }
    call(2, 50);
    call(3, 200);
    device_ns += 400;
    host_ns += 400;
  }
  timeline.host_window = {timeline.calls.front().host_begin_ns, timeline.calls.back().host_end_ns};
  return timeline;
}

TEST(Steps, BeginBehindTheLongestGap) {
  const StepWindows steps = FindSteps(NativeSteps(10, true));
  ASSERT_EQ(steps.windows.size(), 10u);
  EXPECT_FALSE(steps.are_marks);
  for (size_t k = 0; k < steps.windows.size(); ++k) {
    EXPECT_EQ(steps.windows[k].device.begin_ns, 50 + static_cast<int64_t>(k) * 1250);
    // The last one ends with its last call: nothing tells how long its optimizer took.
    const int64_t length_ns = k + 1 < steps.windows.size() ? 1250 : 850;
    EXPECT_EQ(steps.windows[k].device.end_ns - steps.windows[k].device.begin_ns, length_ns);
  }
}

TEST(Steps, AreFoundOnHostTimesWhereThereAreNoOthers) {
  const StepWindows steps = FindSteps(NativeSteps(10, false));
  ASSERT_EQ(steps.windows.size(), 10u);
  EXPECT_EQ(steps.windows[1].device.begin_ns, 1'000'000 + 480);
  EXPECT_EQ(steps.windows[1].launch.begin_ns, 1'000'000 + 480);
}

TEST(Steps, MarksWinAndAreMadeDisjoint) {
  Timeline timeline = NativeSteps(10, true);
  timeline.steps = {{"b", {500, 900}}, {"a", {100, 600}}, {"empty", {950, 950}}};
  const StepWindows steps = FindSteps(timeline);
  ASSERT_EQ(steps.windows.size(), 2u);
  EXPECT_TRUE(steps.are_marks);
  EXPECT_EQ(steps.windows[0].name, "a");
  EXPECT_EQ(steps.windows[0].device.end_ns, 500);
}

TEST(Steps, NothingIsGuessedForImportsWithoutMarks) {
  Timeline timeline = NativeSteps(10, true);
  timeline.source = SourceKind::kKineto;
  EXPECT_TRUE(FindSteps(timeline).windows.empty());
}

// Kernel names in order of begin are a harder sequence than calls of ours: every elementwise kernel
// is in it. The truth is the number of kernels in each ProfilerStep.
TEST(Period, RealTracesHaveThePeriodTheirProfilerStepsSay) {
  rapidjson::Document expected;
  if (!LoadReference(TracePath("expected.json"), &expected)) {
    GTEST_SKIP() << "no reference traces under " << MFU_SHARED_DIR << "/traces";
  }
  const std::map<std::string, std::string> files = {
      {"nccl_data.json.gz", "holistictraceanalysis__nccl_data.json.gz"},
      {"rank0.json.gz", "holistictraceanalysis__negative_queue_rank0.json.gz"},
      {"control.json.gz", "holistictraceanalysis__trace_diff_control.json.gz"},
      {"rank-0.Apr_03_18_51_38.1102.pt.trace.json.gz",
       "holistictraceanalysis__rank-0.Apr_03_18_51_38.1102.pt.trace.json.gz"},
  };
  uint32_t compared = 0;
  for (const auto& entry : expected["step_detection"].GetObject()) {
    const std::string key = entry.name.GetString();
    const auto file = files.find(key.substr(key.rfind('/') + 1));
    if (file == files.end()) continue;
    const absl::StatusOr<std::vector<Timeline>> timelines = ImportTrace(TracePath(file->second));
    ASSERT_TRUE(timelines.ok()) << timelines.status();
    const Timeline* timeline = &timelines->front();
    for (const Timeline& other : *timelines) {
      if (other.works.size() > timeline->works.size()) timeline = &other;
    }
    std::vector<const Work*> kernels;
    for (const Work& work : timeline->works) {
      if (work.work_class != WorkClass::kCopy && work.kernel != kNoIndex) kernels.push_back(&work);
    }
    std::stable_sort(kernels.begin(), kernels.end(), [](const Work* a, const Work* b) {
      return a->time.begin_ns < b->time.begin_ns;
    });
    std::vector<uint32_t> tokens;
    for (const Work* kernel : kernels) tokens.push_back(kernel->kernel);
    const std::optional<Period> period = FindPeriod(tokens);
    ASSERT_TRUE(period.has_value()) << key;
    EXPECT_EQ(period->lag, entry.value["truth_kernels_per_step"][0].GetUint()) << key;
    EXPECT_EQ(period->lag, entry.value["lagmatch"][0].GetUint()) << key;
    ++compared;
  }
  EXPECT_EQ(compared, files.size());
}

}  // namespace
}  // namespace mfutrace::report
