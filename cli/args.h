// What all verbs share: exit codes, options that every verb has, messages and suggestions.
//
// Data goes to stdout, talk to stderr. A message says what happened, where, and what to do, on one
// line that begins with "mfutrace: "; up to two more lines, indented, may help.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "absl/status/status.h"

namespace mfutrace::cli {

// docs/ENVIRONMENT.md promises these to scripts.
enum ExitCode : int {
  kExitOk = 0,
  kExitGateFailed = 1,
  kExitBadUse = 2,             // wrong use, or a file that is not what it should be
  kExitNoVerdict = 3,          // nothing to judge
  kExitUnreadable = 4,         // a trace with nothing readable in it, or from a newer format
  kExitOwnFailure = 125,       // `run`: mfutrace itself failed; the command was not started
  kExitCannotExecute = 126,    // `run`: the command exists but cannot be executed
  kExitCommandNotFound = 127,  // `run`: no such command
};

struct CommonOptions {
  bool is_quiet = false;
  bool is_verbose = false;
  std::string color = "auto";
};

// Adds -q, -v and --color.
void AddCommonOptions(CLI::App& app, CommonOptions& options);

// Parses; nullopt = go on, otherwise the exit code with which the verb is done (help was printed,
// or the mistake was explained and `bad_use` is returned).
std::optional<int> ParseArguments(CLI::App& app, int argc, char** argv, int bad_use = kExitBadUse);

// A verb's options as its help tells them, for completion and man pages.
struct OptionText {
  std::vector<std::string> names;  // "-q", "--quiet"; of a positional its name alone
  std::vector<std::string> choices;
  std::string text;
  bool takes_value = false;
};
struct VerbText {
  std::string description;
  std::vector<OptionText> options;
  std::vector<OptionText> positionals;
};
// Until it is called with nullptr, ParseArguments fills `text` and parses nothing.
void DescribeInto(VerbText* text);

// "mfutrace: TEXT" on stderr.
void Say(const std::string& text);

// Says the status' message and returns the exit code that belongs to its kind.
int SayStatus(const absl::Status& status);
int ExitCodeOf(const absl::Status& status);

// The candidate most like `word`, empty if none is like it.
std::string Nearest(const std::string& word, const std::vector<std::string>& candidates);
// " (did you mean X?)" or nothing.
std::string Suggestion(const std::string& word, const std::vector<std::string>& candidates);

// By --color, NO_COLOR (https://no-color.org) and whether `stream` is a terminal.
bool UseColor(const CommonOptions& options, FILE* stream);

// A non-negative number with an optional K, M or G (powers of 1024); nullopt if it is not one.
std::optional<uint64_t> ParseByteCount(const std::string& text);

// What MFUTRACE_SAMPLE takes: all, none, default, or a time of a period, like 10s/60s or 500ms/1m.
bool IsSample(const std::string& text);
// What MFUTRACE_OVERHEAD_BUDGET takes: percent with at most four decimals, or off.
bool IsPercent(const std::string& text);

// Writes `text` to `path`; refuses an existing file unless `force`. An exit code and an explanation
// on stderr if it fails.
int WriteOutput(const std::string& path, const std::string& text, bool force);

// Whoever reads `path` sees the old text or the new one, never a part: a file beside it is renamed.
// False and errno if that fails.
bool WriteByRename(const std::string& path, const std::string& text);

}  // namespace mfutrace::cli
