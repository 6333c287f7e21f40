// Cases from the two Megatron papers: step, parameters, and the published utilization and rates.
#include <cmath>

#include "cli/estimate_case.h"
#include "report/estimate/conventions/papers.h"

namespace mfutrace::cli {
namespace {

namespace estimate = report::estimate;

constexpr double kTera = 1e12;

double Number(Fields& fields, const char* name) {
  const rapidjson::Value* value = fields.Find(name);
  if (value != nullptr && value->IsNumber()) return value->GetDouble();
  fields.Complain(std::string("no number \"") + name + "\"");
  return 0;
}

estimate::GptShape ShapeOf(Fields& args) {
  return {args.Number("layers"), args.Number("hidden"), args.Number("seq"), args.Number("vocab"),
          args.Number("global_batch")};
}

}  // namespace

bool CheckNarayanan(ModelCase& model_case) {
  Fields& args = model_case.args;
  Fields& entry = model_case.entry;
  CaseVerdict& verdict = model_case.verdict;
  if (model_case.op != "model_train_step_with_recompute") return false;
  const estimate::GptShape shape = ShapeOf(args);
  const double gpus = Number(args, "gpus");
  const double peak = Number(args, "peak_tflops");
  if (!args.error().empty() || gpus <= 0 || peak <= 0) return !args.error().empty();
  const estimate::Flop flop = estimate::Narayanan(shape);
  verdict.CompareWide("flops", entry.Find("flops"), flop);
  const estimate::Flop parameters = estimate::NarayananParameters(shape);
  verdict.CompareWide("params", entry.Find("params"), parameters);
  // Table 1 rounds to a tenth of a billion, to a TFLOP/s a GPU, to a per cent and to a tenth of a
  // PFLOP/s; the last two follow from the second.
  verdict.CompareNear("published_params_B", entry.Find("published_params_B"),
                      static_cast<double>(parameters) / 1e9, 0.0501);
  if (!entry.Has("published_tflops_per_gpu")) return true;
  const double per_gpu = Number(entry, "published_tflops_per_gpu");
  verdict.CompareNear("published_percent_peak", entry.Find("published_percent_peak"),
                      per_gpu / peak * 100, 0.75);
  verdict.CompareNear("published_aggregate_pflops", entry.Find("published_aggregate_pflops"),
                      per_gpu * gpus / 1000, 0.5 * gpus / 1000 + 0.05);
  verdict.CompareNear("implied_iteration_s", entry.Find("implied_iteration_s"),
                      static_cast<double>(flop) / (gpus * per_gpu * kTera), 0.501e-3);
  return true;
}

bool CheckKorthikanti(ModelCase& model_case) {
  Fields& args = model_case.args;
  Fields& entry = model_case.entry;
  CaseVerdict& verdict = model_case.verdict;
  if (model_case.op != "model_train_step") return false;
  const estimate::GptShape shape = ShapeOf(args);
  const double time_s = Number(args, "iteration_s");
  const double peak = Number(args, "gpus") * Number(args, "peak_tflops") * kTera;
  if (!args.error().empty() || time_s <= 0 || peak <= 0) return !args.error().empty();
  const estimate::Flop model_flop = estimate::Korthikanti(shape);
  const estimate::Flop hardware_flop = estimate::KorthikantiSelective(shape);
  verdict.CompareWide("flops", entry.Find("flops"), model_flop);
  verdict.CompareWide("hardware_flops_selective_recompute",
                      entry.Find("hardware_flops_selective_recompute"), hardware_flop);
  const double mfu = static_cast<double>(model_flop) / time_s / peak;
  const double hfu = static_cast<double>(hardware_flop) / time_s / peak;
  verdict.CompareNear("formula_mfu", entry.Find("formula_mfu"), mfu, 0.6e-5);
  verdict.CompareNear("formula_hfu", entry.Find("formula_hfu"), hfu, 0.6e-5);
  // Table 5 agrees with its own formula to a quarter of a per cent of the peak.
  verdict.CompareNear("expected_mfu", entry.Find("expected_mfu"), mfu, 0.25e-2);
  verdict.CompareNear("expected_hfu", entry.Find("expected_hfu"), hfu, 0.25e-2);
  return true;
}

}  // namespace mfutrace::cli
