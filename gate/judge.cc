// Guards first, then each gate by itself.
#include "gate/judge.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gate/explain.h"

namespace mfutrace::gate {
namespace {

constexpr double kClockTolerance = 0.03;
constexpr double kCoverageTolerance = 0.02;

std::string Fact(const Observation& run, const std::string& key) {
  const auto found = run.facts.find(key);
  return found == run.facts.end() ? "" : found->second;
}

// Why no gate at all can be judged; empty if nothing speaks against it.
std::string RunGuard(const GateFile& file, const std::vector<Observation>& runs) {
  if (runs.size() < file.min_runs) {
    return absl::StrCat(runs.size(), runs.size() == 1 ? " run" : " runs", ", min_runs is ",
                        file.min_runs);
  }
  for (const Observation& run : runs) {
    if (run.damaged_files > 0) {
      return absl::StrCat(run.title, ": ", run.damaged_files, " damaged files");
    }
    const std::string world = Fact(run, "world_size");
    const std::string devices = Fact(run, "devices");
    // A rank may drive several devices, never less than one.
    if (!world.empty() && std::stoul(devices) < std::stoul(world)) {
      return absl::StrCat(run.title, ": traces of ", devices, " of ", world, " ranks");
    }
    if (file.min_steps.has_value() && run.steps < *file.min_steps) {
      return absl::StrCat(run.steps, " steps after warm-up, min_steps is ", *file.min_steps);
    }
  }
  return "";
}

std::string WorldGuard(const Observation& run, const Observation& before) {
  const std::string now = Fact(run, "world_size");
  const std::string then = Fact(before, "world_size");
  if (now == then && !now.empty()) return "";
  return absl::StrCat("world_size is ", now.empty() ? "unknown" : now, ", the baseline's ",
                      then.empty() ? "unknown" : then);
}

// Why times of the two cannot be compared.
std::string TimingGuard(const GateFile& file, const Observation& run, const Observation& before,
                        std::vector<std::string>& notes) {
  std::vector<std::string> keys = file.match;
  if (std::find(keys.begin(), keys.end(), "timing") == keys.end()) keys.push_back("timing");
  for (const std::string& key : keys) {
    const std::string now = Fact(run, key);
    const std::string then = Fact(before, key);
    if (now.empty() && then.empty() && key != "gpu_name" && key != "world_size") {
      const std::string note = key + ": in neither trace nor baseline, not compared";
      if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
      continue;
    }
    if (now.empty()) return key + " is unknown";
    if (now != then) {
      return absl::StrCat(key, " is ", now, ", the baseline's ", then.empty() ? "unknown" : then);
    }
  }
  if (run.dropped > 0 || before.dropped > 0) {
    return absl::StrCat(run.dropped > 0 ? run.dropped : before.dropped, " calls were dropped",
                        run.dropped > 0 ? "" : " in the baseline");
  }
  if (run.sm_clock_mhz.has_value() && before.sm_clock_mhz.has_value() &&
      std::fabs(*run.sm_clock_mhz / *before.sm_clock_mhz - 1) > kClockTolerance) {
    return absl::StrFormat("the SM clock was %.0f MHz, the baseline's %.0f", *run.sm_clock_mhz,
                           *before.sm_clock_mhz);
  }
  if (run.covered_share.has_value() != before.covered_share.has_value()) {
    return "coverage is known on one side only";
  }
  if (run.covered_share.has_value() &&
      std::fabs(*run.covered_share - *before.covered_share) > kCoverageTolerance) {
    return absl::StrFormat("%.1f %% of kernel time is counted, the baseline's %.1f %%",
                           *run.covered_share * 100, *before.covered_share * 100);
  }
  return "";
}

double ValueOf(absl::uint128 value, Unit unit) {
  const double number = static_cast<double>(value);
  return unit == Unit::kShare ? number / static_cast<double>(kShareUnit) : number;
}

class Judge1 {
 public:
  Judge1(const GateFile& file, const std::vector<Observation>& runs,
         const std::vector<Observation>& baseline, const std::string& why_none,
         std::vector<std::string>& notes)
      : file_(file), runs_(runs), baseline_(baseline), why_none_(why_none), notes_(notes) {}

  Verdict Of(const Gate& gate) {
    Verdict verdict;
    verdict.gate = gate;
    const std::string key = KeyOf(gate);
    for (const Observation& run : runs_) {
      const auto missing = run.missing.find(key);
      if (missing != run.missing.end()) return None(verdict, missing->second);
    }
    if (gate.NeedsBaseline()) {
      if (baseline_.empty()) return None(verdict, why_none_);
      for (const Observation& before : baseline_) {
        const bool has =
            gate.metric->is_exact ? before.exact.contains(key) : before.samples.contains(key);
        if (!has) return None(verdict, "the baseline has no value of it; mfutrace gate --update");
      }
    }
    return gate.metric->is_exact ? OfExact(verdict, key) : OfTiming(verdict, key);
  }

