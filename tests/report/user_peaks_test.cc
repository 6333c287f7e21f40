// The peaks file and --peak: what is read, and what an error says.
#include "report/model/user_peaks.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/report/native_trace.h"

namespace mfutrace::report {
namespace {

using shapes::PeakRate;

absl::StatusOr<UserPeaks> Parse(const std::string& text) {
  const std::string path = test::FreshFolder() + "/peaks.toml";
  std::ofstream(path) << text;
  return LoadUserPeaks(path);
}

std::string ErrorOf(const std::string& text) {
  const absl::StatusOr<UserPeaks> peaks = Parse(text);
  EXPECT_FALSE(peaks.ok()) << text;
  const std::string message(peaks.status().message());
  return message.substr(message.rfind('/') + 1);
}

TEST(UserPeaks, TablesAreRead) {
  const absl::StatusOr<UserPeaks> peaks = Parse(R"(
[[gpu]]
name = "NVIDIA H20-3e"
memory_bytes_per_s = 4.8e12
peak_flop_per_s = { bf16 = 148e12, f8 = 296_000_000_000_000 }
source = "vendor's data sheet"

[[gpu]]
name = "Other"
peak_flop_per_s = { tf32 = 1e12 }
)");
  ASSERT_TRUE(peaks.ok()) << peaks.status();
  ASSERT_EQ(peaks->gpus.size(), 2u);
  EXPECT_EQ(peaks->gpus[0].name, "NVIDIA H20-3e");
  EXPECT_EQ(peaks->gpus[0].memory_bytes_per_s, 4'800'000'000'000u);
  EXPECT_EQ(peaks->gpus[0].peak_flop_per_s.at(PeakRate::kBf16), 148'000'000'000'000u);
  EXPECT_EQ(peaks->gpus[0].peak_flop_per_s.at(PeakRate::kF8), 296'000'000'000'000u);
  EXPECT_EQ(peaks->gpus[0].source, "vendor's data sheet");
  EXPECT_EQ(peaks->gpus[1].source, peaks->path);
}

TEST(UserPeaks, MeasuredRatesStandBesideTheTables) {
  const absl::StatusOr<UserPeaks> peaks = Parse(R"(
[[measured]]
name = "X"
flop_per_s = { bf16 = 7e14 }
clock_mhz = { bf16 = 1700 }
power_w = { bf16 = 690 }
library = "libcublas.so.13"
when = "2026-12-01"
)");
  ASSERT_TRUE(peaks.ok()) << peaks.status();
  EXPECT_TRUE(peaks->gpus.empty());
  ASSERT_EQ(peaks->measured.size(), 1u);
  EXPECT_EQ(peaks->measured[0].flop_per_s.at(PeakRate::kBf16), 700'000'000'000'000u);
  EXPECT_EQ(peaks->measured[0].when, "2026-12-01");
  EXPECT_EQ(ErrorOf("[[measured]]\nname = \"X\"\npeak = 1\n")
                .find("peaks.toml:3:1: unknown key \"peak\""),
            0u);
}

TEST(UserPeaks, ErrorsNameLineAndColumn) {
  EXPECT_EQ(ErrorOf("[[gpu]]\nname = \"X\"\npeak_flop_per_s = { bf61 = 1e12 }\n")
                .find("peaks.toml:3:21: unknown rate \"bf61\""),
            0u);
  EXPECT_EQ(ErrorOf("[[gpu]]\nname = \"X\"\npeak_flop_per_s = { bf16 = \"fast\" }\n")
                .find("peaks.toml:3:28: bf16: expected a positive number"),
            0u);
  EXPECT_EQ(
      ErrorOf("[[gpu]]\nname = \"X\"\npeek = 1\n").find("peaks.toml:3:1: unknown key \"peek\""),
      0u);
  EXPECT_EQ(ErrorOf("[[gpu]]\nname = 5\n").find("peaks.toml:2:8: name: expected a text"), 0u);
  EXPECT_EQ(ErrorOf("\n[[gpu\n").find("peaks.toml:2:"), 0u);
  EXPECT_NE(ErrorOf("[[gpu]]\npeak_flop_per_s = { bf16 = 1e12 }\n").find("without a name"),
            std::string::npos);
  EXPECT_NE(ErrorOf("[[gpu]]\nname = \"X\"\n").find("has no peak_flop_per_s"), std::string::npos);
  EXPECT_NE(ErrorOf("[[gpu]]\nname = \"X\"\npeak_flop_per_s = { bf16 = -3.0 }\n").find("positive"),
            std::string::npos);
  EXPECT_EQ(ErrorOf("gpus = 1\n").find("peaks.toml:1:1: unknown key \"gpus\""), 0u);
}

TEST(UserPeaks, MissingDefaultFileIsNoPeaksMissingNamedFileIsAnError) {
  const std::string folder = test::FreshFolder();
  setenv("XDG_CONFIG_HOME", folder.c_str(), 1);
  EXPECT_EQ(DefaultUserPeaksPath(), folder + "/mfutrace/peaks.toml");
  const absl::StatusOr<UserPeaks> none = LoadDefaultUserPeaks();
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_TRUE(none->gpus.empty());
  std::filesystem::create_directories(folder + "/mfutrace");
  std::ofstream(folder + "/mfutrace/peaks.toml")
      << "[[gpu]]\nname = \"Mine\"\npeak_flop_per_s = { f16 = 5 }\n";
  const absl::StatusOr<UserPeaks> mine = LoadDefaultUserPeaks();
  ASSERT_TRUE(mine.ok()) << mine.status();
  EXPECT_EQ(mine->gpus.size(), 1u);
  EXPECT_EQ(LoadUserPeaks(folder + "/none.toml").status().code(), absl::StatusCode::kNotFound);
}

TEST(UserPeaks, OptionIsNameEqualsFigure) {
  const auto peak = ParsePeakOverride("bf16=989.4e12");
  ASSERT_TRUE(peak.ok()) << peak.status();
  EXPECT_EQ(peak->first, PeakRate::kBf16);
  EXPECT_EQ(peak->second, 989'400'000'000'000u);
  for (const char* wrong : {"bf16", "bf16=", "bf16=fast", "bf16=-1", "bf16=0", "bf16=inf", "b=1"}) {
    EXPECT_FALSE(ParsePeakOverride(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace mfutrace::report
