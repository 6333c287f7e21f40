// Cases from vLLM: a step of requests, or one component of it on one GPU.
#include <rapidjson/document.h>

#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "cli/estimate_case.h"
#include "report/estimate/conventions/vllm.h"

namespace mfutrace::cli {
namespace {

namespace estimate = report::estimate;
using estimate::Flop;
using estimate::Sequences;

// [tokens, context, is prefill].
std::optional<Sequences> RequestOf(const rapidjson::Value& value) {
  if (!value.IsArray() || value.Size() != 3 || !value[2].IsBool()) return std::nullopt;
  const std::optional<uint64_t> tokens = WholeNumber(value[0]);
  const std::optional<uint64_t> context = WholeNumber(value[1]);
  if (!tokens.has_value() || !context.has_value()) return std::nullopt;
  return Sequences{*tokens, *context, 1, value[2].GetBool()};
}

// "64 x [1, 4096, False]", several of them with " + " or ";" between.
bool ReadRequestText(const std::string& text, estimate::Batch* batch) {
  for (absl::string_view part : absl::StrSplit(text, absl::ByAnyChar("+;"))) {
    const std::vector<std::string> sides = absl::StrSplit(part, absl::MaxSplits('x', 1));
    uint64_t count = 1;
    if (sides.size() == 2 && !absl::SimpleAtoi(sides[0], &count)) return false;
    absl::string_view request = sides.back();
    request = absl::StripAsciiWhitespace(request);
    if (!absl::ConsumePrefix(&request, "[") || !absl::ConsumeSuffix(&request, "]")) return false;
    const std::vector<std::string> fields = absl::StrSplit(request, ',');
    Sequences sequences;
    sequences.count = count;
    if (fields.size() != 3 || !absl::SimpleAtoi(fields[0], &sequences.queries) ||
        !absl::SimpleAtoi(fields[1], &sequences.context) ||
        !absl::SimpleAtob(absl::StripAsciiWhitespace(fields[2]), &sequences.is_prefill)) {
      return false;
    }
    batch->sequences.push_back(sequences);
  }
  return true;
}

std::optional<estimate::Batch> BatchOf(Fields& args) {
  const rapidjson::Value* requests = args.Find("requests");
  estimate::Batch batch;
  if (requests != nullptr && requests->IsString()) {
    if (!ReadRequestText(requests->GetString(), &batch)) return std::nullopt;
    return batch;
  }
  if (requests == nullptr || !requests->IsArray()) return std::nullopt;
  for (const rapidjson::Value& value : requests->GetArray()) {
    const std::optional<Sequences> request = RequestOf(value);
    if (!request.has_value()) return std::nullopt;
    batch.sequences.push_back(*request);
  }
  return batch;
}

estimate::VllmModel ModelOf(Fields& args) {
  estimate::VllmModel model;
  model.layers = args.Number("L");
  model.hidden = args.Number("D");
  model.heads = args.Number("q");
  model.kv_heads = args.Number("kv");
  model.head_dim = args.Number("d");
  model.vocab = args.Number("V", 0);
  model.ffn = args.Number("DI", 0);
  model.experts_per_token = args.Number("E", 0);
  model.expert_ffn = args.Number("MI", 0);
  model.experts = args.Number("NE", 0);
  model.shared_experts = args.Number("S", 0);
  model.moe_layers = args.Number("Lm", model.experts == 0 ? 0 : model.layers);
  model.tensor_parallel = args.Number("tp", 1);
  model.pipeline_parallel = args.Number("pp", 1);
  model.data_parallel = args.Number("dp", 1);
  const rapidjson::Value* ep = args.Find("ep");
  model.has_expert_parallel =
      ep != nullptr && (ep->IsBool() ? ep->GetBool() : WholeNumber(*ep).value_or(0) > 1);
  if (const rapidjson::Value* bytes = args.Find("weight_bytes"); bytes != nullptr) {
    if (bytes->IsNumber()) model.weight_half_bytes = static_cast<uint64_t>(2 * bytes->GetDouble());
  }
  model.activation_bytes = args.Number("activation_bytes", 2);
  model.cache_bytes = args.Number("cache_bytes", 2);
  return model;
}

void CompareBreakdown(ModelCase& model_case, const estimate::VllmStep& step) {
  const rapidjson::Value* stated = model_case.entry.Find("flops_breakdown");
  if (stated == nullptr) return;
  if (!stated->IsObject()) return model_case.verdict.Fail("\"flops_breakdown\" is not an object");
  for (const auto& member : stated->GetObject()) {
    const std::string name(member.name.GetString(), member.name.GetStringLength());
    const auto ours = step.flop.find(name);
    model_case.verdict.CompareWide(
        "flops_breakdown " + name, &member.value,
        ours == step.flop.end() ? std::nullopt : std::optional(ours->second));
  }
}

// "attention", "ffn (MoE top-2, same width)", "unembed": vLLM's component by its first word.
std::optional<std::string> ComponentNamed(const std::string& name) {
  if (name.starts_with("att")) return "attn";
  for (const char* word : {"ffn", "mlp", "moe", "dense", "routed", "shared"}) {
    if (name.find(word) != std::string::npos) return "ffn";
  }
  if (name.starts_with("unembed") || name.starts_with("logits")) return "unembed";
  return std::nullopt;
}

}  // namespace

bool CheckVllm(ModelCase& model_case) {
  Fields& args = model_case.args;
  const std::optional<estimate::Batch> batch = BatchOf(args);
  if (!batch.has_value()) return false;
  const estimate::VllmModel model = ModelOf(args);
  if (!args.error().empty()) return true;
  Fields& entry = model_case.entry;
  CaseVerdict& verdict = model_case.verdict;
  const estimate::VllmStep step = estimate::CountVllm(model, *batch);
  if (model_case.op == "model_component") {
    const std::optional<std::string> component = ComponentNamed(args.Text("component"));
    if (!component.has_value()) return false;
    verdict.CompareWide("flops", entry.Find("flops"), step.component_flop(*component));
    estimate::VllmModel whole = model;
    whole.tensor_parallel = whole.pipeline_parallel = whole.data_parallel = 1;
    whole.has_expert_parallel = false;
    verdict.CompareWide("global_flops", entry.Find("global_flops"),
                        estimate::CountVllm(whole, *batch).component_flop(*component));
    return true;
  }
  if (model_case.op != "model_infer_step") return false;
  verdict.CompareWide("flops", entry.Find("flops"), step.total_flop());
  verdict.CompareWide("bytes", entry.Find("bytes"), step.read_bytes + step.write_bytes);
  verdict.CompareWide("read_bytes", entry.Find("read_bytes"), step.read_bytes);
  verdict.CompareWide("write_bytes", entry.Find("write_bytes"), step.write_bytes);
  CompareBreakdown(model_case, step);
  const Flop exact = estimate::ExactVllmFlop(model, *batch);
  for (const char* field :
       {"recommended_executed_flops", "recommended_model_flops", "flops_recommended"}) {
    verdict.CompareWide(field, entry.Find(field), exact);
  }
  return true;
}

}  // namespace mfutrace::cli
