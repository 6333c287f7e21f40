// See json_serving.h.
#include "report/render/json_serving.h"

#include "report/analyze/rates.h"
#include "report/render/json_writer.h"

namespace mfutrace::report {
namespace {

std::string DistributionText(const std::optional<Distribution>& values) {
  if (!values.has_value()) return "null";
  return Object()
      .Add("count", Value(values->count))
      .Add("mean", Value(values->mean))
      .Add("p50", Value(values->p50))
      .Add("p95", Value(values->p95))
      .Add("max", Value(values->max))
      .Text();
}

std::string BoolText(bool value) { return value ? "true" : "false"; }

template <typename T>
std::string Inline(const std::vector<T>& items, std::string (*render)(const T&)) {
  std::string text;
  for (const T& item : items) text += (text.empty() ? "" : ", ") + render(item);
  return "[" + text + "]";
}

std::string SliceText(const LoadSlice& slice) {
  return Object()
      .Add("begin_ns", Value(slice.begin_ns))
      .Add("busy", Value(slice.busy))
      .Add("mfu", Value(slice.mfu))
      .Add("new_tokens", Value(slice.new_tokens))
      .Text();
}

std::string RoleText(const RoleResult& role) {
  return Object()
      .Add("role", TextOrNull(role.role))
      .Add("devices", Value(role.devices))
      .Add("window_ns", Value(role.window_ns))
      .Add("busy_ns", Value(role.busy_ns))
      .Add("idle_in_step_ns", Value(role.idle_in_step_ns))
      .Add("waiting_ns", Value(role.waiting_ns))
      .Add("mfu_busy", Value(role.mfu_busy))
      .Add("mfu_wall", Value(role.mfu_wall))
      .Add("mbu_busy", Value(role.mbu_busy))
      .Add("mbu_wall", Value(role.mbu_wall))
      .Add("tokens_out", Value(role.tokens_out))
      .Add("tokens_out_per_s", Value(role.tokens_out_per_s))
      .Add("joules_per_token", Value(role.joules_per_token))
      .Add("slice_ns", Value(role.slice_ns))
      .Add("busy", DistributionText(role.busy))
      .Add("load", Inline(role.load, SliceText))
      .Text();
}

std::string PhaseText(const PhaseResult& phase) {
  return Object()
      .Add("role", TextOrNull(phase.role))
      .Add("model", TextOrNull(phase.model))
      .Add("phase", Value(phase.phase))
      .Add("passes", Value(phase.passes))
      .Add("attention_calls", Value(phase.attention_calls))
      .Add("calls", Value(phase.calls))
      .Add("flop_executed", Value(phase.flop_executed))
      .Add("flop_model", Value(phase.flop_model))
      .Add("flop_useful", Value(phase.flop_useful))
      .Add("flop_bound", phase.flop_executed.has_value() ? Value(phase.flop_bound) : "null")
      .Add("bytes_least", Value(phase.bytes_least))
      .Add("busy_ns", Value(phase.busy_ns))
      .Add("span_ns", Value(phase.span_ns))
      .Add("mfu_busy", Value(phase.mfu_busy))
      .Add("mfu_span", Value(phase.mfu_span))
      .Add("mbu_busy", Value(phase.mbu_busy))
      .Add("new_tokens", Value(phase.new_tokens))
      .Add("tokens_are_bounds", BoolText(phase.tokens_are_bounds))
      .Add("context_tokens", Value(phase.context_tokens))
      .Add("kv_bytes_read", Value(phase.kv_bytes_read))
      .Add("kv_is_bound", BoolText(phase.kv_is_bound))
      .Add("tokens_per_s", Value(phase.tokens_per_s))
      .Add("sequences", DistributionText(phase.sequences))
      .Add("pass_ns", DistributionText(phase.pass_ns))
      .Text();
}

std::string SpeculationText(const SpeculationResult& sums) {
  return Object()
      .Add("role", TextOrNull(sums.role))
      .Add("steps", Value(sums.steps))
      .Add("draft_passes", Value(sums.draft_passes))
      .Add("drafted", Value(sums.drafted))
      .Add("sequence_steps", Value(sums.sequence_steps))
      .Add("sequence_steps_known", Value(sums.sequence_steps_known))
      .Add("drafted_known", Value(sums.drafted_known))
      .Add("accepted", Value(sums.accepted))
      .Add("tokens", Value(sums.tokens))
      .Add("acceptance", Value(AcceptanceRate(sums)))
      .Add("tokens_per_pass", Value(TokensPerPass(sums)))
      .Add("verify_flop", Value(sums.verify_flop))
      .Add("verify_flop_known", Value(sums.verify_flop_known))
      .Add("verify_flop_useful", Value(sums.verify_flop_useful))
      .Add("draft_flop", Value(sums.draft_flop))
      .Add("executed_over_useful", Value(ExecutedOverUseful(sums)))
      .Text();
}

std::string ExpertText(const ExpertsResult& experts) {
  std::string rows;
  for (const uint64_t count : experts.rows_by_expert) {
    rows += (rows.empty() ? "" : ", ") + Value(count);
  }
  return Object()
      .Add("label", Value(experts.label))
      .Add("experts", Value(experts.experts))
      .Add("calls", Value(experts.calls))
      .Add("flop_executed", Value(experts.flop_executed))
      .Add("rows", Value(experts.rows))
      .Add("rows_are_known", BoolText(experts.rows_are_known))
      .Add("rows_by_expert", experts.rows_by_expert.empty() ? "null" : "[" + rows + "]")
      .Add("imbalance", DistributionText(experts.imbalance))
      .Add("imbalance_of_sums", Value(experts.imbalance_of_sums))
      .Add("idle_share", Value(experts.idle_share))
      .Add("router_experts", Value(experts.router_experts))
      .Add("router_tokens", Value(experts.router_tokens))
      .Add("active_share", Value(experts.active_share))
      .Text();
}

std::string MemberText(const ExpertExchange::Member& member) {
  return Object()
      .Add("rank", RankOrNull(member.rank))
      .Add("sent_bytes", Value(member.sent_bytes))
      .Add("received_bytes", Value(member.received_bytes))
      .Text();
}

std::string ExchangeText(const ExpertExchange& exchange) {
  return Object()
      .Add("communicator", TextOrNull(exchange.communicator))
      .Add("imbalance", Value(exchange.imbalance))
      .Add("members", Inline(exchange.members, MemberText))
      .Text();
}

std::string NoteText(const std::string& note) { return Value(note); }

}  // namespace

std::string ServingText(const std::optional<ServingResult>& serving) {
  if (!serving.has_value()) return "null";
  return Object()
      .Add("roles", Array(serving->roles, RoleText))
      .Add("phases", Array(serving->phases, PhaseText))
      .Add("speculation", Array(serving->speculation, SpeculationText))
      .Add("notes", Inline(serving->notes, NoteText))
      .Text();
}

std::string ExpertsText(const RunResult& result) {
  if (result.experts.empty() && result.exchanges.empty()) return "null";
  return Object()
      .Add("products", Array(result.experts, ExpertText))
      .Add("exchanges", Array(result.exchanges, ExchangeText))
      .Text();
}

std::string AttentionRecomputeText(const std::optional<AttentionRecompute>& sums) {
  if (!sums.has_value()) return "null";
  return Object()
      .Add("forward_calls", Value(sums->forward_calls))
      .Add("backward_calls", Value(sums->backward_calls))
      .Add("recomputed_calls", Value(sums->recomputed_calls))
      .Add("flop", Value(sums->flop))
      .Text();
}

}  // namespace mfutrace::report
