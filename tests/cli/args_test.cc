// Suggestions, sizes and exit codes.
#include "cli/args.h"

#include <gtest/gtest.h>

namespace mfutrace::cli {
namespace {

TEST(Args, SuggestsTheNearestWordOnly) {
  const std::vector<std::string> verbs = {"run", "report", "info", "peaks"};
  EXPECT_EQ(Nearest("reprot", verbs), "report");
  EXPECT_EQ(Nearest("REPORT", verbs), "report");
  EXPECT_EQ(Nearest("peak", verbs), "peaks");
  EXPECT_EQ(Nearest("xyzzy", verbs), "");
  EXPECT_EQ(Nearest("", verbs), "");
  EXPECT_EQ(Suggestion("xyzzy", verbs), "");
}

TEST(Args, ByteCountsHaveBinarySuffixes) {
  EXPECT_EQ(ParseByteCount("0"), 0u);
  EXPECT_EQ(ParseByteCount("256M"), 268'435'456u);
  EXPECT_EQ(ParseByteCount("1g"), 1'073'741'824u);
  EXPECT_EQ(ParseByteCount("17179869183G"), 18'446'744'072'635'809'792u);
  EXPECT_EQ(ParseByteCount("17179869184G"), std::nullopt);
  for (const char* bad : {"", "M", "-1", "1.5G", "1MB", "99999999999999999999", " 1"}) {
    EXPECT_EQ(ParseByteCount(bad), std::nullopt) << bad;
  }
}

TEST(Args, ExitCodesTellBadFilesFromUnreadableTraces) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("x")), 2);
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("x")), 2);
  EXPECT_EQ(ExitCodeOf(absl::FailedPreconditionError("x")), 2);
  EXPECT_EQ(ExitCodeOf(absl::UnimplementedError("x")), 4);
  EXPECT_EQ(ExitCodeOf(absl::DataLossError("x")), 4);
}

}  // namespace
}  // namespace mfutrace::cli
