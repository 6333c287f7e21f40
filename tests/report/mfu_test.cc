// Utilization against published runs and arithmetic done by hand.
#include "report/analyze/mfu.h"

#include <gtest/gtest.h>

namespace mfutrace::report {
namespace {

using shapes::PeakRate;

constexpr char kA100[] = "NVIDIA A100-SXM4-80GB";
constexpr char kH100[] = "NVIDIA H100 80GB HBM3";

FlopSums Sums(PeakRate rate, Flop executed, Flop model) {
  FlopSums sums = NoFlop(true);
  sums.executed = executed;
  sums.model = model;
  sums.executed_by_rate[rate] = executed;
  sums.model_by_rate[rate] = model;
  return sums;
}

struct PublishedRun {
  const char* name;
  uint64_t model_flop;     // of one iteration on one GPU
  uint64_t executed_flop;  // with selective recompute
  uint32_t gpus;
  double iteration_s;  // measured
  double mfu_percent;  // as published, to 0.1
  double hfu_percent;
};

// Korthikanti et al. 2022 (arXiv 2205.05198), Table 5: measured iteration times, MFU and HFU on
// A100; FLOPs by equations 7 and 8 of its appendix A for the models of its Table 3.
constexpr PublishedRun kPublished[] = {
    {"22B", 1143560812363776 / 8, 1202934440263680 / 8, 8, 1.10, 41.5, 43.7},
    {"530B", 1852230416203776000 / 280, 1882535705444352000 / 280, 280, 37.83, 56.0, 57.0},
    {"1T", 6425875806211276800 / 512, 6510318299224473600 / 512, 512, 71.49, 56.3, 57.0},
};

TEST(Mfu, PublishedMegatronRunsComeOutAsPublished) {
  const PeakTable peaks({}, {});
  for (const PublishedRun& run : kPublished) {
    const FlopSums share = Sums(PeakRate::kBf16, Flop(run.executed_flop), Flop(run.model_flop));
    const std::vector<DeviceWindow> devices(
        run.gpus, {kA100, static_cast<int64_t>(run.iteration_s * 1e9), &share});
    WindowSummary summary;
    std::vector<std::string> notes;
    Utilize(devices, peaks, summary, notes);
    ASSERT_TRUE(summary.mfu.has_value()) << run.name;
    // The iteration time of the smallest has two digits, hence the width.
    EXPECT_NEAR(*summary.mfu * 100, run.mfu_percent, 0.2) << run.name;
    EXPECT_NEAR(*summary.hfu * 100, run.hfu_percent, 0.2) << run.name;
    EXPECT_TRUE(notes.empty());
    EXPECT_EQ(summary.peak_flop_per_s, 312'000'000'000'000u);
  }
}

TEST(Mfu, PublishedMptRunComesOutAsPublished) {
  // llm-foundry, scripts/train/benchmarking/README.md: MPT-30b, 512 H100, sequence 2048, 1083366
  // tokens/s, MFU 40.27 % against 989.5 TFLOP/s. FLOPs of one sequence as its benchmark counts
  // them.
  const uint64_t sequences = 1'000'000;
  const double seconds = 1e6 * 2048 / 1083366.0;
  const FlopSums share = Sums(PeakRate::kBf16, Flop(385'652'738'752'512u) * sequences / 512,
                              Flop(385'652'738'752'512u) * sequences / 512);
  const std::vector<DeviceWindow> devices(512,
                                          {kH100, static_cast<int64_t>(seconds * 1e9), &share});
  WindowSummary summary;
  std::vector<std::string> notes;
  Utilize(devices, PeakTable({{PeakRate::kBf16, 989'500'000'000'000u}}, {}), summary, notes);
  EXPECT_NEAR(summary.mfu.value_or(-1) * 100, 40.27, 0.01);
  EXPECT_EQ(summary.peak_source, "--peak");
}

TEST(Mfu, GpuThatDoesItsPeakForHalfTheWindowIsAtHalf) {
  // 989.4 TFLOP/s dense bf16 (NVIDIA H100 SXM data sheet) x 0.5 s in a window of 1 s.
  const FlopSums flop =
      Sums(PeakRate::kBf16, Flop(494'700'000'000'000u), Flop(247'350'000'000'000u));
  const std::vector<DeviceWindow> devices = {{kH100, 1'000'000'000, &flop}};
  WindowSummary summary;
  std::vector<std::string> notes;
  Utilize(devices, PeakTable({}, {}), summary, notes);
  EXPECT_NEAR(summary.hfu.value_or(-1), 0.5, 1e-9);
  EXPECT_NEAR(summary.mfu.value_or(-1), 0.25, 1e-9);
}

TEST(Mfu, FormatsAddTheirOwnUtilizations) {
  // A quarter of the window at the bf16 peak (989.4e12) and a quarter at the f8 peak (1978.9e12).
  FlopSums flop = NoFlop(true);
  flop.executed_by_rate = {{PeakRate::kBf16, Flop(247'350'000'000'000u)},
                           {PeakRate::kF8, Flop(494'725'000'000'000u)}};
  flop.model_by_rate = flop.executed_by_rate;
  flop.executed = flop.model = Flop(742'075'000'000'000u);
  const std::vector<DeviceWindow> devices = {{kH100, 1'000'000'000, &flop}};
  WindowSummary summary;
  std::vector<std::string> notes;
  Utilize(devices, PeakTable({}, {}), summary, notes);
  EXPECT_NEAR(summary.mfu.value_or(-1), 0.5, 1e-4);
  // Most FLOPs are f8: the single-peak figure takes that peak for all.
  EXPECT_EQ(summary.peak_rate, PeakRate::kF8);
  EXPECT_NEAR(summary.mfu_single_peak.value_or(-1), 742.075 / 1978.9, 1e-4);
}

TEST(Mfu, DifferentDevicesWeighTheirWindowsByTheirPeaks) {
  const FlopSums fast =
      Sums(PeakRate::kBf16, Flop(500'000'000'000'000u), Flop(500'000'000'000'000u));
  const FlopSums slow =
      Sums(PeakRate::kBf16, Flop(100'000'000'000'000u), Flop(100'000'000'000'000u));
  const std::vector<DeviceWindow> devices = {{kH100, 1'000'000'000, &fast},
                                             {kA100, 2'000'000'000, &slow}};
  WindowSummary summary;
  std::vector<std::string> notes;
  Utilize(devices, PeakTable({}, {}), summary, notes);
  EXPECT_NEAR(summary.mfu.value_or(-1), 600.0 / (989.4 + 2 * 312.0), 1e-9);
  EXPECT_EQ(summary.window_ns, 3'000'000'000);
  EXPECT_FALSE(summary.peak_flop_per_s.has_value());
}

TEST(Mfu, UnknownGpuGivesNoMfuAndSaysHow) {
  const FlopSums flop = Sums(PeakRate::kBf16, Flop(1'000'000), Flop(1'000'000));
  const std::vector<DeviceWindow> devices = {{"NVIDIA H20-3e", 1000, &flop}};
  WindowSummary summary;
  std::vector<std::string> notes;
  Utilize(devices, PeakTable({}, {}), summary, notes);
  EXPECT_FALSE(summary.mfu.has_value());
  EXPECT_FALSE(summary.hfu.has_value());
  EXPECT_EQ(summary.flop.executed, Flop(1'000'000));
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("NVIDIA H20-3e"), std::string::npos);
  EXPECT_NE(notes[0].find("--peak bf16="), std::string::npos);
}

TEST(Mfu, OneUnknownDeviceAmongKnownOnesGivesNoMfu) {
  const FlopSums flop = Sums(PeakRate::kBf16, Flop(1'000'000), Flop(1'000'000));
  const std::vector<DeviceWindow> devices = {{kH100, 1000, &flop}, {"", 1000, &flop}};
  WindowSummary summary;
  std::vector<std::string> notes;
  Utilize(devices, PeakTable({}, {}), summary, notes);
  EXPECT_FALSE(summary.mfu.has_value());
}

TEST(Mfu, FlopsWithoutARateAreNeverLeftOutSilently) {
  FlopSums flop = Sums(PeakRate::kBf16, Flop(1'000'000), Flop(1'000'000));
  flop.executed_without_rate = 10;
  *flop.executed += 10;
  const std::vector<DeviceWindow> devices = {{kH100, 1000, &flop}};
  WindowSummary summary;
  std::vector<std::string> notes;
  Utilize(devices, PeakTable({}, {}), summary, notes);
  EXPECT_FALSE(summary.mfu.has_value());
  EXPECT_EQ(notes.size(), 1u);
}

TEST(Mfu, SourceWithoutShapesHasNullFlopsNotZero) {
  const FlopSums known = Sums(PeakRate::kBf16, Flop(5), Flop(5));
  const FlopSums unknown = NoFlop(false);
  const std::vector<DeviceWindow> devices = {{kH100, 1000, &known}, {kH100, 1000, &unknown}};
  WindowSummary summary;
  std::vector<std::string> notes;
  Utilize(devices, PeakTable({}, {}), summary, notes);
  EXPECT_FALSE(summary.flop.executed.has_value());
  EXPECT_FALSE(summary.mfu.has_value());
}

TEST(Mfu, F64FallsBackToPlainF64WhereThereIsNoTensorRate) {
  const PeakTable peaks({}, {});
  // V100: 7.8 TFLOP/s f64 and no f64 tensor cores; A100: 19.5 with them (data sheets).
  const std::optional<Peak> v100 = peaks.Find("Tesla V100-SXM2-32GB", PeakRate::kF64Tensor);
  ASSERT_TRUE(v100.has_value());
  EXPECT_EQ(v100->flop_per_s, 7'800'000'000'000u);
  const std::optional<Peak> a100 = peaks.Find(kA100, PeakRate::kF64Tensor);
  ASSERT_TRUE(a100.has_value());
  EXPECT_EQ(a100->flop_per_s, 19'500'000'000'000u);
}

TEST(Mfu, OptionHoldsOverFileOverTable) {
  UserPeaks user;
  user.gpus.push_back({kH100, 0, {{PeakRate::kBf16, 800}, {PeakRate::kF8, 1600}}, "measured"});
  const PeakTable peaks({{PeakRate::kF8, 77}}, user);
  EXPECT_EQ(peaks.Find(kH100, PeakRate::kBf16)->flop_per_s, 800u);
  EXPECT_EQ(peaks.Find(kH100, PeakRate::kBf16)->source, "measured");
  EXPECT_EQ(peaks.Find(kH100, PeakRate::kF8)->flop_per_s, 77u);
  EXPECT_EQ(peaks.Find(kH100, PeakRate::kTf32)->flop_per_s, 494'700'000'000'000u);
  EXPECT_EQ(peaks.Find("anything", PeakRate::kF8)->flop_per_s, 77u);
  EXPECT_FALSE(peaks.Find("anything", PeakRate::kBf16).has_value());
}

TEST(Mfu, CallsOfCollectivesAndOpaqueFunctionsAddNoFlops) {
  FlopSums sums = NoFlop(true);
  Op collective;
  collective.kind = shapes::OpKind::kCollective;
  collective.flop_executed = 100;
  AddCalls(sums, collective, 3);
  AddCalls(sums, Op(), 3);
  EXPECT_EQ(sums.executed, Flop(0));
  Op gemm;
  gemm.kind = shapes::OpKind::kGemm;
  gemm.flop_executed = 2 * 4096ull * 4096 * 4096;
  gemm.flop_model = gemm.flop_executed;
  gemm.rate = PeakRate::kBf16;
  // More than 64 bits hold: 137,438,953,472 x 10^9.
  AddCalls(sums, gemm, 1'000'000'000);
  EXPECT_EQ(sums.executed, Flop(137'438'953'472u) * 1'000'000'000u);
  EXPECT_EQ(sums.executed_by_kind.at("gemm"), *sums.executed);
  EXPECT_EQ(sums.full_attention, sums.executed);
}

}  // namespace
}  // namespace mfutrace::report
