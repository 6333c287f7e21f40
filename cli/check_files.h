// `--check FILE...` of the verbs shapes and estimate: one line a failing case, then the counts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/shapes_check.h"

namespace mfutrace::cli {

// nullopt if `path` cannot be read as a file.
std::optional<std::string> ReadWholeFile(const std::string& path);

// Checks all files and prints; the exit code of the verb.
int CheckFiles(const std::vector<std::string>& paths, const ModelCheck& check_model = nullptr);

}  // namespace mfutrace::cli
