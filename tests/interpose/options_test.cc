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
