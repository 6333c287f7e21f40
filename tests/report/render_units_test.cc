// Figures as people read them; expected texts written by hand.
#include "report/render/units.h"

#include <gtest/gtest.h>

#include "report/render/table.h"

namespace mfutrace::report {
namespace {

TEST(Units, DecimalPrintsAllDigits) {
  EXPECT_EQ(Decimal(0), "0");
  EXPECT_EQ(Decimal(absl::Uint128Max()), "340282366920938463463374607431768211455");
  EXPECT_EQ(Decimal(absl::MakeUint128(1, 0)), "18446744073709551616");
}

TEST(Units, FixedRoundsAndHasNoNegativeZero) {
  EXPECT_EQ(Fixed(2.25, 1), "2.2");
  EXPECT_EQ(Fixed(-0.04, 1), "0.0");
  EXPECT_EQ(Fixed(-1.25, 2), "-1.25");
  EXPECT_EQ(Fixed(0.0 / 0.0, 1), "-");
}

TEST(Units, UnknownIsADashAndNeverZero) {
  EXPECT_EQ(Percent(std::nullopt), "-");
  EXPECT_EQ(Milliseconds(std::nullopt), "-");
  EXPECT_EQ(Percent(0.0), "0.0 %");
  EXPECT_EQ(Milliseconds(0), "0.0");
}

TEST(Units, WhatIsNotZeroDoesNotReadAsZero) {
  EXPECT_EQ(Percent(0.381), "38.1 %");
  EXPECT_EQ(Percent(0.000263), "0.0263 %");
  EXPECT_EQ(Significant(693.4), "693");
  EXPECT_EQ(Significant(3.14159), "3.14");
  EXPECT_EQ(Significant(0.000354), "0.00035");
}

TEST(Units, SiChoosesThePrefix) {
  EXPECT_EQ(Si(155.4e12, "FLOP"), "155.4 TFLOP");
  EXPECT_EQ(Si(1.32e15, "FLOP"), "1.32 PFLOP");
  EXPECT_EQ(Si(999.96e9, "B"), "1.00 TB");
  EXPECT_EQ(Si(512, "B"), "512 B");
}

TEST(Units, DurationsKeepFourDigitsOrSo) {
  EXPECT_EQ(Duration(412'600'000), "412.6 ms");
  EXPECT_EQ(Duration(3'200'000'000), "3.200 s");
  EXPECT_EQ(Duration(12'345), "12.3 us");
}

TEST(Units, WidthsCountCharactersNotBytes) {
  EXPECT_EQ(DisplayWidth("4 × µs"), 6u);
  EXPECT_EQ(PadLeft("µs", 4), "  µs");
  EXPECT_EQ(PadRight("µs", 4), "µs  ");
  EXPECT_EQ(Cut("abcdef", 4), "abc…");
  EXPECT_EQ(Cut("äöü", 3), "äöü");
}

TEST(Table, AlignsNumbersRightAndCutsTheFirstColumn) {
  Table table({{"operation", Table::Align::kLeft}, {"calls"}});
  table.AddRow({"gemm with a long name", "7"});
  table.AddRow({"µ", "12345"});
  const std::vector<std::string> wide = table.Lines(100, 0);
  ASSERT_EQ(wide.size(), 3u);
  EXPECT_EQ(wide[0], "operation              calls");
  EXPECT_EQ(wide[1], "gemm with a long name      7");
  EXPECT_EQ(wide[2], "µ                      12345");
  const std::vector<std::string> narrow = table.Lines(22, 1);
  EXPECT_EQ(narrow[1], " gemm with a l…      7");
}

}  // namespace
}  // namespace mfutrace::report
