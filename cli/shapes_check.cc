#include "cli/shapes_check.h"

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/case_verdict.h"
#include "cli/json_fields.h"
#include "cli/shapes_case.h"
#include "shapes/saturating.h"

namespace mfutrace::cli {
namespace {

enum class Agreement { kUnsaid, kYes, kNo };

bool HasRecommended(const rapidjson::Value& entry) {
  for (const auto& member : entry.GetObject()) {
    const std::string name(member.name.GetString(), member.name.GetStringLength());
    if (name == "agrees_with_recommended" || member.value.IsNull()) continue;
    if (name == "flops_exact_causal" || name.find("recommended") != std::string::npos) return true;
  }
  return false;
}

// One entry of `calls`: its own figures, which hold for all its repetitions.
void CheckCall(const rapidjson::Value& call, CaseVerdict* verdict, Figures* sum,
               uint64_t* stated_sum) {
  Fields fields(call);
  const std::string op = fields.Text("op");
  const std::string name = fields.Text("name", op);
  const uint64_t count = fields.Number("count", 1);
  const uint64_t passes = fields.Number("passes", 1);
  const uint64_t stated = fields.Number("flops", 0);
  if (!fields.error().empty()) return verdict->Fail("call " + name + ": " + fields.error());
  if (IsNoLibraryCall(op, name)) {
    *stated_sum = shapes::Sum(*stated_sum, stated);
    return;
  }
  const FiguresOrError result = FiguresOf(op, call);
  if (!result.figures.has_value()) return verdict->Fail("call " + name + ": " + result.error);
  Figures figures;
  AddFigures(*result.figures, count, &figures);
  AddFigures(figures, passes, sum);
  // A call's flops are those of all its repetitions, but of one pass or of all: both are in use.
  const bool is_one_pass = stated == figures.executed_flop;
  *stated_sum = shapes::Sum(*stated_sum, shapes::Product(is_one_pass ? passes : 1, stated));
  if (!is_one_pass) {
    const Figures one_pass = figures;
    figures = Figures();
    AddFigures(one_pass, passes, &figures);
  }
  // Attention's plain flops follow the source's convention; the exact ones stand beside it.
  if (fields.Has("flops_exact")) {
    verdict->Compare("call " + name + " flops_exact", fields.Find("flops_exact"),
                     figures.model_flop);
    verdict->Compare("call " + name + " flops_exact_executed", fields.Find("flops_exact_executed"),
                     figures.executed_flop);
    verdict->Compare("call " + name + " flops_full", fields.Find("flops_full"),
                     figures.full_model_flop);
  } else {
    verdict->Compare("call " + name + " flops", fields.Find("flops"), figures.executed_flop);
  }
}

FiguresOrError FiguresOfCalls(const rapidjson::Value& calls, Fields& entry, CaseVerdict* verdict) {
  if (!calls.IsArray() || calls.Empty()) return {std::nullopt, "\"calls\" is not a list of calls"};
  Figures sum;
  sum.is_model = true;
  uint64_t stated_sum = 0;
  for (const rapidjson::Value& call : calls.GetArray()) {
    CheckCall(call, verdict, &sum, &stated_sum);
  }
  verdict->Compare("calls_sum", entry.Find("calls_sum"), stated_sum);
  return {sum, ""};
}

void CheckPairs(const rapidjson::Value* stated, const std::vector<uint64_t>& pairs,
                CaseVerdict* verdict) {
  if (stated == nullptr) return;
  if (!stated->IsArray()) {
    return verdict->Compare("pairs", stated,
                            pairs.size() == 1 ? std::optional(pairs[0]) : std::nullopt);
  }
  if (stated->Size() != pairs.size()) {
    return verdict->Fail(
        absl::StrCat("pairs: expected ", stated->Size(), " numbers, got ", pairs.size()));
  }
  for (rapidjson::SizeType i = 0; i < stated->Size(); ++i) {
    verdict->Compare(absl::StrCat("pairs[", i, "]"), &(*stated)[i], pairs[i]);
  }
}

void CheckBytes(Fields& entry, Agreement agreement, const Figures& figures, CaseVerdict* verdict) {
  // The bytes of a whole model are its source's estimate.
  if (figures.is_model) return;
  if (entry.Has("bytes_recommended")) {
    return verdict->Compare("bytes", entry.Find("bytes_recommended"), figures.least_bytes);
  }
  if (entry.Flag("bytes_agree", agreement == Agreement::kYes)) {
    verdict->Compare("bytes", entry.Find("bytes"), figures.least_bytes);
  }
}

void CheckFigures(Fields& entry, Agreement agreement, bool has_recommended, const Figures& figures,
                  CaseVerdict* verdict) {
  const auto compare = [&](const char* name, std::optional<uint64_t> ours) {
    verdict->Compare(name, entry.Find(name), ours);
  };
  if (agreement == Agreement::kYes) {
    if (!entry.Has("flops")) verdict->Fail("no \"flops\"");
    compare("flops", figures.executed_flop);
  }
  compare("flops_recommended", figures.executed_flop);
  compare("flops_exact_causal", figures.executed_flop);
  compare("recommended_executed_flops", figures.executed_flop);
  compare("recommended_model_flops", figures.model_flop);
  compare("flops_recommended_model", figures.model_flop);
  // The 3m complex product has its 8mnk equivalent under this name; attention its four products.
  compare("flops_model",
          figures.kept_pairs.empty() ? figures.conventional_flop : figures.model_flop);
  compare("full_rectangle", figures.full_executed_flop);
  compare("if_only_max_known", figures.longest_flop);
  compare("flops_needed_taps", figures.needed_taps_flop);
  compare("algo_bytes", figures.algorithm_bytes);
  compare("reduction_adds_all_ranks", figures.reduction_adds);
  CheckPairs(entry.Find("pairs"), figures.kept_pairs, verdict);
  CheckBytes(entry, agreement, figures, verdict);

  if (agreement != Agreement::kNo || has_recommended) return;
  if (figures.source_flop.has_value()) return compare("flops", figures.source_flop);
  const rapidjson::Value* flops = entry.Find("flops");
  if (flops == nullptr) return verdict->Fail("no \"flops\"");
  if (WholeNumber(*flops) == figures.executed_flop) {
    verdict->Fail(absl::StrCat("flops: expected another convention's figure, got ours, ",
                               figures.executed_flop));
  }
}

void CheckCase(const rapidjson::Value& entry, size_t index, const ModelCheck& check_model,
               CheckResult* result) {
  const auto fail = [result](const std::string& id, const std::string& text) {
    ++result->failed;
    result->lines.push_back(id + ": " + text);
  };
  if (!entry.IsObject()) return fail(absl::StrCat("case ", index + 1), "is not an object");
  Fields fields(entry);
  const std::string id = fields.Text("id", absl::StrCat("case ", index + 1));
  const std::string op = fields.Text("op");
  Agreement agreement = Agreement::kUnsaid;
  if (fields.Has("agrees_with_recommended")) {
    agreement = fields.Flag("agrees_with_recommended") ? Agreement::kYes : Agreement::kNo;
  }
  if (!fields.error().empty()) return fail(id, fields.error());
  const bool has_recommended = HasRecommended(entry);
  const bool may_skip = agreement == Agreement::kUnsaid && !has_recommended;
  CaseVerdict verdict;
  const rapidjson::Value* calls = fields.Find("calls");
  const rapidjson::Value* args = fields.Find("args");
  const ModelAnswer answer =
      check_model == nullptr ? ModelAnswer::kNotAModel : check_model(op, entry, &verdict);
  if (may_skip && answer != ModelAnswer::kChecked) {
    ++result->skipped;
    return;
  }
  if (answer != ModelAnswer::kNotAModel && calls == nullptr) {
    if (answer == ModelAnswer::kUnknown) verdict.Fail("no arithmetic for its model");
    if (!verdict.failure().empty()) return fail(id, verdict.failure());
    ++result->passed;
    return;
  }

  const rapidjson::Value nothing(rapidjson::kObjectType);
  const FiguresOrError figures = calls != nullptr
                                     ? FiguresOfCalls(*calls, fields, &verdict)
                                     : FiguresOf(op, args == nullptr ? nothing : *args);
  if (figures.figures.has_value()) {
    CheckFigures(fields, agreement, has_recommended, *figures.figures, &verdict);
    if (has_recommended && !verdict.has_compared()) {
      verdict.Fail("no comparison for its recommended field");
    }
  } else {
    verdict.Fail(figures.error);
  }
  if (!fields.error().empty()) verdict.Fail(fields.error());
  if (!verdict.failure().empty()) return fail(id, verdict.failure());
  ++result->passed;
}

}  // namespace

absl::StatusOr<CheckResult> CheckShapes(const std::string& json, const std::string& name,
                                        const ModelCheck& check_model) {
  CheckResult result;
  if (json.find_first_not_of(" \t\r\n") == std::string::npos) {
    result.lines.push_back(name + ": empty, nothing was checked");
    return result;
  }
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseFullPrecisionFlag>(json.data(),
                                                                                      json.size());
  if (document.HasParseError()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " is not JSON: ", rapidjson::GetParseError_En(document.GetParseError()),
                     " (byte ", document.GetErrorOffset(), ")"));
  }
  if (!document.IsArray()) {
    return absl::InvalidArgumentError(
        name + " is not a list of cases: a JSON array of objects with id, op, args and flops");
  }
  if (document.Empty()) result.lines.push_back(name + ": empty, nothing was checked");
  for (rapidjson::SizeType i = 0; i < document.Size(); ++i)
    CheckCase(document[i], i, check_model, &result);
  return result;
}

}  // namespace mfutrace::cli
