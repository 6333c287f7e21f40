// Verdicts on made-up jobs whose layout the test knows: with names, without, and with world ranks
// dealt out at random.
#include "report/analyze/strategy.h"

#include <gtest/gtest.h>

#include "report/analyze/analyze.h"
#include "report/analyze/strategy_evidence.h"
#include "tests/report/training_cluster.h"

namespace mfutrace::report {
namespace {

using test::DataParallel;
using test::TrainingCluster;
using test::TrainingLayout;

RunResult Analyze(TrainingCluster& training, const AnalyzeOptions& options = {}) {
  Analyzer analyzer(options);
  for (const Timeline& timeline : training.cluster().timelines()) analyzer.Add(timeline);
  absl::StatusOr<RunResult> result = analyzer.Finish();
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : RunResult();
}

struct Tally {
  int right = 0;
  int ambiguous = 0;
};

// Every communicator is told right, or said to be ambiguous with the truth among the two.
void Check(TrainingLayout layout, Tally& tally) {
  TrainingCluster training(layout);
  const RunResult result = Analyze(training);
  EXPECT_EQ(result.steps_found_by, "period");
  for (const CommunicatorResult& row : result.communicators) {
    const std::string& truth = training.truth().at(row.id);
    SCOPED_TRACE(testing::Message()
                 << "tp " << layout.tp << " cp " << layout.cp << " dp " << layout.dp << " pp "
                 << layout.pp << (layout.named ? " named" : "")
                 << (layout.permuted ? " permuted" : "") << ", " << truth << " told as "
                 << row.strategy << " (runner-up " << row.runner_up << "): " << row.evidence);
    if (row.is_ambiguous) {
      ++tally.ambiguous;
      EXPECT_TRUE(row.strategy == truth || row.runner_up == truth);
    } else {
      ++tally.right;
      EXPECT_EQ(row.strategy, truth);
    }
    EXPECT_FALSE(row.evidence.empty());
  }
}

TEST(Strategy, LayoutsOf4To16RanksAreToldRight) {
  std::vector<TrainingLayout> layouts;
  const auto add = [&](int tp, int cp, int dp, int pp) {
    TrainingLayout layout;
    layout.tp = tp;
    layout.cp = cp;
    layout.dp = dp;
    layout.pp = pp;
    layouts.push_back(layout);
    return &layouts.back();
  };
  for (const auto& [tp, dp, pp] :
       {std::tuple(4, 1, 1), std::tuple(1, 4, 1), std::tuple(1, 1, 4), std::tuple(2, 2, 1),
        std::tuple(2, 1, 2), std::tuple(1, 2, 2), std::tuple(2, 2, 2), std::tuple(4, 2, 1),
        std::tuple(2, 4, 1), std::tuple(1, 4, 2), std::tuple(4, 2, 2), std::tuple(2, 2, 4),
        std::tuple(8, 2, 1), std::tuple(2, 4, 2)}) {
    add(tp, 1, dp, pp);
  }
  add(2, 1, 4, 1)->data = DataParallel::kFsdp;
  add(1, 1, 8, 1)->data = DataParallel::kFsdp;
  add(2, 1, 4, 1)->data = DataParallel::kZero;
  add(1, 1, 8, 1)->data = DataParallel::kZero;
  add(4, 1, 2, 1)->sequence_parallel = true;
  add(4, 1, 2, 2)->sequence_parallel = true;
  add(2, 1, 4, 1)->experts = true;
  add(1, 1, 4, 2)->experts = true;
  add(2, 4, 2, 1);
  Tally tally;
  for (TrainingLayout layout : layouts) {
    for (const bool named : {true, false}) {
      for (const bool permuted : {false, true}) {
        layout.named = named;
        layout.permuted = permuted;
        Check(layout, tally);
      }
    }
  }
  std::printf("%d communicators told right, %d said to be ambiguous\n", tally.right,
              tally.ambiguous);
  EXPECT_GT(tally.right, 20 * tally.ambiguous);
}

TEST(Strategy, LayoutOverridesAndSaysWhatTheEvidenceSays) {
  TrainingLayout layout;
  layout.tp = 2;
  layout.dp = 2;
  layout.pp = 2;
  TrainingCluster training(layout);
  AnalyzeOptions options;
  options.layout = *ParseLayout("dp=2,pp=2,tp=2");
  for (const CommunicatorResult& row : Analyze(training, options).communicators) {
    EXPECT_EQ(row.strategy, training.truth().at(row.id));
    if (row.strategy != "control") {
      EXPECT_NE(row.evidence.find("--layout, and the evidence agrees"), std::string::npos)
          << row.evidence;
    }
  }
  // Claims that what is tensor parallel is context parallel, and so on.
  options.layout = *ParseLayout("cp=2,dp=4");
  const RunResult wrong = Analyze(training, options);
  bool has_note = false;
  for (const std::string& note : wrong.quality.notes) {
    has_note = has_note || note.find("--layout calls") != std::string::npos;
  }
  EXPECT_TRUE(has_note);
  options.layout = *ParseLayout("tp=4,dp=4");
  const RunResult too_large = Analyze(training, options);
  has_note = false;
  for (const std::string& note : too_large.quality.notes) {
    has_note =
        has_note || note.find("--layout describes 16 ranks, the job has 8") != std::string::npos;
  }
  EXPECT_TRUE(has_note);
}

TEST(Strategy, LayoutsAreParsedOrRefusedWithAReason) {
  const absl::StatusOr<Layout> layout = ParseLayout("tp=8,PP=4,dp=2");
  ASSERT_TRUE(layout.ok());
  ASSERT_EQ(layout->size(), 3u);
  EXPECT_EQ((*layout)[1].name, "pp");
  EXPECT_EQ((*layout)[1].size, 4u);
  for (const char* bad : {"", "tp", "tp=0", "tp=x", "tp=2,tp=4", "zz=2", "tp=2=3"}) {
    EXPECT_FALSE(ParseLayout(bad).ok()) << bad;
  }
}

// Names that frameworks give (torch.distributed.device_mesh, megatron/core/parallel_state.py,
// DeepSpeed), and names that say nothing.
TEST(Strategy, NamesOfFrameworksAreUnderstood) {
  for (const auto& [name, strategy] :
       std::map<std::string, std::string>{{"mesh_tp", "TP"},
                                          {"mesh_dp_shard", "FSDP"},
                                          {"mesh_dp_replicate", "DP"},
                                          {"mesh_pp", "PP"},
                                          {"mesh_cp", "CP"},
                                          {"mesh_ep", "EP"},
                                          {"TENSOR_MODEL_PARALLEL_GROUP", "TP"},
                                          {"DATA_PARALLEL_GROUP_WITH_CP", "DP"},
                                          {"PIPELINE_MODEL_PARALLEL_GROUP", "PP"},
                                          {"EXPERT_MODEL_PARALLEL_GROUP", "EP"},
                                          {"CONTEXT_PARALLEL_GROUP", "CP"},
                                          {"TENSOR_AND_DATA_PARALLEL_GROUP", ""},
                                          {"dp0", "DP"},
                                          {"default_pg", ""},
                                          {"undefined", ""},
                                          {"stepper", ""},
                                          {"", ""}}) {
    EXPECT_EQ(StrategyOfName(name), strategy) << name;
  }
}

}  // namespace
}  // namespace mfutrace::report
