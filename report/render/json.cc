// Writes the JSON object of a run.
#include "report/render/json.h"

#include <string_view>

#include "report/analyze/rates.h"
#include "report/render/json_serving.h"
#include "report/render/json_writer.h"

namespace mfutrace::report {
namespace {

void AddTimes(const TimeSplit& split, Object& object) {
  object.Add("window_ns", Value(split.window_ns))
      .Add("compute_ns", Value(split.compute_ns))
      .Add("comm_ns", Value(split.comm_ns))
      .Add("compute_only_ns", Value(split.compute_only_ns))
      .Add("overlapped_ns", Value(split.overlapped_ns))
      .Add("exposed_ns", Value(split.exposed_ns))
      .Add("mem_only_ns", Value(split.mem_only_ns))
      .Add("idle_ns", Value(split.idle_ns))
      .Add("unattributed_ns", Value(split.unattributed_ns));
}

std::string FlopByKindText(const FlopSums& flop) {
  Object object;
  for (const char* kind : {"gemm", "attention", "convolution", "rnn", "other"}) {
    const auto found = flop.executed_by_kind.find(kind);
    const bool is_known = flop.executed.has_value();
    const Flop sum = found == flop.executed_by_kind.end() ? Flop(0) : found->second;
    object.Add(kind, is_known ? Value(sum) : "null");
  }
  return object.Text();
}

std::string CoverageText(const std::optional<std::map<std::string, double>>& coverage) {
  if (!coverage.has_value()) return "null";
  Object object;
  for (const auto& [provenance, share] : *coverage) object.Add(provenance, Value(share));
  return object.Text();
}

// Fractions of the window sum to 1.
std::string BudgetText(const std::vector<BudgetLine>& budget, int64_t window_ns) {
  std::string text;
  for (const BudgetLine& line : budget) {
    Object object;
    object.Add("name", Value(line.name))
        .Add("fraction", Value(Ratio(line.ns, window_ns)))
        .Add("strategy", TextOrNull(line.strategy))
        .Add("ns", Value(line.ns));
    text += (text.empty() ? "" : ", ") + object.Text();
  }
  return "[" + text + "]";
}

std::string WhatIfText(const std::vector<WhatIf>& what_ifs) {
  std::string text;
  for (const WhatIf& what_if : what_ifs) {
    Object object;
    object.Add("name", Value(what_if.name))
        .Add("strategy", TextOrNull(what_if.strategy))
        .Add("mfu", Value(what_if.mfu));
    text += (text.empty() ? "" : ", ") + object.Text();
  }
  return "[" + text + "]";
}

std::string ClockText(const std::optional<ClockResult>& clock) {
  if (!clock.has_value()) return "null";
  std::string offsets;
  for (const ClockOffset& offset : clock->offsets) {
    Object object;
    object.Add("rank", RankOrNull(offset.rank))
        .Add("device", RankOrNull(offset.device))
        .Add("offset_ns", Value(offset.offset_ns))
        .Add("drift_ppm", Value(offset.drift_ppm))
        .Add("residual_ns", Value(offset.residual_ns));
    offsets += (offsets.empty() ? "" : ", ") + object.Text();
  }
  Object spread;
  spread.Add("median_ns", Value(clock->end_spread_median_ns))
      .Add("p95_ns", Value(clock->end_spread_p95_ns))
      .Add("max_ns", Value(clock->end_spread_max_ns));
  return Object()
      .Add("offsets", "[" + offsets + "]")
      .Add("residual_ns", Value(clock->residual_ns))
      .Add("end_spread", spread.Text())
      .Add("collectives", Value(clock->collectives))
      .Text();
}

std::string SamplingText(const std::optional<SamplingResult>& sampling) {
  if (!sampling.has_value()) return "null";
  return Object()
      .Add("asked", TextOrNull(sampling->asked))
      .Add("windows", Value(sampling->windows))
      .Add("timed_ns", Value(sampling->timed_ns))
      .Add("run_ns", Value(sampling->run_ns))
      .Add("timed_share", Value(Ratio(sampling->timed_ns, sampling->run_ns)))
      .Add("calls_outside", Value(sampling->calls_outside))
      .Add("timed_calls_per_s", Value(sampling->timed_calls_per_s))
      .Add("untimed_calls_per_s", Value(sampling->untimed_calls_per_s))
      .Add("cost_ratio", Value(sampling->cost_ratio))
      .Text();
}

std::string OwnCostText(const std::optional<OwnCostResult>& cost) {
  if (!cost.has_value()) return "null";
  return Object()
      .Add("ns_per_call", Value(cost->ns_per_call))
      .Add("flusher_cpu_ns", Value(cost->flusher_cpu_ns))
      .Add("flusher_share", Value(cost->flusher_share))
      .Add("event_gpu_ns", Value(cost->event_gpu_ns))
      .Add("event_resolution_ns", Value(cost->event_resolution_ns))
      .Text();
}

std::string WindowText(const RunResult& result, const WindowSummary& window) {
  Object object;
  object.Add("gpu", TextOrNull(result.gpu))
      .Add("world_size", SizeOrNull(result.world_size))
      .Add("devices", Value(result.devices))
      .Add("window_ns", Value(window.window_ns))
      .Add("flop_executed", Value(window.flop.executed))
      .Add("flop_model", Value(window.flop.model))
      .Add("flop_full_attention", Value(window.flop.full_attention))
      .Add("flop_bound",
           window.flop.executed.has_value() ? Value(window.flop.executed_bound) : "null")
      .Add("flop_by_kind", FlopByKindText(window.flop))
      .Add("peak_flop_per_s", Value(window.peak_flop_per_s))
      .Add("mfu", Value(window.mfu))
      .Add("hfu", Value(window.hfu))
      .Add("mfu_of_measured", Value(window.mfu_of_measured))
      .Add("measured_flop_per_s", Value(window.measured_flop_per_s))
      .Add("timing", TextOrNull(result.timing))
      .Add("sampling", SamplingText(result.sampling))
      .Add("own_cost", OwnCostText(result.own_cost))
      .Add("coverage", CoverageText(window.coverage))
      .Add("steps_found_by", TextOrNull(result.steps_found_by))
      .Add("clock", ClockText(result.clock))
      .Add("budget", BudgetText(window.budget, TimedNs(window)))
      .Add("what_if", WhatIfText(window.what_if));
  return object.Text();
}

std::string RankText(const RankResult& rank) {
  Object object;
  object.Add("rank", RankOrNull(rank.rank)).Add("device", RankOrNull(rank.device));
  AddTimes(rank.split, object);
  object.Add("run_ns", Value(RunNs(rank)))
      .Add("flop_executed", Value(rank.flop_executed))
      .Add("dropped", Value(rank.dropped))
      .Add("untimed", Value(rank.untimed))
      .Add("wait_ns", Value(rank.wait_ns))
      .Add("transfer_ns", Value(rank.transfer_ns))
      .Add("times_last", Value(rank.times_last))
      .Add("caused_wait_ns", Value(rank.caused_wait_ns))
      .Add("budget", BudgetText(rank.budget, rank.split.window_ns));
  return object.Text();
}

std::string StepText(const StepResult& step) {
  Object object;
  object.Add("rank", RankOrNull(step.rank))
      .Add("index", Value(step.index))
      .Add("name", TextOrNull(step.name));
  AddTimes(step.split, object);
  object.Add("budget", BudgetText(step.budget, step.split.window_ns));
  return object.Text();
}

std::string OpText(const OpResult& op) {
  Object object;
  object.Add("label", Value(op.label))
      .Add("kind", Value(op.kind))
      .Add("dtype", TextOrNull(op.dtype))
      .Add("calls", Value(op.calls))
      .Add("flop_executed", Value(op.flop_executed))
      .Add("flop_model", Value(op.flop_model))
      .Add("bytes_least", Value(op.bytes_least))
      .Add("flop_per_byte", Value(FlopPerByte(op)))
      .Add("time_ns", Value(op.time_ns))
      .Add("timed_calls", Value(op.timed_calls))
      .Add("peak_flop_per_s", Value(op.peak_flop_per_s))
      .Add("memory_bytes_per_s", Value(op.memory_bytes_per_s))
      .Add("of_peak", Value(OfPeak(op)))
      .Add("bound", TextOrNull(op.bound))
      .Add("roofline_ns_per_call", Value(op.roofline_ns_per_call))
      .Add("of_roofline", Value(OfRoofline(op)))
      .Add("provenance", TextOrNull(op.provenance));
  return object.Text();
}

std::string RankListText(const std::vector<int32_t>& ranks) {
  if (ranks.empty()) return "null";  // a communicator without members does not exist
  std::string text;
  for (const int32_t rank : ranks) text += (text.empty() ? "[" : ", ") + RankOrNull(rank);
  return text + "]";
}

// {"rank": times}; null where nobody's waiting is known.
std::string TimesLastText(const CommunicatorResult& communicator) {
  if (!communicator.wait_ns.has_value()) return "null";
  Object object;
  for (const auto& [rank, times] : communicator.times_last) {
    object.Add(std::to_string(rank), Value(times));
  }
  return object.Text();
}

std::string CommunicatorText(const CommunicatorResult& communicator) {
  Object ops;
  for (const auto& [name, calls] : communicator.ops) ops.Add(name, Value(calls));
  Object object;
  object.Add("id", TextOrNull(communicator.id))
      .Add("name", TextOrNull(communicator.name))
      .Add("size", SizeOrNull(communicator.size))
      .Add("ranks", RankListText(communicator.ranks))
      .Add("ops", ops.Text())
      .Add("strategy", TextOrNull(communicator.strategy))
      .Add("runner_up", TextOrNull(communicator.runner_up))
      .Add("evidence", TextOrNull(communicator.evidence))
      .Add("is_ambiguous", communicator.is_ambiguous ? "true" : "false")
      .Add("bytes", Value(communicator.bytes))
      .Add("time_ns", Value(communicator.time_ns))
      .Add("exposed_ns", Value(communicator.exposed_ns))
      .Add("exposed_shared_ns", Value(communicator.exposed_ns))
      .Add("exposed_exclusive_ns", Value(communicator.exposed_exclusive_ns))
      .Add("exposed_touch_ns", Value(communicator.exposed_touch_ns))
      .Add("exposed_wait_ns", Value(communicator.exposed_wait_ns))
      .Add("wait_ns", Value(communicator.wait_ns))
      .Add("transfer_ns", Value(communicator.transfer_ns))
      .Add("transfer_bus_bytes", Value(communicator.transfer_bus_bytes))
      .Add("times_last", TimesLastText(communicator));
  return object.Text();
}

std::string StragglerText(const StragglerResult& straggler) {
  Object object;
  object.Add("kind", Value(straggler.kind))
      .Add("ranks", RankListText(straggler.ranks))
      .Add("factor", Value(straggler.factor))
      .Add("caused_wait_ns", Value(straggler.caused_wait_ns))
      .Add("steps", Value(straggler.steps))
      .Add("of_steps", Value(straggler.of_steps))
      .Add("evidence", TextOrNull(straggler.evidence));
  return object.Text();
}

std::string CourseText(const CoursePoint& point) {
  return Object()
      .Add("first_step", Value(point.first_step))
      .Add("last_step", Value(point.last_step))
      .Add("mfu_min", Value(point.mfu_min))
      .Add("mfu_median", Value(point.mfu_median))
      .Add("mfu_max", Value(point.mfu_max))
      .Add("step_min_ns", Value(point.step_min_ns))
      .Add("step_median_ns", Value(point.step_median_ns))
      .Add("step_max_ns", Value(point.step_max_ns))
      .Text();
}

std::string LatenessText(const LatenessMap& map) {
  if (map.rows.empty()) return "null";
  std::string buckets;
  for (const auto& [first, last] : map.buckets) {
    buckets += (buckets.empty() ? "[" : ", [") + Value(first) + ", " + Value(last) + "]";
  }
  std::string rows;
  for (const LatenessRow& row : map.rows) {
    std::string means;
    for (const auto& mean_ns : row.mean_ns) means += (means.empty() ? "" : ", ") + Value(mean_ns);
    rows += (rows.empty() ? "" : ", ") +
            Object().Add("name", Value(row.name)).Add("mean_ns", "[" + means + "]").Text();
  }
  return Object().Add("steps", "[" + buckets + "]").Add("rows", "[" + rows + "]").Text();
}

std::string HtaText(const HtaCompat& hta) {
  Object object;
  object.Add("steps", TextOrNull(hta.steps))
      .Add("compute_us", Value(hta.compute_us))
      .Add("comm_us", Value(hta.comm_us))
      .Add("overlap_us", Value(hta.overlap_us))
      .Add("overlap_pct", Value(hta.overlap_pct))
      .Add("idle_us", Value(hta.idle_us))
      .Add("non_compute_us", Value(hta.non_compute_us))
      .Add("span_us", Value(hta.span_us));
  return object.Text();
}

std::string OtherKernelText(const OtherKernel& kernel) {
  Object object;
  object.Add("name", kernel.name.empty() ? "null" : JsonQuote(kernel.name))
      .Add("is_communication", kernel.is_communication ? "true" : "false")
      .Add("kernels", Value(kernel.kernels))
      .Add("time_ns", Value(kernel.time_ns))
      .Add("launches", Value(kernel.launches));
  return object.Text();
}

}  // namespace

size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and what lies beyond U+10FFFF.
  if (lead == 0xe0 && byte(1) < 0xa0) return 0;
  if (lead == 0xed && byte(1) > 0x9f) return 0;
  if (lead == 0xf0 && byte(1) < 0x90) return 0;
  if (lead == 0xf4 && byte(1) > 0x8f) return 0;
  return length;
}

