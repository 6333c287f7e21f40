// Every other printed form of hand-made results, held against texts that a person has read
// (tests/golden/), and the rules of each format.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "report/render/csv.h"
#include "report/render/html.h"
#include "report/render/json.h"
#include "report/render/markdown.h"
#include "report/render/perfetto.h"
#include "report/render/prom.h"
#include "report/render/proto_writer.h"
#include "tests/report/render_results.h"

namespace mfutrace::report {
namespace {

constexpr int64_t kMs = 1'000'000;

// Two ranks, one step of 10 ms: a product, a hidden and an exposed all-reduce.
RunResult SampledRun() {
  RunResult result = test::TrainingRun();
  for (uint32_t step = 0; step < 3; ++step) {
    CoursePoint point;
    point.first_step = point.last_step = step;
    point.mfu_min = 0.38;
    point.mfu_median = 0.4;
    point.mfu_max = 0.41;
    point.step_min_ns = point.step_median_ns = 400 * kMs;
    point.step_max_ns = 410 * kMs;
    result.course.push_back(point);
  }
  result.lateness.buckets = {{0, 4}, {5, 9}};
  result.lateness.rows = {{"rank 0", {0, 0}}, {"rank 1", {120'000, std::nullopt}}};
  result.peaks = {{shapes::PeakRate::kBf16, 989'400'000'000'000}};
  result.steady->budget = {{"mfu", "", 5120 * kMs},
                           {"below_peak", "", 2880 * kMs},
                           {"exposed_transfer", "DP", 1280 * kMs},
                           {"unattributed", "", 3520 * kMs}};
  Sample& sample = result.sample;
  sample.step = 5;
  sample.is_aligned = true;
  sample.labels = {"gemm bf16 8192x14336x4096", "allreduce bf16 512 MiB"};
  for (int32_t rank = 0; rank < 2; ++rank) {
    RankResult& row = result.ranks[static_cast<size_t>(rank)];
    row.executed_by_rate = {{shapes::PeakRate::kBf16, *row.flop_executed}};
    SampledDevice device;
    device.rank = device.device = rank;
    device.host = "node1";
    device.pid = 4000 + static_cast<uint32_t>(rank);
    device.window = {100 * kMs, 110 * kMs};
    device.steps = {{5, device.window}};
    device.compute = {{101 * kMs, 106 * kMs}};
    device.hidden = {{104 * kMs, 105 * kMs}};
    device.exposed = {{107 * kMs, 109 * kMs}};
    device.works_exposed = device.exposed;
    device.works = {
        {{101 * kMs, 106 * kMs}, {99 * kMs, 99 * kMs + 5000}, 0, 0, 0, WorkClass::kCompute},
        {{104 * kMs, 105 * kMs},
         {100 * kMs, 100 * kMs + 9000},
         1,
         1,
         77,
         WorkClass::kCommunication},
        {{107 * kMs, 109 * kMs}, {}, 1, 1, 78, WorkClass::kCommunication}};
    sample.devices.push_back(device);
  }
  return result;
}

// The page without what is embedded from files.
std::string Markup() {
  std::string page = RenderHtml(SampledRun(), {"mfutrace 1.2.3"});
  const auto cut = [&page](const std::string& begin, const std::string& end) {
    const size_t from = page.find(begin) + begin.size();
    page.replace(from, page.find(end, from) - from, "...");
  };
  cut("<style>\n", "</style>");
  cut("<script>\n", "</script>\n<script>");
  const size_t last = page.rfind("<script>\n") + 9;
  page.replace(last, page.find("</script>", last) - last, "...");
  return page;
}

struct Form {
  const char* file;
  std::string (*text)();
};

const Form kForms[] = {
    {"page.html", Markup},
    {"report.json", [] { return RenderJson(SampledRun()); }},
    {"chrome.json", [] { return RenderChrome(SampledRun()); }},
    {"summary.md", [] { return RenderMarkdown(SampledRun()); }},
    {"metrics.prom", [] { return RenderPrometheus(SampledRun(), "1.2.3"); }},
    {"ops.csv", [] { return RenderCsv(OpsTable(test::MixedOpsRun())); }},
    {"ranks.csv", [] { return RenderCsv(RanksTable(SampledRun())); }},
    {"communicators.csv", [] { return RenderCsv(CommunicatorsTable(SampledRun())); }},
    {"budget.csv", [] { return RenderCsv(BudgetTable(SampledRun())); }},
};

class GoldenForm : public testing::TestWithParam<Form> {};

// scripts/rebaseline rewrites the files; whoever runs it reads the difference.
TEST_P(GoldenForm, ReadsAsReviewed) {
  const std::string text = GetParam().text();
  const std::string path = std::string(MFU_SOURCE_DIR) + "/tests/golden/" + GetParam().file;
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

INSTANTIATE_TEST_SUITE_P(Outputs, GoldenForm, testing::ValuesIn(kForms), [](const auto& form) {
  std::string name = form.param.file;
  for (char& c : name) {
    if (c == '.') c = '_';
  }
  return name;
});

// The examples of https://protobuf.dev/programming-guides/encoding.
TEST(ProtoWriter, EncodesAsDocumented) {
  EXPECT_EQ(ProtoWriter().Varint(1, 150).bytes(), "\x08\x96\x01");
  EXPECT_EQ(ProtoWriter().Bytes(2, "testing").bytes(), "\x12\x07testing");
  EXPECT_EQ(ProtoWriter().Message(3, ProtoWriter().Varint(1, 150)).bytes(), "\x1a\x03\x08\x96\x01");
  EXPECT_EQ(ProtoWriter().Varint(1, UINT64_MAX).bytes(),
            "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  EXPECT_EQ(ProtoWriter().Double(1, 1.0).bytes(), std::string("\x09\0\0\0\0\0\0\xf0\x3f", 9));
}

// RFC 4180, section 2.
TEST(Csv, QuotesWhatItMust) {
  DataTable table;
  table.name = "t";
  table.columns = {{"a", DataTable::Type::kText}, {"b"}, {"c", DataTable::Type::kReal}};
  table.rows = {{std::string("plain"), int64_t{-1}, 0.5},
                {std::string("a, \"b\"\nc"), std::monostate(), std::monostate()},
                {std::string(""), absl::uint128(1) << 100, 1e300}};
  EXPECT_EQ(RenderCsv(table),
            "a,b,c\r\nplain,-1,0.5\r\n\"a, \"\"b\"\"\nc\",,\r\n"
            ",1267650600228229401496703205376,1e+300\r\n");
}

TEST(Chrome, IsJsonWithoutASample) {
  EXPECT_TRUE(nlohmann::json::accept(RenderChrome(test::TrainingRun())));
  EXPECT_TRUE(RenderPerfetto(test::TrainingRun()).empty());
}

TEST(Markdown, TextOfATraceStaysInItsCell) {
  RunResult result = test::TrainingRun();
  result.ops[0].label = "a|b\n@everyone <script> `x`";
  const std::string text = RenderMarkdown(result);
  EXPECT_NE(text.find("| a\\|b \\@everyone \\<script\\> \\`x\\` |"), std::string::npos) << text;
}

TEST(Prometheus, LabelsAreEscaped) {
  RunResult result = SampledRun();
  result.gpu = "a\"b\\c\nd";
  EXPECT_NE(RenderPrometheus(result, "1").find("name=\"a\\\"b\\\\c\\nd\""), std::string::npos);
}

}  // namespace
}  // namespace mfutrace::report
