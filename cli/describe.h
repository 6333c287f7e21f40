// Help in other forms, from the same text that --help prints: shell completion and man pages.
#pragma once

#include <string>
#include <vector>

#include "cli/args.h"

namespace mfutrace::cli {

struct VerbEntry {
  std::string name;
  std::string arguments;
  std::string synopsis;
  int (*run)(int argc, char** argv) = nullptr;
};

// `mfutrace completion bash|zsh`: a script for the shell, on stdout.
int PrintCompletion(const std::vector<VerbEntry>& verbs, const std::string& shell);

// `mfutrace man [VERB]`: a page in man's own macros, on stdout.
int PrintMan(const std::vector<VerbEntry>& verbs, const std::string& verb,
             const std::string& version);

}  // namespace mfutrace::cli
