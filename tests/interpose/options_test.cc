#include "interpose/options.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

namespace mfutrace::interpose {
namespace {

TEST(Options, SizesHaveBinarySuffixes) {
  const struct {
    const char* text;
    uint64_t value;
  } good[] = {{"0", 0},           {"17", 17},
              {"4k", 4096},       {"256M", 256u << 20},
              {"2G", 2ull << 30}, {"18446744073709551615", UINT64_MAX}};
  for (const auto& [text, value] : good) {
    uint64_t parsed = 1;
    EXPECT_TRUE(ParseSize(text, parsed)) << text;
    EXPECT_EQ(parsed, value) << text;
  }
  for (const char* text :
       {"", "M", "-1", "1T", "1 M", "1MB", "18446744073709551616", "17179869184G", "0x10"}) {
    uint64_t parsed = 0;
    EXPECT_FALSE(ParseSize(text, parsed)) << text;
  }
}

TEST(Options, SamplesAreATimeOfAPeriod) {
  constexpr int64_t kMs = 1'000'000;
  SampleChoice choice{};
  ASSERT_TRUE(ParseSample("10s/60s", choice));
  EXPECT_EQ(choice.first_ns, 0);
  EXPECT_EQ(choice.on_ns, 10'000 * kMs);
  EXPECT_EQ(choice.period_ns, 60'000 * kMs);
  ASSERT_TRUE(ParseSample("250ms/2m", choice));
  EXPECT_EQ(choice.on_ns, 250 * kMs);
  EXPECT_EQ(choice.period_ns, 120'000 * kMs);
  ASSERT_TRUE(ParseSample("1h/1h", choice));
  EXPECT_EQ(choice.on_ns, 3'600'000 * kMs);
  ASSERT_TRUE(ParseSample("all", choice));
  EXPECT_EQ(choice.first_ns, INT64_MAX);
  ASSERT_TRUE(ParseSample("none", choice));
  EXPECT_EQ(choice.period_ns, 0);
  EXPECT_EQ(choice.first_ns, 0);
  for (const char* text :
       {"", "10", "10s", "10s/", "/60s", "10s/60", "61s/60s", "0s/60s", "-1s/60s", "10s/60s ",
        "10 s/60s", "99999999999s/99999999999s", "some"}) {
    EXPECT_FALSE(ParseSample(text, choice)) << text;
  }
}

TEST(Options, BudgetsArePercent) {
  const struct {
    const char* text;
    double share;
  } good[] = {{"0.5", 0.005}, {"1", 0.01},      {"0.25%", 0.0025},    {"100", 1},
              {"0", 0},       {"0.0001", 1e-6}, {"12.3456", 0.123456}};
  for (const auto& [text, share] : good) {
    double budget = -2;
    EXPECT_TRUE(ParseBudget(text, budget)) << text;
    EXPECT_NEAR(budget, share, 1e-12) << text;
  }
  double budget = 0;
  EXPECT_TRUE(ParseBudget("off", budget));
  EXPECT_LT(budget, 0);
  for (const char* text : {"", "-1", "101", ".5", "0.", "0.12345", "1e3", "1 %", "half"}) {
    EXPECT_FALSE(ParseBudget(text, budget)) << text;
  }
}

TEST(Options, FamiliesFollowTheNamesOfFunctions) {
  EXPECT_EQ(FamilyOf("cublasLtMatmul"), kCublasLt);
  EXPECT_EQ(FamilyOf("cublasSgemm_v2"), kCublas);
  EXPECT_EQ(FamilyOf("ncclAllReduce"), kNccl);
  EXPECT_EQ(FamilyOf("cudnnBackendExecute"), kCudnn);
  EXPECT_EQ(FamilyOf("cusolverDnSpotrf"), 0);
}

class OptionsFromEnvironment : public testing::Test {
 protected:
  ~OptionsFromEnvironment() override {
    for (const char* name : {"MFUTRACE_OUT", "MFUTRACE_ONLY", "MFUTRACE_RING", "MFUTRACE_TIMING",
                             "MFUTRACE_FLUSH_MS", "CUDA_DEVICE_MAX_CONNECTIONS"}) {
      unsetenv(name);
    }
    unsetenv("MFUTRACE_QUIET");
  }
  Options& Read() {
    setenv("MFUTRACE_QUIET", "1", 1);
    *options_ = Options{};
    ReadOptions(*options_);
    return *options_;
  }
  std::unique_ptr<Options> options_ = std::make_unique<Options>();
};

TEST_F(OptionsFromEnvironment, DefaultsAreThoseOfTheContract) {
  const Options& options = Read();
  EXPECT_EQ(options.ring_records, 4096u);
  EXPECT_EQ(options.event_pairs, 4096u);
  EXPECT_EQ(options.flush_ns, 250'000'000);
  EXPECT_EQ(options.timing, TimingChoice::kAuto);
  EXPECT_EQ(options.families, kAllFamilies);
  EXPECT_EQ(options.max_file_bytes, UINT64_MAX);
}

TEST_F(OptionsFromEnvironment, NonsenseFallsBackToTheDefault) {
  setenv("MFUTRACE_RING", "many", 1);
  setenv("MFUTRACE_TIMING", "stopwatch", 1);
  setenv("MFUTRACE_FLUSH_MS", "0", 1);
  const Options& options = Read();
  EXPECT_EQ(options.ring_records, 4096u);
  EXPECT_EQ(options.timing, TimingChoice::kAuto);
  EXPECT_EQ(options.flush_ns, 1'000'000);
}

TEST_F(OptionsFromEnvironment, RingsAreRoundedUpToAPowerOfTwo) {
  setenv("MFUTRACE_RING", "1000", 1);
  EXPECT_EQ(Read().ring_records, 1024u);
}

TEST_F(OptionsFromEnvironment, TheFolderIsAbsoluteAtOnce) {
  setenv("MFUTRACE_OUT", "some/where", 1);
  const std::string folder = Read().folder;
  char here[2048];
  ASSERT_NE(getcwd(here, sizeof here), nullptr);
  EXPECT_EQ(folder, std::string(here) + "/some/where");
}

TEST_F(OptionsFromEnvironment, OnlyTakesAList) {
  setenv("MFUTRACE_ONLY", "nccl,cublaslt", 1);
  EXPECT_EQ(Read().families, kNccl | kCublasLt);
  setenv("MFUTRACE_ONLY", "cudnn", 1);
  EXPECT_EQ(Read().families, kCudnn);
}

}  // namespace
}  // namespace mfutrace::interpose
