// See serving.h.
#include "report/render/serving.h"

#include <algorithm>

#include "report/analyze/rates.h"
#include "report/render/table.h"
#include "report/render/units.h"

namespace mfutrace::report {
namespace {

std::string Bounded(bool is_bound, const std::string& text) {
  return is_bound && text != kUnknownText ? "≤" + text : text;
}

template <typename T>
std::string Count(const std::optional<T>& value) {
  return value.has_value() ? Decimal(absl::uint128(*value)) : kUnknownText;
}

std::string SiOrUnknown(std::optional<double> value, std::string_view unit) {
  return value.has_value() ? Si(*value, unit) : kUnknownText;
}

std::string NameOf(const PhaseResult& phase, bool has_roles) {
  std::string name = has_roles ? (phase.role.empty() ? "(none)" : phase.role) + " · " : "";
  if (!phase.model.empty()) name += phase.model + " ";
  return name + phase.phase;
}

std::string Middle(const std::optional<Distribution>& values, double unit, int decimals) {
  if (!values.has_value() || values->count == 0) return kUnknownText;
  return Fixed(values->p50 / unit, decimals) + "/" + Fixed(values->p95 / unit, decimals);
}

void Append(std::vector<std::string>& to, std::vector<std::string> lines) {
  to.insert(to.end(), std::make_move_iterator(lines.begin()), std::make_move_iterator(lines.end()));
}

void RoleLines(const RoleResult& role, bool has_roles, std::vector<std::string>& lines) {
  std::string text = "  ";
  if (has_roles) text += (role.role.empty() ? std::string("(none)") : role.role) + ": ";
  text += "busy " + Percent(Ratio(role.busy_ns, role.window_ns)) + ", idle inside steps " +
          Percent(Ratio(role.idle_in_step_ns, role.window_ns)) + ", waiting for work " +
          Percent(Ratio(role.waiting_ns, role.window_ns));
  if (role.tokens_out.has_value()) {
    text +=
        "; " + Count(role.tokens_out) + " tokens out, " + SiOrUnknown(role.tokens_out_per_s, "/s");
  }
  lines.push_back(text);
  text = "  ";
  if (role.mfu_busy.has_value() || role.mbu_busy.has_value()) {
    text += "  MFU " + Percent(role.mfu_busy) + " of busy time, " + Percent(role.mfu_wall) +
            " of all; MBU " + Percent(role.mbu_busy) + ", " + Percent(role.mbu_wall);
    lines.push_back(text);
  }
  if (role.busy.has_value() && role.busy->count > 1) {
    lines.push_back("    busy in slices of " + Duration(role.slice_ns) + ": p50 " +
                    Percent(role.busy->p50) + ", p95 " + Percent(role.busy->p95) + ", max " +
                    Percent(role.busy->max));
  }
}

void SpeculationLines(const SpeculationResult& sums, std::vector<std::string>& lines) {
  lines.push_back("  speculative decoding: " + std::to_string(sums.steps) + " verify steps, " +
                  std::to_string(sums.draft_passes) + " draft passes; accepted " +
                  std::to_string(sums.accepted) + " of " + std::to_string(sums.drafted_known) +
                  " drafts (" + Percent(AcceptanceRate(sums)) + ")");
  if (sums.sequence_steps_known < sums.sequence_steps) {
    lines.push_back("    " + std::to_string(sums.sequence_steps - sums.sequence_steps_known) +
                    " of " + std::to_string(sums.sequence_steps) +
                    " sequence steps have no step after them that would tell what was accepted");
  }
  const std::optional<double> ratio = ExecutedOverUseful(sums);
  const std::optional<double> tokens = TokensPerPass(sums);
  if (ratio.has_value() && tokens.has_value()) {
    lines.push_back("    verify FLOPs are " + Fixed(*ratio, 2) +
                    " times the useful ones (rejected drafts); a pass gives " + Fixed(*tokens, 2) +
                    " tokens");
    lines.push_back("    MFU or MBU from tokens/s, a pass a token, is " + Fixed(*tokens, 2) +
                    " times too high and can exceed 100 %");
  }
}

}  // namespace

std::vector<std::string> ServingLines(const RunResult& result, size_t page_width) {
  if (!result.serving.has_value()) return {};
  const ServingResult& serving = *result.serving;
  const bool has_roles = serving.roles.size() > 1 ||
                         (serving.roles.size() == 1 && !serving.roles.front().role.empty());
  Table table({{"inference", Table::Align::kLeft},
               {"passes"},
               {"batch p50/p95"},
               {"ms p50/p95"},
               {"tokens"},
               {"tok/s"},
               {"TFLOP"},
               {"MFU"},
               {"MBU"},
               {"KV read"}});
  for (const PhaseResult& phase : serving.phases) {
    std::string kv_read = kUnknownText;
    if (phase.kv_bytes_read.has_value()) {
      kv_read = Bounded(phase.kv_is_bound, Si(static_cast<double>(*phase.kv_bytes_read), "B"));
    }
    table.AddRow({NameOf(phase, has_roles), Count(phase.passes), Middle(phase.sequences, 1, 0),
                  Middle(phase.pass_ns, 1e6, 2),
                  Bounded(phase.tokens_are_bounds, Count(phase.new_tokens)),
                  Bounded(phase.tokens_are_bounds, SiOrUnknown(phase.tokens_per_s, "")),
                  phase.flop_executed.has_value()
                      ? Bounded(phase.flop_bound > 0,
                                Significant(static_cast<double>(*phase.flop_executed) / 1e12))
                      : kUnknownText,
                  Bounded(phase.flop_bound > 0, Percent(phase.mfu_busy)),
                  Bounded(phase.flop_bound > 0, Percent(phase.mbu_busy)), kv_read});
  }
  std::vector<std::string> lines = table.Lines(page_width, 2);
  for (const RoleResult& role : serving.roles) RoleLines(role, has_roles, lines);
  for (const SpeculationResult& sums : serving.speculation) SpeculationLines(sums, lines);
  for (const std::string& note : serving.notes) lines.push_back("  " + note);
  for (std::string& line : lines) line = Cut(line, page_width);
  return lines;
}

std::vector<std::string> ExpertLines(const RunResult& result, size_t page_width) {
  std::vector<std::string> lines;
  if (!result.experts.empty()) {
    Table table({{"experts", Table::Align::kLeft},
                 {"calls"},
                 {"rows"},
                 {"max/mean p50/max"},
                 {"idle"},
                 {"active"},
                 {"TFLOP"}});
    for (const ExpertsResult& experts : result.experts) {
      table.AddRow({experts.label, std::to_string(experts.calls), Count(experts.rows),
                    experts.imbalance.has_value()
                        ? Fixed(experts.imbalance->p50, 2) + "/" + Fixed(experts.imbalance->max, 2)
                        : "not on host",
                    Percent(experts.idle_share), Percent(experts.active_share),
                    experts.flop_executed.has_value()
                        ? Significant(static_cast<double>(*experts.flop_executed) / 1e12)
                        : kUnknownText});
    }
    Append(lines, table.Lines(page_width, 2));
  }
  for (const ExpertExchange& exchange : result.exchanges) {
    std::string text = "  exchange of experts' tokens: most received / mean " +
                       Fixed(exchange.imbalance, 2) + "; received by rank:";
    for (const ExpertExchange::Member& member : exchange.members) {
      text += " " + std::to_string(member.rank) + ": " +
              Si(static_cast<double>(member.received_bytes), "B");
    }
    lines.push_back(Cut(text, page_width));
  }
  return lines;
}

}  // namespace mfutrace::report
