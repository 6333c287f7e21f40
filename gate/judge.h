// Verdicts: observations of this run (or runs) held against a gate file and a baseline.
//
// Fails closed: what cannot be judged is "no verdict", never a pass.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gate/gate_file.h"
#include "gate/observation.h"
#include "gate/statistics.h"

namespace mfutrace::gate {

enum class Outcome : uint8_t { kPass, kFail, kInconclusive, kNoVerdict };

struct Verdict {
  Gate gate;
  Outcome outcome = Outcome::kNoVerdict;
  std::string reason;  // of everything but a pass, one line
  std::string cause;   // the likeliest, of a failure against a baseline
  std::optional<Exact> exact;
  std::optional<Exact> baseline_exact;
  std::optional<Change> change;            // timing gates against a baseline
  std::optional<Change> against_constant;  // timing gates with min or max
  double constant = 0;
};

struct Judgement {
  std::vector<Verdict> verdicts;   // in the gate file's order
  std::vector<std::string> notes;  // what was not compared, one line each
  size_t failed = 0;
  size_t inconclusive = 0;
  size_t without_verdict = 0;
  bool inconclusive_fails = false;  // one of them has on_inconclusive = "fail"
};

// `baseline` is empty where there is none; `why_none` then says why.
Judgement Judge(const GateFile& file, const std::vector<Observation>& runs,
                const std::vector<Observation>& baseline, const std::string& why_none);

// 1: something failed; 3: nothing failed and something has no verdict; else 0.
int ExitCodeOf(const Judgement& judgement);

}  // namespace mfutrace::gate