 private:
  static Verdict None(Verdict& verdict, const std::string& reason) {
    verdict.outcome = Outcome::kNoVerdict;
    verdict.reason = reason;
    return std::move(verdict);
  }
  static Verdict Fail(Verdict& verdict, const std::string& reason) {
    verdict.outcome = Outcome::kFail;
    verdict.reason = reason;
    return std::move(verdict);
  }

  Verdict OfExact(Verdict& verdict, const std::string& key) {
    const Gate& gate = verdict.gate;
    const Unit unit = gate.metric->unit;
    verdict.exact = runs_.front().exact.at(key);
    for (const Observation& run : runs_) {
      if (!(run.exact.at(key) == *verdict.exact)) {
        return None(verdict, "the runs differ among themselves");
      }
    }
    const Exact& now = *verdict.exact;
    if (gate.NeedsBaseline()) {
      const std::string guard = WorldGuard(runs_.front(), baseline_.front());
      if (!guard.empty()) return None(verdict, guard);
      verdict.baseline_exact = baseline_.front().exact.at(key);
    }
    const auto fail = [&](const std::string& reason) {
      if (!baseline_.empty()) {
        verdict.cause = Cause(baseline_.front(), runs_.front(), *gate.metric);
      }
      return Fail(verdict, reason);
    };
    if (gate.equals_baseline && !(now == *verdict.baseline_exact)) {
      const bool medians_agree = now.median == verdict.baseline_exact->median;
      return fail(medians_agree ? "differs from the baseline in some steps"
                                : "differs from the baseline");
    }
    const double least = ValueOf(now.least, unit);
    const double most = ValueOf(now.most, unit);
    if (gate.equals.has_value() && (least != *gate.equals || most != *gate.equals)) {
      return fail(absl::StrFormat("is not %g in every step", *gate.equals));
    }
    if (gate.min.has_value() && least < *gate.min) return fail("below min");
    if (gate.max.has_value() && most > *gate.max) return fail("above max");
    if (gate.max_drop.has_value() || gate.max_rise.has_value()) {
      const double before = ValueOf(verdict.baseline_exact->median, unit);
      const double change = ValueOf(now.median, unit) - before;
      const auto allowed = [&](const Limit& limit) {
        return limit.is_points ? limit.amount : limit.amount * before;
      };
      // Shares are rounded to 10^-12 and limits are decimals: a difference that small is none.
      const double slack = 1e-9 * std::max(std::fabs(before), unit == Unit::kShare ? 1.0 : 0.0);
      if (gate.max_drop.has_value() && -change > allowed(*gate.max_drop) + slack) {
        return fail("dropped by more than max_drop");
      }
      if (gate.max_rise.has_value() && change > allowed(*gate.max_rise) + slack) {
        return fail("rose by more than max_rise");
      }
    }
    verdict.outcome = Outcome::kPass;
    return std::move(verdict);
  }

  Verdict OfTiming(Verdict& verdict, const std::string& key) {
    const Gate& gate = verdict.gate;
    std::vector<std::vector<double>> now;
    for (const Observation& run : runs_) {
      if (run.steps < file_.min_steps.value_or(kDefaultMinSteps)) {
        return None(verdict, absl::StrCat(run.steps, " steps after warm-up; timing gates need ",
                                          kDefaultMinSteps, " ([run] min_steps sets it)"));
      }
      if (run.dropped > 0) return None(verdict, absl::StrCat(run.dropped, " calls were dropped"));
      now.push_back(run.samples.at(key));
    }
    verdict.outcome = Outcome::kPass;
    if (gate.NeedsBaseline()) {
      std::vector<std::vector<double>> then;
      for (const Observation& before : baseline_) {
        for (const Observation& run : runs_) {
          const std::string guard = TimingGuard(file_, run, before, notes_);
          if (!guard.empty()) return None(verdict, guard);
        }
        then.push_back(before.samples.at(key));
      }
      if (gate.max_drop.has_value()) Against(*gate.max_drop, then, now, -1, verdict);
      if (gate.max_rise.has_value() && verdict.outcome == Outcome::kPass) {
        Against(*gate.max_rise, then, now, 1, verdict);
      }
    }
    if (verdict.outcome == Outcome::kPass && gate.min.has_value()) {
      Floor(*gate.min, now, -1, verdict);
    }
    if (verdict.outcome == Outcome::kPass && gate.max.has_value()) {
      Floor(*gate.max, now, 1, verdict);
    }
    if (verdict.outcome == Outcome::kFail && !baseline_.empty()) {
      verdict.cause = Cause(baseline_.front(), runs_.front(), *gate.metric);
    }
    return std::move(verdict);
  }

