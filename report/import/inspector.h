// NCCL Inspector's logs (one JSON object a line) -> Timelines: collectives with bytes and
// durations, nothing else.
//
// One timeline for each process and GPU. Where the log is verbose it also tells when kernels ran,
// and collectives get intervals; else their time is known as a sum alone, and no time split is
// made. World ranks, number formats, compute and small collectives are not in these files.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "report/import/byte_source.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

// By the first line of text; `text` may be cut short behind it.
bool IsInspector(absl::string_view text);

// In order of process and GPU. Never empty. An error is one line: the path, what is wrong.
absl::StatusOr<std::vector<Timeline>> ImportInspector(ByteSource* source, const std::string& path);

}  // namespace mfutrace::report
