// Cases of reference vectors about whole models: recomputed by the convention of the case's own
// source. Reads op, source and args for the work, and compares every figure the case states that
// the convention defines, within the case's own tolerance where it gives one.
//
// One function a source; each returns false if the case's arguments are not those it knows.
#pragma once

#include <rapidjson/document.h>

#include <string>

#include "cli/case_verdict.h"
#include "cli/json_fields.h"
#include "cli/shapes_check.h"

namespace mfutrace::cli {

// For CheckShapes.
ModelAnswer CheckModelCase(const std::string& op, const rapidjson::Value& entry,
                           CaseVerdict* verdict);

// A case taken apart: `entry` holds the figures, `args` the model and the step.
struct ModelCase {
  std::string op;
  std::string source;
  Fields& entry;
  Fields& args;
  CaseVerdict& verdict;
};

bool CheckMegatron(ModelCase& model_case);
bool CheckVllm(ModelCase& model_case);
bool CheckVerl(ModelCase& model_case);
bool CheckMaxText(ModelCase& model_case);
bool CheckNemoRl(ModelCase& model_case);
bool CheckNarayanan(ModelCase& model_case);
bool CheckKorthikanti(ModelCase& model_case);
bool CheckParameterCount(ModelCase& model_case);  // torchtitan, nanoGPT, PaLM, llm-foundry

}  // namespace mfutrace::cli