  static std::string TooFew(const Change& change) {
    if (change.block_steps <= 1) return absl::StrCat("too few steps: ", change.new_samples);
    return absl::StrCat("too few independent steps: neighbours are alike, so blocks of ",
                        change.block_steps, " count as one, and ", kMinSamples,
                        " blocks are needed");
  }

  // `direction` is -1 where a drop is bad.
  void Against(const Limit& limit, const std::vector<std::vector<double>>& then,
               const std::vector<std::vector<double>>& now, int direction, Verdict& verdict) const {
    const Change change = Compare(then, now, limit.is_points, verdict.gate.confidence);
    verdict.change = change;
    verdict.change->detectable = limit.amount + change.detectable;
    if (!change.has_enough) {
      verdict.outcome = Outcome::kInconclusive;
      verdict.reason = TooFew(change);
      return;
    }
    const double best = direction < 0 ? -change.high : change.low;   // how much worse at least
    const double worst = direction < 0 ? -change.low : change.high;  // and at most
    const double p = direction < 0 ? change.p_drop : change.p_rise;
    // A few runs cannot reach a small p however far apart they are: then all must be worse.
    const double needed = std::max(1 - verdict.gate.confidence, change.p_reachable * (1 + 1e-9));
    if (best > limit.amount && p <= needed) {
      verdict.outcome = Outcome::kFail;
      verdict.reason =
          direction < 0 ? "dropped by more than max_drop" : "rose by more than max_rise";
    } else if (worst <= limit.amount) {
      verdict.outcome = Outcome::kPass;
    } else {
      verdict.outcome = Outcome::kInconclusive;
      verdict.reason = "not enough evidence";
    }
  }

  void Floor(double bound, const std::vector<std::vector<double>>& now, int direction,
             Verdict& verdict) const {
    const Change change = CompareWithConstant(bound, now, verdict.gate.confidence);
    verdict.against_constant = change;
    verdict.constant = bound;
    if (!change.has_enough) {
      verdict.outcome = Outcome::kInconclusive;
      verdict.reason = TooFew(change);
      return;
    }
    const double best = direction < 0 ? -change.high : change.low;
    const double worst = direction < 0 ? -change.low : change.high;
    if (best > 0) {
      verdict.outcome = Outcome::kFail;
      verdict.reason = direction < 0 ? "below min" : "above max";
    } else if (worst <= 0) {
      verdict.outcome = Outcome::kPass;
    } else {
      verdict.outcome = Outcome::kInconclusive;
      verdict.reason = "too close to the limit to tell";
    }
  }

  const GateFile& file_;
  const std::vector<Observation>& runs_;
  const std::vector<Observation>& baseline_;
  const std::string& why_none_;
  std::vector<std::string>& notes_;
};

}  // namespace

Judgement Judge(const GateFile& file, const std::vector<Observation>& runs,
                const std::vector<Observation>& baseline, const std::string& why_none) {
  Judgement judgement;
  const std::string guard = runs.empty() ? "no run to judge" : RunGuard(file, runs);
  Judge1 judge(file, runs, baseline, why_none, judgement.notes);
  for (const Gate& gate : file.gates) {
    Verdict verdict;
    if (guard.empty()) {
      verdict = judge.Of(gate);
    } else {
      verdict.gate = gate;
      verdict.reason = guard;
    }
    judgement.failed += verdict.outcome == Outcome::kFail;
    judgement.without_verdict += verdict.outcome == Outcome::kNoVerdict;
    if (verdict.outcome == Outcome::kInconclusive) {
      if (gate.on_inconclusive == OnInconclusive::kPass) {
        verdict.outcome = Outcome::kPass;
      } else {
        ++judgement.inconclusive;
        judgement.inconclusive_fails =
            judgement.inconclusive_fails || gate.on_inconclusive == OnInconclusive::kFail;
      }
    }
    judgement.verdicts.push_back(std::move(verdict));
  }
  return judgement;
}

int ExitCodeOf(const Judgement& judgement) {
  if (judgement.failed > 0 || judgement.inconclusive_fails) return 1;
  return judgement.without_verdict > 0 || judgement.verdicts.empty() ? 3 : 0;
}

}  // namespace mfutrace::gate
