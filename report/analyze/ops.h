// The table of operations: of one timeline, and merged over all of them.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "report/analyze/results.h"
#include "report/analyze/summary.h"

namespace mfutrace::report {

// Fills `ops` and `op_rates` of the summary. GPU time of a work is split equally (to the
// nanosecond) among the calls that share it: a group of collectives is timed as one.
void SummarizeOps(const Timeline& timeline, const std::vector<uint64_t>& calls_by_op,
                  DeviceSummary& summary);

// Rows with equal label, kind, format and provenance become one; most time first, then most FLOPs.
// `peak` gives the peak of a device's rate, `memory` its bandwidth; a row whose devices differ in
// one of them does not have it, and no roofline.
std::vector<OpResult> MergeOps(
    std::span<const DeviceSummary> devices,
    const std::function<std::optional<uint64_t>(const std::string& gpu, shapes::PeakRate)>& peak,
    const std::function<std::optional<uint64_t>(const std::string& gpu)>& memory);

}  // namespace mfutrace::report
