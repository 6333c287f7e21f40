// Real profiler traces through importer and analyzer, against figures that another program found in
// them (expected.json of the reference traces), to the nanosecond.
#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include "report/analyze/analyze.h"
#include "report/import/kineto.h"
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
  for (const auto& entry : expected["kineto"].GetObject()) {
    const std::string name = entry.name.GetString();
    const rapidjson::Value& truth = entry.value;
    // Archives hold one trace a rank: the import tests cover those.
    if (name.find("::") != std::string::npos) continue;
    if (truth["devices_in_trace"].MemberCount() != 1) continue;
    const absl::StatusOr<std::vector<Timeline>> timelines = ImportKineto(TracePath(name));
    ASSERT_TRUE(timelines.ok()) << timelines.status();
    ASSERT_EQ(timelines->size(), 1u) << name;
    Analyzer analyzer({});
    analyzer.Add(timelines->front());
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

    const uint64_t flop = truth["flops"]["total"].GetUint64();
    if (flop == 0) {
      EXPECT_FALSE(result->run.flop.full_attention.has_value());
      EXPECT_FALSE(result->run.mfu.has_value());
    } else {
      EXPECT_EQ(result->run.flop.full_attention, Flop(flop));
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
  std::printf("compared %u traces and %u steps\n", files, steps);
  EXPECT_GE(files, 10u);
  EXPECT_GE(steps, 20u);
}

}  // namespace
}  // namespace mfutrace::report
