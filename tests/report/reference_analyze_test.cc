// Real profiler traces through importer and analyzer, against figures that another program found in
// them (expected.json of the reference traces), to the nanosecond.
#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include "report/analyze/analyze.h"
#include "report/analyze/mfu.h"
#include "report/import/import.h"
#include "tests/report/import_reference.h"

namespace mfutrace::report {
namespace {

// Sum of several keys of a reference object.
int64_t Ns(const rapidjson::Value& object, const char* key) { return object[key].GetInt64(); }

TEST(ReferenceAnalyze, SplitsStepsAndFlopsAreThoseOfTheReference) {
  rapidjson::Document expected;
  if (!LoadReference(TracePath("expected.json"), &expected)) {
    GTEST_SKIP() << "no reference traces under " << MFU_SHARED_DIR << "/traces";
  }
  uint32_t files = 0;
  uint32_t steps = 0;
  uint32_t mfus = 0;
  for (const auto& entry : expected["kineto"].GetObject()) {
    const std::string name = entry.name.GetString();
    const rapidjson::Value& truth = entry.value;
    if (truth["devices_in_trace"].MemberCount() != 1) continue;
    // Archives hold one trace a rank.
    const absl::StatusOr<std::vector<Timeline>> timelines =
        ImportTrace(TracePath(name.substr(0, name.find("::"))));
    ASSERT_TRUE(timelines.ok()) << timelines.status();
    Analyzer analyzer({});
    int found = 0;
    for (const Timeline& timeline : *timelines) {
      if (timeline.path != TracePath(name)) continue;
      analyzer.Add(timeline);
      ++found;
    }
    ASSERT_EQ(found, 1) << name;
    const absl::StatusOr<RunResult> result = analyzer.Finish();
    ASSERT_TRUE(result.ok()) << result.status();
    SCOPED_TRACE(name);
    ++files;

    const rapidjson::Value& whole = truth["whole"];
    const TimeSplit& split = result->run.split;
    EXPECT_EQ(split.window_ns, Ns(whole, "window_ns"));
    EXPECT_EQ(split.compute_ns, Ns(whole, "compute_union_ns"));
    EXPECT_EQ(split.comm_ns, Ns(whole, "comm_union_ns"));
    EXPECT_EQ(split.compute_only_ns, Ns(whole, "compute_only_ns"));
    EXPECT_EQ(split.overlapped_ns, Ns(whole, "overlap_compute_comm_ns"));
    EXPECT_EQ(split.exposed_ns, Ns(whole, "exposed_comm_ns"));
    EXPECT_EQ(split.mem_only_ns, Ns(whole, "mem_only_ns"));
    EXPECT_EQ(split.idle_ns, Ns(whole, "idle_ns"));
    EXPECT_FALSE(split.unattributed_ns.has_value());

    int64_t exposed_ns = 0;
    for (const CommunicatorResult& communicator : result->communicators) {
      exposed_ns += communicator.exposed_ns.value_or(0);
    }
    EXPECT_EQ(exposed_ns, split.exposed_ns);
    for (const rapidjson::Value& group : truth["communicators"].GetArray()) {
      const std::string id = group["pg"].GetString();
      const CommunicatorResult* row = nullptr;
      for (const CommunicatorResult& communicator : result->communicators) {
        const std::string own = communicator.id.substr(0, communicator.id.find(':'));
        if (own == (id == "None" ? "unknown" : id)) row = &communicator;
      }
      ASSERT_NE(row, nullptr) << id;
      EXPECT_EQ(row->time_ns, Ns(group, "union_ns"));
      EXPECT_EQ(row->exposed_touch_ns, Ns(group, "exposed_ns"));
    }

    const uint64_t flop = truth["flops"]["total"].GetUint64();
    if (flop == 0) {
      EXPECT_FALSE(result->run.flop.full_attention.has_value());
      EXPECT_FALSE(result->run.mfu.has_value());
    } else {
      EXPECT_EQ(result->run.flop.full_attention, Flop(flop));
      // MFU as the reference has it: all FLOPs over the 16-bit peak of the GPU.
      const rapidjson::Value& mfu = truth["mfu"];
      const auto tflop = static_cast<double>(flop) / 1e12;
      const double tflop_per_s = tflop / (static_cast<double>(split.window_ns) / 1e9);
      if (mfu.HasMember("achieved_tflops_over_window")) {
        EXPECT_NEAR(tflop_per_s, mfu["achieved_tflops_over_window"].GetDouble(), 1e-9);
        EXPECT_NEAR(tflop / (static_cast<double>(*split.compute_ns) / 1e9),
                    mfu["achieved_tflops_over_compute_union"].GetDouble(), 1e-9);
      }
      const std::optional<Peak> peak = PeakTable({}, {}).Find(result->gpu, shapes::PeakRate::kF16);
      if (peak.has_value() && mfu.HasMember("peak_16bit_dense_tflops")) {
        const double peak_tflop_per_s = static_cast<double>(peak->flop_per_s) / 1e12;
        EXPECT_NEAR(peak_tflop_per_s, mfu["peak_16bit_dense_tflops"].GetDouble(), 1e-9);
        EXPECT_NEAR(tflop_per_s / peak_tflop_per_s * 100,
                    mfu["mfu_pct_of_16bit_dense_peak_over_window"].GetDouble(), 1e-9);
        ++mfus;
      }
    }

    if (truth["steps_cpu"].Empty()) continue;
    EXPECT_EQ(result->steps_found_by, "marks");
    ASSERT_EQ(result->steps.size(), truth["steps_cpu"].Size());
    for (rapidjson::SizeType k = 0; k < truth["steps_cpu"].Size(); ++k) {
      const rapidjson::Value& step_truth = truth["steps_cpu"][k];
      const StepResult& step = result->steps[k];
      EXPECT_EQ(step.name, step_truth["name"].GetString());
      EXPECT_EQ(step.split.window_ns, Ns(step_truth, "dur_ns"));
      EXPECT_EQ(step.split.compute_ns, Ns(step_truth, "compute_union_ns"));
      EXPECT_EQ(step.split.comm_ns, Ns(step_truth, "comm_union_ns"));
      EXPECT_EQ(step.split.overlapped_ns, Ns(step_truth, "overlap_compute_comm_ns"));
      EXPECT_EQ(step.split.exposed_ns, Ns(step_truth, "exposed_comm_ns"));
      EXPECT_EQ(step.split.idle_ns, Ns(step_truth, "idle_ns"));
      ++steps;
    }
  }
  std::printf("compared %u traces, %u steps and %u MFUs\n", files, steps, mfus);
  EXPECT_GE(files, 18u);
  EXPECT_GE(steps, 28u);
  EXPECT_GE(mfus, 13u);
}

}  // namespace
}  // namespace mfutrace::report
