// Cases of conventions that start from a published number of parameters, and the utilization that
// their sources publish beside it.
#include "cli/estimate_case.h"
#include "report/estimate/conventions/parameter_counts.h"

namespace mfutrace::cli {
namespace {

namespace estimate = report::estimate;
using estimate::Flop;

constexpr double kTera = 1e12;

bool CheckTorchtitan(ModelCase& model_case) {
  Fields& args = model_case.args;
  const uint64_t length = args.Number("seq");
  const Flop parameters = args.Number("nparams");
  const Flop embedding = args.Number("nparams_embedding");
  const uint64_t layers = args.Number("layers");
  const uint64_t heads = args.Number("heads");
  const uint64_t head_dims = args.Number("head_dims_qk_plus_v");
  if (!args.error().empty()) return true;
  model_case.verdict.CompareWide(
      "flops", model_case.entry.Find("flops"),
      estimate::TorchtitanPerToken(parameters, embedding, layers, heads, head_dims, length));
  const rapidjson::Value* exact = model_case.entry.Find("flops_recommended");
  if (exact == nullptr) return true;
  // The exact figure counts no norms: two a layer and a last one, each as wide as all heads are.
  const Flop hidden = Flop(heads) * head_dims / 2;
  const Flop norms = (2 * layers + 1) * hidden;
  const Flop products = 6 * (parameters - embedding - norms);
  // 3 x 2 x (length + 1) / 2 pairs a token.
  const Flop attention = 3 * Flop(layers) * heads * head_dims * (length + 1);
  model_case.verdict.CompareWide("flops_recommended", exact, products + attention);
  return true;
}

bool CheckPalm(ModelCase& model_case) {
  Fields& args = model_case.args;
  const uint64_t length = args.Number("seq");
  const Flop per_token =
      estimate::PalmPerToken(args.Number("N"), args.Number("layers"), args.Number("heads"),
                             args.Number("head_dim"), length);
  if (!args.error().empty()) return true;
  Fields& entry = model_case.entry;
  model_case.verdict.CompareWide("flops", entry.Find("flops"), per_token);
  model_case.verdict.CompareWide("flops_per_sequence", entry.Find("flops_per_sequence"),
                                 per_token * length);
  if (!entry.Has("formula_mfu")) return true;
  const double mfu = static_cast<double>(per_token) *
                     static_cast<double>(entry.Number("tokens_per_s")) /
                     (static_cast<double>(entry.Number("devices")) *
                      static_cast<double>(entry.Number("peak_tflops")) * kTera);
  model_case.verdict.CompareNear("formula_mfu", entry.Find("formula_mfu"), mfu, 0.5e-5);
  // Published with three digits.
  model_case.verdict.CompareNear("expected_mfu", entry.Find("expected_mfu"), mfu, 0.5e-3);
  return true;
}

double Number(Fields& fields, const char* name) {
  const rapidjson::Value* value = fields.Find(name);
  if (value != nullptr && value->IsNumber()) return value->GetDouble();
  fields.Complain(std::string("no number \"") + name + "\"");
  return 0;
}

bool CheckFoundry(ModelCase& model_case) {
  Fields& args = model_case.args;
  const uint64_t length = args.Number("seq");
  const Flop flop = estimate::FoundryPerSequence(args.Number("nparams"), args.Number("layers"),
                                                 args.Number("d_model"), length);
  const double tokens_per_s = Number(args, "tokens_per_s");
  const double peak = Number(args, "gpus") * Number(args, "peak_tflops") * kTera;
  const bool is_checkpointed = args.Flag("activation_checkpointing");
  if (!args.error().empty() || length == 0 || peak <= 0) return args.error().empty() ? false : true;
  Fields& entry = model_case.entry;
  model_case.verdict.CompareWide("flops", entry.Find("flops"), flop);
  const double mfu = static_cast<double>(flop) / static_cast<double>(length) * tokens_per_s / peak;
  const double hfu = is_checkpointed ? mfu * 4 / 3 : mfu;
  const double tolerance = entry.Has("tolerance") ? Number(entry, "tolerance") : 0.5e-3;
  model_case.verdict.CompareNear("formula_mfu", entry.Find("formula_mfu"), mfu, 1e-6);
  model_case.verdict.CompareNear("expected_mfu", entry.Find("expected_mfu"), mfu, tolerance);
  model_case.verdict.CompareNear("expected_hfu", entry.Find("expected_hfu"), hfu,
                                 tolerance * 4 / 3);
  return true;
}

}  // namespace

bool CheckParameterCount(ModelCase& model_case) {
  if (model_case.op == "model_train_flops_per_sequence") return CheckFoundry(model_case);
  if (model_case.op != "model_train_flops_per_token") return false;
  return model_case.source.find("torchtitan") != std::string::npos ? CheckTorchtitan(model_case)
                                                                   : CheckPalm(model_case);
}

}  // namespace mfutrace::cli
