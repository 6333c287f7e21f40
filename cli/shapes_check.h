// Holds the arithmetic of shapes/ against a file of cases with figures from elsewhere: public
// tests, public formulas, published tables.
//
// A file is a JSON array of cases: id, op, args (or calls), flops, bytes, agrees_with_recommended.
// What is compared, by case:
//   agrees_with_recommended true     flops with the executed FLOPs, bytes with the least bytes
//   any recommended figure           recommended_executed_flops, flops_recommended and
//                                    flops_exact_causal with executed, recommended_model_flops and
//                                    flops_recommended_model with model FLOPs, bytes_recommended
//   false, and no such figure        flops with the source's own convention where args name it
//                                    (counted_as, epilogue_counted), else flops must not be ours
//   whatever else a case states      pairs, full_rectangle, flops_model, flops_needed_taps,
//                                    if_only_max_known, algo_bytes, reduction_adds_all_ranks
//   calls                            each call's own flops, flops_exact, flops_exact_executed and
//                                    flops_full, calls_sum, and their sum as the case's figures
// Skipped is only a case whose agrees_with_recommended is null or absent and that has no
// recommended figure; an op without arithmetic is otherwise a failure.
#pragma once

#include <rapidjson/document.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/case_verdict.h"

namespace mfutrace::cli {

struct CheckResult {
  int passed = 0;
  int failed = 0;
  int skipped = 0;
  std::vector<std::string> lines;  // one a failing case: id, expected, got
};

// What a checker of whole models says of a case: not one of its operations, one that it compared
// (all mismatches are in the verdict), or one whose model or convention it does not know.
enum class ModelAnswer { kNotAModel, kChecked, kUnknown };
using ModelCheck = std::function<ModelAnswer(const std::string& op, const rapidjson::Value& entry,
                                             CaseVerdict* verdict)>;

// InvalidArgument, with `name` in its text, if `json` is not JSON or not an array. A text without
// any case is a result with nothing passed and one line.
absl::StatusOr<CheckResult> CheckShapes(const std::string& json, const std::string& name,
                                        const ModelCheck& check_model = nullptr);

}  // namespace mfutrace::cli
