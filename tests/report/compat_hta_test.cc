// HTA's own printed figures for six public traces, and its odd corners on small ones.
#include "report/analyze/compat_hta.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "report/import/import.h"
#include "tests/report/import_reference.h"

namespace mfutrace::report {
namespace {

TEST(CompatHta, GoldenRowsAreReproduced) {
  rapidjson::Document golden;
  if (!LoadReference(TracePath("hta_golden.json"), &golden)) {
    GTEST_SKIP() << "no reference traces under " << MFU_SHARED_DIR << "/traces";
  }
  int rows = 0;
  for (const rapidjson::Value& row : golden["rows"].GetArray()) {
    SCOPED_TRACE(row["file"].GetString());
    absl::StatusOr<std::vector<Timeline>> timelines =
        ImportTrace(TracePath(row["file"].GetString()));
    ASSERT_TRUE(timelines.ok()) << timelines.status();
    ASSERT_EQ(timelines->size(), 1u);
    HtaOptions options;
    options.include_last_step = std::string(row["steps"].GetString()) == "4,5,6";
    const HtaCompat found = ComputeHtaCompat(timelines->front(), options);
    const auto expect = [&](const char* name, int64_t value) {
      if (row.HasMember(name)) {
        EXPECT_EQ(value, row[name].GetInt64()) << name;
      }
    };
    expect("compute_us", found.compute_us);
    expect("comm_us", found.comm_us);
    expect("idle_us", found.idle_us);
    expect("non_compute_us", found.non_compute_us);
    expect("span_us", found.span_us);
    if (row["overlap_us"].IsNull()) {
      EXPECT_FALSE(found.overlap_pct.has_value());
    } else {
      expect("overlap_us", found.overlap_us);
      ASSERT_TRUE(found.overlap_pct.has_value());
      // Printed with two or three decimals.
      EXPECT_NEAR(*found.overlap_pct, row["overlap_pct"].GetDouble(), 0.0051);
    }
    ++rows;
  }
  EXPECT_EQ(rows, 7);
}

Timeline WithKernels(std::vector<std::pair<Interval, std::string>> kernels) {
  Timeline timeline;
  for (auto& [time, name] : kernels) {
    Work work;
    work.time = time;
    work.launch_ns = time.begin_ns - 1;
    work.kernel = static_cast<uint32_t>(timeline.kernel_names.size());
    timeline.kernel_names.push_back(name);
    timeline.works.push_back(work);
  }
  return timeline;
}

TEST(CompatHta, StartsGoUpAndEndsGoDown) {
  const Timeline timeline = WithKernels({{{1001, 5999}, "gemm"}, {{7000, 9001}, "gemm"}});
  const HtaCompat found = ComputeHtaCompat(timeline);
  EXPECT_EQ(found.compute_us, (5 - 2) + (9 - 7));
  EXPECT_EQ(found.span_us, 9 - 2);
  EXPECT_EQ(found.idle_us, 7 - 5);
  EXPECT_EQ(found.non_compute_us, 0);
  EXPECT_EQ(found.steps, "");
}

TEST(CompatHta, AKernelInsideOneMicrosecondCountsMinusOne) {
  const Timeline timeline =
      WithKernels({{{1000, 3000}, "gemm"}, {{5200, 5900}, "gemm"}, {{8000, 9000}, "gemm"}});
  EXPECT_EQ(ComputeHtaCompat(timeline).compute_us, 2 - 1 + 1);
}

// HTA knows NCCL's kernels by how their names begin, and nobody else's.
TEST(CompatHta, KernelsAreClassedByHtasNames) {
  const Timeline timeline = WithKernels({{{0, 10000}, "ncclDevKernel_AllReduce"},
                                         {{20000, 30000}, "void vllm::cross_device_reduce_1stage"},
                                         {{40000, 50000}, "Memcpy HtoD"},
                                         {{60000, 70000}, "Context Sync"}});
  const HtaCompat found = ComputeHtaCompat(timeline);
  EXPECT_EQ(found.comm_us, 10);
  EXPECT_EQ(found.compute_us, 10);
  EXPECT_EQ(found.idle_us, 30);
  EXPECT_EQ(found.non_compute_us, 30);
}

TEST(CompatHta, TheLastStepsLaunchesAreDropped) {
  Timeline timeline =
      WithKernels({{{10000, 20000}, "a"}, {{110000, 120000}, "b"}, {{210000, 220000}, "c"}});
  timeline.steps = {{"ProfilerStep#7", {0, 100000}}, {"ProfilerStep#8", {100000, 200000}}};
  timeline.works[0].launch_ns = 5000;
  timeline.works[1].launch_ns = 99000;   // launched by the first step, run in the second
  timeline.works[2].launch_ns = 100000;  // launched by the second
  EXPECT_EQ(ComputeHtaCompat(timeline).compute_us, 20);
  EXPECT_EQ(ComputeHtaCompat(timeline).steps, "7");
  EXPECT_EQ(ComputeHtaCompat(timeline, {true}).compute_us, 30);
  EXPECT_EQ(ComputeHtaCompat(timeline, {true}).steps, "7-8");

  timeline.works[0].launch_ns = 0;  // unknown: HTA drops it, once there are two steps
  EXPECT_EQ(ComputeHtaCompat(timeline).compute_us, 10);
  timeline.steps.pop_back();
  EXPECT_EQ(ComputeHtaCompat(timeline).compute_us, 30);
}

TEST(CompatHta, NothingAtAllIsZero) {
  const HtaCompat found = ComputeHtaCompat(Timeline());
  EXPECT_EQ(found.span_us, 0);
  EXPECT_FALSE(found.overlap_pct.has_value());
}

}  // namespace
}  // namespace mfutrace::report
