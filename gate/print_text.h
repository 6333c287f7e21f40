// Verdicts in words: what the terminal, Markdown, annotations and JUnit have in common.
#pragma once

#include <string>

#include "gate/judge.h"

namespace mfutrace::gate {

// "ok", "FAIL", "noisy", "none".
std::string OutcomeWord(Outcome outcome);

// "38.1 % -> 36.4 %", "155.4 TFLOP".
std::string ValueText(const Verdict& verdict);

// "-4.5 % [-5.1, -3.9]  limit -3 %  p < 0.001  n 28 / 28", "= baseline", "<= 1 %".
std::string DetailText(const Verdict& verdict);

// The reason, and the smallest change that could have been found; empty for a pass.
std::string ReasonText(const Verdict& verdict);

// "1 of 6 gates failed, 1 without enough evidence".
std::string SummaryText(const Judgement& judgement);

}  // namespace mfutrace::gate
