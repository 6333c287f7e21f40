// The terminal report of hand-made results, held against texts that a person has read
// (tests/golden/), and against the rules of the page: 40 lines, 100 columns, no escape codes, parts
// that sum.
#include "report/render/terminal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "report/render/units.h"
#include "tests/report/render_results.h"

namespace mfutrace::report {
namespace {

struct Case {
  const char* name;
  RunResult (*result)();
};

const Case kCases[] = {
    {"training", test::TrainingRun},     {"unknown_gpu", test::UnknownGpuRun},
    {"count_only", test::CountOnlyRun},  {"no_shapes", test::ImportWithoutShapes},
    {"impossible", test::ImpossibleRun}, {"mixed_formats", test::MixedFormatsRun},
    {"large", test::LargeRun},           {"mixed_ops", test::MixedOpsRun}};

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class Golden : public testing::TestWithParam<Case> {};

// scripts/rebaseline rewrites the files; whoever runs it reads the difference.
TEST_P(Golden, ReadsAsReviewed) {
  const std::string text = RenderTerminal(GetParam().result(), {});
  const std::string path =
      std::string(MFU_SOURCE_DIR) + "/tests/golden/terminal_" + GetParam().name + ".txt";
  if (std::getenv("MFUTRACE_REBASELINE") != nullptr) {
    std::ofstream(path, std::ios::binary) << text;
    GTEST_SKIP() << "rewrote " << path;
  }
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file.is_open()) << path << ": missing; scripts/rebaseline writes it";
  std::ostringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(text, golden.str());
}

TEST_P(Golden, FitsOnePageWithoutColour) {
  const std::string text = RenderTerminal(GetParam().result(), {});
  const std::vector<std::string> lines = LinesOf(text);
  EXPECT_LE(lines.size(), 40u);
  EXPECT_EQ(text.find('\033'), std::string::npos);
  for (const std::string& line : lines) {
    EXPECT_LE(DisplayWidth(line), 100u) << line;
    EXPECT_TRUE(line.empty() || line.back() != ' ') << "[" << line << "]";
  }
}

TEST_P(Golden, ColourChangesNoCharacter) {
  TerminalOptions options;
  options.use_color = true;
  std::string text = RenderTerminal(GetParam().result(), options);
  EXPECT_NE(text.find('\033'), std::string::npos);
  for (size_t begin; (begin = text.find('\033')) != std::string::npos;) {
    text.erase(begin, text.find('m', begin) - begin + 1);
  }
  EXPECT_EQ(text, RenderTerminal(GetParam().result(), {}));
}

INSTANTIATE_TEST_SUITE_P(Render, Golden, testing::ValuesIn(kCases),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(RenderTerminal, ShowsOnlyTheSectionsAskedFor) {
  TerminalOptions options;
  options.sections = kOps;
  const std::string text = RenderTerminal(test::LargeRun(), options);
  EXPECT_NE(text.find("operations"), std::string::npos);
  EXPECT_EQ(text.find("MFU"), std::string::npos);
  EXPECT_EQ(text.find("communication"), std::string::npos);
  // The title, a blank line, the heads and every operation.
  EXPECT_EQ(LinesOf(text).size(), 3 + test::LargeRun().ops.size());
  EXPECT_EQ(SectionNamed("comm"), kComm);
  EXPECT_EQ(SectionNamed("Comm"), std::nullopt);
}

TEST(RenderTerminal, TopLimitsEveryTable) {
  TerminalOptions options;
  options.top = 2;
  options.sections = kOps | kRanks;
  const std::string text = RenderTerminal(test::LargeRun(), options);
  EXPECT_NE(text.find("… 23 more"), std::string::npos) << text;
  EXPECT_NE(text.find("the 2 of 64"), std::string::npos) << text;
}

TEST(RenderTerminal, ImpossibleFiguresAreShownWithAReason) {
  const std::string text = RenderTerminal(test::ImpossibleRun(), {});
  EXPECT_NE(text.find("563.0 %"), std::string::npos);
  EXPECT_NE(text.find("more than 100 %"), std::string::npos);
}

TEST(RenderTerminal, SaysLowerBoundWhereverFlopsCanHide) {
  EXPECT_NE(RenderTerminal(test::TrainingRun(), {}).find("lower bound"), std::string::npos);
  EXPECT_NE(RenderTerminal(test::CountOnlyRun(), {}).find("lower bound"), std::string::npos);
  // All kernels of the import are known: nothing hides.
  EXPECT_EQ(RenderTerminal(test::ImportWithoutShapes(), {}).find("lower bound"), std::string::npos);
}

TEST(RenderTerminal, HtaFiguresAreItsOwn) {
  const std::string text = RenderHta(test::ImportWithoutShapes(), {});
  const std::vector<std::string> lines = LinesOf(text);
  ASSERT_EQ(lines.size(), 2u);
  std::istringstream row(lines[1]);
  std::vector<std::string> cells;
  for (std::string cell; row >> cell;) cells.push_back(cell);
  EXPECT_EQ(cells, (std::vector<std::string>{"0", "all", "100000", "60000", "30000", "10000",
                                             "33.33", "25000", "15000"}));
}

}  // namespace
}  // namespace mfutrace::report
