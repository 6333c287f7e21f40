// What toml++ 3.3.0 must not be shown: outside strings and comments its test for white space has no
// answer for most characters beyond ASCII (is_non_ascii_horizontal_whitespace ends in
// TOML_UNREACHABLE). TOML has no use for them there, so they are refused first.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace mfutrace::gate {

// "PATH:LINE:COLUMN: ..." for the first such character.
absl::Status CheckTomlText(const std::string& text, const std::string& path);

}  // namespace mfutrace::gate
