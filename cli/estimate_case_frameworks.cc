// Cases from verl, MaxText and NeMo RL: a model by its config.json's keys or by its name at the
// source, and a batch.
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <numeric>

#include "cli/estimate_case.h"
#include "report/estimate/components.h"
#include "report/estimate/conventions/maxtext.h"
#include "report/estimate/conventions/nemo_rl.h"
#include "report/estimate/conventions/verl.h"
#include "report/estimate/known_models.h"

namespace mfutrace::cli {
namespace {

namespace estimate = report::estimate;
using estimate::Flop;

// Of the 53 bits of a double, what a formula's last few roundings may cost.
constexpr double kRounding = 0x1p-50;

std::string JsonOf(const rapidjson::Value& value) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  return std::string(buffer.GetString(), buffer.GetSize());
}

estimate::Batch PackedBatch(const std::vector<uint64_t>& lengths) {
  estimate::Batch batch;
  for (const uint64_t length : lengths) batch.sequences.push_back({length, length, 1, true});
  return batch;
}

void CompareAsserted(ModelCase& model_case, double flop) {
  const rapidjson::Value* tolerance = model_case.entry.Find("tolerance");
  if (tolerance == nullptr) return;
  if (!tolerance->IsNumber()) return model_case.verdict.Fail("\"tolerance\" is not a number");
  model_case.verdict.CompareWithin("asserted", model_case.entry.Find("asserted"), flop,
                                   tolerance->GetDouble());
}

}  // namespace

bool CheckVerl(ModelCase& model_case) {
  Fields& args = model_case.args;
  if (model_case.op != "model_train_step" || !args.IsList("batch_seqlens")) return false;
  const bool is_named_alone = !args.Has("hidden_size") && !args.Has("text_config");
  const absl::StatusOr<estimate::ModelConfig> config =
      is_named_alone ? estimate::KnownModel(estimate::ModelSource::kVerl, args.Text("model_type"))
                     : estimate::ParseModelConfig(JsonOf(*model_case.entry.Find("args")), "args");
  if (!config.ok()) {
    if (is_named_alone) return false;
    model_case.verdict.Fail(std::string(config.status().message()));
    return true;
  }
  const estimate::Batch batch = PackedBatch(args.Numbers("batch_seqlens"));
  const std::vector<uint64_t> images =
      args.Has("images_seqlens") ? args.Numbers("images_seqlens") : std::vector<uint64_t>();
  if (!args.error().empty()) return true;
  estimate::Estimate counted = estimate::Verl(*config, batch);
  if (!counted.flop.has_value()) return false;
  if (!images.empty()) {
    if (!config->vision.has_value()) return false;
    *counted.flop += estimate::VerlVision(*config->vision, images);
  }
  Fields& entry = model_case.entry;
  CaseVerdict& verdict = model_case.verdict;
  const Flop embedding = 6 * Flop(config->vocab) * config->hidden * batch.tokens();
  verdict.CompareWide("flops", entry.Find("flops"), *counted.flop);
  verdict.CompareWide("embedding_overcount", entry.Find("embedding_overcount"), embedding);
  verdict.CompareWide("flops_without_embedding", entry.Find("flops_without_embedding"),
                      *counted.flop - embedding);
  const estimate::Work exact = estimate::WorkOf(*config, batch);
  verdict.CompareWide("recommended_model_flops", entry.Find("recommended_model_flops"),
                      exact.sum.model_flop);
  verdict.CompareWide("recommended_executed_flops", entry.Find("recommended_executed_flops"),
                      exact.sum.executed_flop);
  return true;
}

bool CheckMaxText(ModelCase& model_case) {
  Fields& args = model_case.args;
  if (model_case.op != "model_train_step") return false;
  const absl::StatusOr<estimate::ModelConfig> config =
      estimate::KnownModel(estimate::ModelSource::kMaxText, args.Text("model"));
  if (!config.ok()) return false;
  const uint64_t sequences = args.Number("per_device_batch");
  const uint64_t length = args.Number("seq");
  if (!args.error().empty()) return true;
  const estimate::MaxTextFlop flop = estimate::CountMaxText(*config, sequences, length);
  Fields& entry = model_case.entry;
  const double weights = static_cast<double>(flop.weights);
  const double attention = static_cast<double>(flop.attention);
  CaseVerdict& verdict = model_case.verdict;
  verdict.CompareWithin("flops", entry.Find("flops"), weights + attention, kRounding);
  verdict.CompareWithin("attention_flops", entry.Find("attention_flops"), attention, kRounding);
  verdict.CompareWithin("weight_flops", entry.Find("weight_flops"), weights, kRounding);
  CompareAsserted(model_case, weights + attention);
  return true;
}

bool CheckNemoRl(ModelCase& model_case) {
  Fields& args = model_case.args;
  if (model_case.op != "model_train_step") return false;
  const absl::StatusOr<estimate::ModelConfig> config =
      estimate::KnownModel(estimate::ModelSource::kNemoRl, args.Text("model"));
  if (!config.ok()) return false;
  const uint64_t sequences = args.Number("global_batch");
  const uint64_t length = args.Number("seq");
  if (!args.error().empty()) return true;
  const estimate::NemoRlCount count = estimate::CountNemoRl(*config, sequences, length);
  if (!count.flop.has_value()) return false;
  Fields& entry = model_case.entry;
  // Where only the asserted band is known, the case repeats its middle as the figure.
  const rapidjson::Value* stated = entry.Find("flops");
  const rapidjson::Value* asserted = entry.Find("asserted");
  const bool is_band_alone = stated != nullptr && asserted != nullptr && stated->IsNumber() &&
                             asserted->IsNumber() && stated->GetDouble() == asserted->GetDouble();
  if (!is_band_alone) {
    // Sources cut the fraction off or round it.
    model_case.verdict.CompareNear("flops", stated, *count.flop, 1 + *count.flop * kRounding);
  }
  CompareAsserted(model_case, *count.flop);
  return true;
}

}  // namespace mfutrace::cli
