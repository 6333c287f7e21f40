// The report as text: at most 40 lines of 100 columns by default, in a fixed order: answer, where
// the time went, operations, communication, ranks, quality. Called by `mfutrace report`.
//
// Everything shown is in RunResult or a quotient from analyze/rates.h; unknown is "-", never 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "report/analyze/results.h"

namespace mfutrace::report {

// Bits of TerminalOptions::sections, named as in `report --only`.
enum Section : uint32_t {
  kSummary = 1,
  kBudget = 2,
  kOps = 4,
  kComm = 8,
  kRanks = 16,
  kQuality = 32,
  kServing = 64,
  kExperts = 128,
  kAllSections = 255,
};

// nullopt for a name that is none of summary, budget, ops, serving, experts, comm, ranks, quality.
std::optional<Section> SectionNamed(absl::string_view name);

struct TerminalOptions {
  bool use_color = false;
  size_t page_width = 100;
  uint32_t sections = kAllSections;
  // Rows of each table; nullopt = few enough for one screen, or all if only some sections are
  // shown.
  std::optional<size_t> top;
};

std::string RenderTerminal(const RunResult& result, const TerminalOptions& options);

// HTA's own figures, one row a timeline (`report --compat hta`).
std::string RenderHta(const RunResult& result, const TerminalOptions& options);

}  // namespace mfutrace::report
