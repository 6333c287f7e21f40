// Every form in which verdicts are published. docs/GATES.md shows each.
#pragma once

#include <string>
#include <vector>

#include "gate/judge.h"

namespace mfutrace::gate {

inline constexpr int kGateJsonSchema = 1;

// For people at a terminal; colours: green better, red worse, grey no evidence.
std::string PrintTerminal(const Judgement& judgement, bool use_color);

// A table, failures first, details folded; cut at 200 KB for GitHub's step summary.
std::string PrintMarkdown(const Judgement& judgement);

// GitHub's workflow commands: one error a failed gate, at most nine and "and N more".
std::string PrintAnnotations(const Judgement& judgement, const std::string& gate_path);

std::string PrintJunit(const Judgement& judgement, const std::string& gate_path);

// An object: `schema`, `exit_code`, `failed`, `inconclusive`, `without_verdict`, `notes`, `gates`.
std::string PrintJson(const Judgement& judgement);

// github-action-benchmark's customBiggerIsBetter or customSmallerIsBetter: of the gates whose
// metrics are better one way alone.
std::string PrintGhaBenchmark(const Judgement& judgement, bool larger_is_better);

// Bencher's metric format.
std::string PrintBmf(const Judgement& judgement);

}  // namespace mfutrace::gate
