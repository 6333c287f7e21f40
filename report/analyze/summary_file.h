// Files of summaries: what is kept of a timeline, so that a cluster can reduce its traces where
// they lie and a report be made of what comes out. Called by `mfutrace reduce` and `report`.
//
// Merging is putting devices side by side: nothing is added up before the report, so any order and
// any grouping give the same report as the traces themselves. The layout is in docs/FORMAT.md;
// every struct is described once, in summary_fields.h, for both directions.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "report/analyze/summary.h"

namespace mfutrace::report {

struct Summaries {
  std::vector<DeviceSummary> devices;
  std::vector<std::string> left_out;  // traces that could not be read: the path and why
};

bool IsSummaryFile(const std::string& path);

// The bytes of a file; the same for any order of what is in it.
std::string PackSummaries(Summaries summaries);

// kDataLoss if it is cut short or damaged, kUnimplemented if a newer mfutrace wrote it: a part of
// the ranks would be taken for all of them, so nothing of such a file is used.
absl::StatusOr<Summaries> ReadSummaries(const std::string& path);
absl::StatusOr<Summaries> UnpackSummaries(const std::string& bytes);

// By rank, device, host and path: the order in which nothing depends on who was read first.
void SortSummaries(std::vector<DeviceSummary>& devices);

}  // namespace mfutrace::report
