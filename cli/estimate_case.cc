#include "cli/estimate_case.h"

#include <string_view>

namespace mfutrace::cli {
namespace {

struct Source {
  std::string_view mark;  // what only this source's text holds
  bool (*check)(ModelCase&);
};

constexpr Source kSources[] = {
    {"NVIDIA/Megatron-LM", CheckMegatron},
    {"vllm-project/vllm", CheckVllm},
    {"volcengine/verl", CheckVerl},
    {"/maxtext", CheckMaxText},
    {"NeMo", CheckNemoRl},
    {"Narayanan 2021", CheckNarayanan},
    {"Korthikanti 2022", CheckKorthikanti},
    {"torchtitan", CheckParameterCount},
    {"nanoGPT", CheckParameterCount},
    {"PaLM", CheckParameterCount},
    {"llm-foundry", CheckParameterCount},
};

bool IsModelOperation(const std::string& op) {
  return op.starts_with("model_") || op == "attention_train_total";
}

}  // namespace

ModelAnswer CheckModelCase(const std::string& op, const rapidjson::Value& entry,
                           CaseVerdict* verdict) {
  if (!IsModelOperation(op)) return ModelAnswer::kNotAModel;
  const rapidjson::Value nothing(rapidjson::kObjectType);
  Fields fields(entry);
  const rapidjson::Value* arguments = fields.Find("args");
  if (arguments != nullptr && !arguments->IsObject()) {
    verdict->Fail("\"args\" is not an object");
    return ModelAnswer::kChecked;
  }
  Fields args(arguments == nullptr ? nothing : *arguments);
  ModelCase model_case{op, fields.Text("source"), fields, args, *verdict};
  for (const Source& source : kSources) {
    if (model_case.source.find(source.mark) == std::string::npos) continue;
    if (!source.check(model_case)) return ModelAnswer::kUnknown;
    if (!args.error().empty()) verdict->Fail(args.error());
    if (!fields.error().empty()) verdict->Fail(fields.error());
    return ModelAnswer::kChecked;
  }
  return ModelAnswer::kUnknown;
}

}  // namespace mfutrace::cli
