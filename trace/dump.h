// One line of text per record of a trace, for `mfutrace info --dump` and tests. The text carries no
// promise of stability.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "trace/reader.h"

namespace mfutrace::trace {

// Calls `line` once for each record, in file order, without a line end.
absl::StatusOr<Outcome> Dump(const std::string& path,
                             const std::function<void(absl::string_view line)>& line);

}  // namespace mfutrace::trace
