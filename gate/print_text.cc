// Numbers of verdicts as people read them.
#include "gate/print_text.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "report/render/units.h"

namespace mfutrace::gate {
namespace {

std::string Value(double value, Unit unit) {
  switch (unit) {
    case Unit::kCount:
      return absl::StrFormat("%.15g", value);
    case Unit::kFlop:
      return report::Si(value, "FLOP");
    case Unit::kBytes:
      return report::Si(value, "B");
    case Unit::kShare:
    case Unit::kRatio:
      return report::Percent(value);
    case Unit::kMilliseconds:
      return report::Significant(value) + " ms";
    case Unit::kFlopPerSecond:
      return report::Si(value, "FLOP/s");
  }
  return "";
}

double Number(absl::uint128 value, Unit unit) {
  const double number = static_cast<double>(value);
  return unit == Unit::kShare ? number / static_cast<double>(kShareUnit) : number;
}

// All digits where they fit and a prefix would hide a difference.
std::string Text(const Exact& exact, Unit unit) {
  if (exact.is_uniform()) return Value(Number(exact.median, unit), unit);
  return absl::StrCat(Value(Number(exact.least, unit), unit), " to ",
                      Value(Number(exact.most, unit), unit));
}

std::string Precise(const Exact& exact, Unit unit) {
  if (unit == Unit::kShare) {
    return absl::StrFormat("%.10g", Number(exact.median, unit));
  }
  return exact.is_uniform() ? report::Decimal(exact.median)
                            : report::Decimal(exact.least) + ".." + report::Decimal(exact.most);
}

std::string LimitText(const Limit& limit, const char* sign) {
  return absl::StrFormat("limit %s%g %s", sign, limit.amount * 100, limit.is_points ? "pp" : "%");
}

std::string PValue(double p) { return p < 0.001 ? "p < 0.001" : absl::StrFormat("p = %.3f", p); }

bool IsDrop(const Verdict& verdict) {
  const Gate& gate = verdict.gate;
  if (!gate.max_drop.has_value()) return false;
  return !gate.max_rise.has_value() || verdict.change->change < 0;
}

}  // namespace

std::string OutcomeWord(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPass:
      return "ok";
    case Outcome::kFail:
      return "FAIL";
    case Outcome::kInconclusive:
      return "noisy";
    case Outcome::kNoVerdict:
      return "none";
  }
  return "";
}

std::string ValueText(const Verdict& verdict) {
  const Unit unit = verdict.gate.metric->unit;
  if (verdict.exact.has_value()) {
    if (!verdict.baseline_exact.has_value() || *verdict.baseline_exact == *verdict.exact) {
      return Text(*verdict.exact, unit);
    }
    const std::string then = Text(*verdict.baseline_exact, unit);
    const std::string now = Text(*verdict.exact, unit);
    if (then == now) {
      return Precise(*verdict.baseline_exact, unit) + " -> " + Precise(*verdict.exact, unit);
    }
    return then + " -> " + now;
  }
  if (verdict.change.has_value()) {
    return Value(verdict.change->old_value, unit) + " -> " + Value(verdict.change->new_value, unit);
  }
  if (verdict.against_constant.has_value()) {
    return Value(verdict.against_constant->new_value, unit);
  }
  return "-";
}

std::string DetailText(const Verdict& verdict) {
  const Gate& gate = verdict.gate;
  const Unit unit = gate.metric->unit;
  std::string text;
  const auto add = [&text](const std::string& part) {
    absl::StrAppend(&text, text.empty() ? "" : "  ", part);
  };
  if (verdict.exact.has_value()) {
    if (gate.equals_baseline) {
      add(*verdict.exact == *verdict.baseline_exact ? "= baseline" : "!= baseline");
    }
    if (gate.equals.has_value()) add("= " + Value(*gate.equals, unit));
    if (gate.min.has_value()) add(">= " + Value(*gate.min, unit));
    if (gate.max.has_value()) add("<= " + Value(*gate.max, unit));
    if (gate.max_drop.has_value() || gate.max_rise.has_value()) {
      const double then = Number(verdict.baseline_exact->median, unit);
      const double change = Number(verdict.exact->median, unit) - then;
      if (unit == Unit::kShare) {
        add(absl::StrFormat("%+.2f pp", change * 100));
      } else if (then > 0) {
        add(absl::StrFormat("%+.2f %%", change / then * 100));
      }
    }
    if (gate.max_drop.has_value()) add(LimitText(*gate.max_drop, "-"));
    if (gate.max_rise.has_value()) add(LimitText(*gate.max_rise, "+"));
    return text;
  }
  if (verdict.change.has_value()) {
    const Change& change = *verdict.change;
    const bool is_drop = IsDrop(verdict);
    const Limit& limit = is_drop ? *gate.max_drop : *gate.max_rise;
    if (change.has_enough) {
      add(absl::StrFormat("%+.2f %s [%+.2f, %+.2f]", change.change * 100,
                          limit.is_points ? "pp" : "%", change.low * 100, change.high * 100));
    }
    add(LimitText(limit, is_drop ? "-" : "+"));
    if (change.has_enough) add(PValue(is_drop ? change.p_drop : change.p_rise));
    add(absl::StrCat("n ", change.old_samples, " / ", change.new_samples));
    if (change.block_steps > 1) add(absl::StrCat("of ", change.block_steps, " steps"));
    if (change.block_steps == 0) add("runs");
    const size_t outliers = change.old_outliers + change.new_outliers;
    if (outliers > 0) add(absl::StrCat(outliers, " outliers kept"));
  }
  if (verdict.against_constant.has_value()) {
    const bool is_max = gate.max.has_value() && verdict.constant == *gate.max;
    add((is_max ? "<= " : ">= ") + Value(verdict.constant, unit));
  }
  return text;
}

std::string ReasonText(const Verdict& verdict) {
  if (verdict.outcome == Outcome::kPass) return "";
  std::string text = verdict.reason;
  if (verdict.outcome == Outcome::kInconclusive && verdict.change.has_value() &&
      std::isfinite(verdict.change->detectable)) {
    const bool is_drop = IsDrop(verdict);
    const Limit& limit = is_drop ? *verdict.gate.max_drop : *verdict.gate.max_rise;
    absl::StrAppend(&text,
                    absl::StrFormat("; the smallest %s these steps could show is %.2f %s",
                                    is_drop ? "drop" : "rise", verdict.change->detectable * 100,
                                    limit.is_points ? "pp" : "%"));
  }
  return text;
}

std::string SummaryText(const Judgement& judgement) {
  const size_t gates = judgement.verdicts.size();
  std::string text =
      absl::StrCat(judgement.failed, " of ", gates, gates == 1 ? " gate failed" : " gates failed");
  if (judgement.inconclusive > 0) {
    absl::StrAppend(&text, ", ", judgement.inconclusive, " without enough evidence");
  }
  if (judgement.without_verdict > 0) {
    absl::StrAppend(&text, ", ", judgement.without_verdict, " without a verdict");
  }
  return text;
}

}  // namespace mfutrace::gate