std::string JsonQuote(const std::string& text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (size_t i = 0; i < text.size();) {
    const size_t length = Utf8Length(std::string_view(text).substr(i));
    const char c = text[i];
    if (length == 0) {
      quoted += "\xef\xbf\xbd";
      ++i;
    } else if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
      ++i;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += "\\u00";
      quoted += kHex[c >> 4];
      quoted += kHex[c & 15];
      ++i;
    } else {
      quoted.append(text, i, length);
      i += length;
    }
  }
  quoted += '"';
  return quoted;
}

std::string RenderJson(const RunResult& result) {
  std::string text = "{\n  \"schema\": " + std::to_string(kJsonSchema);
  const auto add = [&text](const char* key, const std::string& json) {
    text += ",\n  \"";
    text += key;
    text += "\": ";
    text += json;
  };
  add("run", WindowText(result, result.run));
  add("steady", result.steady.has_value() ? WindowText(result, *result.steady) : "null");
  add("ranks", Array(result.ranks, RankText));
  add("steps", Array(result.steps, StepText));
  add("ops", Array(result.ops, OpText));
  add("communicators", Array(result.communicators, CommunicatorText));
  add("stragglers", Array(result.stragglers, StragglerText));
  add("serving", ServingText(result.serving));
  add("experts", ExpertsText(result));
  add("course", Array(result.course, CourseText));
  add("lateness", LatenessText(result.lateness));
  add("other_kernels", Array(result.other_kernels, OtherKernelText));
  add("attention_recompute", AttentionRecomputeText(result.attention_recompute));
  if (!result.compat_hta.empty()) add("compat_hta", Array(result.compat_hta, HtaText));
  text += "\n}\n";
  return text;
}

}  // namespace mfutrace::report
