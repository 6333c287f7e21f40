// Which device work is communication, by the names profilers print. Users of imports only: native
// traces know by the API that was called. A new library is a line in the table of the .cc file.
#pragma once

#include "absl/strings/string_view.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

// A family of communication kernels; kNone is every other kernel.
enum class CommFamily : uint8_t { kNone, kNccl, kCustom };

CommFamily CommFamilyOf(absl::string_view kernel_name);

}  // namespace mfutrace::report
