// What changed between two runs, beyond noise: operations and communicators, and MFU as a sum.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gate/explain.h"
#include "gate/observation.h"

namespace mfutrace::gate {

enum class Tag : uint8_t { kNew, kGone, kSlower, kFaster, kMoreCalls, kFewerCalls };

struct DiffRow {
  std::string name;
  bool is_communicator = false;  // times are exposed times then
  Tag tag = Tag::kSlower;
  OpLoad before;
  OpLoad after;
};

struct Diff {
  std::optional<Explanation> explanation;
  std::vector<Part> before;  // budgets, where MFU is not known on both sides
  std::vector<Part> after;
  std::vector<DiffRow> rows;       // most time first
  size_t unchanged = 0;            // rows within noise
  std::vector<std::string> notes;  // what makes the two hard to compare
};

Diff Compare(const Observation& before, const Observation& after);

std::string NameOf(Tag tag);  // "new", "gone", "slower", "faster", "more calls", "fewer calls"

// Anything new, slower, called more, or a lower MFU that the rows explain.
bool IsWorse(const Diff& diff);

inline constexpr int kDiffJsonSchema = 1;
std::string PrintDiff(const Diff& diff, const std::string& before, const std::string& after,
                      bool use_color);
std::string PrintDiffMarkdown(const Diff& diff, const std::string& before,
                              const std::string& after);
std::string PrintDiffJson(const Diff& diff);

}  // namespace mfutrace::gate
