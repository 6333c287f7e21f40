// LD_PRELOAD values, and the C library of this machine against what it says of itself.
#include "cli/preload.h"

#include <gnu/libc-version.h>
#include <gtest/gtest.h>

namespace mfutrace::cli {
namespace {

TEST(Preload, GoesBeforeTheUsersOwnAndStandsOnce) {
  EXPECT_EQ(PrependPreload("/m.so", ""), "/m.so");
  EXPECT_EQ(PrependPreload("/m.so", "/a.so"), "/m.so:/a.so");
  EXPECT_EQ(PrependPreload("/m.so", "/a.so /b.so:/m.so"), "/m.so:/a.so:/b.so");
  EXPECT_EQ(PrependPreload("/m.so", ":: /m.so "), "/m.so");
}

// The test is linked dynamically, so the C library can be asked.
TEST(Preload, ReadsTheInstalledGlibcFromItsFile) {
  EXPECT_EQ(InstalledGlibc(), std::string(gnu_get_libc_version()));
}

TEST(Preload, GlibcFloor) {
  EXPECT_EQ(WhyTooOld("2.36"), "");
  EXPECT_EQ(WhyTooOld("2.17"), "");
  EXPECT_EQ(WhyTooOld("3.0"), "");
  EXPECT_EQ(WhyTooOld(std::nullopt), "");
  EXPECT_NE(WhyTooOld("2.16").find("2.16"), std::string::npos);
  EXPECT_NE(WhyTooOld("2.5"), "");
}

TEST(Preload, ScriptsAndOrdinaryProgramsAreInReach) {
  EXPECT_EQ(WhyOutOfReach("/bin/sh"), "");
  EXPECT_EQ(WhyOutOfReach("/etc/passwd"), "");
  EXPECT_EQ(WhyOutOfReach("/no/such/file"), "");
}

}  // namespace
}  // namespace mfutrace::cli
